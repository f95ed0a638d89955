use super::Image;
use super::directives::Directive;

pub fn image(directive: &Directive) -> Image {
    let option = |name| directive.option(name).unwrap_or_default().trim().to_owned();
    let target = directive.option("target").unwrap_or_default();
    Image {
        // An address may be broken over lines.
        src: directive.argument.split_whitespace().collect(),
        alt: option("alt"),
        width: option("width"),
        height: option("height"),
        align: option("align"),
        target: if target.starts_with('`') { target.to_owned() } else { target.split_whitespace().collect() },
    }
}
