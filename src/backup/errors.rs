use super::carry::Finding;
use super::manifest::SnapshotId;
use crate::cache::{DiskError, LockError};
use crate::store::{FormatError, StoreError};
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("there is no private.db in {}: it is no data directory, or nothing was ever served from it; give --data", .0.display())]
    NoData(PathBuf),
    #[error("{} is no backup: `sidewheel backup {}` makes one there", .0.display(), .0.display())]
    NoBackup(PathBuf),
    #[error("{} holds something else; give a new or an empty directory", .0.display())]
    Foreign(PathBuf),
    #[error("{} and {} lie one in the other; a backup needs a place of its own, best on another disk", .0.display(), .1.display())]
    Inside(PathBuf, PathBuf),
    #[error("another backup or restore (process {holder}) is at work in {}; try again when it has ended", path.display())]
    Busy { path: PathBuf, holder: String },
    #[error("the data directory {} is in use by process {holder}; stop the server first", path.display())]
    Serving { path: PathBuf, holder: String },
    #[error("{} holds no snapshot yet", .0.display())]
    Empty(PathBuf),
    #[error("{} holds no snapshot {id}; `sidewheel backup --list` shows those there are", path.display())]
    NoSnapshot { path: PathBuf, id: String },
    #[error("the manifest of snapshot {id} is damaged ({why}); restore another snapshot, and see `sidewheel verify`")]
    Manifest { id: SnapshotId, why: String },
    #[error("{} is not empty; restore into a new directory, or say --force to move this one aside", .0.display())]
    Occupied(PathBuf),
    #[error("{} is a file system of its own and cannot be moved aside; empty it, or restore elsewhere", .0.display())]
    Mounted(PathBuf),
    #[error("snapshot {id} is damaged: {} of its files cannot be restored, and nothing was; restore another snapshot, or say --partial to restore what is whole", findings.len())]
    Damaged { id: SnapshotId, findings: Vec<Finding> },
    #[error("files go faster than they are copied; try again")]
    Restless,
    #[error("{} cannot be read or written: {why}", path.display())]
    Io { path: PathBuf, why: io::Error },
    #[error("{} cannot be opened: {why}; make it writable for this user", path.display())]
    Closed { path: PathBuf, why: io::Error },
    #[error("{} cannot be written: {why}", path.display())]
    Disk { path: PathBuf, why: DiskError },
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the work was lost on its way")]
    Lost,
}

impl BackupError {
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |why| Self::Io { path: path.to_owned(), why }
    }

    pub(super) fn disk(path: &Path) -> impl Fn(DiskError) -> Self + '_ {
        |why| Self::Disk { path: path.to_owned(), why }
    }

    pub(super) fn locked(why: LockError) -> Self {
        match why {
            LockError::Held { path, holder } => Self::Busy { path, holder },
            LockError::Directory { path, why } => Self::Closed { path, why },
        }
    }
}
