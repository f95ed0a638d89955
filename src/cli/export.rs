use super::{Command, Place};
use clap::Args;
use std::path::PathBuf;

/// Where to, and what.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ExportOptions {
    /// Write what devpi-import reads into this directory, which must be new or empty
    #[arg(long, value_name = "DIRECTORY")]
    pub devpi: PathBuf,
    /// Take the files of mirrors along that are in the cache
    #[arg(long)]
    pub include_mirrored_files: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    options: ExportOptions,
}

impl From<Export> for Command {
    fn from(Export { place, options }: Export) -> Self {
        Self::Export(place.into(), options)
    }
}
