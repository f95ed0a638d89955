use super::ImportError;
use super::blob::{Change, changes};
use super::copy::Copy;
use super::files::{CachedFile, StageFile};
use super::links::KnownLink;
use super::read::{Address, Stated, history, last_modified, text};
use super::taker::Taker;
use crate::names::{IndexName, ProjectName};
use crate::store::{KeyRow, Keyfs, Rel, ReleaseRow};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Keys that are asked for at once: each is some hundred bytes.
const KEYS_AT_ONCE: u32 = 1_000;

/// Links whose origins are looked up at once.
const LINKS_AT_ONCE: usize = 2_000;

/// Most links of one page: beyond what our own pages may list there is nothing to gain.
const LINKS_MAX: usize = crate::simple::FILES_MAX;

/// Kinds of keys, as devpi names them.
const USER: &str = "USER";
const NAMES: &str = "PROJNAMES";
const VERSION: &str = "PROJVERSION";
const LINKS: &str = "PROJSIMPLELINKS";
const FILES: [&str; 2] = ["STAGEFILE", "PYPIFILE_NOMD5"];

/// Takes over a devpi-server's directory, of which nothing is changed: its database is copied first.
pub async fn take(taker: &mut Taker<'_>, serverdir: &Path, room: &Path) -> Result<(), ImportError> {
    let database = check(serverdir)?;
    let place = room.to_owned();
    let copy = tokio::task::spawn_blocking(move || Copy::make(&database, &place));
    let copy = match copy.await {
        Ok(copy) => copy?,
        Err(_) => return Err(ImportError::Changing(serverdir.to_owned())),
    };
    let keyfs = Keyfs::open(copy.path()).await?;
    let source = ServerDir { keyfs: &keyfs, files: serverdir.join("+files") };
    let done = source.take(taker).await;
    keyfs.close().await;
    done
}

/// The database of a directory that can be read here.
fn check(serverdir: &Path) -> Result<PathBuf, ImportError> {
    let version = match fs::read_to_string(serverdir.join(".serverversion")) {
        Ok(version) => version.trim().chars().take(40).collect::<String>(),
        Err(_) => return Err(ImportError::NotDevpi(serverdir.to_owned())),
    };
    if version != "4" && !version.starts_with("4.") {
        return Err(ImportError::Layout { path: serverdir.to_owned(), found: version });
    }
    let database = serverdir.join(".sqlite");
    if database.is_file() { Ok(database) } else { Err(ImportError::NoDatabase(serverdir.to_owned())) }
}

struct ServerDir<'a> {
    keyfs: &'a Keyfs,
    files: PathBuf,
}

