//! Which way a large file goes that is in our memory and on the disk: copied from the one, or sent by the system from what
//! it holds of the other (sendfile). Which is cheaper differs by machine, by as much as a half either way
//! (bench/LOG.md), so it is measured where it runs, in what is sent anyway.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Fewer bytes in one call say little about what a byte costs.
const TOLD_BYTES_MIN: usize = 128 * 1024;

/// A new measurement counts for one part in so many.
const WEIGHT: u64 = 8;

/// How often the way that looks dearer is tried again: machines change their minds when others work on them.
const TRIED_EVERY: u64 = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Copied,
    Direct,
}

/// What each way costs, in nanoseconds for a MiB; 0: not known yet.
pub struct Ways {
    copied: AtomicU64,
    direct: AtomicU64,
    chosen: AtomicU64,
}

impl Ways {
    pub const fn new() -> Self {
        Self { copied: AtomicU64::new(0), direct: AtomicU64::new(0), chosen: AtomicU64::new(0) }
    }

    /// The way for the next file.
    pub fn choose(&self) -> Way {
        let (copied, direct) = (self.copied.load(Ordering::Relaxed), self.direct.load(Ordering::Relaxed));
        let (better, other) = if direct < copied { (Way::Direct, Way::Copied) } else { (Way::Copied, Way::Direct) };
        let again = self.chosen.fetch_add(1, Ordering::Relaxed).is_multiple_of(TRIED_EVERY);
        match (copied, direct) {
            (0, _) => Way::Copied,
            (_, 0) => Way::Direct,
            _ if again => other,
            _ => better,
        }
    }

    /// One call that did not wait sent so much in this time.
    pub fn note(&self, way: Way, bytes: usize, took: Duration) {
        if bytes < TOLD_BYTES_MIN {
            return;
        }
        let cost = match way {
            Way::Copied => &self.copied,
            Way::Direct => &self.direct,
        };
        let per_mib = (took.as_nanos() as u64).saturating_mul(1 << 20) / bytes as u64;
        let before = cost.load(Ordering::Relaxed);
        let now = if before == 0 { per_mib } else { (before * (WEIGHT - 1) + per_mib) / WEIGHT };
        // Two workers at once lose one measurement of many.
        cost.store(now.max(1), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheaper_way_is_taken_and_the_other_tried_now_and_then() {
        const MIB: usize = 1 << 20;
        let ways = Ways::new();
        assert_eq!(ways.choose(), Way::Copied);
        ways.note(Way::Copied, MIB, Duration::from_micros(200));
        assert_eq!(ways.choose(), Way::Direct, "what is not known is tried");
        ways.note(Way::Direct, MIB, Duration::from_micros(150));
        let count = |way| (0..TRIED_EVERY * 10).filter(|_| ways.choose() == way).count();
        assert_eq!(count(Way::Copied), 10);
        for _ in 0..100 {
            ways.note(Way::Direct, MIB, Duration::from_micros(400));
        }
        assert_eq!(count(Way::Direct), 10, "it does not turn round");
        ways.note(Way::Copied, 1000, Duration::from_secs(1));
        assert_eq!(count(Way::Direct), 10, "a small call told something");
    }
}
