use crate::clock::Clock;
use std::time::Duration;

/// Holds whoever reads or writes to so many bytes a second.
#[derive(Debug, Clone)]
pub struct Pace {
    clock: Clock,
    bytes_per_second: Option<u64>,
    since: u64,
    bytes: u64,
}

/// Time that was not used is not made up for beyond this, in milliseconds: after a rest no burst follows.
const CREDIT_MS_MAX: u64 = 1_000;

impl Pace {
    /// None: as fast as it goes.
    pub fn new(clock: Clock, bytes_per_second: Option<u64>) -> Self {
        let since = clock.ticks();
        Self { clock, bytes_per_second: bytes_per_second.map(|rate| rate.max(1)), since, bytes: 0 }
    }

    /// Notes bytes that went; how long to wait before the next.
    pub fn due(&mut self, bytes: u64) -> Duration {
        let Some(rate) = self.bytes_per_second else { return Duration::ZERO };
        let now = self.clock.ticks();
        let earned = |bytes: u64| bytes.saturating_mul(1_000) / rate;
        if now > self.since + earned(self.bytes) + CREDIT_MS_MAX {
            (self.since, self.bytes) = (now, 0);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        Duration::from_millis((self.since + earned(self.bytes)).saturating_sub(now))
    }

    /// Notes bytes that went and waits until the next may.
    pub fn wait(&mut self, bytes: u64) {
        let due = self.due(bytes);
        if !due.is_zero() {
            std::thread::sleep(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_held_and_a_rest_is_no_credit() {
        let clock = Clock::manual(1_790_000_000);
        let mut pace = Pace::new(clock.clone(), Some(1_000));
        assert_eq!(pace.due(500), Duration::from_millis(500));
        assert_eq!(pace.due(500), Duration::from_millis(1_000));
        clock.advance(Duration::from_millis(1_000));
        assert_eq!(pace.due(100), Duration::from_millis(100));
        clock.advance(Duration::from_secs(3_600));
        assert_eq!(pace.due(500), Duration::from_millis(500), "an hour's rest let a burst through");
        assert_eq!(Pace::new(clock, None).due(u64::MAX), Duration::ZERO);
    }
}
