//! The way back to devpi: what users own, as a directory that devpi-import reads.
//!
//! Enters: a data directory, which a server may be working on, and an empty directory. Leaves: users with their
//! passwords, indexes, releases, files and histories in devpi's format, and what could not be told in it.
//! Must not know: HTTP, how the server is reached, devpi's own storage.
//!
//! ```text
//! DIR/dataindex.json                               everything but bytes; written last, so that what has it is whole
//! DIR/user/index/project/1.0/project-1.0.tar.gz    release files
//! DIR/user/index/project/sha256=…/NAME             test results, beside the digest of what was tested
//! DIR/user/index/project-1.0.doc.zip               documentation
//! ```

mod dump;
mod error;
mod left_out;
mod mirrored;
mod target;

pub use error::ExportError;
pub use left_out::{Kind, LeftOut};

use crate::cache::Look;
use crate::config::DEFAULT_INDEX;
use crate::names::{IndexName, Sha256, UserName};
use crate::rules::{IndexSettings, MirrorSettings, MirrorUrl};
use crate::store::{Private, Store, UserRow};
use dump::{Dump, DumpFile};
use std::collections::BTreeMap;
use std::path::PathBuf;
use target::{Placed, Target};

/// What is to be exported, and where to.
#[derive(Debug, Clone)]
pub struct ExportWish {
    pub data: PathBuf,
    /// It must not exist, or be empty.
    pub target: PathBuf,
    /// Files of mirrors that are in the cache too.
    pub mirrored_files: bool,
    pub mirrors: Vec<FixedMirror>,
}

/// A mirror that stands in the server's own settings.
#[derive(Debug, Clone)]
pub struct FixedMirror {
    pub name: IndexName,
    pub url: String,
    /// It has a user name and a password there.
    pub credentials: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    pub users: usize,
    pub indexes: usize,
    pub releases: usize,
    pub files: usize,
    pub bytes: u64,
    /// Files that share their bytes with the data directory.
    pub linked: usize,
    pub left_out: Vec<LeftOut>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// So many bytes are to be carried over.
    Found(u64),
    /// So many more are.
    Carried(u64),
}

/// Exports. What others change meanwhile is not in it: it shows the database of one moment.
pub async fn export(wish: &ExportWish, mut told: impl FnMut(Step)) -> Result<Exported, ExportError> {
    let mut target = Target::claim(&wish.target)?;
    let private = Private::beside(&wish.data).await?;
    let copied = private.copy_to(&target.snapshot()?).await;
    private.close().await;
    copied?;
    let snapshot = Private::still(&target.snapshot_directory()).await?;
    let look = Look::at(&wish.data);
    let dumped = dump(wish, &snapshot, &look).await;
    snapshot.close().await;
    let mut dump = dumped?;
    told(Step::Found(dump.files().map(|file| file.size).sum()));
    let (mut linked, mut bytes, mut lost) = (0, 0, BTreeMap::new());
    for DumpFile { path, digest, size, tested, .. } in dump.files() {
        if tested.as_ref().is_some_and(|tested| lost.contains_key(tested)) {
            continue;
        }
        match target.place(&look, digest, path, |read| told(Step::Carried(read)))? {
            Placed::Linked => linked += 1,
            Placed::Copied => {}
            Placed::Missing => {
                let (kind, why) = match is_owned(wish, digest).await? {
                    true => (Kind::File, "its bytes are missing"),
                    false => (Kind::Removed, "it was removed while the export ran"),
                };
                lost.insert(path.clone(), (kind, why.to_owned()));
                continue;
            }
            Placed::Damaged(why) => {
                lost.insert(path.clone(), (Kind::File, why));
                continue;
            }
        }
        bytes += size;
    }
    dump.lose(&lost);
    let (users, indexes, releases) = dump.counts();
    let files = dump.files().count();
    let left_out = dump.take_left_out();
    target.finish(&dump.render())?;
    Ok(Exported { users, indexes, releases, files, bytes, linked, left_out })
}

/// Whether somebody owns these bytes now: the database may have gone on since, and caches forget.
async fn is_owned(wish: &ExportWish, digest: &Sha256) -> Result<bool, ExportError> {
    let private = Private::beside(&wish.data).await?;
    let unreferenced = private.unreferenced(std::slice::from_ref(digest)).await;
    private.close().await;
    Ok(unreferenced?.is_empty())
}

/// Everything that rows say, in devpi's words.
async fn dump(wish: &ExportWish, private: &Private, look: &Look) -> Result<Dump, ExportError> {
    let mut dump = Dump::default();
    let indexes = indexes(wish, private).await?;
    let mut users: BTreeMap<UserName, UserRow> =
        private.users().await?.into_iter().map(|row| (row.name.clone(), row)).collect();
    // A mirror of the settings belongs to somebody, who may never have been written down.
    for owner in indexes.keys().map(IndexName::owner) {
        users.entry(owner.clone()).or_insert_with(|| nobody(owner));
    }
    for row in users.values() {
        let tokens = private.tokens(Some(&row.name)).await?;
        dump.user(row, tokens.iter().filter(|token| !token.login).count());
    }
    let bases = dump::without_rings(indexes.iter().map(|(name, settings)| (name, settings.bases())));
    for (name, settings) in &indexes {
        let fixed = wish.mirrors.iter().find(|mirror| mirror.name == *name);
        dump.index(name, settings, &bases, fixed.is_some_and(|mirror| mirror.credentials));
        if settings.is_mirror() {
            continue;
        }
        for project in private.projects(name).await? {
            let releases = private.releases(name, &project.name).await?;
            let files = private.files(name, &project.name).await?;
            dump.project(name, &project.name, &releases, &files);
        }
    }
    if wish.mirrored_files {
        let store = Store::beside(&wish.data).await?;
        for (name, _) in indexes.iter().filter(|(_, settings)| settings.is_mirror()) {
            mirrored::dump_mirror(&mut dump, &store, look, name).await?;
        }
        store.close().await;
    }
    Ok(dump)
}

/// All indexes and what they are set to; where the server's settings say what a mirror fetches from, that counts.
async fn indexes(wish: &ExportWish, private: &Private) -> Result<BTreeMap<IndexName, IndexSettings>, ExportError> {
    let mut indexes = BTreeMap::new();
    for row in private.indexes().await? {
        let settings = IndexSettings::from_stored(&row.settings)
            .map_err(|why| ExportError::Settings { index: row.name.clone(), why })?;
        indexes.insert(row.name, settings);
    }
    for fixed in &wish.mirrors {
        let mut settings = match indexes.remove(&fixed.name) {
            Some(IndexSettings::Mirror(stored)) => stored,
            // As the server has it, and devpi.
            _ => MirrorSettings {
                volatile: false,
                title: (fixed.name.as_str() == DEFAULT_INDEX).then(|| "PyPI".to_owned()),
                ..MirrorSettings::new()
            },
        };
        settings.mirror_url = MirrorUrl::parse(&fixed.url).ok();
        indexes.insert(fixed.name.clone(), IndexSettings::Mirror(settings));
    }
    Ok(indexes)
}

/// A user whom only the settings know.
fn nobody(name: UserName) -> UserRow {
    UserRow { name, password: None, created: 0, modified: None, facts: serde_json::Map::new() }
}

#[cfg(test)]
mod tests;
