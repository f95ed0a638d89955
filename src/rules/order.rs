use super::settings::IndexSettings;
use crate::names::IndexName;
use std::collections::{HashSet, VecDeque};

/// Most stages of one order. All are asked for each page; real orders have fewer than ten.
pub const STAGES_MAX: usize = 200;

/// The indexes that `index` shows files of, itself first: its bases and theirs, breadth first, each once, and all
/// mirrors at the end.
///
/// Bases that `settings` does not know are left out; none is known: no order. An order that is longer than
/// [`STAGES_MAX`] is cut, and then has no mirrors: a stage that was cut off might own what a mirror offers.
pub fn order<'a>(
    index: &IndexName,
    settings: impl Fn(&IndexName) -> Option<&'a IndexSettings>,
) -> Vec<(IndexName, &'a IndexSettings)> {
    let Some(own) = settings(index) else { return Vec::new() };
    let mut stages = Vec::new();
    let mut mirrors = Vec::new();
    let mut seen = HashSet::from([index.clone()]);
    let mut todo = VecDeque::from([(index.clone(), own)]);
    while let Some((name, stage)) = todo.pop_front() {
        stages.push((name, stage));
        for base in stage.bases() {
            if seen.contains(base) {
                continue;
            }
            let Some(found) = settings(base) else { continue };
            seen.insert(base.clone());
            if found.is_mirror() {
                mirrors.push((base.clone(), found));
            } else if stages.len() + todo.len() < STAGES_MAX {
                todo.push_back((base.clone(), found));
            } else {
                stages.extend(todo);
                return stages;
            }
        }
    }
    stages.extend(mirrors);
    stages
}
