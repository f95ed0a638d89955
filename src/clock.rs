//! The only place that reads a clock, so that tests can move time by hand.
//!
//! Enters: nothing. Leaves: monotonic milliseconds (for ages and deadlines), Unix seconds (for headers and rows) and microseconds (for the log).
//! Must not know: what the times are for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A handle on time; cheap to clone. All clones of a manual clock share one time.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System { started: Instant, started_ms: u64 },
    Manual { milliseconds: Arc<AtomicU64> },
}

impl Clock {
    pub fn system() -> Self {
        Self(Kind::System { started: Instant::now(), started_ms: since_1970().as_millis() as u64 })
    }

    /// A clock that stands still until [`Clock::advance`] moves it; it starts at `unix` seconds.
    pub fn manual(unix: u64) -> Self {
        Self(Kind::Manual { milliseconds: Arc::new(AtomicU64::new(unix * 1_000)) })
    }

    /// Milliseconds since 1970 as the wall clock stood at the start, and monotonic from then on: comparable with times
    /// that an earlier run wrote down, and not moved by a clock that is set.
    pub fn ticks(&self) -> u64 {
        match &self.0 {
            Kind::System { started, started_ms } => started_ms + started.elapsed().as_millis() as u64,
            Kind::Manual { milliseconds } => milliseconds.load(Ordering::Relaxed),
        }
    }

    /// Wall-clock seconds since 1970; 0 when the machine's clock stands before it.
    pub fn unix(&self) -> u64 {
        match &self.0 {
            Kind::System { .. } => since_1970().as_secs(),
            Kind::Manual { milliseconds } => milliseconds.load(Ordering::Relaxed) / 1_000,
        }
    }

    /// Wall-clock microseconds since 1970; a manual clock has whole milliseconds.
    pub fn unix_micros(&self) -> u64 {
        match &self.0 {
            Kind::System { .. } => since_1970().as_micros() as u64,
            Kind::Manual { milliseconds } => milliseconds.load(Ordering::Relaxed) * 1_000,
        }
    }

    /// Moves a manual clock; a system clock is not ours to move and stays.
    pub fn advance(&self, by: Duration) {
        if let Kind::Manual { milliseconds } = &self.0 {
            milliseconds.fetch_add(by.as_millis() as u64, Ordering::Relaxed);
        }
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
