//! What a requirements file or a lockfile wants, and which files of a project's page that means.
//!
//! Enters: the text of a file, a [`ProjectPage`](crate::simple::ProjectPage), the Pythons and platforms that are meant.
//! Leaves: [`Wish`]es, and files of the page. Must not know: where the text and the page come from, who fetches.
//!
//! Nothing is resolved here: what a requirements file does not name, nobody wishes.

mod choose;
mod lock;
mod marker;
mod requirements;
mod target;

pub use choose::{NotFound, choose};
pub use lock::lockfile;
pub use marker::Marker;
pub use requirements::{Include, Requirements, requirements};
pub use target::{Platform, PlatformError, Python, PythonError, Target};

use crate::names::{DistFilename, IndexName, ProjectName, Sha256};
use pep440_rs::VersionSpecifiers;

/// Largest file that is read, in bytes; the lockfiles of large monorepos are near 10 MB.
pub const FILE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Most wishes that one file may hold.
const WISHES_MAX: usize = 50_000;

/// Most files that a lockfile may name for one release; the largest public ones have a few hundred.
const LOCKED_FILES_MAX: usize = 5_000;

/// What is wanted of one project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub project: ProjectName,
    /// The index of ours that the file names, if it does.
    pub index: Option<IndexName>,
    pub what: What,
    /// It is wanted only where one of these holds; without any, everywhere.
    pub markers: Vec<Marker>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// These files and no others.
    Files(Vec<LockedFile>),
    /// The best files of the newest release that this allows.
    Newest(Newest),
}

/// A file that a lockfile names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedFile {
    pub filename: DistFilename,
    pub sha256: Option<Sha256>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Newest {
    pub specifiers: VersionSpecifiers,
    /// Only files with one of these digests; empty: any.
    pub hashes: Vec<Sha256>,
    /// Releases before the final one are as good (`--pre`).
    pub pre: bool,
}

/// What a file holds that cannot be fetched from an index, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub what: String,
    pub why: &'static str,
}

/// What a file wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wants {
    pub wishes: Vec<Wish>,
    pub left_out: Vec<LeftOut>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WantsError {
    #[error("it has more than {FILE_BYTES_MAX} bytes")]
    TooLarge,
    #[error("it names more than {WISHES_MAX} projects")]
    TooMany,
    #[error("it is no TOML: {0}")]
    Toml(String),
    #[error("it is no lockfile of uv, poetry, pdm or PEP 751: it has neither [[package]] nor [[packages]]")]
    Unknown,
}

/// Longest piece of a file that is shown again, in characters.
const SHOWN_CHARS_MAX: usize = 120;

impl LeftOut {
    fn new(what: &str, why: &'static str) -> Self {
        Self { what: what.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS_MAX).collect(), why }
    }
}

#[cfg(test)]
mod tests;
