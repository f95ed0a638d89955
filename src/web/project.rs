use super::about::{about, summary};
use super::files::file_table;
use super::forms::{for_project, for_release};
use super::index::segment;
use super::parts::{Pager, badge, bytes, copyable, index_link, time, to_index};
use super::releases::{Release, foremost, meant, releases};
use super::{Asked, Page, removals};
use crate::http::{Query, index_path};
use crate::index::{Described, IndexEntry, IndexError, Seen};
use crate::names::{IndexName, ProjectName};
use crate::rules::Hidden;
use crate::store::{FileRow, Rel};
use maud::{Markup, PreEscaped, html};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Releases on one page.
const RELEASES_PER_PAGE: usize = 50;

/// Files of a release on one page.
const FILES_PER_PAGE: usize = 100;

/// `/{user}/{index}/{project}`: all releases, and what the foremost one is.
pub async fn project(
    asked: &Asked<'_>,
    index: &IndexName,
    name: &ProjectName,
    query: &Query,
) -> Result<Page, IndexError> {
    let entry = asked.index.readable(&asked.viewer.subject, index)?;
    let seen = asked.index.seen(&entry, name).await?;
    let releases = releases(asked, &seen, name).await?;
    let shown = match foremost(&releases) {
        Some(release) => Some(Shown::of(asked, name, release).await?),
        None => None,
    };
    let path = format!("{}/{name}", index_path(index));
    let pager = Pager::new(query.field("page").as_deref(), releases.len(), RELEASES_PER_PAGE);
    let body = html! {
        h1 { (shown.as_ref().map_or(name.as_str(), |shown| shown.display(name))) " " @if let Some(shown) = &shown { span .soft { (shown.release.version) } } }
        @if let Some(shown) = &shown { (summary(&shown.metadata)) }
        (removals(asked, index, Some(name)).await?)
        (notices(asked, &entry, &seen))
        (install(asked, index, name.as_str()))
        @if let Some(shown) = &shown { (shown.ways(index, name)) }
        nav .tabs aria-label="On this page" {
            a href="#description" { "Description" } a href="#files" { "Files" } a href="#releases" { "Releases" }
        }
        div .columns {
            div {
                @if let Some(shown) = &shown { (shown.main(asked, index, name, None).await?) }
                section aria-labelledby="releases" {
                    h2 #releases { "Releases" }
                    (release_table(asked, &path, releases.get(pager.range()).unwrap_or_default()))
                    (pager.links(&path, ""))
                }
                (for_project(asked, &entry, name, has_releases(&seen, index)))
            }
            @if let Some(shown) = &shown { aside aria-label="About" { (about(&shown.metadata, index)) } }
        }
    };
    Ok(Page { pictures: true, ..Page::new(name.as_str(), body).below(to_index(index)) })
}

/// `/{user}/{index}/{project}/{version}`; `latest` and `stable` name the newest, and the newest that is final.
pub async fn version(
    asked: &Asked<'_>,
    index: &IndexName,
    name: &ProjectName,
    version: &str,
    query: &Query,
) -> Result<Page, IndexError> {
    let entry = asked.index.readable(&asked.viewer.subject, index)?;
    let seen = asked.index.seen(&entry, name).await?;
    let releases = releases(asked, &seen, name).await?;
    let Some(release) = meant(&releases, version) else {
        return Err(IndexError::NotThere(format!("The version {version} of project {name} does not exist.")));
    };
    let shown = Shown::of(asked, name, release).await?;
    let newer = foremost(&releases).filter(|foremost| foremost.parsed > release.parsed);
    let path = format!("{}/{name}", index_path(index));
    let body = html! {
        h1 { (shown.display(name)) " " (release.version) }
        (summary(&shown.metadata))
        (removals(asked, index, Some(name)).await?)
        @if let Some(reason) = release.yanked() {
            div .notice.warn { p { strong { "Yanked. " } "Installers pass it over unless it is asked for by this very version. " (reason) } }
        }
        @if let Some(newer) = newer {
            div .notice { p { "There is a newer release: " a href={ (path) "/" (segment(&newer.version)) } { (newer.version) } } }
        }
        (notices(asked, &entry, &seen))
        (install(asked, index, &format!("{name}=={}", release.version)))
        (shown.ways(index, name))
        nav .tabs aria-label="On this page" { a href="#description" { "Description" } a href="#files" { "Files" } }
        div .columns {
            div {
                (shown.main(asked, index, name, Some(query)).await?)
                (for_release(asked, &entry, name, release))
            }
            aside aria-label="About" { (about(&shown.metadata, index)) }
        }
    };
    let mut above = to_index(index);
    above.push((name.to_string(), path));
    Ok(Page { pictures: true, ..Page::new(format!("{name} {}", release.version), body).below(above) })
}

