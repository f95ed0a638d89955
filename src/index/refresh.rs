use super::House;
use super::backfill;
use super::errors::IndexError;
use super::first::{First, FirstBody};
use super::keys::{Content, Key, Value};
use super::mirror::Mirror;
use super::pages::Refreshed;
use super::states::{DocumentState, Stored};
use crate::metrics::Event;
use crate::names::{ProjectName, Sha256};
use crate::simple::{self, PageError, PageReader, ProjectPage};
use crate::store::{Document, DocumentKey, DocumentKind, Packed, Packer};
use crate::upstream::{FetchError, PageFetch, PageKind, Poured, UrlFetch, Validators, WholeBody};
use bytes::Bytes;
use sha2::Digest;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use url::Url;

/// Largest answer of the legacy JSON API that is taken, in bytes; those of large projects are 10 to 30 MB.
const LEGACY_JSON_BYTES_MAX: usize = 48 * 1024 * 1024;

/// Content that is shown but not in the database yet, at most, in KiB of memory. A larger one goes alone.
pub(super) const UNSAVED_KIB_MAX: usize = 4 * 1024;

/// Pages that are read while they arrive, at once: a thread each, which waits for upstream most of the time.
pub(super) const READING_MAX: usize = 4;

/// Pieces of such a page on their way to its thread.
const PIECES_MAX: usize = 4;

/// Files of such a page that are handed over to be written, at least: about 64 KB of it, for which a thread is worth
/// being woken. A page that came compressed is read in many small pieces.
const FILES_AT_ONCE: usize = 128;

/// Before a page is written: its first client's answer is made and sent meanwhile, without a rival for the cores.
const SAVE_PAUSE: Duration = Duration::from_millis(20);

/// An answer of upstream, whatever it was asked for.
enum Answer {
    Page(UpstreamPage),
    NotModified { max_age: Option<u64> },
    Missing,
}

struct UpstreamPage {
    url: Url,
    body: Body,
    validators: Validators,
    max_age: Option<u64>,
    last_serial_header: Option<u64>,
}

enum Body {
    Whole(PageKind, WholeBody),
    /// It was read while it arrived; a large one keeps its place among those until it is taken over.
    Read {
        page: Box<Result<Read, PageError>>,
        _room: Option<Arc<OwnedSemaphorePermit>>,
    },
}

/// A page, and the answer to whoever waits for it.
struct Read {
    page: ProjectPage,
    first: Option<FirstBody>,
}

/// A document as upstream sent it, checked.
struct Arrived {
    content: Arc<Content>,
    last_serial: Option<u64>,
    /// Of the form for the database, where there is an older one to compare it with.
    digest: Option<Sha256>,
    first: Option<FirstBody>,
}

/// What came, on its way into the database.
struct New {
    /// What the state calls it.
    name: Sha256,
    arrived: Arrived,
    /// Unix seconds.
    fetched: u64,
    validators: Validators,
    url: String,
}

