//! Files of other programs' directories: read, verified, and given one more name on a shelf of ours where that goes.
//! Nothing here writes to them; a file on a shelf is never written in place either, so that a shared inode stays as it is.

use super::{Disk, DiskError, DiskFile, ReadThrough, Shelf, TempFile, read_through};
use crate::names::Sha256;
use md5::Digest;
use rustix::fs::{Mode, OFlags};
use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that is not ours, open to be read.
pub struct ForeignFile {
    path: PathBuf,
    file: Arc<File>,
    len: u64,
    /// Unix seconds.
    modified: u64,
}

/// How a foreign file came onto a shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenIn {
    /// The shelf had these bytes.
    There,
    /// Both directories name one file.
    Linked,
    Copied,
}

impl ForeignFile {
    /// Opens a plain file; a link, a directory or a pipe is refused.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        let facts = file.metadata()?;
        if !facts.is_file() {
            return Err(io::Error::other("it is no plain file"));
        }
        let modified = u64::try_from(facts.mtime()).unwrap_or_default();
        Ok(Self { path: path.to_owned(), file: Arc::new(file), len: facts.len(), modified })
    }

    pub fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn modified(&self) -> u64 {
        self.modified
    }

    /// Reads it to its end: its SHA-256, and its MD5 in hex where that is asked for.
    pub fn digests(&self, with_md5: bool) -> io::Result<(Sha256, Option<String>)> {
        let mut md5 = with_md5.then(md5::Md5::new);
        let read = read_through(&self.file, self.len, |piece, _| {
            if let Some(md5) = &mut md5 {
                md5.update(piece);
            }
            ControlFlow::Continue(())
        });
        let ReadThrough::Whole(sha256) = read? else { return Err(io::Error::other("it changes while it is read")) };
        let md5 = md5.map(|md5| md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        Ok((sha256, md5))
    }
}

impl Disk {
    /// Puts a foreign file on a shelf. `digest` is what [`ForeignFile::digests`] has just found.
    pub fn take_in(&self, foreign: &ForeignFile, digest: &Sha256, shelf: Shelf) -> Result<TakenIn, DiskError> {
        if let Some(there) = self.get_on(shelf, digest)?
            && there.len == foreign.len
            && (there.verified || self.verify(digest, &there, |_| {})?)
        {
            return Ok(TakenIn::There);
        }
        let (temp, taken) = match self.name_beside(foreign) {
            Some(temp) => (temp, TakenIn::Linked),
            None => {
                let from = DiskFile { file: foreign.file(), len: foreign.len, verified: true, shelf };
                (self.copy(digest, &from)?, TakenIn::Copied)
            }
        };
        match shelf {
            Shelf::Cache => self.adopt(temp, *digest)?,
            Shelf::Private => self.adopt_private(temp, *digest)?,
        };
        Ok(taken)
    }

    /// One more name for the file, as a temporary file; none where that does not go (another file system, another owner).
    fn name_beside(&self, foreign: &ForeignFile) -> Option<TempFile> {
        let path = self.temp_path();
        fs::hard_link(&foreign.path, &path).ok()?;
        let same = |facts: io::Result<fs::Metadata>| facts.ok().map(|facts| (facts.dev(), facts.ino()));
        let linked = same(path.symlink_metadata());
        let temp = TempFile::new(foreign.file(), path);
        // Else its directory was given another file of this name meanwhile, which was not read.
        (linked.is_some() && linked == same(foreign.file.metadata())).then_some(temp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_file_is_linked_and_stays_where_it_is() {
        let (data, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let disk = Disk::open(data.path()).unwrap();
        let path = other.path().join("a.whl");
        fs::write(&path, b"bytes").unwrap();
        let foreign = ForeignFile::open(&path).unwrap();
        let (digest, md5) = foreign.digests(true).unwrap();
        assert_eq!((digest, md5.unwrap().len()), (Sha256::of(b"bytes"), 32));
        for shelf in [Shelf::Cache, Shelf::Private] {
            assert_eq!(disk.take_in(&foreign, &digest, shelf).unwrap(), TakenIn::Linked);
            assert_eq!(disk.take_in(&foreign, &digest, shelf).unwrap(), TakenIn::There);
            let taken = disk.get_on(shelf, &digest).unwrap().unwrap();
            assert_eq!(taken.file.metadata().unwrap().ino(), path.metadata().unwrap().ino());
        }
        disk.remove(&digest).unwrap();
        disk.remove_private(&digest).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"bytes");
        assert_eq!(path.metadata().unwrap().nlink(), 1);
        assert_eq!(fs::read_dir(data.path().join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn what_cannot_be_linked_is_copied_and_never_another_file() {
        let (data, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let disk = Disk::open(data.path()).unwrap();
        let path = other.path().join("a.whl");
        fs::write(&path, vec![7; 600_000]).unwrap();
        let foreign = ForeignFile::open(&path).unwrap();
        let (digest, _) = foreign.digests(false).unwrap();
        // The name leads to other bytes by now, or to none.
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"others").unwrap();
        assert_eq!(disk.take_in(&foreign, &digest, Shelf::Cache).unwrap(), TakenIn::Copied);
        fs::remove_file(&path).unwrap();
        assert_eq!(disk.take_in(&foreign, &digest, Shelf::Private).unwrap(), TakenIn::Copied);
        for shelf in [Shelf::Cache, Shelf::Private] {
            assert_eq!(disk.get_on(shelf, &digest).unwrap().unwrap().read().unwrap(), vec![7; 600_000]);
        }
        assert!(disk.take_in(&foreign, &Sha256::of(b"wrong"), Shelf::Cache).is_err());
        assert_eq!(fs::read_dir(data.path().join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn links_and_directories_are_refused() {
        let other = tempfile::tempdir().unwrap();
        let path = other.path().join("a.whl");
        std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
        assert!(ForeignFile::open(&path).is_err());
        assert!(ForeignFile::open(other.path()).is_err());
        assert!(ForeignFile::open(&other.path().join("none")).is_err());
    }
}
