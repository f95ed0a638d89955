//! The releases of a project, put together from what the indexes list.

use super::Asked;
use crate::index::{IndexError, Seen, SeenPart};
use crate::names::{IndexName, ProjectName, Version};
use crate::simple::{File, RequiresPython, Yanked};
use std::collections::{HashMap, HashSet};

/// One version of a project, in the first index that has it and in those behind.
pub struct Release<'a> {
    /// As the first index spells it.
    pub version: String,
    /// PEP 440, where it is such a version.
    pub parsed: Option<Version>,
    /// Never empty; the first counts.
    pub stages: Vec<Staged<'a>>,
}

/// What one index has of a version.
pub struct Staged<'a> {
    pub index: &'a IndexName,
    pub is_mirror: bool,
    /// As it spells the version.
    pub version: String,
    pub files: Vec<&'a File>,
}

/// A file, and whether installers see it.
pub struct Listed<'a> {
    pub index: &'a IndexName,
    pub is_mirror: bool,
    pub file: &'a File,
    /// A file of this name comes from an index before.
    pub hidden_by: Option<&'a IndexName>,
}

/// From so many files on they are put together off the workers that answer requests: 40,000 take a tenth of a second.
const FILES_APART: usize = 2_000;

/// About what a file costs while it is put to its release, in bytes.
const FILE_BYTES: usize = 64;

/// All releases, newest first; what is no version comes last.
pub async fn releases<'a>(
    asked: &Asked<'_>,
    seen: &'a Seen,
    project: &ProjectName,
) -> Result<Vec<Release<'a>>, IndexError> {
    let files = seen.parts.iter().map(|part| part.page.files.len()).sum();
    let places = match files {
        0..FILES_APART => arrange(&seen.parts, project),
        _ => {
            let (parts, project) = (seen.parts.clone(), project.clone());
            asked.index.apart(files * FILE_BYTES, move || arrange(&parts, &project)).await?
        }
    };
    Ok(places.into_iter().map(|place| place.release(seen)).collect())
}

/// A release by the numbers of what it is made of, so that it can be put together anywhere.
struct Place {
    version: String,
    parsed: Option<Version>,
    /// Number of the part, its spelling of the version, the numbers of its files.
    stages: Vec<(usize, String, Vec<usize>)>,
}

fn arrange(parts: &[SeenPart], project: &ProjectName) -> Vec<Place> {
    let mut found = Found::default();
    for (number, part) in parts.iter().enumerate() {
        // Versions without files first: a stage lists what was only registered.
        for version in part.page.versions.iter().flatten().filter(|_| !part.is_mirror) {
            found.files_of(number, version.clone());
        }
        for (at, file) in part.page.files_offered().iter().enumerate() {
            let Some(version) = file.filename.version_text(project) else { continue };
            if let Some(files) = found.files_of(number, version) {
                files.push(at);
            }
        }
    }
    let mut places = found.places;
    places.sort_by(|one, other| (&other.parsed, &other.version).cmp(&(&one.parsed, &one.version)));
    places
}

#[derive(Default)]
struct Found {
    places: Vec<Place>,
    by_text: HashMap<String, usize>,
    /// `1.0` and `1.0.0` are one version.
    by_version: HashMap<Version, usize>,
}

impl Found {
    fn files_of(&mut self, part: usize, version: String) -> Option<&mut Vec<usize>> {
        let slot = match self.by_text.get(&version) {
            Some(slot) => *slot,
            None => {
                let slot = self.slot(&version);
                self.by_text.insert(version.clone(), slot);
                slot
            }
        };
        let stages = &mut self.places.get_mut(slot)?.stages;
        if stages.last().is_none_or(|(last, ..)| *last != part) {
            stages.push((part, version, Vec::new()));
        }
        stages.last_mut().map(|(.., files)| files)
    }

    fn slot(&mut self, version: &str) -> usize {
        let (next, parsed) = (self.places.len(), version.parse::<Version>().ok());
        let slot = parsed.clone().map_or(next, |parsed| *self.by_version.entry(parsed).or_insert(next));
        if slot == next {
            self.places.push(Place { version: version.to_owned(), parsed, stages: Vec::new() });
        }
        slot
    }
}

