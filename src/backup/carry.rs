use super::errors::BackupError;
use crate::cache::{Disk, Look, ReadThrough, Seen, Shelf, Spool, SpoolError, read_through};
use crate::names::Sha256;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Its bytes are others.
    Damaged,
    Missing,
    /// It cannot be read: a permission, a failing disk, or something else that has its name.
    Unreadable,
}

/// A file that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub fault: Fault,
    /// Its path in the directory that was looked at.
    pub path: String,
    pub why: String,
    /// Whose bytes these are, like `alice/dev/demo-1.0.tar.gz`; empty when that is not known.
    pub files: Vec<String>,
}

/// Files, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub files: u64,
    pub bytes: u64,
}

/// How far the work has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// So many bytes are to be done, besides those told before.
    Ahead(u64),
    /// So many are done.
    Done(u64),
}

/// Who wants to know how far the work has come.
pub type Told = Arc<dyn Fn(Step) + Send + Sync>;

/// What became of a file that was to be carried over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Carried {
    Whole,
    Not(Fault, String),
}

impl Totals {
    pub fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

impl Fault {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What lies under a digest's name, read through: whole, or what is wrong. `each` is handed the pieces.
pub(super) fn read_file(
    from: &Look,
    shelf: Shelf,
    (digest, size): (&Sha256, u64),
    each: impl FnMut(&[u8], u64) -> ControlFlow<()>,
) -> Carried {
    let not = |fault, why: &str| Carried::Not(fault, why.to_owned());
    let file = match from.see(shelf, digest) {
        Ok(Seen::File(file)) => file,
        Ok(Seen::Missing) => return not(Fault::Missing, "it is not there"),
        Ok(Seen::Odd) => return not(Fault::Unreadable, "it is no file"),
        Err(why) => return Carried::Not(Fault::Unreadable, why.to_string()),
    };
    if file.len != size {
        return Carried::Not(Fault::Damaged, format!("it has {} bytes instead of {size}", file.len));
    }
    match read_through(&file.file, size, each) {
        Ok(ReadThrough::Whole(found)) if found == *digest => Carried::Whole,
        Ok(ReadThrough::Whole(_)) => not(Fault::Damaged, "its bytes are not those of its digest"),
        Ok(ReadThrough::Cut(at)) => Carried::Not(Fault::Damaged, format!("it ends after {at} of {size} bytes")),
        Ok(ReadThrough::Stopped) => not(Fault::Unreadable, "it was not read to its end"),
        Err(why) => Carried::Not(Fault::Unreadable, why.to_string()),
    }
}

/// Copies a file to a shelf of `into`, checking it on the way. When this returns its bytes are on the disk there; its name
/// is when the shelf is settled. A copy shares nothing with the original: it is there for the day when that is damaged.
pub(super) fn carry(
    from: &Look,
    on: Shelf,
    (digest, size): (&Sha256, u64),
    into: &Disk,
    shelf: Shelf,
) -> Result<Carried, BackupError> {
    let failed = BackupError::disk(into.root());
    let mut spool = Spool::create(into).map_err(&failed)?;
    let mut full = None;
    let carried = read_file(from, on, (digest, size), |piece, _| match spool.write(piece) {
        Ok(()) => ControlFlow::Continue(()),
        Err(why) => {
            full = Some(why);
            ControlFlow::Break(())
        }
    });
    if let Some(why) = full {
        return Err(failed(why));
    }
    if carried != Carried::Whole {
        return Ok(carried);
    }
    let published = spool.verify(Some(size), Some(*digest)).and_then(|digest| {
        spool.sync()?;
        Ok(spool.publish_on(into, shelf, digest)?)
    });
    match published {
        Ok(_) => Ok(Carried::Whole),
        Err(SpoolError::Disk(why)) => Err(failed(why)),
        Err(why) => Ok(Carried::Not(Fault::Damaged, why.to_string())),
    }
}

/// Files that are copied at once: each waits for the disk most of its time, and a disk that writes for one writes for all.
const AT_ONCE: usize = 8;

/// Does `work` with each of `items`, a few at once; what came of them, in their order. The first failure ends it.
pub(super) fn each<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, BackupError> + Sync,
) -> Result<Vec<R>, BackupError> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let one = || {
        let mut done = Vec::new();
        while let Some((at, item)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, items.get(at)?)))
        {
            if failed.load(Ordering::Relaxed) {
                break;
            }
            match work(item) {
                Ok(result) => done.push((at, result)),
                Err(why) => {
                    failed.store(true, Ordering::Relaxed);
                    return Err(why);
                }
            }
        }
        Ok(done)
    };
    let ended: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE.min(items.len())).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(Err(BackupError::Lost))).collect()
    });
    let mut results = Vec::with_capacity(items.len());
    for done in ended {
        results.extend(done?);
    }
    results.sort_by_key(|(at, _)| *at);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// A file's path on a shelf, as people and manifests name it.
pub(super) fn path_on(shelf: Shelf, digest: &Sha256) -> String {
    let hex = digest.to_hex();
    let (front, back) = hex.split_at(2);
    let shelf = match shelf {
        Shelf::Cache => "files",
        Shelf::Private => "private",
    };
    format!("{shelf}/{front}/{back}")
}
