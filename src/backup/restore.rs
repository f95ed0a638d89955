use super::carry::{Carried, Fault, Finding, Step, Told, carry, each, path_on};
use super::errors::BackupError;
use super::manifest::{Document, Manifest, SnapshotId};
use super::take::{CONFIG, apart, blocking};
use super::target::{choose, sync_directory};
use crate::cache::{Disk, LockError, Look, ReadThrough, Shelf, read_through};
use crate::clock::Clock;
use crate::index::stamps;
use crate::names::Sha256;
use crate::store::{FORMAT, FORMAT_FILE, FORMAT_OF_RESTORES, FormatError, Private, write_format};
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What is to be put back, and where to.
#[derive(Debug, Clone)]
pub struct RestoreWish {
    pub target: PathBuf,
    /// The newest, unless it is named.
    pub snapshot: Option<String>,
    pub data: PathBuf,
    /// Move a directory that is there aside.
    pub force: bool,
    /// Restore what is whole of a damaged snapshot.
    pub partial: bool,
}

/// A data directory that can be served.
#[derive(Debug)]
pub struct Restored {
    pub id: SnapshotId,
    pub files: u64,
    pub bytes: u64,
    /// What rows refer to and is not there: it was lacking already when the snapshot was taken, or a partial restore
    /// passed it over.
    pub lacking: Vec<Finding>,
    /// Where the directory is that was there before.
    pub aside: Option<PathBuf>,
    /// Where the configuration is that came along.
    pub config: Option<PathBuf>,
}

/// The name of the configuration in a restored directory: it is for its owner to put where it belongs.
const RESTORED_CONFIG: &str = "restored-config.toml";

/// Puts a snapshot back, checking every byte on the way. Until all are there and good, the directory says that it is none
/// to serve, and a run that was killed is made good by the next.
pub async fn restore(wish: RestoreWish, clock: &Clock, told: Told) -> Result<Restored, BackupError> {
    apart(&wish.data, &wish.target)?;
    let (from, id, manifest) = choose(&wish.target, wish.snapshot.as_deref())?;
    if manifest.format > FORMAT {
        let by = format!(" (sidewheel {})", manifest.program);
        return Err(FormatError::Newer { path: from, found: manifest.format, by }.into());
    }
    let place = Place::find(&wish, clock)?;
    let work = Work { from, id, manifest, wish, told };
    blocking(move || work.fill(place)).await?.finish().await
}

/// Where the directory comes to be, and what is there now.
struct Place {
    build: PathBuf,
    disk: Disk,
    /// The directory that is to be moved aside, held so that nobody serves it, and its new name.
    aside: Option<(Disk, PathBuf)>,
}

impl Place {
    fn find(wish: &RestoreWish, clock: &Clock) -> Result<Self, BackupError> {
        let data = &wish.data;
        let occupied = fs::read_dir(data).map(|mut entries| entries.next().is_some()).unwrap_or(false);
        let (build, aside) = match occupied && !is_unfinished(data) {
            false => (data.clone(), None),
            true if !wish.force => return Err(BackupError::Occupied(data.clone())),
            true => {
                let (build, aside) = (beside(data, "restoring"), beside(data, &format!("before-{}", now(clock))));
                let parent = build.parent().unwrap_or(Path::new("."));
                let device = |path: &Path| fs::metadata(path).map(|facts| facts.dev()).ok();
                let held = Disk::open(data).map_err(serving)?;
                if device(data) != device(parent) {
                    return Err(BackupError::Mounted(data.clone()));
                }
                (build, Some((held, aside)))
            }
        };
        let disk = Disk::open(&build).map_err(BackupError::locked)?;
        // Before the first byte: what is half there is not to be served.
        write_format(&build, FORMAT_OF_RESTORES).map_err(BackupError::io(&build))?;
        Ok(Self { build, disk, aside })
    }
}

struct Work {
    from: PathBuf,
    id: SnapshotId,
    manifest: Manifest,
    wish: RestoreWish,
    told: Told,
}

/// A directory that is full, and not yet named as one to serve.
struct Filled {
    work: Work,
    place: Place,
    findings: Vec<(Option<Sha256>, Finding)>,
}

impl Work {
    fn fill(self, place: Place) -> Result<Filled, BackupError> {
        let files = self.manifest.private.iter().map(|file| (Shelf::Private, file));
        let files = files.chain(self.manifest.cache.iter().map(|file| (Shelf::Cache, file)));
        (self.told)(Step::Ahead(self.manifest.bytes()));
        let mut findings = Vec::new();
        for document in &self.manifest.documents {
            if let Err((fault, why)) = self.put(document, &place.build)? {
                let path = format!("snapshots/{}/{}", self.id, document.name);
                findings.push((None, Finding { fault, path, why, files: Vec::new() }));
            }
            (self.told)(Step::Done(document.size));
        }
        let look = Look::at(&self.wish.target);
        let carried = each(&files.collect::<Vec<_>>(), |(shelf, (digest, size))| {
            // A run before this one may have brought it.
            let there = place.disk.get_on(*shelf, digest).map_err(BackupError::disk(&place.build))?;
            let there = there.filter(|file| file.len == *size);
            let carried = match there.is_some_and(|file| place.disk.verify(digest, &file, |_| {}).unwrap_or(false)) {
                true => Carried::Whole,
                false => carry(&look, *shelf, (digest, *size), &place.disk, *shelf)?,
            };
            (self.told)(Step::Done(*size));
            Ok((path_on(*shelf, digest), *digest, carried))
        });
        for (path, digest, carried) in carried? {
            if let Carried::Not(fault, why) = carried {
                findings.push((Some(digest), Finding { fault, path, why, files: Vec::new() }));
            }
        }
        for shelf in [Shelf::Private, Shelf::Cache] {
            place.disk.settle_all(shelf).map_err(BackupError::disk(&place.build))?;
        }
        Ok(Filled { work: self, place, findings })
    }

