//! The names of a mirror's whole list. They are fetched and put in order only after somebody asked for that, in the
//! background, and lie in a file of the cache; its parts are read into the memory's budget when a search needs them.

use super::House;
use super::errors::IndexError;
use super::keys::{Key, Value};
use super::list::{kept_html, list_key, names_of_list};
use super::mirror::Mirror;
use crate::cache::{Calls, Disk, DiskError, DiskFile, Spool};
use crate::names::{IndexName, Sha256};
use crate::search::{Builder, Built, Directory, Match, NamesPart, Query, Scratch, TAIL_BYTES};
use crate::store::{BlobName, Document, ListedRow};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Semaphore;

/// What is under way with lists of names.
pub struct Names {
    calls: Calls<IndexName, Result<(), IndexError>>,
    /// By mirror: how many names have come of the list that is being fetched, and what the last try came to.
    mirrors: Mutex<HashMap<IndexName, Arc<Progress>>>,
    /// When somebody searched last (clock ticks).
    searched: AtomicU64,
    held: AtomicBool,
    /// Searches that run at once: each may keep a core busy for some milliseconds.
    pub(super) turns: Semaphore,
}

#[derive(Default)]
struct Progress {
    seen: Arc<AtomicU64>,
    running: AtomicBool,
    /// When the last try failed (clock ticks), and why.
    failed: Mutex<Option<(u64, String)>>,
}

/// How it stands with the names of a mirror's whole list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has asked for them.
    Absent,
    /// They are on their way; so many have come.
    Fetching { names: u64 },
    /// `renewing`: newer ones are on their way.
    Ready { names: u64, built: u64, renewing: bool },
    /// The last try failed; what it said.
    Failed { why: String },
}

/// What a file of names is called in the books of the cache.
const NAMES_FILE: &str = "names of projects (for searching)";

const SEARCHES_MAX: usize = 2;

/// How long a list is searched before a newer one is fetched, in seconds. It is done only because somebody searches.
const LIST_AGE_SECONDS: u64 = 86_400;

/// After a failure nothing is tried for so long, in milliseconds, unless somebody asks.
const FAILED_MS: u64 = 3_600_000;

/// Names that nobody searched for so long, in milliseconds, give their memory back.
const IDLE_MS: u64 = 300_000;

impl Names {
    pub fn new() -> Self {
        Self {
            calls: Calls::new(),
            mirrors: Mutex::default(),
            searched: AtomicU64::new(0),
            held: AtomicBool::new(false),
            turns: Semaphore::new(SEARCHES_MAX),
        }
    }

    pub(super) fn under_way(&self) -> usize {
        self.calls.running()
    }

    /// Counts the names of a mirror's list while it is fetched, whoever wants it.
    pub(super) fn seen(&self, mirror: &IndexName) -> Arc<AtomicU64> {
        let seen = Arc::clone(&self.progress(mirror).seen);
        seen.store(0, Ordering::Relaxed);
        seen
    }

    fn progress(&self, mirror: &IndexName) -> Arc<Progress> {
        Arc::clone(self.mirrors.lock().entry(mirror.clone()).or_default())
    }
}

/// Says for as long as it lives that names are on their way.
struct Running(Arc<Progress>);

impl Running {
    fn new(progress: Arc<Progress>) -> Self {
        progress.running.store(true, Ordering::Relaxed);
        Self(progress)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::Relaxed);
    }
}

impl House {
    /// How it stands with a mirror's names, and where they are. Sees to it that a list which has changed since, or is
    /// old, is put in order anew.
    pub(super) async fn names_of(
        self: &Arc<Self>,
        mirror: &Arc<Mirror>,
    ) -> Result<(Standing, Option<(ListedRow, DiskFile)>), IndexError> {
        let progress = self.names.progress(&mirror.name);
        let running = progress.running.load(Ordering::Relaxed);
        let listed = self.store.listed(&mirror.name).await?;
        let file = match &listed {
            Some(row) => self.on_disk(&row.sha256, Some(row.size)).await,
            None => None,
        };
        if let (Some(row), Some(file)) = (&listed, file) {
            let document = self.store.document(&list_key(&mirror.name)).await?;
            let current = document.as_ref().is_some_and(|document| {
                document.digest == row.list && self.clock.unix() < document.fetched + LIST_AGE_SECONDS
            });
            let failed = progress.failed.lock().as_ref().map(|(at, _)| *at);
            let renews =
                !current && failed.is_none_or(|at| self.clock.ticks() > at + FAILED_MS) && self.may_list(mirror);
            if renews && !running {
                self.start_names(mirror);
            }
            let standing = Standing::Ready { names: row.projects, built: row.built, renewing: running || renews };
            return Ok((standing, Some((row.clone(), file))));
        }
        let why = progress.failed.lock().as_ref().map(|(_, why)| why.clone());
        let standing = match (running, why) {
            (true, _) => Standing::Fetching { names: progress.seen.load(Ordering::Relaxed) },
            (false, Some(why)) => Standing::Failed { why },
            (false, None) => Standing::Absent,
        };
        Ok((standing, None))
    }

