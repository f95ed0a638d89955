use super::{Command, Place};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What is taken over, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportCommand {
    pub from: ImportFrom,
    pub options: ImportOptions,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportFrom {
    Devpi { serverdir: PathBuf },
    Export { directory: PathBuf },
    Wheels { directory: PathBuf, index: String },
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct ImportOptions {
    /// Read and verify everything and say what would come; write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print the whole report as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum ImportSubcommands {
    /// Take over the directory of a devpi-server 5 or 6 that is stopped; it is only read
    Devpi {
        /// The directory, as devpi-server's own option named it
        #[arg(long, value_name = "DIRECTORY")]
        serverdir: PathBuf,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        options: ImportOptions,
    },
    /// Take over what devpi-export wrote
    DevpiExport {
        #[arg(value_name = "DIRECTORY")]
        directory: PathBuf,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        options: ImportOptions,
    },
    /// Publish a directory of wheels and sdists in an index
    Wheels {
        #[arg(value_name = "DIRECTORY")]
        directory: PathBuf,
        /// The index, like team/dev; it is made if its user is there
        #[arg(long, value_name = "USER/INDEX")]
        index: String,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        options: ImportOptions,
    },
}

impl From<ImportSubcommands> for Command {
    fn from(command: ImportSubcommands) -> Self {
        let (from, place, options) = match command {
            ImportSubcommands::Devpi { serverdir, place, options } => (ImportFrom::Devpi { serverdir }, place, options),
            ImportSubcommands::DevpiExport { directory, place, options } => {
                (ImportFrom::Export { directory }, place, options)
            }
            ImportSubcommands::Wheels { directory, index, place, options } => {
                (ImportFrom::Wheels { directory, index }, place, options)
            }
        };
        Self::Import(place.into(), ImportCommand { from, options })
    }
}
