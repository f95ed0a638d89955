use crate::index::{Purged, Selection};
use crate::names::{IndexName, ProjectName};
use serde::{Deserialize, Serialize};

/// A part of the cache, as it is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachePart {
    #[serde(default)]
    projects: Vec<String>,
    #[serde(default)]
    index: Option<String>,
    #[serde(default)]
    came_before: Option<u64>,
    #[serde(default)]
    unused_since: Option<u64>,
}

/// What went out of the cache; there may be more to go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachePurged {
    projects: Vec<(Option<String>, u64, u64)>,
    documents: u64,
    more: bool,
}

impl From<&Selection> for CachePart {
    fn from(selection: &Selection) -> Self {
        Self {
            projects: selection.projects.iter().map(ProjectName::to_string).collect(),
            index: selection.index.as_ref().map(IndexName::to_string),
            came_before: selection.came_before,
            unused_since: selection.unused_since,
        }
    }
}

impl CachePart {
    /// What is meant by it. A name that cannot be read is an error: without it more would be meant.
    pub(super) fn selection(self) -> Result<Selection, String> {
        let project = |name: String| ProjectName::parse(&name).map_err(|why| why.to_string());
        Ok(Selection {
            projects: self.projects.into_iter().map(project).collect::<Result<_, _>>()?,
            index: self.index.as_deref().map(IndexName::parse).transpose().map_err(|why| why.to_string())?,
            came_before: self.came_before,
            unused_since: self.unused_since,
        })
    }
}

impl From<Purged> for CachePurged {
    fn from(purged: Purged) -> Self {
        let project =
            |(name, (files, bytes)): (Option<ProjectName>, _)| (name.map(|name| name.to_string()), files, bytes);
        Self {
            projects: purged.projects.into_iter().map(project).collect(),
            documents: purged.documents,
            more: purged.more,
        }
    }
}

impl From<CachePurged> for Purged {
    fn from(purged: CachePurged) -> Self {
        let project = |(name, files, bytes): (Option<String>, u64, u64)| {
            (name.and_then(|name| ProjectName::parse(&name).ok()), (files, bytes))
        };
        Self {
            projects: purged.projects.into_iter().map(project).collect(),
            documents: purged.documents,
            more: purged.more,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_comes_over_as_it_was_meant_or_not_at_all() {
        let selection = Selection {
            projects: vec![ProjectName::parse("demo").unwrap()],
            index: Some(IndexName::parse("root/pypi").unwrap()),
            came_before: Some(7),
            unused_since: None,
        };
        assert_eq!(CachePart::from(&selection).selection(), Ok(selection));
        for bad in [
            CachePart { projects: vec!["a b".to_owned()], ..CachePart::default() },
            CachePart { index: Some("pypi".to_owned()), ..CachePart::default() },
        ] {
            assert!(bad.selection().is_err(), "it would mean the whole cache");
        }
    }
}
