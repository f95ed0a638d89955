use super::House;
use super::basis::{Basis, Marks};
use super::body::FileBody;
use super::catalog::{IndexEntry, IndexKind};
use super::errors::IndexError;
use super::files::{FileAnswer, FileAsk, FileFacts, KnownFile, answer, choose, chosen};
use super::keys::{Content, FileKey, Key, Place, Value};
use super::mirror::Mirror;
use super::pages::{PageAnswer, PageAsk, from_memory, page_of};
use super::releases::Address as _;
use super::render::{PagePart, RenderedPage};
use crate::cache::{DiskFile, Shelf};
use crate::http::RangeAnswer;
use crate::metrics::Tier;
use crate::names::{DistFilename, IndexName, ProjectName, Sha256};
use crate::rules::{self, Sources};
use crate::simple::{CoreMetadata, File, ProjectPage, RequiresPython, Yanked};
use crate::store::{FileRow, Rel, ReleaseRow};
use std::sync::Arc;

/// What the stages and mirrors behind an index have of a project.
pub(super) struct Gathered {
    pub(super) basis: Basis,
    pub(super) parts: Vec<PagePart>,
    pub(super) tier: Tier,
}

impl House {
    /// Where a project may come from through an index: the one rule for pages, files, metadata and the API.
    pub(super) async fn sources(&self, entry: &IndexEntry, project: &ProjectName) -> Result<Sources, IndexError> {
        let catalog = self.catalog();
        let order = catalog.order(entry);
        let stages: Vec<_> =
            order.iter().filter(|(_, settings)| !settings.is_mirror()).map(|(name, _)| name.clone()).collect();
        let owners = self.private.owners(project, &stages).await?;
        Ok(rules::sources(&order, project, |name| owners.contains(name)))
    }

    /// What a page of a project is made from, and the index as it is then. Read before the data; the index after the
    /// picture's version, or a page by its settings of before would be current.
    fn basis(&self, name: &IndexName, project: &ProjectName) -> Result<(Basis, Arc<IndexEntry>), IndexError> {
        let mut basis = Basis::default();
        basis.catalog(&self.catalog_version);
        let catalog = self.catalog();
        let entry = catalog.index(name).cloned().ok_or_else(|| IndexError::UnknownIndex(name.clone()))?;
        for name in &entry.order {
            if let Some(IndexKind::Stage(marks)) = catalog.index(name).map(|entry| &entry.kind) {
                basis.stage(marks, project.as_str());
            }
        }
        Ok((basis, entry))
    }

    /// Asks all sources of a project; [`IndexError::UnknownProject`] when none has it. A mirror that cannot be asked
    /// and never was fails the whole: a page that silently lacks releases would make installers choose others.
    pub(super) async fn gather(
        self: &Arc<Self>,
        index: &IndexName,
        project: &ProjectName,
        no_cache: bool,
    ) -> Result<Gathered, IndexError> {
        let (mut basis, entry) = self.basis(index, project)?;
        let sources = self.sources(&entry, project).await?;
        let (mut parts, mut tier) = (Vec::new(), Tier::Disk);
        for stage in &sources.stages {
            if let Some(page) = self.stage_content(stage, project).await? {
                parts.push(PagePart { index: stage.clone(), content: Arc::new(page), shown: None });
            }
        }
        for name in &sources.mirrors {
            let mirror = self.mirror(name)?;
            let document = page_of(name, project);
            let state = self.state(&document).await?;
            let settled = self.settle(&mirror, &document, &state, no_cache).await;
            basis.document(&state);
            match settled {
                Ok(settled) => {
                    let content = self.content_again(&mirror, &document, &state).await?;
                    let shown = self.shown(&mirror, &content).await?;
                    parts.push(PagePart { index: name.clone(), content, shown });
                    tier = worse(tier, settled);
                }
                Err(IndexError::UnknownProject(..)) => {}
                // Offline, what is not stored is not there; a stage's own releases still are.
                Err(IndexError::Offline(_)) if !parts.is_empty() => {}
                Err(why) => return Err(why),
            }
        }
        if parts.is_empty() {
            return Err(IndexError::UnknownProject(entry.name.clone(), project.clone()));
        }
        Ok(Gathered { basis, parts, tier })
    }

