//! Descriptions of releases as pages show them.
//!
//! Enters: a text and its content type (core metadata: `Description-Content-Type`). Leaves: HTML that is safe to show.
//! Must not know: where the text came from, what stands around it.
//!
//! Three steps: a markup language becomes HTML; [`balance`] makes it whole, bounded and ours (links, pictures, headings);
//! [`clean`] lets through what is on a list. The last two do not trust the one before.

mod attributes;
mod balance;
mod clean;
mod elements;
mod markdown;
mod markup;
mod rst;
mod urls;

pub use markup::Markup;

/// Most bytes of a description that are shown; the largest real ones have some hundred thousand.
pub const SHOWN_BYTES_MAX: usize = 1024 * 1024;

/// Most bytes of HTML that one description may become.
pub const HTML_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most bytes of HTML for each byte of a description, and those that a short one may have beyond: real ones take three.
const HTML_BYTES_PER_BYTE: usize = 40;
const HTML_BYTES_FREE: usize = 64 * 1024;

/// The description as HTML for the inside of an element of a page of ours, whose class is to be `readme`.
///
/// Its headings begin at `h3` and leave no level out: they stand below an `h2` of the page. All its ids begin with
/// `readme-`. What is longer than [`SHOWN_BYTES_MAX`] is cut, and a sentence says so.
pub fn render(text: &str, markup: Markup) -> String {
    let text = unfolded(&text.replace("\r\n", "\n").replace(['\r', '\0'], "\n"));
    let (shown, cut) = head_of(&text, SHOWN_BYTES_MAX);
    let html = match markup {
        Markup::Markdown => markdown::to_html(shown),
        Markup::ReStructuredText => rst::to_html(shown),
        Markup::Plain => as_it_is(shown),
    };
    let bytes_max = HTML_BYTES_MAX.min(shown.len() * HTML_BYTES_PER_BYTE + HTML_BYTES_FREE);
    clean::clean(&balance::balance(&html, bytes_max, cut))
}

/// The text, unchanged.
fn as_it_is(text: &str) -> String {
    format!("<pre>\n{}</pre>", escaped(text))
}

/// For the text of an element and for an attribute in double quotes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    push_escaped(&mut out, text);
    out
}

fn push_escaped(out: &mut String, text: &str) {
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Nothing to see, and parsers do not agree on them.
            _ if char.is_control() && !matches!(char, '\n' | '\t') => {}
            _ => out.push(char),
        }
    }
}

/// Whole lines, and whether something is missing.
fn head_of(text: &str, bytes_max: usize) -> (&str, bool) {
    if text.len() <= bytes_max {
        return (text, false);
    }
    let head = text.get(..text.floor_char_boundary(bytes_max)).unwrap_or_default();
    let whole = head.rfind('\n').and_then(|end| head.get(..end)).unwrap_or(head);
    (whole, true)
}

/// Old metadata files fold a description like a header: eight spaces, or seven and a bar, before each further line.
fn unfolded(text: &str) -> String {
    const FOLDS: [&str; 2] = ["       |", "        "];
    for fold in FOLDS {
        let mut further = text.lines().skip(1).filter(|line| !line.trim().is_empty()).peekable();
        if further.peek().is_some() && further.all(|line| line.starts_with(fold)) {
            let lines: Vec<_> = text.lines().map(|line| line.strip_prefix(fold).unwrap_or(line)).collect();
            return lines.join("\n");
        }
    }
    text.to_owned()
}

#[cfg(test)]
mod tests;
