use crate::names::Sha256;
use parking_lot::Mutex;
use rustix::fs::{FlockOperation, Mode, OFlags};
use sha2::Digest;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The directory of cached files. A file under its final name is whole: it was verified as a temporary file and
/// renamed. Its name is its SHA-256; no string from outside is ever part of a path.
///
/// ```text
/// DATA/files/ab/cdef…   whole files            DATA/tmp/…          leftovers are swept at start
/// DATA/quarantine/…     damaged, set aside     DATA/lock           held by the one process that serves
/// ```
///
/// All methods block.
pub struct Disk {
    root: PathBuf,
    next_temp: AtomicU64,
    /// What this process has verified, by digest: a file that changed since is verified again.
    verified: Mutex<HashMap<Sha256, Stamp>>,
    _lock: File,
}

/// A whole file, open.
#[derive(Debug, Clone)]
pub struct DiskFile {
    pub file: Arc<File>,
    pub len: u64,
    /// Whether this process has seen that the bytes have the digest.
    pub verified: bool,
}

impl DiskFile {
    /// The whole file, in memory.
    pub fn read(&self) -> Result<Vec<u8>, DiskError> {
        let mut bytes = vec![0; usize::try_from(self.len).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut bytes, 0).map_err(DiskError::Unreadable)?;
        Ok(bytes)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// No space, no inodes, quota, read-only: a state of the disk, not of the file.
    #[error("the cache directory cannot be written: {0}")]
    Unwritable(#[source] io::Error),
    #[error("the cache directory cannot be read: {0}")]
    Unreadable(#[source] io::Error),
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("the data directory {} is in use by process {holder}; stop it, or give another --data", path.display())]
    Held { path: PathBuf, holder: String },
    #[error("the data directory {} cannot be opened: {why}; make it writable for this user, or give another --data", path.display())]
    Directory { path: PathBuf, why: io::Error },
}

/// What the file system of a directory allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    Writable,
    Full,
    ReadOnly,
}

/// Less than this is full, in bytes: a database could not even grow by a few pages.
const SPACE_BYTES_MIN: u64 = 1024 * 1024;

impl Space {
    /// Looks at the directory, or at the nearest one above it that exists. When in doubt it is writable: an attempt
    /// to write says the rest.
    pub fn of(directory: &Path) -> Self {
        let Some(Ok(facts)) = directory.ancestors().find(|d| d.is_dir()).map(rustix::fs::statvfs) else {
            return Self::Writable;
        };
        match facts {
            facts if facts.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) => Self::ReadOnly,
            facts if facts.f_bavail.saturating_mul(facts.f_frsize) < SPACE_BYTES_MIN => Self::Full,
            _ => Self::Writable,
        }
    }
}

/// What tells that a file is still the one that was verified.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    len: u64,
    modified: (i64, i64),
    inode: u64,
}

/// Damaged files kept for a look; older ones give way.
const QUARANTINE_FILES_MAX: usize = 16;

/// Piece in which a file is read to be verified, in bytes: large enough for the disk, small enough for memory.
const VERIFY_PIECE_BYTES: usize = 256 * 1024;