    /// The journey of a stage's page: memory is looked at before; what was gathered may still be what is held.
    pub(super) async fn stage_page(
        self: &Arc<Self>,
        entry: &Arc<IndexEntry>,
        ask: PageAsk,
        held: Option<Arc<RenderedPage>>,
    ) -> Result<PageAnswer, IndexError> {
        let project = ProjectName::parse(&ask.page.document.name)?;
        let Gathered { basis, parts, tier } = self.gather(&entry.name, &project, ask.no_cache).await?;
        if let Some(page) = held.filter(|page| page.basis.agrees(&basis)) {
            return Ok(PageAnswer { page, tier: from_memory(tier) });
        }
        let (house, key, number) = (Arc::clone(self), ask.page.clone(), basis.number());
        let call = || async move { house.cook(key, basis, parts).await };
        let page = self.renders.join((ask.page, number), call).await.unwrap_or(Err(IndexError::Lost))?;
        Ok(PageAnswer { page, tier })
    }

    /// What a stage itself has of a project, as a page.
    pub(super) async fn stage_content(
        &self,
        stage: &IndexName,
        project: &ProjectName,
    ) -> Result<Option<Content>, IndexError> {
        let files = self.private.files(stage, project).await?;
        let releases = self.private.releases(stage, project).await?;
        if releases.is_empty() && !files.iter().any(|file| file.rel == Rel::Releasefile) {
            return Ok(None);
        }
        Ok(Some(Content::Page(Arc::new(self.page_of_stage(stage, project, &releases, &files)))))
    }

    fn page_of_stage(
        &self,
        stage: &IndexName,
        project: &ProjectName,
        releases: &[ReleaseRow],
        files: &[FileRow],
    ) -> ProjectPage {
        let mut page = ProjectPage::new(project.clone());
        page.api_version = crate::simple::ApiVersion::NEWEST;
        let mut versions: Vec<_> = releases.iter().map(|release| release.version.clone()).collect();
        versions.sort_by_cached_key(|version| super::releases::version_key(version));
        page.versions = Some(versions);
        let released = files.iter().filter(|file| file.rel == Rel::Releasefile);
        page.files = released.filter_map(|row| self.file_of_stage(stage, row)).collect();
        page
    }

    fn file_of_stage(&self, stage: &IndexName, row: &FileRow) -> Option<File> {
        let mut file = File::new(DistFilename::parse(&row.filename).ok()?, String::new());
        file.sha256 = Some(row.sha256);
        file.size = Some(row.size);
        file.upload_time = Some(super::stamps::upload_time(row.uploaded));
        file.requires_python = row
            .requires_python
            .as_deref()
            .map_or(RequiresPython::Absent, |said| RequiresPython::Specifier(said.into()));
        file.yanked = match row.yanked.as_deref() {
            None => Yanked::Absent,
            Some("") => Yanked::Yes,
            Some(reason) => Yanked::Reason(reason.to_owned()),
        };
        file.core_metadata = match row.metadata {
            Some((digest, _)) => CoreMetadata::Sha256(digest),
            None => CoreMetadata::Absent,
        };
        // PEP 740 wants an absolute URL, and a page names no host but the one that the settings name.
        if let (Some(base), Some(_)) = (&self.public_url, &row.attestations) {
            file.provenance = serde_json::Value::from(format!("{base}/{stage}/{}.provenance", file.path())).into();
        }
        Some(file)
    }

    /// The journey of a file asked of a stage: its own, those of its bases, then the mirrors that the rules let it ask.
    pub(super) async fn stage_file(
        self: &Arc<Self>,
        entry: &Arc<IndexEntry>,
        marks: &Arc<Marks>,
        ask: FileAsk,
    ) -> Result<FileAnswer, IndexError> {
        match self.find_in_stages(entry, marks, &ask.file).await? {
            Found::Own(row, basis) => self.own_file(&ask, &row, basis).await,
            Found::Mirrors(mirrors) => {
                let from = |house: Arc<Self>, ask: FileAsk| async move { Box::pin(house.file(ask)).await };
                self.from_mirrors(entry, mirrors, &ask, from).await
            }
        }
    }

    /// The same of a wheel's metadata.
    pub(super) async fn stage_metadata(
        self: &Arc<Self>,
        entry: &Arc<IndexEntry>,
        marks: &Arc<Marks>,
        ask: FileAsk,
    ) -> Result<FileAnswer, IndexError> {
        match self.find_in_stages(entry, marks, &ask.file).await? {
            Found::Own(row, _) => self.own_metadata(&ask, &row).await,
            Found::Mirrors(mirrors) => {
                let from = |house: Arc<Self>, ask: FileAsk| async move { Box::pin(house.metadata(ask)).await };
                self.from_mirrors(entry, mirrors, &ask, from).await
            }
        }
    }

