use crate::names::IndexName;
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// Sentences that are remembered; the one that was longest not heard gives way.
const SENTENCES_MAX: usize = 50;

/// Kinds that are counted: they are words of ours, about twenty.
const CLASSES_MAX: usize = 40;

/// Something that went wrong and that whoever keeps the server wants to hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// One of a bounded set of words.
    pub class: &'static str,
    /// Whose upstream or page it was, where that is known.
    pub index: Option<IndexName>,
    /// No path of the machine and no secret stands in it.
    pub sentence: String,
}

/// How often something was heard, and when last (Unix seconds).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard<T> {
    pub what: T,
    pub times: u64,
    pub last: u64,
}

/// What went wrong lately. The same sentence is one entry.
#[derive(Default)]
pub struct Troubles(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    sentences: Vec<Heard<Trouble>>,
    classes: BTreeMap<&'static str, (u64, u64)>,
}

impl Troubles {
    pub fn note(&self, now: u64, trouble: Trouble) {
        let mut kept = self.0.lock();
        if kept.classes.len() < CLASSES_MAX || kept.classes.contains_key(trouble.class) {
            let (times, last) = kept.classes.entry(trouble.class).or_default();
            (*times, *last) = (*times + 1, now);
        }
        if let Some(known) = kept.sentences.iter_mut().find(|heard| heard.what == trouble) {
            (known.times, known.last) = (known.times + 1, now);
            return;
        }
        if kept.sentences.len() >= SENTENCES_MAX
            && let Some(oldest) = (0..kept.sentences.len()).min_by_key(|at| kept.sentences.get(*at).map(|one| one.last))
        {
            kept.sentences.swap_remove(oldest);
        }
        kept.sentences.push(Heard { what: trouble, times: 1, last: now });
    }

    /// By kind, the most recent first.
    pub fn classes(&self) -> Vec<Heard<&'static str>> {
        let kept = self.0.lock();
        let heard =
            |(class, (times, last)): (&&'static str, &(u64, u64))| Heard { what: *class, times: *times, last: *last };
        recent(kept.classes.iter().map(heard).collect())
    }

    /// Sentence by sentence, the most recent first.
    pub fn sentences(&self) -> Vec<Heard<Trouble>> {
        recent(self.0.lock().sentences.clone())
    }
}

fn recent<T>(mut heard: Vec<Heard<T>>) -> Vec<Heard<T>> {
    heard.sort_by_key(|one| std::cmp::Reverse(one.last));
    heard
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(sentence: impl Into<String>) -> Trouble {
        Trouble { class: "timeout", index: None, sentence: sentence.into() }
    }

    #[test]
    fn the_same_is_counted_and_the_newest_are_kept() {
        let troubles = Troubles::default();
        troubles.note(5, trouble("often"));
        for now in 10..210 {
            troubles.note(now, trouble(format!("once, at {now}")));
            troubles.note(now, trouble("often"));
        }
        let kept = troubles.sentences();
        assert_eq!(kept.len(), SENTENCES_MAX);
        assert!(kept.windows(2).all(|pair| pair[0].last >= pair[1].last));
        let often = kept.iter().find(|heard| heard.what.sentence == "often").unwrap();
        assert_eq!((often.times, often.last), (201, 209));
        assert_eq!(troubles.classes(), [Heard { what: "timeout", times: 401, last: 209 }]);
    }
}
