//! The journeys: a page, a file, its metadata, the list of projects. The only room that knows store, cache and
//! upstream.
//!
//! Enters: an index's name and a typed wish. Leaves: a page, a file, or an [`IndexError`].
//! Must not know: statuses, markup, multipart, Pingora.

mod accounts;
mod backfill;
mod basis;
mod body;
mod browse;
mod catalog;
mod described;
mod docs;
mod door;
mod errors;
mod files;
mod fill;
mod first;
mod health;
mod history;
mod imports;
mod indexes;
mod info;
mod inventory;
mod janitor;
mod keys;
mod known;
mod list;
mod metadata;
mod mirror;
mod names_list;
mod news;
mod packing;
mod pages;
mod pass;
mod purge;
mod push;
mod refresh;
mod releases;
mod render;
mod scrub;
mod search;
mod sessions;
mod spellings;
mod stage;
mod stage_list;
pub mod stamps;
mod states;
mod status;
mod tox;
mod troubles;
mod undo;
mod uses;
pub mod wheel;
mod writer;

pub use accounts::{Claim, LOGIN_SECONDS, Login, TokenWish, make_token};
pub use body::{FileBody, Piece, Shared};
pub use browse::{CacheUse, Seen, SeenPart, StageProject};
pub use catalog::{Catalog, IndexEntry, IndexKind};
pub use described::Described;
pub use docs::{Docs, DocsMember, MEMBER_BYTES_MAX};
pub use errors::IndexError;
pub use files::{FileAnswer, FileAsk, FileFacts, KnownFile};
pub use health::{Facts as UpstreamFacts, Failed, Health};
pub use history::{HISTORY_SECONDS, hit_ratio, parts as day_parts, saved, sum as day_sum};
pub use imports::{TakenFile, Took};
pub use info::{Link, VersionInfo};
pub use inventory::{Selection, inventory, version_of};
pub use janitor::{TALLY_EVICTED, TALLY_FETCHED};
pub use keys::{Base, FileKey, PageKey, Place};
pub use list::{ListAnswer, ListAsk};
pub use mirror::{Mirror, MirrorMaker, MirrorRules};
pub use pages::{PageAnswer, PageAsk, page_of};
pub use purge::Purged;
pub use push::{ActionLog, PushAsk, PushTarget, Pushed};
pub use releases::{NewDocs, NewFile, NewRelease, Removal, Stored, YANK_REASON_BYTES_MAX};
pub use render::RenderedPage;
pub use search::{Hit, HitKind, HitWhy, ListStanding, ListState, SearchAnswer, SearchAsk};
pub use sessions::{Person, SESSION_IDLE_SECONDS_MAX, SESSION_SECONDS_MAX};
pub use status::{Level as Budget, MirrorStanding, Standing, Status, Transfer};
pub use tox::ToxResult;
pub use troubles::{Heard, Trouble};
pub use undo::{UNDO_SECONDS, Undo};
pub use uses::Uses;

use crate::auth::Auth;
use crate::cache::{Calls, Disk, Flights, Memory};
use crate::clock::Clock;
use crate::metrics::{Level, Metrics};
use crate::names::{IndexName, ProjectName};
use crate::rules::{self, Subject, UserCreation};
use crate::store::{DocumentKey, Private, Store, check_format};
use crate::upstream::Origin;
use keys::{FlightKey, Key, MetadataKey, Value};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use tokio::sync::{Notify, Semaphore};

/// What an [`Index`] is made of.
pub struct Parts {
    pub clock: Clock,
    pub metrics: Metrics,
    pub store: Store,
    pub private: Private,
    pub disk: Disk,
    pub auth: Auth,
    /// Mirrors that stand in the server's settings.
    pub mirrors: Vec<Mirror>,
    /// Makes those that users set up.
    pub maker: MirrorMaker,
    pub user_creation: UserCreation,
    /// Origins that releases may be pushed to although they are private or speak http.
    pub push_origins: Vec<Origin>,
    /// What clients outside call us, without a slash at the end.
    pub public_url: Option<String>,
    /// Bytes of memory for pages and files together.
    pub memory_bytes: u64,
    /// Bytes of files on the disk.
    pub disk_bytes: u64,
    pub offline: bool,
    /// Whether metadata that upstream does not offer is got before anybody asks.
    pub backfill: bool,
}

