use super::parts::{Pager, badge, bytes, count, index_link, kind_badge, time, to_user};
use super::recipes::recipes;
use super::{Asked, Page, removals};
use crate::http::{Query, index_path};
use crate::index::{IndexEntry, IndexError, StageProject};
use crate::names::IndexName;
use crate::rules::{self, Acl, IndexSettings, Verdict};
use crate::store::{CachedOrder, CachedProject};
use maud::{Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::Display;

/// Projects on one page.
const PROJECTS_PER_PAGE: usize = 100;

/// `/{user}/{index}`: what an index is and what is in it.
pub async fn index(asked: &Asked<'_>, name: &IndexName, query: &Query) -> Result<Page, IndexError> {
    let entry = asked.index.readable(&asked.viewer.subject, name)?;
    let description = match &entry.settings {
        IndexSettings::Stage(stage) => stage.description.as_deref(),
        IndexSettings::Mirror(mirror) => mirror.description.as_deref(),
    };
    let body = html! {
        h1 { (name) " " (kind_badge(&entry)) }
        @if let Some(title) = entry.settings.title() { p .lead { (title) } }
        @if let Some(text) = description { p { (text) } }
        (removals(asked, name, None).await?)
        (actions(asked, &entry))
        div .columns {
            div {
                section aria-labelledby="projects" {
                    h2 #projects { @if entry.is_stage() { "Projects" } @else { "Cached projects" } }
                    (projects(asked, &entry, query).await?)
                }
                section aria-labelledby="use" {
                    h2 #use { "Use it" }
                    (recipes(asked.base, &entry))
                }
            }
            aside aria-label="Settings" { (settings(asked, &entry)) }
        }
    };
    Ok(Page::new(name.as_str(), body).below(to_user(name.user())))
}

/// What this person may do here.
fn actions(asked: &Asked<'_>, entry: &IndexEntry) -> Markup {
    let (subject, path) = (&asked.viewer.subject, index_path(&entry.name));
    let may_upload = entry.is_stage() && rules::may_upload(subject, &entry.name, &entry.settings) == Verdict::Allowed;
    let may_modify = rules::may_modify_index(subject, &entry.name) == Verdict::Allowed;
    html! {
        @if asked.viewer.form_token.is_some() && (may_upload || may_modify) {
            p .actions {
                @if may_upload { a .button.main href={ (path) "/+upload" } { "Upload" } }
                @if may_modify { a .button href={ (path) "/+settings" } { "Settings" } }
            }
        }
    }
}

async fn projects(asked: &Asked<'_>, entry: &IndexEntry, query: &Query) -> Result<Markup, IndexError> {
    let part = query.field("filter").unwrap_or_default().trim().to_ascii_lowercase();
    let order = query.field("order").unwrap_or_default();
    let path = index_path(&entry.name);
    // A page beyond the end is the last one, and which that is, is known with the first answer.
    let mut page = query.field("page").and_then(|page| page.parse::<usize>().ok()).unwrap_or(1).max(1);
    let (pager, table) = loop {
        let range = ((page - 1).saturating_mul(PROJECTS_PER_PAGE), PROJECTS_PER_PAGE);
        let (rows, table) = match entry.is_stage() {
            true => {
                let (rows, projects) = asked.index.stage_projects(&entry.name, &part, range).await?;
                (rows, stage_table(asked, &path, &projects))
            }
            false => {
                let (rows, projects) = asked.index.mirror_projects(&entry.name, &part, order_of(&order), range).await?;
                (rows, mirror_table(asked, &path, &projects))
            }
        };
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let pager = Pager::new(Some(&page.to_string()), rows, PROJECTS_PER_PAGE);
        if pager.page == page {
            break (pager, table);
        }
        page = pager.page;
    };
    let more = format!("filter={}&order={}&", utf8_percent_encode(&part, NON_ALPHANUMERIC), order_word(&order));
    Ok(html! {
        form .filter action=(path) {
            label for="filter" { "Filter by name" }
            input #filter type="search" name="filter" value=(part) maxlength="100";
            @if !entry.is_stage() {
                label for="order" { "Order" }
                select #order name="order" {
                    @for (word, text) in ORDERS {
                        option value=(word) selected[word == order_word(&order)] { (text) }
                    }
                }
            }
            button type="submit" { "Show" }
        }
        @match (pager.rows, part.is_empty()) {
            (0, true) if entry.is_stage() => p { "Nothing was uploaded here yet." },
            (0, true) => p { "Nothing of this mirror was asked for yet; whatever is asked for appears here." },
            (0, false) => p { "No project's name holds “" (part) "”." },
            _ => { p .soft.small { (count(pager.rows, "project")) } (table) (pager.links(&path, &more)) }
        }
    })
}

/// In the query, and as they are called.
const ORDERS: [(&str, &str); 4] =
    [("name", "by name"), ("uses", "most used first"), ("used", "last used first"), ("size", "largest first")];

