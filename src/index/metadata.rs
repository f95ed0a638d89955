use super::House;
use super::body::FileBody;
use super::catalog::IndexKind;
use super::errors::IndexError;
use super::files::{FileAnswer, FileAsk, FileFacts, KnownFile, answer, choose, chosen, file_error};
use super::inventory::METADATA_SUFFIX;
use super::keys::{FileKey, Key, MetadataKey, Place, Value};
use super::mirror::Mirror;
use super::wheel::{self, METADATA_BYTES_MAX, Sparse, WheelError};
use crate::cache::{DiskFile, Failure, Spool};
use crate::metrics::{Event, Tier};
use crate::names::{DistKind, Sha256};
use crate::store::{BlobName, MetadataRow};
use crate::upstream::{ByteRange, FileStatus};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

/// What is first fetched of a wheel's end, in bytes: the directory of nearly every wheel, and often METADATA with it.
const END_BYTES: u64 = 32 * 1024;

/// What is fetched at once further on, in bytes: a member's head and an ordinary METADATA.
const STEP_BYTES: u64 = 64 * 1024;

/// Requests and bytes that one wheel's metadata may cost; beyond that it has none. Never a whole large wheel.
const REQUESTS_MAX: usize = 8;
const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How metadata that was got is given to those who wait for it.
pub(super) type Got = Result<(Sha256, u64, Option<Bytes>), IndexError>;

impl House {
    /// The journey of a `….metadata` file (PEP 658): what upstream offers, else what the wheel itself holds.
    pub(super) async fn metadata(self: &Arc<Self>, ask: FileAsk) -> Result<FileAnswer, IndexError> {
        let entry = self.entry(&ask.file.index)?;
        let mirror = match &entry.kind {
            IndexKind::Mirror(mirror) => Arc::clone(mirror),
            IndexKind::Stage(marks) => return self.stage_metadata(&entry, marks, ask).await,
        };
        let facts = Arc::clone(&self.known(&mirror, &ask.file).await?.facts);
        if facts.filename.kind() != DistKind::Wheel && !facts.core_metadata.is_offered() {
            return Err(IndexError::NoMetadata(facts.filename.to_string()));
        }
        if let Some(row) = self.metadata_row(&mirror, &facts).await? {
            let held = Key::Metadata(metadata_key(&ask, &row));
            if let Some(Value::File(known)) = self.memory.get(&held)
                && let Some(bytes) = &known.bytes
            {
                self.note_use(known.uses.as_deref());
                let bytes = Bytes::clone(bytes);
                let answer = whole_or_part(&ask, &facts, row.sha256, bytes, Tier::Memory);
                return Ok(FileAnswer { uses: known.uses.clone(), ..answer });
            }
            if let Some(bytes) = self.verified_bytes(&row).await {
                let uses = Some(self.uses_of(&row.sha256));
                self.note_use(uses.as_deref());
                let known =
                    KnownFile::new(Arc::clone(&facts), Some(row.sha256), Some(bytes.clone().into()), uses.clone());
                self.memory.insert(held, Value::File(Arc::new(known)));
                return Ok(FileAnswer { uses, ..whole_or_part(&ask, &facts, row.sha256, bytes, Tier::Disk) });
            }
        }
        let (got, tier) = self.get_metadata(&mirror, &facts).await;
        let (digest, _, bytes) = got?;
        let bytes = bytes.ok_or_else(|| file_error(&facts, Failure::Vanished))?;
        let uses = Some(self.uses_of(&digest));
        Ok(FileAnswer { uses, ..whole_or_part(&ask, &facts, digest, bytes, tier) })
    }

    async fn metadata_row(&self, mirror: &Mirror, facts: &FileFacts) -> Result<Option<MetadataRow>, IndexError> {
        let row = self.store.metadata(&mirror.name, &facts.project, &facts.filename).await?;
        Ok(row.filter(|row| Some(row.wheel) == facts.sha256))
    }

    /// A small file of the cache, read whole and checked: wrong bytes are set aside and got again.
    pub(super) async fn verified_bytes(&self, row: &MetadataRow) -> Option<Bytes> {
        let (disk, digest, size) = (Arc::clone(&self.disk), row.sha256, row.size);
        let read = self.blocking(0, move || {
            let Ok(Some(file)) = disk.get(&digest) else { return Read::Absent };
            if file.len != size || file.len > METADATA_BYTES_MAX {
                return Read::Damaged;
            }
            match file.read() {
                Ok(bytes) if Sha256::of(&bytes) == digest => Read::Good(bytes.into()),
                _ => Read::Damaged,
            }
        });
        match read.await {
            Ok(Read::Good(bytes)) => Some(bytes),
            Ok(Read::Damaged) => {
                self.set_aside(&row.sha256).await;
                None
            }
            _ => None,
        }
    }

