use super::catalog::IndexEntry;
use super::errors::IndexError;
use super::keys::Content;
use super::pages::page_of;
use super::{House, Index};
use crate::metrics::Tier;
use crate::names::{IndexName, ProjectName, Sha256, Version};
use crate::rules::Hidden;
use crate::simple::ProjectPage;
use crate::store::{CachedOrder, CachedProject, FileRow};
use std::sync::Arc;

/// A project as it is seen through an index, for people: what installers see, and why they do not see more.
pub struct Seen {
    /// In the order in which they are asked.
    pub parts: Vec<SeenPart>,
    /// Why mirrors add nothing.
    pub hidden: Option<Hidden>,
    /// Mirrors that could not be asked, and of which nothing is known.
    pub silent: Vec<IndexName>,
    /// Mirrors that could not be asked; what is shown of them is what was last known.
    pub stale: Vec<IndexName>,
}

/// What one index has of a project.
#[derive(Clone)]
pub struct SeenPart {
    pub index: IndexName,
    pub is_mirror: bool,
    pub page: Arc<ProjectPage>,
}

/// A project of a stage as a list shows it.
pub struct StageProject {
    pub name: ProjectName,
    /// As its first release spelled it.
    pub display: String,
    /// The newest final version, or the newest of all.
    pub latest: Option<String>,
    pub releases: usize,
    /// When the last release came (Unix seconds).
    pub updated: Option<u64>,
    pub summary: Option<String>,
}

/// How a file of the cache was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheUse {
    /// How often it was served, as far as it is written down.
    pub times: u64,
    /// Last asked for (Unix seconds).
    pub last: u64,
}

impl Index {
    /// What there is of a project; [`IndexError::NotThere`] when nobody has it. A mirror that fails does not fail the
    /// page, as it must fail an installer's.
    pub async fn seen(&self, entry: &Arc<IndexEntry>, project: &ProjectName) -> Result<Seen, IndexError> {
        self.0.seen(entry, project).await
    }

    /// The projects of a stage whose name holds `part`: how many in all, and those of `range`.
    pub async fn stage_projects(
        &self,
        stage: &IndexName,
        part: &str,
        range: (usize, usize),
    ) -> Result<(u64, Vec<StageProject>), IndexError> {
        let private = &self.0.private;
        let (count, heads) = private.project_heads(stage, part, range).await?;
        let mut projects = Vec::with_capacity(heads.len());
        for head in heads {
            let latest = newest(head.releases.iter().map(|(version, _)| version.as_str())).map(str::to_owned);
            let summary = match &latest {
                Some(latest) => private.summary(stage, &head.name, latest).await?,
                None => None,
            };
            let updated = head.releases.iter().map(|(_, created)| *created).max();
            let releases = head.releases.len();
            projects.push(StageProject { name: head.name, display: head.display, latest, releases, updated, summary });
        }
        Ok((count, projects))
    }

    /// The projects of a mirror that the cache has files of, as [`Index::stage_projects`] tells them.
    pub async fn mirror_projects(
        &self,
        mirror: &IndexName,
        part: &str,
        order: CachedOrder,
        range: (usize, usize),
    ) -> Result<(u64, Vec<CachedProject>), IndexError> {
        Ok(self.0.store.cached_projects(mirror, part, order, range).await?)
    }

    /// Does the work for a page, on about `size` bytes, off the workers that answer requests: a long description takes
    /// tens of milliseconds to render.
    pub async fn apart<T: Send + 'static>(
        &self,
        size: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, IndexError> {
        self.0.blocking(size, work).await
    }

    /// How a file of the cache was used; none of one that is not in it.
    pub async fn cache_use(&self, digest: &Sha256) -> Result<Option<CacheUse>, IndexError> {
        let found = self.0.store.blob_use(digest).await?;
        Ok(found.map(|(times, last)| CacheUse { times, last }))
    }

    /// All that hangs on a release of a stage: files, documentation, results of tests.
    pub async fn hanging(
        &self,
        stage: &IndexName,
        project: &ProjectName,
        version: &str,
    ) -> Result<Vec<FileRow>, IndexError> {
        Ok(self.0.private.files_of_version(stage, project, version).await?)
    }
}

impl House {
    async fn seen(self: &Arc<Self>, entry: &Arc<IndexEntry>, project: &ProjectName) -> Result<Seen, IndexError> {
        let sources = self.sources(entry, project).await?;
        let mut seen = Seen { parts: Vec::new(), hidden: sources.hidden, silent: Vec::new(), stale: Vec::new() };
        for stage in sources.stages {
            if let Some(Content::Page(page)) = self.stage_content(&stage, project).await? {
                seen.parts.push(SeenPart { index: stage, is_mirror: false, page });
            }
        }
        for name in sources.mirrors {
            match self.mirror_page(&name, project).await {
                Ok((page, tier)) => {
                    if tier == Tier::Stale {
                        seen.stale.push(name.clone());
                    }
                    seen.parts.push(SeenPart { index: name, is_mirror: true, page });
                }
                Err(IndexError::UnknownProject(..)) => {}
                Err(why) => {
                    tracing::info!(index = %name, %why, "a page for people goes without a mirror");
                    seen.silent.push(name);
                }
            }
        }
        match seen.parts.is_empty() && seen.silent.is_empty() {
            true => Err(IndexError::NotThere(format!("no project '{project}'"))),
            false => Ok(seen),
        }
    }

    async fn mirror_page(
        self: &Arc<Self>,
        name: &IndexName,
        project: &ProjectName,
    ) -> Result<(Arc<ProjectPage>, Tier), IndexError> {
        let mirror = self.mirror(name)?;
        let document = page_of(name, project);
        let state = self.state(&document).await?;
        let tier = self.settle(&mirror, &document, &state, false).await?;
        match &*self.content_again(&mirror, &document, &state).await? {
            Content::Page(page) => Ok((Arc::clone(page), tier)),
            Content::Json(_) => Err(IndexError::Lost),
        }
    }
}

/// The newest final version, or where there is none the newest of all; what is no version (PEP 440) only where nothing
/// else is.
pub(super) fn newest<'a>(versions: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let key = |text: &&str| {
        let version: Option<Version> = text.parse().ok();
        (version.as_ref().is_some_and(|version| !version.any_prerelease()), version)
    };
    versions.max_by_key(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_final_where_it_can_be() {
        for (versions, expected) in [
            (&["1.0", "1.10", "1.9", "2.0rc1"][..], Some("1.10")),
            (&["1.0a1", "1.0b2"], Some("1.0b2")),
            (&["dog", "0.1.dev1"], Some("0.1.dev1")),
            (&["dog"], Some("dog")),
            (&[], None),
        ] {
            assert_eq!(newest(versions.iter().copied()), expected);
        }
    }
}
