//! What other tools are told so that they install from here: edits of their own configuration, and the environment.
//!
//! Enters: a file's text and a [`Wish`]. Leaves: the new text and the [`Splice`]s that lead there and back, so that
//! undoing them gives the old bytes, also after other parts were edited; or an [`EditError`] that names the way out.
//! Must not know: files (the caller reads and writes them), whether a server runs.

mod hide;
mod ini;
mod json;
mod places;
mod shell;
mod splice;
mod tables;
mod told;
mod tools;

pub use hide::hidden;
pub use places::{Machine, Place};
pub use shell::{Shell, variables};
pub use splice::{Changed, Splice, undo};
pub use told::{Role, Told, told, told_by_env};
pub use tools::{Tool, edit};

use crate::names::IndexName;
use url::Url;

/// What our entries are called in files that name their indexes.
pub const ENTRY_NAME: &str = "sidewheel";

/// Largest configuration file that is edited, in bytes: a person's own is a thousandth of it.
pub const FILE_BYTES_MAX: u64 = 4 << 20;

/// Where a tool shall install from, or publish to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// How clients reach the server; without a slash at the end.
    pub base: String,
    pub index: IndexName,
    /// Whether the index takes uploads; a mirror takes none.
    pub stage: bool,
    /// Who publishes, for `.pypirc`. Never a password.
    pub username: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    #[error("this is not TOML: {0}")]
    Toml(String),
    #[error("line {0} is no section, no `key = value` and no comment")]
    Ini(usize),
    #[error("this is not a JSON object")]
    Json,
    #[error("{what} is written in a form that is not edited here; write it as {instead}, or set it by hand")]
    Form { what: String, instead: String },
    #[error("{0}")]
    NotHere(String),
}

impl Wish {
    /// What installers are pointed at.
    pub fn simple(&self) -> String {
        format!("{}/{}/+simple/", self.base, self.index)
    }

    /// What publishers are pointed at.
    pub fn upload(&self) -> String {
        format!("{}/{}/", self.base, self.index)
    }

    /// Whether a URL means this index, on whatever server: what an entry for devpi looks like.
    pub(crate) fn same_index(&self, url: &str) -> bool {
        let path = Url::parse(url).ok().map(|url| url.path().trim_end_matches('/').to_owned());
        path.is_some_and(|path| path == format!("/{}/+simple", self.index) || path == format!("/{}", self.index))
    }
}

#[cfg(test)]
mod tests;
