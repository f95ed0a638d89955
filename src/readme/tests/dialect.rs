use super::*;

/// The HTML without what every link and picture says.
pub fn short(text: &str, markup: Markup) -> String {
    let html = render(text, markup);
    check(text, &html);
    html.replace(" rel=\"nofollow noopener noreferrer\"", "")
        .replace(" loading=\"lazy\" referrerpolicy=\"no-referrer\"", "")
        .replace("readme-", "~")
        .trim()
        .to_owned()
}

fn shows(text: &str, html: &str) {
    assert_eq!(short(text, Markup::Markdown), html, "{text}");
}

#[test]
fn markdown_becomes_html_below_a_heading_of_the_page() {
    let html = render("# Tool\n\nA *tool*, see [the top](#tool).\n\n### Far down\n", Markup::Markdown);
    assert_eq!(
        html,
        "<h3 id=\"readme-tool\">Tool</h3>\n<p>A <em>tool</em>, see <a href=\"#readme-tool\" \
         rel=\"nofollow noopener noreferrer\">the top</a>.</p>\n<h4 id=\"readme-far-down\">Far down</h4>"
    );
}

#[test]
fn no_level_of_headings_is_left_out() {
    shows(
        "## A\n#### B\n# C\n###### D\n",
        "<h3 id=\"~a\">A</h3>\n<h4 id=\"~b\">B</h4>\n<h3 id=\"~c\">C</h3>\n<h4 id=\"~d\">D</h4>",
    );
    shows("# A\n# A", "<h3 id=\"~a\">A</h3>\n<h3 id=\"~a-1\">A</h3>");
    shows("# ![x](logo.png)", "<h3 id=\"~x\">x</h3>");
    shows("#\n\nx", "<p>x</p>");
}

#[test]
fn what_descriptions_do_with_tags_stays() {
    shows("<p align=\"center\"><b>x</b></p>", "<p align=\"center\"><b>x</b></p>");
    shows("<center>x</center>", "<div>x</div>");
    shows(
        "<details><summary>More</summary>\n\n*x*\n\n</details>",
        "<details><summary>More</summary>\n<p><em>x</em></p>\n</details>",
    );
    shows("x<br/>y<sup>2</sup> <kbd>Ctrl</kbd>", "<p>x<br>y<sup>2</sup> <kbd>Ctrl</kbd></p>");
    shows(
        "<picture><source media=\"(prefers-color-scheme: dark)\" srcset=\"https://example.org/d.png 2x\"><img src=\"https://example.org/l.png\" alt=\"x\" width=100px></picture>",
        "<p><picture><source media=\"(prefers-color-scheme: dark)\" srcset=\"https://example.org/d.png 2x\"><img src=\"https://example.org/l.png\" alt=\"x\" width=\"100\"></picture></p>",
    );
}

#[test]
fn githubs_dialect_is_read() {
    shows(
        "| a | b |\n|---|--:|\n| 1 | 2 |\n",
        "<div class=\"wide\" role=\"group\" aria-label=\"Table\" tabindex=\"0\"><table>\n<thead>\n<tr>\n<th>a</th>\n<th align=\"right\">b</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>1</td>\n<td align=\"right\">2</td>\n</tr>\n</tbody>\n</table></div>"
            .replace('\n', "")
            .as_str(),
    );
    shows("~~x~~ https://example.org", "<p><del>x</del> <a href=\"https://example.org/\">https://example.org</a></p>");
    shows("- [x] a\n- [ ] b", "<ul>\n<li>\u{2611}  a</li>\n<li>\u{2610}  b</li>\n</ul>");
    shows("```py\nx < 1\n```", "<pre tabindex=\"0\"><code>x &lt; 1\n</code></pre>");
    shows(
        "> [!WARNING]\n> x",
        "<div class=\"admonition warning\">\n<p class=\"admonition-title\">Warning</p>\n<p>x</p>\n</div>",
    );
    assert!(short("x[^1]\n\n[^1]: y", Markup::Markdown).contains("href=\"#~fn-1\""));
}

#[test]
fn links_lead_where_they_say_or_nowhere() {
    shows("[x](docs/a.md)", "<p><a>x</a></p>");
    shows("[x](/root/pypi)", "<p><a>x</a></p>");
    shows("[x](//example.org/y)", "<p><a href=\"https://example.org/y\">x</a></p>");
    shows("[x](#A%20b)", "<p><a href=\"#~A-b\">x</a></p>");
    shows("[x](mailto:a@example.org)", "<p><a href=\"mailto:a@example.org\">x</a></p>");
    shows("[x](javascript:alert(1))", "<p><a>x</a></p>");
    shows("<a name=\"x\"></a>", "<p><span id=\"~x\"></span></p>");
}

#[test]
fn pictures_are_shown_where_a_page_may_show_them() {
    shows("![x](https://example.org/x.png)", "<p><img src=\"https://example.org/x.png\" alt=\"x\"></p>");
    shows("![x](http://example.org/x.png)", "<p><a href=\"http://example.org/x.png\">x</a></p>");
    shows("![](http://example.org/logo.png)", "<p><a href=\"http://example.org/logo.png\">logo</a></p>");
    shows("![A logo](docs/logo.png)", "<p>A logo</p>");
    shows("![x](data:image/gif;base64,R0lG)", "<p><img src=\"data:image/gif;base64,R0lG\" alt=\"x\"></p>");
    shows("![x](data:image/svg+xml;base64,R0lG)", "<p>x</p>");
}

#[test]
fn a_link_that_is_a_picture_has_a_name() {
    shows(
        "[![](https://example.org/build.png)](https://example.org/)",
        "<p><a href=\"https://example.org/\"><img src=\"https://example.org/build.png\" alt=\"build\"></a></p>",
    );
    shows("<a href=\"https://example.org/\"></a>x", "<p>x</p>");
}

#[test]
fn old_metadata_is_unfolded() {
    shows("# A\n        \n        x\n        y", "<h3 id=\"~a\">A</h3>\n<p>x\ny</p>");
    shows("# A\n       |\n       |x", "<h3 id=\"~a\">A</h3>\n<p>x</p>");
    shows("# A\r\n\r\nx\r\n", "<h3 id=\"~a\">A</h3>\n<p>x</p>");
}

#[test]
fn plain_text_is_shown_as_it_is() {
    assert_eq!(render("a\n  <b>\n", Markup::Plain), "<pre tabindex=\"0\">a\n  &lt;b&gt;\n</pre>");
}
