use super::House;
use super::basis::Basis;
use super::catalog::IndexKind;
use super::errors::IndexError;
use super::keys::{Base, Content, Key, PageKey, Value};
use super::mirror::Mirror;
use super::render::RenderedPage;
use super::states::DocumentState;
use crate::fresh::{Decision, Known};
use crate::metrics::Tier;
use crate::names::{IndexName, ProjectName};
use crate::simple::{self, PageError};
use crate::store::{Document, DocumentKey, DocumentKind, Packed};
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

/// A wish for a page.
pub struct PageAsk {
    pub page: PageKey,
    /// The client will not have what is held without asking upstream (`Cache-Control: no-cache`).
    pub no_cache: bool,
}

pub struct PageAnswer {
    pub page: Arc<RenderedPage>,
    pub tier: Tier,
}

/// How long a client waits for upstream while there is an older page to give it. The refresh goes on without it.
const REFRESH_PATIENCE: Duration = Duration::from_secs(3);

/// What a refresh came to.
#[derive(Clone)]
pub(super) enum Refreshed {
    /// There is a page, confirmed or new.
    Page,
    Missing,
    Failed(IndexError),
}

impl House {
    /// The journey of a page: memory, the stored page if it is fresh, else one shared refresh; upstream's failure is
    /// the stored page, marked stale.
    pub(super) async fn page(self: &Arc<Self>, ask: PageAsk) -> Result<PageAnswer, IndexError> {
        let held = self.held(&ask.page);
        if let Some(page) = held.as_ref().filter(|page| !ask.no_cache && self.is_good(page)) {
            return Ok(PageAnswer { page: Arc::clone(page), tier: Tier::Memory });
        }
        let document = &ask.page.document;
        let entry = self.entry(&document.index)?;
        let mirror = match &entry.kind {
            IndexKind::Mirror(mirror) => mirror,
            IndexKind::Stage(_) => return self.stage_page(&entry, ask, held).await,
        };
        let state = self.state(document).await?;
        state.wish(&ask.page);
        let tier = self.settle(mirror, document, &state, ask.no_cache).await?;
        match held.filter(|page| page.basis.agrees(&Basis::of(&state))) {
            Some(page) => Ok(PageAnswer { page, tier: from_memory(tier) }),
            None => Ok(PageAnswer { page: self.rendered(mirror, &ask.page, &state).await?, tier }),
        }
    }

    /// Whether a page that is held may be sent without asking anybody.
    fn is_good(&self, page: &RenderedPage) -> bool {
        page.basis.is_current() && page.basis.is_fresh(self.clock.ticks())
    }

    pub(super) fn held(&self, key: &PageKey) -> Option<Arc<RenderedPage>> {
        match self.memory.get(&Key::Page(key.clone())) {
            Some(Value::Page(page)) => Some(page),
            _ => None,
        }
    }

    /// What is known of a document, from memory or from the database.
    pub(super) async fn state(&self, document: &DocumentKey) -> Result<Arc<DocumentState>, IndexError> {
        if let Some(state) = self.states.get(document) {
            return Ok(state);
        }
        let stored = self.store.packed_document(document).await?.map(|(stored, _)| stored);
        let ttl_ms = self.mirror(&document.index)?.ttl_ms;
        Ok(self.states.get_or_make(document, stored.as_ref(), ttl_ms))
    }

    /// Sees to it that there is something to render, as fresh as it can be, and says where it came from.
    pub(super) async fn settle(
        self: &Arc<Self>,
        mirror: &Arc<Mirror>,
        document: &DocumentKey,
        state: &Arc<DocumentState>,
        no_cache: bool,
    ) -> Result<Tier, IndexError> {
        // Not even what was stored before the name was reserved.
        if Self::is_reserved(mirror, &document.name) {
            return Err(missing(document));
        }
        let known = state.known();
        if self.offline {
            return match known.stored {
                Some(_) => Ok(Tier::Disk),
                None => Err(IndexError::Offline(document.name.to_string())),
            };
        }
        let absent = known.entry.known() == Known::Absent;
        match state.decide(self.clock.ticks(), no_cache) {
            Decision::Fresh if absent => Err(missing(document)),
            Decision::Fresh => Ok(Tier::Disk),
            // An absence that ran out is nothing to give: it would be a 404 that nobody knows to be true.
            Decision::Stale if !absent => Ok(Tier::Stale),
            Decision::ServeThenRevalidate => {
                state.revalidating();
                self.start_refresh(mirror, document, no_cache);
                Ok(Tier::Disk)
            }
            Decision::Revalidate if known.entry.known() == Known::Page => {
                let refresh = self.refresh(mirror, document, no_cache);
                match tokio::time::timeout(REFRESH_PATIENCE, refresh).await {
                    Ok((Refreshed::Page, tier)) => Ok(tier),
                    Ok((Refreshed::Missing, _)) => Err(missing(document)),
                    Ok((Refreshed::Failed(_), _)) | Err(_) => Ok(Tier::Stale),
                }
            }
            Decision::Stale | Decision::Revalidate | Decision::Missing => {
                match self.refresh(mirror, document, no_cache).await {
                    (Refreshed::Page, tier) => Ok(tier),
                    (Refreshed::Missing, _) => Err(missing(document)),
                    (Refreshed::Failed(why), _) => Err(why),
                }
            }
        }
    }

