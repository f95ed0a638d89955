use super::House;
use super::accounts::allowed;
use super::catalog::{IndexEntry, IndexKind};
use super::errors::IndexError;
use super::stamps::log_entry;
use crate::cache::{Disk, DiskError, Spool};
use crate::names::{DigestPrefix, DistFilename, IndexName, ProjectName, Sha256};
use crate::rules::{self, Subject};
use crate::store::{FileRow, Publication, Published, Rel, ReleaseRow, YankOf};
use bytes::Bytes;
use serde_json::{Map, Value};
use std::sync::Arc;

/// A release's file that arrived whole and was checked.
pub struct NewFile {
    pub project: ProjectName,
    /// As the uploader spells it.
    pub version: String,
    pub filename: DistFilename,
    pub spool: Spool,
    pub sha256: Sha256,
    pub size: u64,
    /// A wheel's METADATA.
    pub metadata: Option<Bytes>,
    pub requires_python: Option<String>,
    /// What was said of the release; keys that were not said keep what they are.
    pub versiondata: Map<String, Value>,
    /// What a key is when nobody ever said it.
    pub defaults: Map<String, Value>,
    /// PEP 740, a JSON array.
    pub attestations: Option<String>,
}

/// Documentation of a release that arrived.
pub struct NewDocs {
    pub project: ProjectName,
    /// Without one the newest release is meant.
    pub version: Option<String>,
    pub spool: Spool,
    pub sha256: Sha256,
    pub size: u64,
    /// What was said of the release along with it.
    pub versiondata: Map<String, Value>,
}

/// What a release says of itself, without a file.
#[derive(Debug)]
pub struct NewRelease {
    pub project: ProjectName,
    pub version: String,
    pub versiondata: Map<String, Value>,
}

/// What became of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    New,
    /// The very bytes were there already, in an index whose files stay.
    Identical,
}

impl House {
    /// Whether the subject may upload to the index: asked before the body is read.
    pub(super) fn may_upload(&self, subject: &Subject, index: &IndexName) -> Result<Arc<IndexEntry>, IndexError> {
        let entry = self.entry(index)?;
        if !entry.is_stage() {
            return Err(IndexError::NotThere("cannot submit to mirror index".to_owned()));
        }
        let verdict = rules::may_upload(subject, index, &entry.settings);
        allowed(verdict, || "no permission to submit".to_owned())?;
        Ok(entry)
    }

