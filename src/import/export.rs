use super::ImportError;
use super::files::{CachedFile, StageFile};
use super::links::KnownLink;
use super::read::{Stated, history, is_plain, last_modified, text};
use super::taker::Taker;
use crate::names::{DistFilename, IndexName, ProjectName};
use crate::store::{Rel, ReleaseRow};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// Things that are read ahead: each may be a release with a long description.
const AHEAD_MAX: usize = 64;

/// A file of which the export states all.
const INDEX_FILE: &str = "dataindex.json";

/// One thing of an export. Its file may be larger than the memory: it is read in passes, a thing at a time.
enum Thing {
    Version(String),
    User(String, Value),
    Index(String, Value),
    Projects(String, String, Value),
    File(String, Value),
}

/// What a pass looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    Version,
    People,
    Projects,
    Files,
}

/// Takes over what `devpi-export` wrote, of dumpversion 1 or 2.
pub async fn take(taker: &mut Taker<'_>, directory: &Path) -> Result<(), ImportError> {
    let path = directory.join(INDEX_FILE);
    if !path.is_file() {
        return Err(ImportError::NotAnExport(directory.to_owned()));
    }
    let mut found = String::new();
    let mut things = Things::start(&path, Pass::Version);
    while let Some(thing) = things.next().await? {
        if let Thing::Version(version) = thing {
            found = version;
        }
    }
    if !matches!(found.as_str(), "1" | "2") {
        return Err(ImportError::Dump { path, found });
    }
    let mut export = Export { directory, mirrored: BTreeMap::new(), said: BTreeMap::new() };
    export.people(taker, &path).await?;
    let mut things = Things::start(&path, Pass::Projects);
    while let Some(thing) = things.next().await? {
        if let Thing::Projects(index, project, versions) = thing {
            export.project(taker, &index, &project, versions).await?;
        }
    }
    let mut results = Vec::new();
    let mut things = Things::start(&path, Pass::Files);
    while let Some(thing) = things.next().await? {
        let Thing::File(index, Value::Object(file)) = thing else { continue };
        (taker.watch.more)(1);
        // What was tested comes before the result.
        match text(&file, "type") == Some("toxresult") {
            true => results.push((index, file)),
            false => export.file(taker, &index, &file).await?,
        }
        (taker.watch.step)(1);
    }
    for (index, file) in results {
        export.file(taker, &index, &file).await?;
    }
    export.pages(taker).await
}

struct Export<'a> {
    directory: &'a Path,
    /// The mirrors' files that came along, by their projects.
    mirrored: BTreeMap<(IndexName, ProjectName), Vec<KnownLink>>,
    /// What is said of those files' versions: `requires_python` and `yanked`.
    said: BTreeMap<(IndexName, ProjectName, String), (Option<String>, Value)>,
}

