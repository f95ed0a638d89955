//! The door for what comes from another server or a directory: as an upload would have made it, but with its own history,
//! its users' hashes and a mirror's cache. What is here already is never changed by it.

use super::accounts::USERS_RESERVED;
use super::basis::Marks;
use super::catalog::{IndexKind, Parts};
use super::files::FileFacts;
use super::indexes::{INDEXES_MAX, invalid};
use super::keys::{FileKey, Place};
use super::mirror::Mirror;
use super::pages::page_of;
use super::{House, Index, IndexError};
use crate::cache::{ForeignFile, Shelf, TakenIn};
use crate::names::{IndexName, ProjectName, Sha256};
use crate::rules::IndexSettings;
use crate::simple::{self, CoreMetadata, ProjectPage};
use crate::store::{AddressRow, BlobName, Document, FileRow, Publication, PublishedAll, ReleaseRow, UserRow};
use bytes::Bytes;
use std::sync::Arc;
use url::Url;

/// What became of a thing that was brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Took {
    New,
    /// It is here already, the same.
    Same,
    /// Another one is here, which stays.
    Differs,
}

/// A release's file, its documentation or a test result of it, with its history.
pub struct TakenFile {
    /// Its metadata's row is filled here.
    pub row: FileRow,
    /// What its release says of itself, where nothing is known of the release yet.
    pub release: ReleaseRow,
    /// A wheel's METADATA.
    pub metadata: Option<Bytes>,
    /// Where the other server had it, if not where its digest says: `f/aaa/bbbbbbbbbbbbb`.
    pub place: Option<String>,
    pub file: Arc<ForeignFile>,
}

/// When a document was fetched that an import made: so long ago that upstream is asked as soon as it can be.
const BROUGHT_WHOLE: u64 = 1;

/// Of a page that lacks files: upstream is asked before it is shown.
const BROUGHT_IN_PART: u64 = 0;

impl Index {
    /// Makes a user with the hash it has. Root, who is always there, takes one while it has none.
    pub async fn take_user(&self, user: UserRow) -> Result<Took, IndexError> {
        self.0.take_user(user).await
    }

    /// Makes an index. Its bases need not be there: another server may have lost them.
    pub async fn take_index(&self, name: &IndexName, settings: IndexSettings) -> Result<Took, IndexError> {
        self.0.take_index(name, settings).await
    }

    /// Lets a stage own a name of which it has no release.
    pub async fn take_project(&self, index: &IndexName, project: &ProjectName, since: u64) -> Result<Took, IndexError> {
        let new = self.0.private.own_project(index, project, since).await?;
        Ok(if new { Took::New } else { Took::Same })
    }

    /// Makes a release without files.
    pub async fn take_release(&self, release: &ReleaseRow) -> Result<Took, IndexError> {
        self.0.take_release(release).await
    }

    /// What a stage has under this name: its digest.
    pub async fn has_file(&self, index: &IndexName, filename: &str) -> Result<Option<(Sha256, u64)>, IndexError> {
        Ok(self.0.private.file(index, filename).await?.map(|row| (row.sha256, row.size)))
    }

    /// Publishes a file as it was on the other server. Its digest is that of its bytes: they were read.
    pub async fn take_file(&self, file: TakenFile) -> Result<(Took, TakenIn), IndexError> {
        self.0.take_file(file).await
    }

    /// What is known of a mirror's file that was brought before, if its bytes are here.
    pub async fn has_cached(
        &self,
        index: &IndexName,
        place: &str,
        filename: &str,
    ) -> Result<Option<AddressRow>, IndexError> {
        let row = self.0.store.address(index, place, filename).await?;
        Ok(row.filter(|row| self.0.disk.has_on(Shelf::Cache, &row.sha256)))
    }

    /// Puts a mirror's file into the cache; it was used last at `used` (Unix seconds). `unhashed`: its link has no SHA-256.
    pub async fn take_cached(
        &self,
        row: &AddressRow,
        file: &Arc<ForeignFile>,
        used: u64,
        unhashed: bool,
    ) -> Result<TakenIn, IndexError> {
        let (disk, file, digest) = (Arc::clone(&self.0.disk), Arc::clone(file), row.sha256);
        let taken = tokio::task::spawn_blocking(move || disk.take_in(&file, &digest, Shelf::Cache));
        let taken = taken.await.map_err(|_| IndexError::Lost)??;
        let name = BlobName::new(&row.index, Some(&row.project), row.filename.clone());
        self.0.store.put_blob(&row.sha256, row.size, used.min(self.0.clock.unix()), &name).await?;
        self.0.store.put_address(row, unhashed).await?;
        Ok(taken)
    }