impl Disk {
    /// Opens (or makes) the directory, takes its lock, and sweeps what an earlier process left half done.
    pub fn open(root: &Path) -> Result<Self, LockError> {
        let failed = |why: io::Error| LockError::Directory { path: root.to_owned(), why };
        let space = Space::of(root);
        for part in ["files", "tmp", "quarantine"] {
            match fs::create_dir_all(root.join(part)) {
                // What cannot be written can still be read: what is there is served.
                Err(why) if space == Space::Writable || !root.is_dir() => return Err(failed(why)),
                _ => {}
            }
        }
        let lock = take_lock(root)?;
        if space == Space::ReadOnly {
            return Ok(Self {
                root: root.to_owned(),
                next_temp: AtomicU64::new(0),
                verified: Mutex::default(),
                _lock: lock,
            });
        }
        for entry in fs::read_dir(root.join("tmp")).map_err(failed)?.flatten() {
            let _ = fs::remove_file(entry.path());
        }
        Ok(Self { root: root.to_owned(), next_temp: AtomicU64::new(0), verified: Mutex::default(), _lock: lock })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The whole file with this digest, if it is there. A cut file is noticed by who knows its size; a link, a
    /// directory or a pipe in its place is set aside.
    pub fn get(&self, digest: &Sha256) -> Result<Option<DiskFile>, DiskError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match rustix::fs::open(self.path(digest), flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO) => {
                self.set_aside(digest);
                return Ok(None);
            }
            Err(error) => return Err(DiskError::Unreadable(error.into())),
        };
        let facts = file.metadata().map_err(DiskError::Unreadable)?;
        if !facts.is_file() {
            self.set_aside(digest);
            return Ok(None);
        }
        let verified = self.verified.lock().get(digest) == Some(&Stamp::of(&facts));
        Ok(Some(DiskFile { len: facts.len(), file: Arc::new(file), verified }))
    }

    /// Whether a file has this digest's name.
    pub fn has(&self, digest: &Sha256) -> bool {
        self.path(digest).is_file()
    }

    /// Reads the whole of `file`, telling how far it is, and says whether it has the digest; if so it counts as
    /// verified from now on.
    pub fn verify(&self, digest: &Sha256, file: &DiskFile, mut read: impl FnMut(u64)) -> Result<bool, DiskError> {
        let facts = file.file.metadata().map_err(DiskError::Unreadable)?;
        let mut hasher = sha2::Sha256::new();
        let mut piece = vec![0; VERIFY_PIECE_BYTES];
        let mut at = 0;
        while at < file.len {
            let want = piece.len().min((file.len - at) as usize);
            let Some(buffer) = piece.get_mut(..want) else { break };
            let got = match file.file.read_at(buffer, at) {
                Ok(0) => return Ok(false),
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(DiskError::Unreadable(error)),
            };
            hasher.update(buffer.get(..got).unwrap_or_default());
            at += got as u64;
            read(got as u64);
        }
        let agrees = Sha256::from_bytes(hasher.finalize().into()) == *digest;
        if agrees {
            self.verified.lock().insert(*digest, Stamp::of(&facts));
        }
        Ok(agrees)
    }

    /// A new temporary file; its drop removes it.
    pub fn create_temp(self: &Disk) -> Result<TempFile, DiskError> {
        let path = self.root.join("tmp").join(self.next_temp.fetch_add(1, Ordering::Relaxed).to_string());
        let open = || File::options().read(true).write(true).create_new(true).open(&path);
        let file = open().or_else(|error| {
            // Somebody removed our directories under us: make them again.
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            fs::create_dir_all(self.root.join("tmp"))?;
            open()
        });
        let file = Arc::new(file.map_err(DiskError::Unwritable)?);
        Ok(TempFile { file, path: Some(path), files: self.root.join("files") })
    }

    /// Moves `temp` to its final name and remembers it as verified.
    pub fn adopt(&self, temp: TempFile, digest: Sha256) -> Result<DiskFile, DiskError> {
        let file = temp.publish(digest)?;
        if let Ok(facts) = file.file.metadata() {
            self.verified.lock().insert(digest, Stamp::of(&facts));
        }
        Ok(file)
    }

    /// Removes a file; one that is not there is removed already. Who has it open reads on.
    pub fn remove(&self, digest: &Sha256) -> Result<(), DiskError> {
        self.verified.lock().remove(digest);
        match fs::remove_file(self.path(digest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DiskError::Unwritable(error)),
            _ => Ok(()),
        }
    }

    /// Takes a damaged file out of its place, kept for a look.
    pub fn set_aside(&self, digest: &Sha256) {
        self.verified.lock().remove(digest);
        let quarantine = self.root.join("quarantine");
        if fs::rename(self.path(digest), quarantine.join(digest.to_hex())).is_err() {
            let _ = fs::remove_file(self.path(digest));
        }
        let mut kept: Vec<_> = fs::read_dir(&quarantine).into_iter().flatten().flatten().collect();
        kept.sort_by_key(|entry| entry.metadata().and_then(|facts| facts.modified()).ok());
        let surplus = kept.len().saturating_sub(QUARANTINE_FILES_MAX);
        for entry in kept.iter().take(surplus) {
            let _ = fs::remove_file(entry.path());
        }
    }

    /// Every whole file with its size; `each` returns whether to go on. Foreign names are passed over.
    pub fn scan(&self, mut each: impl FnMut(Sha256, u64) -> bool) {
        let files = self.root.join("files");
        for directory in fs::read_dir(files).into_iter().flatten().flatten() {
            for entry in fs::read_dir(directory.path()).into_iter().flatten().flatten() {
                let (front, back) = (directory.file_name(), entry.file_name());
                let hex = format!("{}{}", front.to_string_lossy(), back.to_string_lossy());
                let Ok(digest) = Sha256::from_hex(&hex) else { continue };
                let Ok(facts) = entry.metadata() else { continue };
                if facts.is_file() && !each(digest, facts.len()) {
                    return;
                }
            }
        }
    }

    fn path(&self, digest: &Sha256) -> PathBuf {
        path_of(&self.root.join("files"), digest)
    }
}

