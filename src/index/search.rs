use super::accounts::allowed;
use super::catalog::{Catalog, IndexEntry, IndexKind};
use super::errors::IndexError;
use super::mirror::Mirror;
use super::names_list::Standing;
use super::pages::page_of;
use super::{House, Index};
use crate::fresh::Known;
use crate::names::{IndexName, ProjectName};
use crate::rules::{self, IndexSettings, Subject, Verdict};
use crate::search::{Query, Why};
use crate::store::KnownRow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub use super::names_list::Standing as ListStanding;

/// What somebody looks for.
#[derive(Debug, Clone, Default)]
pub struct SearchAsk {
    /// As it was typed.
    pub text: String,
    /// Only what is seen through this index.
    pub index: Option<IndexName>,
    /// Hits that are passed over, and hits that are wanted.
    pub from: usize,
    pub count: usize,
}

/// What was found, the best first.
#[derive(Debug, Clone, Default)]
pub struct SearchAnswer {
    pub hits: Vec<Hit>,
    /// There are more after these.
    pub more: bool,
    /// How it stands with the whole lists of the mirrors that were looked through.
    pub lists: Vec<ListState>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    pub index: IndexName,
    pub project: ProjectName,
    pub version: Option<String>,
    pub summary: Option<String>,
    pub kind: HitKind,
    pub why: HitWhy,
}

/// What there is of a project here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HitKind {
    /// A stage has it.
    Private,
    /// It was asked for through a mirror.
    Cached,
    /// A mirror's upstream lists it; nothing of it is here.
    Listed,
}

/// Why a project was found; the first is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HitWhy {
    /// It is called so.
    Name,
    /// Its name begins so.
    Beginning,
    /// Words of its name begin so.
    Words,
    /// Its summary, keywords or classifiers say so; its place among those that do.
    Text(u8),
    /// What was typed is nearly its name, or nearly what it says.
    Similar(u8),
}

/// How it stands with the whole list of a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListState {
    pub mirror: IndexName,
    pub standing: Standing,
    /// Who asks may have it fetched.
    pub may_fetch: bool,
}

/// Hits that one question is answered with, at most, on all its pages together.
const HITS_MAX: usize = 200;

/// With fewer hits than this, words are taken for misspelled ones.
const SIMILAR_BELOW: usize = 5;

/// Whole lists that one question looks through, at most.
const LISTS_MAX: usize = 8;

impl Index {
    /// Looks for projects among what the subject may read. What is found comes from what is known here: nobody upstream
    /// is asked.
    pub async fn search(&self, subject: &Subject, ask: &SearchAsk) -> Result<SearchAnswer, IndexError> {
        self.0.search(subject, ask).await
    }

    /// Has the names of a mirror's whole list fetched, in the background, for who may change the mirror.
    pub fn want_whole_list(&self, subject: &Subject, index: &IndexName) -> Result<(), IndexError> {
        let house = &self.0;
        let entry = house.readable(subject, index)?;
        let IndexKind::Mirror(mirror) = &entry.kind else {
            return Err(IndexError::Invalid(format!("{index} is no mirror; it has no list to fetch")));
        };
        let verdict = rules::may_modify_index(subject, index);
        allowed(verdict, || format!("no permission to fetch the whole list of {index}"))?;
        if !house.may_list(mirror) {
            let why = if house.offline { "the server is offline" } else { "its settings say that it has none" };
            return Err(IndexError::Invalid(format!("the list of {index} cannot be fetched: {why}")));
        }
        house.start_names(mirror);
        Ok(())
    }
}

/// What a question looks through.
struct View {
    catalog: Arc<Catalog>,
    /// The index that it was narrowed to.
    through: Option<Arc<IndexEntry>>,
    /// All that is looked through; the subject may read each.
    indexes: Vec<Arc<IndexEntry>>,
}