impl ServerDir<'_> {
    /// One pass for each kind, in an order in which nothing comes before what it needs.
    async fn take(&self, taker: &mut Taker<'_>) -> Result<(), ImportError> {
        let counts = self.keyfs.counts().await?;
        let all = [USER, NAMES, VERSION, LINKS].iter().chain(&FILES).filter_map(|kind| counts.get(*kind));
        (taker.watch.more)(all.sum());
        self.people(taker).await?;
        let mut pass = Pass::of(VERSION);
        while let Some(found) = pass.next(self.keyfs, taker, |_| true).await? {
            for change in found {
                self.release(taker, change).await?;
            }
        }
        let mut pass = Pass::of(NAMES);
        while let Some(found) = pass.next(self.keyfs, taker, |_| true).await? {
            for change in found {
                names(taker, change).await?;
            }
        }
        for kind in FILES {
            let mut pass = Pass::of(kind);
            let mirrors: BTreeSet<IndexName> =
                taker.mirrors.iter().filter(|(_, mirror)| **mirror).map(|(name, _)| name.clone()).collect();
            let wanted = |key: &str| Address::parse(key).is_some_and(|address| mirrors.contains(&address.index));
            while let Some(found) = pass.next(self.keyfs, taker, wanted).await? {
                for change in found {
                    self.cached(taker, change).await?;
                }
            }
        }
        let mut pass = Pass::of(LINKS);
        while let Some(found) = pass.next(self.keyfs, taker, |_| true).await? {
            for change in found {
                self.page(taker, change).await?;
            }
        }
        Ok(())
    }

    async fn people(&self, taker: &mut Taker<'_>) -> Result<(), ImportError> {
        let mut indexes = Vec::new();
        let mut pass = Pass::of(USER);
        while let Some(found) = pass.next(self.keyfs, taker, |_| true).await? {
            for Change { key, value, .. } in found {
                let (Some(name), Value::Object(mut row)) = (key.strip_suffix("/.config"), value) else { continue };
                taker.user(name, &row).await?;
                if let Some(Value::Object(theirs)) = row.shift_remove("indexes") {
                    let theirs = theirs.into_iter().filter_map(|(index, config)| match config {
                        Value::Object(config) => Some((format!("{name}/{index}"), config)),
                        _ => None,
                    });
                    indexes.extend(theirs);
                }
            }
        }
        for (name, config) in &indexes {
            taker.index(name, config).await?;
        }
        taker.look_at_bases(&indexes);
        Ok(())
    }

    /// `{user}/{index}/{project}/{version}/.config`: metadata, and the files with their histories.
    async fn release(&self, taker: &mut Taker<'_>, change: Change) -> Result<(), ImportError> {
        let Value::Object(mut metadata) = change.value else { return Ok(()) };
        let parts: Vec<&str> = change.key.split('/').collect();
        let [user, index, project, version, ".config"] = parts.as_slice() else { return Ok(()) };
        let Ok(index) = IndexName::from_parts(user, index) else { return Ok(()) };
        if !taker.is_stage(&index) {
            return Ok(());
        }
        let Ok(project) = ProjectName::parse(project) else {
            taker.report.left_out("releases", change.key.clone(), "its project's name is none");
            return Ok(());
        };
        let links = match metadata.shift_remove("+elinks") {
            Some(Value::Array(links)) => links,
            _ => Vec::new(),
        };
        let paths: Vec<&str> = links.iter().filter_map(Value::as_object).map(path_of).collect();
        let entries = self.values(&paths).await?;
        let release = ReleaseRow { index, project, version: (*version).to_owned(), metadata, created: taker.now };
        let mut files = Vec::new();
        for link in links.iter().filter_map(Value::as_object) {
            files.extend(self.linked(taker, &release, link, entries.get(path_of(link))));
        }
        let what = format!("{}: {} {version}", release.index, release.project);
        let created = files.iter().filter_map(|file| file.uploaded).min().unwrap_or(taker.now);
        let release = ReleaseRow { created, ..release };
        let took = taker.release(&what, &release).await?;
        if took.is_some() {
            // What was tested comes before the result.
            files.sort_by_key(|file| file.rel == Rel::Toxresult);
            for file in files {
                taker.stage_file(file).await?;
            }
        }
        Ok(())
    }

    /// A file of a release, from the link that leads to it and the file's own entry.
    fn linked(
        &self,
        taker: &mut Taker<'_>,
        release: &ReleaseRow,
        link: &Map<String, Value>,
        entry: Option<&Value>,
    ) -> Option<StageFile> {
        let (index, path) = (&release.index, path_of(link));
        let mut left_out = |kind, why: &str| {
            taker.report.left_out(kind, format!("{index}: {path}"), why);
            None
        };
        let rel = match text(link, "rel") {
            Some("releasefile") => Rel::Releasefile,
            Some("doczip") => Rel::Doczip,
            Some("toxresult") => Rel::Toxresult,
            _ => return left_out("files", "it is not known what it is to its release"),
        };
        let Some(address) = Address::parse(path).filter(|address| address.index == *index) else {
            return left_out("files", "its address is none of this index");
        };
        let tested = text(link, "for_entrypath").and_then(Address::parse).map(|address| address.filename);
        if rel == Rel::Toxresult && tested.is_none() {
            return left_out("test_results", "it does not say what was tested");
        }
        let (log, uploaded) = history(link.get("_log"));
        let entry = entry.and_then(Value::as_object);
        // The link repeats what the file's own entry says, and older ones say it there only.
        let stated = match (Stated::of(link), entry) {
            (stated, Some(entry)) if stated == Stated::default() => Stated::of(entry),
            (stated, _) => stated,
        };
        Some(StageFile {
            index: index.clone(),
            project: release.project.clone(),
            version: release.version.clone(),
            release: release.metadata.clone(),
            rel,
            filename: address.filename,
            path: self.files.join(path),
            stated,
            log,
            uploaded: uploaded.or_else(|| entry.and_then(last_modified)),
            tested,
            place: Some(address.place),
        })
    }

    /// A mirror's file, where it was downloaded: its entry tells when.
    async fn cached(&self, taker: &mut Taker<'_>, change: Change) -> Result<(), ImportError> {
        let (Some(address), Value::Object(entry)) = (Address::parse(&change.key), change.value) else { return Ok(()) };
        if text(&entry, "last_modified").is_none() {
            return Ok(());
        }
        taker
            .cached_file(CachedFile {
                index: address.index,
                project: text(&entry, "project").map(str::to_owned),
                filename: address.filename,
                path: self.files.join(&change.key),
                stated: Stated::of(&entry),
                url: text(&entry, "url").unwrap_or_default().to_owned(),
                used: last_modified(&entry),
                place: Some(address.place),
            })
            .await
    }

    /// `{user}/{index}/{project}/.simple` of a mirror: its links, whose origins stand in the files' entries.
    async fn page(&self, taker: &mut Taker<'_>, change: Change) -> Result<(), ImportError> {
        let parts: Vec<&str> = change.key.split('/').collect();
        let [user, index, project, ".simple"] = parts.as_slice() else { return Ok(()) };
        let (Ok(index), Ok(project)) = (IndexName::from_parts(user, index), ProjectName::parse(project)) else {
            return Ok(());
        };
        let Value::Object(mut page) = change.value else { return Ok(()) };
        let mut list = |key: &str| match page.shift_remove(key) {
            Some(Value::Array(list)) => list,
            _ => Vec::new(),
        };
        let (links, requires, yanked) = (list("links"), list("requires_python"), list("yanked"));
        if !taker.is_mirror(&index) || links.is_empty() || links.len() > LINKS_MAX {
            return Ok(());
        }
        let mut known = Vec::with_capacity(links.len());
        for (chunk, from) in links.chunks(LINKS_AT_ONCE).zip((0..).step_by(LINKS_AT_ONCE)) {
            let hrefs: Vec<(&str, &str)> = chunk.iter().map(href).collect();
            let paths: Vec<&str> = hrefs.iter().map(|(path, _)| *path).collect();
            let entries = self.values(&paths).await?;
            for ((path, fragment), at) in hrefs.into_iter().zip(from..) {
                let entry = entries.get(path).and_then(Value::as_object);
                let (Some(address), Some(url)) = (Address::parse(path), entry.and_then(|entry| text(entry, "url")))
                else {
                    // A link less: the page counts as one that lacks some.
                    known.push(KnownLink {
                        filename: String::new(),
                        url: String::new(),
                        stated: Stated::default(),
                        requires_python: None,
                        yanked: Value::Null,
                    });
                    continue;
                };
                known.push(KnownLink {
                    filename: address.filename,
                    url: url.to_owned(),
                    stated: Stated::of_fragment(fragment),
                    requires_python: requires.get(at).and_then(Value::as_str).map(str::to_owned),
                    yanked: yanked.get(at).cloned().unwrap_or_default(),
                });
            }
        }
        taker.page(&index, project, known, true).await
    }

    /// The values of some keys; each blob is read once for all of them that it holds.
    async fn values(&self, keys: &[&str]) -> Result<BTreeMap<String, Value>, ImportError> {
        let rows = self.keyfs.find(keys).await?;
        let mut values = BTreeMap::new();
        for rows in rows.chunk_by(|one, other| one.serial == other.serial) {
            let (found, _) = read(self.keyfs, rows).await?;
            values.extend(found.into_iter().map(|change| (change.key, change.value)));
        }
        Ok(values)
    }
}

