use super::*;

#[test]
fn markdown_becomes_html_below_a_heading_of_the_page() {
    let html = render("# Tool\n\nA *tool*, see [the top](#tool).\n\n### Far down\n", Markup::Markdown);
    assert_eq!(
        html,
        "<h3 id=\"readme-tool\">Tool</h3>\n<p>A <em>tool</em>, see <a href=\"#readme-tool\" \
         rel=\"nofollow noopener noreferrer\">the top</a>.</p>\n<h4 id=\"readme-far-down\">Far down</h4>\n"
    );
}
