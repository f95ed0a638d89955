//! What is searched is kept behind the requests: a change notes a project's name, and a task makes its line anew.

use super::House;
use super::browse::newest;
use super::catalog::IndexKind;
use super::errors::IndexError;
use super::keys::{Content, Key, Value};
use super::pages::page_of;
use crate::names::{IndexName, ProjectName, Sha256};
use crate::simple::{self, MetadataFile, PageError, ProjectPage};
use crate::store::{DocumentKey, KnownRow, ReleaseRow};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// After a start, so that what is asked for first is not held up.
pub(super) const AFTER_START: Duration = Duration::from_millis(100);

/// Changes that come together are seen to together.
const GATHER: Duration = Duration::from_millis(50);

/// How often it is looked whether names that are held were not searched for long.
const ROUND: Duration = Duration::from_secs(30);

/// Lines that are made in one go and written in one transaction.
const PIECE: usize = 50;

/// Between two of them, so that a new index of thousands of projects leaves the machine to others.
const PAUSE: Duration = Duration::from_millis(5);

/// Longest summary and keywords that are kept, and longest classifiers together, in bytes.
const TEXT_BYTES_MAX: usize = 500;
const CLASSIFIERS_BYTES_MAX: usize = 4_000;

impl House {
    /// Runs until the house is gone.
    pub(super) async fn keep_known(self: Arc<Self>) {
        let (weak, news): (Weak<Self>, _) = (Arc::downgrade(&self), Arc::clone(&self.news));
        drop(self);
        tokio::time::sleep(AFTER_START).await;
        let mut told = None;
        if let Some(house) = weak.upgrade() {
            told = house.compare_known().await.inspect_err(|why| house.disk_trouble(why)).ok();
            news.is_busy(false);
        }
        loop {
            let woken = tokio::time::timeout(ROUND, news.wake.notified()).await.is_ok();
            if woken {
                tokio::time::sleep(GATHER).await;
            }
            let Some(house) = weak.upgrade().filter(|house| !house.stopping()) else { return };
            house.forget_idle_names();
            if !woken {
                continue;
            }
            news.is_busy(true);
            if let Err(why) = house.learn(&mut told).await {
                // What was not learned is found by the comparison of the next start.
                told = None;
                house.disk_trouble(&why);
            }
            drop(house);
            news.is_busy(false);
        }
    }

    /// Makes the lines of what has changed. `told`: up to where the database has heard of changes, if it is known.
    async fn learn(self: &Arc<Self>, told: &mut Option<(String, u64)>) -> Result<(), IndexError> {
        // Under the shelf's lock nobody has written a change and not yet noted it.
        let (state, waiting) = {
            let _shelf = self.shelf.lock().await;
            let (serial, uuid) = self.private.identity().await?;
            ((uuid, serial), self.news.take())
        };
        if waiting.too_many {
            *told = Some(self.compare_known().await?);
            return Ok(());
        }
        let projects: Vec<_> = waiting.projects.into_iter().collect();
        for piece in projects.chunks(PIECE) {
            self.know(piece).await?;
        }
        if told.as_ref().is_some_and(|told| *told != state) {
            self.store.put_known_state(&state.0, state.1).await?;
            *told = Some(state);
        }
        Ok(())
    }

