use super::House;
use super::known::AFTER_START;
use super::troubles::Trouble;
use super::uses::{UseBook, Uses};
use crate::cache::{Disk, DiskError, Failure, Shelf};
use crate::metrics::{Event, Kind, Tally, Tier};
use crate::names::Sha256;
use crate::store::{BlobName, StoreError};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The books of the files on the disk, as far as they are in memory: nothing of this is written on a request's path.
#[derive(Default)]
pub struct Books {
    pub uses: UseBook,
    bytes: AtomicU64,
    /// Whether they were compared with the disk in this run.
    compared: AtomicBool,
    /// What the database has heard of the metrics of this run; held while it is told more.
    told: tokio::sync::Mutex<Told>,
    /// When the last warning about the disk was written (clock ticks).
    warned: AtomicU64,
}

/// The metrics of this run as far as they are written down.
#[derive(Default)]
struct Told {
    answers: HashMap<(Kind, Tier), Tally>,
    received: u64,
}

/// Tallies beside those of the answers: bytes of files that came from upstream, and files that gave way to others.
pub const TALLY_FETCHED: &str = "fetched";
pub const TALLY_EVICTED: &str = "evicted";

/// How often the uses are written down and the cap is looked at.
const ROUND: Duration = Duration::from_secs(30);

/// Files that are evicted in one transaction.
const EVICT_BATCH: u32 = 64;

/// Eviction goes down to this part of the cap (percent), so that it does not run for every new file.
const EVICT_TO_PERCENT: u64 = 95;

/// What is freed when the disk itself is full, in bytes: the file system's other users filled it, not our cap.
const FREE_ON_FULL_BYTES: u64 = 64 * 1024 * 1024;

/// A disk that cannot be written is told once in this time, in milliseconds.
const WARN_EVERY_MS: u64 = 60_000;

/// A part of the cache as it is on the disk, beside the books.
struct Compared {
    /// On the disk alone, with their sizes.
    strangers: Vec<(Sha256, u64)>,
    /// In the books alone.
    lost: Vec<Sha256>,
    /// When those were written (Unix seconds) of which the books do not say when they came.
    came: Vec<(Sha256, u64)>,
}

/// `known`: what the books have of the part, and of each whether they say when it came.
fn compared(disk: &Disk, first: u8, known: Vec<(Sha256, bool)>) -> Compared {
    let mut missing: HashMap<_, _> = known.into_iter().collect();
    let (mut strangers, mut came) = (Vec::new(), Vec::new());
    for (digest, size, written) in disk.look().scan_part(Shelf::Cache, first) {
        let dated = missing.remove(&digest);
        if dated.is_none() {
            strangers.push((digest, size));
        }
        if dated != Some(true) {
            came.push((digest, written));
        }
    }
    let lost = missing.into_keys().filter(|digest| !disk.has_on(Shelf::Cache, digest)).collect();
    Compared { strangers, lost, came }
}

impl House {
    /// Runs until the house is gone: writes the uses down, evicts, adopts what the database does not know, ends removals
    /// that can be undone no more.
    pub(super) async fn keep_books(self: Arc<Self>) {
        let weak = Arc::downgrade(&self);
        drop(self);
        tokio::time::sleep(AFTER_START).await;
        if let Some(house) = weak.upgrade() {
            if let Ok((_, bytes)) = house.store.blob_totals().await {
                house.books.bytes.fetch_add(bytes, Ordering::Relaxed);
            }
            house.adopt().await;
            house.end_undo_windows().await;
            house.books.compared.store(true, Ordering::Relaxed);
        }
        loop {
            let Some(wake) = weak.upgrade().map(|house| Arc::clone(&house.tidy)) else { return };
            let _ = tokio::time::timeout(ROUND, wake.notified()).await;
            let Some(house) = weak.upgrade() else { return };
            house.write_books().await;
            house.write_history(false).await;
            if house.stopping() {
                return;
            }
            house.end_undo_windows().await;
            house.evict_over_cap().await;
        }
    }

    /// Notes that a file was asked for; on the hot path a clock and an atomic.
    pub(super) fn note_use(&self, uses: Option<&Uses>) {
        if let Some(uses) = uses {
            uses.asked(self.clock.unix());
        }
    }

    /// Enters a new file into the books.
    pub(super) async fn note_blob(&self, digest: &Sha256, size: u64, name: &BlobName) {
        if let Err(why) = self.store.put_blob(digest, size, self.clock.unix(), name).await {
            self.disk_trouble(&why);
        }
        let before = self.books.bytes.fetch_add(size, Ordering::Relaxed);
        if before + size > self.disk_bytes_max {
            self.tidy.notify_one();
        }
    }

    /// Whether the books were compared with the disk since the start.
    pub(super) fn books_are_compared(&self) -> bool {
        self.books.compared.load(Ordering::Relaxed)
    }

