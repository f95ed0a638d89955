use super::elements::Kind;
use super::{push_escaped, urls};
use html5gum::StartTag;
use std::borrow::Cow;

/// What a class of a description becomes; others mean nothing here. `style.css` draws them within `.readme`.
const CLASSES: [(&str, &str); 9] = [
    ("admonition", "admonition"),
    ("admonition-title", "admonition-title"),
    ("footnotes", "footnotes"),
    ("line-block", "line-block"),
    ("markdown-alert", "admonition"),
    ("markdown-alert-caution", "warning"),
    ("markdown-alert-title", "admonition-title"),
    ("markdown-alert-warning", "warning"),
    ("warning", "warning"),
];

/// Longest text of an attribute, in bytes.
const TEXT_BYTES_MAX: usize = 2_000;

/// The names that [`push_tag`] and its like write, and what may have them.
pub const WRITTEN: [(&str, &[&str]); 12] = [
    ("a", &["href"]),
    ("abbr", &["title"]),
    ("details", &["open"]),
    ("div", &["align", "aria-label", "role", "tabindex"]),
    ("img", &["align", "alt", "height", "loading", "referrerpolicy", "src", "title", "width"]),
    ("ol", &["start", "type"]),
    ("p", &["align"]),
    ("pre", &["tabindex"]),
    ("source", &["media", "srcset"]),
    ("table", &["align"]),
    ("td", &["align", "colspan", "rowspan"]),
    ("th", &["align", "colspan", "rowspan"]),
];

/// Classes that may be written.
pub fn classes() -> impl Iterator<Item = &'static str> {
    CLASSES.iter().map(|(_, class)| *class).chain(["wide"])
}

/// The attributes of a tag as they were given.
#[derive(Default)]
pub struct Given {
    pairs: Vec<(String, String)>,
}

impl Given {
    pub fn of(tag: &StartTag<()>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { pairs: tag.attributes.iter().map(|(name, value)| (text(name), text(&value.value))).collect() }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Old pages name the places they link to by `<a name>`.
    pub fn id(&self) -> Option<String> {
        self.get("id").or_else(|| self.get("name")).and_then(urls::id)
    }
}

/// An opening tag with those of its attributes that mean something here.
pub fn push_tag(out: &mut String, kind: Kind, name: &str, given: &Given, id: Option<&str>) {
    out.push('<');
    out.push_str(name);
    if let Some(id) = id {
        push(out, "id", id);
    }
    let classes = classes_of(given.get("class").unwrap_or_default());
    if !classes.is_empty() {
        push(out, "class", &classes);
    }
    match kind {
        Kind::Link => {
            if let Some(href) = given.get("href").and_then(urls::link) {
                push(out, "href", &href);
            }
            push(out, "rel", super::clean::LINK_REL);
        }
        Kind::Pre => push(out, "tabindex", "0"),
        Kind::Details if given.get("open").is_some() => push(out, "open", ""),
        Kind::Cell => {
            push_align(out, given);
            push_number(out, given, "colspan");
            push_number(out, given, "rowspan");
        }
        Kind::Paragraph | Kind::Table => push_align(out, given),
        Kind::Block if name == "div" => push_align(out, given),
        Kind::List if name == "ol" => {
            push_number(out, given, "start");
            if let Some(style) = given.get("type").filter(|style| ["1", "a", "A", "i", "I"].contains(style)) {
                push(out, "type", style);
            }
        }
        Kind::Inline if name == "abbr" => push_text(out, given, "title"),
        _ => {}
    }
    out.push('>');
}

/// A picture, or what stands for it where it may not be shown; whether a reader finds a text in it.
pub fn push_picture(out: &mut String, given: &Given, in_link: bool) -> bool {
    let src = given.get("src").unwrap_or_default();
    let mut alt: Cow<'_, str> = given.get("alt").unwrap_or_default().trim().into();
    if alt.is_empty() && in_link {
        alt = name_of(src);
    }
    if let Some(url) = urls::picture(src) {
        out.push_str("<img");
        push(out, "src", &url);
        push(out, "alt", shortened(&alt));
        push_length(out, given, "width");
        push_length(out, given, "height");
        push_align(out, given);
        push_text(out, given, "title");
        out.push_str(" loading=\"lazy\" referrerpolicy=\"no-referrer\">");
        return !alt.is_empty();
    }
    let href = urls::link(src).filter(|href| !href.starts_with('#') && !in_link);
    if alt.is_empty() && href.is_some() {
        alt = name_of(src);
    }
    if let Some(href) = &href {
        out.push_str("<a");
        push(out, "href", href);
        push(out, "rel", super::clean::LINK_REL);
        out.push('>');
    }
    push_escaped(out, &alt);
    if href.is_some() {
        out.push_str("</a>");
    }
    !alt.is_empty()
}

pub fn push_source(out: &mut String, given: &Given) {
    let Some(pictures) = given.get("srcset").and_then(urls::pictures) else { return };
    out.push_str("<source");
    push_text(out, given, "media");
    push(out, "srcset", &pictures);
    out.push('>');
}

fn push(out: &mut String, name: &str, value: &str) {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    push_escaped(out, value);
    out.push('"');
}

fn push_text(out: &mut String, given: &Given, name: &str) {
    if let Some(text) = given.get(name).filter(|text| !text.trim().is_empty()) {
        push(out, name, shortened(text));
    }
}

fn push_align(out: &mut String, given: &Given) {
    let align = given.get("align").unwrap_or_default().to_ascii_lowercase();
    if ["left", "center", "right", "top", "middle", "bottom"].contains(&align.as_str()) {
        push(out, "align", &align);
    }
}

/// At most three digits.
fn push_number(out: &mut String, given: &Given, name: &str) {
    let is_small = |text: &&str| (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(number) = given.get(name).map(str::trim).filter(is_small) {
        push(out, name, number);
    }
}

/// `120`, `120px`, `50%`
fn push_length(out: &mut String, given: &Given, name: &str) {
    let Some(raw) = given.get(name).map(str::trim) else { return };
    let (digits, unit) = match (raw.strip_suffix('%'), raw.strip_suffix("px")) {
        (Some(digits), _) => (digits, "%"),
        (_, Some(digits)) => (digits, ""),
        _ => (raw, ""),
    };
    if (1..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        push(out, name, &format!("{digits}{unit}"));
    }
}

fn classes_of(given: &str) -> String {
    let known = |class: &str| CLASSES.iter().find(|(name, _)| *name == class).map(|(_, class)| *class);
    let mut classes: Vec<_> = given.split_ascii_whitespace().take(20).filter_map(known).collect();
    classes.dedup();
    classes.join(" ")
}

fn shortened(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or(text)
}

/// What a picture without a text is called: the last part of its address.
fn name_of(src: &str) -> Cow<'_, str> {
    let path = src.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let name = path.rsplit('/').next().unwrap_or_default();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let says = !stem.is_empty() && stem.len() <= 60 && !src.trim_start().starts_with("data:");
    if says { stem.into() } else { "picture".into() }
}
