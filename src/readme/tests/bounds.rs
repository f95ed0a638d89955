use super::*;
use proptest::prelude::*;

/// What stands after the limit: the tag that passed it, what was open, the sentence.
const BYTES_AFTER: usize = 16 * 1024;

#[test]
fn the_rest_of_a_long_description_is_cut_and_that_is_said() {
    let line = "A line of a description that goes on and on.\n";
    let text = line.repeat(SHOWN_BYTES_MAX / line.len() + 10);
    for markup in [Markup::Markdown, Markup::ReStructuredText, Markup::Plain] {
        let html = render(&text, markup);
        assert!(html.contains("longer than 1024 KiB"), "{markup:?}");
        assert!(html.len() < SHOWN_BYTES_MAX + 1_000, "{markup:?}: {}", html.len());
    }
    assert!(!render(line, Markup::Markdown).contains("longer than"));
}

/// Texts that made parsers slow or their answers large: what is bounded is what comes out, and how deep.
#[test]
fn hostile_texts_cost_no_more_than_others() {
    let many = 5_000;
    for (what, text) in [
        ("quotes", "> ".repeat(many)),
        ("quotes over lines", format!("{}\n", ">".repeat(300)).repeat(300)),
        ("lists", "- ".repeat(many)),
        ("lists that go in", (0..300).map(|depth| format!("{}- x\n", "  ".repeat(depth))).collect()),
        ("back quotes", "`a``b```c".repeat(many / 4)),
        ("back quotes that grow", (1..400).map(|length| "`".repeat(length) + "x").collect()),
        ("stars", "*a **b ".repeat(many / 4)),
        ("underscores", "_a_".repeat(many)),
        ("brackets", "[".repeat(many)),
        ("pictures", "![".repeat(many)),
        ("links in links", "[a](".repeat(many)),
        ("tags", "<div>".repeat(many)),
        ("tags that are opened again", format!("{}{}", "<b><i><u><s><em><code>".repeat(20), "<p>x".repeat(many))),
        ("links that are opened again", "<a href=\"https://example.org/\"><p>".repeat(many / 8)),
        ("tables in tables", "<table><tr><td>".repeat(many / 8)),
        ("text in tables", "<table>x".repeat(many / 8)),
        ("half tags", "<a ".repeat(many)),
        ("comments", "<!--".repeat(many)),
        ("attributes", format!("<p {}>", (0..many).map(|at| format!("a{at}=x ")).collect::<String>())),
        ("entities", "&amp".repeat(many)),
        ("footnotes", (0..many / 8).map(|at| format!("[^{at}] ")).collect::<String>() + "\n\n[^1]: x\n"),
        ("references", "[a]: https://example.org/ (title)\n".repeat(many / 8) + &"[a] ".repeat(many / 8)),
        ("a wide table", format!("{}\n{}\n{}", "|a".repeat(500), "|-".repeat(500), "|b\n".repeat(many / 8))),
        ("headings", "# x\n".repeat(many / 8)),
        ("titles", "x\n=\n\n".repeat(many / 8)),
        (
            "titles that go in",
            "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~".chars().map(|line| format!("x\n{line}\n\n")).collect(),
        ),
        ("targets", (0..many / 8).map(|at| format!(".. _a{at}: a{}_\n", at + 1)).collect::<String>() + "\na0_ a1_\n"),
        ("targets in a ring", ".. _a: b_\n.. _b: a_\n\na_ b_\n".to_owned()),
        (
            "substitutions",
            format!(
                "{}\n{}",
                ".. |a| replace:: |b| |b|\n.. |b| replace:: |c| |c|\n.. |c| replace:: |a| |a|\n",
                "|a| ".repeat(200)
            ),
        ),
        (
            "substitutions that double",
            (0..60).map(|at| format!(".. |a{at}| replace:: |a{}| |a{}|\n", at + 1, at + 1)).collect::<String>()
                + "\n|a0|\n",
        ),
        ("bars", "|a".repeat(many)),
        ("bars that end late", " |a".repeat(many) + "|"),
        ("brackets after an address", format!("https://a{}", ")".repeat(many))),
        ("references to footnotes", format!("{}\n\n{}", "[#]_ ".repeat(many), ".. [#] x\n".repeat(many / 8))),
        ("directives in directives", (0..300).map(|depth| format!("{}.. note::\n\n", "   ".repeat(depth))).collect()),
        ("indentation", (0..500).map(|depth| format!("{}x\n\n", " ".repeat(depth))).collect()),
        ("grid lines", format!("{}\n", "+-".repeat(200)).repeat(200)),
        ("a grid in a grid", grid(40)),
        ("simple tables", format!("{}\n{}{}\n", "= ".repeat(300), "x ".repeat(300), "\n").repeat(20)),
        ("literal blocks", "::\n\n x\n\n".repeat(many / 8)),
        ("definitions", "a\n b\n".repeat(many / 8)),
        ("fields", ":a: b\n".repeat(many / 8)),
        ("options", "-a  b\n".repeat(many / 8)),
        ("line blocks", (0..300).map(|depth| format!("| {}x\n", " ".repeat(depth))).collect()),
        ("enumerations", (0..many / 8).map(|at| format!("{at}. x\n")).collect()),
        ("open words", "`a <b ".repeat(many / 4)),
        ("references that are none", "a_ ".repeat(many)),
    ] {
        for markup in [Markup::Markdown, Markup::ReStructuredText, Markup::Plain] {
            let html = render(&text, markup);
            check(what, &html);
            let most = HTML_BYTES_MAX.min(text.len() * HTML_BYTES_PER_BYTE + HTML_BYTES_FREE) + BYTES_AFTER;
            assert!(html.len() <= most, "{what} as {markup:?}: {} bytes become {}", text.len(), html.len());
        }
    }
}

