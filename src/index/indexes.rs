use super::House;
use super::accounts::{allowed, quoted};
use super::basis::Marks;
use super::catalog::{Catalog, IndexEntry, IndexKind, Parts};
use super::errors::IndexError;
use super::mirror::Mirror;
use crate::config::DEFAULT_INDEX;
use crate::names::{IndexName, UserName};
use crate::rules::{self, IndexSettings, Scope, Subject};
use crate::store::{IndexRow, UserRow};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// Indexes at most: each is held in memory.
pub(super) const INDEXES_MAX: usize = 100_000;

impl House {
    /// The index of this name.
    pub(super) fn entry(&self, name: &IndexName) -> Result<Arc<IndexEntry>, IndexError> {
        let catalog = self.catalog.read();
        catalog.index(name).cloned().ok_or_else(|| IndexError::UnknownIndex(name.clone()))
    }

    pub(super) fn mirror(&self, name: &IndexName) -> Result<Arc<Mirror>, IndexError> {
        match &self.entry(name)?.kind {
            IndexKind::Mirror(mirror) => Ok(Arc::clone(mirror)),
            IndexKind::Stage(_) => Err(IndexError::UnknownIndex(name.clone())),
        }
    }

    /// The index, if the subject may read it and all that it draws from: what a base hides must not be reached through
    /// an index that has it as a base, and must not fall through to a mirror either.
    pub(super) fn readable(&self, subject: &Subject, name: &IndexName) -> Result<Arc<IndexEntry>, IndexError> {
        let catalog = self.catalog();
        let entry = catalog.index(name).cloned().ok_or_else(|| IndexError::UnknownIndex(name.clone()))?;
        if entry.public {
            return Ok(entry);
        }
        let mut verdict = rules::may_read_all(subject, &catalog.order(&entry));
        // Pages of the token's own index lead to files that lie in its bases.
        if let Subject::User { scope: Scope::Token { index: Some(own), .. }, .. } = subject
            && let Some(own) = catalog.index(own).filter(|own| own.order.contains(name))
        {
            verdict = rules::may_read_all(subject, &catalog.order(own));
        }
        allowed(verdict, || format!("no permission to read {name}"))?;
        Ok(entry)
    }

    /// Makes an index (devpi: PUT `/{user}/{index}`).
    pub(super) async fn create_index(
        &self,
        subject: &Subject,
        name: &IndexName,
        given: &Map<String, Value>,
    ) -> Result<Arc<IndexEntry>, IndexError> {
        let owner = name.owner();
        let _change = self.changing.lock().await;
        let catalog = self.catalog();
        self.user(&owner)?;
        if catalog.index(name).is_some() {
            return Err(IndexError::Conflict(format!("index {} exists", quoted(name.as_str()))));
        }
        allowed(rules::may_create_index(subject, name), || format!("no permission to create index {name}"))?;
        if catalog.indexes.len() >= INDEXES_MAX {
            return Err(IndexError::Invalid(format!("there are {INDEXES_MAX} indexes already")));
        }
        let settings = IndexSettings::create(&owner, given).map_err(invalid)?;
        settings.check_bases(|base| base == name || catalog.index(base).is_some()).map_err(invalid)?;
        let kind = match &settings {
            IndexSettings::Stage(_) => IndexKind::Stage(Arc::new(Marks::new(&self.news))),
            IndexSettings::Mirror(mirror) => {
                IndexKind::Mirror(Arc::new(self.maker.make(name, mirror).map_err(IndexError::Invalid)?))
            }
        };
        // Something that another index of this name left behind is not this one's.
        self.forget_mirror(name).await?;
        self.put_index(&catalog, Parts { name: name.clone(), settings, kind, fixed: false }).await
    }

