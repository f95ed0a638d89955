//! Taking over: a devpi-server directory, a devpi export, or a directory of wheels becomes what uploads and downloads
//! would have made here.
//!
//! Enters: a foreign directory, which is only read. Leaves: calls on `index`, and a [`Report`] of what came and what did
//! not. Must not know: SQL of ours, HTTP. A foreign database is read through `store::Keyfs`, which knows keys and blobs.
//!
//! Nothing that stands in a foreign directory is believed: names are parsed, paths are made of checked parts, digests
//! are computed. What cannot be taken is told and passed over; what is here already stays. So a run that was cut off is
//! simply run again.

mod blob;
mod copy;
mod error;
mod export;
mod files;
mod links;
mod people;
mod read;
mod report;
mod serverdir;
mod taker;
mod wheels;

pub use error::ImportError;
pub use report::{Counts, Line, Report};

use crate::index::Index;
use crate::names::IndexName;
use std::path::PathBuf;
use taker::Taker;

/// What is taken over.
pub enum Source {
    /// A devpi-server's own directory; `room`: a directory of ours where its database may be copied to.
    Devpi { serverdir: PathBuf, room: PathBuf },
    /// What `devpi-export` wrote.
    Export { directory: PathBuf },
    /// Wheels and sdists, which go into one index.
    Wheels { directory: PathBuf, index: IndexName },
}

/// Is told how much there is to do, and how much of it is done.
pub struct Watch<'a> {
    pub more: &'a dyn Fn(u64),
    pub step: &'a dyn Fn(u64),
}

/// Takes over what `source` holds. Without an index everything is read and verified, and nothing written.
pub async fn import(source: &Source, index: Option<&Index>, now: u64, watch: Watch<'_>) -> Result<Report, ImportError> {
    let mut taker = Taker::new(index, now, watch);
    match source {
        Source::Devpi { serverdir, room } => serverdir::take(&mut taker, serverdir, room).await?,
        Source::Export { directory } => export::take(&mut taker, directory).await?,
        Source::Wheels { directory, index } => wheels::take(&mut taker, directory, index).await?,
    }
    Ok(taker.report)
}
