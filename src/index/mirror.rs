use crate::names::IndexName;
use crate::upstream::Upstream;

/// A mirror index: a name, where its pages come from, and how long they are believed.
pub struct Mirror {
    pub name: IndexName,
    pub upstream: Upstream,
    pub ttl_ms: u64,
}

/// Shortest time that a page is believed, whatever upstream's max-age says: a page with `max-age=0` must not make
/// every client's request one of ours.
const TTL_MS_MIN: u64 = 10_000;

impl Mirror {
    /// How long a page is believed, in milliseconds: the setting, or upstream's `max-age` (seconds) if that is less.
    pub fn page_ttl_ms(&self, max_age: Option<u64>) -> u64 {
        let told = max_age.map_or(u64::MAX, |seconds| seconds.saturating_mul(1_000).max(TTL_MS_MIN));
        self.ttl_ms.min(told)
    }
}
