use super::ImportError;
use super::files::StageFile;
use super::read::Stated;
use super::taker::Taker;
use crate::cache::ForeignFile;
use crate::index::{Took, stamps};
use crate::names::{DistFilename, DistKind, IndexName};
use crate::rules::{IndexSettings, StageSettings};
use crate::store::Rel;
use crate::upload::read_archive;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// Deepest directory that is looked into.
const DEPTH_MAX: usize = 16;

/// Publishes the wheels and sdists of a directory and of those in it, as uploads of now.
pub async fn take(taker: &mut Taker<'_>, directory: &Path, index: &IndexName) -> Result<(), ImportError> {
    let top = directory.to_owned();
    let found = tokio::task::spawn_blocking(move || {
        let mut found = Vec::new();
        walk(&top, 0, &mut found).map(|()| found)
    });
    let found = found.await.unwrap_or_else(|_| Err(ImportError::Target("the directory was not read".to_owned())))?;
    see_to_index(taker, index).await?;
    (taker.watch.more)(found.len() as u64);
    for path in found {
        one(taker, index, path).await?;
        (taker.watch.step)(1);
    }
    Ok(())
}

/// The files below a directory, sorted. Links are not followed.
fn walk(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), ImportError> {
    let entries = fs::read_dir(directory).map_err(ImportError::read(directory))?;
    let mut paths = entries.collect::<Result<Vec<_>, _>>().map_err(ImportError::read(directory))?;
    paths.sort_by_key(fs::DirEntry::file_name);
    for entry in paths {
        let kind = entry.file_type().map_err(ImportError::read(entry.path()))?;
        if kind.is_dir() && depth < DEPTH_MAX {
            walk(&entry.path(), depth + 1, found)?;
        } else if !kind.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(())
}

async fn see_to_index(taker: &mut Taker<'_>, index: &IndexName) -> Result<(), ImportError> {
    let Some(ours) = taker.index else { return Ok(()) };
    match ours.entry(index) {
        Ok(entry) if entry.is_stage() => return Ok(()),
        Ok(_) => {
            return Err(ImportError::Target(format!(
                "{index} is a mirror; give the name of an index that takes uploads"
            )));
        }
        Err(_) => {}
    }
    let owner = index.owner();
    if ours.user(&owner).is_err() {
        let sentence = format!(
            "there is no user {owner}; make it with `devpi user -c {owner}` while the server runs, or give an index of root"
        );
        return Err(ImportError::Target(sentence));
    }
    let took = ours.take_index(index, IndexSettings::Stage(StageSettings::new(&owner))).await;
    if taker.account("indexes", &format!("index {index}"), took)? == Some(Took::New) {
        taker.report.note(format!("index {index}"), "it was not there and was made");
    }
    Ok(())
}

async fn one(taker: &mut Taker<'_>, index: &IndexName, path: PathBuf) -> Result<(), ImportError> {
    let filename = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = match DistFilename::parse(&filename) {
        Ok(name) if name.kind() != DistKind::Other => name,
        _ => {
            taker.report.left_out("files", path.display().to_string(), "it is no wheel and no sdist");
            return Ok(());
        }
    };
    let from = path.clone();
    let work = move || {
        let file = ForeignFile::open(&from).map_err(|why| format!("it cannot be read: {why}"))?;
        read_archive(&file.file(), file.len(), &name).map_err(|why| why.to_string())
    };
    let archive = match tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err("it was not read".to_owned())) {
        Ok(archive) => archive,
        Err(why) => {
            taker.report.left_out("files", path.display().to_string(), why);
            return Ok(());
        }
    };
    let log = json!({"what": "upload", "who": null, "when": stamps::parts(taker.now), "dst": index.as_str()});
    let file = StageFile {
        index: index.clone(),
        project: archive.project,
        version: archive.version,
        release: archive.versiondata,
        rel: Rel::Releasefile,
        filename,
        path,
        stated: Stated::default(),
        log: vec![log],
        uploaded: Some(taker.now),
        tested: None,
        place: None,
    };
    taker.stage_file(file).await
}