    async fn find_in_stages(&self, entry: &IndexEntry, marks: &Arc<Marks>, key: &FileKey) -> Result<Found, IndexError> {
        let projects = key.filename.projects();
        // Before the row is read, so that a removal in between is not missed. A row's project is one of these, or
        // (`demo-1.0.zip` of another spelling) the memory is not used.
        let bases: Vec<_> = projects
            .iter()
            .map(|project| {
                let mut basis = Basis::default();
                basis.stage(marks, project.as_str());
                (project.clone(), basis)
            })
            .collect();
        if let Some(row) = self.own_row(&entry.name, key).await? {
            let basis = bases.into_iter().find(|(project, _)| *project == row.project).map(|(_, basis)| basis);
            return Ok(Found::Own(Box::new(row), basis));
        }
        let mut mirrors: Vec<IndexName> = Vec::new();
        for project in projects {
            let sources = self.sources(entry, &project).await?;
            for stage in sources.stages.iter().filter(|stage| **stage != entry.name) {
                if let Some(row) = self.own_row(stage, key).await?.filter(|row| row.project == project) {
                    return Ok(Found::Own(Box::new(row), None));
                }
            }
            // A file belongs to one of its name's readings: as long as one of them is closed, none is asked upstream.
            if sources.hidden.is_some() && sources.mirrors.is_empty() {
                return Err(self.no_file(entry, key).await);
            }
            mirrors.extend(sources.mirrors.into_iter().filter(|name| !mirrors.contains(name)).collect::<Vec<_>>());
        }
        if mirrors.is_empty() {
            return Err(self.no_file(entry, key).await);
        }
        Ok(Found::Mirrors(mirrors))
    }

    async fn from_mirrors<F>(
        self: &Arc<Self>,
        entry: &IndexEntry,
        mirrors: Vec<IndexName>,
        ask: &FileAsk,
        from: impl Fn(Arc<Self>, FileAsk) -> F,
    ) -> Result<FileAnswer, IndexError>
    where
        F: Future<Output = Result<FileAnswer, IndexError>>,
    {
        let mut trouble = None;
        for index in mirrors {
            let file = FileKey { index, ..ask.file.clone() };
            match from(Arc::clone(self), FileAsk { file, ..ask.clone() }).await {
                Err(IndexError::UnknownFile(..) | IndexError::UnknownProject(..)) => {}
                Err(why) => trouble = Some(why),
                answer => return answer,
            }
        }
        match trouble {
            Some(why) => Err(why),
            None => Err(self.no_file(entry, &ask.file).await),
        }
    }

    async fn own_row(&self, index: &IndexName, key: &FileKey) -> Result<Option<FileRow>, IndexError> {
        let Place::Digest(prefix) = &key.place else { return Ok(None) };
        let row = self.private.file(index, key.filename.as_str()).await?;
        let Some(row) = row else { return Ok(None) };
        let here = row.sha256.prefix() == *prefix
            || self.was_at(index, key.filename.as_str(), &key.place, &row.sha256).await?;
        Ok(here.then_some(row))
    }

    async fn no_file(&self, entry: &IndexEntry, key: &FileKey) -> IndexError {
        match self.private.was_deleted(&entry.name, key.filename.as_str()).await {
            Ok(gone) if gone.iter().any(|digest| key.place == Place::Digest(digest.prefix())) => {
                IndexError::Deleted(format!("the file {} was deleted from {}", key.filename, entry.name))
            }
            Ok(_) => IndexError::UnknownFile(entry.name.clone(), key.filename.to_string()),
            Err(why) => why.into(),
        }
    }

    async fn own_file(
        self: &Arc<Self>,
        ask: &FileAsk,
        row: &FileRow,
        basis: Option<Basis>,
    ) -> Result<FileAnswer, IndexError> {
        let unknown = || IndexError::UnknownFile(ask.file.index.clone(), row.filename.clone());
        let facts = Arc::new(FileFacts::of_stage(row, basis).ok_or_else(unknown)?);
        let disk = self.whole_private(&row.sha256, row.size, &row.filename).await?;
        let known = match self.memory.get(&Key::File(ask.file.clone())) {
            Some(Value::File(known)) if known.facts.is_current() && known.digest == Some(row.sha256) => known,
            _ => Arc::new(KnownFile::new(Arc::clone(&facts), Some(row.sha256), None, None)),
        };
        // Without a basis nobody would tell the memory of a removal.
        if known.facts.basis.is_some() {
            self.memory.insert(Key::File(ask.file.clone()), Value::File(Arc::clone(&known)));
            self.consider_memory(None, &ask.file, &known, row.sha256, disk.len);
        }
        let part = choose(ask, Some(row.sha256), Some(disk.len));
        let body = FileBody::disk(&disk, chosen(&part, disk.len));
        let answer = answer(&facts, Some(row.sha256), disk.len, part, body, Tier::Disk);
        Ok(FileAnswer { heads: Some(known), ..answer })
    }

