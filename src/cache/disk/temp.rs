use super::{DiskError, private};
use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that is not whole yet; its drop removes it.
pub struct TempFile {
    file: Arc<File>,
    path: Option<PathBuf>,
    reached: Mutex<Reached>,
}

/// How far its bytes have come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reached {
    System,
    Disk,
    /// The disk failed to take them. The system then counts them as written, so that a second try says nothing.
    Nowhere,
}

impl TempFile {
    pub(super) fn new(file: Arc<File>, path: PathBuf) -> Self {
        Self { file, path: Some(path), reached: Mutex::new(Reached::System) }
    }

    pub fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    pub fn write_at(&self, bytes: &[u8], at: u64) -> Result<(), DiskError> {
        let mut reached = self.reached.lock();
        if *reached == Reached::Disk {
            *reached = Reached::System;
        }
        self.file.write_all_at(bytes, at).map_err(DiskError::Unwritable)
    }

    /// Waits until the disk has what was written. When that fails the file is lost, now and for good.
    pub fn sync(&self) -> Result<(), DiskError> {
        let mut reached = self.reached.lock();
        match *reached {
            Reached::Disk => Ok(()),
            Reached::Nowhere => Err(lost()),
            Reached::System => match private::sync(&self.file) {
                Ok(()) => {
                    *reached = Reached::Disk;
                    Ok(())
                }
                Err(why) => {
                    *reached = Reached::Nowhere;
                    if let Some(path) = &self.path {
                        let _ = fs::remove_file(path);
                    }
                    Err(DiskError::Unwritable(why))
                }
            },
        }
    }

    /// Lets `rename` give the file its final name, after which its drop leaves it alone.
    pub(super) fn place(&mut self, rename: impl FnOnce(&Path) -> Result<(), DiskError>) -> Result<Metadata, DiskError> {
        let facts = self.file.metadata().map_err(DiskError::Unwritable)?;
        let path = self.path.as_deref().filter(|_| *self.reached.lock() != Reached::Nowhere).ok_or_else(lost)?;
        rename(path)?;
        self.path = None;
        Ok(facts)
    }
}

/// Says for as long as the file is open that somebody writes it. Where locks do not go, nothing is said.
pub(super) fn claim(file: &File) {
    let _ = flock(file, FlockOperation::NonBlockingLockShared);
}

/// Removes a file that an earlier process left, unless that process is still at it.
pub(super) fn sweep(path: &Path) {
    let Ok(file) = File::open(path) else { return };
    if flock(&file, FlockOperation::NonBlockingLockExclusive) != Err(Errno::WOULDBLOCK) {
        let _ = fs::remove_file(path);
    }
}

fn lost() -> DiskError {
    DiskError::Unwritable(io::Error::other("the file was lost on its way to the disk"))
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            let _ = fs::remove_file(path);
        }
    }
}
