use crate::fresh;
use crate::names::IndexName;
use crate::upstream::Upstream;

/// A mirror index: a name, where its pages come from, and how long they are believed.
pub struct Mirror {
    pub name: IndexName,
    pub upstream: Upstream,
    pub ttl_ms: u64,
}

impl Mirror {
    /// How long a page is believed, in milliseconds: the setting, or upstream's `max-age` (seconds) if that is less.
    pub fn page_ttl_ms(&self, max_age: Option<u64>) -> u64 {
        fresh::ttl_ms(self.ttl_ms, max_age)
    }
}
