//! Uploaded documentation: members are read out of their archive when somebody asks; nothing is unpacked to the disk.

use super::catalog::IndexEntry;
use super::errors::IndexError;
use super::wheel::Frugal;
use super::{House, Index};
use crate::cache::DiskFile;
use crate::names::{IndexName, ProjectName, Sha256, Version};
use crate::store::{FileRow, Rel};
use bytes::Bytes;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Largest member that is served, in bytes: a book as one page, a video of a minute. It is unpacked into memory.
pub const MEMBER_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Most members of an archive of documents.
const MEMBERS_MAX: usize = 100_000;

/// Most bytes that are read for an archive's directory and one member.
const READ_BYTES_MAX: u64 = 16 * 1024 * 1024 + MEMBER_BYTES_MAX;

/// Memory for members on their way to clients, in units; a member holds its part until its last byte is sent.
const ROOM_UNITS: u32 = 1024;
const UNIT_BYTES: u64 = 64 * 1024;

/// Archives that are read at once: of each the directory is in memory.
const TURNS: usize = 4;

/// How long a member waits for memory before its client is told to come again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Room for members that are read.
pub(super) struct DocsRoom {
    memory: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

impl Default for DocsRoom {
    fn default() -> Self {
        Self { memory: Arc::new(Semaphore::new(ROOM_UNITS as usize)), turns: Arc::new(Semaphore::new(TURNS)) }
    }
}

/// What lies at a path of the documents.
pub enum Docs {
    Member(DocsMember),
    /// A directory, whose path ends in a slash.
    Directory,
}

pub struct DocsMember {
    /// Its path within the documents.
    pub name: String,
    /// Of the archive and the member's path.
    pub tag: Sha256,
    pub size: u64,
    /// Where only the facts were asked for there are none.
    pub bytes: Bytes,
}

impl Index {
    /// A member of a version's documents; `version` may be `latest` or `stable`: of those that have documents. The
    /// first index of the order that has them counts, among those that the project may come from.
    pub async fn docs(
        &self,
        entry: &Arc<IndexEntry>,
        project: &ProjectName,
        version: &str,
        path: &str,
        head_only: bool,
    ) -> Result<Docs, IndexError> {
        let row = self.0.docs_row(entry, project, version).await?;
        let row = row.ok_or_else(|| no_docs(&entry.name, project, version))?;
        let found = self.0.docs_member(&row, path, head_only).await?;
        found.ok_or_else(|| IndexError::NotThere(format!("the documents of {project} {} have no {path}", row.version)))
    }
}

fn no_docs(index: &IndexName, project: &ProjectName, version: &str) -> IndexError {
    IndexError::NotThere(format!("there is no documentation of {project} {version} in {index}"))
}

impl House {
    async fn docs_row(
        &self,
        entry: &IndexEntry,
        project: &ProjectName,
        version: &str,
    ) -> Result<Option<FileRow>, IndexError> {
        let mut rows = Vec::new();
        for stage in self.sources(entry, project).await?.stages {
            let files = self.private.files(&stage, project).await?;
            rows.extend(files.into_iter().filter(|row| row.rel == Rel::Doczip));
        }
        let parsed = |row: &FileRow| row.version.parse::<Version>().ok();
        if version == "latest" || version == "stable" {
            let fits = |row: &FileRow| version == "latest" || parsed(row).is_some_and(|it| !it.any_prerelease());
            // Of equals the last counts: the first index is to.
            return Ok(rows.into_iter().rev().filter(fits).max_by_key(parsed));
        }
        let wanted = version.parse::<Version>().ok();
        let is_it = |row: &FileRow| row.version == version || (wanted.is_some() && parsed(row) == wanted);
        Ok(rows.into_iter().find(is_it))
    }

    async fn docs_member(&self, row: &FileRow, path: &str, head_only: bool) -> Result<Option<Docs>, IndexError> {
        let disk = self.whole_private(&row.sha256, row.size, &row.filename).await?;
        let lost = |_| IndexError::Lost;
        let turn = Arc::clone(&self.docs.turns).acquire_owned().await.map_err(lost)?;
        let (archive, wanted) = (Archive { disk, at: 0 }, path.to_owned());
        let opened = tokio::task::spawn_blocking(move || (find(archive, &wanted), turn));
        let (found, turn) = opened.await.map_err(|_| IndexError::Lost)?;
        let broken = |why: &'static str| IndexError::NotThere(format!("the archive {} {why}", row.filename));
        let (mut archive, index, name, size) = match found.map_err(broken)? {
            Found::Nothing => return Ok(None),
            Found::Directory => return Ok(Some(Docs::Directory)),
            Found::Member { archive, index, name, size } => (archive, index, name, size),
        };
        if size > MEMBER_BYTES_MAX {
            return Err(broken("has a file there that is too large to be shown; download the archive"));
        }
        let tag = Sha256::of(format!("{}/{name}", row.sha256).as_bytes());
        if head_only {
            return Ok(Some(Docs::Member(DocsMember { name, tag, size, bytes: Bytes::new() })));
        }
        let units = u32::try_from(size.div_ceil(UNIT_BYTES)).unwrap_or(ROOM_UNITS).max(1);
        let room = Arc::clone(&self.docs.memory).acquire_many_owned(units);
        let room = tokio::time::timeout(PATIENCE, room).await.map_err(|_| IndexError::Crowded)?.map_err(lost)?;
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            read(&mut archive, index, size)
        });
        let bytes = read.await.map_err(|_| IndexError::Lost)?;
        let bytes = bytes.ok_or_else(|| broken("has a file there that cannot be unpacked"))?;
        let bytes = Bytes::from_owner(Held { bytes, _room: room });
        Ok(Some(Docs::Member(DocsMember { name, tag, size, bytes })))
    }
}

