use super::House;
use super::catalog::IndexEntry;
use super::errors::IndexError;
use super::keys::Content;
use super::pages::page_of;
use super::releases::Address as _;
use crate::names::{IndexName, ProjectName};
use crate::simple::{ProjectPage, RequiresPython, Yanked};
use crate::store::{DocumentKind, FileRow, Rel, ReleaseRow};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an index knows of one version of a project.
#[derive(Debug, Clone)]
pub struct VersionInfo {
    pub index: IndexName,
    pub version: String,
    /// Name, version and what the release says of itself, in devpi's keys.
    pub metadata: Map<String, Value>,
    pub links: Vec<Link>,
    /// The same version in indexes further down the order.
    pub shadowing: Vec<VersionInfo>,
}

/// A file that hangs on a version.
#[derive(Debug, Clone)]
pub struct Link {
    pub rel: Rel,
    /// `user/index/+f/…`, as it stands in a URL without its first slash.
    pub path: String,
    pub filename: String,
    pub sha256: Option<crate::names::Sha256>,
    /// Unix seconds, where the file is ours.
    pub modified: Option<u64>,
    /// Its history, where it has one.
    pub log: Option<Value>,
    /// What it is a result for.
    pub for_path: Option<String>,
}

impl House {
    /// All versions of a project, as they are seen through an index (devpi: GET `/{user}/{index}/{project}`).
    pub(super) async fn project_info(
        self: &Arc<Self>,
        entry: &Arc<IndexEntry>,
        project: &ProjectName,
        ignore_bases: bool,
    ) -> Result<BTreeMap<String, VersionInfo>, IndexError> {
        let mut found: BTreeMap<String, VersionInfo> = BTreeMap::new();
        let mut known = false;
        let sources = self.sources(entry, project).await?;
        let here = |name: &&IndexName| !ignore_bases || **name == entry.name;
        for stage in sources.stages.iter().filter(here) {
            let infos = self.stage_infos(stage, project).await?;
            known |= !infos.is_empty();
            infos.into_iter().for_each(|info| add(&mut found, info));
        }
        for name in sources.mirrors.iter().filter(here) {
            let mirror = self.mirror(name)?;
            let document = page_of(name, project);
            let state = self.state(&document).await?;
            match self.settle(&mirror, &document, &state, false).await {
                Ok(_) => {}
                Err(IndexError::UnknownProject(..)) => continue,
                Err(why) if known => {
                    tracing::warn!(index = %name, %why, "the releases of a base are left out");
                    continue;
                }
                Err(why) => return Err(why),
            }
            known = true;
            if let Content::Page(page) = &*self.content_again(&mirror, &document, &state).await? {
                mirror_infos(name, page).into_iter().for_each(|info| add(&mut found, info));
            }
        }
        match known {
            true => Ok(found),
            // The bases have it, and the index itself has nothing of it (devpi answers an empty object).
            false if ignore_bases && Box::pin(self.project_info(entry, project, false)).await.is_ok() => Ok(found),
            false => Err(IndexError::NotThere(format!("no project '{project}'"))),
        }
    }

    /// What one index itself has of one version.
    pub(super) async fn version_here(
        self: &Arc<Self>,
        entry: &Arc<IndexEntry>,
        project: &ProjectName,
        version: &str,
    ) -> Result<Option<VersionInfo>, IndexError> {
        let mut infos = match self.project_info(entry, project, true).await {
            Ok(infos) => infos,
            Err(IndexError::NotThere(_)) => return Ok(None),
            Err(why) => return Err(why),
        };
        Ok(infos.remove(version))
    }

    async fn stage_infos(&self, stage: &IndexName, project: &ProjectName) -> Result<Vec<VersionInfo>, IndexError> {
        let releases = self.private.releases(stage, project).await?;
        let files = self.private.files(stage, project).await?;
        Ok(releases.into_iter().map(|release| stage_info(stage, release, &files)).collect())
    }

