use crate::names::Sha256;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fs::Metadata;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::MetadataExt;

/// Which files this process has seen to be what their names say; a file that has changed since is not one of them.
///
/// It holds at most twice [`GENERATION_FILES_MAX`] files, those that were asked for last: one that was forgotten is read
/// and verified once more.
#[derive(Default)]
pub(super) struct Verified {
    generations: Mutex<Generations>,
    marks: RandomState,
}

#[derive(Default)]
struct Generations {
    young: HashMap<u64, u64>,
    old: HashMap<u64, u64>,
}

/// Files of one generation: what a table of 2^17 places of 17 bytes takes before it doubles, which is 2.2 MB.
const GENERATION_FILES_MAX: usize = (1 << 17) / 8 * 7;

impl Verified {
    /// The file of that name, of which these are the facts, was read to its end and is right.
    pub fn add(&self, digest: &Sha256, facts: &Metadata) {
        let mark = self.mark(facts);
        self.generations.lock().put(key(digest), mark);
    }

    pub fn has(&self, digest: &Sha256, facts: &Metadata) -> bool {
        let (key, mark) = (key(digest), self.mark(facts));
        let mut generations = self.generations.lock();
        if let Some(known) = generations.young.get(&key) {
            return *known == mark;
        }
        match generations.old.remove(&key) {
            Some(known) => {
                generations.put(key, known);
                known == mark
            }
            None => false,
        }
    }

    pub fn forget(&self, digest: &Sha256) {
        let mut generations = self.generations.lock();
        generations.young.remove(&key(digest));
        generations.old.remove(&key(digest));
    }

    /// What tells one state of a file from all others: 64 bits of what nobody outside can guess.
    fn mark(&self, facts: &Metadata) -> u64 {
        self.marks.hash_one((facts.len(), facts.mtime(), facts.mtime_nsec(), facts.ino()))
    }
}

impl Generations {
    fn put(&mut self, key: u64, mark: u64) {
        if self.young.len() >= GENERATION_FILES_MAX && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, mark);
    }
}

/// The first 64 bits of a digest. Two files that agree in it are verified in turn, which is dear and right.
fn key(digest: &Sha256) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn digest(number: u64) -> Sha256 {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Sha256::from_bytes(bytes)
    }

    #[test]
    fn a_file_is_known_until_it_changes_or_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let (one, other) = (directory.path().join("one"), directory.path().join("other"));
        fs::write(&one, "one").unwrap();
        fs::write(&other, "other").unwrap();
        let (one, other) = (fs::metadata(one).unwrap(), fs::metadata(other).unwrap());
        let verified = Verified::default();
        assert!(!verified.has(&digest(1), &one));
        verified.add(&digest(1), &one);
        assert!(verified.has(&digest(1), &one));
        assert!(!verified.has(&digest(1), &other) && !verified.has(&digest(2), &one));
        verified.add(&digest(1), &other);
        assert!(verified.has(&digest(1), &other) && !verified.has(&digest(1), &one));
        verified.forget(&digest(1));
        assert!(!verified.has(&digest(1), &other));
    }

    #[test]
    fn what_is_asked_for_stays_known_and_the_rest_is_bounded() {
        let facts = fs::metadata(".").unwrap();
        let verified = Verified::default();
        let count = GENERATION_FILES_MAX as u64;
        for number in 0..5 * count {
            verified.add(&digest(number), &facts);
            if number % 1000 == 0 {
                assert!(verified.has(&digest(0), &facts), "forgotten at {number}");
            }
        }
        let generations = verified.generations.lock();
        for generation in [&generations.young, &generations.old] {
            assert!(generation.len() <= GENERATION_FILES_MAX && generation.capacity() <= GENERATION_FILES_MAX);
        }
        drop(generations);
        assert!(verified.has(&digest(5 * count - 1), &facts) && !verified.has(&digest(1), &facts));
    }
}