impl House {
    async fn search(self: &Arc<Self>, subject: &Subject, ask: &SearchAsk) -> Result<SearchAnswer, IndexError> {
        let query = Query::parse(&ask.text).map_err(|why| IndexError::Invalid(why.to_string()))?;
        let view = self.view(subject, ask.index.as_ref())?;
        let _turn = self.names.turns.acquire().await.map_err(|_| IndexError::Lost)?;
        let mut answer = SearchAnswer::default();
        let mut hits: HashMap<(IndexName, ProjectName), Hit> = HashMap::new();
        if let Some(query) = &query {
            self.find_known(&view, query, &mut hits).await?;
        }
        for mirror in view.mirrors().take(LISTS_MAX) {
            let (standing, names) = self.names_of(mirror).await?;
            if let (Some(query), Some((row, file))) = (&query, names) {
                let found = self.search_names(mirror, &row, file, query, HITS_MAX).await?;
                for found in found {
                    let Ok(project) = ProjectName::parse(&found.name) else { continue };
                    let hit = Hit::listed(&mirror.name, project, found.why);
                    hits.entry((hit.index.clone(), hit.project.clone())).or_insert(hit);
                }
            }
            let may_fetch = self.may_list(mirror) && rules::may_modify_index(subject, &mirror.name) == Verdict::Allowed;
            answer.lists.push(ListState { mirror: mirror.name.clone(), standing, may_fetch });
        }
        let mut hits = self.let_through(&view, hits.into_values().collect()).await?;
        hits.sort_by(|one, other| one.key().cmp(&other.key()));
        hits.truncate(HITS_MAX);
        answer.more = hits.len() > ask.from.saturating_add(ask.count);
        answer.hits = hits.into_iter().skip(ask.from).take(ask.count).collect();
        Ok(answer)
    }

    /// What the subject may look through: the order of one index, or all indexes that may be read.
    fn view(&self, subject: &Subject, index: Option<&IndexName>) -> Result<View, IndexError> {
        let catalog = self.catalog();
        let through = index.map(|index| self.readable(subject, index)).transpose()?;
        let indexes = match &through {
            Some(entry) => entry.order.iter().filter_map(|name| catalog.index(name)).cloned().collect(),
            None => {
                let may_read = |entry: &&Arc<IndexEntry>| entry.public || self.readable(subject, &entry.name).is_ok();
                catalog.indexes.values().filter(may_read).cloned().collect()
            }
        };
        Ok(View { catalog, through, indexes })
    }

    async fn find_known(
        self: &Arc<Self>,
        view: &View,
        query: &Query,
        hits: &mut HashMap<(IndexName, ProjectName), Hit>,
    ) -> Result<(), IndexError> {
        let names: Vec<_> = view.indexes.iter().map(|entry| entry.name.clone()).collect();
        let (typed, words) = (query.as_name(), query.words());
        let alone: Vec<_> = words.iter().map(|word| vec![word.clone()]).collect();
        let mut rows = self.store.known_by_prefix(&names, &typed, HITS_MAX).await?;
        rows.extend(self.store.known_by_words(&names, &alone, true, HITS_MAX).await?);
        // A letter or two begin a word of nearly every summary.
        if words.iter().any(|word| word.len() > 2) {
            rows.extend(self.store.known_by_words(&names, &alone, false, HITS_MAX).await?);
        }
        let mut similar = Vec::new();
        if rows.len() < SIMILAR_BELOW {
            let meant = self.meanings(words).await?;
            if meant.iter().any(|word| word.len() > 1) {
                similar = self.store.known_by_words(&names, &meant, false, HITS_MAX).await?;
            }
        }
        let rows = rows.into_iter().map(|row| (row, false)).chain(similar.into_iter().map(|row| (row, true)));
        for (place, (row, similar)) in rows.enumerate() {
            let why = match why_found(&row, &typed, words, similar) {
                HitWhy::Text(_) => HitWhy::Text(u8::try_from(place).unwrap_or(u8::MAX)),
                why => why,
            };
            let hit = view.known(row, why);
            hits.entry((hit.index.clone(), hit.project.clone())).or_insert(hit);
        }
        Ok(())
    }

    /// The one gate of all hits: a mirror's only where the rules let it add to the name, a stage's only while there is
    /// a release.
    async fn let_through(&self, view: &View, hits: Vec<Hit>) -> Result<Vec<Hit>, IndexError> {
        let names: Vec<_> = hits.iter().map(|hit| &hit.project).collect();
        let mut owners: HashMap<ProjectName, Vec<IndexName>> = HashMap::new();
        for (name, owner) in self.private.owners_of(&names).await? {
            owners.entry(name).or_default().push(owner);
        }
        let private: Vec<_> = hits.iter().filter(|hit| hit.kind == HitKind::Private).collect();
        let private: Vec<_> = private.into_iter().map(|hit| (&hit.index, &hit.project)).collect();
        let released: HashSet<_> = self.private.released(&private).await?.into_iter().collect();
        let owning: HashSet<&IndexName> = owners.values().flatten().collect();
        let orders = view.orders(&owning);
        let good = |hit: &Hit| match hit.kind {
            HitKind::Private => released.contains(&(hit.project.clone(), hit.index.clone())),
            HitKind::Cached if self.is_absent(&hit.index, &hit.project) => false,
            HitKind::Cached | HitKind::Listed => {
                let owners = owners.get(&hit.project).map_or(&[][..], Vec::as_slice);
                orders.iter().all(|order| order.lets_through(hit, owners))
            }
        };
        Ok(hits.into_iter().filter(good).collect())
    }

