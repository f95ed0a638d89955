//! The dump as data: rows in, devpi's JSON out. It opens nothing.

use super::left_out::{Kind, LeftOut};
use crate::index::stamps;
use crate::names::{IndexName, ProjectName, Sha256};
use crate::rules::IndexSettings;
use crate::store::{FileRow, Rel, ReleaseRow, UserRow};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The version of devpi's format that is written.
const DUMP_VERSION: &str = "2";

/// What devpi does not have; what it would take for a setting of a plugin.
const OUR_SETTINGS: [(&str, &str); 2] = [
    ("acl_read", "devpi has no such setting: everybody reads the index there"),
    ("reserved", "devpi has no such setting: mirrors may answer for these names there"),
];

/// Everything that is to be written.
#[derive(Debug, Default)]
pub(super) struct Dump {
    users: Map<String, Value>,
    indexes: BTreeMap<String, IndexDump>,
    /// Of all files.
    paths: HashSet<String>,
    left_out: Vec<LeftOut>,
}

#[derive(Debug, Default)]
struct IndexDump {
    config: Map<String, Value>,
    /// None: a mirror of which only the settings are told.
    projects: Option<Map<String, Value>>,
    files: Vec<DumpFile>,
}

#[derive(Debug)]
pub(super) struct DumpFile {
    /// Where it lies in the dump.
    pub(super) path: String,
    pub(super) digest: Sha256,
    pub(super) size: u64,
    /// The path of what it is a test's result of, which comes before it.
    pub(super) tested: Option<String>,
    says: Value,
}

/// A file of a mirror that is in the cache.
pub(super) struct Cached {
    pub(super) filename: String,
    pub(super) version: String,
    pub(super) url: String,
    pub(super) digest: Sha256,
    pub(super) size: u64,
    /// Unix seconds.
    pub(super) modified: u64,
    /// What the page says of it.
    pub(super) says: Map<String, Value>,
}

/// The bases that indexes keep, by their names; and those that they lose.
pub(super) type Bases = BTreeMap<IndexName, (Vec<IndexName>, Vec<IndexName>)>;

impl Dump {
    pub(super) fn user(&mut self, row: &UserRow, tokens: usize) {
        let name = row.name.as_str();
        // A password that is left out would be the empty one there.
        let mut says = json!({
            "username": name, "pwhash": row.password, "created": stamps::iso(row.created),
        });
        if let Some(says) = says.as_object_mut() {
            if let Some(modified) = row.modified {
                says.insert("modified".to_owned(), stamps::iso(modified).into());
            }
            says.extend(row.facts.clone());
        }
        if row.password.is_none() {
            self.leave_out(Kind::Password, name, "has no password, here as there: nobody can log in");
        }
        if tokens > 0 {
            let why = format!("devpi has no tokens: {tokens} stop(s) working, and who uses one needs a password");
            self.leave_out(Kind::Token, name, why);
        }
        self.users.insert(name.to_owned(), says);
    }

    pub(super) fn index(&mut self, name: &IndexName, settings: &IndexSettings, bases: &Bases, credentials: bool) {
        let mut config = settings.to_stored();
        for (key, why) in OUR_SETTINGS {
            if config.remove(key).is_some() {
                self.leave_out(Kind::Setting, format!("{key} of {name}"), why);
            }
        }
        if let Some((kept, lost)) = bases.get(name).filter(|(_, lost)| !lost.is_empty()) {
            config.insert("bases".to_owned(), kept.iter().map(ToString::to_string).collect());
            for base in lost {
                let what = format!("base {base} of {name}");
                self.leave_out(Kind::Base, what, "it leads back to the index, which devpi-import cannot read");
            }
        }
        if credentials {
            let why =
                "user name and password stand in the server's settings and stay there; write them into mirror_url";
            self.leave_out(Kind::Credentials, name.as_str(), why);
        }
        let projects = (!settings.is_mirror()).then(Map::new);
        self.indexes.insert(name.as_str().to_owned(), IndexDump { config, projects, files: Vec::new() });
    }