fn install(asked: &Asked<'_>, index: &IndexName, what: &str) -> Markup {
    let simple = format!("{}{}/+simple/", asked.base, index_path(index));
    copyable(&format!("uv pip install --index-url {simple} {what}"))
}

/// A release with all that is told of it.
struct Shown<'r, 'a> {
    release: &'r Release<'a>,
    metadata: Map<String, Value>,
    /// Why nothing is told.
    silent: Option<&'static str>,
    /// Files, documentation and results of tests of the stages that have it.
    hanging: Vec<FileRow>,
}

impl<'r, 'a> Shown<'r, 'a> {
    async fn of(asked: &Asked<'_>, name: &ProjectName, release: &'r Release<'a>) -> Result<Self, IndexError> {
        let mut hanging = Vec::new();
        for staged in release.stages.iter().filter(|staged| !staged.is_mirror) {
            hanging.extend(asked.index.hanging(staged.index, name, &staged.version).await?);
        }
        let described = match release.first() {
            Some(first) => asked.index.described(first.index, name, &first.version, &first.files).await?,
            None => Described::Nothing,
        };
        let (metadata, silent) = match described {
            Described::Known(metadata) => (metadata, None),
            Described::Nothing => (Map::new(), Some("This release says nothing of itself.")),
            Described::Unknown => {
                (Map::new(), Some("What this release says of itself cannot be fetched at the moment; try again later."))
            }
        };
        Ok(Self { release, metadata, silent, hanging })
    }

    /// The name as the release spells it.
    fn display<'n>(&'n self, name: &'n ProjectName) -> &'n str {
        let said = self.metadata.get("name").and_then(Value::as_str);
        said.filter(|said| ProjectName::parse(said).as_ref() == Ok(name)).unwrap_or(name.as_str())
    }

    /// `paged`: the query, where all files are shown; else the first ones, and a link to all.
    async fn main(
        &self,
        asked: &Asked<'_>,
        index: &IndexName,
        name: &ProjectName,
        paged: Option<&Query>,
    ) -> Result<Markup, IndexError> {
        let files = self.release.files();
        let pager = Pager::new(paged.and_then(|query| query.field("page")).as_deref(), files.len(), FILES_PER_PAGE);
        let path = format!("{}/{name}/{}", index_path(index), segment(&self.release.version));
        let some = files.get(pager.range()).unwrap_or_default();
        Ok(html! {
            section aria-labelledby="description" {
                h2 #description { "Description" }
                (self.readme(asked).await?)
            }
            section aria-labelledby="files" {
                h2 #files { "Files of " (self.release.version) }
                (file_table(asked, some, &self.hanging).await?)
                @match paged {
                    Some(_) => (pager.links(&path, "")),
                    None if files.len() > some.len() => p { a href=(path) { "All " (files.len()) " files" } },
                    None => {}
                }
            }
        })
    }

    async fn readme(&self, asked: &Asked<'_>) -> Result<Markup, IndexError> {
        let text = |key: &str| self.metadata.get(key).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
        let Some(description) = text("description").filter(|text| *text != "UNKNOWN") else {
            return Ok(html! { p .soft { (self.silent.unwrap_or("This release has no description.")) } });
        };
        let markup = crate::readme::Markup::of(text("description_content_type"), description);
        let (size, description) = (description.len(), description.to_owned());
        let readme = asked.index.apart(size, move || crate::readme::render(&description, markup)).await?;
        Ok(html! { div .readme { (PreEscaped(readme)) } })
    }

