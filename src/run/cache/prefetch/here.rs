use super::super::{index, open};
use crate::cache::has_cached;
use crate::cli::CachePrefetch;
use crate::config::Config;
use crate::index::page_of;
use crate::names::{DistFilename, IndexName, Sha256};
use crate::prefetch::{NotFound, Target, Wish, choose};
use crate::run::{RunError, human, say};
use crate::simple::{self, File, ProjectPage};
use crate::store::{DocumentKey, DocumentKind, PRIVATE_FILE, Private, Store};
use std::collections::HashSet;
use std::path::Path;

/// `sidewheel cache prefetch --check`: whether everything is here, by what is stored alone: nobody is asked.
pub(super) async fn check(
    config: &Config,
    options: &CachePrefetch,
    wishes: &[Wish],
    target: &Target,
) -> Result<(), RunError> {
    if options.index_url.is_some() {
        let sentence = "what is here is seen in the data directory; give --data, not --index-url".to_owned();
        return Err(RunError::Usage(sentence));
    }
    let data = &config.cache.data;
    let store = open(config).await?;
    let private = match data.join(PRIVATE_FILE).is_file() {
        true => Some(Private::open(data).await?),
        false => None,
    };
    let shelves = Shelves {
        data,
        keys: store.document_keys().await?,
        cached: store.blob_digests().await?.into_iter().collect(),
        store,
        private,
        default: index(Some(&options.index))?,
    };
    let (mut files, mut missing) = (0, Vec::new());
    for wish in wishes {
        files += shelves.look(wish, target, options.all_files, &mut missing).await?;
    }
    shelves.close().await;
    if missing.is_empty() {
        say(&format!("all is here: {}", human::count(files, "file", "files")));
        return Ok(());
    }
    missing.sort();
    missing.dedup();
    let count = human::count(missing.len() as u64, "thing is", "things are");
    let lines: Vec<_> = missing.into_iter().map(|what| format!("  {what}")).collect();
    Err(RunError::Incomplete(format!("{count} not here:\n{}", lines.join("\n"))))
}

/// What is stored.
struct Shelves<'a> {
    data: &'a Path,
    store: Store,
    private: Option<Private>,
    keys: Vec<DocumentKey>,
    cached: HashSet<Sha256>,
    default: Option<IndexName>,
}

impl Shelves<'_> {
    /// How many files of a wish are here; what is not is added to `missing`.
    async fn look(&self, wish: &Wish, target: &Target, all: bool, missing: &mut Vec<String>) -> Result<u64, RunError> {
        let Some(index) = wish.index.as_ref().or(self.default.as_ref()) else { return Ok(0) };
        let (own, own_digests) = self.own(index, wish).await?;
        let stored = self.stored(index, wish).await?;
        if own.is_empty() && stored.is_none() {
            missing.push(format!("{}: its page", wish.project));
            return Ok(0);
        }
        let (key, mut page) = match stored {
            Some((key, page)) => (Some(key), page),
            None => (None, ProjectPage::new(wish.project.clone())),
        };
        // A stage's own files hide the mirror's of the same name.
        page.files.retain(|file| own.iter().all(|mine| mine.filename != file.filename));
        page.files.extend(own);
        let (found, not_listed) = choose(&page, wish, target, all);
        missing.extend(not_listed.iter().map(NotFound::to_string));
        let mut here = 0;
        for file in found {
            let digest = match (file.sha256, &key) {
                (None, Some(key)) => self.store.unhashed(&key.index, &file.url).await?.map(|(digest, _)| digest),
                (digest, _) => digest,
            };
            let is_here = |digest: Sha256| {
                own_digests.contains(&digest) || (self.cached.contains(&digest) && has_cached(self.data, &digest))
            };
            match digest.is_some_and(is_here) {
                true => here += 1,
                false => missing.push(file.filename.to_string()),
            }
        }
        Ok(here)
    }

    /// What a stage itself has of a project.
    async fn own(&self, index: &IndexName, wish: &Wish) -> Result<(Vec<File>, HashSet<Sha256>), RunError> {
        let Some(private) = &self.private else { return Ok(Default::default()) };
        let (mut files, mut digests) = (Vec::new(), HashSet::new());
        for row in private.files(index, &wish.project).await? {
            if let Ok(filename) = DistFilename::parse(&row.filename) {
                let mut file = File::new(filename, String::new());
                file.sha256 = Some(row.sha256);
                digests.insert(row.sha256);
                files.push(file);
            }
        }
        Ok((files, digests))
    }

    /// The stored page of a project: the index's, or, as a stage has none, that of a mirror that it may draw from.
    async fn stored(&self, index: &IndexName, wish: &Wish) -> Result<Option<(DocumentKey, ProjectPage)>, RunError> {
        let exact = page_of(index, &wish.project);
        let others = self.keys.iter().filter(|key| key.kind == DocumentKind::Page && key.name == exact.name);
        let mut keys: Vec<_> = others.cloned().collect();
        keys.sort_by_key(|key| key.index != exact.index);
        let Some(key) = keys.into_iter().next() else { return Ok(None) };
        let Some(document) = self.store.document(&key).await? else { return Ok(None) };
        Ok(simple::from_stored(&document.body).ok().map(|page| (key, page)))
    }

    async fn close(&self) {
        self.store.close().await;
        if let Some(private) = &self.private {
            private.close().await;
        }
    }
}
