use super::keys::{Content, PageKey};
use super::render::RenderedPage;
use crate::fresh::{self, Decision, Entry};
use crate::names::{IndexName, Sha256};
use crate::store::{Document, DocumentKey, DocumentKind};
use crate::upstream::Validators;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::OwnedMutexGuard;

/// What is known of the freshness of a document. One per document, shared by all its renderings, so that a refresh
/// touches memory only and the hot path reads two atomics.
pub struct DocumentState {
    /// Grows with every change of what a rendering would show.
    generation: AtomicU64,
    /// Until when (clock ticks, ms) the document is served without asking anybody; 0: ask.
    fresh_until: AtomicU64,
    known: Mutex<Known>,
    /// New content on its way into the database, which may be too large for the memory.
    unsaved: Mutex<Option<Arc<Content>>>,
    /// What was asked for last while the document was not here: the form that is made first when it comes.
    wish: Mutex<Option<PageKey>>,
    /// The answer to whoever asked first, as long as `unsaved`.
    first: Mutex<Option<(PageKey, Arc<RenderedPage>)>>,
    /// Held from the question to upstream until its answer is in the database: one after the other.
    saving: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Clone)]
pub struct Known {
    /// What is stored, if anything is.
    pub stored: Option<Stored>,
    /// The newest content, by its digest; by [`DocumentState::new_name`] as long as it has none.
    pub latest: Option<Sha256>,
    pub entry: Entry,
    /// How long an answer of upstream is believed, in milliseconds.
    pub ttl_ms: u64,
}

#[derive(Debug, Clone)]
pub struct Stored {
    pub fetched: u64,
    pub validators: Validators,
    pub last_serial: Option<u64>,
    pub digest: Sha256,
}

impl DocumentState {
    fn new(stored: Option<Stored>, ttl_ms: u64) -> Self {
        let entry = stored.as_ref().map_or(Entry::default(), |stored| match stored.fetched {
            // An import made it of the files it had: upstream is asked before it is shown.
            0 => Entry::checked(fresh::Known::Page, 0),
            fetched => Entry::loaded(fetched * 1_000),
        });
        // What an earlier run asked upstream a moment ago is fresh still.
        let fresh_until = stored.as_ref().map_or(0, |stored| stored.fetched * 1_000 + ttl_ms);
        let latest = stored.as_ref().map(|stored| stored.digest);
        let known = Mutex::new(Known { stored, latest, entry, ttl_ms });
        Self {
            generation: AtomicU64::new(1),
            fresh_until: AtomicU64::new(fresh_until),
            known,
            unsaved: Mutex::default(),
            wish: Mutex::default(),
            first: Mutex::default(),
            saving: Arc::default(),
        }
    }

    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub fn is_fresh(&self, now: u64) -> bool {
        now < self.fresh_until.load(Ordering::Relaxed)
    }

    pub fn known(&self) -> Known {
        self.known.lock().clone()
    }

    /// The digest of the newest content, if there is any.
    pub fn latest(&self) -> Option<Sha256> {
        self.known.lock().latest
    }

    /// What to do about a request.
    pub fn decide(&self, now: u64, no_cache: bool) -> Decision {
        let known = self.known.lock();
        fresh::decide(&known.entry, now, known.ttl_ms, no_cache)
    }

    /// Upstream is being asked in the background.
    pub fn revalidating(&self) {
        let mut known = self.known.lock();
        known.entry = known.entry.revalidating();
    }

    /// Upstream confirmed what we have.
    pub fn confirmed(&self, now: u64, ttl_ms: u64) {
        let mut known = self.known.lock();
        known.entry = Entry::checked(fresh::Known::Page, now);
        known.ttl_ms = ttl_ms;
        self.fresh_until.store(now + ttl_ms, Ordering::Relaxed);
    }

    /// Upstream sent what we have again, under validators of today: those it will know next time.
    pub fn repeated(&self, validators: Validators, now: u64, ttl_ms: u64) {
        if let Some(stored) = &mut self.known.lock().stored {
            stored.validators = validators;
        }
        self.confirmed(now, ttl_ms);
    }

