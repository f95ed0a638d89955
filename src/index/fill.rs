use super::House;
use super::files::{FileFacts, KnownFile};
use super::keys::{FileKey, FlightKey, Key};
use super::mirror::Mirror;
use super::writer::{Landed, Writer};
use crate::cache::{Failure, Leader, Shelf, Spool, SpoolError};
use crate::metrics::Event;
use crate::names::{DistKind, Sha256};
use crate::store::BlobName;
use crate::upstream::{ByteRange, FetchError, FileFetch, FileStatus};
use std::sync::Arc;
use std::time::Instant;

/// Up to here a file from the disk is checked before the first byte leaves, so that damage is mended unseen (10 ms);
/// a larger one streams while it is checked, and damage cuts the connection.
const CHECK_FIRST_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Files from this size on get a line in the log with the rate of their transfer.
const RATE_LOGGED_BYTES: u64 = 1024 * 1024;

/// Files that have arrived and are being written into the books, at most. Each holds an open file: where they come faster
/// than they are written down, the next ones wait before upstream is asked.
pub(super) const BOOKING_MAX: usize = 256;

pub(super) type FileLeader = Leader<FlightKey>;

impl House {
    /// Fills a flight: from the disk when the file is there and only has to be checked, else from upstream.
    pub(super) async fn lead(
        self: Arc<Self>,
        mirror: &Arc<Mirror>,
        key: &FileKey,
        facts: &Arc<FileFacts>,
        digest: Option<Sha256>,
        leader: FileLeader,
    ) {
        let leader = Arc::new(leader);
        // Looking costs less than the way to a thread that may wait.
        if let Some(digest) = digest
            && self.disk.has(&digest)
            && self.checked_from_disk(&digest, facts.size, &leader).await
        {
            return;
        }
        if leader.state().ended() {
            return;
        }
        if self.offline {
            return leader.fail(Failure::Damaged);
        }
        // Behind those that wait for a place.
        drop(self.booking.acquire().await);
        let mut past_caches = false;
        loop {
            let started = Instant::now();
            match self.arrive(mirror, facts, &leader, past_caches).await {
                Ok(landed) => {
                    let seconds = started.elapsed().as_secs_f64();
                    if landed.len >= RATE_LOGGED_BYTES {
                        let megabytes_per_second = (landed.len as f64 / 1e6 / seconds.max(1e-6)).round();
                        let (filename, bytes) = (&facts.filename, landed.len);
                        tracing::info!(%filename, bytes, seconds, megabytes_per_second, "fetched");
                    }
                    return self.landed(mirror, key, facts, landed, &leader).await;
                }
                Err(Failure::Wrong) => {
                    self.metrics.happened(Event::FileWrong);
                    tracing::warn!(filename = %facts.filename, past_caches, "upstream sent wrong bytes");
                    // Nobody has seen a byte: one more try past caches, for the same clients.
                    if past_caches || !leader.rewind() {
                        return leader.fail(Failure::Wrong);
                    }
                    past_caches = true;
                }
                Err(why) => return leader.fail(why),
            }
        }
    }

    /// Checks a file of the disk that nobody has read since the start; says whether the flight is thereby done.
    async fn checked_from_disk(&self, digest: &Sha256, size: Option<u64>, leader: &Arc<FileLeader>) -> bool {
        let (disk, digest, following) = (Arc::clone(&self.disk), *digest, Arc::clone(leader));
        let checked = tokio::task::spawn_blocking(move || {
            let file = disk.get(&digest).ok()??;
            if size.is_some_and(|size| size != file.len) {
                return Some(false);
            }
            let first = file.len <= CHECK_FIRST_BYTES_MAX;
            if !first {
                following.begin(Some(file.len), Arc::clone(&file.file));
            }
            let told = |bytes| {
                if !first {
                    following.wrote(bytes)
                }
            };
            if !disk.verify(&digest, &file, told).unwrap_or(false) {
                return Some(false);
            }
            if first {
                following.begin(Some(file.len), Arc::clone(&file.file));
                following.wrote(file.len);
            }
            following.finish(None);
            Some(true)
        });
        match checked.await {
            Ok(Some(true)) => true,
            Ok(Some(false)) => {
                self.set_aside(&digest).await;
                // Those who have had bytes of it are cut off; the others get the good file in this same flight.
                if !leader.rewind() {
                    leader.fail(Failure::Damaged);
                }
                false
            }
            Ok(None) => false,
            Err(_) => {
                leader.fail(Failure::Vanished);
                false
            }
        }
    }

