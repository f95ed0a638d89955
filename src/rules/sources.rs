//! The one rule for names. Pages, files, metadata, search and the API all ask it.

use super::patterns::{Reserved, Whitelisted};
use super::settings::{IndexSettings, Inheritance};
use crate::names::{IndexName, ProjectName};

/// Where a project may come from, as seen through one index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// The stages that have the project, or once had it, in order.
    pub stages: Vec<IndexName>,
    /// The mirrors that may be asked for it, in order.
    pub mirrors: Vec<IndexName>,
    /// Why a mirror of the order is left out; none when all may be asked.
    pub hidden: Option<Hidden>,
}

/// Why a mirror may not be asked for a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hidden {
    /// A stage has or once had the project, and no whitelist lets mirrors add to it.
    Owned { by: IndexName },
    /// An index reserves the name.
    Reserved { by: IndexName },
}

/// Decides where `project` may come from. `order` is that of [`order`](super::order), the index that is asked first;
/// `owns` says whether a stage has or ever had the project: a deleted name stays its owner's.
///
/// A stage that owns the project hides it at all mirrors, as in devpi, unless the whitelists let it through: going
/// through the stages they are intersected or united, as the asked index says; once they have named the project or
/// `*`, mirrors are open, and a stage at which they name it does not close them. As in devpi `*` is compared like a
/// name: `*` on one stage and the name on the next have nothing in common.
///
/// What is reserved is hidden whatever a whitelist says: by a stage at all mirrors, by a mirror at that mirror.
pub fn sources(
    order: &[(IndexName, &IndexSettings)],
    project: &ProjectName,
    owns: impl Fn(&IndexName) -> bool,
) -> Sources {
    let mut found = Sources { stages: Vec::new(), mirrors: Vec::new(), hidden: None };
    let mut mirrors = Vec::new();
    let mut inherited: Option<Listed> = None;
    let mut inheritance = Inheritance::Intersection;
    let (mut whitelisted, mut owner, mut reserver) = (false, None, None);
    for (name, settings) in order {
        let stage = match settings {
            IndexSettings::Mirror(mirror) => {
                mirrors.push((name, reserves(&mirror.reserved, project)));
                continue;
            }
            IndexSettings::Stage(stage) => stage,
        };
        let listed = Listed::of(&stage.mirror_whitelist, project);
        let listed = match inherited {
            None => {
                inheritance = stage.mirror_whitelist_inheritance;
                listed
            }
            Some(before) => before.combined(listed, inheritance),
        };
        inherited = Some(listed);
        if owns(name) {
            found.stages.push(name.clone());
            owner = owner.or(Some(name));
        }
        whitelisted |= listed.any();
        if reserver.is_none() && reserves(&stage.reserved, project) {
            reserver = Some(name);
        }
    }
    let owner = if whitelisted { None } else { owner };
    for (name, reserved_here) in mirrors {
        let why = match (reserver, owner) {
            (Some(by), _) => Hidden::Reserved { by: by.clone() },
            (None, Some(by)) => Hidden::Owned { by: by.clone() },
            (None, None) if reserved_here => Hidden::Reserved { by: name.clone() },
            (None, None) => {
                found.mirrors.push(name.clone());
                continue;
            }
        };
        found.hidden.get_or_insert(why);
    }
    found
}

fn reserves(reserved: &[Reserved], project: &ProjectName) -> bool {
    reserved.iter().any(|reserved| reserved.covers(project))
}

/// What a whitelist holds of the two entries that count.
#[derive(Clone, Copy)]
struct Listed {
    everything: bool,
    name: bool,
}

impl Listed {
    fn of(whitelist: &[Whitelisted], project: &ProjectName) -> Self {
        Self {
            everything: whitelist.contains(&Whitelisted::Everything),
            name: whitelist.iter().any(|entry| matches!(entry, Whitelisted::Name(name) if name == project)),
        }
    }

    fn combined(self, other: Self, inheritance: Inheritance) -> Self {
        match inheritance {
            Inheritance::Intersection => {
                Self { everything: self.everything && other.everything, name: self.name && other.name }
            }
            Inheritance::Union => {
                Self { everything: self.everything || other.everything, name: self.name || other.name }
            }
        }
    }

    fn any(self) -> bool {
        self.everything || self.name
    }
}