/// A table whose one cell is a table, and so on.
fn grid(depth: usize) -> String {
    let mut lines = vec!["x".to_owned()];
    for _ in 0..depth {
        let width = lines.iter().map(|line| line.len()).max().unwrap_or_default();
        let edge = format!("+{}+", "-".repeat(width + 2));
        let inside = lines.iter().map(|line| format!("| {line:width$} |"));
        lines = [edge.clone()].into_iter().chain(inside).chain([edge]).collect();
    }
    lines.join("\n") + "\n"
}

/// Pieces of both languages and of HTML, in any order.
fn texts() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "\n",
        "\n\n",
        " ",
        "   ",
        "x",
        "Title\n=====\n",
        "-----\n",
        "- ",
        "* ",
        "1. ",
        "#. ",
        "a) ",
        "> ",
        "| ",
        "|",
        "||",
        "::",
        "::\n\n   ",
        ".. ",
        ".. note:: ",
        ".. image:: ",
        ".. |a| replace:: ",
        ".. _a: ",
        ".. [1] ",
        ".. code::\n\n  ",
        ":a: ",
        ":alt: x\n",
        "`",
        "``",
        "`_",
        "`__",
        "_`",
        "a_",
        "a__",
        "[1]_",
        "[#]_",
        "*",
        "**",
        "\\",
        "__ ",
        "<",
        ">",
        "<p>",
        "</p>",
        "<table>",
        "<td>",
        "<b>",
        "</b>",
        "<li>",
        "<ul>",
        "<dl>",
        "<svg>",
        "<script>",
        "</script>",
        "<a href='#x'>",
        "</a>",
        "<h1>",
        "<img src=x>",
        "<!--",
        "-->",
        "&",
        "&amp;",
        "+--+--+\n",
        "|  |  |\n",
        "+==+==+\n",
        "===  ===\n",
        "a    b\n",
        "-a, --bc=D  ",
        ">>> x\n",
        "[x](",
        ")",
        "![",
        "]",
        "```",
        "~~~\n",
        "# ",
        "[^1]",
        "[^1]: ",
        "\t",
        "é",
        "漢",
        "\u{301}",
        "\u{200b}",
        "\u{feff}",
        "\r",
        "\0",
        "https://example.org/x",
        "a@example.org",
    ]);
    proptest::collection::vec(
        prop_oneof![8 => piece.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)],
        0..60,
    )
    .prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_becomes_what_is_on_the_list(text in texts()) {
        for markup in [Markup::Markdown, Markup::ReStructuredText, Markup::Plain] {
            let html = render(&text, markup);
            check(&text, &html);
            prop_assert_eq!(clean::clean(&html), html);
        }
    }

    #[test]
    fn any_characters_are_shown(text in "\\PC{0,200}") {
        check(&text, &render(&text, Markup::Markdown));
        check(&text, &render(&text, Markup::ReStructuredText));
    }
}
