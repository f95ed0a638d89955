use super::settings::IndexSettings;
use crate::names::IndexName;
use std::collections::{HashSet, VecDeque};

/// Most indexes that one draws from. Each costs a look for every page; real sites have a handful.
pub const ORDER_MAX: usize = 100;

/// The index and those that it draws from: its bases, then theirs, each once, and all mirrors last (devpi's `sro`).
/// Bases that are not there are passed over; circles end.
pub fn order<'a>(
    index: &IndexName,
    settings: impl Fn(&IndexName) -> Option<&'a IndexSettings>,
) -> Vec<(IndexName, &'a IndexSettings)> {
    let Some(own) = settings(index) else { return Vec::new() };
    let (mut stages, mut mirrors) = (Vec::new(), Vec::new());
    let mut seen = HashSet::from([index.clone()]);
    let mut waiting = VecDeque::from([(index.clone(), own)]);
    while let Some((name, own)) = waiting.pop_front() {
        for base in own.bases() {
            if seen.len() >= ORDER_MAX || seen.contains(base) {
                continue;
            }
            match settings(base) {
                Some(found @ IndexSettings::Stage(_)) => {
                    seen.insert(base.clone());
                    waiting.push_back((base.clone(), found));
                }
                Some(found @ IndexSettings::Mirror(_)) => {
                    seen.insert(base.clone());
                    mirrors.push((base.clone(), found));
                }
                None => {}
            }
        }
        stages.push((name, own));
    }
    stages.extend(mirrors);
    stages
}
