use super::House;
use super::basis::Basis;
use super::body::FileBody;
use super::catalog::IndexKind;
use super::errors::IndexError;
use super::keys::{Content, FileKey, FlightKey, Key, Place, Value};
use super::mirror::Mirror;
use super::pages::page_of;
use super::uses::Uses;
use crate::cache::{DiskError, DiskFile, Failure, Flight, Joined, Shelf};
use crate::http::{self, RangeAnswer};
use crate::metrics::Tier;
use crate::names::{DistFilename, ProjectName, Sha256};
use crate::platform::Fixed;
use crate::simple::{CoreMetadata, File};
use crate::store::FileRow;
use crate::upstream::{ByteRange, FileStatus};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use url::Url;

/// A wish for a file.
#[derive(Clone)]
pub struct FileAsk {
    pub file: FileKey,
    /// The client's `Range` and `If-Range`, as they came.
    pub range: Option<String>,
    pub if_range: Option<String>,
    /// Only the facts are wanted (HEAD): nothing is fetched for it.
    pub head_only: bool,
}

/// A file, or the part of it that was asked for.
pub struct FileAnswer {
    pub total: u64,
    /// The digest, when it is known: the strong tag.
    pub digest: Option<Sha256>,
    /// Unix seconds of the upload, when upstream tells it.
    pub modified: Option<u64>,
    pub part: RangeAnswer,
    pub body: FileBody,
    pub tier: Tier,
    /// The client is to fetch it from there itself (`mirror_use_external_urls`); nothing else of the answer counts.
    pub elsewhere: Option<Url>,
    /// Where what is sent of it is counted; none for what users own.
    pub uses: Option<Arc<Uses>>,
    /// What keeps its heads, where it is known as the very bytes.
    pub heads: Option<Arc<KnownFile>>,
}

/// What the page of a project says of one file.
pub struct FileFacts {
    pub project: ProjectName,
    pub filename: DistFilename,
    /// Where upstream has it; of a file of ours, what stands for it.
    pub url: Url,
    pub sha256: Option<Sha256>,
    pub size: Option<u64>,
    pub modified: Option<u64>,
    pub core_metadata: CoreMetadata,
    /// What says so, where that may change: a path leads to other bytes one day, a stage's file may be removed. A
    /// mirror's file under its digest stays what it is.
    pub(super) basis: Option<Basis>,
}

/// A file that was asked for: its facts, and its bytes while they are worth the memory.
pub struct KnownFile {
    pub facts: Arc<FileFacts>,
    /// The digest of the bytes; computed where upstream states none.
    pub digest: Option<Sha256>,
    pub bytes: Option<Fixed>,
    /// Of what is in the cache, once it is known which bytes those are.
    pub uses: Option<Arc<Uses>>,
    /// Times that a file of a stage was asked for since it is known; those of the cache are counted by their uses.
    pub asked: AtomicU32,
    /// For the mouth that serves it: the part of its head that never changes, made once for those who may all read it, and
    /// once for those who had to be let in.
    pub heads: [OnceLock<Bytes>; 2],
}

/// Up to here a file of which a part is asked for is fetched whole: a resolver that reads its metadata by ranges will
/// want the rest a moment later, and one request costs upstream less than two.
const FETCHED_WHOLE_BYTES_MAX: u64 = 256 * 1024;

/// Whether a file that was asked for so often and was not in memory is read into it although that evicts something: at the
/// second time, the eighth, the thirty-second and so on. Where more is hot than fits, files would otherwise be read into memory
/// for each answer, only to drive each other out.
fn is_worth_evicting(missed: u32) -> bool {
    missed.is_power_of_two() && missed.trailing_zeros() % 2 == 1
}

impl FileAnswer {
    /// What hangs on a file of ours.
    pub(super) fn of_private(disk: &DiskFile, digest: Sha256, part: RangeAnswer) -> Self {
        let body = FileBody::disk(disk, chosen(&part, disk.len));
        let (total, digest, tier) = (disk.len, Some(digest), Tier::Disk);
        Self { total, digest, modified: None, part, body, tier, elsewhere: None, uses: None, heads: None }
    }
}

impl KnownFile {
    pub fn new(facts: Arc<FileFacts>, digest: Option<Sha256>, bytes: Option<Fixed>, uses: Option<Arc<Uses>>) -> Self {
        Self { facts, digest, bytes, uses, asked: AtomicU32::new(0), heads: Default::default() }
    }
}

