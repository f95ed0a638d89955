use super::carry::Totals;
use super::errors::BackupError;
use super::manifest::{Document, Manifest, SnapshotId};
use crate::cache::{Disk, Look, Shelf};
use crate::names::Sha256;
use crate::store::{FORMAT_FILE, FORMAT_OF_BACKUPS, write_format};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const SNAPSHOTS: &str = "snapshots";
const MANIFEST: &str = "manifest.json";
const MANIFEST_DIGEST: &str = "manifest.sha256";

/// Where a snapshot is put together, and where one is taken apart: no names of snapshots.
const NEW: &str = "new";
const OLD: &str = "old";

/// A backup's directory, held by the one process that changes it.
pub(super) struct Target {
    root: PathBuf,
    pub(super) disk: Disk,
}

/// A snapshot as a list shows it.
#[derive(Debug)]
pub struct Snapshot {
    pub id: SnapshotId,
    /// None: its manifest is damaged, as the sentence says.
    pub manifest: Result<Manifest, String>,
}

impl Target {
    /// Opens a backup, or makes one in a new or an empty directory; sweeps what an earlier run left half done.
    pub fn open(root: &Path) -> Result<Self, BackupError> {
        let failed = BackupError::io(root);
        if !is_backup(root) {
            // Or what a run left that was killed before it could say what this is.
            let begun = |name: &OsStr| name == SNAPSHOTS || name == "format.new";
            let mut entries = fs::read_dir(root).into_iter().flatten().flatten();
            if entries.any(|entry| !begun(&entry.file_name())) {
                return Err(BackupError::Foreign(root.to_owned()));
            }
            DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(&failed)?;
            // Inside are the hashes of passwords.
            fs::set_permissions(root, fs::Permissions::from_mode(0o700)).map_err(&failed)?;
            make(&root.join(SNAPSHOTS)).map_err(&failed)?;
            write_format(root, FORMAT_OF_BACKUPS).map_err(&failed)?;
        }
        let disk = Disk::open(root).map_err(BackupError::locked)?;
        make(&root.join(SNAPSHOTS)).map_err(&failed)?;
        let target = Self { root: root.to_owned(), disk };
        for half in [NEW, OLD] {
            remove_all(&target.place(half)).map_err(&failed)?;
        }
        Ok(target)
    }

    /// An empty directory for a new snapshot.
    pub fn begin(&self) -> Result<PathBuf, BackupError> {
        let new = self.place(NEW);
        remove_all(&new).and_then(|()| make(&new)).map_err(BackupError::io(&new))?;
        Ok(new)
    }

    /// Gives the new snapshot its name: from then on it is one.
    pub fn finish(&self, manifest: &Manifest) -> Result<SnapshotId, BackupError> {
        let new = self.place(NEW);
        let failed = BackupError::io(&new);
        // Also of what an earlier run has left that was killed before it came to this.
        for shelf in [Shelf::Private, Shelf::Cache] {
            self.disk.settle_all(shelf).map_err(BackupError::disk(&self.root))?;
        }
        let text = manifest.to_text();
        let digest = format!("{}  {MANIFEST}\n", Sha256::of(text.as_bytes()));
        write(&new.join(MANIFEST), text.as_bytes()).map_err(&failed)?;
        write(&new.join(MANIFEST_DIGEST), digest.as_bytes()).map_err(&failed)?;
        sync_directory(&new).map_err(&failed)?;
        let newest = snapshots(&self.root)?.pop().map(|snapshot| snapshot.id);
        let id = SnapshotId::after(newest.as_ref(), manifest.created);
        fs::rename(&new, self.place(id.as_str())).map_err(&failed)?;
        sync_directory(&self.root.join(SNAPSHOTS)).map_err(&failed)?;
        sync_directory(&self.root).map_err(&failed)?;
        Ok(id)
    }

