mod foreign;
mod look;
mod opened;
mod private;
mod read;
mod temp;
mod verified;

pub use foreign::{ForeignFile, TakenIn};
pub use look::{Look, Seen};
pub use opened::held_open_max;
pub use read::{ReadThrough, read_through};
pub use temp::TempFile;

use crate::names::Sha256;
use crate::platform::{self, Fixed};
use opened::Opened;
use parking_lot::Mutex;
use private::Settled;
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use verified::Verified;

/// The directory of whole files, on two shelves: what can be fetched again and may be evicted, and what users own, which
/// may not. A file under its final name is whole: it was verified as a temporary file and renamed; on the private shelf
/// it also outlives a loss of power. Its name is its SHA-256; no string from outside is ever part of a path.
///
/// ```text
/// DATA/files/ab/cdef…     the cache              DATA/tmp/…          leftovers are swept at start
/// DATA/private/ab/cdef…   what users own         DATA/lock           held by the one process that serves
/// DATA/quarantine/…       damaged, set aside
/// ```
///
/// All methods block.
pub struct Disk {
    root: PathBuf,
    next_temp: AtomicU64,
    verified: Verified,
    opened: Opened,
    /// Held while the private shelf changes.
    settled: Mutex<Settled>,
    /// None once another process has it.
    lock: Mutex<Option<File>>,
}

/// Where a whole file lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shelf {
    /// It can be fetched again, and may be evicted.
    Cache,
    /// It is what a user owns, or was made from it, and never goes by itself.
    Private,
}

/// A whole file, open.
#[derive(Debug, Clone)]
pub struct DiskFile {
    pub file: Arc<File>,
    pub len: u64,
    /// Whether this process has seen that the bytes have the digest.
    pub verified: bool,
    pub shelf: Shelf,
}

impl DiskFile {
    /// The whole file, in memory.
    pub fn read(&self) -> Result<Vec<u8>, DiskError> {
        let mut bytes = vec![0; usize::try_from(self.len).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut bytes, 0).map_err(DiskError::Unreadable)?;
        Ok(bytes)
    }

