use super::House;
use super::catalog::IndexEntry;
use super::errors::IndexError;
use super::list::{ListAnswer, ListAsk, list_of};
use crate::names::{IndexName, ProjectName};
use crate::rules;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

impl House {
    /// The list of projects of a stage: those of all stages in its order, and those of its mirrors that were ever asked
    /// for and that the rule shows. Whoever wants all of PyPI's names asks the mirror itself for them.
    pub(super) async fn stage_list(
        self: &Arc<Self>,
        entry: &Arc<IndexEntry>,
        ask: &ListAsk,
    ) -> Result<ListAnswer, IndexError> {
        let catalog = self.catalog();
        let (mut names, mut owned) = (BTreeSet::new(), HashSet::new());
        for other in entry.order.iter().filter_map(|name| catalog.index(name)).filter(|other| other.is_stage()) {
            for project in self.private.projects(&other.name).await? {
                if project.releases > 0 {
                    names.insert(project.name.to_string());
                }
                owned.insert((other.name.clone(), project.name));
            }
        }
        let mut mirrored = Vec::new();
        for mirror in entry.order.iter().filter_map(|name| catalog.index(name)).filter(|other| !other.is_stage()) {
            let known = self.asked_names(&mirror.name).await?;
            mirrored.extend(known.into_iter().map(|name| (mirror.name.clone(), name)));
        }
        let (format, count, entry) = (ask.format, names.len() + mirrored.len(), Arc::clone(entry));
        let listed = move || {
            let order = catalog.order(&entry);
            let open = |(mirror, name): &(IndexName, String)| {
                ProjectName::parse(name).is_ok_and(|project| {
                    let owns = |stage: &IndexName| owned.contains(&(stage.clone(), project.clone()));
                    rules::sources(&order, &project, owns).mirrors.contains(mirror)
                })
            };
            names.extend(mirrored.into_iter().filter(open).map(|(_, name)| name));
            list_of(format, names.iter().map(String::as_str))
        };
        self.blocking(count * NAME_BYTES, listed).await
    }
}

/// About what a name takes in a list, in bytes.
const NAME_BYTES: usize = 64;
