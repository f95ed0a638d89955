use super::ImportError;
use super::read::{Stated, is_plain};
use super::taker::Taker;
use crate::cache::{ForeignFile, TakenIn};
use crate::index::{TakenFile, Took};
use crate::names::{DistFilename, IndexName, ProjectName, Sha256};
use crate::store::{AddressRow, FileRow, Rel, ReleaseRow};
use crate::upload::{Archive, read_archive};
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::sync::Arc;

/// What stands between a tested file's name and the stamp of a result.
const TOX_RESULT: &str = ".toxresult-";

/// A file of a stage, as another server tells of it.
pub struct StageFile {
    pub index: IndexName,
    pub project: ProjectName,
    pub version: String,
    /// Of its release, where that is not known yet.
    pub release: Map<String, Value>,
    pub rel: Rel,
    pub filename: String,
    pub path: PathBuf,
    pub stated: Stated,
    pub log: Vec<Value>,
    /// Unix seconds.
    pub uploaded: Option<u64>,
    /// The file that a test's result is of.
    pub tested: Option<String>,
    /// `f/aaa/bbbbbbbbbbbbb`
    pub place: Option<String>,
}

/// A mirror's file that another server has in its cache.
pub struct CachedFile {
    pub index: IndexName,
    pub project: Option<String>,
    pub filename: String,
    pub path: PathBuf,
    pub stated: Stated,
    pub url: String,
    /// Unix seconds.
    pub used: Option<u64>,
    /// `f/aaa/bbbbbbbbbbbbb` or `e/DIRECTORY`; without one, where its SHA-256 says.
    pub place: Option<String>,
}

/// A foreign file that was read to its end.
struct Read {
    file: Arc<ForeignFile>,
    sha256: Sha256,
    archive: Option<Archive>,
}