impl House {
    /// Asks upstream for a document and keeps what it says: written once per change, never when it is the same.
    pub(super) async fn fetch(
        self: Arc<Self>,
        mirror: &Arc<Mirror>,
        document: &DocumentKey,
        no_cache: bool,
    ) -> Refreshed {
        let state = match self.state(document).await {
            Ok(state) => state,
            Err(why) => return Refreshed::Failed(why),
        };
        let turn = state.save_turn().await;
        let known = state.known();
        let validators = known.stored.as_ref().map(|stored| &stored.validators);
        let fetched = match document.kind {
            DocumentKind::LegacyJson => ask_legacy(mirror, document, validators).await,
            DocumentKind::Page | DocumentKind::List => {
                self.ask_page(mirror, document, &state, validators, no_cache).await
            }
        };
        let (now, answered) = (self.clock.ticks(), self.clock.unix());
        let page = match fetched {
            Ok(Answer::Page(page)) => page,
            Ok(Answer::NotModified { max_age }) => {
                self.metrics.happened(Event::PageUnchanged);
                self.upstream_answered(mirror);
                state.confirmed(now, mirror.page_ttl_ms(max_age));
                return Refreshed::Page;
            }
            Ok(Answer::Missing) => {
                self.upstream_answered(mirror);
                state.gone(now);
                return Refreshed::Missing;
            }
            Err(why) => {
                self.upstream_failed(mirror, &why);
                tracing::warn!(index = %mirror.name, project = %document.name, %why, "upstream cannot be asked");
                state.failed(now);
                return Refreshed::Failed(IndexError::Upstream { index: mirror.name.clone(), why: Arc::new(why) });
            }
        };
        if !self.is_of_now(mirror) {
            return Refreshed::Failed(IndexError::Lost);
        }
        let ttl_ms = mirror.page_ttl_ms(page.max_age);
        let validators = page.validators.clone();
        let url = page.url.to_string();
        let mut arrived = match self.check(mirror, document, page, known.stored.as_ref()).await {
            Ok(arrived) => arrived,
            Err(why) => {
                self.metrics.happened(Event::PageRefused);
                self.upstream_unusable(mirror);
                tracing::warn!(index = %mirror.name, project = %document.name, %why, "upstream's page is refused");
                state.failed(now);
                return Refreshed::Failed(why);
            }
        };
        self.upstream_answered(mirror);
        if arrived.digest.is_some() && known.stored.as_ref().map(|stored| stored.digest) == arrived.digest {
            self.metrics.happened(Event::PageUnchanged);
            state.repeated(validators, now, ttl_ms);
            return Refreshed::Page;
        }
        if !self.is_of_now(mirror) {
            return Refreshed::Failed(IndexError::Lost);
        }
        self.metrics.happened(Event::PageChanged);
        // Who asks for pages faster than they are written waits here.
        let room = (arrived.content.size() / 1024).clamp(1, UNSAVED_KIB_MAX) as u32;
        let Ok(room) = Arc::clone(&self.unsaved).acquire_many_owned(room).await else {
            return Refreshed::Failed(IndexError::Lost);
        };
        let name = arrived.digest.unwrap_or_else(DocumentState::new_name);
        self.memory.insert(Key::Content(document.clone(), name), Value::Content(Arc::clone(&arrived.content)));
        state.came(name, Arc::clone(&arrived.content), now, ttl_ms);
        if let Some(older) = known.latest.filter(|older| *older != name) {
            self.memory.remove(&Key::Content(document.clone(), older));
        }
        if let Some(first) = arrived.first.take() {
            self.keep_first(mirror, &state, &arrived.content, first).await;
        }
        let new = New { name, arrived, fetched: answered, validators, url };
        let (task, mirror, document) = (Arc::clone(&self.tasks), Arc::clone(mirror), document.clone());
        tokio::spawn(async move {
            let _until_saved = (turn, room, task);
            self.save(&mirror, &document, &state, new).await;
        });
        Refreshed::Page
    }

    /// Writes what came into the database, behind the back of who waits for the page: a crash before that loses only
    /// what can be fetched again.
    async fn save(
        self: &Arc<Self>,
        mirror: &Arc<Mirror>,
        document: &DocumentKey,
        state: &Arc<DocumentState>,
        new: New,
    ) {
        if !self.stopping() {
            tokio::time::sleep(SAVE_PAUSE).await;
        }
        let New { name, arrived, fetched, validators, url } = new;
        let Arrived { content, last_serial, .. } = arrived;
        let plain = Arc::clone(&content);
        let is_looked_through = self.backfill && !self.offline;
        let work = move || (pack(&plain), if is_looked_through { backfill::wanted(&plain) } else { Vec::new() });
        let Ok((Ok((body, digest)), wheels)) = self.blocking(content.size(), work).await else {
            return state.not_saved();
        };
        let row = Document {
            fetched,
            etag: validators.etag,
            last_modified: validators.last_modified,
            last_serial,
            digest,
            url,
            body: Vec::new(),
        };
        let saved = Stored::of(&row);
        if let Err(why) = self.store.put_packed(document, row, body).await {
            // A disk that cannot be written does not keep the page from the client; memory has it.
            self.disk_trouble(&why);
            return state.not_saved();
        }
        if self.forget_if_moved(mirror).await.is_err() {
            return state.not_saved();
        }
        if name != digest {
            self.memory.insert(Key::Content(document.clone(), digest), Value::Content(content));
        }
        let is_latest = state.saved(name, saved);
        if name != digest {
            self.memory.remove(&Key::Content(document.clone(), name));
        }
        if !is_latest {
            // It was purged after it had come, and before there was anything to be purged in the database.
            self.memory.remove(&Key::Content(document.clone(), digest));
            if let Err(why) = self.store.forget_documents(std::slice::from_ref(document)).await {
                self.disk_trouble(&why);
            }
            return;
        }
        if document.kind == DocumentKind::Page {
            if let Ok(project) = ProjectName::parse(&document.name) {
                self.news.note(&mirror.name, &project);
            }
            self.start_backfill(mirror, state, wheels);
        }
    }

