use super::House;
use crate::names::Sha256;
use crate::store::BlobUse;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fs::File;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// How a file of the cache was used since the database last heard of it. There is one for each file, shared by all who
/// answer with it, so that counting costs a hot answer two additions: no lock, no memory, no row.
#[derive(Default)]
pub struct Uses {
    times: AtomicU64,
    bytes: AtomicU64,
    /// Unix seconds; 0: not since.
    last: AtomicU64,
    /// How often it was asked for and was not in memory.
    missed: AtomicU32,
    /// The file itself once it was taken off the disk, for those who still send it.
    leaving: OnceLock<Arc<File>>,
}

/// The uses of all files that were asked for and are still known to somebody.
#[derive(Default)]
pub struct UseBook(Mutex<HashMap<Sha256, Arc<Uses>>>);

/// Most files whose uses are counted at the same time, some 120 bytes each; of more than that nobody counts the rest.
const USES_MAX: usize = 50_000;

impl Uses {
    /// So many bytes of it were sent for one request.
    pub fn served(&self, bytes: u64) {
        self.times.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// It was asked for at `now` (Unix seconds).
    pub(super) fn asked(&self, now: u64) {
        if self.last.load(Ordering::Relaxed) != now {
            self.last.store(now, Ordering::Relaxed);
        }
    }

    /// It was asked for and is not in memory; how often that was so, this time included.
    pub(super) fn missed(&self) -> u32 {
        self.missed.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// What those who still send the file read when it is not on the disk any more.
    pub(super) fn left_behind(&self) -> Option<Arc<File>> {
        self.leaving.get().cloned()
    }

    fn take(&self, digest: Sha256) -> Option<BlobUse> {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        let used = BlobUse { digest, last: take(&self.last), times: take(&self.times), bytes: take(&self.bytes) };
        (used.last > 0 || used.times > 0).then_some(used)
    }
}

impl UseBook {
    /// The uses of a file, begun when nobody knows it yet.
    pub fn of(&self, digest: &Sha256) -> Arc<Uses> {
        let mut all = self.0.lock();
        if let Some(uses) = all.get(digest) {
            return Arc::clone(uses);
        }
        let uses = Arc::new(Uses::default());
        if all.len() < USES_MAX {
            all.insert(*digest, Arc::clone(&uses));
        }
        uses
    }

    /// What the database has not heard of. Who is known to nobody else is forgotten: nothing can be added to it.
    pub fn take(&self) -> Vec<BlobUse> {
        let mut taken = Vec::new();
        self.0.lock().retain(|digest, uses| {
            let known = Arc::strong_count(uses) > 1;
            taken.extend(uses.take(*digest));
            known
        });
        taken
    }

    /// Puts back what could not be written.
    pub fn put_back(&self, untold: &[BlobUse]) {
        for used in untold {
            let uses = self.of(&used.digest);
            uses.times.fetch_add(used.times, Ordering::Relaxed);
            uses.bytes.fetch_add(used.bytes, Ordering::Relaxed);
            uses.last.fetch_max(used.last, Ordering::Relaxed);
        }
    }

    /// A file is about to leave the disk: who still sends it out of the memory reads on in `file`, and who asks from now
    /// on begins anew. Says what was not written down yet.
    pub fn leave(&self, digest: &Sha256, file: impl FnOnce() -> Option<Arc<File>>) -> Option<BlobUse> {
        let uses = self.0.lock().remove(digest)?;
        if Arc::strong_count(&uses) > 1
            && let Some(file) = file()
        {
            let _ = uses.leaving.set(file);
        }
        uses.take(*digest)
    }
}

impl House {
    /// The uses of a file of the cache.
    pub(super) fn uses_of(&self, digest: &Sha256) -> Arc<Uses> {
        self.books.uses.of(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(byte: u8) -> Sha256 {
        Sha256::from_bytes([byte; 32])
    }

    #[test]
    fn uses_are_counted_until_nobody_knows_the_file() {
        let book = UseBook::default();
        let uses = book.of(&digest(1));
        uses.asked(7);
        uses.served(100);
        book.of(&digest(1)).served(50);
        drop(book.of(&digest(2)));
        let expected = BlobUse { digest: digest(1), last: 7, times: 2, bytes: 150 };
        assert_eq!(book.take(), [expected]);
        assert_eq!(book.0.lock().len(), 1, "who may still count stays");
        assert_eq!(book.take(), []);
        book.put_back(&[expected]);
        drop(uses);
        assert_eq!(book.take(), [expected]);
        assert_eq!(book.0.lock().len(), 0);
    }

    #[test]
    fn who_still_sends_a_file_that_leaves_reads_on() {
        let book = UseBook::default();
        let (idle, sending) = (book.of(&digest(1)), book.of(&digest(2)));
        sending.served(9);
        drop(idle);
        let file = || Some(Arc::new(tempfile::tempfile().unwrap()));
        assert_eq!(book.leave(&digest(1), || panic!("nobody sends it")), None);
        assert_eq!(book.leave(&digest(2), file).map(|used| used.bytes), Some(9));
        assert!(sending.left_behind().is_some());
        assert!(book.of(&digest(2)).left_behind().is_none(), "what comes now is another file");
        assert_eq!(book.leave(&digest(3), || panic!("nobody asked for it")), None);
    }
}