    /// Takes a damaged file out of its place, and what the cache had out of the books.
    pub(super) async fn set_aside(&self, digest: &Sha256) {
        let (disk, gone) = (Arc::clone(&self.disk), *digest);
        let taken = tokio::task::spawn_blocking(move || disk.set_aside(&gone)).await;
        self.was_set_aside(digest, taken.ok().flatten()).await;
    }

    /// The same of one shelf.
    pub(super) async fn set_aside_on(&self, shelf: Shelf, digest: &Sha256) {
        let (disk, gone) = (Arc::clone(&self.disk), *digest);
        let taken = tokio::task::spawn_blocking(move || disk.set_aside_on(shelf, &gone)).await;
        self.was_set_aside(digest, taken.unwrap_or(false).then_some(shelf)).await;
    }

    async fn was_set_aside(&self, digest: &Sha256, from: Option<Shelf>) {
        self.metrics.happened(Event::FileDamaged);
        match from {
            Some(Shelf::Private) => {
                tracing::error!(%digest, "an uploaded file is damaged; it is set aside: restore it from a backup");
                self.note_loss(digest).await;
            }
            Some(Shelf::Cache) => {
                tracing::error!(%digest, "a file in the cache is damaged; it is set aside and fetched again");
                self.forget_blobs(&[*digest]).await;
            }
            None => {}
        }
    }

    /// One transfer from upstream into a file under its final name, with one retry by range when upstream breaks off.
    async fn arrive(
        &self,
        mirror: &Mirror,
        facts: &FileFacts,
        leader: &Arc<FileLeader>,
        past_caches: bool,
    ) -> Result<Landed, Failure> {
        let disk = Arc::clone(&self.disk);
        let created = async {
            // The request leaves first: the thread that makes a file may take the core from the one that sends.
            tokio::task::yield_now().await;
            let created = tokio::task::spawn_blocking(move || Spool::create(&disk)).await;
            created.map_err(|_| Failure::Vanished)?.map_err(|why| self.disk_failed(&why))
        };
        let fetched = async {
            let fetched = mirror.upstream.file(&facts.url, None, None, past_caches).await;
            fetched.map_err(|why| self.fetch_failed(mirror, facts, &why))
        };
        // Where a disk that cannot be written is no surprise, upstream is not asked for nothing.
        let (spool, fetched) = match self.disk_is_troubled() {
            true => (created.await?, fetched.await?),
            false => {
                let (fetched, spool) = tokio::try_join!(fetched, created)?;
                (spool, fetched)
            }
        };
        self.upstream_answered(mirror);
        let len = match (facts.size, fetched.len) {
            (Some(size), Some(told)) if size != told => return Err(Failure::Wrong),
            (size, told) => size.or(told),
        };
        leader.begin(len, spool.file());
        let mut writer = Writer::start(spool, Arc::clone(leader));
        let etag = fetched.etag.clone();
        // Without a length, what the whole cache may hold is the end of our patience.
        let bytes_max = len.unwrap_or(self.disk_bytes_max);
        if let Err(why) = self.pour(fetched, &mut writer, 0, bytes_max).await {
            let written = writer.settled().await;
            let (rest, known) = self.resume(mirror, facts, written, etag.as_deref(), why).await?;
            self.pour(rest, &mut writer, known, bytes_max)
                .await
                .map_err(|why| self.fetch_failed(mirror, facts, &why))?;
        }
        // Too many bytes are refused as any that are not what was promised: by the writer, which has then come to its end.
        let size = len.or((writer.handed() > bytes_max).then_some(bytes_max));
        writer.land(&self.disk, size, facts.sha256).await.map_err(|why| match why {
            SpoolError::WrongDigest { .. } | SpoolError::WrongSize { .. } => {
                tracing::warn!(filename = %facts.filename, %why, "upstream's bytes are refused");
                Failure::Wrong
            }
            SpoolError::Disk(why) => self.disk_failed(&why),
        })
    }