impl FileFacts {
    pub fn of(project: &ProjectName, file: &File) -> Option<Self> {
        Some(Self {
            project: project.clone(),
            filename: file.filename.clone(),
            url: Url::parse(&file.url).ok()?,
            sha256: file.sha256,
            size: file.size,
            modified: file.upload_time.as_deref().and_then(super::stamps::unix_of),
            core_metadata: file.core_metadata.clone(),
            basis: None,
        })
    }

    /// What a stage says of a file of its own.
    pub(super) fn of_stage(row: &FileRow, basis: Option<Basis>) -> Option<Self> {
        Some(Self {
            project: row.project.clone(),
            filename: DistFilename::parse(&row.filename).ok()?,
            url: Url::parse("file:///").ok()?,
            sha256: Some(row.sha256),
            size: Some(row.size),
            modified: u64::try_from(row.uploaded / 1_000_000).ok(),
            core_metadata: CoreMetadata::Absent,
            basis,
        })
    }

    /// Whether what says so has not changed since.
    pub(super) fn is_current(&self) -> bool {
        self.basis.as_ref().is_none_or(Basis::is_current)
    }

    fn flight_key(&self, key: &FileKey) -> FlightKey {
        FlightKey {
            index: key.index.clone(),
            url: self.url.as_str().into(),
            digest: self.sha256,
            filename: self.filename.clone(),
        }
    }
}

impl House {
    /// A file whose bytes are in memory: the whole of the hot journey.
    pub(super) fn hot_file(&self, key: &FileKey) -> Option<Arc<KnownFile>> {
        match self.memory.get(&Key::Bytes(key.clone())) {
            Some(Value::File(known)) if known.facts.is_current() => {
                self.note_use(known.uses.as_deref());
                Some(known)
            }
            _ => None,
        }
    }

    /// The journey of a file: memory, disk, flight.
    pub(super) async fn file(self: &Arc<Self>, ask: FileAsk) -> Result<FileAnswer, IndexError> {
        if let Some(known) = self.hot_file(&ask.file) {
            let part = choose(&ask, known.digest, known.bytes.as_ref().map(|bytes| bytes.len() as u64));
            return Ok(self.from_memory(known, part));
        }
        let entry = self.entry(&ask.file.index)?;
        let mirror = match &entry.kind {
            IndexKind::Mirror(mirror) => Arc::clone(mirror),
            IndexKind::Stage(marks) => return self.stage_file(&entry, marks, ask).await,
        };
        let known = self.known(&mirror, &ask.file).await?;
        let facts = Arc::clone(&known.facts);
        let digest = match known.digest {
            Some(digest) => Some(digest),
            None => self.store.unhashed(&mirror.name, facts.url.as_str()).await?.map(|(digest, _)| digest),
        };
        let uses = known.uses.clone().or_else(|| digest.map(|digest| self.uses_of(&digest)));
        self.note_use(uses.as_deref());
        let answer = self.mirror_file(&mirror, ask, &known, digest).await?;
        Ok(FileAnswer { uses, ..answer })
    }

