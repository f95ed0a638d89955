use super::House;
use super::errors::IndexError;
use super::keys::{Key, Value};
use crate::cache::Calls;
use crate::search::Words;
use crate::store::WORDS_MAX;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The words that occur in what is known, to find those that somebody meant.
#[derive(Default)]
pub struct Spellings {
    /// Grows with every change of what is known.
    version: AtomicU64,
    calls: Calls<(), Option<Arc<Spelled>>>,
}

/// The words as they were at some time.
pub struct Spelled {
    pub(super) words: Words,
    version: u64,
    /// Clock ticks.
    made: u64,
}

/// How long words are used although others have come, in milliseconds: it is about misspelled ones only.
const OLD_MS: u64 = 60_000;

/// Words that are kept, at most: a few megabytes.
const VOCABULARY_MAX: usize = 500_000;

/// Words that one misspelled word may stand for.
const MEANINGS_MAX: usize = 6;

impl Spellings {
    pub(super) fn changed(&self) {
        self.version.fetch_add(1, Ordering::Relaxed);
    }
}

impl House {
    /// The words that are meant by misspelled ones: each with itself.
    pub(super) async fn meanings(self: &Arc<Self>, words: &[String]) -> Result<Vec<Vec<String>>, IndexError> {
        let Some(spelled) = self.spelled().await else { return Ok(Vec::new()) };
        let words: Vec<String> = words.iter().take(WORDS_MAX).cloned().collect();
        let meant = move || {
            let of = |word: String| {
                let mut all = spelled.words.like(&word, MEANINGS_MAX);
                all.push(word);
                all
            };
            words.into_iter().map(of).collect()
        };
        tokio::task::spawn_blocking(meant).await.map_err(|_| IndexError::Lost)
    }

    async fn spelled(self: &Arc<Self>) -> Option<Arc<Spelled>> {
        let make = || {
            let house = Arc::clone(self);
            async move { house.spell().await }
        };
        match self.memory.get(&Key::Spelled) {
            Some(Value::Spelled(spelled)) => {
                let changed = spelled.version != self.spellings.version.load(Ordering::Relaxed);
                if changed && self.clock.ticks() > spelled.made + OLD_MS {
                    drop(self.spellings.calls.start((), make));
                }
                Some(spelled)
            }
            _ => self.spellings.calls.join((), make).await.ok().flatten(),
        }
    }

    /// Reads the words; they come in their order.
    async fn spell(self: Arc<Self>) -> Option<Arc<Spelled>> {
        let (version, made) = (self.spellings.version.load(Ordering::Relaxed), self.clock.ticks());
        let mut all: Vec<String> = Vec::new();
        while all.len() < VOCABULARY_MAX {
            let piece = self.store.vocabulary(all.last().map_or("", String::as_str)).await.ok()?;
            if piece.is_empty() {
                break;
            }
            all.extend(piece);
        }
        let words = tokio::task::spawn_blocking(move || Words::new(all.into_iter())).await.ok()?;
        let spelled = Arc::new(Spelled { words, version, made });
        self.memory.insert(Key::Spelled, Value::Spelled(Arc::clone(&spelled)));
        Some(spelled)
    }
}
