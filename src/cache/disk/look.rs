use super::{DiskFile, PRIVATE, Shelf, open_file, path_of, scan};
use crate::names::Sha256;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The shelves of a data directory that a server may be working on, only read: nothing is made, moved or remembered.
///
/// All methods block.
#[derive(Debug, Clone)]
pub struct Look {
    root: PathBuf,
}

/// What lies under a digest's name.
#[derive(Debug)]
pub enum Seen {
    File(DiskFile),
    Missing,
    /// A link, a directory, a pipe.
    Odd,
}

impl Look {
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub fn see(&self, shelf: Shelf, digest: &Sha256) -> io::Result<Seen> {
        let file = match open_file(&self.path(shelf, digest)) {
            Ok(fd) => File::from(fd),
            Err(rustix::io::Errno::NOENT) => return Ok(Seen::Missing),
            Err(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO) => return Ok(Seen::Odd),
            Err(error) => return Err(error.into()),
        };
        let facts = file.metadata()?;
        if !facts.is_file() {
            return Ok(Seen::Odd);
        }
        Ok(Seen::File(DiskFile { len: facts.len(), file: Arc::new(file), verified: false, shelf }))
    }

    /// The length of the file under a digest's name, if it is one.
    pub fn len(&self, shelf: Shelf, digest: &Sha256) -> Option<u64> {
        fs::symlink_metadata(self.path(shelf, digest)).ok().filter(fs::Metadata::is_file).map(|facts| facts.len())
    }

    /// When the file under a digest's name came there or was last changed, in Unix seconds.
    pub fn changed(&self, shelf: Shelf, digest: &Sha256) -> Option<u64> {
        let facts = fs::symlink_metadata(self.path(shelf, digest)).ok()?;
        u64::try_from(facts.ctime().max(facts.mtime())).ok()
    }

    /// Every file with a digest's name on a shelf, and its size; `each` returns whether to go on.
    pub fn scan(&self, shelf: Shelf, mut each: impl FnMut(Sha256, u64) -> bool) {
        scan(&self.shelf(shelf), |digest, len, _| each(digest, len));
    }

    /// Every file with a digest's name that begins with `first`, its size, and when it was written (Unix seconds), in order.
    pub fn scan_part(&self, shelf: Shelf, first: u8) -> Vec<(Sha256, u64, u64)> {
        let mut found = Vec::new();
        super::scan_directory(&self.shelf(shelf).join(format!("{first:02x}")), &mut |digest, len, written| {
            found.push((digest, len, written));
            true
        });
        found.sort();
        found
    }

    pub fn path(&self, shelf: Shelf, digest: &Sha256) -> PathBuf {
        path_of(&self.shelf(shelf), digest)
    }

    fn shelf(&self, shelf: Shelf) -> PathBuf {
        self.root.join(match shelf {
            Shelf::Cache => "files",
            Shelf::Private => PRIVATE,
        })
    }
}
