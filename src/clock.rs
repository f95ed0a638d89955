//! The only place that reads a clock, so that tests can move time by hand.
//!
//! Enters: nothing. Leaves: monotonic milliseconds (for ages and deadlines) and Unix seconds (for headers and rows).
//! Must not know: what the times are for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A handle on time; cheap to clone. All clones of a manual clock share one time.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System { started: Instant },
    Manual { milliseconds: Arc<AtomicU64> },
}

/// Where monotonic time starts: far enough from zero that "an hour ago" is a number at start-up too.
const START_MS: u64 = 1 << 40;

impl Clock {
    pub fn system() -> Self {
        Self(Kind::System { started: Instant::now() })
    }

    /// A clock that stands still until [`Clock::advance`] moves it; it starts at `unix` seconds.
    pub fn manual(unix: u64) -> Self {
        Self(Kind::Manual { milliseconds: Arc::new(AtomicU64::new(unix * 1_000)) })
    }

    /// Monotonic milliseconds. Only differences mean something.
    pub fn ticks(&self) -> u64 {
        match &self.0 {
            Kind::System { started } => START_MS + started.elapsed().as_millis() as u64,
            Kind::Manual { milliseconds } => milliseconds.load(Ordering::Relaxed),
        }
    }

    /// Wall-clock seconds since 1970; 0 when the machine's clock stands before it.
    pub fn unix(&self) -> u64 {
        match &self.0 {
            Kind::System { .. } => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
            Kind::Manual { milliseconds } => milliseconds.load(Ordering::Relaxed) / 1_000,
        }
    }

    /// Moves a manual clock; a system clock is not ours to move and stays.
    pub fn advance(&self, by: Duration) {
        if let Kind::Manual { milliseconds } = &self.0 {
            milliseconds.fetch_add(by.as_millis() as u64, Ordering::Relaxed);
        }
    }
}
