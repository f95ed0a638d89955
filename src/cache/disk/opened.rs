use super::Shelf;
use crate::names::Sha256;
use parking_lot::Mutex;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Files of the shelves that stay open for who asks next (measured: `bench/LOG.md`).
///
/// Each digest has one set of [`SET_FILES`] places, whose oldest gives way: bounded, and no more than one is ever closed at
/// a time.
pub(super) struct Opened {
    sets: Box<[Mutex<Vec<Held>>]>,
    /// How many files have been forgotten.
    forgotten: AtomicU64,
}

struct Held {
    shelf: Shelf,
    digest: Sha256,
    file: Arc<File>,
}

/// Taken before a file is opened; what is forgotten from then on is not put here.
pub(super) struct Before(u64);

const SET_FILES: usize = 8;

/// Files that are held, at most: what a site asks for in a day, and a few hundred bytes of the kernel's for each.
const FILES_MAX: u64 = 4096;

/// Of the files that the process may have open: connections and transfers need the others.
const PART: u64 = 4;

/// How many files are held by a process that may have so many open (none: no limit).
pub fn held_open_max(descriptors: Option<u64>) -> u64 {
    descriptors.map_or(FILES_MAX, |all| FILES_MAX.min(all / PART))
}

impl Opened {
    /// Holds at most `files_max` files.
    pub fn new(files_max: usize) -> Self {
        Self { sets: (0..files_max / SET_FILES).map(|_| Mutex::default()).collect(), forgotten: AtomicU64::new(0) }
    }

    pub fn get(&self, shelf: Shelf, digest: &Sha256) -> Option<Arc<File>> {
        let mut set = self.set(digest)?.lock();
        let at = set.iter().position(|held| held.is(shelf, digest))?;
        // The newest is the last.
        set[at..].rotate_left(1);
        set.last().map(|held| Arc::clone(&held.file))
    }

    pub fn before(&self) -> Before {
        Before(self.forgotten.load(Ordering::Acquire))
    }

    /// Keeps a file that was opened since `before`.
    pub fn put(&self, before: Before, shelf: Shelf, digest: &Sha256, file: &Arc<File>) {
        let Some(set) = self.set(digest) else { return };
        let mut set = set.lock();
        // Whoever forgets counts first and looks into the set then: it finds this one, or we find that it was here.
        if self.forgotten.load(Ordering::Acquire) != before.0 || set.iter().any(|held| held.is(shelf, digest)) {
            return;
        }
        if set.len() >= SET_FILES {
            set.remove(0);
        }
        set.push(Held { shelf, digest: *digest, file: Arc::clone(file) });
    }

    /// To be called when the file has lost its name: who holds none of its bytes any more gives its space back.
    pub fn forget(&self, shelf: Shelf, digest: &Sha256) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        if let Some(set) = self.set(digest) {
            set.lock().retain(|held| !held.is(shelf, digest));
        }
    }

    fn set(&self, digest: &Sha256) -> Option<&Mutex<Vec<Held>>> {
        let [a, b, ..] = *digest.as_bytes();
        let place = usize::from(u16::from_le_bytes([a, b])).checked_rem(self.sets.len())?;
        self.sets.get(place)
    }
}

impl Held {
    fn is(&self, shelf: Shelf, digest: &Sha256) -> bool {
        self.shelf == shelf && self.digest == *digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Digests that fall into the same set.
    fn digest(number: u8) -> Sha256 {
        Sha256::from_bytes([vec![7; 31], vec![number]].concat().try_into().unwrap())
    }

    fn put(opened: &Opened, number: u8) -> Arc<File> {
        let file = Arc::new(tempfile::tempfile().unwrap());
        opened.put(opened.before(), Shelf::Cache, &digest(number), &file);
        file
    }

    #[test]
    fn the_one_that_was_asked_for_longest_ago_gives_way() {
        let opened = Opened::new(64);
        let files: Vec<_> = (0..8).map(|number| put(&opened, number)).collect();
        let held = |number: u8| opened.get(Shelf::Cache, &digest(number));
        assert!(Arc::ptr_eq(&held(0).unwrap(), &files[0]), "another file");
        put(&opened, 8);
        assert!(held(1).is_none() && Arc::strong_count(&files[1]) == 1, "it is closed");
        assert!([0, 2, 7, 8].into_iter().all(|number| held(number).is_some()));
        assert!(opened.get(Shelf::Private, &digest(0)).is_none(), "of the other shelf");
    }

    #[test]
    fn what_is_forgotten_is_closed_and_does_not_come_back() {
        let opened = Opened::new(64);
        let file = put(&opened, 0);
        let before = opened.before();
        opened.forget(Shelf::Cache, &digest(0));
        assert!(opened.get(Shelf::Cache, &digest(0)).is_none() && Arc::strong_count(&file) == 1);
        opened.put(before, Shelf::Cache, &digest(0), &file);
        assert!(opened.get(Shelf::Cache, &digest(0)).is_none(), "it was opened before it lost its name");
    }

    #[test]
    fn there_are_no_more_than_may_be() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        for files_max in [0, 7, 8, 64, 100] {
            let opened = Opened::new(files_max);
            for place in 0..2048u16 {
                let digest = Sha256::from_bytes([&place.to_be_bytes()[..], &[0; 30]].concat().try_into().unwrap());
                opened.put(opened.before(), Shelf::Cache, &digest, &file);
            }
            let kept: usize = opened.sets.iter().map(|set| set.lock().len()).sum();
            assert!(kept <= files_max, "{kept} of {files_max}");
            assert!(kept * 2 > files_max || files_max < SET_FILES, "only {kept} of {files_max}");
        }
    }
}