/// The handle on all journeys; cheap to clone.
#[derive(Clone)]
pub struct Index(Arc<House>);

/// What the journeys share.
struct House {
    me: Weak<House>,
    clock: Clock,
    metrics: Metrics,
    store: Store,
    /// What users own.
    private: Private,
    disk: Arc<Disk>,
    auth: Auth,
    /// The picture of users and indexes that is shown now.
    catalog: RwLock<Arc<Catalog>>,
    /// Grows with every change of that picture.
    catalog_version: Arc<AtomicU64>,
    /// Held by the one who changes that picture.
    changing: tokio::sync::Mutex<()>,
    /// Held from the naming of private bytes to the row that refers to them, and from a row's removal to theirs.
    shelf: tokio::sync::Mutex<()>,
    /// Held by the one who counts test results to name the next.
    numbering: tokio::sync::Mutex<()>,
    fixed: BTreeMap<IndexName, Arc<Mirror>>,
    maker: MirrorMaker,
    user_creation: UserCreation,
    push_origins: Vec<Origin>,
    public_url: Option<String>,
    memory: Memory<Key, Value>,
    states: states::States,
    refreshes: Calls<DocumentKey, pages::Refreshed>,
    /// Places for pages that are read while they arrive.
    reading: Arc<Semaphore>,
    /// Places for files that have arrived and are not in the books yet.
    booking: Semaphore,
    /// Room for what is shown before it is in the database, in KiB.
    unsaved: Arc<Semaphore>,
    /// By the generation too: who comes after a change does not join a rendering from before it.
    renders: Calls<(PageKey, u64), Result<Arc<RenderedPage>, IndexError>>,
    lists: Calls<IndexName, list::Fetched>,
    metadata_calls: Calls<MetadataKey, metadata::Got>,
    flights: Flights<FlightKey>,
    offline: bool,
    backfill: bool,
    disk_bytes_max: u64,
    books: janitor::Books,
    last_uses: sessions::LastUses,
    /// What has changed and is not searched yet.
    news: Arc<news::News>,
    spellings: spellings::Spellings,
    names: names_list::Names,
    /// Wakes the janitor before its round.
    tidy: Arc<Notify>,
    /// Grows when files are taken out of the cache for good.
    purges: AtomicU64,
    /// Held by the one who evicts.
    evicting: tokio::sync::Mutex<()>,
    history: Mutex<history::History>,
    troubles: troubles::Troubles,
    /// The number of the last change, and when it was first seen (Unix seconds): every answer to one looks.
    change: Mutex<(u64, u64)>,
    /// When this run began (Unix seconds).
    began: u64,
    /// One file at a time is read into memory: what is being read counts in no budget yet.
    loading: Arc<Semaphore>,
    /// Pages that are parsed, rendered or compressed at the same time.
    kitchen: Arc<Semaphore>,
    backfilling: Arc<Semaphore>,
    /// Uploaded files that are read through at the same time, before they are served for the first time in a run.
    checking: Semaphore,
    docs: docs::DocsRoom,
    stopping: AtomicBool,
    /// One clone for each task that fills a flight and keeps the books after it, or writes what was fetched.
    tasks: Arc<()>,
}

/// Threads that parse, render and compress at once. A page of 40,000 files takes tens of megabytes while it is worked
/// on; two keep both cores busy and the memory bounded.
const KITCHEN_MAX: usize = 2;

/// Calls that one wish to purge a project makes at most; each takes thousands of files out.
const PURGES_MAX: u32 = 20;

/// Uploaded files that are checked at once: each keeps a core and the disk busy.
const CHECKS_MAX: usize = 2;

/// From this size on a page is worked on alone, in bytes.
const LARGE_WORK_BYTES: usize = 2 * 1024 * 1024;