    /// The ways to what hangs on the release beside its files.
    fn ways(&self, index: &IndexName, name: &ProjectName) -> Markup {
        let has = |rel: Rel| self.hanging.iter().filter(|row| row.rel == rel).count();
        let path = format!("{}/{name}/{}", index_path(index), segment(&self.release.version));
        let (docs, results) = (has(Rel::Doczip), has(Rel::Toxresult));
        html! {
            @if docs > 0 || results > 0 {
                p .actions {
                    @if docs > 0 { a .button href={ (path) "/+doc/" } { "Documentation" } }
                    @if results > 0 { a .button href={ (path) "/+toxresults" } { "Test results (" (results) ")" } }
                }
            }
        }
    }
}

/// What a reader should know before the rest.
fn notices(asked: &Asked<'_>, entry: &Arc<IndexEntry>, seen: &Seen) -> Markup {
    let mirrors: Vec<_> = entry.order.iter().filter(|name| is_mirror(asked, name)).collect();
    html! {
        @if let Some(hidden) = &seen.hidden {
            div .notice {
                p {
                    @match hidden {
                        Hidden::Owned { by } => {
                            strong { "Private name. " } (index_link(by)) " has or had this project, so releases of this name at "
                        }
                        Hidden::Reserved { by } => {
                            strong { "Reserved name. " } (index_link(by)) " reserves this name, so releases of it at "
                        }
                    }
                    @for (at, mirror) in mirrors.iter().enumerate() { @if at > 0 { ", " } (index_link(mirror)) }
                    " are hidden: nobody outside can put a package in its place."
                }
            }
        }
        @for name in &seen.silent {
            div .notice.warn { p { (index_link(name)) " cannot be asked at the moment; its releases are missing here." } }
        }
        @for name in &seen.stale {
            div .notice.warn { p { (index_link(name)) " cannot be asked at the moment; this is what was last known of it." } }
        }
        @for part in &seen.parts {
            @if let Some(status) = part.page.status().filter(|status| *status != "active") {
                div .notice.warn { p { strong { "Marked as " (status) } " at " (index_link(&part.index)) ". " (part.page.status_reason().unwrap_or_default()) } }
            }
        }
    }
}

/// Whether the index has releases of its own.
fn has_releases(seen: &Seen, index: &IndexName) -> bool {
    seen.parts.iter().any(|part| part.index == *index && !part.is_mirror)
}

fn is_mirror(asked: &Asked<'_>, name: &IndexName) -> bool {
    asked.index.catalog().index(name).is_some_and(|entry| !entry.is_stage())
}

fn release_table(asked: &Asked<'_>, path: &str, releases: &[Release<'_>]) -> Markup {
    html! {
        @if releases.is_empty() { p { "Nothing was released." } }
        @else {
            div .wide tabindex="0" role="region" aria-label="Releases, as a table" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Version" } th scope="col" { "From" } th .number scope="col" { "Files" }
                            th .number scope="col" { "Size" } th scope="col" { "Uploaded" } th scope="col" { "Python" }
                        }
                    }
                    tbody { @for release in releases { (release_row(asked, path, release)) } }
                }
            }
        }
    }
}

fn release_row(asked: &Asked<'_>, path: &str, release: &Release<'_>) -> Markup {
    html! {
        tr {
            th scope="row" {
                a href={ (path) "/" (segment(&release.version)) } { (release.version) }
                @if release.is_prerelease() { " " (badge("quiet", "pre-release")) }
                @if let Some(reason) = release.yanked() {
                    " " (badge("warn", "yanked"))
                    @if !reason.is_empty() { span .summary { (reason) } }
                }
            }
            td {
                @for (at, staged) in release.stages.iter().enumerate() { @if at > 0 { ", then " } (index_link(staged.index)) }
            }
            td .number { (release.files().iter().filter(|file| file.hidden_by.is_none()).count()) }
            td .number { @match release.bytes() { 0 => {}, size => (bytes(size)) } }
            td { @if let Some(uploaded) = release.uploaded() { (time(asked, uploaded)) } }
            td { @if let Some(python) = release.requires_python() { code { (python) } } }
        }
    }
}