    /// Waits until what upstream said before is in the database.
    pub async fn save_turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.saving).lock_owned().await
    }

    /// A name for content whose digest nobody has made yet: none has it twice in one run, and no content has it as its
    /// digest.
    pub fn new_name() -> Sha256 {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let mut name = [0; 32];
        name[..8].copy_from_slice(&(LAST.fetch_add(1, Ordering::Relaxed) + 1).to_le_bytes());
        Sha256::from_bytes(name)
    }

    /// Upstream said something new. It is shown from now on; what is stored stays what upstream is asked about until
    /// [`saved`](Self::saved).
    pub fn came(&self, name: Sha256, content: Arc<Content>, now: u64, ttl_ms: u64) {
        *self.unsaved.lock() = Some(content);
        self.known.lock().latest = Some(name);
        self.confirmed(now, ttl_ms);
        self.rerender();
    }

    /// The new content, as long as it is not in the database.
    pub fn unsaved(&self) -> Option<Arc<Content>> {
        self.unsaved.lock().clone()
    }

    /// Somebody waits for the document in this form.
    pub fn wish(&self, key: &PageKey) {
        *self.wish.lock() = Some(key.clone());
    }

    pub fn take_wish(&self) -> Option<PageKey> {
        self.wish.lock().take()
    }

    /// Keeps the page that was made while the new content came, which may be too large for the memory, until that is in
    /// the database.
    pub fn keep_first(&self, key: PageKey, page: Arc<RenderedPage>) {
        *self.first.lock() = Some((key, page));
    }

    /// The page that was made so.
    pub fn first(&self, key: &PageKey) -> Option<Arc<RenderedPage>> {
        self.first.lock().as_ref().filter(|(kept, _)| kept == key).map(|(_, page)| Arc::clone(page))
    }

    fn no_longer_new(&self) {
        *self.unsaved.lock() = None;
        *self.first.lock() = None;
    }

    /// What came under `name` is in the database. `false`: it has been forgotten meanwhile.
    pub fn saved(&self, name: Sha256, stored: Stored) -> bool {
        let mut known = self.known.lock();
        let is_latest = known.latest == Some(name);
        if is_latest {
            known.latest = Some(stored.digest);
            known.stored = Some(stored);
        }
        self.no_longer_new();
        is_latest
    }

    /// What came could not be stored: the memory alone has it, and upstream sends it again when it is asked.
    pub fn not_saved(&self) {
        self.no_longer_new();
    }

    /// What was stored is gone or cannot be read: nothing is known.
    pub fn lost(&self) {
        let mut known = self.known.lock();
        (known.stored, known.latest, known.entry) = (None, None, Entry::default());
        self.no_longer_new();
        self.fresh_until.store(0, Ordering::Relaxed);
    }

    /// Upstream says that there is no such thing.
    pub fn gone(&self, now: u64) {
        self.known.lock().entry = Entry::checked(fresh::Known::Absent, now);
        self.fresh_until.store(0, Ordering::Relaxed);
        self.rerender();
    }

    /// Upstream could not be asked.
    pub fn failed(&self, now: u64) {
        let mut known = self.known.lock();
        known.entry = known.entry.failed(now);
        self.fresh_until.store(0, Ordering::Relaxed);
    }

    /// What a page shows has changed although the document has not: metadata came or files went.
    pub fn rerender(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}

/// The states of the documents that were asked for.
pub struct States(Mutex<HashMap<DocumentKey, Arc<DocumentState>>>);

/// Most states held; about 400 bytes each, so under 8 MB.
const STATES_MAX: usize = 20_000;

impl States {
    pub fn new() -> Self {
        Self(Mutex::default())
    }

    pub fn get(&self, key: &DocumentKey) -> Option<Arc<DocumentState>> {
        self.0.lock().get(key).cloned()
    }

    /// The state of `key`, made from what the database says when it is not known yet.
    pub fn get_or_make(&self, key: &DocumentKey, document: Option<&Document>, ttl_ms: u64) -> Arc<DocumentState> {
        let mut states = self.0.lock();
        if let Some(state) = states.get(key) {
            return Arc::clone(state);
        }
        if states.len() >= STATES_MAX {
            // Who is still rendered or being refreshed holds an Arc; the others are made anew when asked for.
            states.retain(|_, state| Arc::strong_count(state) > 1);
        }
        if states.len() >= STATES_MAX {
            states.clear();
        }
        let state = Arc::new(DocumentState::new(document.map(Stored::of), ttl_ms));
        states.insert(key.clone(), Arc::clone(&state));
        state
    }

    /// Drops what is known of an index; renderings of it no longer count as current.
    pub fn forget(&self, index: &IndexName) {
        self.forget_if(|key| key.index == *index);
    }

    /// The same of some documents.
    pub fn forget_if(&self, forget: impl Fn(&DocumentKey) -> bool) {
        self.0.lock().retain(|key, state| {
            let forgotten = forget(key);
            if forgotten {
                state.lost();
                state.rerender();
            }
            !forgotten
        });
    }

    /// The names of an index's pages that are on their way into the database.
    pub fn unsaved_pages(&self, index: &IndexName) -> Vec<String> {
        let states = self.0.lock();
        let pages = states.iter().filter(|(key, _)| key.kind == DocumentKind::Page && key.index == *index);
        pages.filter(|(_, state)| state.unsaved().is_some()).map(|(key, _)| key.name.to_string()).collect()
    }

    /// Lets every page be rendered anew.
    pub fn rerender_all(&self) {
        self.0.lock().values().for_each(|state| state.rerender());
    }
}

impl Stored {
    pub fn of(document: &Document) -> Self {
        Self {
            fetched: document.fetched,
            validators: Validators { etag: document.etag.clone(), last_modified: document.last_modified.clone() },
            last_serial: document.last_serial,
            digest: document.digest,
        }
    }
}