    /// Changes an index (devpi: PATCH `/{user}/{index}`), by objects or by lists of operations: all of them or none.
    pub(super) async fn modify_index(
        &self,
        subject: &Subject,
        name: &IndexName,
        changes: &[Value],
        error_on_noop: bool,
    ) -> Result<Arc<IndexEntry>, IndexError> {
        let _change = self.changing.lock().await;
        let catalog = self.catalog();
        let entry = self.entry(name)?;
        allowed(rules::may_modify_index(subject, name), || format!("no permission to modify index {name}"))?;
        let mut settings = entry.settings.clone();
        for change in changes {
            settings = settings.change(change).map_err(invalid)?;
        }
        if error_on_noop && settings == entry.settings {
            return Err(IndexError::Invalid("The requested modifications resulted in no changes".to_owned()));
        }
        if settings.bases() != entry.settings.bases() {
            settings.check_bases(|base| catalog.index(base).is_some()).map_err(invalid)?;
        }
        let mut moved = false;
        let kind = match (&entry.kind, &settings, &entry.settings) {
            (IndexKind::Mirror(mirror), IndexSettings::Mirror(new), IndexSettings::Mirror(old)) => {
                moved = new.mirror_url != old.mirror_url;
                if entry.fixed && moved {
                    let sentence = format!(
                        "where {name} mirrors from stands in the server's settings (upstream, or [[mirror]]); change it there"
                    );
                    return Err(IndexError::Invalid(sentence));
                }
                let changed = match self.fixed.get(name) {
                    Some(fixed) => fixed.with_rules(new, fixed.ttl_ms),
                    None if moved => self.maker.make(name, new).map_err(IndexError::Invalid)?,
                    None => mirror.with_rules(new, self.maker.ttl_ms),
                };
                if moved {
                    self.forget_mirror(name).await?;
                }
                IndexKind::Mirror(Arc::new(changed))
            }
            (kind, _, _) => kind.clone(),
        };
        let mirror = matches!(kind, IndexKind::Mirror(_));
        let parts = Parts { name: name.clone(), settings, kind, fixed: entry.fixed };
        let entry = self.put_index(&catalog, parts).await?;
        if mirror {
            self.mirror_changed(name);
        }
        if moved {
            // Once more: what was on its way when it was forgotten first.
            self.forget_mirror(name).await?;
        }
        Ok(entry)
    }

    /// Deletes an index with all that is in it (devpi: DELETE `/{user}/{index}`).
    pub(super) async fn delete_index(&self, subject: &Subject, name: &IndexName) -> Result<(), IndexError> {
        let _change = self.changing.lock().await;
        let catalog = self.catalog();
        let entry = self.entry(name)?;
        allowed(rules::may_delete_index(subject, name), || format!("no permission to delete index {name}"))?;
        if !entry.volatile() {
            return Err(IndexError::Forbidden(format!("index {name} non-volatile, cannot delete")));
        }
        if entry.fixed {
            let sentence = format!("index {name} stands in the server's settings; take it out there");
            return Err(IndexError::Forbidden(sentence));
        }
        let _shelf = self.shelf.lock().await;
        let removed = self.private.remove_index(name).await?;
        let kept = catalog.parts().into_values().filter(|parts| parts.name != *name);
        self.swap_catalog(catalog.with_indexes(kept));
        let forgotten = self.index_gone(&entry).await;
        self.unreferenced(removed.map(|removed| removed.unreferenced).unwrap_or_default()).await;
        forgotten
    }

    /// What memory holds of an index that is gone is not that of another of its name, nor are tokens that were for it.
    pub(super) async fn index_gone(&self, entry: &IndexEntry) -> Result<(), IndexError> {
        self.auth.forget_all();
        match &entry.kind {
            IndexKind::Stage(marks) => {
                marks.gone();
                self.store.forget_index(&entry.name).await?;
            }
            IndexKind::Mirror(_) => {
                self.mirror_changed(&entry.name);
                self.forget_mirror(&entry.name).await?;
            }
        }
        Ok(())
    }

    /// Writes an index down and then shows it; the caller holds the lock on changes.
    pub(super) async fn put_index(&self, catalog: &Catalog, parts: Parts) -> Result<Arc<IndexEntry>, IndexError> {
        let name = parts.name.clone();
        let mut settings = parts.settings.to_stored();
        if parts.fixed {
            settings.shift_remove("mirror_url");
        }
        self.private.put_index(&IndexRow { name: name.clone(), settings }).await?;
        let mut all = catalog.parts();
        all.insert(name.clone(), parts);
        self.swap_catalog(catalog.with_indexes(all.into_values()));
        self.entry(&name)
    }