    /// The journey of a mirror's file that is not in memory: `digest` is that of the bytes, as far as it is known.
    async fn mirror_file(
        self: &Arc<Self>,
        mirror: &Arc<Mirror>,
        ask: FileAsk,
        known: &Arc<KnownFile>,
        digest: Option<Sha256>,
    ) -> Result<FileAnswer, IndexError> {
        let facts = Arc::clone(&known.facts);
        if let Some(digest) = digest
            && let Some(disk) = self.whole(&digest, facts.size, self.disk.get_shared(&digest)).await
            && (disk.verified || ask.head_only)
        {
            self.consider_memory(Some(mirror), &ask.file, known, digest, disk.len);
            let part = choose(&ask, Some(digest), Some(disk.len));
            let body = FileBody::disk(&disk, chosen(&part, disk.len));
            let answer = answer(&facts, Some(digest), disk.len, part, body, Tier::Disk);
            let heads = (known.digest == Some(digest)).then(|| Arc::clone(known));
            return Ok(FileAnswer { heads, ..answer });
        }
        let here = digest.is_some_and(|digest| self.disk.has(&digest));
        if mirror.rules.external_urls && !here {
            let elsewhere = Some(facts.url.clone());
            let nothing = answer(&facts, None, 0, RangeAnswer::Whole, FileBody::empty(), Tier::Miss);
            return Ok(FileAnswer { elsewhere, ..nothing });
        }
        // A digest that we computed is that of the bytes we had; what comes now may be others.
        let stated = facts.sha256;
        if self.offline && !here {
            return Err(IndexError::Offline(facts.filename.to_string()));
        }
        if let (true, Some(size)) = (ask.head_only, facts.size) {
            let part = choose(&ask, stated, Some(size));
            return Ok(answer(&facts, stated, size, part, FileBody::empty(), Tier::Miss));
        }
        let part = match (choose(&ask, stated, facts.size), facts.size) {
            // Passed through, a range that is the whole file would be complete and never verified.
            (RangeAnswer::Part { start: 0, end_inclusive: end }, Some(size)) if end + 1 == size => RangeAnswer::Whole,
            (part, _) => part,
        };
        let worth_a_part = facts.size.is_some_and(|size| size > FETCHED_WHOLE_BYTES_MAX);
        if !here
            && worth_a_part
            && part != RangeAnswer::Whole
            && let Some(answer) = self.part_from_upstream(mirror, &facts, stated, part).await?
        {
            return Ok(answer);
        }
        let (flight, tier) = self.lead_or_follow(mirror, &ask.file, &facts, digest);
        let tier = if here { Tier::Disk } else { tier };
        if ask.range.is_some() && (part != RangeAnswer::Whole || facts.size.is_none()) {
            return match self.part_when_landed(&ask, &facts, stated, &flight, tier).await {
                // The whole is an answer to any range, and needs no disk.
                Err(IndexError::File { why: Failure::Disk, .. }) => self.passed_through(mirror, &facts, stated).await,
                other => other,
            };
        }
        match flight.ready().await {
            Ok(total) => {
                let body = FileBody::follow(&flight, self.rescue(mirror, &facts, stated, total));
                Ok(answer(&facts, stated, total, RangeAnswer::Whole, body, tier))
            }
            Err(Failure::Disk) => self.passed_through(mirror, &facts, stated).await,
            Err(why) => Err(file_error(&facts, why)),
        }
    }

    /// A part of a file that is not here: asked of upstream as a part. `None` when upstream does not do parts, or
    /// states another size: then the whole is fetched once, for all.
    async fn part_from_upstream(
        &self,
        mirror: &Mirror,
        facts: &FileFacts,
        digest: Option<Sha256>,
        part: RangeAnswer,
    ) -> Result<Option<FileAnswer>, IndexError> {
        let total = facts.size.unwrap_or_default();
        let RangeAnswer::Part { start, end_inclusive: end } = part else {
            return Ok(Some(answer(facts, digest, total, part, FileBody::empty(), Tier::Miss)));
        };
        let wanted = ByteRange::Span { first: start, last: end };
        let fetched = mirror.upstream.file(&facts.url, Some(wanted), None, false).await;
        let fetched = fetched.map_err(|why| file_error(facts, self.upstream_failed(mirror, &why)))?;
        match fetched.status {
            FileStatus::Part { total: told, .. } if told == total => {
                let body = FileBody::part(fetched.body, end - start + 1);
                Ok(Some(answer(facts, digest, total, part, body, Tier::Miss)))
            }
            _ => Ok(None),
        }
    }

    /// A part of a file whose bytes are being fetched or checked: only verified bytes are cut up.
    async fn part_when_landed(
        &self,
        ask: &FileAsk,
        facts: &FileFacts,
        digest: Option<Sha256>,
        flight: &Flight,
        tier: Tier,
    ) -> Result<FileAnswer, IndexError> {
        let total = flight.done().await.map_err(|why| file_error(facts, why))?;
        let file = flight.file().ok_or_else(|| file_error(facts, Failure::Vanished))?;
        let part = choose(ask, digest, Some(total));
        let body =
            FileBody::disk(&DiskFile { file, len: total, verified: true, shelf: Shelf::Cache }, chosen(&part, total));
        Ok(answer(facts, digest, total, part, body, tier))
    }

    /// What the index says of a file; [`IndexError::UnknownFile`] when it does not list it.
    pub(super) async fn known(
        self: &Arc<Self>,
        mirror: &Arc<Mirror>,
        key: &FileKey,
    ) -> Result<Arc<KnownFile>, IndexError> {
        if let Some(Value::File(known)) = self.memory.get(&Key::File(key.clone()))
            && known.facts.is_current()
        {
            return Ok(known);
        }
        let facts = Arc::new(self.listed(mirror, key).await?);
        let uses = facts.sha256.map(|digest| self.uses_of(&digest));
        let known = Arc::new(KnownFile::new(Arc::clone(&facts), facts.sha256, None, uses));
        self.remember(mirror, Key::File(key.clone()), &known);
        Ok(known)
    }