fn path_of(files: &Path, digest: &Sha256) -> PathBuf {
    let hex = digest.to_hex();
    let (front, back) = hex.split_at(2);
    files.join(front).join(back)
}

/// A file that is not whole yet; its drop removes it.
pub struct TempFile {
    file: Arc<File>,
    path: Option<PathBuf>,
    files: PathBuf,
}

impl TempFile {
    pub fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    pub fn write_at(&self, bytes: &[u8], at: u64) -> Result<(), DiskError> {
        self.file.write_all_at(bytes, at).map_err(DiskError::Unwritable)
    }

    fn publish(mut self, digest: Sha256) -> Result<DiskFile, DiskError> {
        let len = self.file.metadata().map_err(DiskError::Unwritable)?.len();
        let Some(temp) = self.path.take() else { return Err(DiskError::Unwritable(io::ErrorKind::NotFound.into())) };
        let target = path_of(&self.files, &digest);
        let rename = || fs::rename(&temp, &target);
        let renamed = rename().or_else(|_| {
            target.parent().map_or(Ok(()), fs::create_dir_all)?;
            rename()
        });
        if let Err(error) = renamed {
            self.path = Some(temp);
            return Err(DiskError::Unwritable(error));
        }
        Ok(DiskFile { file: Arc::clone(&self.file), len, verified: true })
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            let _ = fs::remove_file(path);
        }
    }
}

impl Stamp {
    fn of(facts: &fs::Metadata) -> Self {
        Self { len: facts.len(), modified: (facts.mtime(), facts.mtime_nsec()), inode: facts.ino() }
    }
}

/// The lock is the kernel's (flock), so a crash frees it; the number in it is for people.
fn take_lock(root: &Path) -> Result<File, LockError> {
    let failed = |why: io::Error| LockError::Directory { path: root.to_owned(), why };
    let path = root.join("lock");
    let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    // On a read-only file system an old lock file, or else the directory itself, is locked just as well.
    let open = open.or_else(|why| File::open(&path).or_else(|_| File::open(root)).map_err(|_| why));
    let mut lock = open.map_err(failed)?;
    if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut holder = String::new();
        let _ = (&lock).take(32).read_to_string(&mut holder);
        return Err(LockError::Held { path: root.to_owned(), holder: holder.trim().to_owned() });
    }
    let _ = lock.set_len(0);
    let _ = writeln!(lock, "{}", std::process::id());
    Ok(lock)
}

#[cfg(test)]
#[path = "disk/tests.rs"]
mod tests;
