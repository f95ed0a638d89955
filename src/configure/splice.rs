use super::{EditError, ini, json, tables};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// One piece of a file that was replaced, and where to find it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Splice {
    pub(super) spot: Spot,
    old: String,
    new: String,
}

/// The name of a piece of a file: found again by what it is, not by where it stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Spot {
    /// A section's header, while nothing stands below it.
    IniHeader {
        section: String,
    },
    /// All lines of an entry.
    IniEntry {
        section: String,
        key: String,
    },
    /// A table's header, while nothing stands below it.
    TomlHeader {
        path: Vec<Step>,
    },
    /// The line of a key and its value.
    TomlLine {
        path: Vec<Step>,
    },
    TomlValue {
        path: Vec<Step>,
    },
    /// One `[[table]]` of a list, with its lines.
    TomlBlock {
        path: Vec<Step>,
    },
    JsonValue {
        key: String,
    },
    /// `"key": value,` with the line break before it.
    JsonLine {
        key: String,
    },
    /// The whole file.
    Whole,
}

/// A step into a TOML document: a key of a table, or in a list the element of that name or at that place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Step {
    Name(String),
    Place(usize),
}

/// What was written is not there any more as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Changed {
    #[error("{what} was changed by hand since; it is now {now:?}")]
    Value { what: String, now: String },
    #[error("{what} was removed by hand since")]
    Gone { what: String },
}

/// A text while it is edited.
pub(super) struct Draft {
    pub text: String,
    pub splices: Vec<Splice>,
}

impl Draft {
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), splices: Vec::new() }
    }

    pub fn put(&mut self, spot: Spot, range: Range<usize>, new: String) {
        let old = self.text.get(range.clone()).unwrap_or_default().to_owned();
        if old != new {
            self.text.replace_range(range, &new);
            self.splices.push(Splice { spot, old, new });
        }
    }

    /// How this file ends its lines.
    pub fn line_end(&self) -> &'static str {
        if self.text.contains("\r\n") { "\r\n" } else { "\n" }
    }

    /// What has to stand before a new header at the end of the file: an empty line, and the end of the last line.
    pub fn lead(&self) -> String {
        let end = self.line_end();
        match () {
            () if self.text.is_empty() => String::new(),
            () if self.text.ends_with('\n') => end.to_owned(),
            () => end.repeat(2),
        }
    }
}

/// Takes splices back, the last first. With `force` also those whose piece was changed by hand; what is gone stays so.
pub fn undo(text: &str, splices: &[Splice], force: bool) -> Result<String, Changed> {
    let mut text = text.to_owned();
    for splice in splices.iter().rev() {
        let what = || splice.spot.to_string();
        match splice.find(&text) {
            Some((range, true)) => text.replace_range(range, &splice.old),
            Some((range, false)) if force => text.replace_range(range, &splice.old),
            Some((range, false)) => {
                let now = text.get(range).unwrap_or_default().trim().to_owned();
                return Err(Changed::Value { what: what(), now });
            }
            None if force || splice.spot.may_stay() => {}
            None => return Err(Changed::Gone { what: what() }),
        }
    }
    Ok(text)
}

impl Splice {
    /// The piece in a text of now, and whether it is as it was written.
    fn find(&self, text: &str) -> Option<(Range<usize>, bool)> {
        let mut range = self.spot.find(text)?;
        // Line ends that were put before the piece go with it, as long as they are there.
        let body = self.new.trim_start_matches(['\r', '\n']);
        let lead = &self.new[..self.new.len() - body.len()];
        let before = text.get(..range.start)?;
        let same = text.get(range.clone()) == Some(body) || text.get(range.clone()) == Some(self.new.as_str());
        if !lead.is_empty() && before.ends_with(lead) && text.get(range.clone()) != Some(self.new.as_str()) {
            range.start -= lead.len();
        }
        Some((range, same))
    }
}

impl Spot {
    fn find(&self, text: &str) -> Option<Range<usize>> {
        match self {
            Self::IniHeader { section } => ini::bare_header(text, section),
            Self::IniEntry { section, key } => ini::entry(text, section, key),
            Self::TomlHeader { path } => tables::bare_header(text, path),
            Self::TomlLine { path } => tables::line(text, path),
            Self::TomlValue { path } => tables::value(text, path),
            Self::TomlBlock { path } => tables::block(text, path),
            Self::JsonValue { key } => json::value(text, key),
            Self::JsonLine { key } => json::line(text, key),
            Self::Whole => Some(0..text.len()),
        }
    }

    /// A header below which something else was written meanwhile stays, and that is right.
    fn may_stay(&self) -> bool {
        matches!(self, Self::IniHeader { .. } | Self::TomlHeader { .. })
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IniHeader { section } => write!(f, "[{section}]"),
            Self::IniEntry { section, key } => write!(f, "{key} in [{section}]"),
            Self::TomlHeader { path } | Self::TomlBlock { path } => write!(f, "[{}]", shown(path)),
            Self::TomlLine { path } | Self::TomlValue { path } => f.write_str(&shown(path)),
            Self::JsonValue { key } | Self::JsonLine { key } => write!(f, "{key:?}"),
            Self::Whole => f.write_str("the file"),
        }
    }
}

pub(super) fn shown(path: &[Step]) -> String {
    let steps = path.iter().map(|step| match step {
        Step::Name(name) => name.clone(),
        Step::Place(place) => place.to_string(),
    });
    steps.collect::<Vec<_>>().join(".")
}

/// The start of the line that holds `at`.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1)
}

/// The end of the line that holds `at`, its line end included.
pub(super) fn line_stop(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|rest| rest.find('\n')).map_or(text.len(), |end| at + end + 1)
}

/// What an edit has to say when it did not come to what was wished.
pub(super) fn form(what: &str, instead: &str) -> EditError {
    EditError::Form { what: what.to_owned(), instead: instead.to_owned() }
}
