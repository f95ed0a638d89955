use super::House;
use super::accounts::{allowed, quoted};
use super::catalog::{IndexEntry, IndexKind};
use super::errors::IndexError;
use super::files::{FileAsk, FileFacts};
use super::info::{Link, VersionInfo};
use super::keys::{FileKey, Place};
use super::releases::Address as _;
use super::stamps::log_entry;
use crate::names::{DistFilename, IndexName, ProjectName, Sha256};
use crate::rules::{self, Subject};
use crate::store::{FileRow, Publication, PublishedAll, Rel, ReleaseRow};
use crate::upstream::{Origin, Posted, Publish};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// A wish to promote a release (devpi: PUSH `/{user}/{index}`).
pub struct PushAsk {
    pub project: ProjectName,
    /// The name as the client spells it.
    pub name: String,
    pub version: String,
    /// Which of the version's files go: releases and results, documentation, or all.
    pub files: bool,
    pub docs: bool,
}

/// Another server, spoken to as twine does.
pub struct PushTarget {
    pub url: url::Url,
    pub username: String,
    pub password: crate::config::Secret,
    pub register: bool,
}

/// How often a mirror's file is fetched again because the cache evicted it before it was on the shelf.
const FETCHES_MAX: u32 = 3;

/// How often, and after how many milliseconds each, it is looked for the digest of a file that has just arrived: the
/// books are kept after those who wait for its bytes were told.
const LOOKS_MAX: u32 = 100;
const LOOK_EVERY_MS: u64 = 20;

/// What was done, a line for each step: a status, and words (devpi's `actionlog`).
pub type ActionLog = Vec<Vec<Value>>;

/// A push that came to its end; the last status tells how.
pub struct Pushed {
    pub log: ActionLog,
    pub ok: bool,
}

impl House {
    /// Copies a release into another index: rows that point to the same bytes, all in one transaction.
    pub(super) async fn push(
        self: &Arc<Self>,
        subject: &Subject,
        source: &IndexName,
        ask: PushAsk,
        target: &IndexName,
    ) -> Result<Pushed, IndexError> {
        let from = self.readable(subject, source)?;
        let info = self.pushed_version(&from, &ask).await?;
        self.may_push(subject, target)?;
        let mut named = Vec::new();
        let publications = match self.promoted(subject, &from, &ask, &info, target, &mut named).await {
            Ok(publications) => publications,
            Err(why) => {
                let _shelf = self.shelf.lock().await;
                self.disown(named).await;
                return Err(why);
            }
        };
        let mut log: ActionLog = vec![vec![
            200.into(),
            "register".into(),
            ask.name.clone().into(),
            ask.version.clone().into(),
            "->".into(),
            target.as_str().into(),
        ]];
        for Publication { file, .. } in &publications {
            let path = format!("{target}/+f/{}/{}", file.directory().directories(), file.filename);
            log.push(match file.rel {
                Rel::Releasefile => vec![200.into(), "store_releasefile".into(), path.into()],
                Rel::Toxresult => vec![200.into(), "store_toxresult".into(), path.into()],
                Rel::Doczip => vec![
                    200.into(),
                    "store_doczip".into(),
                    ask.name.clone().into(),
                    ask.version.clone().into(),
                    "->".into(),
                    target.as_str().into(),
                ],
            });
        }
        Ok(Pushed { log, ok: true })
    }

    /// Whether the subject may push to the index (devpi answers 401 to whoever may not).
    fn may_push(&self, subject: &Subject, target: &IndexName) -> Result<Arc<IndexEntry>, IndexError> {
        let to = self.entry(target)?;
        let user = subject.user().map_or_else(|| "None".to_owned(), |user| quoted(user.as_str()));
        let cannot = format!("user {user} cannot upload to {}", quoted(target.as_str()));
        let verdict = match &to.kind {
            IndexKind::Stage(_) => rules::may_upload(subject, target, &to.settings),
            IndexKind::Mirror(_) => return Err(IndexError::Unproved(cannot)),
        };
        allowed(verdict, || cannot.clone()).map_err(|_| IndexError::Unproved(cannot))?;
        Ok(to)
    }

