use super::{Command, Options, Place};
use clap::Args;
use std::path::PathBuf;

/// A backup that is to be taken, or listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupOptions {
    pub target: PathBuf,
    pub list: bool,
    pub cache: bool,
    pub keep: Option<usize>,
    pub check: bool,
    pub json: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreOptions {
    pub target: PathBuf,
    pub snapshot: Option<String>,
    pub force: bool,
    pub partial: bool,
    pub json: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyOptions {
    /// A backup; without one the data directory is meant.
    pub target: Option<PathBuf>,
    pub snapshot: Option<String>,
    pub rate: Option<String>,
    pub json: bool,
}

pub(super) const VERIFY_CODES: &str = "\
Exit codes: 0 all is as it should be; 65 a file is damaged; 66 one is missing (and none damaged); 74 one cannot be read
(and none is damaged or missing). Files that nothing refers to are counted and no fault.";

#[derive(Debug, Args)]
pub(super) struct BackupArguments {
    #[command(flatten)]
    place: Place,
    /// The backup's directory; it is made, or goes on where the last backup ended
    target: PathBuf,
    /// Only list the snapshots that are there
    #[arg(long)]
    list: bool,
    /// Take the cache too: all that could be fetched again
    #[arg(long)]
    cache: bool,
    /// Keep this many snapshots, and remove older ones and what only they needed
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// Read what the backup has already, and replace what is damaged there
    #[arg(long)]
    check: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArguments {
    #[command(flatten)]
    place: Place,
    /// The backup's directory
    target: PathBuf,
    /// Restore this snapshot, as `backup --list` names it; otherwise the newest
    #[arg(long, value_name = "ID")]
    snapshot: Option<String>,
    /// Move a data directory that is there aside first
    #[arg(long)]
    force: bool,
    /// Restore what is whole of a damaged snapshot
    #[arg(long)]
    partial: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    #[command(flatten)]
    place: Place,
    /// A backup's directory; without one the data directory is verified
    target: Option<PathBuf>,
    /// Only this snapshot of the backup
    #[arg(long, value_name = "ID", requires = "target")]
    snapshot: Option<String>,
    /// Read at most this much a second, like 50MB
    #[arg(long, value_name = "SIZE")]
    rate: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl From<BackupArguments> for Command {
    fn from(arguments: BackupArguments) -> Self {
        let BackupArguments { place, target, list, cache, keep, check, json } = arguments;
        let keep = keep.and_then(|keep| usize::try_from(keep).ok());
        Self::Backup(place.into(), BackupOptions { target, list, cache, keep, check, json })
    }
}

impl From<RestoreArguments> for Command {
    fn from(arguments: RestoreArguments) -> Self {
        let RestoreArguments { place, target, snapshot, force, partial, json } = arguments;
        Self::Restore(place.into(), RestoreOptions { target, snapshot, force, partial, json })
    }
}

impl From<VerifyArguments> for Command {
    fn from(arguments: VerifyArguments) -> Self {
        let VerifyArguments { place, target, snapshot, rate, json } = arguments;
        Self::Verify(Options::from(place), VerifyOptions { target, snapshot, rate, json })
    }
}