/// The part of the memory budget that is the cache's own; the rest is for what is under way.
const CACHE_PERCENT: u64 = 80;

impl Index {
    /// Puts the parts together, reads which users and indexes there are, and starts the janitor. A request passes here in this order: memory; the document's
    /// state and, if need be, one shared refresh; the database; for files the disk, then a flight.
    pub async fn open(parts: Parts) -> Result<Self, IndexError> {
        let began = parts.clock.unix();
        let house = Arc::new_cyclic(|me| House {
            me: Weak::clone(me),
            clock: parts.clock,
            metrics: parts.metrics,
            store: parts.store,
            private: parts.private,
            disk: Arc::new(parts.disk),
            auth: parts.auth,
            catalog: RwLock::default(),
            catalog_version: Arc::new(AtomicU64::new(1)),
            changing: tokio::sync::Mutex::new(()),
            shelf: tokio::sync::Mutex::new(()),
            numbering: tokio::sync::Mutex::new(()),
            fixed: parts.mirrors.into_iter().map(|mirror| (mirror.name.clone(), Arc::new(mirror))).collect(),
            maker: parts.maker,
            user_creation: parts.user_creation,
            push_origins: parts.push_origins,
            public_url: parts.public_url,
            memory: Memory::new(parts.memory_bytes / 100 * CACHE_PERCENT),
            states: states::States::new(),
            refreshes: Calls::new(),
            reading: Arc::new(Semaphore::new(refresh::READING_MAX)),
            booking: Semaphore::new(fill::BOOKING_MAX),
            unsaved: Arc::new(Semaphore::new(refresh::UNSAVED_KIB_MAX)),
            renders: Calls::new(),
            lists: Calls::new(),
            metadata_calls: Calls::new(),
            flights: Flights::new(),
            offline: parts.offline,
            backfill: parts.backfill,
            disk_bytes_max: parts.disk_bytes,
            books: janitor::Books::default(),
            last_uses: sessions::LastUses::default(),
            news: Arc::default(),
            spellings: spellings::Spellings::default(),
            names: names_list::Names::new(),
            tidy: Arc::new(Notify::new()),
            purges: AtomicU64::new(0),
            evicting: tokio::sync::Mutex::new(()),
            history: Mutex::default(),
            troubles: troubles::Troubles::default(),
            change: Mutex::new((0, began)),
            began,
            loading: Arc::new(Semaphore::new(1)),
            kitchen: Arc::new(Semaphore::new(KITCHEN_MAX)),
            backfilling: Arc::new(Semaphore::new(backfill::PAGES_MAX)),
            checking: Semaphore::new(CHECKS_MAX),
            docs: docs::DocsRoom::default(),
            stopping: AtomicBool::new(false),
            tasks: Arc::new(()),
        });
        house.load_catalog().await?;
        house.load_history().await;
        house.change.lock().0 = house.private.serial().await?;
        tokio::spawn(Arc::clone(&house).keep_books());
        tokio::spawn(Arc::clone(&house).watch_tokens());
        house.news.is_busy(true);
        tokio::spawn(Arc::clone(&house).keep_known());
        Ok(Self(house))
    }

    pub async fn page(&self, ask: PageAsk) -> Result<PageAnswer, IndexError> {
        self.0.page(ask).await
    }

    pub async fn file(&self, ask: FileAsk) -> Result<FileAnswer, IndexError> {
        self.0.file(ask).await
    }

    pub async fn metadata(&self, ask: FileAsk) -> Result<FileAnswer, IndexError> {
        self.0.metadata(ask).await
    }

    pub async fn list(&self, ask: ListAsk) -> Result<ListAnswer, IndexError> {
        self.0.list(ask).await
    }

    /// Whether the databases answer.
    pub async fn ready(&self) -> Result<(), IndexError> {
        self.0.store.blob_totals().await?;
        self.0.private.serial().await?;
        Ok(())
    }

    /// Number and bytes of the files in the cache; zeros when the database does not say.
    pub async fn disk_totals(&self) -> (u64, u64) {
        self.0.store.blob_totals().await.unwrap_or_default()
    }