impl Taker<'_> {
    pub async fn stage_file(&mut self, file: StageFile) -> Result<(), ImportError> {
        let kind = kind_of(file.rel);
        let what = format!("{}: {}", file.index, file.filename);
        match self.stage_file_or_why(&what, file).await? {
            Ok(()) => {}
            Err(why) => self.report.left_out(kind, what, why),
        }
        Ok(())
    }

    async fn stage_file_or_why(&mut self, what: &str, file: StageFile) -> Result<Result<(), String>, ImportError> {
        let kind = kind_of(file.rel);
        let (name, is_result) = match file.filename.split_once(TOX_RESULT) {
            Some((tested, stamp)) if is_plain(stamp) => (tested, true),
            _ => (file.filename.as_str(), false),
        };
        let name = match DistFilename::parse(name) {
            Ok(name) if is_result == (file.rel == Rel::Toxresult) => name,
            Ok(_) => return Ok(Err("its name is not of its kind".to_owned())),
            Err(why) => return Ok(Err(why.to_string())),
        };
        if let (Some(index), Some(stated)) = (self.index, file.stated.sha256)
            && index.has_file(&file.index, &file.filename).await?.is_some_and(|(sha256, _)| sha256 == stated)
        {
            self.report.was_here(kind);
            return Ok(Ok(()));
        }
        let tested = match (self.index, &file.tested) {
            (Some(index), Some(tested)) => match index.has_file(&file.index, tested).await? {
                Some((sha256, _)) => Some((sha256, tested.clone())),
                None => return Ok(Err(format!("the file that it is a result of, {tested}, is not here"))),
            },
            _ => None,
        };
        let mut stated = file.stated.clone();
        // devpi 6.5 to 6.8 wrote the digest of the tested file here.
        if tested.as_ref().is_some_and(|(sha256, _)| stated.sha256 == Some(*sha256)) {
            stated = Stated::default();
        }
        let archive = (file.rel == Rel::Releasefile).then(|| name.clone());
        let read = match read(file.path.clone(), stated, archive).await {
            Ok(read) => read,
            Err(why) => return Ok(Err(why)),
        };
        let Some(index) = self.index else {
            self.report.came(kind);
            self.report.bytes += read.file.len();
            return Ok(Ok(()));
        };
        let uploaded = file.uploaded.unwrap_or_else(|| read.file.modified());
        let requires_python = match &read.archive {
            Some(archive) => archive.requires_python.clone(),
            None => file.release.get("requires_python").and_then(Value::as_str).map(str::to_owned),
        };
        let address = tested.as_ref().map_or(read.sha256, |(sha256, _)| *sha256);
        let usual = format!("f/{}", address.prefix().directories());
        let bytes = read.file.len();
        let row = FileRow {
            index: file.index.clone(),
            filename: file.filename.clone(),
            rel: file.rel,
            project: file.project.clone(),
            version: file.version.clone(),
            sha256: read.sha256,
            size: bytes,
            uploaded: i64::try_from(uploaded).unwrap_or_default().saturating_mul(1_000_000),
            requires_python: requires_python.filter(|text| !text.is_empty() && file.rel == Rel::Releasefile),
            metadata: None,
            yanked: None,
            attestations: None,
            log: file.log,
            for_file: tested,
        };
        let release = ReleaseRow {
            index: file.index,
            project: file.project,
            version: file.version,
            metadata: file.release,
            created: uploaded,
        };
        let metadata = read.archive.and_then(|archive| archive.metadata);
        let place = file.place.filter(|place| *place != usual);
        let taken = TakenFile { row, release, metadata, place, file: read.file };
        match index.take_file(taken).await {
            Ok((took, shelf)) => {
                if took == Took::New {
                    self.report.took_in(shelf, bytes);
                }
                self.account(kind, what, Ok(took))?;
            }
            Err(why) => drop(self.account(kind, what, Err(why))?),
        }
        Ok(Ok(()))
    }

    pub async fn cached_file(&mut self, file: CachedFile) -> Result<(), ImportError> {
        let what = format!("{}: {}", file.index, file.filename);
        if let Err(why) = self.cached_file_or_why(file).await? {
            self.report.left_out("cached_files", what, why);
        }
        Ok(())
    }

    async fn cached_file_or_why(&mut self, file: CachedFile) -> Result<Result<(), String>, ImportError> {
        let name = match DistFilename::parse(&file.filename) {
            Ok(name) => name,
            Err(why) => return Ok(Err(why.to_string())),
        };
        let said = file.project.as_deref().and_then(|project| ProjectName::parse(project).ok());
        let Some(project) = said.or_else(|| name.projects().into_iter().next()) else {
            return Ok(Err("it is not known what project it is of".to_owned()));
        };
        if !file.url.starts_with("http://") && !file.url.starts_with("https://") {
            return Ok(Err("it is not known where it came from".to_owned()));
        }
        if let (Some(index), Some(place)) = (self.index, &file.place)
            && let Some(row) = index.has_cached(&file.index, place, &file.filename).await?
            && file.stated.sha256.is_none_or(|stated| stated == row.sha256)
        {
            self.report.cached_bytes += row.size;
            self.report.was_here("cached_files");
            return Ok(Ok(()));
        }
        let unstated = file.stated.sha256.is_none();
        let read = match read(file.path, file.stated, None).await {
            Ok(read) => read,
            Err(why) => return Ok(Err(why)),
        };
        let bytes = read.file.len();
        self.report.cached_bytes += bytes;
        let Some(index) = self.index else {
            self.report.came("cached_files");
            self.report.bytes += bytes;
            return Ok(Ok(()));
        };
        let usual = format!("f/{}", read.sha256.prefix().directories());
        let place = file.place.unwrap_or_else(|| usual.clone());
        let unhashed = unstated || place != usual;
        let row = AddressRow {
            index: file.index,
            place,
            filename: file.filename,
            project,
            url: file.url,
            sha256: read.sha256,
            size: bytes,
        };
        let known = index.has_cached(&row.index, &row.place, &row.filename).await?;
        let used = file.used.unwrap_or_else(|| read.file.modified());
        let taken = index.take_cached(&row, &read.file, used, unhashed).await?;
        match (taken, known) {
            (TakenIn::There, Some(_)) => self.report.was_here("cached_files"),
            _ => self.report.came("cached_files"),
        }
        self.report.took_in(taken, bytes);
        Ok(Ok(()))
    }
}

/// Opens and reads a file off the workers: its digests, and what it says of itself where `archive` names it as one.
async fn read(path: PathBuf, stated: Stated, archive: Option<DistFilename>) -> Result<Read, String> {
    let work = move || {
        let file = ForeignFile::open(&path).map_err(|why| format!("{} cannot be read: {why}", path.display()))?;
        let (sha256, md5) = file.digests(stated.md5.is_some()).map_err(|why| format!("{}: {why}", path.display()))?;
        stated.check(&sha256, md5.as_deref())?;
        // devpi takes files that nobody could install; they stay what they are, without metadata.
        let archive = archive.and_then(|name| read_archive(&file.file(), file.len(), &name).ok());
        Ok(Read { file: Arc::new(file), sha256, archive })
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err("it was not read to its end".to_owned()))
}

fn kind_of(rel: Rel) -> &'static str {
    match rel {
        Rel::Releasefile => "files",
        Rel::Doczip => "docs",
        Rel::Toxresult => "test_results",
    }
}
