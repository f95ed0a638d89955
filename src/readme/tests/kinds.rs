use super::*;

#[test]
fn the_content_type_tells_the_markup_whatever_its_parameters() {
    use Markup::{Markdown, Plain, ReStructuredText};
    for (content_type, markup) in [
        ("text/markdown", Markdown),
        ("text/markdown; charset=UTF-8; variant=GFM", Markdown),
        ("Text/Markdown;variant=CommonMark", Markdown),
        ("text/x-rst", ReStructuredText),
        ("text/x-rst; charset=UTF-8", ReStructuredText),
        ("text/plain; charset=UTF-8", Plain),
        ("text/html", Plain),
        ("application/x", Plain),
    ] {
        assert_eq!(Markup::of(Some(content_type), "# x"), markup, "{content_type}");
    }
}

#[test]
fn without_a_content_type_the_text_is_looked_at() {
    use Markup::{Markdown, ReStructuredText};
    for (text, markup) in [
        ("", ReStructuredText),
        ("Just some words.", ReStructuredText),
        ("Title\n=====\n\n`x <https://example.org>`_", ReStructuredText),
        ("# Title\n\nwords", Markdown),
        ("Title\n=====\n\n[x](https://example.org) and ![y](https://example.org)\n\n## More\n", Markdown),
        ("```\nx\n```", Markdown),
        ("Usage::\n\n  # a comment\n\n.. note:: x", ReStructuredText),
    ] {
        for content_type in [None, Some(""), Some("UNKNOWN")] {
            assert_eq!(Markup::of(content_type, text), markup, "{text}");
        }
    }
}