impl Place {
    fn release(self, seen: &Seen) -> Release<'_> {
        let staged = |(part, version, files): (usize, String, Vec<usize>)| {
            let part = seen.parts.get(part)?;
            let offered = part.page.files_offered();
            let files = files.into_iter().filter_map(|at| offered.get(at)).collect();
            Some(Staged { index: &part.index, is_mirror: part.is_mirror, version, files })
        };
        let stages = self.stages.into_iter().filter_map(staged).collect();
        Release { version: self.version, parsed: self.parsed, stages }
    }
}

impl<'a> Release<'a> {
    pub fn first(&self) -> Option<&Staged<'a>> {
        self.stages.first()
    }

    /// The files of all indexes, in the order in which those are asked.
    pub fn files(&self) -> Vec<Listed<'a>> {
        let mut names: HashMap<&str, &'a IndexName> = HashMap::new();
        let mut listed = Vec::new();
        for staged in &self.stages {
            for file in &staged.files {
                let first = *names.entry(file.filename.as_str()).or_insert(staged.index);
                let hidden_by = (first != staged.index).then_some(first);
                listed.push(Listed { index: staged.index, is_mirror: staged.is_mirror, file, hidden_by });
            }
        }
        listed
    }

    /// The reason (empty: none was given) where installers pass all files over (PEP 592).
    pub fn yanked(&self) -> Option<&'a str> {
        let files = &self.first()?.files;
        let reason = |file: &&'a File| match &file.yanked {
            Yanked::Reason(reason) => Some(reason.as_str()),
            Yanked::Yes => Some(""),
            Yanked::Absent | Yanked::No => None,
        };
        let first = files.first().and_then(reason)?;
        files.iter().all(|file| file.yanked.is_yanked()).then_some(first)
    }

    pub fn is_prerelease(&self) -> bool {
        self.parsed.as_ref().is_some_and(Version::any_prerelease)
    }

    pub fn requires_python(&self) -> Option<&'a str> {
        let files = self.first()?.files.iter();
        files.map(|file| &file.requires_python).find_map(|requires: &'a RequiresPython| requires.specifier())
    }

    /// Of the first file that says it.
    pub fn uploaded(&self) -> Option<u64> {
        let times = self.first()?.files.iter().filter_map(|file| file.upload_time.as_deref());
        times.filter_map(crate::index::stamps::unix_of).min()
    }

    pub fn bytes(&self) -> u64 {
        let mut names = HashSet::new();
        let files = self.stages.iter().flat_map(|staged| &staged.files);
        files.filter(|file| names.insert(file.filename.as_str())).filter_map(|file| file.size).sum()
    }
}

/// The release that is meant by a version in a URL: `latest` is the newest, `stable` the newest that is final (devpi).
pub fn meant<'r, 'a>(releases: &'r [Release<'a>], version: &str) -> Option<&'r Release<'a>> {
    match version {
        "latest" => releases.iter().find(|release| release.parsed.is_some()).or(releases.first()),
        "stable" => releases.iter().find(|release| release.parsed.is_some() && !release.is_prerelease()),
        version => {
            let parsed: Option<Version> = version.parse().ok();
            let same = |release: &&Release<'_>| release.parsed.is_some() && release.parsed == parsed;
            let spelled = |release: &&Release<'_>| release.version == version;
            releases.iter().find(spelled).or_else(|| releases.iter().find(same))
        }
    }
}

