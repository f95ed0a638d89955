use super::hashes::Hashes;
use super::link::{Links, last_segment};
use super::{CoreMetadata, FILES_MAX, File, PageError, Provenance, RequiresPython, TEXT_BYTES_MAX, Yanked};
use crate::names::{DistFilename, FilenameError};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashSet;

/// What a page states about one file, before it is known whether that can be used.
#[derive(Default)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct Draft<'a> {
    /// JSON states it; in HTML it is the URL's last segment.
    pub(super) filename: Option<Cow<'a, str>>,
    pub(super) url: Option<Cow<'a, str>>,
    pub(super) hashes: Hashes,
    pub(super) size: Option<u64>,
    pub(super) upload_time: Option<String>,
    pub(super) requires_python: RequiresPython,
    pub(super) yanked: Yanked,
    pub(super) core_metadata: CoreMetadata,
    /// Counts only where `core_metadata` says nothing.
    pub(super) old_core_metadata: CoreMetadata,
    pub(super) gpg_sig: Option<bool>,
    pub(super) provenance: Provenance,
    pub(super) extra: Option<Box<Map<String, Value>>>,
}

/// The files of one page while it is read.
pub(super) struct Files {
    pub(super) links: Links,
    pub(super) files: Vec<File>,
    seen: HashSet<DistFilename, foldhash::fast::RandomState>,
    entries: usize,
    pub(super) dropped: usize,
    pub(super) bad_hashes: usize,
}

impl Files {
    pub(super) fn new(links: Links) -> Self {
        Self { links, files: Vec::new(), seen: HashSet::default(), entries: 0, dropped: 0, bad_hashes: 0 }
    }

    /// Takes a file, or counts it as dropped. Of two files with one name the first stays.
    ///
    /// # Errors
    ///
    /// Only when the page has too many entries, usable or not.
    pub(super) fn add(&mut self, draft: Draft<'_>) -> Result<(), PageError> {
        self.entries += 1;
        if self.entries > FILES_MAX {
            return Err(PageError::TooManyFiles);
        }
        self.bad_hashes += draft.hashes.bad;
        match self.check(draft) {
            Some(file) if self.seen.insert(file.filename.clone()) => self.files.push(file),
            Some(_) => {}
            None => self.dropped += 1,
        }
        Ok(())
    }

    /// The same text as that of the file before, where it is the same.
    fn shared(&self, said: RequiresPython) -> RequiresPython {
        match self.files.last().map(|file| &file.requires_python) {
            Some(before) if *before == said => before.clone(),
            _ => said,
        }
    }

    fn check(&mut self, draft: Draft<'_>) -> Option<File> {
        if !draft.is_within_limits() {
            return None;
        }
        let url = self.links.resolve(draft.url.as_deref()?)?;
        let segment = last_segment(&url)?;
        if draft.filename.as_deref().is_some_and(|said| said != segment) {
            return None;
        }
        let filename = DistFilename::parse(&segment).ok()?;
        drop(segment);
        Some(File {
            filename,
            url,
            sha256: draft.hashes.sha256,
            other_hashes: Hashes::sorted(draft.hashes.others),
            size: draft.size,
            upload_time: draft.upload_time,
            requires_python: self.shared(draft.requires_python),
            yanked: draft.yanked,
            core_metadata: draft.core_metadata,
            gpg_sig: draft.gpg_sig,
            provenance: draft.provenance,
            extra: draft.extra,
        })
    }
}

impl Draft<'_> {
    fn provenance_is_short(&self) -> bool {
        if let Provenance::Stated(value) = &self.provenance { texts_are_short(value) } else { true }
    }

    fn is_within_limits(&self) -> bool {
        let short = |text: &str| text.len() <= TEXT_BYTES_MAX;
        let reason = if let Yanked::Reason(reason) = &self.yanked { Some(reason.as_str()) } else { None };
        let texts = [self.url.as_deref(), self.upload_time.as_deref(), self.requires_python.specifier(), reason];
        texts.into_iter().flatten().all(short)
            && self.provenance_is_short()
            && self.extra.iter().flat_map(|extra| extra.iter()).all(|(key, value)| short(key) && texts_are_short(value))
    }
}

/// Whether the name in a link is that of another page, not of a file that we fail to read.
pub(super) fn is_other_page(link: &str) -> bool {
    let path = link.split(['#', '?']).next().unwrap_or("");
    let segment = path.rsplit('/').next().unwrap_or("");
    segment.is_empty() || DistFilename::parse(segment) == Err(FilenameError::Extension)
}

/// Whether every text within `value` keeps [`TEXT_BYTES_MAX`]. The depth is bounded by the JSON reader's.
pub(super) fn texts_are_short(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => text.len() <= TEXT_BYTES_MAX,
        Value::Array(values) => values.iter().all(texts_are_short),
        Value::Object(map) => map.iter().all(|(key, value)| key.len() <= TEXT_BYTES_MAX && texts_are_short(value)),
    }
}
