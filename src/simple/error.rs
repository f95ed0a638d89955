use super::{FILES_MAX, TEXT_BYTES_MAX};
use crate::names::ProjectName;
use std::io;

/// Why a page or a list was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    #[error("the page is not the JSON that PEP 691 describes ({0}); check that the upstream is a simple index")]
    Json(String),
    #[error("a value in the page's JSON is nested more than 127 levels deep; no simple index needs that")]
    TooDeep,
    #[error("asked for the page of {asked}, but it says that it is the page of {said:?}")]
    WrongName { asked: ProjectName, said: String },
    #[error("the stored page has no valid project name ({0:?}); discard it and fetch the page again")]
    NoName(String),
    #[error("the page has API version {0:?}, but only major version 1 is understood")]
    ApiVersion(String),
    #[error("the answer is HTML, but not a page of a simple index; check the upstream's URL, a login page or a proxy")]
    NotAPage,
    #[error("the page lists more than {FILES_MAX} files")]
    TooManyFiles,
    #[error("the page's {0} has a text of more than {TEXT_BYTES_MAX} bytes")]
    TooLong(&'static str),
    #[error("the list of projects names no project; check that the upstream is a simple index")]
    EmptyList,
    #[error("the list of projects has an entry that is too long")]
    EntryTooLong,
    #[error("the list of projects has two lists in it")]
    TwoLists,
    #[error("cannot read the stored page: {0}; discard it and fetch the page again")]
    ReadPage(#[source] io::Error),
    #[error("cannot read the list of projects: {0}")]
    Read(#[source] io::Error),
    #[error("cannot write the list of projects: {0}")]
    Write(#[source] io::Error),
}

impl PageError {
    /// Sorts out what serde_json tells only in words.
    pub(super) fn from_json(error: serde_json::Error) -> Self {
        if error.is_io() {
            Self::Read(error.into())
        } else if error.to_string().starts_with("recursion limit exceeded") {
            Self::TooDeep
        } else {
            Self::Json(error.to_string())
        }
    }
}
