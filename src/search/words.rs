use super::near::{Near, lengths, walk};
use fst::Set;

/// The words of a vocabulary, to find those that somebody may have meant.
pub struct Words(Set<Vec<u8>>);

/// Words that are looked at for one, at most.
const LOOKED_AT_MAX: usize = 2_000;

impl Words {
    /// Of words in the order of their bytes; one that is out of it is left out.
    pub fn new(words: impl Iterator<Item = String>) -> Self {
        let mut builder = fst::SetBuilder::memory();
        for word in words {
            let _ = builder.insert(word);
        }
        let bytes = builder.into_inner().unwrap_or_default();
        Self(Set::new(bytes).unwrap_or_default())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What it takes in memory, in bytes.
    pub fn bytes(&self) -> usize {
        self.0.as_fst().size()
    }

    /// The words that `word` may be the misspelled beginning of, the nearest and shortest first; not `word` itself.
    pub fn like(&self, word: &str, count: usize) -> Vec<String> {
        let Some(near) = Near::with_slips(word) else { return Vec::new() };
        let (mut found, mut looked_at) = (Vec::new(), 0);
        for round in 0.. {
            let Some(lengths) = lengths(word.len(), round) else { break };
            walk(&self.0, &near, lengths, |key| {
                looked_at += 1;
                if let (Some(slips), Ok(text)) = (near.slips(key), std::str::from_utf8(key))
                    && slips > 0
                {
                    found.push((slips, text.len(), text.to_owned()));
                }
                looked_at < LOOKED_AT_MAX
            });
            if found.len() >= count || looked_at >= LOOKED_AT_MAX {
                break;
            }
        }
        found.sort();
        found.into_iter().map(|(.., word)| word).take(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_slip_is_forgiven() {
        let words = ["client", "client-side", "clients", "event", "framework", "frameworks", "web"];
        let words = Words::new(words.iter().map(|word| (*word).to_owned()));
        assert_eq!((words.len(), words.is_empty()), (7, false));
        for (typed, meant) in [
            ("cleint", "client"),
            ("clent", "client"),
            ("xlient", "client"),
            ("lient", "client"),
            ("framewrok", "framework"),
            ("fraemwrok", "framework"),
            ("vent", "event"),
        ] {
            assert_eq!(words.like(typed, 1), [meant], "{typed}");
        }
        for typed in ["wbe", "", "nothing", &"x".repeat(300)] {
            assert_eq!(words.like(typed, 9), [""; 0], "{typed}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(mut words in prop::collection::vec(".{0,8}", 0..20), typed in ".{0,50}") {
            words.sort();
            let found = Words::new(words.clone().into_iter()).like(&typed, 5);
            prop_assert!(found.iter().all(|word| words.contains(word)));
        }
    }
}