    fn start_refresh(self: &Arc<Self>, mirror: &Arc<Mirror>, document: &DocumentKey, no_cache: bool) {
        let (house, mirror, key) = (Arc::clone(self), Arc::clone(mirror), document.clone());
        drop(self.refreshes.start(document.clone(), || async move { house.fetch(&mirror, &key, no_cache).await }));
    }

    /// One refresh for all who ask at once; the tier tells who began it.
    async fn refresh(
        self: &Arc<Self>,
        mirror: &Arc<Mirror>,
        document: &DocumentKey,
        no_cache: bool,
    ) -> (Refreshed, Tier) {
        let mut tier = Tier::Flight;
        let (house, mirror, key) = (Arc::clone(self), Arc::clone(mirror), document.clone());
        let call = || {
            tier = Tier::Miss;
            async move { house.fetch(&mirror, &key, no_cache).await }
        };
        let refreshed = self.refreshes.join(document.clone(), call).await;
        (refreshed.unwrap_or(Refreshed::Failed(IndexError::Lost)), tier)
    }

    /// The content of a document that is stored, or on its way there.
    pub(super) async fn content(
        &self,
        document: &DocumentKey,
        state: &DocumentState,
    ) -> Result<Option<Arc<Content>>, IndexError> {
        if let Some(latest) = state.latest()
            && let Some(Value::Content(content)) = self.memory.get(&Key::Content(document.clone(), latest))
        {
            return Ok(Some(content));
        }
        if let Some(content) = state.unsaved() {
            return Ok(Some(content));
        }
        let Some((Document { digest, .. }, body)) = self.store.packed_document(document).await? else {
            return Ok(None);
        };
        let kind = document.kind;
        let content = self.blocking(body.about(), move || unpack(kind, &body)).await?;
        // A row that cannot be read is no page: it is fetched again.
        let Ok(content) = content else { return Ok(None) };
        let content = Arc::new(content);
        self.memory.insert(Key::Content(document.clone(), digest), Value::Content(Arc::clone(&content)));
        Ok(Some(content))
    }

    /// The page of a project as it is known, asking upstream when there is none or when `newer` demands it: for those
    /// who look for a file in it. [`Tier::Stale`] says that upstream should have been asked and could not be.
    pub(super) async fn project(
        self: &Arc<Self>,
        mirror: &Arc<Mirror>,
        project: &ProjectName,
        newer: bool,
    ) -> Result<(Arc<Content>, Tier), IndexError> {
        let document = page_of(&mirror.name, project);
        let state = self.state(&document).await?;
        let have = state.latest().is_some();
        let tier = match !have || newer || Self::is_reserved(mirror, &document.name) {
            true => self.settle(mirror, &document, &state, newer).await?,
            false => Tier::Disk,
        };
        Ok((self.content_again(mirror, &document, &state).await?, tier))
    }

    /// The content of a document; fetched anew when what is stored of it is gone or cannot be read.
    pub(super) async fn content_again(
        self: &Arc<Self>,
        mirror: &Arc<Mirror>,
        document: &DocumentKey,
        state: &DocumentState,
    ) -> Result<Arc<Content>, IndexError> {
        // The first refresh may be one that ran already, and confirms what cannot be read.
        for _ in 0..2 {
            if let Some(content) = self.content(document, state).await? {
                return Ok(content);
            }
            if self.offline {
                return Err(IndexError::Offline(document.name.to_string()));
            }
            state.lost();
            match self.refresh(mirror, document, false).await.0 {
                Refreshed::Failed(why) => return Err(why),
                Refreshed::Missing => return Err(missing(document)),
                Refreshed::Page => {}
            }
        }
        self.content(document, state).await?.ok_or(IndexError::Lost)
    }
}

fn unpack(kind: DocumentKind, body: &Packed) -> Result<Content, PageError> {
    let mut plain = body.read().map_err(PageError::ReadPage)?;
    if kind == DocumentKind::LegacyJson {
        let mut whole = Vec::new();
        plain.read_to_end(&mut whole).map_err(PageError::ReadPage)?;
        return Ok(Content::Json(whole.into()));
    }
    Ok(Content::Page(Arc::new(simple::read_stored(plain)?)))
}

/// What a body that was held counts as, when what it is made from was looked up again.
pub(super) fn from_memory(tier: Tier) -> Tier {
    if tier == Tier::Disk { Tier::Memory } else { tier }
}

/// The key of a project's page.
pub fn page_of(index: &IndexName, project: &ProjectName) -> DocumentKey {
    DocumentKey { index: index.clone(), kind: DocumentKind::Page, name: project.shared() }
}

impl Base {
    /// What leads from a document to its index, relative (design: no page contains a host name).
    pub(super) fn prefix(self, index: &IndexName, kind: DocumentKind, name: &str) -> String {
        // `/simple/{p}/` lies two below the top, `/pypi/{p}/json` too, `/pypi/{p}/{v}/json` three.
        let up = if kind == DocumentKind::LegacyJson && name.contains('/') { "../../../" } else { "../../" };
        match self {
            Self::Index => up.to_owned(),
            Self::Alias => format!("{up}{index}/"),
        }
    }
}

fn missing(document: &DocumentKey) -> IndexError {
    let project = document.name.split('/').next().unwrap_or_default();
    match ProjectName::parse(project) {
        Ok(project) => IndexError::UnknownProject(document.index.clone(), project),
        Err(why) => why.into(),
    }
}