    /// Gathers the files and publishes them. `named` gathers what was put on the shelf: the caller disowns it when this
    /// fails.
    async fn promoted(
        self: &Arc<Self>,
        subject: &Subject,
        from: &Arc<IndexEntry>,
        ask: &PushAsk,
        info: &VersionInfo,
        target: &IndexName,
        named: &mut Vec<Sha256>,
    ) -> Result<Vec<Publication>, IndexError> {
        let mut rows = Vec::new();
        for link in ordered(&info.links, ask) {
            let mut again = 0..FETCHES_MAX;
            rows.push(loop {
                let kept = async {
                    let row = self.pushed_file(subject, from, ask, info, link, target).await?;
                    self.keep(from, &row, named).await.map(|()| row)
                };
                match kept.await {
                    // Evicted before it was on the shelf.
                    Err(IndexError::Damaged(_)) if !from.is_stage() && again.next().is_some() => {}
                    kept => break kept?,
                }
            });
        }
        let _shelf = self.shelf.lock().await;
        // Fetching may have taken long.
        let to = self.may_push(subject, target)?;
        let mut publications = Vec::new();
        let mut before = Vec::new();
        for row in rows {
            // The bytes may have been removed while we looked; under the lock they stay.
            for digest in row.digests() {
                named.push(digest);
                self.pinned(&digest, &row.filename).await?;
            }
            before.extend(self.private.file(target, &row.filename).await?.map(|there| there.project));
            let release = ReleaseRow {
                index: target.clone(),
                project: ask.project.clone(),
                version: ask.version.clone(),
                metadata: info.metadata.clone(),
                created: self.clock.unix(),
            };
            publications.push(Publication { release, file: row, volatile: to.volatile() });
        }
        match self.private.publish_all(&publications).await? {
            PublishedAll::Stored { unreferenced, .. } => {
                to.changed(&ask.project);
                before.iter().for_each(|project| to.changed(project));
                self.unreferenced(unreferenced).await;
                Ok(publications)
            }
            PublishedAll::Conflict { filename } => {
                Err(IndexError::Conflict(format!("{filename} already exists in non-volatile index")))
            }
        }
    }

    /// Puts a mirror's file and its metadata on the shelf as soon as they are here: a cache smaller than the release
    /// would evict the first file for the last.
    async fn keep(&self, from: &IndexEntry, row: &FileRow, named: &mut Vec<Sha256>) -> Result<(), IndexError> {
        if from.is_stage() {
            return Ok(());
        }
        let _shelf = self.shelf.lock().await;
        for digest in row.digests() {
            named.push(digest);
            self.pinned(&digest, &row.filename).await?;
        }
        Ok(())
    }

    /// Uploads a release to another server, as twine would.
    pub(super) async fn push_outside(
        self: &Arc<Self>,
        subject: &Subject,
        source: &IndexName,
        ask: PushAsk,
        target: &PushTarget,
    ) -> Result<Pushed, IndexError> {
        if *subject == Subject::Anonymous {
            return Err(IndexError::NeedsLogin("no permission to push to another server".to_owned()));
        }
        let from = self.readable(subject, source)?;
        let info = self.pushed_version(&from, &ask).await?;
        let fields = form_of(&info.metadata);
        let mut log: ActionLog = Vec::new();
        if target.register {
            let publish = Publish {
                url: &target.url,
                listed: self.may_push_to(&target.url),
                username: &target.username,
                password: target.password.expose(),
                fields: with_action(&fields, "submit", &[]),
                file: None,
            };
            let posted = self.maker.clients.publish(publish).await;
            let (status, _) = told(&posted);
            log.push(vec![status.into(), "register".into(), ask.name.clone().into(), ask.version.clone().into()]);
            if !matches!(status, 200 | 201 | 410) {
                return Ok(Pushed { log, ok: false });
            }
        }
        for link in ordered(&info.links, &ask).into_iter().filter(|link| link.rel != Rel::Toxresult) {
            let row = self.pushed_file(subject, &from, &ask, &info, link, source).await?;
            let disk = self.disk.get(&row.sha256)?.ok_or_else(|| IndexError::Damaged(row.filename.clone()))?;
            let docs = row.rel == Rel::Doczip;
            let (filename, fields) = match docs {
                true => (format!("{}.zip", ask.name), with_action(&fields, "doc_upload", &[])),
                false => {
                    let (pyversion, filetype) = kind_of(&row.filename);
                    let digest = row.sha256.to_hex();
                    let more =
                        [("filetype", filetype), ("pyversion", pyversion.as_str()), ("sha256_digest", digest.as_str())];
                    (row.filename.clone(), with_action(&fields, "file_upload", &more))
                }
            };
            let publish = Publish {
                url: &target.url,
                listed: self.may_push_to(&target.url),
                username: &target.username,
                password: target.password.expose(),
                fields,
                file: Some((filename, disk.file, disk.len)),
            };
            let posted = self.maker.clients.publish(publish).await;
            let (status, text) = told(&posted);
            log.push(match docs {
                true => vec![status.into(), "docfile".into(), ask.name.clone().into()],
                false => vec![status.into(), "upload".into(), link.path.clone().into(), text.into()],
            });
        }
        let last = log.last().and_then(|line| line.first()).and_then(Value::as_i64);
        Ok(Pushed { ok: matches!(last, Some(200 | 201)), log })
    }