    /// Hands the body to the writer but for the first `known` bytes, which are written already. A body that goes beyond
    /// `bytes_max` in all is left there.
    async fn pour(
        &self,
        mut fetched: FileFetch,
        writer: &mut Writer,
        mut known: u64,
        bytes_max: u64,
    ) -> Result<(), FetchError> {
        while let Some(bytes) = fetched.body.next().await {
            let mut bytes = bytes?;
            self.metrics.received(bytes.len() as u64);
            if known > 0 {
                let passed = bytes.split_to(bytes.len().min(usize::try_from(known).unwrap_or(usize::MAX)));
                known -= passed.len() as u64;
            }
            if !bytes.is_empty() && !writer.write(bytes).await {
                // The disk failed; `land` says how.
                return Ok(());
            }
            if writer.handed() > bytes_max {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Asks for the rest of a file; how many bytes of the answer are known already, when upstream sends the whole
    /// again. The digest judges the sum.
    async fn resume(
        &self,
        mirror: &Mirror,
        facts: &FileFacts,
        written: u64,
        etag: Option<&str>,
        why: FetchError,
    ) -> Result<(FileFetch, u64), Failure> {
        if !why.retryable() {
            return Err(self.fetch_failed(mirror, facts, &why));
        }
        self.metrics.happened(Event::FetchResumed);
        tracing::warn!(filename = %facts.filename, written, %why, "upstream broke off; asking for the rest");
        let rest = (written > 0).then_some(ByteRange::From(written));
        let fetched = mirror.upstream.file(&facts.url, rest, etag.filter(|_| rest.is_some()), false).await;
        let fetched = fetched.map_err(|why| self.fetch_failed(mirror, facts, &why))?;
        let known = if fetched.status == FileStatus::Whole { written } else { 0 };
        Ok((fetched, known))
    }

    /// Wakes the followers, then keeps the books: no client of this file waits for a database.
    async fn landed(
        self: &Arc<Self>,
        mirror: &Arc<Mirror>,
        key: &FileKey,
        facts: &Arc<FileFacts>,
        Landed { digest, file, .. }: Landed,
        leader: &FileLeader,
    ) {
        let file = match file {
            Ok(file) => file,
            Err(why) => {
                // It was written and verified and only the renaming failed: the followers may have it.
                self.disk_failed(&why);
                return leader.finish(None);
            }
        };
        let uses = self.uses_of(&digest);
        self.note_use(Some(&uses));
        if facts.sha256.is_none() {
            // Whose use it is was not known when it was asked for.
            uses.served(file.len);
        }
        let known = Arc::new(KnownFile::new(Arc::clone(facts), Some(digest), None, Some(uses)));
        // Without a digest upstream may have sent other bytes than last time.
        self.memory.remove(&Key::Bytes(key.clone()));
        self.remember(mirror, Key::File(key.clone()), &known);
        leader.finish(None);
        // The followers first.
        tokio::task::yield_now().await;
        self.consider_memory(Some(mirror), key, &known, digest, file.len);
        let _place = self.booking.acquire().await;
        let name = facts.filename.to_string();
        self.note_blob(&digest, file.len, &BlobName::new(&mirror.name, Some(&facts.project), name)).await;
        if facts.sha256.is_none()
            && let Err(why) = self.store.put_unhashed(&mirror.name, facts.url.as_str(), &digest, file.len).await
        {
            self.disk_trouble(&why);
        }
        if facts.filename.kind() == DistKind::Wheel && facts.sha256.is_some() {
            self.metadata_from_disk(mirror, facts, digest).await;
        }
    }

    fn fetch_failed(&self, mirror: &Mirror, facts: &FileFacts, why: &FetchError) -> Failure {
        let failure = self.upstream_failed(mirror, why);
        tracing::warn!(filename = %facts.filename, %why, "the file cannot be fetched");
        failure
    }
}