    /// The names of the projects that an index itself has; of a mirror those that were ever asked for, since the whole
    /// list of PyPI helps nobody who reads it.
    pub(super) async fn project_names(&self, entry: &IndexEntry) -> Result<Vec<String>, IndexError> {
        if entry.is_stage() {
            let projects = self.private.projects(&entry.name).await?;
            return Ok(projects.into_iter().filter(|row| row.releases > 0).map(|row| row.name.to_string()).collect());
        }
        self.asked_names(&entry.name).await
    }

    /// The names of a mirror's projects that were ever asked for, in order.
    pub(super) async fn asked_names(&self, mirror: &IndexName) -> Result<Vec<String>, IndexError> {
        // First those that are being saved: what is saved meanwhile is in the database then.
        let mut names = self.states.unsaved_pages(mirror);
        names.extend(self.store.document_names(mirror, DocumentKind::Page).await?);
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }
}

fn add(found: &mut BTreeMap<String, VersionInfo>, info: VersionInfo) {
    match found.get_mut(&info.version) {
        Some(first) => first.shadowing.push(info),
        None => drop(found.insert(info.version.clone(), info)),
    }
}

fn stage_info(stage: &IndexName, release: ReleaseRow, files: &[FileRow]) -> VersionInfo {
    let mut metadata = release.metadata;
    metadata.entry("name").or_insert_with(|| release.project.as_str().into());
    metadata.entry("version").or_insert_with(|| release.version.clone().into());
    // In the order in which they came.
    let links: Vec<_> = files.iter().filter(|file| file.version == release.version).collect();
    let yanked: Vec<_> = links.iter().filter(|file| file.rel == Rel::Releasefile).map(|f| &f.yanked).collect();
    if let [Some(reason), ..] = yanked.as_slice()
        && yanked.iter().all(|yanked| yanked.is_some())
    {
        metadata.insert("yanked".to_owned(), if reason.is_empty() { true.into() } else { reason.clone().into() });
    }
    let links = links.into_iter().map(|file| link_of(stage, file)).collect();
    VersionInfo { index: stage.clone(), version: release.version, metadata, links, shadowing: Vec::new() }
}

pub(super) fn link_of(stage: &IndexName, file: &FileRow) -> Link {
    let tested = |(digest, name): &(crate::names::Sha256, String)| {
        format!("{stage}/+f/{}/{name}", digest.prefix().directories())
    };
    Link {
        rel: file.rel,
        path: format!("{stage}/+f/{}/{}", file.directory().directories(), file.filename),
        filename: file.filename.clone(),
        sha256: Some(file.sha256),
        modified: u64::try_from(file.uploaded / 1_000_000).ok(),
        log: Some(file.log.clone().into()),
        for_path: file.for_file.as_ref().map(tested),
    }
}

fn mirror_infos(index: &IndexName, page: &ProjectPage) -> Vec<VersionInfo> {
    let mut infos: Vec<VersionInfo> = Vec::new();
    let mut at: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    for file in page.files_offered() {
        let Some(version) = file.filename.version_text(&page.name) else { continue };
        let slot = *at.entry(version.to_owned()).or_insert_with(|| {
            let metadata = json!({ "name": page.name.as_str(), "version": version });
            infos.push(VersionInfo {
                index: index.clone(),
                version: version.to_owned(),
                metadata: metadata.as_object().cloned().unwrap_or_default(),
                links: Vec::new(),
                shadowing: Vec::new(),
            });
            infos.len() - 1
        });
        let Some(info) = infos.get_mut(slot) else { continue };
        if let RequiresPython::Specifier(specifier) = &file.requires_python {
            info.metadata.insert("requires_python".to_owned(), (&**specifier).into());
        }
        match &file.yanked {
            Yanked::Yes => drop(info.metadata.insert("yanked".to_owned(), true.into())),
            Yanked::Reason(reason) => drop(info.metadata.insert("yanked".to_owned(), reason.clone().into())),
            Yanked::Absent | Yanked::No => {}
        }
        info.links.push(Link {
            rel: Rel::Releasefile,
            path: format!("{index}/{}", file.path()),
            filename: file.filename.to_string(),
            sha256: file.sha256,
            modified: None,
            log: None,
            for_path: None,
        });
    }
    infos
}