    fn may_push_to(&self, url: &url::Url) -> bool {
        Origin::of(url).is_ok_and(|origin| self.push_origins.contains(&origin))
    }

    async fn pushed_version(
        self: &Arc<Self>,
        from: &Arc<IndexEntry>,
        ask: &PushAsk,
    ) -> Result<VersionInfo, IndexError> {
        let Some(info) = self.version_here(from, &ask.project, &ask.version).await? else {
            let sentence = format!("there are no files for {} {} on stage {}", ask.name, ask.version, from.name);
            return Err(IndexError::Invalid(sentence));
        };
        if ordered(&info.links, ask).is_empty() {
            return Err(IndexError::NotThere(format!("no release/files found for {} {}", ask.name, ask.version)));
        }
        Ok(info)
    }

    /// The row that a link becomes in the target, its bytes being here and verified.
    async fn pushed_file(
        self: &Arc<Self>,
        subject: &Subject,
        from: &Arc<IndexEntry>,
        ask: &PushAsk,
        info: &VersionInfo,
        link: &Link,
        target: &IndexName,
    ) -> Result<FileRow, IndexError> {
        let now = self.clock.unix();
        let entry = log_entry("push", subject, now, Some(&from.name), Some(target));
        let row = match &from.kind {
            IndexKind::Stage(_) => self.private.file(&from.name, &link.filename).await?,
            IndexKind::Mirror(_) => Some(self.mirrored_row(from, ask, info, link).await?),
        };
        let mut row = row.ok_or_else(|| IndexError::NotThere(format!("{} is gone", link.filename)))?;
        self.whole_private(&row.sha256, row.size, &row.filename).await?;
        row.log.retain(|line| line.get("what").and_then(Value::as_str) != Some("overwrite"));
        row.log.push(entry);
        row.index = target.clone();
        Ok(row)
    }

    /// A mirror's file as a row of ours: fetched whole, and its metadata with it.
    async fn mirrored_row(
        self: &Arc<Self>,
        from: &Arc<IndexEntry>,
        ask: &PushAsk,
        info: &VersionInfo,
        link: &Link,
    ) -> Result<FileRow, IndexError> {
        let filename = DistFilename::parse(&link.filename)
            .map_err(|why| IndexError::Invalid(format!("{}: {why}", link.filename)))?;
        let place = match link.sha256 {
            Some(sha256) => Place::Digest(sha256.prefix()),
            None => Place::Link(directory_of(&link.path).into()),
        };
        let key = FileKey { index: from.name.clone(), place, filename: filename.clone() };
        let file = FileAsk { file: key, range: None, if_range: None, head_only: false };
        let (facts, sha256, size) = self.fetched_whole(&file).await?;
        let metadata = match self.metadata(file).await {
            Ok(answer) => self.kept_metadata(answer).await?,
            Err(_) => None,
        };
        Ok(FileRow {
            index: from.name.clone(),
            filename: link.filename.clone(),
            rel: Rel::Releasefile,
            project: ask.project.clone(),
            version: ask.version.clone(),
            sha256,
            size,
            uploaded: facts.modified.unwrap_or_else(|| self.clock.unix()) as i64 * 1_000_000,
            requires_python: info.metadata.get("requires_python").and_then(Value::as_str).map(str::to_owned),
            metadata,
            yanked: None,
            attestations: None,
            log: Vec::new(),
            for_file: None,
        })
    }

