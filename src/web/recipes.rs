use super::parts::copyable;
use crate::http::index_path;
use crate::index::IndexEntry;
use maud::{Markup, html};

/// The lines that make the tools of Python use an index. `base`: how absolute URLs begin.
pub fn recipes(base: &str, entry: &IndexEntry) -> Markup {
    let url = format!("{base}{}", index_path(&entry.name));
    let simple = format!("{url}/+simple/");
    let installing = [
        ("uv", format!("uv pip install --index-url {simple} PACKAGE")),
        ("uv, for all projects", format!("export UV_DEFAULT_INDEX={simple}")),
        ("pip", format!("pip install --index-url {simple} PACKAGE")),
        ("pip, for all projects", format!("pip config set global.index-url {simple}")),
        ("poetry", format!("poetry source add --priority=primary sidewheel {simple}")),
        ("pdm", format!("pdm config pypi.url {simple}")),
        ("devpi", format!("devpi use --set-cfg {url}")),
    ];
    html! {
        h3 { "Install from " (entry.name) }
        (lines(&installing))
        @if entry.is_stage() { (publishing(&url, entry.name.as_str())) }
    }
}

/// The lines that publish to the index at `url`.
pub fn publishing(url: &str, name: &str) -> Markup {
    let tools = [
        ("twine", format!("twine upload --repository-url {url}/ dist/*")),
        ("uv", format!("uv publish --publish-url {url}/ dist/*")),
        ("devpi", format!("devpi use {url} && devpi upload")),
    ];
    html! {
        h3 { "Publish to " (name) }
        (lines(&tools))
    }
}

fn lines(lines: &[(&str, String)]) -> Markup {
    html! {
        dl .recipes { @for (tool, line) in lines { dt { (tool) } dd { (copyable(line)) } } }
    }
}