    /// The same, to be sent often.
    pub fn load(&self) -> Result<Fixed, DiskError> {
        let len = usize::try_from(self.len).unwrap_or(usize::MAX);
        Fixed::filled(len, |bytes| self.file.read_exact_at(bytes, 0)).map_err(DiskError::Unreadable)
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

impl DiskError {
    /// What the error says of the disk: writable when it is neither full nor read-only, but failed all the same.
    pub fn space(&self) -> Space {
        match self {
            Self::Unwritable(why) => match why.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Space::Full,
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Space::ReadOnly,
                _ => Space::Writable,
            },
            Self::Unreadable(_) => Space::Writable,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("the data directory {} is in use by process {holder}; stop it, give another --data, or let `sidewheel serve --take-over` replace it", path.display())]
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

/// The private shelf.
const PRIVATE: &str = "private";

/// Damaged files of the cache kept for a look; older ones give way.
const QUARANTINE_FILES_MAX: usize = 16;

impl Disk {
    /// Opens (or makes) the directory, takes its lock, and sweeps what an earlier process left half done.
    pub fn open(root: &Path) -> Result<Self, LockError> {
        Self::open_with(root, None)
    }

    /// Likewise, under the lock of the process that was here before, if there is one.
    pub fn open_with(root: &Path, lock: Option<File>) -> Result<Self, LockError> {
        let failed = |why: io::Error| LockError::Directory { path: root.to_owned(), why };
        let space = Space::of(root);
        for part in ["files", "tmp", "quarantine", PRIVATE] {
            match make_directory(&root.join(part)) {
                // What cannot be written can still be read: what is there is served.
                Err(why) if space == Space::Writable || !root.is_dir() => return Err(failed(why)),
                _ => {}
            }
        }
        let lock = match lock {
            Some(lock) => lock,
            None => take_lock(root)?,
        };
        sign(&lock);
        if space != Space::ReadOnly {
            for entry in fs::read_dir(root.join("tmp")).map_err(failed)?.flatten() {
                temp::sweep(&entry.path());
            }
        }
        Ok(Self {
            root: root.to_owned(),
            // Apart from those of a process that is still finishing beside us.
            next_temp: AtomicU64::new(u64::from(std::process::id()) << 32),
            verified: Verified::default(),
            opened: Opened::new(usize::try_from(held_open_max(platform::descriptors_max())).unwrap_or(0)),
            settled: Mutex::default(),
            lock: Mutex::new(Some(lock)),
        })
    }

    /// A second handle on the lock, for the process that takes over: it is held until both are gone.
    pub fn lock_copy(&self) -> io::Result<Option<File>> {
        self.lock.lock().as_ref().map(File::try_clone).transpose()
    }

    /// Writes into the lock again that this process holds it.
    pub fn sign_lock(&self) {
        if let Some(lock) = &*self.lock.lock() {
            sign(lock);
        }
    }

    /// Leaves the lock to the process that took over.
    pub fn leave_lock(&self) {
        self.lock.lock().take();
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The whole file with this digest, if it is on a shelf; the cache's comes first. A cut file is noticed by who knows
    /// its size; a link, a directory or a pipe in its place is set aside.
    pub fn get(&self, digest: &Sha256) -> Result<Option<DiskFile>, DiskError> {
        match self.get_on(Shelf::Cache, digest) {
            Ok(None) => self.get_on(Shelf::Private, digest),
            Err(why) => self.get_on(Shelf::Private, digest).ok().flatten().map(Some).ok_or(why),
            found => found,
        }
    }

    /// The whole file on one shelf.
    pub fn get_on(&self, shelf: Shelf, digest: &Sha256) -> Result<Option<DiskFile>, DiskError> {
        let file = match open_file(&self.path(shelf, digest)) {
            Ok(fd) => File::from(fd),
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO) => {
                self.take_odd_away(shelf, digest);
                return Ok(None);
            }
            Err(error) => return Err(DiskError::Unreadable(error.into())),
        };
        let facts = file.metadata().map_err(DiskError::Unreadable)?;
        if !facts.is_file() {
            self.take_odd_away(shelf, digest);
            return Ok(None);
        }
        let verified = self.verified.has(digest, &facts);
        Ok(Some(DiskFile { len: facts.len(), file: Arc::new(file), verified, shelf }))
    }

    /// [`Disk::get`] for who reads at positions of his own, as one who sends it does: what is verified stays open for the
    /// next, and others read from it meanwhile. Whoever moves the file's own position takes bytes from them.
    pub fn get_shared(&self, digest: &Sha256) -> Result<Option<DiskFile>, DiskError> {
        if let Some(file) = [Shelf::Cache, Shelf::Private].iter().find_map(|shelf| self.held(*shelf, digest)) {
            return Ok(Some(file));
        }
        let before = self.opened.before();
        let found = self.get(digest)?;
        if let Some(found) = found.as_ref().filter(|found| found.verified) {
            self.opened.put(before, found.shelf, digest, &found.file);
        }
        Ok(found)
    }

    /// A file that stayed open: as long as it has a name and is what was verified.
    fn held(&self, shelf: Shelf, digest: &Sha256) -> Option<DiskFile> {
        let file = self.opened.get(shelf, digest)?;
        let facts = file.metadata().ok().filter(|facts| facts.nlink() > 0 && self.verified.has(digest, facts));
        if facts.is_none() {
            self.opened.forget(shelf, digest);
        }
        facts.map(|facts| DiskFile { len: facts.len(), file, verified: true, shelf })
    }

    /// Whether a file on a shelf has this digest's name.
    pub fn has(&self, digest: &Sha256) -> bool {
        self.has_on(Shelf::Cache, digest) || self.has_on(Shelf::Private, digest)
    }

    pub fn has_on(&self, shelf: Shelf, digest: &Sha256) -> bool {
        self.path(shelf, digest).is_file()
    }

    /// Reads the whole of `file`, telling how far it is, and says whether it has the digest; if so it counts as
    /// verified from now on.
    pub fn verify(&self, digest: &Sha256, file: &DiskFile, mut read: impl FnMut(u64)) -> Result<bool, DiskError> {
        let facts = file.file.metadata().map_err(DiskError::Unreadable)?;
        let told = |piece: &[u8], _| {
            read(piece.len() as u64);
            ControlFlow::Continue(())
        };
        let found = read_through(&file.file, file.len, told).map_err(DiskError::Unreadable)?;
        let agrees = found == ReadThrough::Whole(*digest);
        if agrees {
            self.verified.add(digest, &facts);
        }
        Ok(agrees)
    }

    /// A new temporary file; its drop removes it.
    pub fn create_temp(&self) -> Result<TempFile, DiskError> {
        let path = self.temp_path();
        let open = || File::options().read(true).write(true).create_new(true).open(&path);
        let file = open().or_else(|error| {
            // Somebody removed our directories under us: make them again.
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            make_directory(&self.root.join("tmp"))?;
            open()
        });
        let file = file.map_err(DiskError::Unwritable)?;
        temp::claim(&file);
        Ok(TempFile::new(Arc::new(file), path))
    }

    /// Moves `temp` to its final name in the cache and remembers it as verified.
    pub fn adopt(&self, temp: TempFile, digest: Sha256) -> Result<DiskFile, DiskError> {
        self.adopt_on(Shelf::Cache, temp, digest)
    }

    /// Moves `temp` to its final name on a shelf. When that is to outlive a loss of power, call [`TempFile::sync`] before
    /// and, when all are there, [`Disk::settle_all`]: for many files at once that takes a fraction of the time.
    pub fn adopt_on(&self, shelf: Shelf, mut temp: TempFile, digest: Sha256) -> Result<DiskFile, DiskError> {
        let target = self.path(shelf, &digest);
        let rename = |temp: &Path| {
            fs::rename(temp, &target).or_else(|_| {
                if target.is_dir() {
                    self.take_odd_away(shelf, &digest);
                }
                target.parent().map_or(Ok(()), fs::create_dir_all)?;
                fs::rename(temp, &target)
            })
        };
        let facts = temp.place(|temp| rename(temp).map_err(DiskError::Unwritable))?;
        self.verified.add(&digest, &facts);
        Ok(DiskFile { file: temp.file(), len: facts.len(), verified: true, shelf })
    }

    /// Waits until the disk has the names of all files on a shelf.
    pub fn settle_all(&self, shelf: Shelf) -> Result<(), DiskError> {
        let directory = self.shelf(shelf);
        for part in fs::read_dir(&directory).map_err(DiskError::Unreadable)?.flatten() {
            if part.file_type().is_ok_and(|kind| kind.is_dir()) {
                private::sync_directory(&part.path()).map_err(DiskError::Unwritable)?;
            }
        }
        let above = private::sync_directory(&directory).and_then(|()| private::sync_directory(&self.root));
        above.map_err(DiskError::Unwritable)
    }

    /// Removes a file of the cache; one that is not there is removed already. Who has it open reads on.
    pub fn remove(&self, digest: &Sha256) -> Result<(), DiskError> {
        self.verified.forget(digest);
        let removed = remove_file(&self.path(Shelf::Cache, digest));
        self.opened.forget(Shelf::Cache, digest);
        removed
    }

    /// Takes a damaged file out of its place, kept for a look: the cache's, if it has one, or the private one. Tells whose
    /// was taken.
    pub fn set_aside(&self, digest: &Sha256) -> Option<Shelf> {
        let cached = self.path(Shelf::Cache, digest).symlink_metadata().is_ok();
        let shelf = if cached { Shelf::Cache } else { Shelf::Private };
        self.set_aside_on(shelf, digest).then_some(shelf)
    }

    /// Takes a damaged file from one shelf, and says whether it did. A private one is read first and stays when it is as
    /// it should be: nobody's wrong idea of it moves what is owned.
    pub fn set_aside_on(&self, shelf: Shelf, digest: &Sha256) -> bool {
        self.verified.forget(digest);
        if shelf == Shelf::Cache {
            self.take_cached_away(digest);
            return true;
        }
        match self.look().see(Shelf::Private, digest) {
            Ok(Seen::Odd) => self.take_private_away(digest, None),
            Ok(Seen::File(file)) if !self.verify(digest, &file, |_| {}).unwrap_or(true) => {
                self.take_private_away(digest, Some(&file))
            }
            _ => false,
        }
    }

    /// The shelves, for who only reads them through.
    pub fn look(&self) -> Look {
        Look::at(&self.root)
    }

    /// Moves what is under a digest's name, and is no file, to the quarantine.
    fn take_odd_away(&self, shelf: Shelf, digest: &Sha256) {
        match shelf {
            Shelf::Cache => self.take_cached_away(digest),
            Shelf::Private => {
                self.take_private_away(digest, None);
            }
        }
    }

    fn take_cached_away(&self, digest: &Sha256) {
        let quarantine = self.root.join("quarantine");
        let path = self.path(Shelf::Cache, digest);
        if fs::rename(&path, quarantine.join(digest.to_hex())).is_err() {
            let _ = fs::remove_file(&path);
        }
        self.opened.forget(Shelf::Cache, digest);
        let kept = fs::read_dir(&quarantine).into_iter().flatten().flatten();
        let mut kept: Vec<_> = kept.filter(|entry| !private::is_kept(&entry.file_name())).collect();
        kept.sort_by_key(|entry| entry.metadata().and_then(|facts| facts.modified()).ok());
        let surplus = kept.len().saturating_sub(QUARANTINE_FILES_MAX);
        for entry in kept.iter().take(surplus) {
            let _ = fs::remove_file(entry.path());
        }
    }

    fn temp_path(&self) -> PathBuf {
        self.root.join("tmp").join(self.next_temp.fetch_add(1, Ordering::Relaxed).to_string())
    }

    fn path(&self, shelf: Shelf, digest: &Sha256) -> PathBuf {
        path_of(&self.shelf(shelf), digest)
    }

    fn shelf(&self, shelf: Shelf) -> PathBuf {
        self.root.join(match shelf {
            Shelf::Cache => "files",
            Shelf::Private => PRIVATE,
        })
    }
}

/// Whether the cache of a data directory has a file of this digest's name; for who looks beside the process that serves.
pub fn has_cached(root: &Path, digest: &Sha256) -> bool {
    path_of(&root.join("files"), digest).is_file()
}

fn path_of(files: &Path, digest: &Sha256) -> PathBuf {
    let hex = digest.to_hex();
    let (front, back) = hex.split_at(2);
    files.join(front).join(back)
}

/// Opens what is under a name, unless it is a link; never waits for the other end of a pipe.
fn open_file(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    rustix::fs::open(path, flags, Mode::empty())
}

fn scan(shelf: &Path, mut each: impl FnMut(Sha256, u64, u64) -> bool) {
    for directory in fs::read_dir(shelf).into_iter().flatten().flatten() {
        if !scan_directory(&directory.path(), &mut each) {
            return;
        }
    }
}

/// The files in one directory of a shelf; says whether to go on.
fn scan_directory(directory: &Path, each: &mut impl FnMut(Sha256, u64, u64) -> bool) -> bool {
    let front = directory.file_name().unwrap_or_default().to_string_lossy();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let Ok(digest) = Sha256::from_hex(&format!("{front}{}", entry.file_name().to_string_lossy())) else { continue };
        let Ok(facts) = entry.metadata() else { continue };
        if facts.is_file() && !each(digest, facts.len(), u64::try_from(facts.mtime()).unwrap_or(0)) {
            return false;
        }
    }
    true
}

fn remove_file(path: &Path) -> Result<(), DiskError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DiskError::Unwritable(error)),
        _ => Ok(()),
    }
}