    /// Keeps what is known of a mirror's file. What is under way while the mirror's settings change was listed under the
    /// old: it may be of a name that is reserved now. The change is shown first and clears the memory then, so that
    /// looking after the insertion misses none.
    pub(super) fn remember(&self, mirror: &Arc<Mirror>, key: Key, known: &Arc<KnownFile>) {
        self.memory.insert(key.clone(), Value::File(Arc::clone(known)));
        if !self.mirror(&mirror.name).is_ok_and(|now| Arc::ptr_eq(&now, mirror)) {
            self.memory.remove(&key);
        }
    }

    /// Looks for the file in the pages of the projects that its name may belong to: first as they are known, then,
    /// since an old lockfile or a new release may name what we have not seen, as upstream has them now.
    async fn listed(self: &Arc<Self>, mirror: &Arc<Mirror>, key: &FileKey) -> Result<FileFacts, IndexError> {
        let mut trouble = None;
        for newer in [false, true] {
            if newer && let Some(facts) = self.brought(mirror, key).await? {
                return Ok(facts);
            }
            for project in key.filename.projects() {
                let page = self.state(&page_of(&mirror.name, &project)).await?;
                let basis = Basis::of(&page);
                match self.project(mirror, &project, newer).await {
                    Ok((content, tier)) => {
                        if let Some(mut facts) = find(&content, &project, key) {
                            facts.basis = (!matches!(key.place, Place::Digest(_))).then_some(basis);
                            return Ok(facts);
                        }
                        if tier == Tier::Stale {
                            trouble = Some(IndexError::NotAsked(mirror.name.clone(), key.filename.to_string()));
                        }
                    }
                    Err(IndexError::UnknownProject(..)) => {}
                    Err(why) => trouble = Some(why),
                }
            }
        }
        // What cannot be asked for is not "not there".
        if self.offline && trouble.is_none() {
            return Err(IndexError::Offline(key.filename.to_string()));
        }
        Err(trouble.unwrap_or_else(|| IndexError::UnknownFile(mirror.name.clone(), key.filename.to_string())))
    }

    /// The whole file on the disk, if it is there with the size that the page states.
    pub(super) async fn on_disk(self: &Arc<Self>, digest: &Sha256, size: Option<u64>) -> Option<DiskFile> {
        // Opening is a few microseconds; a thread hop would cost more.
        self.whole(digest, size, self.disk.get(digest)).await
    }

    /// What was found on the disk, if it has the size that the page states; else it is set aside.
    async fn whole(
        self: &Arc<Self>,
        digest: &Sha256,
        size: Option<u64>,
        found: Result<Option<DiskFile>, DiskError>,
    ) -> Option<DiskFile> {
        let file = match found {
            Ok(file) => file?,
            Err(why) => {
                tracing::warn!(%digest, %why, "a cached file cannot be read");
                return None;
            }
        };
        if size.is_none_or(|size| size == file.len) {
            return Some(file);
        }
        self.set_aside(digest).await;
        None
    }

    pub(super) fn lead_or_follow(
        self: &Arc<Self>,
        mirror: &Arc<Mirror>,
        key: &FileKey,
        facts: &Arc<FileFacts>,
        digest: Option<Sha256>,
    ) -> (Flight, Tier) {
        match self.flights.join(&facts.flight_key(key), self.clock.ticks()) {
            Joined::Follows(flight) => (flight, Tier::Flight),
            Joined::Leads(leader, flight) => {
                let (house, mirror, facts, key) =
                    (Arc::clone(self), Arc::clone(mirror), Arc::clone(facts), key.clone());
                let task = Arc::clone(&self.tasks);
                tokio::spawn(async move {
                    house.lead(&mirror, &key, &facts, digest, leader).await;
                    drop(task);
                });
                (flight, Tier::Miss)
            }
        }
    }

    fn from_memory(self: &Arc<Self>, known: Arc<KnownFile>, part: RangeAnswer) -> FileAnswer {
        let total = known.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        let (facts, digest, uses) = (Arc::clone(&known.facts), known.digest, known.uses.clone());
        let body = FileBody::memory(&known, &self.disk, chosen(&part, total));
        FileAnswer { uses, heads: Some(known), ..answer(&facts, digest, total, part, body, Tier::Memory) }
    }