    /// Publishes a file: durable before it is told. The bytes are synced, renamed and their directory synced; then one
    /// transaction is the moment from which the file exists.
    pub(super) async fn publish(
        &self,
        subject: &Subject,
        index: &IndexName,
        file: NewFile,
    ) -> Result<Stored, IndexError> {
        let entry = self.may_upload(subject, index)?;
        let now = self.clock.unix();
        let (spool, metadata) = self.synced(file.spool, file.metadata).await?;
        let mut versiondata = file.versiondata;
        // A release that is known keeps what it has.
        if self.private.release(index, &file.project, &file.version).await?.is_none() {
            for (key, value) in &file.defaults {
                versiondata.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        let release = ReleaseRow {
            index: index.clone(),
            project: file.project,
            version: file.version,
            metadata: versiondata,
            created: now,
        };
        let filename = file.filename.to_string();
        let row = FileRow {
            requires_python: file.requires_python,
            metadata: metadata.as_ref().map(|(digest, size, _)| (*digest, *size)),
            attestations: file.attestations,
            ..uploaded(subject, &release, Rel::Releasefile, filename, (file.sha256, file.size))
        };
        self.land(&entry, release, row, spool, metadata.map(|(digest, _, spool)| (digest, spool))).await
    }

    /// Publishes documentation (devpi: `:action=doc_upload`).
    pub(super) async fn publish_docs(
        &self,
        subject: &Subject,
        index: &IndexName,
        docs: NewDocs,
    ) -> Result<Stored, IndexError> {
        let entry = self.may_upload(subject, index)?;
        let now = self.clock.unix();
        let version = match docs.version {
            Some(version) => version,
            None => {
                let releases = self.private.releases(index, &docs.project).await?;
                let newest = releases.into_iter().map(|release| release.version).max_by_key(|v| version_key(v));
                newest.ok_or_else(|| {
                    let project = &docs.project;
                    IndexError::Invalid(format!(
                        "doczip has no version and '{project}' has no releases to derive one from"
                    ))
                })?
            }
        };
        let (spool, _) = self.synced(docs.spool, None).await?;
        let filename = format!("{}-{version}.doc.zip", docs.project);
        let release = ReleaseRow {
            index: index.clone(),
            project: docs.project,
            version,
            metadata: docs.versiondata,
            created: now,
        };
        let row = uploaded(subject, &release, Rel::Doczip, filename, (docs.sha256, docs.size));
        self.land(&entry, release, row, spool, None).await
    }

    /// Notes what a release says of itself (devpi: `:action=submit`).
    pub(super) async fn register(
        &self,
        subject: &Subject,
        index: &IndexName,
        release: NewRelease,
    ) -> Result<(), IndexError> {
        let entry = self.may_upload(subject, index)?;
        let project = release.project.clone();
        let row = ReleaseRow {
            index: index.clone(),
            project: release.project,
            version: release.version,
            metadata: release.versiondata,
            created: self.clock.unix(),
        };
        let _shelf = self.shelf.lock().await;
        let entry = self.still_there(&entry)?;
        self.private.put_release(&row).await?;
        entry.changed(&project);
        Ok(())
    }

    /// Takes a result of tests of a file (devpi: POST to the file). Stored beside the file, under a stamp.
    pub(super) async fn store_toxresult(
        &self,
        subject: &Subject,
        index: &IndexName,
        filename: &DistFilename,
        prefix: DigestPrefix,
        result: Bytes,
    ) -> Result<String, IndexError> {
        let entry = self.entry(index)?;
        let verdict = rules::may_upload_tox(subject, index, &entry.settings);
        allowed(verdict, || "no permission to upload a tox result".to_owned())?;
        let found = self.private.file(index, filename.as_str()).await?;
        let tested = found.filter(|row| row.sha256.prefix() == prefix && row.rel == Rel::Releasefile);
        let path = || format!("{index}/+f/{}/{filename}", prefix.directories());
        let tested = tested.ok_or_else(|| IndexError::NotThere(format!("no release file found at {}", path())))?;
        let now = self.clock.unix();
        let (sha256, size) = (Sha256::of(&result), result.len() as u64);
        let spool = self.spooled(result).await?;
        let _turn = self.numbering.lock().await;
        let others = self.private.files(index, &tested.project).await?;
        let same = |row: &&FileRow| row.rel == Rel::Toxresult && row.is_of(&tested);
        let (count, stamp) = (others.iter().filter(same).count(), super::stamps::compact(now));
        let numbered = |number: usize| format!("{filename}.toxresult-{stamp}-{number}");
        // Where one was removed, the count is the name of another.
        let free = (count..=count + others.len()).map(numbered);
        let mut free = free.filter(|name| !others.iter().any(|row| row.filename == *name));
        let name = free.next().unwrap_or_else(|| numbered(count));
        let release = ReleaseRow {
            index: index.clone(),
            project: tested.project,
            version: tested.version,
            metadata: Map::new(),
            created: now,
        };
        let row = FileRow {
            for_file: Some((tested.sha256, filename.to_string())),
            ..uploaded(subject, &release, Rel::Toxresult, name.clone(), (sha256, size))
        };
        self.land(&entry, release, row, spool, None).await?;
        Ok(format!("{index}/+f/{}/{name}#sha256={sha256}", prefix.directories()))
    }

    /// Names the bytes and writes the rows, under the lock that keeps a removal from taking the same bytes away.
    async fn land(
        &self,
        entry: &IndexEntry,
        release: ReleaseRow,
        file: FileRow,
        spool: Spool,
        metadata: Option<(Sha256, Spool)>,
    ) -> Result<Stored, IndexError> {
        let (filename, sha256) = (file.filename.clone(), file.sha256);
        let conflict = || IndexError::Conflict(format!("{filename} already exists in non-volatile index"));
        let _shelf = self.shelf.lock().await;
        let entry = self.still_there(entry)?;
        // Results come one after another, whatever the index says of releases.
        let volatile = entry.volatile() || file.rel == Rel::Toxresult;
        let publication = Publication { release, file, volatile };
        let there = self.private.file(&entry.name, &filename).await?;
        if !volatile && let Some(there) = &there {
            return if there.sha256 == sha256 { Ok(Stored::Identical) } else { Err(conflict()) };
        }
        let disk = Arc::clone(&self.disk);
        let named: Vec<Sha256> = publication.file.digests().collect();
        let adopted = tokio::task::spawn_blocking(move || {
            spool.publish_private(&disk, sha256)?;
            if let Some((digest, spool)) = metadata {
                spool.publish_private(&disk, digest)?;
            }
            Ok::<_, DiskError>(())
        });
        let published = match adopted.await {
            Ok(Ok(())) => self.private.publish(&publication).await.map_err(IndexError::from),
            Ok(Err(why)) => Err(why.into()),
            Err(_) => Err(IndexError::Lost),
        };
        match published {
            Ok(Published::Stored { unreferenced, .. }) => {
                entry.changed(&publication.file.project);
                // `foo-2-1.zip` is 2-1 of foo, or 1 of foo-2.
                there.iter().for_each(|there| entry.changed(&there.project));
                self.unreferenced(unreferenced).await;
                Ok(Stored::New)
            }
            Ok(Published::Identical) => Ok(Stored::Identical),
            Ok(Published::Conflict) => {
                self.disown(named).await;
                Err(conflict())
            }
            Err(why) => {
                self.disown(named).await;
                Err(why)
            }
        }
    }

    /// The index as it is now, the caller holding the shelf's lock; an error where it is gone since the permission was
    /// asked for, and where another has its name.
    pub(super) fn still_there(&self, before: &IndexEntry) -> Result<Arc<IndexEntry>, IndexError> {
        let now = self.entry(&before.name)?;
        match (&before.kind, &now.kind) {
            (IndexKind::Stage(marks), IndexKind::Stage(same)) if Arc::ptr_eq(marks, same) => Ok(now),
            _ => Err(IndexError::UnknownIndex(before.name.clone())),
        }
    }

    /// Takes bytes that were named for rows which did not come to be off the disk, unless other rows have them; the
    /// caller holds the shelf's lock.
    pub(super) async fn disown(&self, digests: Vec<Sha256>) {
        // When the database does not say, they stay: better an orphan than a row without its bytes.
        let Ok(unreferenced) = self.private.unreferenced(&digests).await else { return };
        self.unreferenced(unreferenced).await;
    }

    /// Sees to it that the bytes are on the disk, before anybody waits for a lock.
    async fn synced(
        &self,
        spool: Spool,
        metadata: Option<Bytes>,
    ) -> Result<(Spool, Option<(Sha256, u64, Spool)>), IndexError> {
        let disk = Arc::clone(&self.disk);
        let synced = tokio::task::spawn_blocking(move || {
            spool.sync()?;
            let metadata = match metadata {
                Some(bytes) => Some((Sha256::of(&bytes), bytes.len() as u64, spool_of(&disk, &bytes)?)),
                None => None,
            };
            Ok::<_, DiskError>((spool, metadata))
        });
        Ok(synced.await.map_err(|_| IndexError::Lost)??)
    }

    pub(super) async fn spooled(&self, bytes: Bytes) -> Result<Spool, IndexError> {
        let disk = Arc::clone(&self.disk);
        let spooled = tokio::task::spawn_blocking(move || spool_of(&disk, &bytes));
        Ok(spooled.await.map_err(|_| IndexError::Lost)??)
    }

    /// Takes bytes off the disk that no row refers to any more; the caller holds the shelf's lock since before the
    /// rows went.
    pub(super) async fn unreferenced(&self, digests: Vec<Sha256>) {
        if digests.is_empty() {
            return;
        }
        let disk = Arc::clone(&self.disk);
        let removed = tokio::task::spawn_blocking(move || {
            for digest in digests {
                if let Err(why) = disk.remove_private(&digest) {
                    tracing::warn!(%digest, %why, "a file that nothing refers to cannot be removed");
                }
            }
        });
        let _ = removed.await;
    }

    /// Whether the subject may take releases away from the index, or yank them.
    pub(super) fn may_delete(
        &self,
        subject: &Subject,
        index: &IndexName,
        doing: &str,
    ) -> Result<Arc<IndexEntry>, IndexError> {
        let entry = self.entry(index)?;
        let verdict = rules::may_delete(subject, index, &entry.settings);
        allowed(verdict, || format!("no permission to {doing} index {index}"))?;
        if !entry.is_stage() {
            return Err(IndexError::Forbidden(format!("{index} is a mirror; what it shows is upstream's")));
        }
        Ok(entry)
    }

    /// Removes a file, a version or a whole project (devpi: DELETE). The name stays owned.
    pub(super) async fn remove(
        &self,
        subject: &Subject,
        index: &IndexName,
        what: &Removal<'_>,
        force: bool,
    ) -> Result<(), IndexError> {
        let (entry, _shelf) = self.may_remove(subject, index, what, force).await?;
        let project = self.project_of(index, what).await?;
        let removed = match what {
            Removal::Project(_) => self.private.remove_project(index, &project).await?,
            Removal::Version(_, version) => self.private.remove_version(index, &project, version).await?,
            Removal::File(filename, _) => self.private.remove_file(index, filename).await?,
        };
        let removed = removed.ok_or_else(|| what.missing(index))?;
        entry.changed(&project);
        self.unreferenced(removed.unreferenced).await;
        Ok(())
    }

    /// Lets somebody remove, alone until he drops the lock.
    pub(super) async fn may_remove(
        &self,
        subject: &Subject,
        index: &IndexName,
        what: &Removal<'_>,
        force: bool,
    ) -> Result<(Arc<IndexEntry>, tokio::sync::MutexGuard<'_, ()>), IndexError> {
        let entry = self.may_delete(subject, index, "delete from")?;
        let shelf = self.shelf.lock().await;
        let entry = self.still_there(&entry)?;
        match entry.volatile() || force {
            true => Ok((entry, shelf)),
            false => Err(IndexError::Forbidden(what.refused(index))),
        }
    }

    /// The project that something belongs to which is about to be removed.
    pub(super) async fn project_of(&self, index: &IndexName, what: &Removal<'_>) -> Result<ProjectName, IndexError> {
        let (filename, prefix) = match what {
            Removal::Project(project) | Removal::Version(project, _) => return Ok((*project).clone()),
            Removal::File(filename, prefix) => (filename, prefix),
        };
        let row = self.private.file(index, filename).await?;
        if let Some(row) = row.filter(|row| row.directory() == *prefix) {
            return Ok(row.project);
        }
        let gone = self.private.was_deleted(index, filename).await?;
        let gone = gone.iter().any(|digest| digest.prefix() == *prefix);
        Err(if gone { what.deleted(index) } else { what.missing(index) })
    }

    /// Yanks files or takes that back (PEP 592): of one version, or one file.
    pub(super) async fn yank(
        &self,
        subject: &Subject,
        index: &IndexName,
        what: &Removal<'_>,
        yanked: Option<String>,
    ) -> Result<u64, IndexError> {
        let entry = self.may_delete(subject, index, "yank on")?;
        let (project, of) = match what {
            Removal::Project(_) => {
                return Err(IndexError::Invalid("a version or a file is yanked, not a whole project".to_owned()));
            }
            Removal::Version(project, version) => ((*project).clone(), YankOf::Version(version)),
            Removal::File(filename, prefix) => {
                let row = self.private.file(index, filename).await?.filter(|row| row.directory() == *prefix);
                (row.ok_or_else(|| what.missing(index))?.project, YankOf::File(filename))
            }
        };
        let _shelf = self.shelf.lock().await;
        let entry = self.still_there(&entry)?;
        if let YankOf::Version(version) = of
            && self.private.files_of_version(index, &project, version).await?.is_empty()
        {
            return Err(what.missing(index));
        }
        let done = self.private.set_yanked(index, &project, of, yanked.as_deref()).await?;
        entry.changed(&project);
        Ok(done.changed)
    }
}

/// Longest reason for a yank, in bytes: it is shown by every installer.
pub const YANK_REASON_BYTES_MAX: usize = 2_000;

/// What is removed, or yanked.
pub enum Removal<'a> {
    Project(&'a ProjectName),
    Version(&'a ProjectName, &'a str),
    /// By its name, and the directories of its address.
    File(&'a str, DigestPrefix),
}

impl Removal<'_> {
    /// devpi's sentence for an index whose files stay.
    fn refused(&self, index: &IndexName) -> String {
        match self {
            Self::Project(project) => format!("project '{project}' is on non-volatile index {index}"),
            Self::Version(..) | Self::File(..) => "cannot delete version on non-volatile index".to_owned(),
        }
    }

    pub(super) fn missing(&self, index: &IndexName) -> IndexError {
        IndexError::NotThere(match self {
            Self::Project(_) => "project not found".to_owned(),
            Self::Version(project, version) => {
                format!("version '{version}' of project '{project}' not found on stage '{index}'")
            }
            Self::File(filename, prefix) => {
                format!("package '{index}/+f/{}/{filename}' doesn't exist", prefix.directories())
            }
        })
    }

    fn deleted(&self, index: &IndexName) -> IndexError {
        match self {
            Self::File(filename, prefix) => IndexError::Deleted(format!(
                "file '{index}/+f/{}/{filename}' existed, deleted in later serial",
                prefix.directories()
            )),
            other => other.missing(index),
        }
    }
}

impl IndexEntry {
    /// Pages of the project are out of date.
    pub(super) fn changed(&self, project: &ProjectName) {
        if let IndexKind::Stage(marks) = &self.kind {
            marks.changed(project.as_str());
            marks.news.note(&self.name, project);
        }
    }
}

/// The row of a file that was uploaded when its release says it was made.
fn uploaded(subject: &Subject, release: &ReleaseRow, rel: Rel, filename: String, bytes: (Sha256, u64)) -> FileRow {
    FileRow {
        index: release.index.clone(),
        filename,
        rel,
        project: release.project.clone(),
        version: release.version.clone(),
        sha256: bytes.0,
        size: bytes.1,
        uploaded: release.created as i64 * 1_000_000,
        requires_python: None,
        metadata: None,
        yanked: None,
        attestations: None,
        log: vec![log_entry("upload", subject, release.created, None, Some(&release.index))],
        for_file: None,
    }
}

/// A small file on its way to the disk, synced.
fn spool_of(disk: &Disk, bytes: &[u8]) -> Result<Spool, DiskError> {
    let mut spool = Spool::create(disk)?;
    spool.write(bytes)?;
    spool.sync()?;
    Ok(spool)
}

/// Sorts versions as PEP 440 does; what is no version comes first, by its text.
pub(super) fn version_key(version: &str) -> (Option<crate::names::Version>, String) {
    (version.parse().ok(), version.to_owned())
}

/// The two directories of a file's address: a result of tests lies beside what was tested.
pub(super) trait Address {
    fn directory(&self) -> DigestPrefix;
    fn is_of(&self, tested: &FileRow) -> bool;
}

impl Address for FileRow {
    fn directory(&self) -> DigestPrefix {
        self.for_file.as_ref().map_or(self.sha256, |(digest, _)| *digest).prefix()
    }

    fn is_of(&self, tested: &FileRow) -> bool {
        self.for_file.as_ref().is_some_and(|(digest, name)| *digest == tested.sha256 && *name == tested.filename)
    }
}