/// The path that a link of a release leads to.
fn path_of(link: &Map<String, Value>) -> &str {
    text(link, "entrypath").unwrap_or_default().split('#').next().unwrap_or_default()
}

/// `["name", "u/i/+f/…#sha256=…"]` as the path and what follows it.
fn href(link: &Value) -> (&str, &str) {
    let href = link.get(1).and_then(Value::as_str).unwrap_or_default();
    href.split_once('#').unwrap_or((href, ""))
}

/// `{user}/{index}/.projects`: the names that an index owns, also those of which it has no release.
async fn names(taker: &mut Taker<'_>, change: Change) -> Result<(), ImportError> {
    let parts: Vec<&str> = change.key.split('/').collect();
    let ([user, index, ".projects"], Value::Array(projects)) = (parts.as_slice(), change.value) else { return Ok(()) };
    let Ok(index) = IndexName::from_parts(user, index) else { return Ok(()) };
    if !taker.is_stage(&index) {
        return Ok(());
    }
    for project in projects.iter().filter_map(Value::as_str) {
        taker.name(&index, project).await?;
    }
    Ok(())
}

/// The changes of one serial that are those rows' newest; and how many rows have none.
async fn read(keyfs: &Keyfs, rows: &[KeyRow]) -> Result<(Vec<Change>, Option<String>), ImportError> {
    let Some(serial) = rows.first().map(|row| row.serial) else { return Ok((Vec::new(), None)) };
    let Some(blob) = keyfs.change(serial).await? else {
        return Ok((Vec::new(), Some("the database has nothing of it, or too much".to_owned())));
    };
    let wanted: BTreeSet<&str> = rows.iter().map(|row| row.key.as_str()).collect();
    match changes(&blob, |key| wanted.contains(key)) {
        Ok(found) => Ok((found, None)),
        Err(why) => Ok((Vec::new(), Some(why.to_string()))),
    }
}