    /// A project of a stage: its releases, and what hangs on them in devpi's order.
    pub(super) fn project(
        &mut self,
        index: &IndexName,
        project: &ProjectName,
        releases: &[ReleaseRow],
        files: &[FileRow],
    ) {
        if releases.is_empty() {
            let what = format!("{project} of {index}");
            self.leave_out(Kind::Name, what, "the name is owned without a release, which devpi forgets");
        }
        let mut versions = Map::new();
        for release in releases {
            let mut metadata = release.metadata.clone();
            metadata.retain(|key, _| !key.starts_with('+') && key != "yanked");
            metadata.entry("name").or_insert_with(|| project.as_str().into());
            metadata.insert("version".to_owned(), release.version.as_str().into());
            versions.insert(release.version.clone(), metadata.into());
            for rel in [Rel::Releasefile, Rel::Toxresult, Rel::Doczip] {
                let here = files.iter().filter(|file| file.rel == rel && file.version == release.version);
                here.for_each(|file| self.file(index, project, file, files));
            }
        }
        self.put_project(index, project, versions);
    }

    /// A project of a mirror: what the cache has of it.
    pub(super) fn mirrored(&mut self, index: &IndexName, project: &ProjectName, cached: Vec<Cached>) {
        let mut versions = Map::new();
        for file in cached {
            let Cached { filename, version, url, digest, size, modified, says } = file;
            let path = format!("{index}/{project}/{version}/{filename}");
            let mapping = mapping(project, &version, &digest, modified, Some(&url));
            let says_of = json!({
                "version": version, "entrymapping": mapping, "log": [], "type": Rel::Releasefile.as_str(),
                "projectname": project.as_str(), "relpath": path,
            });
            let told = self.put_file(index, DumpFile { path, digest, size, tested: None, says: says_of });
            if told {
                let known = versions
                    .entry(version.clone())
                    .or_insert_with(|| json!({ "name": project.as_str(), "version": version }));
                known.as_object_mut().into_iter().for_each(|known| known.extend(says.clone()));
            }
        }
        self.put_project(index, project, versions);
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &DumpFile> {
        self.indexes.values().flat_map(|index| &index.files)
    }

    /// Takes files out that could not be had, and the results of their tests with them.
    pub(super) fn lose(&mut self, lost: &BTreeMap<String, (Kind, String)>) {
        let mut gone = Vec::new();
        for index in self.indexes.values_mut() {
            index.files.retain(|file| {
                let (kind, why) = match (lost.get(&file.path), file.tested.as_ref().and_then(|path| lost.get(path))) {
                    (Some((kind, why)), _) => (*kind, why.clone()),
                    (None, Some((kind, _))) => (*kind, "what it is a result of is left out".to_owned()),
                    (None, None) => return true,
                };
                gone.push(LeftOut { kind, what: file.path.clone(), why });
                false
            });
        }
        self.left_out.extend(gone);
    }

    /// Users, indexes and releases.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let projects = self.indexes.values().filter_map(|index| index.projects.as_ref());
        let releases = projects.flat_map(Map::values).filter_map(Value::as_object).map(Map::len).sum();
        (self.users.len(), self.indexes.len(), releases)
    }

    /// What was left out, the graver first.
    pub(super) fn take_left_out(&mut self) -> Vec<LeftOut> {
        let mut left_out = std::mem::take(&mut self.left_out);
        left_out.sort_by_key(|left| left.kind);
        left_out
    }

    /// `dataindex.json`.
    pub(super) fn render(self) -> Value {
        let mut indexes = Map::new();
        for (name, index) in self.indexes {
            let mut says = json!({ "indexconfig": index.config });
            if let (Some(projects), Some(says)) = (index.projects, says.as_object_mut()) {
                says.insert("projects".to_owned(), projects.into());
                says.insert("files".to_owned(), index.files.into_iter().map(|file| file.says).collect());
            }
            indexes.insert(name, says);
        }
        json!({
            "users": self.users,
            "indexes": indexes,
            "dumpversion": DUMP_VERSION,
            "sidewheel": env!("CARGO_PKG_VERSION"),
        })
    }

