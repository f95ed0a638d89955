use super::ExportError;
use crate::cache::{Look, ReadThrough, Seen, Shelf, read_through};
use crate::names::Sha256;
use crate::platform;
use crate::store::PRIVATE_FILE;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What makes a directory an export.
const INDEX_FILE: &str = "dataindex.json";

/// The database as it was at one moment, while the export is under way.
const SNAPSHOT: &str = ".snapshot";

/// The directory that is exported into. All methods block.
pub(super) struct Target {
    root: PathBuf,
    /// What must reach the disk before the end: names in directories, and bytes that were copied.
    directories: BTreeSet<PathBuf>,
    copies: Vec<PathBuf>,
}

/// What became of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// It has one more name; the bytes are the data directory's.
    Linked,
    Copied,
    Missing,
    /// It could not be had whole, and why.
    Damaged(String),
}

impl Target {
    /// Makes the directory, or takes an empty one. Hashes of passwords come into it, so it is for its owner alone.
    pub(super) fn claim(root: &Path) -> Result<Self, ExportError> {
        if root.symlink_metadata().is_ok() && fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(ExportError::NotEmpty { path: root.to_owned() });
        }
        make(root).and_then(|()| fs::read_dir(root).map(drop)).map_err(ExportError::target(root))?;
        Ok(Self { root: root.to_owned(), directories: BTreeSet::from([root.to_owned()]), copies: Vec::new() })
    }

    pub(super) fn snapshot_directory(&self) -> PathBuf {
        self.root.join(SNAPSHOT)
    }

    /// Where a copy of the database may be written; it goes at the end.
    pub(super) fn snapshot(&self) -> Result<PathBuf, ExportError> {
        let directory = self.snapshot_directory();
        make(&directory).map_err(ExportError::target(&directory))?;
        Ok(directory.join(PRIVATE_FILE))
    }

    /// Puts a file of the data directory under `path`, and reads it through there.
    pub(super) fn place(
        &mut self,
        look: &Look,
        digest: &Sha256,
        path: &str,
        mut read: impl FnMut(u64),
    ) -> Result<Placed, ExportError> {
        let to = self.root.join(path);
        let directory = to.parent().unwrap_or(&self.root).to_owned();
        make(&directory).map_err(ExportError::target(&directory))?;
        let inside = directory.ancestors().take_while(|above| above.starts_with(&self.root));
        self.directories.extend(inside.map(Path::to_owned));
        let mut damaged = None;
        for shelf in [Shelf::Private, Shelf::Cache] {
            let file = match look.see(shelf, digest) {
                Ok(Seen::File(file)) => file,
                Ok(Seen::Missing) => continue,
                Ok(Seen::Odd) => {
                    damaged = Some("what is in its place is no file".to_owned());
                    continue;
                }
                Err(why) => {
                    damaged = Some(format!("it cannot be read: {why}"));
                    continue;
                }
            };
            let linked = fs::hard_link(look.path(shelf, digest), &to).is_ok();
            let carried = match linked {
                true => File::open(&to).and_then(|file| through(&file, |_, _| Ok(()), &mut read)),
                false => copy(&file.file, &to, &mut read).map_err(ExportError::target(&to))?,
            };
            damaged = Some(match carried {
                Ok(found) if found == Some(*digest) => {
                    if linked {
                        return Ok(Placed::Linked);
                    }
                    self.copies.push(to);
                    return Ok(Placed::Copied);
                }
                Ok(_) => "its bytes are damaged".to_owned(),
                Err(why) => format!("it cannot be read: {why}"),
            });
            fs::remove_file(&to).map_err(ExportError::target(&to))?;
        }
        Ok(damaged.map_or(Placed::Missing, Placed::Damaged))
    }

    /// Makes the export one: everything reaches the disk, and then its index is there, whole.
    pub(super) fn finish(&self, index: &Value) -> Result<(), ExportError> {
        self.drop_snapshot();
        let (part, whole) = (self.root.join(".dataindex.json"), self.root.join(INDEX_FILE));
        let file = File::options().write(true).create_new(true).mode(0o600).open(&part);
        let mut file = BufWriter::new(file.map_err(ExportError::target(&part))?);
        serde_json::to_writer_pretty(&mut file, index)?;
        file.flush().and_then(|()| file.get_ref().sync_all()).map_err(ExportError::target(&part))?;
        self.sync()?;
        fs::rename(&part, &whole).and_then(|()| sync(&self.root)).map_err(ExportError::target(&whole))
    }

    /// Sees to it that files and names are on the disk: at once where that goes, else thousands of times.
    fn sync(&self) -> Result<(), ExportError> {
        let whole = File::open(&self.root).and_then(|root| platform::sync_file_system(&root));
        if whole.map_err(ExportError::target(&self.root))? {
            return Ok(());
        }
        for path in self.copies.iter().chain(&self.directories) {
            sync(path).map_err(ExportError::target(path))?;
        }
        Ok(())
    }

    fn drop_snapshot(&self) {
        let _ = fs::remove_dir_all(self.snapshot_directory());
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.drop_snapshot();
    }
}

fn make(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Copies into a new file. Trouble with reading is told inside, with writing outside.
fn copy(from: &File, to: &Path, read: impl FnMut(u64)) -> io::Result<io::Result<Option<Sha256>>> {
    let target = File::options().write(true).create_new(true).mode(0o600).open(to)?;
    let mut trouble = None;
    let found = through(from, |piece, at| target.write_all_at(piece, at).map_err(|why| trouble = Some(why)), read);
    match trouble {
        Some(why) => Err(why),
        None => Ok(found),
    }
}

/// Reads a file through; its digest, or none when it is shorter than it said or `each` wanted no more.
fn through(
    file: &File,
    mut each: impl FnMut(&[u8], u64) -> Result<(), ()>,
    mut read: impl FnMut(u64),
) -> io::Result<Option<Sha256>> {
    let len = file.metadata()?.len();
    let found = read_through(file, len, |piece, at| {
        read(piece.len() as u64);
        match each(piece, at) {
            Ok(()) => ControlFlow::Continue(()),
            Err(()) => ControlFlow::Break(()),
        }
    })?;
    Ok(match found {
        ReadThrough::Whole(digest) => Some(digest),
        ReadThrough::Cut(_) | ReadThrough::Stopped => None,
    })
}