    async fn ask_page(
        &self,
        mirror: &Mirror,
        document: &DocumentKey,
        state: &DocumentState,
        validators: Option<&Validators>,
        no_cache: bool,
    ) -> Result<Answer, FetchError> {
        let wish = state.take_wish();
        let Ok(project) = ProjectName::parse(&document.name) else { return Ok(Answer::Missing) };
        let mut read = None;
        let taker = |url: &Url| {
            // Without a place it is taken whole and waits for the kitchen.
            let place = Arc::clone(&self.reading).try_acquire_owned().ok()?;
            let (sender, receiver) = mpsc::channel(PIECES_MAX);
            let (url, reader) = (url.clone(), PageReader::new(url, &project));
            let first = wish.and_then(First::of);
            read = Some((url, tokio::task::spawn_blocking(move || (read_pieces(reader, receiver, first), place).0)));
            Some(sender)
        };
        let fetched = mirror.upstream.page_in_pieces(&project, validators, no_cache, taker).await?;
        Ok(match (fetched, read) {
            (PageFetch::Page { url, content, body, validators, max_age, last_serial_header }, _) => {
                let body = Body::Whole(content, body);
                Answer::Page(UpstreamPage { url, body, validators, max_age, last_serial_header })
            }
            (PageFetch::Poured(Poured { validators, max_age, last_serial_header, room }), Some((url, read))) => {
                let read = read.await.unwrap_or_else(|why| Err(PageError::Json(why.to_string())));
                let body = Body::Read { page: Box::new(read), _room: room };
                Answer::Page(UpstreamPage { url, body, validators, max_age, last_serial_header })
            }
            (PageFetch::NotModified { max_age }, _) => Answer::NotModified { max_age },
            (PageFetch::Missing | PageFetch::Poured(_), _) => Answer::Missing,
        })
    }

    /// Whether the index still mirrors from where this answer came: it may have been moved or deleted meanwhile.
    fn is_of_now(&self, mirror: &Mirror) -> bool {
        self.mirror(&mirror.name).is_ok_and(|now| now.upstream.base() == mirror.upstream.base())
    }

    /// Takes back what was just written where it came from another upstream than the index has now: who moved the mirror
    /// may have forgotten everything before it was written.
    pub(super) async fn forget_if_moved(&self, mirror: &Mirror) -> Result<(), IndexError> {
        if self.is_of_now(mirror) {
            return Ok(());
        }
        if let Err(why) = self.forget_mirror(&mirror.name).await {
            self.disk_trouble(&why);
        }
        Err(IndexError::Lost)
    }

    /// Parses and judges what came: a stored good page is replaced only by a valid one that is not older.
    async fn check(
        &self,
        mirror: &Mirror,
        document: &DocumentKey,
        page: UpstreamPage,
        stored: Option<&Stored>,
    ) -> Result<Arrived, IndexError> {
        let bad = |why: String| IndexError::BadPage { index: mirror.name.clone(), why };
        let (kind, name) = (document.kind, document.name.clone());
        let size = match &page.body {
            Body::Whole(_, body) => body.len(),
            Body::Read { .. } => 0,
        };
        let is_known = stored.is_some();
        let arrived = self.blocking(size, move || arrived(kind, &name, page, is_known)).await?.map_err(bad)?;
        let before = stored.and_then(|stored| stored.last_serial);
        match (before, arrived.last_serial) {
            (Some(before), Some(now)) if now < before && !mirror.rules.ignore_serial => {
                Err(bad(format!("its serial {now} is older than {before}, which we have")))
            }
            _ => Ok(arrived),
        }
    }
}

