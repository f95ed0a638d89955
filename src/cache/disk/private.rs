//! The private shelf: what lies there is on the disk before anybody is told, and goes only when it is told to.

use super::{Disk, DiskError, DiskFile, PRIVATE, ReadThrough, Shelf, TempFile, make_directory, read_through};
use crate::names::Sha256;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The directories whose own names are known to be on the disk, in this run.
#[derive(Default)]
pub(super) struct Settled(HashSet<PathBuf>);

/// What a damaged private file's name in the quarantine begins with.
const KEPT: &str = "private-";

/// Damaged files of one digest that are kept; after that many the next one stays where it is.
const KEPT_OF_ONE_MAX: u32 = 100;

impl Disk {
    /// Moves `temp` to its final name on the private shelf; when this returns, it outlives a loss of power. A file of
    /// the same digest gives way, being equal.
    ///
    /// Slow is what [`TempFile::sync`] waits for: call it before, outside of any lock.
    pub fn adopt_private(&self, mut temp: TempFile, digest: Sha256) -> Result<DiskFile, DiskError> {
        temp.sync()?;
        let facts = temp.place(|path| self.settle(path, &digest))?;
        self.verified.add(&digest, &facts);
        Ok(DiskFile { file: temp.file(), len: facts.len(), verified: true, shelf: Shelf::Private })
    }

    /// Puts a file of the cache on the private shelf too, where it stays when the cache evicts it. None when it is on
    /// neither shelf, or damaged: it must be fetched first. It reads what nobody has verified in this run.
    pub fn link_private(&self, digest: &Sha256) -> Result<Option<DiskFile>, DiskError> {
        if let Some(kept) = self.get_on(Shelf::Private, digest)? {
            if kept.verified || self.verify(digest, &kept, |_| {})? {
                return Ok(Some(DiskFile { verified: true, ..kept }));
            }
            self.take_private_away(digest, Some(&kept));
        }
        let Some(cached) = self.get_on(Shelf::Cache, digest)? else { return Ok(None) };
        if !cached.verified && !self.verify(digest, &cached, |_| {})? {
            self.take_cached_away(digest);
            return Ok(None);
        }
        let temp = match self.second_name(digest, &cached) {
            Some(temp) => temp,
            None => self.copy(digest, &cached)?,
        };
        self.adopt_private(temp, *digest).map(Some)
    }

    /// Removes a private file; one that is not there is removed already. Who has it open reads on.
    ///
    /// The caller sees to it that nobody publishes these bytes meanwhile: from before it asked whether a row refers to
    /// them until this returns.
    pub fn remove_private(&self, digest: &Sha256) -> Result<(), DiskError> {
        let _settled = self.settled.lock();
        self.verified.forget(digest);
        let removed = super::remove_file(&self.path(Shelf::Private, digest));
        self.opened.forget(Shelf::Private, digest);
        removed
    }

    /// Moves what is under a private file's name to the quarantine: `damaged`, or what is no file. Says whether it did;
    /// a good file that has come in its place meanwhile stays.
    pub(super) fn take_private_away(&self, digest: &Sha256, damaged: Option<&DiskFile>) -> bool {
        let _settled = self.settled.lock();
        self.take_settled_away(digest, damaged)
    }

    /// The same, for who holds the lock.
    fn take_settled_away(&self, digest: &Sha256, damaged: Option<&DiskFile>) -> bool {
        let path = self.path(Shelf::Private, digest);
        let Ok(facts) = path.symlink_metadata() else { return false };
        let damaged = damaged.and_then(|file| inode(&file.file.metadata()));
        if facts.is_file() && damaged != Some(facts.ino()) {
            return false;
        }
        let quarantine = self.root.join("quarantine");
        let _ = make_directory(&quarantine);
        let mut names = (0..KEPT_OF_ONE_MAX).map(|n| quarantine.join(format!("{KEPT}{}-{n}", digest.to_hex())));
        let free = names.find(|name| name.symlink_metadata().is_err());
        let moved = free.is_some_and(|name| fs::rename(&path, name).is_ok());
        if !moved {
            tracing::error!(%digest, "a damaged private file cannot be set aside; it stays where it is");
        }
        self.opened.forget(Shelf::Private, digest);
        moved
    }

