use super::{LockedFile, Newest, Target, What, Wish};
use crate::names::{DistFilename, DistKind, ProjectName};
use crate::simple::{File, ProjectPage, RequiresPython, Yanked};
use pep440_rs::{Operator, Version, VersionSpecifiers};
use std::str::FromStr;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    #[error("the index does not list {0}")]
    File(DistFilename),
    #[error("the index has {0} with other bytes than the lockfile says")]
    OtherBytes(DistFilename),
    #[error("no release of {0} on the index is allowed by {1:?}")]
    Release(ProjectName, String),
    #[error("no file of {0} on the index suits the Python and platform, or has a digest that is allowed")]
    Suiting(ProjectName),
}

/// The files of a page that a wish means, and what of it is not there.
pub fn choose<'a>(page: &'a ProjectPage, wish: &Wish, target: &Target, all: bool) -> (Vec<&'a File>, Vec<NotFound>) {
    match &wish.what {
        What::Files(locked) => {
            let (mut found, mut missing) = (Vec::new(), Vec::new());
            for file in suiting(locked, target, all) {
                match listed(page, file) {
                    Ok(file) => found.push(file),
                    Err(why) => missing.push(why),
                }
            }
            (found, missing)
        }
        What::Newest(newest) => match newest_of(page, newest, target) {
            Ok(files) => (files, Vec::new()),
            Err(why) => (Vec::new(), vec![why]),
        },
    }
}

/// Of what a lockfile names, the wheels that suit; what has no such wheel is built from its source.
fn suiting<'a>(locked: &'a [LockedFile], target: &Target, all: bool) -> Vec<&'a LockedFile> {
    if all {
        return locked.iter().collect();
    }
    let suits = |file: &&LockedFile| file.filename.wheel_tags().is_some_and(|tags| target.suits(tags).is_some());
    let wheels: Vec<_> = locked.iter().filter(suits).collect();
    match wheels.is_empty() {
        false => wheels,
        true => locked.iter().filter(|file| file.filename.kind() == DistKind::Sdist).collect(),
    }
}

fn listed<'a>(page: &'a ProjectPage, wanted: &LockedFile) -> Result<&'a File, NotFound> {
    let mut same = page.files_offered().iter().filter(|file| file.filename == wanted.filename);
    let Some(file) = same.next() else { return Err(NotFound::File(wanted.filename.clone())) };
    match (wanted.sha256, file.sha256) {
        (Some(wanted_digest), Some(digest)) if wanted_digest != digest => {
            Err(NotFound::OtherBytes(wanted.filename.clone()))
        }
        _ => Ok(file),
    }
}

fn newest_of<'a>(page: &'a ProjectPage, newest: &Newest, target: &Target) -> Result<Vec<&'a File>, NotFound> {
    let specifiers = &newest.specifiers;
    let pinned = specifiers.iter().any(|one| matches!(one.operator(), Operator::Equal | Operator::ExactEqual));
    let named_pre = specifiers.iter().any(|one| one.version().any_prerelease());
    let mut releases: Vec<(Version, Vec<&File>)> = Vec::new();
    for file in page.files_offered() {
        let yanked = matches!(file.yanked, Yanked::Yes | Yanked::Reason(_));
        let Some(version) = file.filename.version(&page.name).filter(|_| pinned || !yanked) else { continue };
        if specifiers.contains(&version) {
            match releases.iter_mut().find(|(known, _)| *known == version) {
                Some((_, files)) => files.push(file),
                None => releases.push((version, vec![file])),
            }
        }
    }
    // Releases before the final one count where they are asked for, or where there is nothing else.
    let final_only = !newest.pre && !named_pre && releases.iter().any(|(version, _)| !version.any_prerelease());
    releases.retain(|(version, _)| !final_only || !version.any_prerelease());
    if releases.is_empty() {
        return Err(NotFound::Release(page.name.clone(), specifiers.to_string()));
    }
    releases.sort_by(|(one, _), (other, _)| other.cmp(one));
    let best = releases.into_iter().map(|(_, files)| best(files, newest, target)).find(|files| !files.is_empty());
    best.ok_or_else(|| NotFound::Suiting(page.name.clone()))
}

/// The wheels that suit best, or else the source.
fn best<'a>(files: Vec<&'a File>, newest: &Newest, target: &Target) -> Vec<&'a File> {
    let allowed = |file: &&File| {
        let digest = file.sha256.is_some_and(|digest| newest.hashes.contains(&digest));
        (newest.hashes.is_empty() || digest) && runs_on(file, target)
    };
    let files: Vec<_> = files.into_iter().filter(allowed).collect();
    let rank = |file: &File| file.filename.wheel_tags().and_then(|tags| target.suits(tags));
    match files.iter().filter_map(|file| rank(file)).max() {
        Some(best) => files.into_iter().filter(|file| rank(file) == Some(best)).collect(),
        None => files.into_iter().filter(|file| file.filename.kind() == DistKind::Sdist).take(1).collect(),
    }
}

/// Whether `requires-python` allows the Python that is meant; one that cannot be read allows all, as pip has it.
fn runs_on(file: &File, target: &Target) -> bool {
    let (Some(python), RequiresPython::Specifier(raw)) = (target.python, &file.requires_python) else { return true };
    match (VersionSpecifiers::from_str(raw), Version::from_str(&python.full())) {
        (Ok(specifiers), Ok(version)) => specifiers.contains(&version),
        _ => true,
    }
}