    /// Sets the levels in the metrics.
    pub fn measure(&self) {
        let house = &self.0;
        let levels = [
            (Level::MemoryBytes, house.memory.bytes()),
            (Level::MemoryCapacityBytes, house.memory.capacity()),
            (Level::DiskBytes, house.disk_bytes()),
            (Level::DiskCapacityBytes, house.disk_bytes_max),
            (Level::Flights, house.flights.running() as u64),
        ];
        levels.into_iter().for_each(|(level, value)| house.metrics.level(level, value));
    }

    /// Flights and shared calls under way: a test that ends looks for zero.
    pub fn under_way(&self) -> usize {
        let house = &self.0;
        Arc::strong_count(&house.tasks) - 1
            + house.refreshes.running()
            + house.renders.running()
            + house.metadata_calls.running()
            + house.names.under_way()
            // Who stops leaves to the next run what is not compared or learned yet.
            + usize::from(!house.stopping() && !house.books_are_compared())
            + usize::from(!house.stopping() && house.news.is_waited_for())
    }

    /// The data directory's lock, for a process that takes over.
    pub fn lock_copy(&self) -> io::Result<Option<OwnedFd>> {
        Ok(self.0.disk.lock_copy()?.map(OwnedFd::from))
    }

    /// After a takeover that failed: whether the data directory is still one that this version knows.
    pub fn take_back(&self) -> bool {
        self.0.disk.sign_lock();
        check_format(self.0.disk.root()).is_ok()
    }

    /// Another process has the data directory: nothing is evicted or tidied here any more, and what runs comes to its
    /// end.
    pub fn retire(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
        self.0.disk.leave_lock();
    }

    /// Writes down what the books hold in memory and closes the database.
    pub async fn close(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
        self.0.write_books().await;
        self.0.write_last_uses().await;
        self.0.write_history(true).await;
        self.0.store.close().await;
        self.0.private.close().await;
    }

    /// Writes down what the books hold in memory, for who reads the database beside this process or after it.
    pub async fn write_books(&self) {
        self.0.write_books().await;
        self.0.write_history(true).await;
    }

    /// Takes a part of the cache out, so that it is fetched anew. It goes on although who asked has left: half of a purge
    /// would leave in memory what is gone from the disk.
    pub async fn purge(&self, selection: Selection) -> Result<Purged, IndexError> {
        let house = Arc::clone(&self.0);
        tokio::spawn(async move { house.purge(&selection).await }).await.map_err(|_| IndexError::Lost)?
    }

    /// Takes a project of a mirror out of the cache, for who may change the mirror.
    pub async fn purge_project(
        &self,
        subject: &Subject,
        mirror: &IndexName,
        project: &ProjectName,
    ) -> Result<(), IndexError> {
        let entry = self.0.readable(subject, mirror)?;
        if entry.is_stage() {
            return Err(IndexError::Invalid(format!("{mirror} is no mirror: what is in it was uploaded")));
        }
        let what = || format!("no permission to purge projects of {mirror}");
        accounts::allowed(rules::may_modify_index(subject, mirror), what)?;
        let selection =
            Selection { projects: vec![project.clone()], index: Some(mirror.clone()), ..Selection::default() };
        for _ in 0..PURGES_MAX {
            if !self.purge(selection.clone()).await?.more {
                break;
            }
        }
        Ok(())
    }

    /// Does now what the janitor does at the next round.
    pub async fn tidy_now(&self) {
        self.0.write_books().await;
        self.0.end_undo_windows().await;
        self.0.evict_over_cap().await;
    }
}

impl House {
    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Runs work on about `size` bytes off the workers: a few small ones at once, a large one alone.
    async fn blocking<T: Send + 'static>(
        &self,
        size: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, IndexError> {
        let places = if size >= LARGE_WORK_BYTES { KITCHEN_MAX as u32 } else { 1 };
        let _places = self.kitchen.acquire_many(places).await.map_err(|_| IndexError::Lost)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| IndexError::Lost)
    }
}
