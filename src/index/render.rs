use super::House;
use super::basis::Basis;
use super::errors::IndexError;
use super::first::{FirstBody, Packed};
use super::keys::{Content, Key, PageKey, Value};
use super::mirror::Mirror;
use super::packing::pack;
use super::states::DocumentState;
use crate::http::{Encoding, Format};
use crate::names::{DistFilename, IndexName, ProjectName, Sha256};
use crate::platform::Fixed;
use crate::rules;
use crate::simple::{self, CoreMetadata, ProjectPage, Told};
use crate::store::{DocumentKind, MetadataRow};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

/// A page as it is sent: rendered once, compressed once.
pub struct RenderedPage {
    pub body: Fixed,
    pub format: Format,
    /// As applied: a page that compression would not make smaller is left as it is.
    pub encoding: Encoding,
    /// Strong, of the bytes that are sent; with its quotes.
    pub etag: String,
    pub last_serial: Option<u64>,
    pub is_json_document: bool,
    /// What it was made from.
    pub basis: Basis,
    /// A stage's page: what is uploaded is to be seen in it at once.
    pub of_stage: bool,
    /// For the mouth that serves the page: the part of its head that never changes, made once for each way to say how
    /// long it may be kept.
    pub heads: [OnceLock<Bytes>; 3],
}

/// About what a file takes on a page, in bytes.
pub(super) const FILE_BYTES: usize = 560;

/// What stays as it is in a segment of a URL's path (RFC 3986 §2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl House {
    /// Renders a page whose document is stored; one rendering at a time for each key.
    pub(super) async fn rendered(
        self: &Arc<Self>,
        mirror: &Arc<Mirror>,
        key: &PageKey,
        state: &Arc<DocumentState>,
    ) -> Result<Arc<RenderedPage>, IndexError> {
        let (house, mirror, ask, state) = (Arc::clone(self), Arc::clone(mirror), key.clone(), Arc::clone(state));
        let number = Basis::of(&state).number();
        let call = || async move { house.render(&mirror, &ask, &state).await };
        self.renders.join((key.clone(), number), call).await.unwrap_or(Err(IndexError::Lost))
    }

    async fn render(
        self: &Arc<Self>,
        mirror: &Arc<Mirror>,
        key: &PageKey,
        state: &Arc<DocumentState>,
    ) -> Result<Arc<RenderedPage>, IndexError> {
        let basis = Basis::of(state);
        if let Some(page) = state.first(key).filter(|page| page.basis.agrees(&basis)) {
            return Ok(page);
        }
        let document = &key.document;
        let content = self.content_again(mirror, document, state).await?;
        let shown = self.shown(mirror, &content).await?;
        let part = PagePart { index: mirror.name.clone(), content, shown };
        self.cook(key.clone(), basis, vec![part]).await
    }

    /// Renders and compresses what was gathered, and keeps the result while it is current.
    pub(super) async fn cook(
        &self,
        key: PageKey,
        basis: Basis,
        parts: Vec<PagePart>,
    ) -> Result<Arc<RenderedPage>, IndexError> {
        let size = parts.iter().map(|part| part.content.size()).sum();
        let ask = key.clone();
        let (packed, last_serial) = self
            .blocking(size, move || {
                let (body, encoding, serial) = render(&ask, &parts);
                (Packed::new(body, encoding), serial)
            })
            .await?;
        Ok(self.keep_rendered(key, basis, packed, last_serial))
    }

    /// A page that was made while its document came, for whoever asks next.
    pub(super) async fn keep_first(
        &self,
        mirror: &Mirror,
        state: &Arc<DocumentState>,
        content: &Content,
        first: FirstBody,
    ) {
        let basis = Basis::of(state);
        let Ok(shown) = self.shown(mirror, content).await else { return };
        let is_told_so = shown.as_ref().is_none_or(Shown::is_nothing);
        let Some((key, packed)) = first.body().await.filter(|_| is_told_so) else { return };
        let serial = if let Content::Page(page) = content { page.last_serial } else { None };
        let page = self.keep_rendered(key.clone(), basis, packed, serial);
        state.keep_first(key, page);
    }

    fn keep_rendered(
        &self,
        key: PageKey,
        basis: Basis,
        Packed { body, encoding, etag }: Packed,
        last_serial: Option<u64>,
    ) -> Arc<RenderedPage> {
        let page = Arc::new(RenderedPage {
            body,
            format: key.format,
            encoding,
            etag,
            last_serial,
            is_json_document: key.document.kind == DocumentKind::LegacyJson,
            of_stage: basis.is_of_stage(),
            basis,
            heads: Default::default(),
        });
        if page.basis.is_current() {
            self.memory.insert(Key::Page(key), Value::Page(Arc::clone(&page)));
        }
        page
    }

    /// What the page announces beside what upstream said: metadata that is here, and offline only files that are.
    pub(super) async fn shown(&self, mirror: &Mirror, content: &Content) -> Result<Option<Shown>, IndexError> {
        let Content::Page(page) = content else { return Ok(None) };
        let rows = self.store.project_metadata(&mirror.name, &page.name).await?;
        let metadata = rows.into_iter().map(|row| (row.filename.clone(), row)).collect();
        let present = match self.offline {
            true => Some(self.present(&mirror.name, page).await?),
            false => None,
        };
        Ok(Some(Shown { metadata, present }))
    }

    /// Which files of a page are on the disk.
    async fn present(&self, index: &IndexName, page: &ProjectPage) -> Result<HashSet<DistFilename>, IndexError> {
        let cached: HashSet<Sha256> = self.store.blob_digests().await?.into_iter().collect();
        let mut present = HashSet::new();
        for file in &page.files {
            let digest = match file.sha256 {
                Some(digest) => Some(digest),
                None => self.store.unhashed(index, &file.url).await?.map(|(digest, _)| digest),
            };
            if digest.is_some_and(|digest| cached.contains(&digest)) {
                present.insert(file.filename.clone());
            }
        }
        Ok(present)
    }
}