    /// Whether the mirror's list can be fetched at all.
    pub(super) fn may_list(&self, mirror: &Mirror) -> bool {
        !self.offline && !mirror.rules.no_project_list
    }

    /// Fetches a mirror's list and puts its names in order, in the background: once, however often it is begun.
    pub(super) fn start_names(self: &Arc<Self>, mirror: &Arc<Mirror>) {
        let progress = self.names.progress(&mirror.name);
        let (house, mirror_of_call) = (Arc::clone(self), Arc::clone(mirror));
        let call = || {
            let running = Running::new(Arc::clone(&progress));
            async move {
                let made = house.make_names(&mirror_of_call).await;
                let failed = made.as_ref().err().map(|why| (house.clock.ticks(), why.to_string()));
                if let Err(why) = &made {
                    tracing::warn!(index = %mirror_of_call.name, %why, "the names of the whole list cannot be had");
                }
                *progress.failed.lock() = failed;
                drop(running);
                made
            }
        };
        drop(self.names.calls.start(mirror.name.clone(), call));
    }

    async fn make_names(self: &Arc<Self>, mirror: &Arc<Mirror>) -> Result<(), IndexError> {
        let key = list_key(&mirror.name);
        let (mut document, now) = (self.store.document(&key).await?, self.clock.unix());
        let young = document.as_ref().is_some_and(|document| now < document.fetched + LIST_AGE_SECONDS);
        let mut file = if young { self.list_file(document.as_ref()).await } else { None };
        if file.is_none() {
            self.fetched_list(mirror, document).await?;
            document = self.store.document(&key).await?;
            file = self.list_file(document.as_ref()).await;
        }
        let (Some(document), Some(file)) = (document, file) else { return Err(IndexError::Lost) };
        if let Some(row) = self.store.listed(&mirror.name).await?
            && row.list == document.digest
            && self.on_disk(&row.sha256, Some(row.size)).await.is_some()
        {
            return Ok(());
        }
        let (disk, seen) = (Arc::clone(&self.disk), Arc::clone(&self.names.progress(&mirror.name).seen));
        let built = tokio::task::spawn_blocking(move || build(&disk, file.file, &seen)).await;
        let (built, sha256) = built.map_err(|_| IndexError::Lost)?.map_err(|why| IndexError::Disk(disk_error(why)))?;
        self.note_blob(&sha256, built.bytes, &BlobName::new(&mirror.name, None, NAMES_FILE.to_owned())).await;
        let row = ListedRow {
            list: document.digest,
            sha256,
            size: built.bytes,
            projects: built.names,
            built: self.clock.unix(),
        };
        self.store.put_listed(&mirror.name, &row).await?;
        tracing::info!(index = %mirror.name, names = built.names, bytes = built.bytes, "the names of the whole list can be searched");
        Ok(())
    }

    /// The kept list, checked.
    async fn list_file(self: &Arc<Self>, document: Option<&Document>) -> Option<DiskFile> {
        let (digest, size) = kept_html(document?)?;
        let file = self.on_disk(&digest, Some(size)).await?;
        let (disk, checked) = (Arc::clone(&self.disk), file.clone());
        let whole = file.verified
            || tokio::task::spawn_blocking(move || disk.verify(&digest, &checked, |_| {}).unwrap_or(false))
                .await
                .ok()?;
        if !whole {
            self.set_aside(&digest).await;
        }
        whole.then_some(file)
    }

