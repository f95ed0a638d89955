use super::parts::{badge, copyable, count};
use super::{Asked, Page};
use crate::http::index_path;
use crate::index::IndexEntry;
use crate::rules::{self, Verdict};
use maud::{Markup, html};
use std::sync::Arc;

/// `/`: what this is, which indexes there are, and what to paste.
pub fn front(asked: &Asked<'_>) -> Page {
    let catalog = asked.index.catalog();
    let may_read = |entry: &&Arc<IndexEntry>| {
        let verdict = rules::may_read_all(&asked.viewer.subject, &catalog.order(entry));
        entry.public || verdict == Verdict::Allowed
    };
    let indexes: Vec<_> = catalog.indexes.values().filter(may_read).collect();
    let body = html! {
        h1 { "Python packages" }
        p .lead { "Every build of this site gets its packages here: PyPI's, kept close by, and our own." }
        h2 { "Indexes" }
        @if indexes.is_empty() { p { "There is no index that you may read. " a href="/+login" { "Log in" } " to see more." } }
        ul .cards { @for entry in &indexes { (card(entry)) } }
    };
    Page::new("Python packages", body)
}

fn card(entry: &IndexEntry) -> Markup {
    let settings = entry.settings.to_json();
    let text = |key: &str| settings.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    html! {
        li .card {
            h3 { a href=(index_path(&entry.name)) { (entry.name) } " " (kind(entry)) }
            p { (text("title")) }
        }
    }
}

fn kind(entry: &IndexEntry) -> Markup {
    if entry.is_stage() { badge("private", "private") } else { badge("mirror", "mirror") }
}