    /// Removes the oldest snapshots but `keep`, and files that no snapshot names any more.
    pub fn prune(&self, keep: usize) -> Result<(Vec<SnapshotId>, Totals), BackupError> {
        let snapshots = snapshots(&self.root)?;
        let surplus = snapshots.len().saturating_sub(keep.max(1));
        let mut gone = Vec::new();
        for snapshot in snapshots.iter().take(surplus) {
            let (place, old) = (self.place(snapshot.id.as_str()), self.place(OLD));
            // Out of sight first: a kill leaves no half of a snapshot.
            fs::rename(&place, &old).and_then(|()| remove_all(&old)).map_err(BackupError::io(&place))?;
            gone.push(snapshot.id.clone());
        }
        sync_directory(&self.root.join(SNAPSHOTS)).map_err(BackupError::io(&self.root))?;
        let mut named = HashSet::new();
        for snapshot in snapshots.iter().skip(surplus) {
            let Ok(manifest) = &snapshot.manifest else {
                // Nobody knows what it names: everything stays.
                return Ok((gone, Totals::default()));
            };
            named.extend(manifest.private.iter().map(|(digest, _)| (Shelf::Private, *digest)));
            named.extend(manifest.cache.iter().map(|(digest, _)| (Shelf::Cache, *digest)));
        }
        let mut removed = Totals::default();
        for shelf in [Shelf::Private, Shelf::Cache] {
            let mut unnamed = Vec::new();
            self.disk.look().scan(shelf, |digest, size| {
                if !named.contains(&(shelf, digest)) {
                    unnamed.push((digest, size));
                }
                true
            });
            for (digest, size) in unnamed {
                let gone = match shelf {
                    Shelf::Private => self.disk.remove_private(&digest),
                    Shelf::Cache => self.disk.remove(&digest),
                };
                gone.map_err(BackupError::disk(&self.root))?;
                removed.add(size);
            }
        }
        Ok((gone, removed))
    }

    fn place(&self, name: &str) -> PathBuf {
        self.root.join(SNAPSHOTS).join(name)
    }
}

/// Whether a directory says that it is a backup.
pub fn is_backup(root: &Path) -> bool {
    fs::read_to_string(root.join(FORMAT_FILE)).is_ok_and(|text| text.lines().next() == Some(FORMAT_OF_BACKUPS))
}

/// The snapshots of a backup, oldest first.
pub fn snapshots(root: &Path) -> Result<Vec<Snapshot>, BackupError> {
    if !is_backup(root) {
        return Err(BackupError::NoBackup(root.to_owned()));
    }
    let directory = root.join(SNAPSHOTS);
    let entries = fs::read_dir(&directory).map_err(BackupError::io(&directory))?;
    let names = entries.flatten().filter_map(|entry| SnapshotId::parse(entry.file_name().to_str()?));
    let mut ids: Vec<_> = names.collect();
    ids.sort();
    Ok(ids.into_iter().map(|id| Snapshot { manifest: read_manifest(&directory.join(id.as_str())), id }).collect())
}

/// The directory of one snapshot, the newest without a wish, and its manifest.
pub(super) fn choose(root: &Path, wanted: Option<&str>) -> Result<(PathBuf, SnapshotId, Manifest), BackupError> {
    let mut all = snapshots(root)?;
    let found = match wanted {
        None => all.pop().ok_or_else(|| BackupError::Empty(root.to_owned()))?,
        Some(wanted) => all
            .into_iter()
            .find(|snapshot| snapshot.id.as_str() == wanted)
            .ok_or_else(|| BackupError::NoSnapshot { path: root.to_owned(), id: wanted.to_owned() })?,
    };
    let directory = directory_of(root, &found.id);
    let manifest = found.manifest.map_err(|why| BackupError::Manifest { id: found.id.clone(), why })?;
    Ok((directory, found.id, manifest))
}

pub(super) fn directory_of(root: &Path, id: &SnapshotId) -> PathBuf {
    root.join(SNAPSHOTS).join(id.as_str())
}

fn read_manifest(directory: &Path) -> Result<Manifest, String> {
    let read = |name: &str| fs::read_to_string(directory.join(name)).map_err(|why| format!("{name}: {why}"));
    let (text, digest) = (read(MANIFEST)?, read(MANIFEST_DIGEST)?);
    if digest.split_whitespace().next() != Some(Sha256::of(text.as_bytes()).to_hex().as_str()) {
        return Err(format!("{MANIFEST} has another digest than {MANIFEST_DIGEST} says"));
    }
    Manifest::parse(&text)
}

/// A document that lies in a directory, as its manifest will name it; when this returns it is on the disk.
pub(super) fn document(directory: &Path, name: &str) -> Result<Document, BackupError> {
    let path = directory.join(name);
    let failed = BackupError::io(&path);
    let file = File::open(&path).map_err(&failed)?;
    let size = file.metadata().map_err(&failed)?.len();
    let read = crate::cache::read_through(&file, size, |_, _| std::ops::ControlFlow::Continue(()));
    file.sync_all().map_err(&failed)?;
    match read.map_err(&failed)? {
        crate::cache::ReadThrough::Whole(sha256) => Ok(Document { name: name.to_owned(), sha256, size }),
        _ => Err(failed(io::Error::other("it changes while it is read"))),
    }
}

/// Writes a new file that only its owner reads, down to the disk.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Whether a file is in a backup's directory as it should be, as far as its length tells.
pub(super) fn has(look: &Look, shelf: Shelf, (digest, size): &(Sha256, u64)) -> bool {
    look.len(shelf, digest) == Some(*size)
}

fn make(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

fn remove_all(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
