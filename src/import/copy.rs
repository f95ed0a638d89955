use super::ImportError;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A copy of a foreign SQLite database in a directory of ours; its drop removes it. The original may have been left in
/// the middle of a change, which only a database that may be written can undo.
pub struct Copy {
    path: PathBuf,
}

/// What SQLite puts beside a database.
const BESIDE: [&str; 3] = ["-journal", "-wal", "-shm"];

impl Copy {
    /// Blocks: the database may have gigabytes.
    pub fn make(original: &Path, room: &Path) -> Result<Self, ImportError> {
        let copy = Self { path: room.join("devpi.sqlite") };
        let before = stamps(original);
        for (from, to) in names(original).into_iter().zip(names(&copy.path)) {
            match fs::copy(&from, &to) {
                // Like the original it may be one that nobody may write.
                Ok(_) => drop(fs::set_permissions(&to, fs::Permissions::from_mode(0o600))),
                // Most have none of what may lie beside.
                Err(why) if why.kind() == io::ErrorKind::NotFound && from != original => {}
                Err(why) if fs::File::open(&from).is_err() => return Err(ImportError::Read { path: from, why }),
                Err(why) => return Err(ImportError::Copy { path: to, why }),
            }
        }
        if stamps(original) != before {
            return Err(ImportError::Changing(original.to_owned()));
        }
        Ok(copy)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        for path in names(&self.path) {
            let _ = fs::remove_file(path);
        }
    }
}

/// The database and what may lie beside it.
fn names(database: &Path) -> Vec<PathBuf> {
    let beside = |ending: &&str| {
        let mut name = database.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    std::iter::once(database.to_owned()).chain(BESIDE.iter().map(beside)).collect()
}

/// What changes when somebody writes.
fn stamps(database: &Path) -> Vec<Option<(u64, i64, i64)>> {
    let stamp = |facts: Metadata| (facts.len(), facts.mtime(), facts.mtime_nsec());
    // Not the shared memory, which readers touch.
    names(database).iter().take(3).map(|path| fs::metadata(path).ok().map(stamp)).collect()
}