    /// Bytes of the files in the books.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.books.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn set_disk_bytes(&self, bytes: u64) {
        self.books.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Writes down what the books hold in memory: uses and tallies.
    pub(super) async fn write_books(&self) {
        let uses = self.books.uses.take();
        if !uses.is_empty()
            && let Err(why) = self.store.touch_blobs(&uses).await
        {
            self.books.uses.put_back(&uses);
            self.disk_trouble(&why);
        }
        if let Err(why) = self.write_tallies().await {
            self.disk_trouble(&why);
        }
    }

    async fn write_tallies(&self) -> Result<(), StoreError> {
        let mut told = self.books.told.lock().await;
        let (answers, received): (HashMap<_, _>, _) = (
            self.metrics.tallies().map(|(kind, tier, tally)| ((kind, tier), tally)).collect(),
            self.metrics.received_bytes(),
        );
        let mut added = Vec::new();
        for ((kind, tier), now) in &answers {
            let before = told.answers.get(&(*kind, *tier)).copied().unwrap_or_default();
            if *now != before {
                added.push((kind.as_str(), tier.as_str(), now.requests - before.requests, now.bytes - before.bytes));
            }
        }
        if received > told.received {
            added.push((TALLY_FETCHED, "", 0, received - told.received));
        }
        if added.is_empty() {
            return Ok(());
        }
        let now = self.clock.unix();
        self.store.add_tallies(now, &added).await?;
        *told = Told { answers, received };
        drop(told);
        self.store.fold_tallies(now).await
    }

    pub(super) async fn evict_over_cap(&self) {
        let _one = self.evicting.lock().await;
        if self.disk_bytes() <= self.disk_bytes_max {
            return;
        }
        // A file that came twice was counted twice; the database knows.
        if let Ok((_, bytes)) = self.store.blob_totals().await {
            self.set_disk_bytes(bytes);
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
            let (mut victims, mut freed) = (Vec::new(), 0);
            for (digest, size) in oldest {
                if surplus == 0 {
                    break;
                }
                surplus = surplus.saturating_sub(size);
                freed += size;
                victims.push(digest);
            }
            if victims.is_empty() || !self.forget_blobs(&victims).await {
                return;
            }
            let disk = Arc::clone(&self.disk);
            let removed = tokio::task::spawn_blocking(move || {
                victims.iter().filter(|digest| disk.remove(digest).is_ok()).count()
            });
            let removed = removed.await.unwrap_or(0);
            for _ in 0..removed {
                self.metrics.happened(Event::FileEvicted);
            }
            let evicted = (TALLY_EVICTED, "", removed as u64, freed);
            if let Err(why) = self.store.add_tallies(self.clock.unix(), &[evicted]).await {
                self.disk_trouble(&why);
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
            self.set_disk_bytes(bytes);
        }
        true
    }

    /// Enters files that lie in the cache but not in the books, left by a crash or put back from a backup, and forgets those
    /// that are gone. A part of the cache at a time: all of it would not fit any memory.
    async fn adopt(&self) {
        let (mut forgotten, mut adopted, mut bytes) = (0, 0, 0);
        for first in 0..=u8::MAX {
            if self.stopping() {
                return;
            }
            let Ok(known) = self.store.blobs_part(first).await else { return };
            let disk = Arc::clone(&self.disk);
            let Ok(Compared { strangers, lost, came }) =
                tokio::task::spawn_blocking(move || compared(&disk, first, known)).await
            else {
                return;
            };
            if !lost.is_empty() && self.forget_blobs(&lost).await {
                forgotten += lost.len();
            }
            if !strangers.is_empty() && self.store.put_blobs(&strangers, self.clock.unix()).await.is_ok() {
                adopted += strangers.len();
                bytes += strangers.iter().map(|(_, size)| size).sum::<u64>();
            }
            if !came.is_empty()
                && let Err(why) = self.store.name_blobs(&[], &came).await
            {
                self.disk_trouble(&why);
            }
        }
        if forgotten > 0 {
            tracing::warn!(files = forgotten, "files are gone from the cache directory; they are forgotten");
        }
        if adopted > 0 {
            tracing::info!(files = adopted, bytes, "adopted files that were not in the books");
            if let Ok((_, bytes)) = self.store.blob_totals().await {
                self.set_disk_bytes(bytes);
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
            house.write_books().await;
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
            let sentence = "the data directory cannot be written; clients are served through, nothing is kept";
            self.troubles
                .note(self.clock.unix(), Trouble { class: "disk", index: None, sentence: sentence.to_owned() });
        }
    }

    /// Whether there was trouble with the disk within the last minute.
    pub(super) fn disk_is_troubled(&self) -> bool {
        let warned = self.books.warned.load(Ordering::Relaxed);
        warned != 0 && self.clock.ticks() <= warned + WARN_EVERY_MS
    }
}
