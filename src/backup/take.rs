use super::carry::{Carried, Fault, Finding, Step, Told, Totals, carry, each, path_on, read_file};
use super::errors::BackupError;
use super::manifest::{Manifest, SnapshotId};
use super::target::{Target, document, has, write};
use crate::cache::{Look, Shelf};
use crate::clock::Clock;
use crate::names::Sha256;
use crate::store::{FORMAT, PRIVATE_FILE, Private, STORE_FILE, Store, StoreError, check_format};
use std::collections::HashSet;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is to be taken, and where to.
#[derive(Debug, Clone)]
pub struct BackupWish {
    pub data: PathBuf,
    pub target: PathBuf,
    /// The configuration file, which comes along.
    pub config: Option<PathBuf>,
    /// Take the cache too.
    pub cache: bool,
    /// Keep so many snapshots; none: all.
    pub keep: Option<usize>,
    /// Read what is in the target already, and replace what is damaged.
    pub check: bool,
}

/// A snapshot that was taken.
#[derive(Debug)]
pub struct Taken {
    pub id: SnapshotId,
    /// What its rows refer to.
    pub private: Totals,
    pub cache: Totals,
    /// What was not there before, and had to be written.
    pub copied: Totals,
    /// Bytes of the databases and other documents.
    pub documents: u64,
    /// What rows refer to and was not to be had.
    pub lacking: Vec<Finding>,
    pub pruned: Vec<SnapshotId>,
    /// Files that no snapshot names any more.
    pub removed: Totals,
}

/// How often the rows are read again because the server has removed files meanwhile. Each time only what is new is
/// copied, so that the second is as good as always the last.
const ROUNDS_MAX: u32 = 20;

/// Files of the data directory's root that nobody can fetch again, besides the database.
const SECRETS: [&str; 1] = ["root-password"];

/// The configuration's name in a snapshot.
pub(super) const CONFIG: &str = "config.toml";

/// Takes a snapshot of a data directory, while a server runs or not. It has its name when it is whole.
pub async fn take(wish: BackupWish, clock: &Clock, told: Told) -> Result<Taken, BackupError> {
    apart(&wish.data, &wish.target)?;
    check_format(&wish.data)?;
    if !wish.data.join(PRIVATE_FILE).is_file() {
        return Err(BackupError::NoData(wish.data));
    }
    let target = {
        let root = wish.target.clone();
        Arc::new(blocking(move || Target::open(&root)).await?)
    };
    let work = Work { look: Look::at(&wish.data), target: Arc::clone(&target), check: wish.check, told };
    let mut rows = rows(&wish, &target).await?;
    let mut copied = Totals::default();
    let mut lost = Vec::new();
    let lacking = 'rounds: {
        for _ in 0..ROUNDS_MAX {
            let (lacking, totals) = work.clone().copy_private(&rows.private).await?;
            copied.files += totals.files;
            copied.bytes += totals.bytes;
            let missing = |fault: &Fault| *fault == Fault::Missing;
            let gone: Vec<_> = lacking.iter().filter(|one| missing(&one.1)).map(|one| one.0).collect();
            // A row of this snapshot whose bytes were missing before it was taken: they are lost, not on their way out.
            if gone.iter().all(|digest| lost.contains(digest)) {
                break 'rounds lacking;
            }
            lost = gone;
            rows.copy.close().await;
            rows = self::rows(&wish, &target).await?;
        }
        return Err(BackupError::Restless);
    };
    if let Some(trouble) = rows.copy.trouble().await? {
        return Err(StoreError::damaged(&wish.data.join(PRIVATE_FILE), trouble).into());
    }
    let cache = match wish.cache {
        true => work.clone().copy_cache(&wish.data, &rows.directory, &mut copied).await?,
        false => Vec::new(),
    };
    for name in SECRETS {
        copy_document(&wish.data.join(name), &rows.directory.join(name))?;
    }
    if let Some(config) = &wish.config {
        copy_document(config, &rows.directory.join(CONFIG))?;
    }
    let lacks: HashSet<_> = lacking.iter().map(|(digest, _, _)| *digest).collect();
    let mut private = std::mem::take(&mut rows.private);
    private.retain(|(digest, _)| !lacks.contains(digest));
    let mut documents = Vec::new();
    for name in [PRIVATE_FILE, STORE_FILE, CONFIG].into_iter().chain(SECRETS) {
        if rows.directory.join(name).is_file() {
            documents.push(document(&rows.directory, name)?);
        }
    }
    let manifest = Manifest {
        created: clock.unix(),
        format: rows.format,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        uuid: rows.uuid.clone(),
        serial: rows.serial,
        documents,
        private,
        cache,
        lacking: lacking.iter().map(|(digest, fault, _)| (*digest, *fault)).collect(),
    };
    let (private, cache) = (totals(&manifest.private), totals(&manifest.cache));
    let documents = manifest.documents.iter().map(|document| document.size).sum();
    let findings = named_findings(&rows.copy, lacking).await;
    rows.copy.close().await;
    let keep = wish.keep;
    let (id, (pruned, removed)) = blocking(move || {
        let id = target.finish(&manifest)?;
        let pruned = keep.map(|keep| target.prune(keep)).transpose()?.unwrap_or_default();
        Ok((id, pruned))
    })
    .await?;
    Ok(Taken { id, private, cache, copied, documents, lacking: findings, pruned, removed })
}

/// A consistent copy of the rows.
struct Rows {
    /// Of the new snapshot.
    directory: PathBuf,
    copy: Private,
    private: Vec<(Sha256, u64)>,
    format: u32,
    uuid: String,
    serial: u64,
}