    /// What memory holds of a mirror was made under other rules.
    fn mirror_changed(&self, name: &IndexName) {
        self.states.forget(name);
        self.memory.clear();
    }

    /// What the database holds of a mirror came from another upstream.
    pub(super) async fn forget_mirror(&self, name: &IndexName) -> Result<(), IndexError> {
        self.store.forget_index(name).await?;
        self.states.forget(name);
        Ok(())
    }

    /// The users and indexes of the database, and the mirrors that stand in the settings.
    pub(super) async fn load_catalog(&self) -> Result<(), IndexError> {
        let mut catalog = Catalog::default();
        for user in self.private.users().await? {
            catalog.users.insert(user.name.clone(), user);
        }
        let owners = self.fixed.keys().map(IndexName::owner).chain([super::accounts::root_name()?]);
        for name in owners {
            let Entry::Vacant(place) = catalog.users.entry(name.clone()) else { continue };
            let user = nobody_yet(name, self.clock.unix());
            // A disk that cannot be written is no reason not to serve.
            if let Err(why) = self.private.add_user(&user).await {
                self.disk_trouble(&why);
            }
            place.insert(user);
        }
        let mut all = BTreeMap::new();
        for row in self.private.indexes().await? {
            // Without the settings nobody knows which names are private; serving on could ask upstream for them.
            let settings = IndexSettings::from_stored(&row.settings).map_err(|why| {
                invalid(format!(
                    "the stored settings of the index {} cannot be read: {why}; restore private.db from a backup",
                    row.name
                ))
            })?;
            match self.stored_kind(&row.name, &settings) {
                Ok(kind) => drop(all.insert(row.name.clone(), Parts { name: row.name, settings, kind, fixed: false })),
                Err(why) => {
                    tracing::error!(index = %row.name, %why, "a stored mirror cannot be used; it is left alone")
                }
            }
        }
        for (name, mirror) in &self.fixed {
            let stored = all.remove(name).and_then(|parts: Parts| match parts.settings {
                IndexSettings::Mirror(settings) => Some(settings),
                IndexSettings::Stage(_) => None,
            });
            // As devpi makes its own (`devpi-init`).
            let mut settings = stored.unwrap_or_else(|| rules::MirrorSettings {
                volatile: false,
                title: (name.as_str() == DEFAULT_INDEX).then(|| "PyPI".to_owned()),
                ..Default::default()
            });
            settings.mirror_url = rules::MirrorUrl::parse(mirror.upstream.base().as_str()).ok();
            let kind = IndexKind::Mirror(Arc::new(mirror.with_rules(&settings, mirror.ttl_ms)));
            let settings = IndexSettings::Mirror(settings);
            all.insert(name.clone(), Parts { name: name.clone(), settings, kind, fixed: true });
        }
        let known: Vec<_> = catalog.users.keys().cloned().collect();
        let owned = all.into_values().filter(|parts| known.contains(&parts.name.owner()));
        self.swap_catalog(catalog.with_indexes(owned));
        Ok(())
    }

    fn stored_kind(&self, name: &IndexName, settings: &IndexSettings) -> Result<IndexKind, String> {
        Ok(match (settings, self.fixed.get(name)) {
            (IndexSettings::Stage(_), _) => IndexKind::Stage(Arc::new(Marks::new(&self.news))),
            (IndexSettings::Mirror(settings), Some(fixed)) => {
                IndexKind::Mirror(Arc::new(fixed.with_rules(settings, fixed.ttl_ms)))
            }
            (IndexSettings::Mirror(settings), None) => IndexKind::Mirror(Arc::new(self.maker.make(name, settings)?)),
        })
    }
}

/// A user that exists because something belongs to it; nobody can log in as one without a password.
fn nobody_yet(name: UserName, created: u64) -> UserRow {
    UserRow { name, password: None, created, modified: None, facts: Map::new() }
}

pub(super) fn invalid(why: impl ToString) -> IndexError {
    IndexError::Invalid(why.to_string())
}