    /// Searches the names of a list; empty where its file is damaged, which is then made anew.
    pub(super) async fn search_names(
        self: &Arc<Self>,
        mirror: &Arc<Mirror>,
        row: &ListedRow,
        file: DiskFile,
        query: &Query,
        count: usize,
    ) -> Result<Vec<Match>, IndexError> {
        self.note_use(Some(&self.uses_of(&row.sha256)));
        self.names.searched.store(self.clock.ticks(), Ordering::Relaxed);
        self.names.held.store(true, Ordering::Relaxed);
        let (house, digest, query) = (Arc::clone(self), row.sha256, query.clone());
        let searched = tokio::task::spawn_blocking(move || {
            let directory = house.directory(&digest, &file)?;
            directory.search(&query, count, |part| house.part(&digest, &file, &directory, part))
        });
        match searched.await.map_err(|_| IndexError::Lost)? {
            Ok(found) => Ok(found),
            Err(why) => {
                tracing::warn!(index = %mirror.name, %why, "a file of names is damaged; it is made anew");
                self.set_aside(&row.sha256).await;
                self.start_names(mirror);
                Ok(Vec::new())
            }
        }
    }

    fn directory(&self, digest: &Sha256, file: &DiskFile) -> io::Result<Arc<Directory>> {
        let key = Key::Names(*digest);
        if let Some(Value::Names(directory)) = self.memory.get(&key) {
            return Ok(directory);
        }
        let tail = read(&file.file, file.len.saturating_sub(TAIL_BYTES)..file.len)?;
        let place = Directory::place(file.len, &tail).ok_or_else(damaged)?;
        let directory = Arc::new(Directory::read(&read(&file.file, place)?).ok_or_else(damaged)?);
        self.memory.insert(key, Value::Names(Arc::clone(&directory)));
        Ok(directory)
    }

    fn part(
        &self,
        digest: &Sha256,
        file: &DiskFile,
        directory: &Directory,
        number: usize,
    ) -> io::Result<Arc<NamesPart>> {
        let key = Key::NamesPart(*digest, number);
        if let Some(Value::NamesPart(part)) = self.memory.get(&key) {
            return Ok(part);
        }
        let range = directory.part(number).filter(|range| range.end <= file.len).ok_or_else(damaged)?;
        let part = Arc::new(NamesPart::read(read(&file.file, range)?).ok_or_else(damaged)?);
        self.memory.insert(key, Value::NamesPart(Arc::clone(&part)));
        Ok(part)
    }

    /// Gives memory back that holds names nobody searched for a while.
    pub(super) fn forget_idle_names(&self) {
        let idle = self.clock.ticks() > self.names.searched.load(Ordering::Relaxed) + IDLE_MS;
        if idle && self.names.held.swap(false, Ordering::Relaxed) {
            self.memory.remove_if(|key, _| matches!(key, Key::Names(_) | Key::NamesPart(..) | Key::Spelled));
        }
    }
}

/// Puts the names of a list in order, in a new file of the cache.
fn build(disk: &Disk, list: Arc<File>, seen: &AtomicU64) -> io::Result<(Built, Sha256)> {
    let mut builder = Builder::new(Aside::new(disk)?);
    let mut count = 0;
    names_of_list(list, |name| {
        count += 1;
        seen.fetch_max(count, Ordering::Relaxed);
        builder.add(name)
    })?;
    let mut output = BufWriter::with_capacity(64 * 1024, Output(Spool::create(disk).map_err(io::Error::other)?));
    let built = builder.finish(&mut output)?;
    let spool = output.into_inner().map_err(|why| why.into_error())?.0;
    let digest = spool.digest();
    spool.publish(disk, digest).map_err(io::Error::other)?;
    Ok((built, digest))
}

/// A temporary file for what is being sorted.
struct Aside {
    spool: Spool,
}

impl Aside {
    fn new(disk: &Disk) -> io::Result<Self> {
        Ok(Self { spool: Spool::create(disk).map_err(io::Error::other)? })
    }
}

impl Scratch for Aside {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.spool.write(bytes).map_err(io::Error::other)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.spool.file().read_at(buffer, offset)
    }
}

struct Output(Spool);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn read(file: &File, range: Range<u64>) -> io::Result<Vec<u8>> {
    let len = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes)
}

fn damaged() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

fn disk_error(why: io::Error) -> Arc<DiskError> {
    Arc::new(DiskError::Unwritable(why))
}
