//! Pieces that several pages are made of.

use super::Asked;
use crate::index::{IndexEntry, stamps};
use crate::names::IndexName;
use maud::{Markup, html};

/// A line to paste, with a button that copies it (shown only where scripts run).
pub fn copyable(line: &str) -> Markup {
    html! {
        div .copy {
            pre { code { (line) } }
            button .copy-it type="button" hidden data-copy=(line) { "Copy" }
        }
    }
}

/// How many bytes, in a unit that leaves at most four digits: `1.4 MB`. Units are powers of a thousand.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (count as f64, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let unit_name = UNITS.get(unit).unwrap_or(&"B");
    if unit == 0 || value >= 99.95 { format!("{value:.0} {unit_name}") } else { format!("{value:.1} {unit_name}") }
}

/// A time (Unix seconds), as long ago as it is; the exact one for who points at it.
pub fn time(asked: &Asked<'_>, unix: u64) -> Markup {
    let iso = stamps::iso(unix);
    html! { time datetime=(iso) title=(iso) { (ago(asked.now, unix)) } }
}

/// `3 days ago`; a time to come is `now`.
pub fn ago(now: u64, then: u64) -> String {
    const STEPS: [(u64, &str); 6] = [
        (31_536_000, "year"),
        (2_592_000, "month"),
        (604_800, "week"),
        (86_400, "day"),
        (3_600, "hour"),
        (60, "minute"),
    ];
    let past = now.saturating_sub(then);
    for (seconds, unit) in STEPS {
        let count = past / seconds;
        if count > 0 {
            return format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" });
        }
    }
    if now >= then && past > 0 { format!("{past} s ago") } else { "now".to_owned() }
}

/// `1 file`, `2 files`
pub fn count(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// A word that is told apart by its colour too. `kind`: `private`, `mirror`, `good`, `warn`, `bad`, `quiet`.
pub fn badge(kind: &str, text: &str) -> Markup {
    html! { span class={ "badge " (kind) } { (text) } }
}

/// Whether an index is one of ours or a mirror.
pub fn kind_badge(entry: &IndexEntry) -> Markup {
    if entry.is_stage() { badge("private", "private") } else { badge("mirror", "mirror") }
}

/// The rows of a table that is longer than a page shows.
pub struct Pager {
    /// From 1.
    pub page: usize,
    pub rows: usize,
    pub per_page: usize,
}

impl Pager {
    /// `page` as it was asked for; what is none is the first.
    pub fn new(page: Option<&str>, rows: usize, per_page: usize) -> Self {
        let last = rows.div_ceil(per_page).max(1);
        let page = page.and_then(|page| page.parse().ok()).unwrap_or(1).clamp(1, last);
        Self { page, rows, per_page }
    }

    pub fn range(&self) -> std::ops::Range<usize> {
        let from = (self.page - 1) * self.per_page;
        from..self.rows.min(from + self.per_page)
    }

    /// The way to the pages around; nothing where one page shows all. `path` has no query, `more` is what stays in it
    /// (`q=a&`), encoded.
    pub fn links(&self, path: &str, more: &str) -> Markup {
        let last = self.rows.div_ceil(self.per_page).max(1);
        let range = self.range();
        html! {
            @if last > 1 {
                nav .pager aria-label="Pages" {
                    @if self.page > 1 { a rel="prev" href={ (path) "?" (more) "page=" (self.page - 1) } { "Newer" } }
                    span { (range.start + 1) "–" (range.end) " of " (self.rows) }
                    @if self.page < last { a rel="next" href={ (path) "?" (more) "page=" (self.page + 1) } { "Older" } }
                }
            }
        }
    }
}

/// Where a page of a user's stands, from the top: text and path.
pub fn to_user(user: &str) -> Vec<(String, String)> {
    vec![("Indexes".to_owned(), "/".to_owned()), (user.to_owned(), format!("/{user}"))]
}

/// The same of a page of an index.
pub fn to_index(index: &IndexName) -> Vec<(String, String)> {
    let mut above = to_user(index.user());
    above.push((index.index().to_owned(), crate::http::index_path(index)));
    above
}

/// A link to an index.
pub fn index_link(name: &IndexName) -> Markup {
    html! { a href=(crate::http::index_path(name)) { (name) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (99_949, "99.9 kB"),
            (99_950, "100 kB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (18_900_000, "18.9 MB"),
            (u64::MAX, "18446744 TB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn ages_are_told_by_their_largest_unit() {
        for (now, then, text) in [
            (100, 100, "now"),
            (100, 200, "now"),
            (100, 99, "1 s ago"),
            (160, 100, "1 minute ago"),
            (7_300, 100, "2 hours ago"),
            (200_000_000, 0, "6 years ago"),
        ] {
            assert_eq!(ago(now, then), text);
        }
    }

    #[test]
    fn a_page_outside_is_the_nearest() {
        for (asked, page, range) in [
            (None, 1, 0..10),
            (Some("2"), 2, 10..20),
            (Some("3"), 3, 20..25),
            (Some("0"), 1, 0..10),
            (Some("99"), 3, 20..25),
            (Some("-1"), 1, 0..10),
            (Some("x"), 1, 0..10),
        ] {
            let pager = Pager::new(asked, 25, 10);
            assert_eq!((pager.page, pager.range()), (page, range));
        }
        assert_eq!(Pager::new(Some("5"), 0, 10).range(), 0..0);
        assert_eq!(Pager::new(None, 10, 10).links("/a", "").into_string(), "");
    }
}
