use super::House;
use super::body::FileBody;
use super::catalog::IndexKind;
use super::errors::IndexError;
use super::inventory::{LIST_HTML, LIST_JSON};
use super::mirror::Mirror;
use crate::cache::{Disk, DiskFile, Failure, Spool};
use crate::fresh::Decision;
use crate::http::{Encoding, Format};
use crate::metrics::Tier;
use crate::names::{IndexName, ProjectName, Sha256};
use crate::simple::{ListSummary, ListTranscoder};
use crate::store::{BlobName, Document, DocumentKey, DocumentKind};
use crate::upstream::{ListBody, ListFetch, PageKind, Validators};
use bytes::Bytes;
use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::mpsc;

/// A wish for the list of all projects of an index.
pub struct ListAsk {
    pub index: IndexName,
    pub format: Format,
    /// Only gzip and identity are kept; whoever takes another encoding takes gzip too.
    pub encoding: Encoding,
}

pub struct ListAnswer {
    pub format: Format,
    pub encoding: Encoding,
    pub len: u64,
    /// Strong, with its quotes.
    pub etag: String,
    pub last_serial: Option<u64>,
    pub body: FileBody,
    pub tier: Tier,
}

/// What the database keeps of a list: its two forms are files of the cache, compressed once.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    json: KeptForm,
    html: KeptForm,
    projects: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct KeptForm {
    sha256: String,
    bytes: u64,
    gzip_bytes: u64,
}

/// What a fetch of the list came to.
pub(super) type Fetched = Result<(), IndexError>;

/// The list is tens of megabytes at PyPI and of little use when exact: it is believed this many times as long as a page.
const TTL_PAGES: u64 = 6;

/// Level of gzip: the list is compressed while it arrives, and 1 still makes a quarter of it.
const GZIP_LEVEL: u32 = 3;

/// Pieces of the list on their way between threads.
const PIECES_MAX: usize = 8;

/// Piece in which a list is decompressed for a client that takes no gzip, in bytes.
const PLAIN_PIECE_BYTES: usize = 256 * 1024;

impl House {
    /// The journey of the project list: fetched only when asked for; an older one is given while a newer is fetched.
    pub(super) async fn list(self: &Arc<Self>, ask: ListAsk) -> Result<ListAnswer, IndexError> {
        let entry = self.entry(&ask.index)?;
        let mirror = match &entry.kind {
            IndexKind::Mirror(mirror) => Arc::clone(mirror),
            IndexKind::Stage(_) => return self.stage_list(&entry, &ask).await,
        };
        if self.offline || mirror.rules.no_project_list {
            return self.list_of_kept(&ask).await;
        }
        let key = list_key(&ask.index);
        let stored = self.store.document(&key).await?;
        let state = self.states.get_or_make(&key, stored.as_ref(), mirror.ttl_ms * TTL_PAGES);
        if let Some(document) = &stored {
            // An upstream that failed a moment ago is left alone: each question may cost it the whole list.
            if !matches!(state.decide(self.clock.ticks(), false), Decision::Fresh | Decision::Stale) {
                drop(self.start_list(&mirror, stored.clone()));
            }
            if let Some(answer) = self.kept_list(&ask, document).await? {
                return Ok(answer);
            }
        }
        self.fetched_list(&mirror, stored).await?;
        let document = self.store.document(&key).await?.ok_or(IndexError::Lost)?;
        let answer = self.kept_list(&ask, &document).await?;
        answer.map(|answer| ListAnswer { tier: Tier::Miss, ..answer }).ok_or(IndexError::Lost)
    }

    pub(super) async fn fetched_list(self: &Arc<Self>, mirror: &Arc<Mirror>, stored: Option<Document>) -> Fetched {
        let (house, mirror_of_call) = (Arc::clone(self), Arc::clone(mirror));
        let call = || async move { house.fetch_list(&mirror_of_call, stored).await };
        self.lists.join(mirror.name.clone(), call).await.unwrap_or(Err(IndexError::Lost))
    }

    fn start_list(self: &Arc<Self>, mirror: &Arc<Mirror>, stored: Option<Document>) -> impl Sized {
        let (house, mirror_of_call) = (Arc::clone(self), Arc::clone(mirror));
        self.lists.start(mirror.name.clone(), || async move { house.fetch_list(&mirror_of_call, stored).await })
    }

