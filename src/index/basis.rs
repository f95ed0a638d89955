use super::news::News;
use super::states::DocumentState;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What something was made from: it is current as long as nothing of that has changed. Read the parts before the data,
/// so that a change in between makes the result out of date, not wrong for ever.
#[derive(Clone, Default)]
pub struct Basis(Vec<Part>);

#[derive(Clone)]
enum Part {
    /// What a mirror said of a project.
    Document { state: Arc<DocumentState>, generation: u64 },
    /// What a stage has of a project.
    Stage { marks: Arc<Marks>, lane: usize, seen: u64 },
    /// Which indexes there are and how they are set.
    Catalog { version: Arc<AtomicU64>, seen: u64 },
}

/// Counters of a stage's changes. A project has the counter that its name hashes to; few share one, and none is ever
/// dropped while a rendering refers to it.
pub struct Marks {
    lanes: [AtomicU64; LANES],
    /// Where those hear of a change who keep what is searched.
    pub(super) news: Arc<News>,
}

/// A change of one project lets one in so many of a stage's pages be made anew.
const LANES: usize = 64;

impl Marks {
    pub fn new(news: &Arc<News>) -> Self {
        Self { lanes: [const { AtomicU64::new(0) }; LANES], news: Arc::clone(news) }
    }

    /// Something of the project has changed.
    pub fn changed(&self, project: &str) {
        if let Some(mark) = self.lanes.get(lane(project)) {
            mark.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The stage itself is gone.
    pub fn gone(&self) {
        for mark in &self.lanes {
            mark.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn read(&self, lane: usize) -> u64 {
        self.lanes.get(lane).map_or(0, |mark| mark.load(Ordering::Acquire))
    }
}

fn lane(project: &str) -> usize {
    // FNV-1a: spread is all that is asked of it.
    let hash = project
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (hash % LANES as u64) as usize
}

impl Basis {
    /// Of one document alone, as it is now.
    pub fn of(state: &Arc<DocumentState>) -> Self {
        let mut basis = Self::default();
        basis.document(state);
        basis
    }

    pub fn document(&mut self, state: &Arc<DocumentState>) {
        self.0.push(Part::Document { generation: state.generation(), state: Arc::clone(state) });
    }

    pub fn stage(&mut self, marks: &Arc<Marks>, project: &str) {
        let lane = lane(project);
        self.0.push(Part::Stage { seen: marks.read(lane), marks: Arc::clone(marks), lane });
    }

    pub fn catalog(&mut self, version: &Arc<AtomicU64>) {
        self.0.push(Part::Catalog { seen: version.load(Ordering::Acquire), version: Arc::clone(version) });
    }

    /// Whether a stage has a part in it.
    pub fn is_of_stage(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Stage { .. }))
    }

    /// Whether nothing of it has changed since.
    pub fn is_current(&self) -> bool {
        self.0.iter().all(|part| match part {
            Part::Document { state, generation } => state.generation() == *generation,
            Part::Stage { marks, lane, seen } => marks.read(*lane) == *seen,
            Part::Catalog { version, seen } => version.load(Ordering::Acquire) == *seen,
        })
    }

    /// Whether none of its documents has to be asked about at `now` (clock ticks).
    pub fn is_fresh(&self, now: u64) -> bool {
        self.0.iter().all(|part| match part {
            Part::Document { state, .. } => state.is_fresh(now),
            Part::Stage { .. } | Part::Catalog { .. } => true,
        })
    }

    /// Whether it is what is known now: the same things, seen in the same state. A document's state that was dropped
    /// and made anew no longer tells of changes, so it counts as another.
    pub fn agrees(&self, now: &Self) -> bool {
        let same = |(one, other): (&Part, &Part)| match (one, other) {
            (Part::Document { state: a, generation: x }, Part::Document { state: b, generation: y }) => {
                Arc::ptr_eq(a, b) && x == y
            }
            (Part::Stage { marks: a, lane: i, seen: x }, Part::Stage { marks: b, lane: j, seen: y }) => {
                Arc::ptr_eq(a, b) && i == j && x == y
            }
            (Part::Catalog { seen: x, .. }, Part::Catalog { seen: y, .. }) => x == y,
            _ => false,
        };
        self.0.len() == now.0.len() && self.0.iter().zip(&now.0).all(same)
    }

    /// A number for the whole, so that who comes after a change does not join a rendering from before it.
    pub fn number(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        for part in &self.0 {
            match part {
                Part::Document { generation, .. } => generation.hash(&mut hasher),
                Part::Stage { lane, seen, .. } => (lane, seen).hash(&mut hasher),
                Part::Catalog { seen, .. } => seen.hash(&mut hasher),
            }
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::pages::page_of;
    use super::super::states::States;
    use super::*;
    use crate::names::{IndexName, ProjectName};

    #[test]
    fn what_a_dropped_state_told_is_not_what_is_known_now() {
        let document = page_of(&IndexName::parse("root/pypi").unwrap(), &ProjectName::parse("demo").unwrap());
        let (before, after) =
            (States::new().get_or_make(&document, None, 1), States::new().get_or_make(&document, None, 1));
        let basis = Basis::of(&before);
        assert!(basis.is_current() && basis.agrees(&Basis::of(&before)));
        assert!(!basis.agrees(&Basis::of(&after)), "nobody tells this basis of a change any more");
        before.rerender();
        assert!(!basis.is_current() && !basis.agrees(&Basis::of(&before)));
    }

    #[test]
    fn a_change_of_a_project_is_seen_by_its_pages() {
        let (marks, version) = (Arc::new(Marks::new(&Arc::default())), Arc::new(AtomicU64::new(1)));
        let made = || {
            let mut basis = Basis::default();
            basis.catalog(&version);
            basis.stage(&marks, "demo");
            basis
        };
        let basis = made();
        let other = (0..).map(|n| format!("other-{n}")).find(|name| lane(name) != lane("demo")).unwrap();
        marks.changed(&other);
        assert!(basis.is_current() && basis.agrees(&made()) && basis.number() == made().number());
        marks.changed("demo");
        assert!(!basis.is_current() && basis.number() != made().number());
        let basis = made();
        version.fetch_add(1, Ordering::Relaxed);
        assert!(!basis.is_current());
        let basis = made();
        marks.gone();
        assert!(!basis.is_current());
    }
}