type Opened<R> = zip::ZipArchive<Frugal<R>>;

enum Found<R> {
    Nothing,
    Directory,
    Member { archive: Box<Opened<R>>, index: usize, name: String, size: u64 },
}

/// The member at a path, as the archive's directory names it: no path of it is ever one of the disk.
fn find<R: Read + Seek>(archive: R, path: &str) -> Result<Found<R>, &'static str> {
    let opened = zip::ZipArchive::new(Frugal::new(archive, READ_BYTES_MAX));
    let mut archive = opened.map_err(|_| "cannot be read")?;
    if archive.len() > MEMBERS_MAX {
        return Err("has too many members");
    }
    let is_directory = path.is_empty() || path.ends_with('/');
    let name = if is_directory { format!("{path}index.html") } else { path.to_owned() };
    let Some(index) = archive.index_for_name(&name) else {
        let inside = [format!("{path}/index.html"), format!("{path}/")];
        let leads_in = !is_directory && inside.iter().any(|name| archive.index_for_name(name).is_some());
        return Ok(if leads_in { Found::Directory } else { Found::Nothing });
    };
    let size = archive.by_index(index).map_err(|_| "has a file there that cannot be read")?.size();
    Ok(Found::Member { archive: Box::new(archive), index, name, size })
}

/// All of a member, if it is as long as the directory says.
fn read<R: Read + Seek>(archive: &mut Opened<R>, index: usize, size: u64) -> Option<Vec<u8>> {
    let member = archive.by_index(index).ok()?;
    let mut bytes = Vec::with_capacity(usize::try_from(size).ok()?);
    member.take(size + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 == size).then_some(bytes)
}

/// Bytes and the room that they take.
struct Held {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A stored file, read from where it is wanted.
struct Archive {
    disk: DiskFile,
    at: u64,
}

impl Read for Archive {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.disk.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Archive {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.disk.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{Cursor, Write};

    fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in members {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    /// A member's name and its bytes, where they can be unpacked.
    type Led = (String, Option<Vec<u8>>);

    /// What a path leads to: a member, `/` for a directory, nothing.
    fn at(zip: &[u8], path: &str) -> Result<Option<Led>, &'static str> {
        Ok(match find(Cursor::new(zip), path)? {
            Found::Nothing => None,
            Found::Directory => Some(("/".to_owned(), None)),
            Found::Member { mut archive, index, name, size } => Some((name, read(&mut archive, index, size))),
        })
    }

    #[test]
    fn a_path_is_compared_with_names_and_never_followed() {
        let zip = zip_of(&[("index.html", b"top"), ("a/index.html", b"a"), ("../out", b"out"), ("b/c.css", b"c")]);
        let member = |name: &str, bytes: &[u8]| Ok(Some((name.to_owned(), Some(bytes.to_vec()))));
        assert_eq!(at(&zip, ""), member("index.html", b"top"));
        assert_eq!(at(&zip, "a/"), member("a/index.html", b"a"));
        assert_eq!(at(&zip, "a"), Ok(Some(("/".to_owned(), None))));
        assert_eq!(at(&zip, "b/c.css"), member("b/c.css", b"c"));
        for path in ["b/", "b", "out", "a/../index.html", "/index.html", "index.html/", "A/"] {
            assert_eq!(at(&zip, path), Ok(None), "{path}");
        }
    }

    #[test]
    fn a_member_that_is_longer_than_it_says_is_not_unpacked() {
        let bytes = vec![0; 1_000_000];
        let mut zip = zip_of(&[("index.html", &bytes)]);
        let directory = zip.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        zip[directory + 24..directory + 28].copy_from_slice(&100_u32.to_le_bytes());
        let found = at(&zip, "");
        assert!(matches!(found, Err(_) | Ok(Some((_, None)))), "{found:?}");
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), place in 0..400_usize, to: u8) {
            let mut damaged = zip_of(&[("index.html", b"x"), ("a/b.html", b"y")]);
            if let Some(byte) = damaged.get_mut(place) { *byte = to; }
            for zip in [bytes, damaged] {
                let _ = at(&zip, "");
                let _ = at(&zip, "a/b.html");
            }
        }
    }
}