    async fn fetch_list(self: Arc<Self>, mirror: &Arc<Mirror>, stored: Option<Document>) -> Fetched {
        let ttl_ms = mirror.ttl_ms * TTL_PAGES;
        let state = self.states.get_or_make(&list_key(&mirror.name), stored.as_ref(), ttl_ms);
        let fetched = self.ask_list(mirror, stored).await;
        match &fetched {
            Ok(()) => state.confirmed(self.clock.ticks(), ttl_ms),
            Err(why) => {
                tracing::warn!(index = %mirror.name, %why, "the list of projects cannot be fetched");
                state.failed(self.clock.ticks());
            }
        }
        fetched
    }

    async fn ask_list(self: &Arc<Self>, mirror: &Arc<Mirror>, stored: Option<Document>) -> Fetched {
        let kept = stored.as_ref().and_then(read_kept);
        let whole = kept.is_some_and(|kept| {
            [kept.json, kept.html]
                .iter()
                .all(|form| Sha256::from_hex(&form.sha256).is_ok_and(|digest| self.disk.has(&digest)))
        });
        let validators = stored
            .as_ref()
            .filter(|_| whole)
            .map(|document| Validators { etag: document.etag.clone(), last_modified: document.last_modified.clone() });
        let upstream = |why| {
            self.upstream_failed(mirror, &why);
            IndexError::Upstream { index: mirror.name.clone(), why: Arc::new(why) }
        };
        let fetched = mirror.upstream.list(validators.as_ref()).await.map_err(upstream)?;
        self.upstream_answered(mirror);
        let document = match (fetched, stored) {
            (ListFetch::NotModified { .. }, Some(document)) => Document { fetched: self.clock.unix(), ..document },
            (ListFetch::NotModified { .. } | ListFetch::Missing, _) => {
                return Err(IndexError::BadPage {
                    index: mirror.name.clone(),
                    why: "it has no list of projects".into(),
                });
            }
            (ListFetch::Body { url, content, validators, body, .. }, _) => {
                let (digest, last_serial, facts) = self.keep_list(mirror, content, body).await?;
                Document {
                    fetched: self.clock.unix(),
                    etag: validators.etag,
                    last_modified: validators.last_modified,
                    last_serial,
                    digest,
                    url: url.to_string(),
                    body: facts,
                }
            }
        };
        let put = self.store.put_document(&list_key(&mirror.name), document).await;
        self.forget_if_moved(mirror).await?;
        Ok(put?)
    }

    /// Rewrites the list while it arrives, into two compressed files; it is never whole in memory.
    async fn keep_list(
        self: &Arc<Self>,
        mirror: &Mirror,
        content: PageKind,
        mut body: ListBody,
    ) -> Result<(Sha256, Option<u64>, Vec<u8>), IndexError> {
        let (sender, receiver) = mpsc::channel::<Result<Bytes, io::Error>>(PIECES_MAX);
        let pump = tokio::spawn(async move {
            while let Some(piece) = body.next().await {
                let piece = piece.map_err(io::Error::other);
                let failed = piece.is_err();
                if sender.send(piece).await.is_err() || failed {
                    return;
                }
            }
        });
        let (disk, seen) = (Arc::clone(&self.disk), self.names.seen(&mirror.name));
        let transcoded = tokio::task::spawn_blocking(move || transcode(&disk, content, receiver, seen)).await;
        pump.abort();
        let bad = |why: String| IndexError::BadPage { index: mirror.name.clone(), why };
        let (kept, summary) = transcoded.map_err(|_| IndexError::Lost)?.map_err(bad)?;
        for (form, name) in [(&kept.json, LIST_JSON), (&kept.html, LIST_HTML)] {
            if let Ok(digest) = Sha256::from_hex(&form.sha256) {
                self.note_blob(&digest, form.gzip_bytes, &BlobName::new(&mirror.name, None, name.to_owned())).await;
            }
        }
        tracing::info!(index = %mirror.name, projects = summary.projects, dropped = summary.dropped, "fetched the list of projects");
        let facts = serde_json::to_vec(&kept).map_err(|why| bad(why.to_string()))?;
        Ok((Sha256::of(&facts), summary.last_serial, facts))
    }

