use super::parts::{count, kind_badge};
use super::recipes::{publishing, recipes};
use super::{Asked, Page};
use crate::http::index_path;
use crate::index::IndexEntry;
use crate::rules::{self, Verdict};
use maud::{Markup, html};
use std::sync::Arc;

/// `/`: what this is, which indexes there are, and what to paste.
pub fn front(asked: &Asked<'_>) -> Page {
    let indexes = readable(asked);
    let default = indexes.iter().find(|entry| entry.name == *asked.default_index);
    let body = html! {
        h1 { "Python packages" }
        p .lead { "Every build of this site gets its packages here: those of PyPI, kept close by, and our own." }
        section aria-labelledby="indexes" {
            h2 #indexes { "Indexes" }
            @if indexes.is_empty() {
                p { "There is no index that you may read. " a href="/+login" { "Log in" } " to see more." }
            }
            (by_user(&indexes))
        }
        @if let Some(entry) = default {
            section aria-labelledby="use" {
                h2 #use { "Use it" }
                p { "These lines lead to " a href=(index_path(&entry.name)) { (entry.name) } ", the default index; each index's own page has its own." }
                (recipes(asked.base, entry))
                @if !entry.is_stage() {
                    // The default index takes no uploads; whoever uploads has one that does.
                    @match indexes.iter().find(|entry| may_upload(asked, entry)) {
                        Some(stage) => (publishing(&format!("{}{}", asked.base, index_path(&stage.name)), stage.name.as_str())),
                        None => (publishing(&format!("{}/USER/INDEX", asked.base), "an index of yours")),
                    }
                }
            }
        }
    };
    Page::new("Python packages", body)
}

fn may_upload(asked: &Asked<'_>, entry: &IndexEntry) -> bool {
    let verdict = rules::may_upload(&asked.viewer.subject, &entry.name, &entry.settings);
    entry.is_stage() && verdict == Verdict::Allowed
}

/// The indexes that the viewer may read, by name.
pub(super) fn readable(asked: &Asked<'_>) -> Vec<Arc<IndexEntry>> {
    let catalog = asked.index.catalog();
    let may_read = |entry: &&Arc<IndexEntry>| {
        entry.public || rules::may_read_all(&asked.viewer.subject, &catalog.order(entry)) == Verdict::Allowed
    };
    catalog.indexes.values().filter(may_read).cloned().collect()
}

fn by_user(indexes: &[Arc<IndexEntry>]) -> Markup {
    let groups = indexes.chunk_by(|one, next| one.name.user() == next.name.user());
    html! {
        @for group in groups {
            @if let Some(first) = group.first() {
                h3 .user { a href={ "/" (first.name.user()) } { (first.name.user()) } }
                (cards(group))
            }
        }
    }
}

/// The indexes as cards.
pub(super) fn cards(indexes: &[Arc<IndexEntry>]) -> Markup {
    html! {
        ul .cards {
            @for entry in indexes {
                li .card {
                    p .name { a href=(index_path(&entry.name)) { (entry.name) } " " (kind_badge(entry)) }
                    @if let Some(title) = entry.settings.title() { p { (title) } }
                    @match entry.settings.bases() {
                        [] => {}
                        bases => p .small.soft {
                            "Over " @for (at, base) in bases.iter().enumerate() { @if at > 0 { ", " } (base) }
                        }
                    }
                    @if !entry.public { p .small.soft { "Only for whom its settings name" } }
                }
            }
        }
        @if indexes.is_empty() { p .soft { (count(0, "index")) } }
    }
}