/// All keys of a kind, as they were written last, a serial at a time.
struct Pass {
    kind: &'static str,
    rows: Vec<KeyRow>,
    last: Option<KeyRow>,
    ended: bool,
}

impl Pass {
    fn of(kind: &'static str) -> Self {
        Self { kind, rows: Vec::new(), last: None, ended: false }
    }

    /// What the next serial wrote of the keys that are wanted; what was deleted is not told.
    async fn next(
        &mut self,
        keyfs: &Keyfs,
        taker: &mut Taker<'_>,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Option<Vec<Change>>, ImportError> {
        if self.rows.is_empty() && !self.ended {
            // The rest of a serial may come with the next rows: then its blob is read twice, which is rare.
            self.rows = keyfs.keys(self.kind, self.last.as_ref(), KEYS_AT_ONCE).await?;
            self.last = self.rows.last().cloned();
            self.ended = self.rows.len() < KEYS_AT_ONCE as usize;
        }
        let Some(serial) = self.rows.first().map(|row| row.serial) else { return Ok(None) };
        let count = self.rows.iter().take_while(|row| row.serial == serial).count();
        let mut rows: Vec<KeyRow> = self.rows.drain(..count).collect();
        (taker.watch.step)(count as u64);
        rows.retain(|row| wanted(&row.key));
        let (found, trouble) = read(keyfs, &rows).await?;
        if let Some(why) = trouble {
            for row in rows {
                taker.report.left_out(
                    unread(self.kind),
                    row.key,
                    format!("its blob, serial {serial}, cannot be read: {why}"),
                );
            }
        }
        Ok(Some(found.into_iter().filter(|change| !change.value.is_null()).collect()))
    }
}

fn unread(kind: &str) -> &'static str {
    match kind {
        USER => "users",
        NAMES => "names",
        VERSION => "releases",
        LINKS => "pages",
        _ => "cached_files",
    }
}
