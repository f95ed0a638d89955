use moka::sync::Cache;
use parking_lot::Mutex;
use std::hash::Hash;
use std::sync::Arc;

/// What a value costs in memory, in bytes, with what hangs on it.
pub trait Weigh {
    fn weight(&self) -> usize;
}

/// The one memory budget: pages, files and facts together, admitted by frequency (TinyLFU), weighed in bytes.
pub struct Memory<K, V> {
    cache: Cache<K, Arc<Slot<V>>, foldhash::fast::RandomState>,
    capacity: u64,
}

/// Where the cache has a value. It is emptied when the value leaves: moka's map keeps what was removed for a while, dozens
/// of entries for each thread, whatever they weigh.
struct Slot<V> {
    weight: u32,
    value: Mutex<Option<V>>,
}

/// What moka, its lists, the key (held twice) and the slot cost for an entry, in bytes, beside the value: a heap profile of
/// 2,000 entries.
const ENTRY_OVERHEAD_BYTES: usize = 448;

/// The heaviest entry is this part of the capacity, so that one file can't evict the world.
const ENTRY_PART_OF_CAPACITY: u64 = 8;

/// This part of the capacity is not filled with what was asked for once: the next page or facts of a file, which are asked for
/// by every build, would drive out what has lain longest, and that may be hot.
const LEFT_PART_OF_CAPACITY: u64 = 16;

/// From this weight on an insertion settles the cache's books at once. moka evicts in batches; small entries may
/// wait for that, a few large ones could overshoot the budget.
const SETTLE_AT_BYTES: usize = 64 * 1024;

impl<K, V> Memory<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Weigh + Clone + Send + Sync + 'static,
{
    /// A cache that holds `capacity` bytes.
    pub fn new(capacity: u64) -> Self {
        let cache = Cache::builder()
            .max_capacity(capacity)
            .weigher(|_: &K, slot: &Arc<Slot<V>>| slot.weight)
            .eviction_listener(|_, slot, _| drop(slot.value.lock().take()))
            .build_with_hasher(foldhash::fast::RandomState::default());
        Self { cache, capacity }
    }

    pub fn get(&self, key: &K) -> Option<V> {
        self.cache.get(key)?.value.lock().clone()
    }

    /// Offers a value; the cache may refuse it when what it holds is asked for more often.
    pub fn insert(&self, key: K, value: V) {
        let weight = value.weight();
        if weight as u64 > self.entry_max() {
            self.cache.invalidate(&key);
            return;
        }
        let counted = u32::try_from(weight + ENTRY_OVERHEAD_BYTES).unwrap_or(u32::MAX);
        self.cache.insert(key, Arc::new(Slot { weight: counted, value: Mutex::new(Some(value)) }));
        if weight >= SETTLE_AT_BYTES {
            self.cache.run_pending_tasks();
        }
    }

    pub fn remove(&self, key: &K) {
        self.cache.invalidate(key);
    }

    /// Drops what `gone` says. What comes in meanwhile may be missed.
    pub fn remove_if(&self, gone: impl Fn(&K, &V) -> bool) {
        for (key, slot) in &self.cache {
            if slot.value.lock().as_ref().is_none_or(|value| gone(&key, value)) {
                self.cache.invalidate(&*key);
            }
        }
        self.cache.run_pending_tasks();
    }

    /// Drops everything.
    pub fn clear(&self) {
        self.cache.invalidate_all();
    }

    /// The heaviest value that is taken, in bytes.
    pub fn entry_max(&self) -> u64 {
        self.capacity / ENTRY_PART_OF_CAPACITY
    }

    /// Whether `weight` more bytes fit without evicting anything, and leave room for what is small.
    pub fn has_room(&self, weight: u64) -> bool {
        self.cache.weighted_size() + weight <= self.capacity - self.capacity / LEFT_PART_OF_CAPACITY
    }

    /// Bytes held now, as last settled.
    pub fn bytes(&self) -> u64 {
        self.cache.weighted_size()
    }

    pub fn capacity(&self) -> u64 {
        self.capacity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weigh for Vec<u8> {
        fn weight(&self) -> usize {
            self.len()
        }
    }

    #[test]
    fn holds_its_budget_under_a_scan_and_keeps_what_is_asked_for() {
        let memory: Memory<u32, Vec<u8>> = Memory::new(16 << 20);
        for _ in 0..20 {
            memory.insert(0, vec![0; 1 << 20]);
            assert!(memory.get(&0).is_some());
        }
        for key in 1..200 {
            memory.insert(key, vec![0; 1 << 20]);
            assert!(memory.bytes() <= 16 << 20, "over the budget: {}", memory.bytes());
        }
        assert!(memory.get(&0).is_some(), "a scan evicted the hot entry");
    }

    #[derive(Clone)]
    struct Large {
        _living: Arc<()>,
    }

    impl Weigh for Large {
        fn weight(&self) -> usize {
            1 << 20
        }
    }

    #[test]
    fn what_is_evicted_is_dropped_at_once() {
        let memory: Memory<u32, Large> = Memory::new(16 << 20);
        let living = Arc::new(());
        let mut most = 0;
        for key in 0..1000 {
            // Asked for often enough to be let in.
            for _ in 0..key / 16 {
                memory.get(&key);
            }
            memory.insert(key, Large { _living: Arc::clone(&living) });
            most = most.max(Arc::strong_count(&living) - 1);
        }
        assert!(most <= 17, "{most} values of 1 MiB lived beside a budget of 16");
    }

    #[test]
    fn what_fits_leaves_room_for_what_is_small() {
        const LARGE: u64 = 200_000;
        let memory: Memory<u32, Vec<u8>> = Memory::new(4 << 20);
        let fit = (0..).take_while(|&key| {
            memory.has_room(LARGE) && {
                memory.insert(key, vec![0; LARGE as usize]);
                true
            }
        });
        let fit = fit.count() as u32;
        for key in fit..fit + 100 {
            // Each is asked for more often than what lies there.
            (0..8).for_each(|_| drop(memory.get(&key)));
            memory.insert(key, vec![0; 2000]);
        }
        memory.cache.run_pending_tasks();
        assert_eq!((fit, (0..fit + 100).filter(|key| memory.get(key).is_some()).count()), (19, 119));
    }

    #[test]
    fn a_part_is_dropped_and_the_rest_stays() {
        let memory: Memory<u32, Vec<u8>> = Memory::new(8 << 20);
        (0..100).for_each(|key| memory.insert(key, vec![0; key as usize]));
        memory.remove_if(|key, value| key % 2 == 0 || value.len() == 51);
        let left: Vec<_> = (0..100).filter(|key| memory.get(key).is_some()).collect();
        assert_eq!(left, (0..100).filter(|key| key % 2 == 1 && *key != 51).collect::<Vec<_>>());
    }

    #[test]
    fn refuses_what_would_evict_the_world_and_drops_the_older_value() {
        let memory: Memory<u32, Vec<u8>> = Memory::new(8 << 20);
        memory.insert(1, vec![0; 10]);
        memory.insert(1, vec![0; (1 << 20) + 1]);
        assert!(memory.get(&1).is_none());
    }
}