    /// Gets metadata once for all who ask at the same time, keeps it, and lets the page announce it.
    async fn get_metadata(self: &Arc<Self>, mirror: &Arc<Mirror>, facts: &Arc<FileFacts>) -> (Got, Tier) {
        let key = MetadataKey {
            index: mirror.name.clone(),
            project: facts.project.clone(),
            filename: facts.filename.clone(),
        };
        let (house, mirror, facts) = (Arc::clone(self), Arc::clone(mirror), Arc::clone(facts));
        let mut tier = Tier::Flight;
        let call = || {
            tier = Tier::Miss;
            async move {
                let got = house.find_metadata(&mirror, &facts).await;
                match got {
                    Ok(bytes) => house.keep_metadata(&mirror, &facts, bytes).await,
                    Err(why) => {
                        house.metrics.happened(Event::MetadataFailed);
                        tracing::info!(filename = %facts.filename, %why, "no metadata");
                        Err(why)
                    }
                }
            }
        };
        (self.metadata_calls.join(key, call).await.unwrap_or(Err(IndexError::Lost)), tier)
    }

    async fn find_metadata(&self, mirror: &Mirror, facts: &FileFacts) -> Result<Bytes, IndexError> {
        let is_wheel = facts.filename.kind() == DistKind::Wheel;
        if let Some(digest) = facts.sha256.filter(|_| is_wheel)
            && let Some(bytes) = self.metadata_in_cache(digest).await
        {
            return promised(facts, bytes);
        }
        if self.offline {
            return Err(IndexError::Offline(format!("{}.metadata", facts.filename)));
        }
        // Upstream may announce what it does not have; then the wheel itself is asked.
        let offered = match facts.core_metadata.is_offered() {
            true => self.metadata_upstream(mirror, facts).await,
            false => Err(IndexError::NoMetadata(facts.filename.to_string())),
        };
        let Err(why) = offered else { return offered };
        if !is_wheel {
            return Err(why);
        }
        match self.metadata_by_ranges(mirror, facts).await {
            Ok(bytes) => promised(facts, bytes),
            // That the one way leads nowhere says nothing while the other was only in trouble.
            Err(other) => Err(if is_absence(&other) { why } else { other }),
        }
    }

    /// Out of the wheel when that is cached.
    async fn metadata_in_cache(&self, wheel: Sha256) -> Option<Bytes> {
        let disk = Arc::clone(&self.disk);
        let read = self.blocking(0, move || {
            let file = disk.get(&wheel).ok()??;
            if !file.verified && !disk.verify(&wheel, &file, |_| {}).unwrap_or(false) {
                return None;
            }
            wheel::metadata(std::io::BufReader::new(&*file.file)).ok()
        });
        read.await.ok()?.map(Bytes::from)
    }

    async fn metadata_upstream(&self, mirror: &Mirror, facts: &FileFacts) -> Result<Bytes, IndexError> {
        let mut url = facts.url.clone();
        url.set_path(&format!("{}.metadata", facts.url.path()));
        let error = |why| file_error(facts, why);
        let fetched = mirror.upstream.file(&url, None, None, false).await;
        let mut fetched = fetched.map_err(|why| error(self.upstream_lacks(mirror, &why)))?;
        self.upstream_answered(mirror);
        let mut bytes = BytesMut::new();
        while let Some(piece) = fetched.body.next().await {
            bytes.extend_from_slice(&piece.map_err(|why| error(self.upstream_failed(mirror, &why)))?);
            if bytes.len() as u64 > METADATA_BYTES_MAX {
                return Err(error(Failure::Wrong));
            }
        }
        let bytes = bytes.freeze();
        promised(facts, bytes)
    }

    /// Out of the wheel at upstream: the end of the archive, then the one member.
    async fn metadata_by_ranges(&self, mirror: &Mirror, facts: &FileFacts) -> Result<Bytes, IndexError> {
        let none = || IndexError::NoMetadata(facts.filename.to_string());
        let len = facts.size.ok_or_else(none)?;
        let mut sparse = Sparse::new(len);
        let mut next = len.saturating_sub(END_BYTES)..len;
        for _ in 0..REQUESTS_MAX {
            let piece = self.piece(mirror, facts, len, &next).await?;
            // An archive's last record can lie further back only behind a long comment, which wheels do not have;
            // searching for it there would cost request after request.
            if sparse.bytes() == 0 && !wheel::ends_like_one(&piece) {
                return Err(none());
            }
            sparse.add(next.start, piece);
            match wheel::metadata(sparse.clone()) {
                Ok(bytes) => return Ok(bytes.into()),
                Err(WheelError::Needs(at)) => {
                    let start = at;
                    next = start..len.min(start + STEP_BYTES);
                    if next.is_empty() || sparse.bytes() + (next.end - next.start) > BYTES_MAX {
                        return Err(none());
                    }
                }
                Err(_) => return Err(none()),
            }
        }
        Err(none())
    }

