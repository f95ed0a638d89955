//! Pictures of a day: small SVGs that are drawn by attributes and classes alone. What they show stands beside them in
//! words, and in numbers in the page's table.

use maud::{Markup, html};
use std::fmt::Write;

/// Columns of a picture: a quarter of an hour each.
pub const COLUMNS: usize = 96;

/// The picture's own units; it is stretched to the width that there is.
const COLUMN_WIDTH: f64 = 5.0;
const BAR_WIDTH: f64 = 4.0;
const HEIGHT: f64 = 100.0;

/// What a picture shows.
pub struct Picture<'a> {
    /// Of the page.
    pub id: &'a str,
    pub title: &'a str,
    /// What is to be seen, in a sentence.
    pub summary: String,
    /// Stacked on each other, the first at the bottom.
    pub series: Vec<Series<'a>>,
    /// What the top of the picture stands for; none: the highest column.
    pub top: Option<u64>,
    /// A number of it in words.
    pub shown: fn(u64) -> String,
}

pub struct Series<'a> {
    pub name: &'a str,
    /// Its colour: `good`, `shared`, `fetched`, `bad`.
    pub class: &'a str,
    /// As many as there are columns; none where nothing is known.
    pub values: Vec<Option<u64>>,
}

impl Picture<'_> {
    pub fn markup(&self) -> Markup {
        let top = self.top.unwrap_or_else(|| self.highest()).max(1);
        let (title, summary) = (format!("{}-title", self.id), format!("{}-summary", self.id));
        html! {
            figure .picture {
                figcaption {
                    strong { (self.title) }
                    span .small.soft { " top: " ((self.shown)(top)) }
                }
                svg role="img" aria-labelledby={ (title) " " (summary) } preserveAspectRatio="none"
                    viewBox={ "0 0 " (COLUMNS as f64 * COLUMN_WIDTH) " " (HEIGHT) } {
                    title id=(title) { (self.title) ", the last 24 hours" }
                    desc id=(summary) { (self.summary) }
                    @for (at, path) in self.paths(top).iter().enumerate() {
                        @if !path.is_empty() { path class=(self.series.get(at).map_or("", |one| one.class)) d=(path) {} }
                    }
                }
                div .axis.small.soft aria-hidden="true" { span { "24 hours ago" } span { "now" } }
                p .small { (self.summary) }
                @if self.series.len() > 1 {
                    ul .keys.small {
                        @for one in &self.series { li { span class={ "key " (one.class) } {} (one.name) } }
                    }
                }
            }
        }
    }

    fn column(&self, at: usize) -> impl Iterator<Item = Option<u64>> {
        self.series.iter().map(move |one| one.values.get(at).copied().flatten())
    }

    fn highest(&self) -> u64 {
        (0..COLUMNS).map(|at| self.column(at).flatten().sum::<u64>()).max().unwrap_or(0)
    }

    /// One path for each series, a bar for each column in which there is something.
    fn paths(&self, top: u64) -> Vec<String> {
        let mut paths = vec![String::new(); self.series.len()];
        for at in 0..COLUMNS {
            let mut floor = HEIGHT;
            for (path, value) in paths.iter_mut().zip(self.column(at)) {
                let value = value.unwrap_or(0);
                if value == 0 {
                    continue;
                }
                // A little is not nothing: it is seen.
                let height = (value as f64 / top as f64 * HEIGHT).clamp(1.0, HEIGHT).min(floor);
                let _ = write!(
                    path,
                    "M{} {}v-{}h{BAR_WIDTH}v{}z",
                    at as f64 * COLUMN_WIDTH,
                    short(floor),
                    short(height),
                    short(height)
                );
                floor -= height;
            }
        }
        paths
    }
}

/// One decimal, and none where it is 0.
fn short(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(series: Vec<Series<'static>>) -> Picture<'static> {
        Picture {
            id: "p",
            title: "A <title>",
            summary: "All & sundry".to_owned(),
            series,
            top: None,
            shown: |n| n.to_string(),
        }
    }

    fn series(class: &'static str, values: Vec<Option<u64>>) -> Series<'static> {
        Series { name: "one", class, values }
    }

    #[test]
    fn bars_stand_on_each_other() {
        let mut values = vec![None; COLUMNS];
        values[0] = Some(30);
        values[95] = Some(1);
        let both = picture(vec![series("good", values.clone()), series("bad", values)]);
        assert_eq!(both.highest(), 60);
        let paths = both.paths(60);
        assert_eq!(paths[0], "M0 100v-50h4v50zM475 100v-1.7h4v1.7z");
        assert_eq!(paths[1], "M0 50v-50h4v50zM475 98.3v-1.7h4v1.7z");
        assert_eq!(both.paths(10)[1], "M0 0v-0h4v0zM475 90v-10h4v10z", "it does not leave the picture");
    }

    #[test]
    fn a_picture_says_what_it_shows_and_is_small() {
        let full = (0..COLUMNS as u64).map(|at| Some(at * 997 % 1_000 + 1)).collect::<Vec<_>>();
        let three = ["good", "shared", "fetched"].map(|class| series(class, full.clone()));
        let text = picture(three.into()).markup().into_string();
        assert!(text.contains("role=\"img\"") && text.contains(">A &lt;title&gt;, the last 24 hours</title>"));
        assert_eq!(text.matches("All &amp; sundry").count(), 2, "for those who see it and those who do not");
        assert!(!text.contains("style=") && text.len() < 10_000, "{} bytes", text.len());
        let empty = picture(vec![series("good", vec![None; COLUMNS])]).markup().into_string();
        assert!(!empty.contains("<path"), "{empty}");
    }
}