    /// Keeps what another server knew of a mirror's project. `whole`: it lists all that upstream did.
    pub async fn take_page(&self, index: &IndexName, page: &ProjectPage, whole: bool) -> Result<Took, IndexError> {
        self.0.take_page(index, page, whole).await
    }
}

impl House {
    async fn take_user(&self, user: UserRow) -> Result<Took, IndexError> {
        let _change = self.changing.lock().await;
        if USERS_RESERVED.contains(&user.name.as_str()) {
            return Err(invalid(format!("the name {} is taken by an address of this server", user.name)));
        }
        let ours = self.user(&user.name).ok();
        let nothing_said = |ours: &UserRow| ours.password.is_none() && ours.facts.is_empty() && ours.modified.is_none();
        match ours {
            Some(ours) if (&ours.password, &ours.facts) == (&user.password, &user.facts) => return Ok(Took::Same),
            // It brings nothing that is not known: root, whose empty password is not taken.
            Some(ours)
                if user.password.is_none()
                    && user.facts.iter().all(|(key, value)| ours.facts.get(key) == Some(value)) =>
            {
                return Ok(Took::Same);
            }
            // Made because something belongs to it.
            Some(ours) if !nothing_said(&ours) => return Ok(Took::Differs),
            _ => {}
        }
        self.put_user(user).await?;
        Ok(Took::New)
    }

    async fn take_index(&self, name: &IndexName, settings: IndexSettings) -> Result<Took, IndexError> {
        let _change = self.changing.lock().await;
        let catalog = self.catalog();
        self.user(&name.owner())?;
        let stored = self.private.index(name).await?.is_some();
        if let Some(ours) = catalog.index(name) {
            let mut wanted = settings.clone();
            // Where it mirrors from is said in the server's settings.
            if let (true, IndexSettings::Mirror(wanted), IndexSettings::Mirror(ours)) =
                (ours.fixed, &mut wanted, &ours.settings)
            {
                wanted.mirror_url = ours.mirror_url.clone();
            }
            if wanted == ours.settings && (stored || !ours.fixed) {
                return Ok(Took::Same);
            }
            if stored || !ours.fixed || !wanted.is_mirror() {
                return Ok(Took::Differs);
            }
            let parts = catalog.parts().remove(name).ok_or_else(|| IndexError::UnknownIndex(name.clone()))?;
            self.put_index(&catalog, Parts { settings: wanted, ..parts }).await?;
            return Ok(Took::New);
        }
        if catalog.indexes.len() >= INDEXES_MAX {
            return Err(invalid(format!("there are {INDEXES_MAX} indexes already")));
        }
        let kind = match &settings {
            IndexSettings::Stage(_) => IndexKind::Stage(Arc::new(Marks::new(&self.news))),
            IndexSettings::Mirror(mirror) => {
                IndexKind::Mirror(Arc::new(self.maker.make(name, mirror).map_err(IndexError::Invalid)?))
            }
        };
        self.put_index(&catalog, Parts { name: name.clone(), settings, kind, fixed: false }).await?;
        Ok(Took::New)
    }

    async fn take_release(&self, release: &ReleaseRow) -> Result<Took, IndexError> {
        let ours = self.release_as_spelled(release).await?;
        match ours {
            Some(ours) if ours.metadata == release.metadata => Ok(Took::Same),
            Some(_) => Ok(Took::Differs),
            None => {
                self.private.put_release(release).await?;
                self.entry(&release.index)?.changed(&release.project);
                Ok(Took::New)
            }
        }
    }

    async fn release_as_spelled(&self, release: &ReleaseRow) -> Result<Option<ReleaseRow>, IndexError> {
        let ours = self.private.release(&release.index, &release.project, &release.version).await?;
        Ok(ours.filter(|ours| ours.version == release.version))
    }