    async fn piece(
        &self,
        mirror: &Mirror,
        facts: &FileFacts,
        len: u64,
        range: &std::ops::Range<u64>,
    ) -> Result<Bytes, IndexError> {
        let error = |why| file_error(facts, why);
        let wanted = ByteRange::Span { first: range.start, last: range.end.saturating_sub(1) };
        let fetched = mirror.upstream.file(&facts.url, Some(wanted), None, false).await;
        let mut fetched = fetched.map_err(|why| error(self.upstream_lacks(mirror, &why)))?;
        self.upstream_answered(mirror);
        let size = range.end - range.start;
        match fetched.status {
            FileStatus::Part { total, .. } if total == len => {}
            // No parts: a whole small file will do, a whole large one is never fetched for this.
            FileStatus::Whole if range.start == 0 && size == len => {}
            _ => return Err(IndexError::NoMetadata(facts.filename.to_string())),
        }
        let mut bytes = BytesMut::with_capacity(size as usize);
        while let Some(piece) = fetched.body.next().await {
            bytes.extend_from_slice(&piece.map_err(|why| error(self.upstream_failed(mirror, &why)))?);
            if bytes.len() as u64 > size {
                return Err(error(Failure::Wrong));
            }
        }
        self.metrics.received(bytes.len() as u64);
        if bytes.len() as u64 == size { Ok(bytes.freeze()) } else { Err(error(Failure::Broken)) }
    }

    async fn keep_metadata(&self, mirror: &Mirror, facts: &FileFacts, bytes: Bytes) -> Got {
        let digest = Sha256::of(&bytes);
        let size = bytes.len() as u64;
        self.metrics.happened(Event::MetadataExtracted);
        // Without the wheel's digest there is nothing to tie the metadata to; it is given, not kept.
        let Some(wheel) = facts.sha256 else { return Ok((digest, size, Some(bytes))) };
        let (disk, piece) = (Arc::clone(&self.disk), bytes.clone());
        let kept = tokio::task::spawn_blocking(move || {
            let mut spool = Spool::create(&disk)?;
            spool.write(&piece)?;
            spool.publish(&disk, digest)
        });
        match kept.await {
            Ok(Ok(DiskFile { .. })) => {}
            Ok(Err(why)) => {
                self.disk_failed(&why);
                return Ok((digest, size, Some(bytes)));
            }
            Err(_) => return Err(IndexError::Lost),
        }
        let name = format!("{}{METADATA_SUFFIX}", facts.filename);
        self.note_blob(&digest, size, &BlobName::new(&mirror.name, Some(&facts.project), name)).await;
        let row = MetadataRow { filename: facts.filename.to_string(), wheel, sha256: digest, size };
        if let Err(why) = self.store.put_metadata(&mirror.name, &facts.project, &row).await {
            self.disk_trouble(&why);
        } else {
            self.news.note(&mirror.name, &facts.project);
            if facts.core_metadata.sha256().is_none() {
                self.rerender(mirror, &facts.project);
            }
        }
        Ok((digest, size, Some(bytes)))
    }

    /// A wheel has landed: its metadata costs nothing now.
    pub(super) async fn metadata_from_disk(&self, mirror: &Arc<Mirror>, facts: &Arc<FileFacts>, wheel: Sha256) {
        if matches!(self.metadata_row(mirror, facts).await, Ok(Some(_))) {
            return;
        }
        if let Some(bytes) = self.metadata_in_cache(wheel).await {
            let _ = self.keep_metadata(mirror, facts, bytes).await;
        }
    }

    /// Before anybody asks; what fails is asked for again when a client does.
    pub(super) async fn prefetch_metadata(self: &Arc<Self>, mirror: &Arc<Mirror>, facts: Arc<FileFacts>) {
        if matches!(self.metadata_row(mirror, &facts).await, Ok(None)) {
            let _ = self.get_metadata(mirror, &facts).await;
        }
    }

    fn rerender(&self, mirror: &Mirror, project: &crate::names::ProjectName) {
        if let Some(state) = self.states.get(&super::pages::page_of(&mirror.name, project)) {
            state.rerender();
        }
    }
}

fn is_absence(error: &IndexError) -> bool {
    matches!(error, IndexError::NoMetadata(_) | IndexError::File { why: Failure::Missing, .. })
}

/// The metadata, unless upstream promised another digest: then there is none to be trusted (PEP 658).
fn promised(facts: &FileFacts, bytes: Bytes) -> Result<Bytes, IndexError> {
    match facts.core_metadata.sha256() {
        Some(digest) if digest != Sha256::of(&bytes) => Err(file_error(facts, Failure::Wrong)),
        _ => Ok(bytes),
    }
}

enum Read {
    Good(Bytes),
    Damaged,
    Absent,
}

/// The memory's key of metadata: by the digest of its own bytes, so that other bytes are never taken for it.
fn metadata_key(ask: &FileAsk, row: &MetadataRow) -> FileKey {
    FileKey { place: Place::Digest(row.sha256.prefix()), ..ask.file.clone() }
}

fn whole_or_part(ask: &FileAsk, facts: &FileFacts, digest: Sha256, bytes: Bytes, tier: Tier) -> FileAnswer {
    let total = bytes.len() as u64;
    let part = choose(ask, Some(digest), Some(total));
    let range = chosen(&part, total);
    let body = FileBody::bytes(bytes.slice(range.start as usize..range.end as usize));
    answer(facts, Some(digest), total, part, body, tier)
}
