use super::settings::{IndexSettings, Inheritance, StageSettings};
use crate::names::{IndexName, ProjectName};

/// Where a project may come from, as seen through one index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// The stages, in order.
    pub stages: Vec<IndexName>,
    /// The mirrors that may be asked for it, in order.
    pub mirrors: Vec<IndexName>,
    /// Why no mirror may.
    pub hidden: Option<Hidden>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hidden {
    /// A stage has the project, or once had it.
    Owned { by: IndexName },
    /// The settings of a stage reserve the name.
    Reserved { by: IndexName },
}

/// The one rule for names. Going through the order, a stage that owns the project closes the mirrors, unless the
/// whitelists of the stages passed so far (intersected, or united, as the asked index says) name it; once they do, they
/// stay open (devpi's `op_sro_check_mirror_whitelist`). Beyond devpi: who *had* a project owns it still, and a reserved
/// name closes the mirrors whatever a whitelist says.
pub fn sources(
    order: &[(IndexName, &IndexSettings)],
    project: &ProjectName,
    owns: impl Fn(&IndexName) -> bool,
) -> Sources {
    let inheritance = match order.first() {
        Some((_, IndexSettings::Stage(stage))) => stage.mirror_whitelist_inheritance,
        _ => Inheritance::Intersection,
    };
    let mut sources = Sources { stages: Vec::new(), mirrors: Vec::new(), hidden: None };
    let (mut whitelist, mut whitelisted, mut owner, mut reserver) = (None, false, None, None);
    for (name, settings) in order {
        let IndexSettings::Stage(stage) = settings else { continue };
        whitelist = Some(match (whitelist, lists(stage, project), inheritance) {
            (None, here, _) => here,
            (Some(before), here, Inheritance::Union) => united(before, here),
            (Some(before), here, Inheritance::Intersection) => intersected(before, here),
        });
        if whitelist.is_some_and(|list: Lists| list.name || list.all) {
            whitelisted = true;
        } else if owns(name) {
            owner.get_or_insert_with(|| name.clone());
        }
        if settings.reserves(project) {
            reserver.get_or_insert_with(|| name.clone());
        }
        sources.stages.push(name.clone());
    }
    sources.hidden = match (reserver, owner) {
        (Some(by), _) => Some(Hidden::Reserved { by }),
        (None, Some(by)) if !whitelisted => Some(Hidden::Owned { by }),
        _ => None,
    };
    if sources.hidden.is_none() {
        let open = order.iter().filter(|(_, settings)| !settings.is_stage() && !settings.reserves(project));
        sources.mirrors = open.map(|(name, _)| name.clone()).collect();
    }
    sources
}

/// What a whitelist says that matters for one project. The star and the name are two entries: devpi intersects them as
/// such, so that a star in one stage and the name in another leave nothing.
#[derive(Clone, Copy)]
struct Lists {
    name: bool,
    all: bool,
}

fn lists(stage: &StageSettings, project: &ProjectName) -> Lists {
    use super::reserved::Whitelisted;
    Lists {
        name: stage.mirror_whitelist.iter().any(|entry| matches!(entry, Whitelisted::Name(name) if name == project)),
        all: stage.mirror_whitelist.contains(&Whitelisted::All),
    }
}

fn united(one: Lists, other: Lists) -> Lists {
    Lists { name: one.name || other.name, all: one.all || other.all }
}

fn intersected(one: Lists, other: Lists) -> Lists {
    Lists { name: one.name && other.name, all: one.all && other.all }
}

#[cfg(test)]
#[path = "sources/tests.rs"]
mod tests;
