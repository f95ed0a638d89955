use crate::cache::TakenIn;
use serde::Serialize;
use std::collections::BTreeMap;

/// Lines of a report that are kept; those beyond are only counted. A directory with more is damaged as a whole.
const LINES_MAX: usize = 100_000;

/// What came of an import.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// By kind: `users`, `indexes`, `names`, `releases`, `files`, `docs`, `test_results`, `cached_files`, `pages`.
    pub kinds: BTreeMap<&'static str, Counts>,
    /// Of the files that came now.
    pub bytes: u64,
    /// Of all files of mirrors, also of those that were here.
    pub cached_bytes: u64,
    /// Files that lie in both directories as one, and those that were copied.
    pub linked: u64,
    pub copied: u64,
    /// What could not be taken.
    pub left_out: Vec<Line>,
    /// How many more there are than are listed.
    pub left_out_more: u64,
    /// What was taken in another way than it was.
    pub notes: Vec<Line>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub new: u64,
    /// They were here already.
    pub same: u64,
    pub left_out: u64,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    pub what: String,
    pub why: String,
}

impl Report {
    pub(super) fn came(&mut self, kind: &'static str) {
        self.kinds.entry(kind).or_default().new += 1;
    }

    pub(super) fn was_here(&mut self, kind: &'static str) {
        self.kinds.entry(kind).or_default().same += 1;
    }

    pub(super) fn left_out(&mut self, kind: &'static str, what: impl Into<String>, why: impl ToString) {
        self.kinds.entry(kind).or_default().left_out += 1;
        if self.left_out.len() < LINES_MAX {
            self.left_out.push(Line { what: what.into(), why: why.to_string() });
        } else {
            self.left_out_more += 1;
        }
    }

    pub(super) fn note(&mut self, what: impl Into<String>, why: impl ToString) {
        if self.notes.len() < LINES_MAX {
            self.notes.push(Line { what: what.into(), why: why.to_string() });
        }
    }

    pub(super) fn took_in(&mut self, taken: TakenIn, bytes: u64) {
        match taken {
            TakenIn::There => return,
            TakenIn::Linked => self.linked += 1,
            TakenIn::Copied => self.copied += 1,
        }
        self.bytes += bytes;
    }

    /// Whether everything could be taken.
    pub fn is_whole(&self) -> bool {
        self.left_out.is_empty()
    }
}
