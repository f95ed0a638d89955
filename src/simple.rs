//! The simple repository API (PEP 503, 691, 700, 714, 740, 792): its pages read, written and kept.
//!
//! Enters: the bytes of an upstream page or list, or a [`ProjectPage`] that other rooms made or changed.
//! Leaves: [`ProjectPage`]; the bytes of an HTML page, a JSON page, the stored form, and of both lists.
//! Must not know: where a page came from, who asks for it, what time it is, how bytes are compressed or sent.
//!
//! Nothing of the upstream's markup is ever passed on: a page is read into types and written anew.

mod draft;
mod error;
mod hashes;
mod html;
mod json;
mod link;
mod list;
mod list_html;
mod list_json;
mod metadata;
mod page;
mod plain;
mod reader;
mod render;
mod stated;
mod tags;
mod told;

pub use error::PageError;
pub use html::parse_html;
pub use json::{from_stored, parse_json, read_stored};
pub use list::{ListSummary, ListTranscoder};
pub use metadata::{MetadataError, MetadataFile, one_line};
pub use page::{ApiVersion, CoreMetadata, File, ProjectPage, Provenance, RequiresPython, Yanked};
pub use reader::PageReader;
pub use render::{PageWriter, render_html, render_json, to_stored, write_page_html, write_page_json, write_stored};
pub use told::{Told, ToldFiles};

/// Most files that one page may list. The largest public project lists fewer than 50 000.
pub const FILES_MAX: usize = 200_000;

/// Longest text of one field, in bytes: far above any real requires-python or yank reason, far below what would
/// hurt a client.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests;
