//! Words: the types that a string from outside must become before any other room sees it.
//!
//! Enters: `&str` from a URL, a page, a file name. Leaves: [`ProjectName`], [`Version`], [`DistFilename`],
//! [`Sha256`], [`IndexName`], [`UserName`]. A value that exists is valid; there is no other constructor.
//! Must not know: the rest of the house.

mod digest;
mod filename;
mod index;
mod project;

pub use digest::{DigestError, DigestPrefix, Sha256};
pub use filename::{DistFilename, DistKind, FilenameError};
pub use index::{IndexName, IndexNameError, UserName, UserNameError};
pub use pep440_rs::Version;
pub use project::{NameError, ProjectName};