    /// The answer out of the files that are kept; `None` when they are gone or damaged.
    async fn kept_list(self: &Arc<Self>, ask: &ListAsk, document: &Document) -> Result<Option<ListAnswer>, IndexError> {
        let Some(kept) = read_kept(document) else { return Ok(None) };
        let form = if ask.format == Format::JsonV1 { kept.json } else { kept.html };
        let Ok(digest) = Sha256::from_hex(&form.sha256) else { return Ok(None) };
        let Some(file) = self.on_disk(&digest, Some(form.gzip_bytes)).await else { return Ok(None) };
        if !file.verified {
            let (disk, checked) = (Arc::clone(&self.disk), file.clone());
            if !self.blocking(0, move || disk.verify(&digest, &checked, |_| {}).unwrap_or(false)).await? {
                self.set_aside(&digest).await;
                return Ok(None);
            }
        }
        let plain = ask.encoding == Encoding::Identity;
        let (len, body) = match plain {
            true => (form.bytes, FileBody::plain(Plain::new(file, form.bytes))),
            false => (form.gzip_bytes, FileBody::disk(&file, 0..file.len)),
        };
        let (front, _) = form.sha256.split_at(32.min(form.sha256.len()));
        let etag = if plain { format!("\"{front}\"") } else { format!("\"{front}-gzip\"") };
        let encoding = if plain { Encoding::Identity } else { Encoding::Gzip };
        let (format, last_serial) = (ask.format, document.last_serial);
        Ok(Some(ListAnswer { format, encoding, len, etag, last_serial, body, tier: Tier::Disk }))
    }

    /// Offline, or where upstream has no list: the projects whose pages are here.
    async fn list_of_kept(&self, ask: &ListAsk) -> Result<ListAnswer, IndexError> {
        let names = self.asked_names(&ask.index).await?;
        Ok(list_of(ask.format, names.iter().map(String::as_str)))
    }
}

/// A list that is made for one answer; only good names get in.
pub(super) fn list_of<'a>(format: Format, names: impl Iterator<Item = &'a str>) -> ListAnswer {
    let names = names.filter_map(|name| ProjectName::parse(name).ok());
    let text = match format {
        Format::JsonV1 => {
            let projects: Vec<_> = names.map(|name| serde_json::json!({ "name": name.as_str() })).collect();
            serde_json::json!({ "meta": { "api-version": "1.0" }, "projects": projects }).to_string()
        }
        Format::Html | Format::HtmlV1 => {
            let mut text = String::from(
                "<!DOCTYPE html>\n<html><head><meta name=\"pypi:repository-version\" content=\"1.0\">\
                 <title>Simple index</title></head><body>\n",
            );
            for name in names {
                let _ = writeln!(text, "<a href=\"{name}/\">{name}</a><br>");
            }
            text + "</body></html>\n"
        }
    };
    let digest = Sha256::of(text.as_bytes()).to_hex();
    ListAnswer {
        format,
        encoding: Encoding::Identity,
        len: text.len() as u64,
        etag: format!("\"{digest}\""),
        last_serial: None,
        body: FileBody::bytes(Bytes::from(text)),
        tier: Tier::Disk,
    }
}

pub(super) fn list_key(index: &IndexName) -> DocumentKey {
    DocumentKey { index: index.clone(), kind: DocumentKind::List, name: "".into() }
}

/// The digests of the files in which a list is kept: JSON, HTML.
pub(super) fn kept_digests(document: &Document) -> [Option<Sha256>; 2] {
    let digest = |form: &KeptForm| Sha256::from_hex(&form.sha256).ok();
    read_kept(document).map_or([None, None], |kept| [digest(&kept.json), digest(&kept.html)])
}

/// The HTML form of a list that is kept: the digest and the size of its file.
pub(super) fn kept_html(document: &Document) -> Option<(Sha256, u64)> {
    let html = read_kept(document)?.html;
    Some((Sha256::from_hex(&html.sha256).ok()?, html.gzip_bytes))
}

