use crate::names::{IndexName, ProjectName};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// Projects of which something has changed, for those who keep what is searched: a request only notes a name here.
#[derive(Default)]
pub struct News {
    waiting: Mutex<Waiting>,
    pub(super) wake: Notify,
    /// Something is being learned.
    busy: AtomicBool,
}

#[derive(Default, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) projects: BTreeSet<(IndexName, ProjectName)>,
    /// There were too many to name; all that is known has to be compared.
    pub(super) too_many: bool,
}

/// Names that wait, at most; an import of more than that is seen by comparing everything once.
const WAITING_MAX: usize = 10_000;

impl News {
    pub(super) fn note(&self, index: &IndexName, project: &ProjectName) {
        let mut waiting = self.waiting.lock();
        if waiting.projects.len() >= WAITING_MAX {
            waiting.projects.clear();
            waiting.too_many = true;
        }
        waiting.projects.insert((index.clone(), project.clone()));
        drop(waiting);
        self.wake.notify_one();
    }

    /// Whether something is not learned yet.
    pub(super) fn is_waited_for(&self) -> bool {
        self.busy.load(Ordering::Relaxed) || !self.waiting.lock().projects.is_empty()
    }

    pub(super) fn is_busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::Relaxed);
    }

    pub(super) fn take(&self) -> Waiting {
        std::mem::take(&mut *self.waiting.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_news_is_bounded() {
        let (news, index) = (News::default(), IndexName::parse("alice/dev").unwrap());
        for n in 0..3 * WAITING_MAX + 1 {
            news.note(&index, &ProjectName::parse(&format!("p{}", n % (2 * WAITING_MAX))).unwrap());
            assert!(news.waiting.lock().projects.len() <= WAITING_MAX);
        }
        assert!(news.take().too_many);
        assert_eq!(news.take(), Waiting::default());
    }
}