    /// Whether upstream was asked and said that it has no such project.
    fn is_absent(&self, mirror: &IndexName, project: &ProjectName) -> bool {
        let state = self.states.get(&page_of(mirror, project));
        state.is_some_and(|state| state.known().entry.known() == Known::Absent)
    }
}

/// The order of an index through which hits are seen.
struct Order<'a>(Vec<(IndexName, &'a IndexSettings)>);

impl Order<'_> {
    /// Whether a mirror's hit may be shown; of a mirror that is not in this order nothing is said here.
    fn lets_through(&self, hit: &Hit, owners: &[IndexName]) -> bool {
        let here = self.0.iter().any(|(name, _)| *name == hit.index);
        !here || rules::sources(&self.0, &hit.project, |stage| owners.contains(stage)).mirrors.contains(&hit.index)
    }
}

impl View {
    fn mirrors(&self) -> impl Iterator<Item = &Arc<Mirror>> {
        self.indexes.iter().filter_map(|entry| match &entry.kind {
            IndexKind::Mirror(mirror) => Some(mirror),
            IndexKind::Stage(_) => None,
        })
    }

    /// The orders that a mirror's hit must pass. Through one index it is that index's alone; who looks through all is
    /// shown no mirror's project under a name that one of them keeps from mirrors. `owning` are the indexes that own a
    /// name of the hits: an order without one of them and without a reserved name has nothing to say.
    fn orders(&self, owning: &HashSet<&IndexName>) -> Vec<Order<'_>> {
        let reserves = |entry: &IndexEntry| match &entry.settings {
            IndexSettings::Mirror(mirror) => !mirror.reserved.is_empty(),
            IndexSettings::Stage(stage) => !stage.reserved.is_empty(),
        };
        let matters = |name: &IndexName| owning.contains(name) || self.catalog.index(name).is_some_and(|e| reserves(e));
        let entries = match &self.through {
            Some(entry) => std::slice::from_ref(entry),
            None => &self.indexes,
        };
        let entries = entries.iter().filter(|entry| entry.order.iter().any(matters));
        entries.map(|entry| Order(self.catalog.order(entry))).collect()
    }

    fn known(&self, row: KnownRow, why: HitWhy) -> Hit {
        let private = self.catalog.index(&row.index).is_some_and(|entry| entry.is_stage());
        let kind = if private { HitKind::Private } else { HitKind::Cached };
        let summary = Some(row.summary).filter(|summary| !summary.is_empty());
        Hit { index: row.index, project: row.project, version: row.version, summary, kind, why }
    }
}

fn why_found(row: &KnownRow, typed: &str, words: &[String], similar: bool) -> HitWhy {
    let name = row.project.as_str();
    let begins = |word: &String| name.split('-').any(|part| part.starts_with(word.as_str()));
    match () {
        () if name == typed => HitWhy::Name,
        () if name.starts_with(typed) => HitWhy::Beginning,
        () if words.iter().all(begins) => HitWhy::Words,
        () if similar => {
            let slips = strsim::osa_distance(name.get(..typed.len()).unwrap_or(name), typed);
            HitWhy::Similar(u8::try_from(slips.saturating_mul(2)).unwrap_or(u8::MAX))
        }
        () => HitWhy::Text(0),
    }
}

impl Hit {
    fn listed(mirror: &IndexName, project: ProjectName, why: Why) -> Self {
        let why = match why {
            Why::Name => HitWhy::Name,
            Why::Beginning => HitWhy::Beginning,
            Why::Words => HitWhy::Words,
            Why::Slips { slips, inside } => HitWhy::Similar(slips.saturating_mul(2).saturating_add(u8::from(inside))),
        };
        Self { index: mirror.clone(), project, version: None, summary: None, kind: HitKind::Listed, why }
    }

    /// Sorts the best first: why it was found, then what is ours, then the shorter name.
    fn key(&self) -> (HitWhy, HitKind, usize, &ProjectName, &IndexName) {
        (self.why, self.kind, self.project.as_str().len(), &self.project, &self.index)
    }
}

impl HitKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Cached => "cached",
            Self::Listed => "listed",
        }
    }
}

impl HitWhy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Beginning => "beginning",
            Self::Words => "words",
            Self::Text(_) => "text",
            Self::Similar(_) => "similar",
        }
    }
}
