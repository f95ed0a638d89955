use super::escaped;
use comrak::adapters::{HeadingAdapter, HeadingMeta};
use comrak::nodes::Sourcepos;
use comrak::options::{Options, Plugins};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::fmt;

/// GitHub's dialect, for that is where most descriptions are read. Tags that stand in the text are left in it.
pub fn to_html(text: &str) -> String {
    let mut options = Options::default();
    options.extension.strikethrough = true;
    options.extension.table = true;
    options.extension.autolink = true;
    options.extension.tasklist = true;
    options.extension.footnotes = true;
    options.extension.alerts = true;
    options.render.r#unsafe = true;
    let headings = Headings::default();
    let mut plugins = Plugins::default();
    plugins.render.heading_adapter = Some(&headings);
    comrak::markdown_to_html_with_plugins(text, &options, &plugins)
}

/// Gives each heading the id that GitHub gives it: tables of contents lead there.
#[derive(Default)]
struct Headings {
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    ids: HashSet<String>,
    /// How often a title was there.
    counts: HashMap<String, usize>,
}

impl HeadingAdapter for Headings {
    fn enter(&self, output: &mut dyn fmt::Write, heading: &HeadingMeta, _: Option<Sourcepos>) -> fmt::Result {
        let id = self.taken.lock().id(&heading.content);
        write!(output, "<h{} id=\"{}\">", heading.level, escaped(&id))
    }

    fn exit(&self, output: &mut dyn fmt::Write, heading: &HeadingMeta) -> fmt::Result {
        write!(output, "</h{}>", heading.level)
    }
}

impl Taken {
    fn id(&mut self, title: &str) -> String {
        let lower = title.trim().to_lowercase();
        let kept = lower.chars().filter(|char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_'));
        let stem: String = kept.map(|char| if char == ' ' { '-' } else { char }).collect();
        let count = self.counts.entry(stem.clone()).or_default();
        loop {
            let id = if *count == 0 { stem.clone() } else { format!("{stem}-{count}") };
            *count += 1;
            if self.ids.insert(id.clone()) {
                return id;
            }
        }
    }
}