impl Export<'_> {
    async fn people(&self, taker: &mut Taker<'_>, path: &Path) -> Result<(), ImportError> {
        let mut indexes = Vec::new();
        let mut things = Things::start(path, Pass::People);
        while let Some(thing) = things.next().await? {
            match thing {
                Thing::User(name, Value::Object(row)) => taker.user(&name, &row).await?,
                Thing::Index(name, Value::Object(config)) => indexes.push((name, config)),
                _ => {}
            }
        }
        for (name, config) in &indexes {
            taker.index(name, config).await?;
        }
        taker.look_at_bases(&indexes);
        Ok(())
    }

    async fn project(
        &mut self,
        taker: &mut Taker<'_>,
        index: &str,
        project: &str,
        versions: Value,
    ) -> Result<(), ImportError> {
        let Ok(index) = IndexName::parse(index) else { return Ok(()) };
        let Value::Object(versions) = versions else { return Ok(()) };
        if taker.is_mirror(&index) {
            self.said_of(&index, project, versions);
            return Ok(());
        }
        if !taker.is_stage(&index) {
            return Ok(());
        }
        let name = match ProjectName::parse(project) {
            Ok(name) => name,
            Err(why) => {
                taker.report.left_out("releases", format!("{index}: {project}"), why);
                return Ok(());
            }
        };
        if versions.is_empty() {
            return taker.name(&index, project).await;
        }
        for (version, metadata) in versions {
            let Value::Object(metadata) = metadata else { continue };
            let what = format!("{index}: {name} {version}");
            let (index, project) = (index.clone(), name.clone());
            // devpi keeps metadata without files under no version at all.
            if version.is_empty() {
                continue;
            }
            let release = ReleaseRow { index, project, version, metadata, created: taker.now };
            taker.release(&what, &release).await?;
        }
        Ok(())
    }

    async fn file(&mut self, taker: &mut Taker<'_>, index: &str, file: &Map<String, Value>) -> Result<(), ImportError> {
        let relpath = text(file, "relpath").unwrap_or_default();
        let what = format!("{index}: {relpath}");
        let Ok(index) = IndexName::parse(index) else { return Ok(()) };
        let parts: Vec<&str> = relpath.split('/').collect();
        let (true, Some(filename)) = (parts.iter().all(|part| is_plain(part)), parts.last()) else {
            taker.report.left_out("files", what, "its path leads out of the export");
            return Ok(());
        };
        let Ok(project) = ProjectName::parse(text(file, "projectname").unwrap_or_default()) else {
            taker.report.left_out("files", what, "its project's name is none");
            return Ok(());
        };
        let nothing = Map::new();
        let entry = file.get("entrymapping").and_then(Value::as_object).unwrap_or(&nothing);
        let mut stated = Stated::of(entry);
        let path = self.directory.join(relpath);
        if taker.is_mirror(&index) {
            let file = CachedFile {
                place: stated.sha256.map(|sha256| format!("f/{}", sha256.prefix().directories())),
                index,
                project: Some(project.to_string()),
                filename: (*filename).to_owned(),
                path,
                stated,
                url: text(entry, "url").unwrap_or_default().to_owned(),
                used: last_modified(entry),
            };
            return self.mirrored(taker, project, file).await;
        }
        let rel = match text(file, "type") {
            Some("releasefile") => Rel::Releasefile,
            Some("doczip") => Rel::Doczip,
            Some("toxresult") => Rel::Toxresult,
            _ => {
                taker.report.left_out("files", what, "it is not known what it is to its release");
                return Ok(());
            }
        };
        if !taker.is_stage(&index) {
            taker.report.left_out("files", what, "its index is not here");
            return Ok(());
        }
        let tested = text(file, "for_entrypath").and_then(|path| path.rsplit('/').next()).map(str::to_owned);
        // From 6.5 to 6.8 the digest of the tested file, which stands in the path, was stated of the result too.
        if let (Rel::Toxresult, [_, _, _, spec, _]) = (rel, parts.as_slice())
            && Stated::of_fragment(spec) == stated
        {
            stated = Stated::default();
        }
        let version = text(file, "version").map(str::to_owned);
        let version = version.or_else(|| version_of(rel, filename, tested.as_deref(), &project));
        let Some(version) = version.filter(|version| !version.is_empty()) else {
            taker.report.left_out("files", what, "it is not known what version it is of");
            return Ok(());
        };
        let (log, uploaded) = history(file.get("log"));
        let file = StageFile {
            index,
            project,
            version,
            release: Map::new(),
            rel,
            filename: (*filename).to_owned(),
            path,
            stated,
            log,
            uploaded: uploaded.or_else(|| last_modified(entry)),
            tested,
            place: None,
        };
        taker.stage_file(file).await
    }

    /// A mirror's file; its project is shown by it and the others that came along.
    async fn mirrored(
        &mut self,
        taker: &mut Taker<'_>,
        project: ProjectName,
        file: CachedFile,
    ) -> Result<(), ImportError> {
        let version = DistFilename::parse(&file.filename).ok().and_then(|name| name.version_text(&project));
        let said = version.and_then(|version| self.said.get(&(file.index.clone(), project.clone(), version)));
        let (requires_python, yanked) = said.cloned().unwrap_or_default();
        let link = KnownLink {
            filename: file.filename.clone(),
            url: file.url.clone(),
            stated: file.stated.clone(),
            requires_python,
            yanked,
        };
        self.mirrored.entry((file.index.clone(), project)).or_default().push(link);
        taker.cached_file(file).await
    }

    fn said_of(&mut self, index: &IndexName, project: &str, versions: Map<String, Value>) {
        let Ok(project) = ProjectName::parse(project) else { return };
        for (version, metadata) in versions {
            let said = |key: &str| metadata.get(key).cloned().unwrap_or_default();
            let requires_python = said("requires_python").as_str().filter(|text| !text.is_empty()).map(str::to_owned);
            self.said.insert((index.clone(), project.clone(), version), (requires_python, said("yanked")));
        }
    }

    /// An export has no pages of mirrors: what is known of each is the files that came along. Upstream is asked before
    /// such a page is shown, and its failure shows what is known.
    async fn pages(self, taker: &mut Taker<'_>) -> Result<(), ImportError> {
        for ((index, project), links) in self.mirrored {
            taker.page(&index, project, links, false).await?;
        }
        Ok(())
    }
}