async fn rows(wish: &BackupWish, target: &Arc<Target>) -> Result<Rows, BackupError> {
    let directory = target.begin()?;
    let source = Private::beside(&wish.data).await?;
    let copied = source.copy_to(&directory.join(PRIVATE_FILE)).await;
    source.close().await;
    copied?;
    let copy = Private::still(&directory).await?;
    let (private, format) = (copy.named().await?, copy.format().await?);
    let (serial, uuid) = copy.identity().await?;
    Ok(Rows { directory, copy, private, format: format.min(FORMAT), uuid, serial })
}

/// What copies, on threads that may block.
#[derive(Clone)]
struct Work {
    look: Look,
    target: Arc<Target>,
    check: bool,
    told: Told,
}

type Lacking = Vec<(Sha256, Fault, String)>;

impl Work {
    /// Copies what the target lacks; what could not be copied, and what was.
    async fn copy_private(self, named: &[(Sha256, u64)]) -> Result<(Lacking, Totals), BackupError> {
        let wanted = self.wanted(Shelf::Private, named).await?;
        blocking(move || {
            let carried = each(&wanted, |(digest, size)| {
                let mut carried = self.carry(Shelf::Private, digest, *size, Shelf::Private)?;
                // What was promoted from a mirror may lie in the cache too, as good as ever.
                if carried != Carried::Whole
                    && self.carry(Shelf::Cache, digest, *size, Shelf::Private)? == Carried::Whole
                {
                    carried = Carried::Whole;
                }
                (self.told)(Step::Done(*size));
                Ok(carried)
            })?;
            let (mut lacking, mut copied) = (Vec::new(), Totals::default());
            for ((digest, size), carried) in wanted.iter().zip(carried) {
                match carried {
                    Carried::Whole => copied.add(*size),
                    Carried::Not(fault, why) => lacking.push((*digest, fault, why)),
                }
            }
            Ok((lacking, copied))
        })
        .await
    }

    /// Copies the books of the cache and what is in it; what came along. A file that is evicted meanwhile is no loss.
    async fn copy_cache(
        self,
        data: &Path,
        directory: &Path,
        copied: &mut Totals,
    ) -> Result<Vec<(Sha256, u64)>, BackupError> {
        if !data.join(STORE_FILE).is_file() {
            return Ok(Vec::new());
        }
        let source = Store::beside(data).await?;
        let made = source.copy_to(&directory.join(STORE_FILE)).await;
        source.close().await;
        made?;
        let copy = Store::still(directory).await?;
        let mut blobs = copy.blob_sizes().await?;
        copy.close().await;
        let wanted = self.wanted(Shelf::Cache, &blobs).await?;
        let (left, totals) = blocking(move || {
            let carried = each(&wanted, |(digest, size)| {
                let carried = self.carry(Shelf::Cache, digest, *size, Shelf::Cache);
                (self.told)(Step::Done(*size));
                carried
            })?;
            let (mut left, mut copied) = (Vec::new(), Totals::default());
            for ((digest, size), carried) in wanted.iter().zip(carried) {
                match carried {
                    Carried::Whole => copied.add(*size),
                    Carried::Not(..) => left.push(*digest),
                }
            }
            left.sort();
            Ok((left, copied))
        })
        .await?;
        blobs.retain(|(digest, _)| left.binary_search(digest).is_err());
        copied.files += totals.files;
        copied.bytes += totals.bytes;
        Ok(blobs)
    }

    /// What of `named` is to be copied.
    async fn wanted(&self, shelf: Shelf, named: &[(Sha256, u64)]) -> Result<Vec<(Sha256, u64)>, BackupError> {
        let (there, check, mut wanted) = (self.target.disk.look(), self.check, named.to_vec());
        let wanted = blocking(move || {
            let on = |_: &[u8], _| ControlFlow::Continue(());
            wanted.retain(|file| match check {
                true => read_file(&there, shelf, (&file.0, file.1), on) != Carried::Whole,
                false => !has(&there, shelf, file),
            });
            Ok(wanted)
        })
        .await?;
        (self.told)(Step::Ahead(totals(&wanted).bytes));
        Ok(wanted)
    }

    fn carry(&self, on: Shelf, digest: &Sha256, size: u64, to: Shelf) -> Result<Carried, BackupError> {
        carry(&self.look, on, (digest, size), &self.target.disk, to)
    }
}

/// Says of lacking bytes whose they are.
async fn named_findings(rows: &Private, lacking: Lacking) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (digest, fault, why) in lacking {
        let files = rows.names_of(&digest).await.unwrap_or_default();
        findings.push(Finding { fault, path: path_on(Shelf::Private, &digest), why, files });
    }
    findings
}

/// A file that may not be there.
fn copy_document(from: &Path, to: &Path) -> Result<(), BackupError> {
    match fs::read(from) {
        Ok(bytes) => write(to, &bytes).map_err(BackupError::io(to)),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(why) => Err(BackupError::io(from)(why)),
    }
}

/// Refuses a backup inside of what it keeps, and the other way about.
pub(super) fn apart(data: &Path, target: &Path) -> Result<(), BackupError> {
    let (one, other) = (resolved(data), resolved(target));
    match one.starts_with(&other) || other.starts_with(&one) {
        true => Err(BackupError::Inside(data.to_owned(), target.to_owned())),
        false => Ok(()),
    }
}

/// A path without links, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = whole.ancestors().find_map(|part| Some((part, fs::canonicalize(part).ok()?)));
    match found {
        Some((part, real)) => real.join(whole.strip_prefix(part).unwrap_or(Path::new(""))),
        None => whole,
    }
}

pub(super) fn totals(files: &[(Sha256, u64)]) -> Totals {
    Totals { files: files.len() as u64, bytes: files.iter().map(|(_, size)| size).sum() }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| BackupError::Lost)?
}
