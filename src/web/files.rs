use super::Asked;
use super::forms::{file_link, for_file};
use super::parts::{badge, bytes, index_link, time};
use super::releases::Listed;
use crate::http::index_path;
use crate::index::{CacheUse, IndexError, stamps};
use crate::names::{DistKind, IndexName};
use crate::simple::{File, Yanked};
use crate::store::FileRow;
use maud::{Markup, html};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;

/// What is not sent raw in a path (RFC 3986 §3.3).
const PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`');

/// The files of a release. `hanging`: the rows of those that are ours, which tell their history.
pub async fn file_table(asked: &Asked<'_>, files: &[Listed<'_>], hanging: &[FileRow]) -> Result<Markup, IndexError> {
    if files.is_empty() {
        return Ok(html! { p .soft { "It has no files." } });
    }
    let mut rows = Vec::with_capacity(files.len());
    for listed in files {
        let row =
            hanging.iter().find(|row| row.index == *listed.index && row.filename == listed.file.filename.as_str());
        let cached = match listed.file.sha256 {
            Some(digest) if listed.is_mirror => asked.index.cache_use(&digest).await?,
            _ => None,
        };
        rows.push(file_row(asked, listed, row, cached));
    }
    Ok(html! {
        div .wide tabindex="0" role="region" aria-label="Files, as a table" {
            table .files {
                thead {
                    tr {
                        th scope="col" { "File" } th scope="col" { "Kind" } th .number scope="col" { "Size" }
                        th scope="col" { "Uploaded" } th scope="col" { "Here" }
                    }
                }
                tbody { @for row in &rows { (row) } }
            }
        }
    })
}

fn file_row(asked: &Asked<'_>, listed: &Listed<'_>, row: Option<&FileRow>, cached: Option<CacheUse>) -> Markup {
    let file = listed.file;
    html! {
        tr {
            th scope="row" {
                (file_link(asked, listed.index, &href(listed.index, file), file.filename.as_str()))
                @match &file.yanked {
                    Yanked::Yes => { " " (badge("warn", "yanked")) }
                    Yanked::Reason(reason) => { " " (badge("warn", "yanked")) " " span .small { (reason) } }
                    Yanked::Absent | Yanked::No => {}
                }
                @if let Some(by) = listed.hidden_by { span .summary { "Hidden: the file of this name comes from " (index_link(by)) } }
                (details(asked, listed, row))
            }
            td { (kind(file)) }
            td .number { @if let Some(size) = file.size { (bytes(size)) } }
            td { @if let Some(uploaded) = file.upload_time.as_deref().and_then(stamps::unix_of) { (time(asked, uploaded)) } }
            td {
                @match (listed.is_mirror, cached) {
                    (false, _) => (badge("private", "private")),
                    (true, Some(uses)) => { (badge("good", "cached")) @if uses.times > 0 { " " span .small.soft { (uses.times) " ×" } } }
                    (true, None) => (badge("quiet", "at upstream")),
                }
            }
        }
    }
}

/// What few look for.
fn details(asked: &Asked<'_>, listed: &Listed<'_>, row: Option<&FileRow>) -> Markup {
    let file = listed.file;
    html! {
        details {
            summary { "Hashes and history" }
            dl .facts {
                @if let Some(sha256) = file.sha256 { dt { "SHA-256" } dd { code { (sha256) } } }
                @for (name, digits) in &file.other_hashes { dt { (name) } dd { code { (digits) } } }
                @if let Some(python) = file.requires_python.specifier() { dt { "Python" } dd { code { (python) } } }
                dt { "From" } dd { (index_link(listed.index)) }
                @if file.core_metadata.is_offered() { dt { "Metadata" } dd { a href={ (href(listed.index, file)) ".metadata" } { "METADATA" } } }
                @if file.provenance.url().is_some() || row.is_some_and(|row| row.attestations.is_some()) {
                    dt { "Attested" } dd { "it comes with attestations (PEP 740)" }
                }
                @for entry in row.iter().flat_map(|row| &row.log) { (history(asked, entry)) }
            }
            @if let Some(row) = row { (for_file(asked, row)) }
        }
    }
}

/// A line of a file's history, as devpi keeps it.
fn history(asked: &Asked<'_>, entry: &Value) -> Markup {
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let when: Vec<i64> =
        entry.get("when").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_i64).collect();
    let when = <[i64; 6]>::try_from(when).ok().and_then(stamps::unix_of_parts);
    let what = match text("what").unwrap_or_default() {
        "upload" => "Uploaded",
        "push" => "Promoted",
        "overwrite" => "Replaced",
        _ => "Changed",
    };
    html! {
        dt { (what) }
        dd {
            @if let Some(when) = when { (time(asked, when)) }
            @if let Some(who) = text("who") { " by " (who) }
            @if let Some(from) = text("src") { " from " (from) }
            @if let Some(to) = text("dst") { " to " (to) }
        }
    }
}

fn kind(file: &File) -> Markup {
    html! {
        @match file.filename.kind() {
            DistKind::Wheel => {
                "wheel"
                @if let Some((python, abi, platform)) = file.filename.wheel_tags() { span .summary { code { (python) "-" (abi) "-" (platform) } } }
            }
            DistKind::Sdist => "source",
            DistKind::Other => "other",
        }
    }
}

fn href(index: &IndexName, file: &File) -> String {
    format!("{}/{}", index_path(index), utf8_percent_encode(&file.path(), PATH))
}
