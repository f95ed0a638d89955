use super::House;
use super::files::KnownFile;
use crate::cache::{DiskError, Failure, Shelf};
use crate::metrics::Event;
use crate::names::Sha256;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The books of the files on the disk, as far as they are in memory: nothing of this is written on a request's path.
#[derive(Default)]
pub struct Books {
    /// Last uses (Unix seconds) that the database has not heard of.
    uses: Mutex<HashMap<Sha256, u64>>,
    bytes: AtomicU64,
    /// When the last warning about the disk was written (clock ticks).
    warned: AtomicU64,
}

/// How often the uses are written down and the cap is looked at.
const ROUND: Duration = Duration::from_secs(30);

/// A file's use is noted at most this often, in seconds: eviction needs no finer order.
const NOTE_EVERY_SECONDS: u64 = 60;

/// Most uses that wait for the next round; more than that and the oldest order suffers, not the memory.
const USES_MAX: usize = 50_000;

/// Files that are evicted in one transaction.
const EVICT_BATCH: u32 = 64;

/// Eviction goes down to this part of the cap (percent), so that it does not run for every new file.
const EVICT_TO_PERCENT: u64 = 95;

/// What is freed when the disk itself is full, in bytes: the file system's other users filled it, not our cap.
const FREE_ON_FULL_BYTES: u64 = 64 * 1024 * 1024;

/// A disk that cannot be written is told once in this time, in milliseconds.
const WARN_EVERY_MS: u64 = 60_000;

impl House {
    /// Runs until the house is gone: writes the uses down, evicts, adopts what the database does not know.
    pub(super) async fn keep_books(self: Arc<Self>) {
        if let Ok((_, bytes)) = self.store.blob_totals().await {
            self.books.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        self.adopt().await;
        let weak = Arc::downgrade(&self);
        drop(self);
        loop {
            let Some(wake) = weak.upgrade().map(|house| Arc::clone(&house.tidy)) else { return };
            let _ = tokio::time::timeout(ROUND, wake.notified()).await;
            let Some(house) = weak.upgrade() else { return };
            house.write_uses().await;
            house.evict_over_cap().await;
        }
    }

    /// Notes that a file was used; on the hot path a clock and an atomic, rarely more.
    pub(super) fn note_use(&self, known: &KnownFile) {
        let Some(digest) = known.digest else { return };
        let now = self.clock.unix();
        let noted = known.noted.load(Ordering::Relaxed);
        if !is_due(noted, now) {
            return;
        }
        known.noted.store(now, Ordering::Relaxed);
        let mut uses = self.books.uses.lock();
        if uses.len() < USES_MAX {
            uses.insert(digest, now);
        }
    }

    /// Enters a new file into the books.
    pub(super) async fn note_blob(&self, digest: &Sha256, size: u64) {
        if let Err(why) = self.store.put_blob(digest, size, self.clock.unix()).await {
            self.disk_trouble(&why);
        }
        let before = self.books.bytes.fetch_add(size, Ordering::Relaxed);
        if before + size > self.disk_bytes_max {
            self.tidy.notify_one();
        }
    }

    /// Bytes of the files in the books.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.books.bytes.load(Ordering::Relaxed)
    }

    pub(super) async fn write_uses(&self) {
        let uses: Vec<_> = self.books.uses.lock().drain().collect();
        if !uses.is_empty()
            && let Err(why) = self.store.touch_blobs(&uses).await
        {
            self.disk_trouble(&why);
        }
    }

    pub(super) async fn evict_over_cap(&self) {
        let _one = self.evicting.lock().await;
        if self.disk_bytes() <= self.disk_bytes_max {
            return;
        }
        // A file that came twice was counted twice; the database knows.
        if let Ok((_, bytes)) = self.store.blob_totals().await {
            self.books.bytes.store(bytes, Ordering::Relaxed);
        }
        if self.disk_bytes() <= self.disk_bytes_max {
            return;
        }
        self.evict_to(self.disk_bytes_max / 100 * EVICT_TO_PERCENT).await;
    }