    /// Compares what is searched with what there is: after a start, in the background, in pieces. Where nothing has
    /// changed since the last time it is three questions to the database.
    async fn compare_known(self: &Arc<Self>) -> Result<(String, u64), IndexError> {
        let (serial, uuid) = self.private.identity().await?;
        let catalog = self.catalog();
        let indexes: Vec<_> = catalog.indexes.keys().cloned().collect();
        self.store.tidy_known(&indexes).await?;
        let state = (uuid, serial);
        if self.store.known_state().await?.as_ref() != Some(&state) {
            for stage in catalog.indexes.values().filter(|entry| entry.is_stage()) {
                self.compare_stage(&stage.name).await?;
            }
            self.store.put_known_state(&state.0, state.1).await?;
        }
        loop {
            let pages = self.store.unknown_pages(PIECE).await?;
            // Where none of them can be read the rest is left for the next start.
            if pages.is_empty() || self.know(&pages).await? == 0 || self.stopping() {
                return Ok(state);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn compare_stage(self: &Arc<Self>, stage: &IndexName) -> Result<(), IndexError> {
        let known = self.store.known_names(stage).await?.into_iter().map(|name| (stage.clone(), name));
        let there = self.private.projects(stage).await?.into_iter().filter(|project| project.releases > 0);
        let there = there.map(|project| (stage.clone(), project.name));
        let all: std::collections::BTreeSet<_> = known.chain(there).collect();
        let all: Vec<_> = all.into_iter().collect();
        for piece in all.chunks(PIECE) {
            self.know(piece).await?;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Makes the lines of these projects, or forgets those that are gone; how many there are.
    async fn know(self: &Arc<Self>, projects: &[(IndexName, ProjectName)]) -> Result<usize, IndexError> {
        let (mut rows, mut gone) = (Vec::new(), Vec::new());
        for (index, project) in projects {
            match self.known_of(index, project).await? {
                Some(row) => rows.push(row),
                None => gone.push((index.clone(), project.clone())),
            }
        }
        self.store.put_known(&rows).await?;
        self.store.forget_known(&gone).await?;
        self.spellings.changed();
        Ok(rows.len())
    }

    async fn known_of(
        self: &Arc<Self>,
        index: &IndexName,
        project: &ProjectName,
    ) -> Result<Option<KnownRow>, IndexError> {
        let Ok(entry) = self.entry(index) else { return Ok(None) };
        match &entry.kind {
            IndexKind::Stage(_) => self.known_of_stage(index, project).await,
            IndexKind::Mirror(mirror) if mirror.reserves(project) => Ok(None),
            IndexKind::Mirror(_) => self.known_of_mirror(index, project).await,
        }
    }

    async fn known_of_stage(&self, index: &IndexName, project: &ProjectName) -> Result<Option<KnownRow>, IndexError> {
        let releases = self.private.releases(index, project).await?;
        let Some(changed) = releases.iter().map(|release| release.created).max() else { return Ok(None) };
        let mut offered: BTreeMap<&str, bool> = BTreeMap::new();
        let files = self.private.files(index, project).await?;
        for file in files.iter().filter(|file| file.rel == crate::store::Rel::Releasefile) {
            *offered.entry(&file.version).or_default() |= file.yanked.is_none();
        }
        let versions = || releases.iter().map(|release| release.version.as_str());
        let standing = versions().filter(|version| offered.get(version).copied().unwrap_or(true));
        let latest = newest(standing).or_else(|| newest(versions())).map(str::to_owned);
        let said = |release: &&ReleaseRow| Some(&release.version) == latest.as_ref();
        let metadata = releases.iter().find(said).map(|release| &release.metadata);
        let text = |key: &str| match metadata.and_then(|metadata| metadata.get(key)) {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(serde_json::Value::Array(texts)) => {
                texts.iter().filter_map(serde_json::Value::as_str).collect::<Vec<_>>().join("\n")
            }
            _ => String::new(),
        };
        Ok(Some(KnownRow {
            index: index.clone(),
            project: project.clone(),
            basis: None,
            releases: releases.len() as u64,
            changed,
            summary: short(&text("summary"), TEXT_BYTES_MAX),
            keywords: short(&text("keywords"), TEXT_BYTES_MAX),
            classifiers: short(&text("classifiers"), CLASSIFIERS_BYTES_MAX),
            version: latest,
        }))
    }

    async fn known_of_mirror(
        self: &Arc<Self>,
        index: &IndexName,
        project: &ProjectName,
    ) -> Result<Option<KnownRow>, IndexError> {
        let document = page_of(index, project);
        let Some((basis, fetched, page)) = self.stored_page(&document).await? else { return Ok(None) };
        let told = tokio::task::spawn_blocking(move || Told::of(&page)).await.map_err(|_| IndexError::Lost)?;
        let mut row = KnownRow {
            index: index.clone(),
            project: project.clone(),
            basis: Some(basis),
            version: told.latest,
            releases: told.releases,
            changed: told.changed.unwrap_or(fetched),
            summary: String::new(),
            keywords: String::new(),
            classifiers: String::new(),
        };
        if let Some(said) = self.newest_metadata(index, project).await? {
            let all = |name: &str| said.all(name).collect::<Vec<_>>().join("\n");
            row.summary = short(&all("Summary"), TEXT_BYTES_MAX);
            row.keywords = short(&all("Keywords"), TEXT_BYTES_MAX);
            row.classifiers = short(&all("Classifier"), CLASSIFIERS_BYTES_MAX);
        }
        Ok(Some(row))
    }

    /// A page as it is stored, out of the memory where that has it: with its digest and when it was fetched.
    async fn stored_page(&self, document: &DocumentKey) -> Result<Option<(Sha256, u64, Arc<ProjectPage>)>, IndexError> {
        let Some((stored, body)) = self.store.packed_document(document).await? else { return Ok(None) };
        let (digest, fetched, size) = (stored.digest, stored.fetched, body.about());
        if let Some(Value::Content(content)) = self.memory.get(&Key::Content(document.clone(), digest))
            && let Content::Page(page) = &*content
        {
            return Ok(Some((digest, fetched, Arc::clone(page))));
        }
        let read = move || simple::read_stored(body.read().map_err(PageError::ReadPage)?);
        let read = self.blocking(size, read).await?;
        Ok(read.ok().map(|page| (digest, fetched, Arc::new(page))))
    }

    /// What the newest wheel whose metadata is here says of itself.
    async fn newest_metadata(
        &self,
        index: &IndexName,
        project: &ProjectName,
    ) -> Result<Option<MetadataFile>, IndexError> {
        let rows = self.store.project_metadata(index, project).await?;
        let version = |filename: &str| {
            let filename = crate::names::DistFilename::parse(filename).ok()?;
            let version = filename.version(project)?;
            Some((!version.any_prerelease(), version))
        };
        let Some(row) = rows.into_iter().max_by_key(|row| version(&row.filename)) else { return Ok(None) };
        let Some(bytes) = self.verified_bytes(&row).await else { return Ok(None) };
        Ok(MetadataFile::parse(&bytes).ok())
    }
}

/// What a mirror's page tells of a project.
struct Told {
    latest: Option<String>,
    releases: u64,
    changed: Option<u64>,
}

impl Told {
    fn of(page: &ProjectPage) -> Self {
        let mut versions: BTreeMap<String, (bool, Option<&str>)> = BTreeMap::new();
        for file in page.files_offered() {
            let Some(version) = file.filename.version_text(&page.name) else { continue };
            let (standing, came) = versions.entry(version).or_default();
            *standing |= !file.yanked.is_yanked();
            // As they are written the later one is the larger one.
            *came = (*came).max(file.upload_time.as_deref());
        }
        let all = || versions.keys().map(String::as_str);
        let standing = all().filter(|version| versions.get(*version).is_some_and(|(standing, _)| *standing));
        let latest = newest(standing).or_else(|| newest(all())).map(str::to_owned);
        let came = latest.as_ref().and_then(|latest| versions.get(latest)).and_then(|(_, came)| *came);
        Self { releases: versions.len() as u64, changed: came.and_then(super::stamps::unix_of), latest }
    }
}

/// A text of others, on one line and not longer than `max` bytes.
fn short(text: &str, max: usize) -> String {
    let line = simple::one_line(text);
    line.get(..line.floor_char_boundary(max)).unwrap_or_default().to_owned()
}