/// Exports of long ago do not say it.
fn version_of(rel: Rel, filename: &str, tested: Option<&str>, project: &ProjectName) -> Option<String> {
    let name = match rel {
        Rel::Releasefile => filename,
        Rel::Toxresult => tested?,
        Rel::Doczip => {
            let stem = filename.strip_suffix(".doc.zip")?;
            let splits = stem.match_indices('-').map(|(at, _)| stem.split_at(at));
            let version = |(name, rest): (&str, &str)| {
                (ProjectName::parse(name).as_ref() == Ok(project)).then(|| rest.trim_start_matches('-').to_owned())
            };
            return splits.rev().find_map(version);
        }
    };
    DistFilename::parse(name).ok()?.version_text(project)
}

/// The things of one pass, as a thread reads them.
struct Things {
    path: PathBuf,
    things: mpsc::Receiver<Result<Thing, serde_json::Error>>,
}

impl Things {
    fn start(path: &Path, pass: Pass) -> Self {
        let (send, things) = mpsc::channel(AHEAD_MAX);
        let from = path.to_owned();
        tokio::task::spawn_blocking(move || {
            let read = || {
                let file = File::open(&from).map_err(serde_json::Error::io)?;
                let mut json = serde_json::Deserializer::from_reader(BufReader::new(file));
                Reader { pass, send: &send, at: At::Top }.deserialize(&mut json)?;
                json.end()
            };
            if let Err(why) = read() {
                let _ = send.blocking_send(Err(why));
            }
        });
        Self { path: path.to_owned(), things }
    }

    async fn next(&mut self) -> Result<Option<Thing>, ImportError> {
        let thing = self.things.recv().await.transpose();
        thing.map_err(|why| ImportError::Json { path: self.path.clone(), why })
    }
}

/// Where in the file the reader is.
enum At<'a> {
    Top,
    Users,
    Indexes,
    Index(&'a str),
    Projects(&'a str),
    Files(&'a str),
}

/// Reads one level, sends what its pass looks for, and passes over the rest.
struct Reader<'a> {
    pass: Pass,
    send: &'a mpsc::Sender<Result<Thing, serde_json::Error>>,
    at: At<'a>,
}

impl Reader<'_> {
    fn send<E: serde::de::Error>(&self, thing: Thing) -> Result<(), E> {
        self.send.blocking_send(Ok(thing)).map_err(|_| E::custom("nobody listens any more"))
    }

    fn below<'b>(&'b self, at: At<'b>) -> Reader<'b> {
        Reader { pass: self.pass, send: self.send, at }
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.at {
            At::Files(_) => deserializer.deserialize_seq(self),
            _ => deserializer.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.at {
            At::Files(_) => "a list of files",
            _ => "an object of devpi-export's",
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match (&self.at, self.pass, key.as_str()) {
                (At::Top, Pass::Version, "dumpversion") => {
                    let version: Value = map.next_value()?;
                    let text = version.as_str().map_or_else(|| version.to_string(), str::to_owned);
                    self.send(Thing::Version(text.chars().take(40).collect()))?;
                }
                (At::Top, Pass::People, "users") => map.next_value_seed(self.below(At::Users))?,
                (At::Top, Pass::People | Pass::Projects | Pass::Files, "indexes") => {
                    map.next_value_seed(self.below(At::Indexes))?;
                }
                (At::Users, ..) => {
                    let user = map.next_value()?;
                    self.send(Thing::User(key, user))?;
                }
                (At::Indexes, ..) => map.next_value_seed(self.below(At::Index(&key)))?,
                (At::Index(index), Pass::People, "indexconfig") => {
                    let config = map.next_value()?;
                    self.send(Thing::Index((*index).to_owned(), config))?;
                }
                (At::Index(index), Pass::Projects, "projects") => {
                    map.next_value_seed(self.below(At::Projects(index)))?
                }
                (At::Index(index), Pass::Files, "files") => map.next_value_seed(self.below(At::Files(index)))?,
                (At::Projects(index), ..) => {
                    let versions = map.next_value()?;
                    self.send(Thing::Projects((*index).to_owned(), key, versions))?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let At::Files(index) = self.at else { return Err(A::Error::custom("a list where none belongs")) };
        while let Some(file) = seq.next_element()? {
            self.send(Thing::File(index.to_owned(), file))?;
        }
        Ok(())
    }
}
