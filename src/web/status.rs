use super::assets::path_of;
use super::parts::{ago, badge, bytes, time};
use super::picture::{COLUMNS, Picture, Series};
use super::{Asked, Page};
use crate::index::{Budget, Heard, Standing, Status, Trouble, day_parts, day_sum, hit_ratio, saved, stamps};
use crate::store::{Count, Height, SampleRow};
use maud::{Markup, html};
use serde_json::{Map, Value, json};

/// What the server's front knows beside the index.
pub struct Doorway {
    /// Uploads that arrive now.
    pub uploads: usize,
    pub connections_max: usize,
}

/// How long trouble with what is stored is in the headline, in seconds.
const FRESH_TROUBLE_SECONDS: u64 = 3_600;

/// Kinds of trouble that mean that something of ours cannot be stored or read.
const STORAGE_CLASSES: [&str; 3] = ["disk", "database", "damaged"];

/// A text, and the kind of badge that it is shown as; none: as it is.
type Cell = (String, &'static str);

/// A column of the table of hours: its head, and what it says of an hour.
type Hour = (&'static str, fn(&SampleRow) -> String);

/// `/+status`: how this server is doing, and how it did over the last day.
pub fn status(asked: &Asked<'_>, doorway: &Doorway) -> Page {
    let status = asked.index.status(&asked.viewer.subject);
    let texts = texts(&status, doorway);
    let live = |id: &str| match texts.iter().find(|(known, _)| *known == id) {
        Some((_, (text, ""))) => html! { span id=(id) { (text) } },
        Some((_, (text, kind))) => html! { span id=(id) class={ "badge " (kind) } { (text) } },
        None => html! {},
    };
    let trouble_heads: &[&str] = match &status.sentences {
        Some(_) => &["What", "Kind", "Times", "Last"],
        None => &["Kind", "Times", "Last"],
    };
    let body = html! {
        div data-events="/+status/events" {
            h1 { "Status" }
            p .lead { (live("live-headline")) }
            div .actions {
                button #live-pause type="button" hidden { "Pause" }
                span .small.soft { "As of " span #live-now { (texts_now(&status)) } ". Version " (env!("CARGO_PKG_VERSION")) ", started " (time(asked, status.began)) "." }
            }
            h2 { "The last 24 hours" }
            dl .figures {
                div { dt { "Answered from the cache" } dd { (live("live-hits")) } }
                div { dt { "Not fetched again" } dd { (live("live-saved")) } }
                div { dt { "Sent to clients" } dd { (live("live-sent")) } }
                div { dt { "Came from upstream" } dd { (live("live-fetched")) } }
                div { dt { "Requests" } dd { (live("live-requests")) } }
                div { dt { "Failed requests to upstream" } dd { (live("live-failures")) } }
            }
            div .pictures { @for picture in pictures(&status) { (picture.markup()) } }
            (hours(&status))
            h2 { "Now" }
            (level("memory", "Memory of the cache", status.memory, &live("live-memory")))
            (level("disk", "Files on the disk", status.disk, &live("live-disk")))
            dl .facts {
                dt { "Memory of the process" } dd { (live("live-resident")) }
                dt { "Connections" } dd { (live("live-connections")) }
                dt { "Uploads arriving" } dd { (live("live-uploads")) }
            }
            h2 { "Files under way" }
            (table("transfers", "Files that are being fetched or checked", &["File", "Index", "So far", "Rate", "Clients"],
                &transfers(&status), "Nothing is being fetched."))
            p .small.soft { (live("live-unnamed")) }
            h2 { "Upstreams" }
            (table("mirrors", "The servers behind the mirrors", &["Mirror", "State", "Last answer", "Last failure", "Failures in an hour"],
                &mirrors(&status), "There is no mirror that you may read."))
            @if status.mirrors_unnamed > 0 { p .small.soft { "And " (status.mirrors_unnamed) " more." } }
            h2 { "What went wrong" }
            (table("troubles", "What went wrong since this server was started", trouble_heads, &troubles(&status),
                "Nothing since this server was started."))
            p .small.soft {
                "For programs: " a href="/+metrics" { "metrics for Prometheus" }
                ", and this page as JSON for who asks for " code { "application/json" } "."
            }
        }
        script defer src=(path_of("status.js")) {}
    };
    Page::new("Status", body)
}

/// What the page shows of this moment, for its script: texts and levels by their places, and rows of tables.
pub fn status_event(status: &Status, doorway: &Doorway) -> String {
    let texts: Map<String, Value> =
        texts(status, doorway).into_iter().map(|(id, cell)| (id.to_owned(), json!(cell))).collect();
    json!({
        "texts": texts,
        "levels": { "memory": fraction(status.memory), "disk": fraction(status.disk) },
        "rows": { "transfers": transfers(status), "mirrors": mirrors(status), "troubles": troubles(status) },
    })
    .to_string()
}

fn texts_now(status: &Status) -> String {
    stamps::iso(status.now).replace('T', " ").replace('Z', " UTC")
}

fn texts(status: &Status, doorway: &Doorway) -> Vec<(&'static str, Cell)> {
    let day = day_sum(&status.day);
    let plain = |text: String| (text, "");
    let unnamed = match status.transfers_unnamed {
        0 => String::new(),
        more => format!("And {more} that are not named here."),
    };
    vec![
        ("live-headline", headline(status)),
        ("live-now", plain(texts_now(status))),
        ("live-hits", plain(ratio(&day))),
        ("live-saved", plain(saved_text(&day))),
        ("live-sent", plain(bytes(day.count(Count::Sent)))),
        ("live-fetched", plain(bytes(day.count(Count::Fetched)))),
        ("live-requests", plain(number(day.count(Count::Requests)))),
        ("live-failures", plain(number(day.count(Count::Failures)))),
        ("live-memory", plain(of_budget(status.memory))),
        ("live-disk", plain(of_budget(status.disk))),
        ("live-resident", plain(status.resident.map_or("not told by this system".to_owned(), bytes))),
        (
            "live-connections",
            plain(format!("{} of {} at most", number(status.connections), number(doorway.connections_max as u64))),
        ),
        ("live-uploads", plain(number(doorway.uploads as u64))),
        ("live-unnamed", plain(unnamed)),
    ]
}

fn headline(status: &Status) -> Cell {
    let fresh =
        |heard: &Heard<&str>| STORAGE_CLASSES.contains(&heard.what) && heard.last + FRESH_TROUBLE_SECONDS > status.now;
    let failing = status.mirrors.iter().filter(|one| matches!(one.standing, Standing::Failing { .. })).count();
    match failing {
        _ if status.troubles.iter().any(fresh) => ("Something cannot be stored or read".to_owned(), "bad"),
        0 => ("All is well".to_owned(), "good"),
        1 => ("One upstream cannot be asked".to_owned(), "warn"),
        many => (format!("{many} upstreams cannot be asked"), "warn"),
    }
}

fn pictures(status: &Status) -> [Picture<'static>; 6] {
    let parts = day_parts(&status.day, status.now, COLUMNS);
    let values = |of: &dyn Fn(&SampleRow) -> u64| parts.iter().map(|part| part.as_ref().map(of)).collect::<Vec<_>>();
    let count = |counts: &'static [Count]| values(&|part| counts.iter().map(|of| part.count(*of)).sum());
    let height = |of: Height| values(&|part| part.height(of));
    let ratios = parts.iter().map(|part| Some((hit_ratio(part.as_ref()?)? * 1_000.0).round() as u64)).collect();
    let day = day_sum(&status.day);
    let one = |name, class, values| Series { name, class, values };
    let answers = [Count::Memory, Count::Disk, Count::Stale, Count::Flight, Count::Miss];
    let answers: u64 = answers.iter().map(|of| day.count(*of)).sum();
    [
        Picture {
            id: "answers",
            title: "Answers",
            summary: format!("{} answers, {} of them from the cache.", number(answers), ratio(&day)),
            series: vec![
                one("from the cache", "good", count(&[Count::Memory, Count::Disk, Count::Stale])),
                one("from another's fetch", "shared", count(&[Count::Flight])),
                one("fetched", "fetched", count(&[Count::Miss])),
            ],
            top: None,
            shown: number,
        },
        Picture {
            id: "hits",
            title: "Answered from the cache",
            summary: format!("{} of the answers over the day.", ratio(&day)),
            series: vec![one("from the cache", "good", ratios)],
            top: Some(1_000),
            shown: |thousandths| format!("{} %", thousandths / 10),
        },
        Picture {
            id: "bytes",
            title: "Bytes of files",
            summary: format!(
                "{} were served and {} came from upstream.",
                bytes(day.count(Count::Served)),
                bytes(day.count(Count::Fetched))
            ),
            series: vec![
                one("from upstream", "fetched", count(&[Count::Fetched])),
                one(
                    "served beyond that",
                    "good",
                    values(&|part| part.count(Count::Served).saturating_sub(part.count(Count::Fetched))),
                ),
            ],
            top: None,
            shown: bytes,
        },
        Picture {
            id: "disk-day",
            title: "Files on the disk",
            summary: format!("At most {}.", of_budget(Budget { used: day.height(Height::DiskBytes), ..status.disk })),
            series: vec![one("bytes", "good", height(Height::DiskBytes))],
            top: Some(status.disk.budget),
            shown: bytes,
        },
        Picture {
            id: "memory-day",
            title: "Memory of the process",
            summary: format!(
                "At most {}; the cache in it took up to {}.",
                bytes(day.height(Height::ResidentBytes)),
                bytes(day.height(Height::MemoryBytes))
            ),
            series: vec![
                one("the cache", "good", height(Height::MemoryBytes)),
                one(
                    "the rest",
                    "shared",
                    values(&|part| part.height(Height::ResidentBytes).saturating_sub(part.height(Height::MemoryBytes))),
                ),
            ],
            top: None,
            shown: bytes,
        },
        Picture {
            id: "failures",
            title: "Failed requests to upstream",
            summary: format!("{} failed.", number(day.count(Count::Failures))),
            series: vec![one("failed", "bad", count(&[Count::Failures]))],
            top: None,
            shown: number,
        },
    ]
}

/// The pictures' numbers.
fn hours(status: &Status) -> Markup {
    let hours: Vec<_> = day_parts(&status.day, status.now, 24).into_iter().flatten().collect();
    let columns: [Hour; 10] = [
        ("Requests", |hour| number(hour.count(Count::Requests))),
        ("From the cache", ratio),
        ("Shared", |hour| number(hour.count(Count::Flight))),
        ("Fetched", |hour| number(hour.count(Count::Miss))),
        ("Served", |hour| bytes(hour.count(Count::Served))),
        ("From upstream", |hour| bytes(hour.count(Count::Fetched))),
        ("Failures", |hour| number(hour.count(Count::Failures))),
        ("Disk", |hour| bytes(hour.height(Height::DiskBytes))),
        ("Process", |hour| bytes(hour.height(Height::ResidentBytes))),
        ("Connections", |hour| number(hour.height(Height::Connections))),
    ];
    html! {
        details {
            summary { "The same in numbers, hour by hour" }
            div .wide tabindex="0" role="region" aria-label="The last day hour by hour" {
                table .small {
                    caption { "Times are UTC; levels are the highest of the hour." }
                    thead { tr { th scope="col" { "From" } @for (name, _) in &columns { th .number scope="col" { (name) } } } }
                    tbody {
                        @for hour in hours.iter().rev() {
                            tr {
                                th scope="row" { (stamps::iso(hour.start).get(11..16).unwrap_or_default()) }
                                @for (_, of) in &columns { td .number { (of(hour)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn level(id: &str, name: &str, level: Budget, text: &Markup) -> Markup {
    html! {
        div .level {
            span id={ (id) "-name" } { (name) }
            meter id=(id) aria-labelledby={ (id) "-name" } min="0" max="1" value=(fraction(level)) {}
            span .soft { (text) }
        }
    }
}

/// A table whose rows come and go.
fn table(id: &str, caption: &str, heads: &[&str], rows: &[Vec<Cell>], none: &str) -> Markup {
    html! {
        p id={ (id) "-none" } hidden[!rows.is_empty()] { (none) }
        div .wide id={ (id) "-some" } hidden[rows.is_empty()] tabindex="0" role="region" aria-label=(caption) {
            table {
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody id=(id) {
                    @for row in rows {
                        tr {
                            @for (at, (text, kind)) in row.iter().enumerate() {
                                @match (at, *kind) {
                                    (0, _) => th scope="row" { (text) },
                                    (_, "") => td { (text) },
                                    (_, kind) => td { (badge(kind, text)) },
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn transfers(status: &Status) -> Vec<Vec<Cell>> {
    let row = |one: &crate::index::Transfer| {
        let so_far = match one.total {
            Some(total) => format!("{} of {}", bytes(one.bytes), bytes(total)),
            None => bytes(one.bytes),
        };
        let cells = [
            one.filename.clone(),
            one.index.to_string(),
            so_far,
            format!("{}/s", bytes(one.rate())),
            number(one.clients as u64),
        ];
        cells.map(|text| (text, "")).to_vec()
    };
    status.transfers.iter().map(row).collect()
}

fn mirrors(status: &Status) -> Vec<Vec<Cell>> {
    let row = |one: &crate::index::MirrorStanding| {
        let state = match one.standing {
            Standing::Failing { since } => {
                (format!("failing for {}", duration(status.now.saturating_sub(since))), "bad")
            }
            Standing::Good => ("good".to_owned(), "good"),
            Standing::Unasked => ("not asked yet".to_owned(), "quiet"),
            Standing::Offline => ("offline".to_owned(), "warn"),
        };
        let answered = one.facts.answered.map_or("none".to_owned(), |then| ago(status.now, then));
        let failed = one.facts.failed.map_or("none".to_owned(), |failed| {
            format!("{} ({})", ago(status.now, failed.at), failed.class.replace('_', " "))
        });
        vec![(one.index.to_string(), ""), state, (answered, ""), (failed, ""), (number(one.failures_in_hour), "")]
    };
    status.mirrors.iter().map(row).collect()
}

/// What went wrong: its sentences for who may read them, else its kinds.
fn troubles(status: &Status) -> Vec<Vec<Cell>> {
    let heard = |times: u64, last: u64| [(number(times), ""), (ago(status.now, last), "")];
    let words = |class: &str| class.replace('_', " ");
    match &status.sentences {
        Some(sentences) => {
            let row = |Heard { what, times, last }: &Heard<Trouble>| {
                let what = [(what.sentence.clone(), ""), (words(what.class), "")];
                [&what[..], &heard(*times, *last)[..]].concat()
            };
            sentences.iter().map(row).collect()
        }
        None => {
            let row = |Heard { what, times, last }: &Heard<&str>| {
                [&[(words(what), "")][..], &heard(*times, *last)[..]].concat()
            };
            status.troubles.iter().map(row).collect()
        }
    }
}

fn fraction(level: Budget) -> f64 {
    let part = level.used as f64 / level.budget.max(1) as f64;
    (part.min(1.0) * 1_000.0).round() / 1_000.0
}

fn of_budget(level: Budget) -> String {
    format!("{} of {} ({:.0} %)", bytes(level.used), bytes(level.budget), fraction(level) * 100.0)
}

fn ratio(sample: &SampleRow) -> String {
    hit_ratio(sample).map_or("–".to_owned(), |ratio| format!("{:.1} %", ratio * 100.0))
}

fn saved_text(day: &SampleRow) -> String {
    match saved(day) {
        saved @ 0.. => bytes(saved.unsigned_abs()),
        // After a prefetch, for one.
        ahead => format!("0 B ({} were fetched ahead)", bytes(ahead.unsigned_abs())),
    }
}

/// `1 234 567`
fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{a0}');
        }
        text.push(digit);
    }
    text
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    }
}

#[cfg(test)]
#[path = "status/tests.rs"]
mod tests;