    async fn take_file(&self, taken: TakenFile) -> Result<(Took, TakenIn), IndexError> {
        let TakenFile { mut row, release, metadata, place, file } = taken;
        let metadata = match metadata {
            Some(bytes) => {
                let facts = (Sha256::of(&bytes), bytes.len() as u64);
                row.metadata = Some(facts);
                Some((facts.0, self.spooled(bytes).await?))
            }
            None => None,
        };
        let _shelf = self.shelf.lock().await;
        let entry = self.entry(&row.index)?;
        if !entry.is_stage() {
            return Err(invalid(format!("{} is a mirror here; a release goes into a stage", row.index)));
        }
        if let Some(ours) = self.private.file(&row.index, &row.filename).await? {
            let took = if ours.sha256 == row.sha256 { Took::Same } else { Took::Differs };
            return Ok((took, TakenIn::There));
        }
        let (disk, sha256) = (Arc::clone(&self.disk), row.sha256);
        let put = tokio::task::spawn_blocking(move || {
            let taken = disk.take_in(&file, &sha256, Shelf::Private)?;
            if let Some((digest, spool)) = metadata {
                spool.publish_private(&disk, digest)?;
            }
            Ok::<_, IndexError>(taken)
        });
        let taken = put.await.map_err(|_| IndexError::Lost)??;
        // Before the file: when it is there, a run after one that was cut off passes it over.
        if let Some(place) = place {
            self.private.put_address(&row.index, &place, &row.filename, &sha256).await?;
        }
        // What is known of the release stays as it is.
        let release = self.release_as_spelled(&release).await?.unwrap_or(release);
        let named: Vec<Sha256> = row.digests().collect();
        let publication = Publication { release, file: row, volatile: false };
        let published = match self.private.publish_all(std::slice::from_ref(&publication)).await {
            Ok(published) => published,
            Err(why) => {
                self.disown(named).await;
                return Err(why.into());
            }
        };
        if let PublishedAll::Conflict { .. } = published {
            self.disown(named).await;
            return Ok((Took::Differs, taken));
        }
        entry.changed(&publication.file.project);
        Ok((Took::New, taken))
    }

    async fn take_page(&self, index: &IndexName, page: &ProjectPage, whole: bool) -> Result<Took, IndexError> {
        let mirror = self.mirror(index)?;
        let key = page_of(index, &page.name);
        if self.store.document(&key).await?.is_some() {
            return Ok(Took::Same);
        }
        let body = simple::to_stored(page);
        let document = Document {
            fetched: if whole { BROUGHT_WHOLE } else { BROUGHT_IN_PART },
            // Not those of the other server: upstream shall tell all that it has to tell.
            etag: None,
            last_modified: None,
            last_serial: None,
            digest: Sha256::of(&body),
            url: mirror.upstream.base().to_string(),
            body,
        };
        self.store.put_document(&key, document).await?;
        self.news.note(index, &page.name);
        Ok(Took::New)
    }

    /// A mirror's file at an address that another server gave it: it is answered whether the page lists it or not, so
    /// that old lockfiles hold. Not under a name that is reserved.
    pub(super) async fn brought(&self, mirror: &Arc<Mirror>, key: &FileKey) -> Result<Option<FileFacts>, IndexError> {
        let Some(place) = place_of(&key.place) else { return Ok(None) };
        let row = self.store.address(&mirror.name, &place, key.filename.as_str()).await?;
        let Some(row) = row.filter(|row| !mirror.reserves(&row.project)) else { return Ok(None) };
        Ok(Url::parse(&row.url).ok().map(|url| FileFacts {
            project: row.project,
            filename: key.filename.clone(),
            url,
            sha256: Some(row.sha256),
            size: Some(row.size),
            modified: None,
            core_metadata: CoreMetadata::Absent,
            basis: None,
        }))
    }

    /// Whether a stage's file was at this address on another server.
    pub(super) async fn was_at(
        &self,
        index: &IndexName,
        filename: &str,
        at: &Place,
        sha256: &Sha256,
    ) -> Result<bool, IndexError> {
        let Some(place) = place_of(at) else { return Ok(false) };
        Ok(self.private.address(index, &place, filename).await?.as_ref() == Some(sha256))
    }
}

fn place_of(place: &Place) -> Option<String> {
    match place {
        Place::Digest(prefix) => Some(format!("f/{}", prefix.directories())),
        Place::Link(directory) => Some(format!("e/{directory}")),
        Place::Path(_) => None,
    }
}
