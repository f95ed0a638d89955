use super::list::kept_digests;
use crate::names::{DistFilename, IndexName, ProjectName, Sha256};
use crate::simple;
use crate::store::{BlobName, BlobRow, Document, DocumentKey, DocumentKind, Store, StoreError};
use std::collections::HashMap;

/// What is called so is a wheel's metadata.
pub(super) const METADATA_SUFFIX: &str = ".metadata";

/// What the two forms of a list of projects are called.
pub(super) const LIST_JSON: &str = "list of projects (JSON)";
pub(super) const LIST_HTML: &str = "list of projects (HTML)";

/// All files in the cache, each with its name as far as it can be told. A file that came before names were written down
/// gets its own from what upstream said, once.
pub async fn inventory(store: &Store) -> Result<Vec<BlobRow>, StoreError> {
    let mut rows = store.blobs().await?;
    let mut nameless: HashMap<Sha256, &mut BlobRow> =
        rows.iter_mut().filter(|row| row.name.is_none()).map(|row| (row.sha256, row)).collect();
    if nameless.is_empty() {
        return Ok(rows);
    }
    let mut names = Vec::new();
    let mut named = |digest: Sha256, name: BlobName| {
        if let Some(row) = nameless.remove(&digest) {
            row.name = Some(name.clone());
            names.push((digest, name));
        }
        nameless.is_empty()
    };
    find_names(store, &mut named).await?;
    // A database that cannot be written is read all the same.
    if let Err(why) = store.name_blobs(&names, &[]).await {
        tracing::debug!(%why, "names of cached files are not written down");
    }
    Ok(rows)
}

/// The version that a file's name states, as it is written there.
pub fn version_of(name: &BlobName) -> Option<String> {
    let filename = name.filename.strip_suffix(METADATA_SUFFIX).unwrap_or(&name.filename);
    DistFilename::parse(filename).ok()?.version_text(name.project.as_ref()?)
}

