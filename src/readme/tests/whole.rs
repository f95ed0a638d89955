use super::*;

fn becomes(html: &str, balanced: &str) {
    let out = balance::balance(html, HTML_BYTES_MAX, false);
    check(html, &out);
    assert_eq!(out, balanced, "{html}");
    assert_eq!(clean::clean(&out), out, "a parser finds nothing to repair");
}

#[test]
fn what_is_open_is_closed() {
    becomes("<p>a<p>b", "<p>a</p><p>b</p>");
    becomes("<b>a<i>b</b>c", "<b>a<i>b</i></b>c");
    becomes("<p>a<div>b</div></p>", "<p>a</p><div>b</div>");
    becomes("</div></p>a</x>", "a");
    becomes("<h1>a<h2>b", "<h3>a</h3><h4>b</h4>");
}

#[test]
fn lists_and_tables_have_only_what_belongs_in_them() {
    becomes("<ul><li>a<li>b</ul>", "<ul><li>a</li><li>b</li></ul>");
    becomes("<ul>a<p>b</ul>", "<ul><li>a<p>b</p></li></ul>");
    becomes("<li>a", "a");
    becomes("<dl><dt>a<dd>b<dt>c</dl>", "<dl><dt>a</dt><dd>b</dd><dt>c</dt></dl>");
    let table = |inside: &str| {
        format!("<div class=\"wide\" role=\"group\" aria-label=\"Table\" tabindex=\"0\"><table>{inside}</table></div>")
    };
    becomes(
        "<table>a<tr><td>b<td>c<tr>d</table>",
        &table("<tbody><tr><td>a</td></tr><tr><td>b</td><td>c</td></tr><tr><td>d</td></tr></tbody>"),
    );
}

#[test]
fn what_says_nothing_is_not_announced() {
    becomes("<h1></h1><p></p><a href=\"https://example.org/\"></a>", "");
    becomes("<h1><br></h1>", "<div><br></div>");
    becomes("<details><summary></summary>x</details>", "<details><summary>Details</summary>x</details>");
}

#[test]
fn what_is_no_text_goes_with_what_is_in_it() {
    becomes("a<script>b</script>c", "ac");
    becomes("a<svg><path/><text>b</text></svg>c", "ac");
    becomes("a<svg><p>b</p>c", "a<p>b</p>c");
    becomes("a<style>b", "ab");
    becomes("<object>a</object><style>b</style>", "");
}
