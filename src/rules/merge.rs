use crate::names::{DistFilename, IndexName, ProjectName, Version};
use crate::simple::{ApiVersion, File, ProjectPage, Told, ToldFiles};
use std::collections::HashSet;
use std::str::FromStr;
use std::sync::Arc;

/// One project's pages at several indexes, as the page of the index that was asked. Keeps the pages and copies none of
/// their files; [`told`](Self::told) is what is rendered.
#[derive(Debug, Clone)]
pub struct MergedPage {
    name: ProjectName,
    asked: IndexName,
    /// Those that contribute, in the order of the indexes.
    pages: Vec<(IndexName, Arc<ProjectPage>)>,
    /// Filled when there are several pages.
    picked: Vec<Picked>,
    /// As `picked`.
    versions: Option<Vec<String>>,
}

/// A file: which page, and which file of it.
#[derive(Debug, Clone, Copy)]
struct Picked {
    page: u32,
    file: u32,
}

/// Merges the pages of `project`, given in the order of their indexes, for the index `asked`.
///
/// Of two files with one name the first index's is taken. A quarantined page (PEP 792) contributes nothing, unless it
/// is the only one. Status, serial and unknown keys are one index's statements about its own page: they pass only
/// when one page contributes.
pub fn merge(project: &ProjectName, pages: Vec<(IndexName, Arc<ProjectPage>)>, asked: &IndexName) -> MergedPage {
    let mut merged = MergedPage {
        name: project.clone(),
        asked: asked.clone(),
        pages: contributing(pages),
        picked: Vec::new(),
        versions: None,
    };
    if merged.pages.len() > 1 {
        merged.picked = pick(&merged.pages);
        merged.versions = versions(project, &merged.pages);
    }
    merged
}

impl MergedPage {
    /// Whether no page contributes anything: the project is not there.
    pub fn is_missing(&self) -> bool {
        self.pages.is_empty()
    }

    /// The page for rendering.
    pub fn told(&self) -> Told<'_> {
        if let [(index, page)] = self.pages.as_slice() {
            let mut told = Told::from(page.as_ref());
            if *index != self.asked {
                told.files = ToldFiles::Placed(page.files_offered().iter().map(|file| (file, Some(index))).collect());
            }
            return told;
        }
        Told {
            api_version: self.told_api_version(),
            versions: self.versions.as_deref(),
            files: ToldFiles::Placed(
                self.files().map(|(index, file)| (file, Some(index).filter(|index| **index != self.asked))).collect(),
            ),
            ..Told::new(&self.name)
        }
    }

    /// The files in order, each with the index that has it.
    pub fn files(&self) -> impl Iterator<Item = (&IndexName, &File)> {
        let only = if let [only] = self.pages.as_slice() { Some(only) } else { None };
        let all = only.into_iter().flat_map(|(index, page)| page.files_offered().iter().map(move |file| (index, file)));
        all.chain(self.picked.iter().filter_map(|picked| {
            let (index, page) = self.pages.get(picked.page as usize)?;
            Some((index, page.files.get(picked.file as usize)?))
        }))
    }

    /// As [`ProjectPage::told_api_version`], for what is left of several pages.
    fn told_api_version(&self) -> ApiVersion {
        let complete = self.pages.iter().all(|(_, page)| page.versions.is_some())
            && self.files().all(|(_, file)| file.size.is_some());
        let oldest = self.pages.iter().map(|(_, page)| page.api_version.min(ApiVersion::NEWEST)).min();
        oldest.filter(|_| complete).unwrap_or(ApiVersion::OLDEST)
    }
}

/// The pages that say something which is told. When all are silent, the first stays: a project without files is
/// another answer than no project.
fn contributing(pages: Vec<(IndexName, Arc<ProjectPage>)>) -> Vec<(IndexName, Arc<ProjectPage>)> {
    let first = pages.first().cloned();
    let speaks = |page: &ProjectPage| {
        let some_version = page.versions.as_ref().is_some_and(|versions| !versions.is_empty());
        page.status() != Some("quarantined") && (some_version || !page.files.is_empty())
    };
    let speaking: Vec<_> = pages.into_iter().filter(|(_, page)| speaks(page)).collect();
    if speaking.is_empty() { first.into_iter().collect() } else { speaking }
}

fn pick(pages: &[(IndexName, Arc<ProjectPage>)]) -> Vec<Picked> {
    let mut picked = Vec::with_capacity(pages.iter().map(|(_, page)| page.files.len()).sum());
    let mut seen: HashSet<&DistFilename> = HashSet::new();
    for (number, (_, page)) in (0..).zip(pages) {
        for (at, file) in (0..).zip(&page.files) {
            if !seen.contains(&file.filename) {
                picked.push(Picked { page: number, file: at });
            }
        }
        // A page has each name once, and nothing comes after the last page, which is the mirror's with its thousands.
        if (number as usize) + 1 < pages.len() {
            seen.extend(page.files.iter().map(|file| &file.filename));
        }
    }
    picked
}

/// All versions that the pages state, and for a page that states none those of its files; none when no page does.
fn versions(project: &ProjectName, pages: &[(IndexName, Arc<ProjectPage>)]) -> Option<Vec<String>> {
    if pages.iter().all(|(_, page)| page.versions.is_none()) {
        return None;
    }
    let mut versions = Versions::default();
    for (_, page) in pages {
        match &page.versions {
            Some(stated) => stated.iter().for_each(|version| versions.add(version)),
            None => {
                let stated = page.files.iter().filter_map(|file| file.filename.version(project));
                stated.for_each(|version| versions.add(&version.to_string()));
            }
        }
    }
    Some(versions.texts)
}

/// Versions in the order of their coming, each once, whatever its spelling.
#[derive(Default)]
struct Versions {
    texts: Vec<String>,
    known: HashSet<Version>,
    unreadable: HashSet<String>,
}

impl Versions {
    fn add(&mut self, text: &str) {
        let is_new = match Version::from_str(text) {
            Ok(version) => self.known.insert(version),
            Err(_) => self.unreadable.insert(text.to_owned()),
        };
        if is_new {
            self.texts.push(text.to_owned());
        }
    }
}

impl<'a> From<&'a MergedPage> for Told<'a> {
    fn from(page: &'a MergedPage) -> Self {
        page.told()
    }
}