fn order_word(order: &str) -> &'static str {
    ORDERS.iter().find(|(word, _)| *word == order).map_or("name", |(word, _)| word)
}

fn order_of(order: &str) -> CachedOrder {
    match order_word(order) {
        "uses" => CachedOrder::Uses,
        "used" => CachedOrder::Used,
        "size" => CachedOrder::Bytes,
        _ => CachedOrder::Name,
    }
}

fn stage_table(asked: &Asked<'_>, path: &str, projects: &[StageProject]) -> Markup {
    html! {
        div .wide tabindex="0" role="region" aria-label="Projects, as a table" {
            table {
                thead { tr { th scope="col" { "Project" } th scope="col" { "Latest" } th .number scope="col" { "Releases" } th scope="col" { "Updated" } } }
                tbody {
                    @for project in projects {
                        tr {
                            th scope="row" {
                                a href={ (path) "/" (project.name) } { (project.display) }
                                @if let Some(summary) = &project.summary { span .summary { (summary) } }
                            }
                            td { @if let Some(latest) = &project.latest { a href={ (path) "/" (project.name) "/" (segment(latest)) } { (latest) } } }
                            td .number { (project.releases) }
                            td { @if let Some(updated) = project.updated { (time(asked, updated)) } }
                        }
                    }
                }
            }
        }
    }
}

fn mirror_table(asked: &Asked<'_>, path: &str, projects: &[CachedProject]) -> Markup {
    html! {
        div .wide tabindex="0" role="region" aria-label="Projects, as a table" {
            table {
                thead {
                    tr {
                        th scope="col" { "Project" } th scope="col" { "Latest" } th .number scope="col" { "Files" }
                        th .number scope="col" { "Size" } th .number scope="col" { "Served" } th scope="col" { "Last used" }
                    }
                }
                tbody {
                    @for cached in projects {
                        tr {
                            th scope="row" {
                                a href={ (path) "/" (cached.name) } { (cached.name) }
                                @if let Some(summary) = &cached.summary { span .summary { (summary) } }
                            }
                            td { @if let Some(latest) = &cached.latest { a href={ (path) "/" (cached.name) "/" (segment(latest)) } { (latest) } } }
                            td .number { (cached.files) }
                            td .number { (bytes(cached.bytes)) }
                            td .number { (cached.uses) " ×" }
                            td { (time(asked, cached.used)) }
                        }
                    }
                }
            }
        }
    }
}

fn settings(asked: &Asked<'_>, entry: &IndexEntry) -> Markup {
    let catalog = asked.index.catalog();
    let kind = |name: &IndexName| catalog.index(name).map(|entry| kind_badge(entry));
    html! {
        h2 { "Where projects come from" }
        p .small.soft { "A name that a private index has is taken from private indexes alone, whatever mirrors offer." }
        ol .order {
            @for name in &entry.order {
                li { (index_link(name)) " " @if let Some(kind) = kind(name) { (kind) } @if *name == entry.name { " " (badge("quiet", "this one")) } }
            }
        }
        @match &entry.settings {
            IndexSettings::Stage(stage) => {
                h2 { "Settings" }
                dl .facts {
                    dt { "Read" } dd { (people(&stage.acl_read)) }
                    dt { "Upload" } dd { (people(&stage.acl_upload)) }
                    dt { "Test results" } dd { (people(&stage.acl_toxresult_upload)) }
                    dt { "Files" } dd { @if stage.volatile { "may be replaced and removed" } @else { "stay as they are" } }
                    (listed("Open to mirrors", &stage.mirror_whitelist))
                    (listed("Reserved", &stage.reserved))
                }
            }
            IndexSettings::Mirror(mirror) => {
                h2 { "Settings" }
                dl .facts {
                    @if let Some(url) = &mirror.mirror_url { dt { "Mirrors" } dd { (url.shown()) } }
                    dt { "Read" } dd { (people(&mirror.acl_read)) }
                    @if let Some(seconds) = mirror.mirror_cache_expiry { dt { "Pages kept" } dd { (seconds) " s" } }
                    (listed("Reserved", &mirror.reserved))
                }
            }
        }
    }
}

fn listed(what: &str, entries: &[impl Display]) -> Markup {
    html! {
        @if !entries.is_empty() {
            dt { (what) }
            dd { @for (at, entry) in entries.iter().enumerate() { @if at > 0 { ", " } code { (entry.to_string()) } } }
        }
    }
}

/// Whom a list admits, in words.
fn people(acl: &Acl) -> String {
    if acl.is_public() {
        return "everybody".to_owned();
    }
    let names: Vec<_> = acl.principals().iter().map(ToString::to_string).collect();
    let names = names.join(", ").replace(":AUTHENTICATED:", "everybody who is logged in");
    if names.is_empty() { "nobody".to_owned() } else { names }
}

/// What stays as it is in a segment of a path (RFC 3986 §2.3), but for `~`.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// A text as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}
