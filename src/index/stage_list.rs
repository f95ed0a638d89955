use super::House;
use super::catalog::IndexEntry;
use super::errors::IndexError;
use super::list::{ListAnswer, ListAsk, list_of};
use std::collections::BTreeSet;
use std::sync::Arc;

impl House {
    /// The list of projects of a stage: those of all stages in its order, and those of its mirrors that were ever asked
    /// for. Whoever wants all of PyPI's names asks the mirror itself for them.
    pub(super) async fn stage_list(
        self: &Arc<Self>,
        entry: &Arc<IndexEntry>,
        ask: &ListAsk,
    ) -> Result<ListAnswer, IndexError> {
        let catalog = self.catalog();
        let mut names = BTreeSet::new();
        for other in entry.order.iter().filter_map(|name| catalog.index(name)) {
            names.extend(self.project_names(other).await?);
        }
        let (format, count) = (ask.format, names.len());
        self.blocking(count * NAME_BYTES, move || list_of(format, names.iter().map(String::as_str))).await
    }
}

/// About what a name takes in a list, in bytes.
const NAME_BYTES: usize = 64;