    /// Fetches a mirror's file to its end, whoever waits for it.
    async fn fetched_whole(self: &Arc<Self>, ask: &FileAsk) -> Result<(Arc<FileFacts>, Sha256, u64), IndexError> {
        let mirror = self.mirror(&ask.file.index)?;
        let known = self.known(&mirror, &ask.file).await?;
        let facts = Arc::clone(&known.facts);
        if let Some(digest) = known.digest
            && let Some(file) = self.on_disk(&digest, facts.size).await
            && file.verified
        {
            return Ok((facts, digest, file.len));
        }
        if self.offline && !known.digest.is_some_and(|digest| self.disk.has(&digest)) {
            return Err(IndexError::Offline(facts.filename.to_string()));
        }
        let (flight, _) = self.lead_or_follow(&mirror, &ask.file, &facts, known.digest);
        let len = flight.done().await.map_err(|why| super::files::file_error(&facts, why))?;
        let digest = match facts.sha256 {
            Some(digest) => Some(digest),
            None => self.digest_in_books(&mirror.name, &facts).await?,
        };
        Ok((facts, digest.ok_or(IndexError::Lost)?, len))
    }

    /// The digest of a file that upstream lists without one, and that has just arrived.
    async fn digest_in_books(&self, mirror: &IndexName, facts: &FileFacts) -> Result<Option<Sha256>, IndexError> {
        for _ in 0..LOOKS_MAX {
            if let Some((digest, _)) = self.store.unhashed(mirror, facts.url.as_str()).await? {
                return Ok(Some(digest));
            }
            tokio::time::sleep(Duration::from_millis(LOOK_EVERY_MS)).await;
        }
        Ok(None)
    }

    /// Puts a mirror's metadata where ours lies.
    async fn kept_metadata(&self, answer: super::FileAnswer) -> Result<Option<(Sha256, u64)>, IndexError> {
        let (Some(digest), total) = (answer.digest, answer.total) else { return Ok(None) };
        Ok(self.disk.has(&digest).then_some((digest, total)))
    }

    /// Makes sure that bytes lie on the shelf from which nothing is evicted; the caller holds its lock.
    async fn pinned(&self, digest: &Sha256, name: &str) -> Result<(), IndexError> {
        let (disk, digest) = (Arc::clone(&self.disk), *digest);
        let pinned = tokio::task::spawn_blocking(move || disk.link_private(&digest)).await;
        match pinned.map_err(|_| IndexError::Lost)?? {
            Some(_) => Ok(()),
            None => Err(IndexError::Damaged(name.to_owned())),
        }
    }
}

/// The links that go, in devpi's order: releases by name, each with its test results, then documentation.
fn ordered<'a>(links: &'a [Link], ask: &PushAsk) -> Vec<&'a Link> {
    let of = |rel: Rel| {
        let mut found: Vec<_> = links.iter().filter(|link| link.rel == rel).collect();
        found.sort_by(|a, b| a.filename.cmp(&b.filename));
        found
    };
    let mut all = Vec::new();
    if ask.files {
        for release in of(Rel::Releasefile) {
            all.push(release);
            let results = of(Rel::Toxresult).into_iter();
            all.extend(results.filter(|link| link.for_path.as_deref() == Some(release.path.as_str())));
        }
    }
    if ask.docs {
        // A version has one; an older spelling of it stays behind.
        all.extend(of(Rel::Doczip).into_iter().next_back());
    }
    all
}

fn directory_of(path: &str) -> String {
    path.rsplit('/').nth(1).unwrap_or_default().to_owned()
}

/// What is known of a release as the fields of a form; lists repeat.
fn form_of(metadata: &Map<String, Value>) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    for (key, value) in metadata {
        match value {
            Value::Array(values) => {
                fields.extend(values.iter().filter_map(Value::as_str).map(|text| (key.clone(), text.to_owned())));
            }
            Value::String(text) if !text.is_empty() => fields.push((key.clone(), text.clone())),
            _ => {}
        }
    }
    fields
}

fn with_action(fields: &[(String, String)], action: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let head = [(":action", action), ("protocol_version", "1")];
    let pairs = head.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    pairs.chain(fields.iter().cloned()).collect()
}

/// `pyversion` and `filetype` of the upload form.
fn kind_of(filename: &str) -> (String, &'static str) {
    match DistFilename::parse(filename) {
        Ok(name) => match name.wheel_tags() {
            Some((python, _, _)) => (python.to_owned(), "bdist_wheel"),
            None => ("source".to_owned(), "sdist"),
        },
        Err(_) => ("source".to_owned(), "sdist"),
    }
}

fn told(posted: &Result<Posted, crate::upstream::FetchError>) -> (i64, String) {
    match posted {
        Ok(Posted { status: status @ (200 | 201), .. }) => (i64::from(*status), String::new()),
        Ok(Posted { status, text }) => (i64::from(*status), text.clone()),
        Err(why) => (-1, why.to_string()),
    }
}