/// What one index contributes to a page.
pub(super) struct PagePart {
    pub(super) index: IndexName,
    pub(super) content: Arc<Content>,
    pub(super) shown: Option<Shown>,
}

pub(super) struct Shown {
    metadata: HashMap<String, MetadataRow>,
    /// Offline: the files that are here.
    present: Option<HashSet<DistFilename>>,
}

impl Shown {
    /// Whether the page is told as upstream told it.
    fn is_nothing(&self) -> bool {
        self.metadata.is_empty() && self.present.is_none()
    }
}

/// The page as it is sent, how it is encoded, and upstream's serial when it is a mirror's own.
fn render(key: &PageKey, parts: &[PagePart]) -> (Vec<u8>, Encoding, Option<u64>) {
    let document = &key.document;
    let base = key.base.prefix(&document.index, document.kind, &document.name);
    if let [PagePart { content, .. }] = parts
        && let Content::Json(body) = &**content
    {
        let plain = legacy_json(body, &base);
        let (body, encoding) = pack(key.encoding, plain.len(), |out| out.write_all(&plain));
        return (body, encoding, None);
    }
    let mut pages = Vec::new();
    for part in parts {
        if let Content::Page(page) = &*part.content {
            let changed = part.shown.as_ref().and_then(|shown| announced(page, shown));
            pages.push((part.index.clone(), changed.map_or_else(|| Arc::clone(page), Arc::new)));
        }
    }
    let told = |page: Told<'_>| {
        pack(key.encoding, page.files.len() * FILE_BYTES, |out| match key.format {
            Format::JsonV1 => simple::write_page_json(page.clone(), &base, out),
            Format::Html | Format::HtmlV1 => simple::write_page_html(page.clone(), &base, out),
        })
    };
    let ((body, encoding), serial) = match pages.as_slice() {
        [(index, page)] if *index == document.index => (told(Told::from(page.as_ref())), page.last_serial),
        _ => match ProjectName::parse(&document.name) {
            Ok(project) => (told(rules::merge(&project, pages, &document.index).told()), None),
            Err(_) => ((Vec::new(), Encoding::Identity), None),
        },
    };
    (body, encoding, serial)
}

/// The page with what we add to it, when there is anything to add or to leave out.
fn announced(page: &ProjectPage, shown: &Shown) -> Option<ProjectPage> {
    if shown.is_nothing() {
        return None;
    }
    let mut page = page.clone();
    if let Some(present) = &shown.present {
        page.files.retain(|file| present.contains(&file.filename));
    }
    for file in &mut page.files {
        let row = shown.metadata.get(file.filename.as_str()).filter(|row| Some(row.wheel) == file.sha256);
        match row {
            Some(row) if file.core_metadata.sha256().is_none() => {
                file.core_metadata = CoreMetadata::Sha256(row.sha256);
            }
            None if shown.present.is_some() => file.core_metadata = CoreMetadata::Absent,
            _ => {}
        }
    }
    Some(page)
}

/// PyPI's legacy JSON with every file's `url` leading to us; whatever else it says stays.
fn legacy_json(body: &[u8], base: &str) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice::<Json>(body) else { return body.to_vec() };
    if let Some(Json::Array(files)) = value.get_mut("urls") {
        files.iter_mut().for_each(|file| relink(file, base));
    }
    if let Some(Json::Object(releases)) = value.get_mut("releases") {
        for files in releases.values_mut().filter_map(Json::as_array_mut) {
            files.iter_mut().for_each(|file| relink(file, base));
        }
    }
    serde_json::to_vec(&value).unwrap_or_else(|_| body.to_vec())
}

fn relink(file: &mut Json, base: &str) {
    let text = |key: &str| file.get(key).and_then(Json::as_str);
    let digest = file.get("digests").and_then(|digests| digests.get("sha256")).and_then(Json::as_str);
    let digest = digest.and_then(|hex| Sha256::from_hex(hex).ok());
    let filename = text("filename").and_then(|name| DistFilename::parse(name).ok());
    if let (Some(digest), Some(filename)) = (digest, filename)
        && let Some(url) = file.get_mut("url")
    {
        let filename = utf8_percent_encode(filename.as_str(), SEGMENT);
        *url = Json::String(format!("{base}+f/{}/{filename}", digest.prefix().directories()));
    }
}

/// A strong tag, by the digest of the very bytes that are sent (RFC 9110 §8.8.1): compressed at another level they are others.
pub(super) fn etag(sent: &Sha256, encoding: Encoding) -> String {
    let digest = sent.to_hex();
    let (front, _) = digest.split_at(32);
    match encoding {
        Encoding::Identity => format!("\"{front}\""),
        Encoding::Gzip => format!("\"{front}-gzip\""),
        Encoding::Zstd => format!("\"{front}-zstd\""),
        Encoding::Br => format!("\"{front}-br\""),
    }
}
