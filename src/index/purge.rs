use super::House;
use super::errors::IndexError;
use super::inventory::{Selection, inventory};
use super::keys::{Key, Value};
use crate::names::{ProjectName, Sha256};
use crate::store::BlobRow;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a purge took out of the cache.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purged {
    /// Files and bytes by project; none: what belongs to none.
    pub projects: BTreeMap<Option<ProjectName>, (u64, u64)>,
    /// Stored pages and lists that were forgotten.
    pub documents: u64,
    /// There is more of it in the cache; ask again.
    pub more: bool,
}

impl Purged {
    pub fn files(&self) -> u64 {
        self.projects.values().map(|(files, _)| files).sum()
    }

    pub fn bytes(&self) -> u64 {
        self.projects.values().map(|(_, bytes)| bytes).sum()
    }

    pub fn add(&mut self, row: &BlobRow) {
        let project = row.name.as_ref().and_then(|name| name.project.clone());
        let (files, bytes) = self.projects.entry(project).or_default();
        (*files, *bytes) = (*files + 1, *bytes + row.size);
    }
}

/// Files that are taken out in one transaction.
const BATCH: usize = 64;

/// Files that one call takes out: a few seconds' work, so that who asks sees how far it is.
const PURGE_FILES_MAX: usize = 5_000;

impl House {
    /// Takes a part of the cache out of the database, the memory and off the disk, so that it is fetched anew. What users
    /// own lies on another shelf and in another database, and is not touched; running downloads finish.
    pub(super) async fn purge(self: &Arc<Self>, selection: &Selection) -> Result<Purged, IndexError> {
        let _one = self.evicting.lock().await;
        self.write_books().await;
        let mut purged = Purged::default();
        // Before the pages go, which may tell what the files are called.
        let mut rows: Vec<_> = inventory(&self.store).await?.into_iter().filter(|row| selection.takes(row)).collect();
        purged.more = rows.len() > PURGE_FILES_MAX;
        rows.truncate(PURGE_FILES_MAX);
        let keys = if selection.takes_documents() { self.store.document_keys().await? } else { Vec::new() };
        let keys: Vec<_> = keys.into_iter().filter(|key| selection.takes_document(key)).collect();
        purged.documents = keys.len() as u64;
        self.store.forget_documents(&keys).await?;
        let digests: HashSet<_> = rows.iter().map(|row| row.sha256).collect();
        for batch in rows.chunks(BATCH) {
            let batch_digests: Vec<_> = batch.iter().map(|row| row.sha256).collect();
            self.purge_files(batch_digests).await?;
            batch.iter().for_each(|row| purged.add(row));
        }
        // After the files: what is read into memory from now on is not from before. Who began earlier looks again.
        self.purges.fetch_add(1, Ordering::AcqRel);
        self.states.forget_if(|key| selection.takes_document(key));
        self.memory.remove_if(|key, value| match (key, value) {
            (Key::Page(page), _) => selection.takes_document(&page.document),
            (Key::Content(document, _), _) => selection.takes_document(document),
            (_, Value::File(known)) => known.digest.is_some_and(|digest| digests.contains(&digest)),
            _ => false,
        });
        if self.offline {
            self.states.rerender_all();
        }
        Ok(purged)
    }

    /// First out of the books, then off the disk: a crash between leaves a file that is adopted at the next start.
    async fn purge_files(self: &Arc<Self>, digests: Vec<Sha256>) -> Result<(), IndexError> {
        self.store.remove_blobs(&digests).await?;
        let house = Arc::clone(self);
        let removed = tokio::task::spawn_blocking(move || {
            for digest in &digests {
                house.books.uses.leave(digest, || Some(house.disk.get(digest).ok()??.file));
                house.disk.remove(digest)?;
            }
            Ok(())
        });
        let removed = removed.await.map_err(|_| IndexError::Lost)?;
        if let Ok((_, bytes)) = self.store.blob_totals().await {
            self.set_disk_bytes(bytes);
        }
        removed
    }
}