async fn ask_legacy(
    mirror: &Mirror,
    document: &DocumentKey,
    validators: Option<&Validators>,
) -> Result<Answer, FetchError> {
    let (project, version) = match document.name.split_once('/') {
        Some((project, version)) => (project, Some(version)),
        None => (&*document.name, None),
    };
    let url = ProjectName::parse(project).ok().and_then(|name| mirror.upstream.legacy_json_url(&name, version));
    // An upstream that is no warehouse has no such API.
    let Some(url) = url else { return Ok(Answer::Missing) };
    Ok(match mirror.upstream.url_page(&url, "application/json", validators, LEGACY_JSON_BYTES_MAX).await? {
        UrlFetch::Page { url, body, validators, max_age, last_serial_header, .. } => {
            let body = Body::Whole(PageKind::Json, body);
            Answer::Page(UpstreamPage { url, body, validators, max_age, last_serial_header })
        }
        UrlFetch::NotModified { max_age } => Answer::NotModified { max_age },
        UrlFetch::Missing => Answer::Missing,
    })
}

/// `is_known`: there is an older one to compare it with.
fn arrived(kind: DocumentKind, name: &str, page: UpstreamPage, is_known: bool) -> Result<Arrived, String> {
    let asked = || ProjectName::parse(name).map_err(|why| why.to_string());
    let mut first = None;
    let read = match (page.body, kind) {
        (Body::Whole(_, body), DocumentKind::LegacyJson) => return arrived_json(body.bytes(), is_known),
        (Body::Whole(PageKind::Json, body), _) => simple::parse_json(&body, &page.url, &asked()?),
        (Body::Whole(PageKind::Html, body), _) => simple::parse_html(&body, &page.url, &asked()?),
        (Body::Read { page, .. }, _) => page.map(|read| {
            first = read.first;
            read.page
        }),
    };
    let mut read = read.map_err(|why| why.to_string())?;
    if read.last_serial.is_none() {
        read.last_serial = page.last_serial_header;
        first = first.filter(|_| read.last_serial.is_none());
    }
    let last_serial = read.last_serial;
    let content = Content::Page(Arc::new(read));
    let digest = is_known.then(|| digest_of(&content)).transpose().map_err(|why| why.to_string())?;
    Ok(Arrived { content: Arc::new(content), last_serial, digest, first })
}

fn arrived_json(body: &Bytes, is_known: bool) -> Result<Arrived, String> {
    let value: serde_json::Value = serde_json::from_slice(body).map_err(|why| why.to_string())?;
    if !value.get("info").is_some_and(serde_json::Value::is_object) {
        return Err("it has no \"info\"".to_owned());
    }
    let last_serial = value.get("last_serial").and_then(serde_json::Value::as_u64);
    let digest = is_known.then(|| Sha256::of(body));
    Ok(Arrived { content: Arc::new(Content::Json(body.clone())), last_serial, digest, first: None })
}

/// Reads a page while it arrives. That its pieces were all of it, who sends them says.
fn read_pieces(
    mut reader: PageReader,
    mut pieces: mpsc::Receiver<Bytes>,
    mut first: Option<First>,
) -> Result<Read, PageError> {
    while let Some(piece) = pieces.blocking_recv() {
        reader.read(&piece)?;
        if let Some(first) = &mut first
            && reader.files_len() >= FILES_AT_ONCE
        {
            first.files(reader.take_files());
        }
    }
    let page = reader.finish(&[])?;
    let Some(first) = first else { return Ok(Read { page, first: None }) };
    let (page, first) =
        first.finish(page).ok_or_else(|| PageError::Json("its files were lost on their way".to_owned()))?;
    Ok(Read { page, first })
}

/// The form for the database, packed, and its digest.
fn pack(content: &Content) -> io::Result<(Packed, Sha256)> {
    let mut packer = Digesting::new(Packer::new()?);
    write_form(content, &mut packer)?;
    let (packer, digest) = packer.finish();
    Ok((packer.finish()?, digest))
}

fn digest_of(content: &Content) -> io::Result<Sha256> {
    let mut nowhere = Digesting::new(io::sink());
    write_form(content, &mut nowhere)?;
    Ok(nowhere.finish().1)
}

fn write_form(content: &Content, out: &mut dyn Write) -> io::Result<()> {
    match content {
        Content::Page(page) => simple::write_stored(page, out),
        Content::Json(body) => out.write_all(body),
    }
}

/// Digests what is written through it.
struct Digesting<W> {
    to: W,
    hasher: sha2::Sha256,
}

impl<W> Digesting<W> {
    fn new(to: W) -> Self {
        Self { to, hasher: sha2::Sha256::new() }
    }

    fn finish(self) -> (W, Sha256) {
        (self.to, Sha256::from_bytes(self.hasher.finalize().into()))
    }
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.hasher.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