    /// Evicts the least recently used files: first out of the books, then off the disk, so that a crash between
    /// leaves a file that nobody counts (it is adopted at the next start), never a row without a file.
    async fn evict_to(&self, target: u64) {
        if let Err(why) = self.store.no_use_after(self.clock.unix()).await {
            self.disk_trouble(&why);
        }
        while self.disk_bytes() > target {
            let Ok(oldest) = self.store.oldest_blobs(EVICT_BATCH).await else { return };
            let mut surplus = self.disk_bytes().saturating_sub(target);
            let mut victims = Vec::new();
            for (digest, size) in oldest {
                if surplus == 0 {
                    break;
                }
                surplus = surplus.saturating_sub(size);
                victims.push(digest);
            }
            if victims.is_empty() || !self.forget_blobs(&victims).await {
                return;
            }
            let disk = Arc::clone(&self.disk);
            let removed = tokio::task::spawn_blocking(move || {
                victims.iter().filter(|digest| disk.remove(digest).is_ok()).count()
            });
            for _ in 0..removed.await.unwrap_or(0) {
                self.metrics.happened(Event::FileEvicted);
            }
            if self.offline {
                self.states.rerender_all();
            }
        }
    }

    /// Takes files out of the books; says whether the database agreed.
    pub(super) async fn forget_blobs(&self, digests: &[Sha256]) -> bool {
        if let Err(why) = self.store.remove_blobs(digests).await {
            self.disk_trouble(&why);
            return false;
        }
        if let Ok((_, bytes)) = self.store.blob_totals().await {
            self.books.bytes.store(bytes, Ordering::Relaxed);
        }
        true
    }

    /// Enters files that lie in the cache but not in the books: left by a crash, or put back from a backup.
    async fn adopt(&self) {
        let Ok(known) = self.store.blob_digests().await else { return };
        let known: std::collections::HashSet<_> = known.into_iter().collect();
        let disk = Arc::clone(&self.disk);
        let scan = move || {
            let (mut found, mut strangers) = (std::collections::HashSet::new(), Vec::new());
            disk.scan(|digest, size| {
                found.insert(digest);
                if !known.contains(&digest) {
                    strangers.push((digest, size));
                }
                true
            });
            let lost: Vec<_> = known
                .into_iter()
                .filter(|digest| !found.contains(digest) && !disk.has_on(Shelf::Cache, digest))
                .collect();
            (strangers, lost)
        };
        let Ok((strangers, lost)) = tokio::task::spawn_blocking(scan).await else { return };
        if !lost.is_empty() {
            tracing::warn!(files = lost.len(), "files are gone from the cache directory; they are forgotten");
            self.forget_blobs(&lost).await;
        }
        if !strangers.is_empty() && self.store.put_blobs(&strangers, self.clock.unix()).await.is_ok() {
            let bytes: u64 = strangers.iter().map(|(_, size)| size).sum();
            tracing::info!(files = strangers.len(), bytes, "adopted files that were not in the books");
            if let Ok((_, bytes)) = self.store.blob_totals().await {
                self.books.bytes.store(bytes, Ordering::Relaxed);
            }
        }
        self.tidy.notify_one();
    }

    /// What a failing disk means for a flight; a full one is given room for the next.
    pub(super) fn disk_failed(&self, why: &DiskError) -> Failure {
        self.disk_trouble(why);
        let full = matches!(why, DiskError::Unwritable(why) if why.kind() == std::io::ErrorKind::StorageFull);
        if full {
            // The janitor evicts on its own round; a full disk does not wait for it.
            self.make_room();
        }
        Failure::Disk
    }

    fn make_room(&self) {
        let Some(house) = self.me.upgrade() else { return };
        tokio::spawn(async move {
            // Who is evicting already makes room.
            let Ok(_one) = house.evicting.try_lock() else { return };
            house.write_uses().await;
            house.evict_to(house.disk_bytes().saturating_sub(FREE_ON_FULL_BYTES)).await;
        });
    }

    /// Counts trouble with the disk and says so, once a minute.
    pub(super) fn disk_trouble(&self, why: &dyn std::fmt::Display) {
        self.metrics.happened(Event::DiskUnwritable);
        let now = self.clock.ticks();
        let warned = self.books.warned.load(Ordering::Relaxed);
        if (warned == 0 || now > warned + WARN_EVERY_MS)
            && self.books.warned.compare_exchange(warned, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            tracing::error!(%why, "the data directory cannot be written; clients are served through, nothing is kept");
        }
    }
}

/// Whether a use is to be noted again; a note from ahead of now comes from a clock that was wrong.
fn is_due(noted: u64, now: u64) -> bool {
    now.abs_diff(noted) >= NOTE_EVERY_SECONDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_are_noted_once_a_minute_also_after_the_clock_was_set_back() {
        let now = 1_790_000_000;
        for (noted, due) in [(0, true), (now - 60, true), (now - 59, false), (now, false), (now + 31_536_000, true)] {
            assert_eq!(is_due(noted, now), due, "{noted}");
        }
    }
}