/// Tells what is known of names until `named` says that this is enough.
async fn find_names(store: &Store, named: &mut impl FnMut(Sha256, BlobName) -> bool) -> Result<(), StoreError> {
    for (digest, wheel) in store.metadata_names().await? {
        let filename = format!("{}{METADATA_SUFFIX}", wheel.filename);
        if named(digest, BlobName { filename, ..wheel }) {
            return Ok(());
        }
    }
    for (index, url, digest) in store.all_unhashed().await? {
        if let Some(filename) = url.rsplit('/').next().and_then(|name| DistFilename::parse(name).ok()) {
            let project = filename.projects().into_iter().next();
            named(digest, BlobName::new(&index, project.as_ref(), filename.to_string()));
        }
    }
    for key in store.document_keys().await? {
        let Some(document) = store.document(&key).await? else { continue };
        // Large pages take a while to read, and nothing else waits for this.
        let told = tokio::task::spawn_blocking(move || names_in(&key, &document)).await.unwrap_or_default();
        for (digest, name) in told {
            if named(digest, name) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The files that a document tells of.
fn names_in(key: &DocumentKey, document: &Document) -> Vec<(Sha256, BlobName)> {
    match key.kind {
        DocumentKind::LegacyJson => Vec::new(),
        DocumentKind::List => {
            let name = |name: &str| BlobName::new(&key.index, None, name.to_owned());
            let digests = kept_digests(document).into_iter();
            digests.zip([LIST_JSON, LIST_HTML]).filter_map(|(digest, list)| Some((digest?, name(list)))).collect()
        }
        DocumentKind::Page => {
            let Ok(page) = simple::from_stored(&document.body) else { return Vec::new() };
            let name = |filename: &DistFilename| BlobName::new(&key.index, Some(&page.name), filename.to_string());
            page.files.iter().filter_map(|file| Some((file.sha256?, name(&file.filename)))).collect()
        }
    }
}

/// Which part of the cache is meant. What it does not say does not narrow it; who says nothing means everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    pub projects: Vec<ProjectName>,
    pub index: Option<IndexName>,
    /// Only files that came before (Unix seconds).
    pub came_before: Option<u64>,
    /// Only files that nobody has asked for since (Unix seconds).
    pub unused_since: Option<u64>,
}

impl Selection {
    pub fn takes(&self, row: &BlobRow) -> bool {
        let of = |name: &BlobName| {
            let project = |project: &ProjectName| self.projects.contains(project);
            (self.projects.is_empty() || name.project.as_ref().is_some_and(project))
                && self.index.as_ref().is_none_or(|index| *index == name.index)
        };
        let named = match &row.name {
            Some(name) => of(name),
            None => self.projects.is_empty() && self.index.is_none(),
        };
        // Of which nobody knows when it came, it is known that it was there when it was last used.
        let came = row.fetched.unwrap_or(row.used);
        named
            && self.came_before.is_none_or(|before| came < before)
            && self.unused_since.is_none_or(|since| row.used < since)
    }

    /// Whether what is known of pages is meant too: an age is an age of files.
    pub fn takes_documents(&self) -> bool {
        self.came_before.is_none() && self.unused_since.is_none()
    }

    pub fn takes_document(&self, key: &DocumentKey) -> bool {
        let project = key.name.split('/').next().unwrap_or_default();
        self.takes_documents()
            && (self.projects.is_empty() || self.projects.iter().any(|name| name.as_str() == project))
            && self.index.as_ref().is_none_or(|index| *index == key.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(project: &str, index: &str, fetched: Option<u64>, used: u64) -> BlobRow {
        let (index, project) = (IndexName::parse(index).unwrap(), ProjectName::parse(project).unwrap());
        let name = Some(BlobName::new(&index, Some(&project), format!("{project}-1.0.tar.gz")));
        BlobRow { sha256: Sha256::of(b""), size: 1, used, fetched, name, uses: 0, served: 0 }
    }

    #[test]
    fn a_selection_takes_what_all_its_words_take() {
        let demo = || Selection { projects: vec![ProjectName::parse("Demo").unwrap()], ..Selection::default() };
        let (one, other) = (row("demo", "root/pypi", Some(10), 20), row("other", "root/pypi", None, 20));
        let nameless = BlobRow { name: None, ..one.clone() };
        assert!([&one, &other, &nameless].into_iter().all(|row| Selection::default().takes(row)));
        assert!(demo().takes(&one) && !demo().takes(&other) && !demo().takes(&nameless));
        let elsewhere = Selection { index: Some(IndexName::parse("team/torch").unwrap()), ..demo() };
        assert!(!elsewhere.takes(&one) && elsewhere.takes(&row("demo", "team/torch", None, 0)));
        let aged = |came_before, unused_since| Selection { came_before, unused_since, ..Selection::default() };
        assert!(aged(Some(11), None).takes(&one) && !aged(Some(10), None).takes(&one));
        assert!(aged(Some(21), None).takes(&other) && !aged(Some(20), None).takes(&other));
        assert!(aged(None, Some(21)).takes(&one) && !aged(None, Some(20)).takes(&one));
        assert!(!aged(Some(11), Some(20)).takes(&one));
    }

    #[test]
    fn documents_go_with_their_project_and_stay_when_files_go_by_age() {
        let key =
            |kind, name: &str| DocumentKey { index: IndexName::parse("root/pypi").unwrap(), kind, name: name.into() };
        let demo = Selection { projects: vec![ProjectName::parse("demo").unwrap()], ..Selection::default() };
        for (kind, name, taken) in [
            (DocumentKind::Page, "demo", true),
            (DocumentKind::LegacyJson, "demo", true),
            (DocumentKind::LegacyJson, "demo/1.0", true),
            (DocumentKind::Page, "demo-tools", false),
            (DocumentKind::List, "", false),
        ] {
            assert_eq!(demo.takes_document(&key(kind, name)), taken, "{name}");
            assert!(Selection::default().takes_document(&key(kind, name)));
            let aged = Selection { unused_since: Some(9), ..Selection::default() };
            assert!(!aged.takes_document(&key(kind, name)));
        }
    }
}