    /// Copies a document; what is wrong with it, if anything is.
    fn put(&self, document: &Document, build: &Path) -> Result<Result<(), (Fault, String)>, BackupError> {
        let file = match File::open(self.from.join(&document.name)) {
            Ok(file) => file,
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                return Ok(Err((Fault::Missing, "it is not there".to_owned())));
            }
            Err(why) => return Ok(Err((Fault::Unreadable, why.to_string()))),
        };
        let name = if document.name == CONFIG { RESTORED_CONFIG } else { &document.name };
        let path = build.join(name);
        let failed = BackupError::io(&path);
        let _ = fs::remove_file(&path);
        let mut copy = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(&failed)?;
        let mut full = None;
        let read = read_through(&file, document.size, |piece, _| match copy.write_all(piece) {
            Ok(()) => ControlFlow::Continue(()),
            Err(why) => {
                full = Some(why);
                ControlFlow::Break(())
            }
        });
        match (full, read) {
            (Some(why), _) => return Err(failed(why)),
            (None, Ok(ReadThrough::Whole(found))) if found == document.sha256 => copy.sync_all().map_err(&failed)?,
            (None, Ok(_)) => return Ok(Err((Fault::Damaged, "its bytes are not those of its digest".to_owned()))),
            (None, Err(why)) => return Ok(Err((Fault::Unreadable, why.to_string()))),
        }
        Ok(Ok(()))
    }
}

impl Filled {
    async fn finish(self) -> Result<Restored, BackupError> {
        let Self { work, place, findings } = self;
        let whole_rows = !findings.iter().any(|(digest, _)| digest.is_none());
        let mut named = Vec::new();
        let rows = match whole_rows {
            true => Some(Private::still(&place.build).await?),
            false => None,
        };
        for (digest, mut finding) in findings {
            if let (Some(digest), Some(rows)) = (digest, &rows) {
                finding.files = rows.names_of(&digest).await.unwrap_or_default();
            }
            named.push(finding);
        }
        // Without the rows there is nothing to be partial about.
        let goes_on = named.is_empty() || work.wish.partial && whole_rows;
        if !goes_on {
            if let Some(rows) = rows {
                rows.close().await;
            }
            clear(&place)?;
            return Err(BackupError::Damaged { id: work.id, findings: named });
        }
        if let Some(rows) = rows {
            for (digest, fault) in &work.manifest.lacking {
                let files = rows.names_of(digest).await.unwrap_or_default();
                let (path, why) = (path_on(Shelf::Private, digest), "it was when the snapshot was taken".to_owned());
                named.push(Finding { fault: *fault, path, why, files });
            }
            rows.close().await;
        }
        let failed = BackupError::io(&place.build);
        write_format(&place.build, &work.manifest.format.to_string()).map_err(&failed)?;
        sync_directory(&place.build).map_err(&failed)?;
        let data = &work.wish.data;
        let aside = match &place.aside {
            None => None,
            Some((_held, aside)) => {
                fs::rename(data, aside).map_err(BackupError::io(data))?;
                fs::rename(&place.build, data).map_err(BackupError::io(data))?;
                Some(aside.clone())
            }
        };
        if let Some(parent) = std::path::absolute(data).ok().as_deref().and_then(Path::parent) {
            sync_directory(parent).map_err(BackupError::io(parent))?;
        }
        let config = data.join(RESTORED_CONFIG);
        Ok(Restored {
            id: work.id,
            files: (work.manifest.private.len() + work.manifest.cache.len()) as u64,
            bytes: work.manifest.bytes(),
            lacking: named,
            aside,
            config: config.is_file().then_some(config),
        })
    }
}

/// Whether a restore began here and did not end: what is there may go.
fn is_unfinished(data: &Path) -> bool {
    fs::read_to_string(data.join(FORMAT_FILE)).is_ok_and(|text| text.lines().next() == Some(FORMAT_OF_RESTORES))
}

/// A name beside a directory.
fn beside(data: &Path, what: &str) -> PathBuf {
    let mut name = data.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{what}"));
    data.with_file_name(name)
}

fn now(clock: &Clock) -> String {
    stamps::iso(clock.unix()).replace(':', "-")
}

/// Removes what a restore has made. The mark that it is not to be served goes last, with the lock.
fn clear(place: &Place) -> Result<(), BackupError> {
    let build = &place.build;
    let failed = BackupError::io(build);
    for part in ["private", "files", "tmp", "quarantine"] {
        match fs::remove_dir_all(build.join(part)) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(failed(why)),
            _ => {}
        }
    }
    let mut files: Vec<_> = fs::read_dir(build).map_err(&failed)?.flatten().map(|entry| entry.path()).collect();
    files.sort_by_key(|path| path.ends_with(FORMAT_FILE));
    for path in files {
        fs::remove_file(&path).map_err(BackupError::io(&path))?;
    }
    match place.aside.is_some() {
        true => fs::remove_dir(build).map_err(failed),
        false => Ok(()),
    }
}

fn serving(why: LockError) -> BackupError {
    match why {
        LockError::Held { path, holder } => BackupError::Serving { path, holder },
        LockError::Directory { path, why } => BackupError::Closed { path, why },
    }
}