    /// Reads a file into memory when there is room for it, or when it is asked for again. `mirror`: whose it is.
    pub(super) fn consider_memory(
        self: &Arc<Self>,
        mirror: Option<&Arc<Mirror>>,
        key: &FileKey,
        known: &Arc<KnownFile>,
        digest: Sha256,
        len: u64,
    ) {
        // What users own is not counted elsewhere.
        let missed =
            known.uses.as_ref().map_or_else(|| known.asked.fetch_add(1, Ordering::Relaxed) + 1, |uses| uses.missed());
        if len > self.memory.entry_max() || !(is_worth_evicting(missed) || self.memory.has_room(len)) {
            return;
        }
        // One at a time: what is being read counts in no budget yet.
        let Ok(permit) = Arc::clone(&self.loading).try_acquire_owned() else { return };
        let (house, key, known, mirror) = (Arc::clone(self), key.clone(), Arc::clone(known), mirror.cloned());
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            house.load(mirror.as_ref(), &key, &known, digest);
        });
    }

    fn load(&self, mirror: Option<&Arc<Mirror>>, key: &FileKey, known: &KnownFile, digest: Sha256) {
        let purges = self.purges.load(Ordering::Acquire);
        let Ok(Some(file)) = self.disk.get(&digest) else { return };
        if !file.verified {
            return;
        }
        let Ok(bytes) = file.load() else { return };
        let uses = known.uses.clone();
        let loaded = Arc::new(KnownFile::new(Arc::clone(&known.facts), Some(digest), Some(bytes), uses));
        let key = Key::Bytes(key.clone());
        match mirror {
            Some(mirror) => self.remember(mirror, key.clone(), &loaded),
            // A stage's file says itself whether it is current.
            None => self.memory.insert(key.clone(), Value::File(loaded)),
        }
        // What was read while files were taken out may be one of them. A purge counts before it clears the memory, so
        // that looking after the insertion misses none.
        if self.purges.load(Ordering::Acquire) != purges {
            self.memory.remove(&key);
        }
    }
}

fn find(content: &Content, project: &ProjectName, key: &FileKey) -> Option<FileFacts> {
    let Content::Page(page) = content else { return None };
    let mut files = page.files.iter().filter(|file| file.filename == key.filename);
    let file = match &key.place {
        Place::Digest(prefix) => files.find(|file| file.sha256.is_some_and(|digest| digest.prefix() == *prefix)),
        Place::Link(directory) => files.find(|file| file.sha256.is_none() && *file.link_directory() == **directory),
        Place::Path(path) => files.find(|file| decoded(file.upstream_path()) == **path),
    };
    FileFacts::of(project, file?)
}

/// An upstream path as a request's path is read: without its first slash, each segment decoded.
fn decoded(path: &str) -> Cow<'_, str> {
    percent_decode_str(path.trim_start_matches('/')).decode_utf8_lossy()
}

/// Which part is meant: `If-Range` must name the very bytes (RFC 9110 §13.1.5).
pub(super) fn choose(ask: &FileAsk, digest: Option<Sha256>, total: Option<u64>) -> RangeAnswer {
    let Some(total) = total else { return RangeAnswer::Whole };
    if ask.if_range.is_some() {
        let etag = digest.map(|digest| format!("\"{digest}\"")).unwrap_or_default();
        if !http::if_range(ask.if_range.as_deref(), &etag, None) {
            return RangeAnswer::Whole;
        }
    }
    http::range(ask.range.as_deref(), total)
}

pub(super) fn chosen(part: &RangeAnswer, total: u64) -> Range<u64> {
    match part {
        RangeAnswer::Whole => 0..total,
        RangeAnswer::Part { start, end_inclusive: end } => *start..end + 1,
        RangeAnswer::Unsatisfiable => 0..0,
    }
}

pub(super) fn answer(
    facts: &FileFacts,
    digest: Option<Sha256>,
    total: u64,
    part: RangeAnswer,
    body: FileBody,
    tier: Tier,
) -> FileAnswer {
    FileAnswer { total, digest, modified: facts.modified, part, body, tier, elsewhere: None, uses: None, heads: None }
}

pub(super) fn file_error(facts: &FileFacts, why: Failure) -> IndexError {
    IndexError::File { filename: facts.filename.to_string(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_read_into_memory_ever_more_rarely() {
        let read: Vec<u32> = (0..1000).filter(|missed| is_worth_evicting(*missed)).collect();
        assert_eq!(read, [2, 8, 32, 128, 512]);
        let uses = Uses::default();
        assert_eq!((uses.missed(), uses.missed()), (1, 2));
    }
}
