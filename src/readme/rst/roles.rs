use super::scan::unescaped;
use crate::readme::push_escaped;

/// Text with a role: what the role means here, or the text. Roles of Sphinx name things of a program.
pub fn push_role(out: &mut String, role: &str, raw: &str) {
    let text = unescaped(raw);
    let name = role.rsplit(':').next().unwrap_or(role).to_ascii_lowercase();
    let element = match name.as_str() {
        "" | "title-reference" | "title" | "t" => "cite",
        "code" | "literal" | "math" | "samp" | "command" | "program" | "option" | "envvar" | "keyword" | "regexp"
        | "token" | "makevar" | "mimetype" => return push(out, "code", raw),
        "file" | "func" | "function" | "meth" | "method" | "class" | "mod" | "module" | "attr" | "attribute"
        | "exc" | "data" | "const" | "obj" | "any" | "type" | "var" | "deco" | "setting" => {
            return push(out, "code", shown(&text, true));
        }
        "kbd" => "kbd",
        "emphasis" | "dfn" | "term" | "menuselection" | "guilabel" => "em",
        "strong" => "strong",
        "sub" | "subscript" => "sub",
        "sup" | "superscript" => "sup",
        "pep" | "pep-reference" => return push_escaped(out, &format!("PEP {}", shown(&text, false))),
        "rfc" | "rfc-reference" => return push_escaped(out, &format!("RFC {}", shown(&text, false))),
        _ => return push_escaped(out, shown(&text, false)),
    };
    push(out, element, shown(&text, false));
}

fn push(out: &mut String, element: &str, text: &str) {
    out.push_str(&format!("<{element}>"));
    push_escaped(out, text);
    out.push_str(&format!("</{element}>"));
}

/// `text <target>` is shown as its text; of a name with `~` its last part is.
fn shown(text: &str, is_name: bool) -> &str {
    let text = match text.split_once(" <") {
        Some((text, target)) if target.ends_with('>') => text,
        _ => text,
    };
    match text.strip_prefix('~') {
        Some(name) if is_name => name.rsplit('.').next().unwrap_or(name),
        _ => text.strip_prefix('!').filter(|_| is_name).unwrap_or(text),
    }
}