    async fn own_metadata(&self, ask: &FileAsk, row: &FileRow) -> Result<FileAnswer, IndexError> {
        let name = || format!("{}.metadata", row.filename);
        let Some((digest, size)) = row.metadata else { return Err(IndexError::NoMetadata(row.filename.to_string())) };
        let disk = self.whole_private(&digest, size, &name()).await?;
        let part = choose(ask, Some(digest), Some(disk.len));
        Ok(FileAnswer::of_private(&disk, digest, part))
    }

    /// A file of ours, verified once in this run before the first byte leaves; a damaged one is set aside.
    pub(super) async fn whole_private(&self, digest: &Sha256, size: u64, name: &str) -> Result<DiskFile, IndexError> {
        let damaged = || IndexError::Damaged(name.to_owned());
        let file = match self.disk.get_on(Shelf::Private, digest)? {
            Some(file) => file,
            // On its way into an index of ours.
            None => self.disk.get(digest)?.ok_or_else(damaged)?,
        };
        if file.verified && file.len == size {
            return Ok(file);
        }
        // Not in the kitchen: reading gigabytes there would hold up every page.
        let _turn = self.checking.acquire().await.map_err(|_| IndexError::Lost)?;
        let (disk, wanted) = (Arc::clone(&self.disk), *digest);
        let verified = tokio::task::spawn_blocking(move || {
            // Who waited for the turn finds that another has checked it.
            if let Some(again) = disk.get(&wanted)?.filter(|again| again.verified && again.len == size) {
                return Ok(Some(again));
            }
            let whole = file.len == size && disk.verify(&wanted, &file, |_| ())?;
            Ok::<_, IndexError>(whole.then_some(DiskFile { verified: true, ..file }))
        });
        match verified.await.map_err(|_| IndexError::Lost)?? {
            Some(file) => Ok(file),
            None => {
                self.set_aside(digest).await;
                Err(damaged())
            }
        }
    }

    pub(super) async fn toxresult(&self, key: &FileKey, stamp: &str) -> Result<FileAnswer, IndexError> {
        let name = format!("{}{stamp}", key.filename);
        let unknown = || IndexError::UnknownFile(key.index.clone(), name.clone());
        let row = self.private.file(&key.index, &name).await?.ok_or_else(unknown)?;
        let here = matches!(&key.place, Place::Digest(prefix) if row.directory() == *prefix);
        if !here && !self.was_at(&key.index, &name, &key.place, &row.sha256).await? {
            return Err(unknown());
        }
        let disk = self.whole_private(&row.sha256, row.size, &name).await?;
        Ok(FileAnswer::of_private(&disk, row.sha256, RangeAnswer::Whole))
    }

    pub(super) async fn provenance(&self, key: &FileKey) -> Result<String, IndexError> {
        let none = || IndexError::NotThere(format!("there is no provenance of {}", key.filename));
        let row = self.own_row(&key.index, key).await?.ok_or_else(none)?;
        let attestations = row.attestations.ok_or_else(none)?;
        // Who published is not proved to us: a bundle without a publisher says so.
        Ok(format!(
            "{{\"version\":1,\"attestation_bundles\":[{{\"publisher\":null,\"attestations\":{attestations}}}]}}\n"
        ))
    }

    /// Whether a name is kept from this mirror.
    pub(super) fn is_reserved(mirror: &Mirror, project: &str) -> bool {
        ProjectName::parse(project.split('/').next().unwrap_or_default()).is_ok_and(|name| mirror.reserves(&name))
    }
}

enum Found {
    /// A stage has it; the basis is known where the stage is the one that was asked.
    Own(Box<FileRow>, Option<Basis>),
    /// These may have it.
    Mirrors(Vec<IndexName>),
}

/// Of two tiers the one that tells more of what is not as it should be.
fn worse(one: Tier, other: Tier) -> Tier {
    let rank = |tier: Tier| match tier {
        Tier::Memory => 0,
        Tier::Disk => 1,
        Tier::Flight => 2,
        Tier::Miss => 3,
        Tier::Stale => 4,
    };
    if rank(other) > rank(one) { other } else { one }
}