/// Makes a directory and those above it; only its owner looks into those where private bytes may lie.
fn make_directory(path: &Path) -> io::Result<()> {
    let closed = [PRIVATE, "tmp", "quarantine"].iter().any(|part| path.ends_with(part));
    let mode = if closed { 0o700 } else { 0o777 };
    match DirBuilder::new().mode(mode).create(path) {
        Err(_) if path.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            DirBuilder::new().mode(mode).create(path)
        }
        made => made,
    }
}

/// Writes who holds the lock, for people.
fn sign(lock: &File) {
    let number = format!("{}\n", std::process::id());
    // In this order, so that whoever reads it finds a number at any moment.
    let _ = lock.write_all_at(number.as_bytes(), 0);
    let _ = lock.set_len(number.len() as u64);
}

/// The lock is the kernel's (flock), so a crash frees it.
fn take_lock(root: &Path) -> Result<File, LockError> {
    let failed = |why: io::Error| LockError::Directory { path: root.to_owned(), why };
    let path = root.join("lock");
    let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    // On a read-only file system an old lock file, or else the directory itself, is locked just as well.
    let open = open.or_else(|why| File::open(&path).or_else(|_| File::open(root)).map_err(|_| why));
    let lock = open.map_err(failed)?;
    if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut holder = String::new();
        let _ = (&lock).take(32).read_to_string(&mut holder);
        return Err(LockError::Held { path: root.to_owned(), holder: holder.trim().to_owned() });
    }
    Ok(lock)
}

#[cfg(test)]
#[path = "disk/tests.rs"]
mod tests;