/// Hands the normalised names of a list to `each` that lie in a file of ours (the HTML form), until it says that this is
/// enough.
pub(super) fn names_of_list(file: Arc<File>, mut each: impl FnMut(&str) -> io::Result<bool>) -> io::Result<()> {
    let mut lines = BufReader::new(GzDecoder::new(BufReader::new(file)));
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        let name = line.strip_prefix(b"<a href=\"").and_then(|rest| rest.split(|byte| *byte == b'/').next());
        if let Some(name) = name.and_then(|name| std::str::from_utf8(name).ok())
            && !each(name)?
        {
            break;
        }
        line.clear();
    }
    Ok(())
}

fn read_kept(document: &Document) -> Option<Kept> {
    serde_json::from_slice(&document.body).ok()
}

fn transcode(
    disk: &Disk,
    content: PageKind,
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    seen: Arc<AtomicU64>,
) -> Result<(Kept, ListSummary), String> {
    let text = |why: &dyn std::fmt::Display| why.to_string();
    let writer = || Spool::create(disk).map(GzipSpool::new).map_err(|why| text(&why));
    let (mut json, mut html) = (writer()?, writer()?);
    let reader = PieceReader { pieces, rest: Bytes::new() };
    let transcoder = ListTranscoder::new(&mut json, &mut html).counted_by(seen);
    let summary = match content {
        PageKind::Json => transcoder.read_json(reader),
        PageKind::Html => transcoder.read_html(reader),
    };
    let summary = summary.map_err(|why| text(&why))?;
    let (json, html) = (json.publish(disk), html.publish(disk));
    let kept = Kept { json: json?, html: html?, projects: summary.projects as u64 };
    Ok((kept, summary))
}

/// Compresses into a file of the cache and counts what went in.
struct GzipSpool {
    encoder: flate2::write::GzEncoder<SpoolWriter>,
    bytes: u64,
}

struct SpoolWriter(Spool);

impl GzipSpool {
    fn new(spool: Spool) -> Self {
        let level = flate2::Compression::new(GZIP_LEVEL);
        Self { encoder: flate2::write::GzEncoder::new(SpoolWriter(spool), level), bytes: 0 }
    }

    fn publish(self, disk: &Disk) -> Result<KeptForm, String> {
        let spool = self.encoder.finish().map_err(|why| why.to_string())?.0;
        let (digest, gzip_bytes) = (spool.digest(), spool.written());
        spool.publish(disk, digest).map_err(|why| why.to_string())?;
        Ok(KeptForm { sha256: digest.to_hex(), bytes: self.bytes, gzip_bytes })
    }
}

impl Write for GzipSpool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.encoder.write(bytes)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for SpoolWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lets a thread read what a task receives.
struct PieceReader {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    rest: Bytes,
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.rest = piece?,
                None => return Ok(0),
            }
        }
        let count = self.rest.len().min(buffer.len());
        let piece = self.rest.split_to(count);
        buffer.iter_mut().zip(&piece).for_each(|(slot, byte)| *slot = *byte);
        Ok(count)
    }
}

/// The plain text of a compressed file, piece by piece as somebody takes it: a thread is busy for a piece, never held
/// for a client.
pub(super) struct Plain {
    reader: Option<GzDecoder<BufReader<Arc<File>>>>,
    /// Bytes that are still to come.
    left: u64,
}

impl Plain {
    /// The text of `file`, which is `len` bytes long.
    fn new(file: DiskFile, len: u64) -> Self {
        Self { reader: Some(GzDecoder::new(BufReader::new(file.file))), left: len }
    }

    /// The next piece; `None` after exactly as many bytes as were promised.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let mut reader = self.reader.take().ok_or(Failure::Vanished)?;
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = Vec::with_capacity(PLAIN_PIECE_BYTES);
            let read = reader.by_ref().take(PLAIN_PIECE_BYTES as u64).read_to_end(&mut piece);
            read.map(|_| (reader, piece))
        });
        let (reader, piece) = read.await.map_err(|_| Failure::Vanished)?.map_err(|_| Failure::Damaged)?;
        self.reader = Some(reader);
        match piece.is_empty() {
            true if self.left == 0 => Ok(None),
            true => Err(Failure::Damaged),
            false => {
                self.left = self.left.checked_sub(piece.len() as u64).ok_or(Failure::Damaged)?;
                Ok(Some(piece.into()))
            }
        }
    }
}