    /// Renames and waits until the new name is on the disk. A name that may not outlive a loss of power is taken back,
    /// unless an equal file had it before.
    fn settle(&self, from: &Path, digest: &Sha256) -> Result<(), DiskError> {
        let target = self.path(Shelf::Private, digest);
        let mut settled = self.settled.lock();
        if target.is_dir() {
            self.take_settled_away(digest, None);
        }
        let had = target.symlink_metadata().is_ok();
        let directory = target.parent().unwrap_or(&self.root);
        let rename = || fs::rename(from, &target);
        let renamed = rename().or_else(|_| {
            make_directory(&self.root.join(PRIVATE))?;
            make_directory(directory)?;
            settled.0.clear();
            rename()
        });
        renamed.map_err(DiskError::Unwritable)?;
        // Where both names were one file's already, renaming has done nothing.
        let _ = fs::remove_file(from);
        if let Err(why) = settled.settle(&self.root, directory) {
            if !had {
                let _ = fs::remove_file(&target);
            }
            return Err(DiskError::Unwritable(why));
        }
        Ok(())
    }

    /// One more name for a cached file, as a temporary file; none where that does not go.
    fn second_name(&self, digest: &Sha256, cached: &DiskFile) -> Option<TempFile> {
        let path = self.temp_path();
        fs::hard_link(self.path(Shelf::Cache, digest), &path).ok()?;
        let same = inode(&path.symlink_metadata()) == inode(&cached.file.metadata());
        let temp = TempFile::new(cached.file.clone(), path);
        // Else the cache was given another file of this digest meanwhile, which we have not read.
        same.then_some(temp)
    }

    pub(super) fn copy(&self, digest: &Sha256, from: &DiskFile) -> Result<TempFile, DiskError> {
        let temp = self.create_temp()?;
        let mut failed = None;
        let read = read_through(&from.file, from.len, |piece, at| match temp.write_at(piece, at) {
            Ok(()) => ControlFlow::Continue(()),
            Err(why) => {
                failed = Some(why);
                ControlFlow::Break(())
            }
        });
        match (failed, read.map_err(DiskError::Unreadable)?) {
            (Some(why), _) => return Err(why),
            (None, ReadThrough::Whole(found)) if found == *digest => {}
            _ => return Err(DiskError::Unwritable(io::Error::other("a copy differs from what was copied"))),
        }
        Ok(temp)
    }
}

impl Settled {
    /// Waits until the disk has the names in `directory`, and those of the directories above it.
    fn settle(&mut self, root: &Path, directory: &Path) -> io::Result<()> {
        sync_directory(directory)?;
        if !self.0.contains(directory) {
            sync_directory(&root.join(PRIVATE))?;
            sync_directory(root)?;
            self.0.insert(directory.to_owned());
        }
        Ok(())
    }
}

fn inode(facts: &io::Result<fs::Metadata>) -> Option<u64> {
    facts.as_ref().ok().map(MetadataExt::ino)
}

/// Whether a file in the quarantine was private: those are kept for good.
pub(super) fn is_kept(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(KEPT.as_bytes())
}

/// Waits until the disk has a file's bytes; on macOS also until the disk has written what it remembers.
pub(super) fn sync(file: &File) -> io::Result<()> {
    match file.sync_all() {
        // A network's file system may know only the plain way.
        Err(why) if is_unknown(&why) => Ok(rustix::fs::fsync(file)?),
        synced => synced,
    }
}

/// Some file systems know no such thing for directories: their names are on the disk when they say so themselves.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    match sync(&File::open(path)?) {
        Err(why) if is_unknown(&why) => Ok(()),
        synced => synced,
    }
}

fn is_unknown(why: &io::Error) -> bool {
    matches!(why.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput)
}

#[cfg(test)]
mod tests;
