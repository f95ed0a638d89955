use super::basis::Marks;
use super::mirror::Mirror;
use crate::names::{IndexName, UserName};
use crate::rules::{self, IndexSettings};
use crate::store::UserRow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which users and indexes there are and how they are set: a picture that never changes. A change makes a new one, is
/// written to the database, and only then takes the place of the old.
#[derive(Clone, Default)]
pub struct Catalog {
    pub users: BTreeMap<UserName, UserRow>,
    pub indexes: BTreeMap<IndexName, Arc<IndexEntry>>,
}

/// One index.
pub struct IndexEntry {
    pub name: IndexName,
    pub settings: IndexSettings,
    pub kind: IndexKind,
    /// It stands in the server's own settings: it cannot be deleted, and where it mirrors from is said there.
    pub fixed: bool,
    /// The index and those that it draws from, mirrors last.
    pub order: Vec<IndexName>,
    /// Anybody may read it and all that it draws from.
    pub public: bool,
}

#[derive(Clone)]
pub enum IndexKind {
    Stage(Arc<Marks>),
    Mirror(Arc<Mirror>),
}

impl Catalog {
    /// The same with these indexes, each with its order anew: an index changes by a change of its bases too.
    pub fn with_indexes(&self, indexes: impl IntoIterator<Item = Parts>) -> Self {
        let parts: BTreeMap<IndexName, Parts> = indexes.into_iter().map(|parts| (parts.name.clone(), parts)).collect();
        let settings = |name: &IndexName| parts.get(name).map(|parts| &parts.settings);
        let entry = |parts: &Parts| {
            let order = rules::order(&parts.name, settings);
            let public = order.iter().all(|(_, settings)| settings.acl_read().is_public());
            let order = order.into_iter().map(|(name, _)| name).collect();
            let Parts { name, settings, kind, fixed } = parts.clone();
            Arc::new(IndexEntry { name, settings, kind, fixed, order, public })
        };
        let indexes = parts.iter().map(|(name, parts)| (name.clone(), entry(parts))).collect();
        Self { users: self.users.clone(), indexes }
    }

    /// The indexes as [`Catalog::with_indexes`] takes them.
    pub fn parts(&self) -> BTreeMap<IndexName, Parts> {
        self.indexes.iter().map(|(name, entry)| (name.clone(), Parts::of(entry))).collect()
    }

    pub fn index(&self, name: &IndexName) -> Option<&Arc<IndexEntry>> {
        self.indexes.get(name)
    }

    /// The settings of the indexes in `entry`'s order.
    pub fn order<'a>(&'a self, entry: &IndexEntry) -> Vec<(IndexName, &'a IndexSettings)> {
        let known = |name: &IndexName| self.indexes.get(name).map(|other| (name.clone(), &other.settings));
        entry.order.iter().filter_map(known).collect()
    }

    /// The indexes of a user.
    pub fn indexes_of<'a>(&'a self, user: &'a UserName) -> impl Iterator<Item = &'a Arc<IndexEntry>> {
        self.indexes.values().filter(move |entry| entry.name.user() == user.as_str())
    }
}

/// What an [`IndexEntry`] is made of.
#[derive(Clone)]
pub struct Parts {
    pub name: IndexName,
    pub settings: IndexSettings,
    pub kind: IndexKind,
    pub fixed: bool,
}

impl Parts {
    fn of(entry: &IndexEntry) -> Self {
        let IndexEntry { name, settings, kind, fixed, .. } = entry;
        Self { name: name.clone(), settings: settings.clone(), kind: kind.clone(), fixed: *fixed }
    }
}

impl IndexEntry {
    pub fn is_stage(&self) -> bool {
        matches!(self.kind, IndexKind::Stage(_))
    }

    pub fn volatile(&self) -> bool {
        self.settings.volatile()
    }
}
