use super::dialect::short;
use super::*;

fn shows(text: &str, html: &str) {
    assert_eq!(short(text, Markup::ReStructuredText).replace(">\n<", "><"), html, "{text}");
}

#[test]
fn titles_have_the_level_of_their_line() {
    shows(
        "=====\nName\n=====\n\nA\n-\n\nB\n~~~\n\nC\n---\n",
        "<h3 id=\"~name\">Name</h3><h4 id=\"~a\">A</h4><h5 id=\"~b\">B</h5><h4 id=\"~c\">C</h4>",
    );
    shows("a\n\n----\n\nb", "<p>a</p><hr><p>b</p>");
}

#[test]
fn marked_text_is_told_from_marks() {
    shows("*a* **b** ``c *d*`` `e`", "<p><em>a</em> <strong>b</strong> <code>c *d*</code> <cite>e</cite></p>");
    shows("2*3*4 and \"*\" and \\*a\\* and a * b * c", "<p>2*3*4 and \"*\" and *a* and a * b * c</p>");
    shows("re\\ **struct**\\ ured", "<p>re<strong>struct</strong>ured</p>");
    shows("**open\n\nnext", "<p>**open</p><p>next</p>");
    shows(
        ":code:`x` :sub:`2` :func:`~a.b` :nothing:`y` `z`:strong:",
        "<p><code>x</code> <sub>2</sub> <code>b</code> y <strong>z</strong></p>",
    );
}

#[test]
fn references_lead_to_their_targets() {
    let link = |text: &str| format!("<a href=\"https://example.org/\">{text}</a>");
    shows(
        "`a b <https://example.org/>`_ `c <https://example.org/>`__",
        &format!("<p>{} {}</p>", link("a b"), link("c")),
    );
    shows(
        "a_ and `B c`_\n\n.. _a: https://example.org/\n.. _`b C`: a_",
        &format!("<p>{} and {}</p>", link("a"), link("B c")),
    );
    shows(
        "a__ b__\n\n.. __: https://example.org/\n__ https://example.org/",
        &format!("<p>{} {}</p>", link("a"), link("b")),
    );
    shows("see https://example.org/.", &format!("<p>see {}.</p>", link("https://example.org/")));
    shows("me@example.org", "<p><a href=\"mailto:me@example.org\">me@example.org</a></p>");
    shows(
        "a\n=\n\na_\n\n.. _a:\n   https://example.org/\n\n  b",
        &format!("<h3 id=\"~a\">a</h3><p>{}</p><blockquote><p>b</p></blockquote>", link("a")),
    );
    shows(":pep:`8`", "<p><a href=\"https://peps.python.org/pep-0008/\">PEP 8</a></p>");
    shows("Some text_ here\n\n.. _x: y_\n.. _y: x_\n\nx_", "<p>Some text_ here</p><p>x_</p>");
    shows(
        "A\n=\n\nsee `A`_\n\n.. _there:\n\nto there_",
        "<h3 id=\"~a\">A</h3><p>see <a href=\"#~a\">A</a></p><span id=\"~there\"></span><p>to <a href=\"#~there\">there</a></p>",
    );
}

#[test]
fn badges_stand_side_by_side() {
    let badge = "<a href=\"https://example.org/\"><img src=\"https://example.org/b.svg\" alt=\"b\"></a>";
    shows(
        ".. image:: https://example.org/b.svg\n   :target: https://example.org/\n   :alt: b\n.. image:: https://example.org/b.svg\n   :target: https://example.org/\n   :alt: b\n",
        &format!("<p>{badge}\n{badge}\n</p>").replace(">\n<", "><"),
    );
    shows(
        "|b| and |v|\n\n.. |b| image:: https://example.org/b.svg\n   :target: https://example.org/\n.. |v| replace:: *new*\n",
        &format!("<p>{badge} and <em>new</em></p>"),
    );
}

#[test]
fn lists_of_all_kinds() {
    shows("- a\n- b\n\n  c\n\n  - d\n", "<ul><li>a</li><li><p>b</p><p>c</p><ul><li>d</li></ul></li></ul>");
    shows("3. a\n4. b\n#. c", "<ol start=\"3\" type=\"1\"><li>a</li><li>b</li><li>c</li></ol>");
    shows("(a) x\n(b) y", "<ol start=\"1\" type=\"a\"><li>x</li><li>y</li></ol>");
    shows("1999. That was\na year.", "<p>1999. That was\na year.</p>");
    shows("a : int\n  b\n\nc\n  d", "<dl><dt>a : <em>int</em></dt><dd>b</dd><dt>c</dt><dd>d</dd></dl>");
    shows(":Author: me\n:Long: a\n   b", "<dl><dt>Author</dt><dd>me</dd><dt>Long</dt><dd>a\nb</dd></dl>");
    shows(
        "-a, --all=X  All.\n-b\n   Some.",
        "<dl><dt><code>-a, --all=X</code></dt><dd>All.</dd><dt><code>-b</code></dt><dd>Some.</dd></dl>",
    );
    shows("| a\n|   b\n| c", "<div class=\"line-block\">a<br>&nbsp;&nbsp;b<br>c</div>");
}