    fn file(&mut self, index: &IndexName, project: &ProjectName, row: &FileRow, all: &[FileRow]) {
        let FileRow { filename, version, .. } = row;
        let mut tested = None;
        let path = match (row.rel, &row.for_file) {
            (Rel::Releasefile, _) => format!("{index}/{project}/{version}/{filename}"),
            (Rel::Doczip, _) => format!("{index}/{project}-{version}.doc.zip"),
            (Rel::Toxresult, None) => return,
            (Rel::Toxresult, Some((digest, name))) => {
                let same = |other: &&FileRow| {
                    other.rel == Rel::Releasefile && other.filename == *name && other.version == *version
                };
                let path = format!("{index}/{project}/sha256={}/{filename}", digest.to_hex());
                if !all.iter().any(|other| same(&other) && other.sha256 == *digest) {
                    self.leave_out(Kind::File, path, "what it is a result of is not there any more");
                    return;
                }
                tested = Some((format!("{index}/{project}/{version}/{name}"), digest.prefix(), name));
                path
            }
        };
        let modified = u64::try_from(row.uploaded / 1_000_000).unwrap_or_default();
        let mut says = json!({
            "version": version,
            "entrymapping": mapping(project, version, &row.sha256, modified, None),
            "log": row.log,
            "type": row.rel.as_str(),
            "projectname": project.as_str(),
            "relpath": path,
        });
        if let (Some((_, prefix, name)), Some(says)) = (&tested, says.as_object_mut()) {
            let entry = format!("{index}/+f/{}/{name}", prefix.directories());
            says.insert("for_entrypath".to_owned(), entry.into());
        }
        if let Some(reason) = &row.yanked {
            let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
            self.leave_out(
                Kind::Yank,
                path.clone(),
                format!("devpi cannot yank: it is an ordinary file there{reason}"),
            );
        }
        if row.attestations.is_some() {
            self.leave_out(Kind::Provenance, path.clone(), "devpi keeps no attestations");
        }
        let tested = tested.map(|(path, ..)| path);
        self.put_file(index, DumpFile { path, digest: row.sha256, size: row.size, tested, says });
    }

    /// Says whether it is taken: a name that leads out of its directory, or is there twice, is not.
    fn put_file(&mut self, index: &IndexName, file: DumpFile) -> bool {
        let plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains('\0');
        let deep = matches!(file.path.split('/').count(), 3 | 5);
        let why = match () {
            () if !deep || !file.path.split('/').all(plain) => "its version or name is no name of a file",
            () if !self.paths.insert(file.path.clone()) => "another file of the dump has its name",
            () => {
                self.indexes.entry(index.as_str().to_owned()).or_default().files.push(file);
                return true;
            }
        };
        self.leave_out(Kind::File, file.path, why);
        false
    }

    fn put_project(&mut self, index: &IndexName, project: &ProjectName, versions: Map<String, Value>) {
        let index = self.indexes.entry(index.as_str().to_owned()).or_default();
        index.projects.get_or_insert_default().insert(project.as_str().to_owned(), versions.into());
    }

    fn leave_out(&mut self, kind: Kind, what: impl Into<String>, why: impl Into<String>) {
        self.left_out.push(LeftOut { kind, what: what.into(), why: why.into() });
    }
}

/// What devpi's file store says of a file.
fn mapping(project: &ProjectName, version: &str, digest: &Sha256, modified: u64, url: Option<&str>) -> Value {
    let hex = digest.to_hex();
    let mut mapping = Map::new();
    if let Some(url) = url {
        mapping.insert("url".to_owned(), url.into());
    }
    mapping.insert("last_modified".to_owned(), stamps::http_date(modified).into());
    mapping.insert("hash_spec".to_owned(), format!("sha256={hex}").into());
    mapping.insert("hashes".to_owned(), json!({ "sha256": hex }));
    mapping.insert("project".to_owned(), project.as_str().into());
    mapping.insert("version".to_owned(), version.into());
    mapping.into()
}

/// The bases of each index without those that lead back to it: devpi-import makes bases first, and so never ends where
/// they form a ring.
pub(super) fn without_rings<'a>(indexes: impl Iterator<Item = (&'a IndexName, &'a [IndexName])>) -> Bases {
    let mut kept: Bases = BTreeMap::new();
    for (name, bases) in indexes {
        let (mut stay, mut lost) = (Vec::new(), Vec::new());
        for base in bases {
            let back = reaches(&kept, base, name);
            if back {
                lost.push(base.clone())
            } else {
                stay.push(base.clone())
            };
        }
        kept.insert(name.clone(), (stay, lost));
    }
    kept
}

/// Whether one comes from an index to another along the bases that are kept.
fn reaches(kept: &Bases, from: &IndexName, to: &IndexName) -> bool {
    let (mut seen, mut ahead) = (BTreeSet::new(), vec![from]);
    while let Some(index) = ahead.pop() {
        if index == to {
            return true;
        }
        if seen.insert(index) {
            ahead.extend(kept.get(index).into_iter().flat_map(|(bases, _)| bases));
        }
    }
    false
}