/// The release that a page without a version tells of: the newest that is final and not yanked, where there is one.
pub fn foremost<'r, 'a>(releases: &'r [Release<'a>]) -> Option<&'r Release<'a>> {
    let is_final = |release: &&Release<'_>| release.parsed.is_some() && !release.is_prerelease();
    let is_good = |release: &&Release<'_>| release.yanked().is_none();
    // The newest comes first.
    let found = releases.iter().find(|release| is_good(release) && is_final(release));
    found.or_else(|| releases.iter().find(is_good)).or_else(|| releases.iter().find(is_final)).or(releases.first())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::DistFilename;
    use crate::simple::ProjectPage;
    use std::sync::Arc;

    fn part(index: &str, is_mirror: bool, files: &[(&str, Yanked)]) -> SeenPart {
        let mut page = ProjectPage::new(ProjectName::parse("demo").unwrap());
        page.files = files
            .iter()
            .map(|(name, yanked)| File {
                yanked: yanked.clone(),
                ..File::new(DistFilename::parse(name).unwrap(), String::new())
            })
            .collect();
        SeenPart { index: IndexName::parse(index).unwrap(), is_mirror, page: Arc::new(page) }
    }

    fn seen(parts: Vec<SeenPart>) -> Seen {
        Seen { parts, hidden: None, silent: Vec::new(), stale: Vec::new() }
    }

    fn releases<'a>(seen: &'a Seen, project: &ProjectName) -> Vec<Release<'a>> {
        arrange(&seen.parts, project).into_iter().map(|place| place.release(seen)).collect()
    }

    fn versions(releases: &[Release<'_>]) -> Vec<String> {
        releases.iter().map(|release| release.version.clone()).collect()
    }

    #[test]
    fn a_version_is_one_release_wherever_it_lies() {
        let seen = seen(vec![
            part("a/dev", false, &[("demo-1.0.zip", Yanked::Absent), ("demo-2.0rc1.zip", Yanked::Absent)]),
            part(
                "root/pypi",
                true,
                &[
                    ("demo-1.0.zip", Yanked::Absent),
                    ("demo-1.0.0-py3-none-any.whl", Yanked::Absent),
                    ("demo-0.9.zip", Yanked::Reason("broken".into())),
                    ("demo-dog.zip", Yanked::Absent),
                ],
            ),
        ]);
        let demo = ProjectName::parse("demo").unwrap();
        let found = releases(&seen, &demo);
        assert_eq!(versions(&found), ["2.0rc1", "1.0", "0.9", "dog"]);
        let one = meant(&found, "1.0.0").unwrap();
        assert_eq!(one.stages.iter().map(|staged| staged.version.as_str()).collect::<Vec<_>>(), ["1.0", "1.0"]);
        let files: Vec<_> =
            one.files().iter().map(|listed| (listed.index.to_string(), listed.hidden_by.is_some())).collect();
        assert_eq!(files, [("a/dev".into(), false), ("root/pypi".into(), true), ("root/pypi".into(), false)]);
        assert_eq!(meant(&found, "latest").unwrap().version, "2.0rc1");
        assert_eq!(meant(&found, "stable").unwrap().version, "1.0");
        assert_eq!(foremost(&found).unwrap().version, "1.0");
        assert!(meant(&found, "3").is_none());
        assert_eq!(meant(&found, "0.9").unwrap().yanked(), Some("broken"));
        assert_eq!(meant(&found, "dog").unwrap().yanked(), None);
    }

    #[test]
    fn what_is_yanked_is_foremost_only_where_there_is_nothing_else() {
        let demo = ProjectName::parse("demo").unwrap();
        let half = seen(vec![part(
            "a/dev",
            false,
            &[
                ("demo-2.0.zip", Yanked::Yes),
                ("demo-2.0-py3-none-any.whl", Yanked::Absent),
                ("demo-1.0.zip", Yanked::Absent),
            ],
        )]);
        assert_eq!(foremost(&releases(&half, &demo)).unwrap().version, "2.0", "one file can still be installed");
        let whole =
            seen(vec![part("a/dev", false, &[("demo-2.0.zip", Yanked::Yes), ("demo-1.0.zip", Yanked::Absent)])]);
        assert_eq!(foremost(&releases(&whole, &demo)).unwrap().version, "1.0");
        let all = seen(vec![part("a/dev", false, &[("demo-2.0.zip", Yanked::Yes)])]);
        assert_eq!(foremost(&releases(&all, &demo)).unwrap().version, "2.0");
        assert!(foremost(&releases(&seen(vec![]), &demo)).is_none());
    }
}