#[test]
fn code_is_kept_as_it_is() {
    let code = |text: &str| format!("<pre tabindex=\"0\"><code>{text}</code></pre>");
    shows("Use::\n\n  a *b*\n\n    c\n\nEnd", &format!("<p>Use:</p>{}<p>End</p>", code("a *b*\n\n  c")));
    shows("Use ::\n\n> a\n> b\n", &format!("<p>Use</p>{}", code("&gt; a\n&gt; b")));
    shows(".. code-block:: python\n   :linenos:\n\n   x < 1\n", &code("x &lt; 1"));
    shows(">>> 1 + 1\n2\n\nEnd", &format!("{}<p>End</p>", code("&gt;&gt;&gt; 1 + 1\n2")));
    shows(".. strange:: x\n\n   y", &code(".. strange:: x\n\n   y"));
}

#[test]
fn tables_of_both_kinds() {
    let table = |inside: &str| {
        format!("<div class=\"wide\" role=\"group\" aria-label=\"Table\" tabindex=\"0\"><table>{inside}</table></div>")
    };
    let head = "<thead><tr><th>a</th><th>b</th></tr></thead>";
    shows(
        "+---+-----+\n| a | b   |\n+===+=====+\n| 1 | - x |\n|   | - y |\n+---+-----+\n| wide    |\n+---+-----+\n",
        &table(&format!(
            "{head}<tbody><tr><td>1</td><td><ul><li>x</li><li>y</li></ul></td></tr><tr><td colspan=\"2\">wide</td></tr></tbody>"
        )),
    );
    shows(
        "=====  =====\na      b\n=====  =====\n1      2 is\n       more\n3\n=====  =====\n\nEnd",
        &format!(
            "{}<p>End</p>",
            table(&format!("{head}<tbody><tr><td>1</td><td>2 is\nmore</td></tr><tr><td>3</td><td></td></tr></tbody>"))
        ),
    );
    shows(
        ".. list-table:: C\n   :header-rows: 1\n\n   * - a\n     - b\n   * - 1\n     - 2\n",
        &table(&format!("<caption>C</caption>{head}<tbody><tr><td>1</td><td>2</td></tr></tbody>")),
    );
    shows(
        ".. csv-table::\n   :header: a, b\n\n   \"1, 2\", 3\n",
        &table(&format!("{head}<tbody><tr><td>1, 2</td><td>3</td></tr></tbody>")),
    );
    // A drawing that does not close is shown as it was drawn, or as text: not lost.
    assert!(short("+---+\n| a |\n", Markup::ReStructuredText).contains("| a |"));
}

#[test]
fn notes_and_footnotes() {
    shows(
        ".. warning:: Hot.\n\n   Very.",
        "<div class=\"admonition warning\"><p class=\"admonition-title\">Warning</p><p>Hot.</p><p>Very.</p></div>",
    );
    shows(
        "a [1]_ b [#]_ c [#x]_ d [C]_\n\n.. [1] one\n.. [#] two\n.. [#x] three\n.. [C] four",
        "<p>a <a href=\"#~footnote-1\">[1]</a> b <a href=\"#~footnote-2\">[2]</a> c <a href=\"#~footnote-3\">[3]</a> d \
         <a href=\"#~footnote-c\">[C]</a></p><div id=\"~footnote-1\" class=\"footnotes\">[1] one</div>\
         <div id=\"~footnote-2\" class=\"footnotes\">[2] two</div><div id=\"~footnote-3\" class=\"footnotes\">[3] three</div>\
         <div id=\"~footnote-c\" class=\"footnotes\">[C] four</div>",
    );
}

#[test]
fn nothing_is_passed_through_or_included() {
    for text in [
        ".. raw:: html\n\n   <b>secret</b>\n\nEnd",
        ".. include:: /secret\n\nEnd",
        ".. secret: a comment\n   that goes on\n\nEnd",
        ".. contents:: secret\n   :depth: 2\n\nEnd",
        ".. meta::\n   :description: secret\n\nEnd",
    ] {
        shows(text, "<p>End</p>");
    }
    shows("..\n\n  a quote", "<blockquote><p>a quote</p></blockquote>");
}
