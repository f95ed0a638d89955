//! Uploads: the forms that twine, uv, flit, hatch, poetry, pdm and devpi-client send.
//!
//! Enters: a stream of bytes and its `Content-Type`. Leaves: a checked upload in a temporary file, as `index` takes it, or an
//! [`UploadError`] with a sentence for the person who uploads.
//! Must not know: index rules, users, statuses.
//!
//! What is believed comes from the archive: its name, version and `Requires-Python`. The form may only agree with it.
//! No archive is unpacked; its directory and its metadata are read in bounded pieces on threads that may block.

mod action;
mod archive;
mod check;
mod digests;
mod error;
mod filename;
mod form;
mod pace;
mod sdist;
mod versiondata;
mod writing;
mod zips;

pub use action::Action;
pub use archive::{Archive, read_archive};
pub use check::{check_bare_file, check_docs, check_file, check_submit, check_toxresult};
pub use error::{Refusal, UploadError};
pub use form::{Content, FIELDS_BYTES_MAX, Form, Limits, receive};
pub use versiondata::versiondata_defaults;

#[cfg(test)]
mod tests;
