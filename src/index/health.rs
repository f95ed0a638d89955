use parking_lot::Mutex;

/// How it goes with the server behind a mirror, as far as it was asked. One for each mirror, of a fixed size.
#[derive(Default)]
pub struct Health(Mutex<Facts>);

/// What is known of an upstream; times are Unix seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    pub answered: Option<u64>,
    pub failed: Option<Failed>,
    /// Since when nothing else was heard; none while it answers.
    pub failing_since: Option<u64>,
    hour: [Minutes; STRETCHES],
}

/// The last failure, and what kind it was: one of a bounded set of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed {
    pub at: u64,
    pub class: &'static str,
}

/// Failures in the five minutes that began then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Minutes {
    start: u64,
    failures: u64,
}

const STRETCHES: usize = 12;
const STRETCH_SECONDS: u64 = 300;

impl Health {
    pub fn answered(&self, now: u64) {
        let mut facts = self.0.lock();
        facts.answered = Some(now);
        facts.failing_since = None;
    }

    pub fn failed(&self, now: u64, class: &'static str) {
        self.0.lock().fail(now, class);
    }

    pub fn facts(&self) -> Facts {
        *self.0.lock()
    }
}

impl Facts {
    fn fail(&mut self, now: u64, class: &'static str) {
        self.failed = Some(Failed { at: now, class });
        // A clock that was set back does not make a failure begin after it was seen.
        self.failing_since = Some(self.failing_since.map_or(now, |since| since.min(now)));
        let start = now - now % STRETCH_SECONDS;
        let slot = usize::try_from(now / STRETCH_SECONDS).unwrap_or(0) % STRETCHES;
        if let Some(slot) = self.hour.get_mut(slot) {
            match slot.start == start {
                true => slot.failures += 1,
                false => *slot = Minutes { start, failures: 1 },
            }
        }
    }

    /// Failures of about the last hour: of the stretch that runs and the eleven before.
    pub fn failures_in_hour(&self, now: u64) -> u64 {
        let within = |slot: &&Minutes| slot.start <= now && now - slot.start < STRETCHES as u64 * STRETCH_SECONDS;
        self.hour.iter().filter(within).map(|slot| slot.failures).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_790_000_000;

    #[test]
    fn an_upstream_fails_until_it_answers() {
        let health = Health::default();
        assert_eq!(health.facts(), Facts::default());
        health.answered(NOW);
        health.failed(NOW + 1, "timeout");
        health.failed(NOW + 2, "unreachable");
        let facts = health.facts();
        assert_eq!((facts.answered, facts.failing_since), (Some(NOW), Some(NOW + 1)));
        assert_eq!(facts.failed, Some(Failed { at: NOW + 2, class: "unreachable" }));
        health.answered(NOW + 3);
        assert_eq!((health.facts().failing_since, health.facts().failed.map(|f| f.at)), (None, Some(NOW + 2)));
    }

    #[test]
    fn failures_are_counted_for_an_hour() {
        let mut facts = Facts::default();
        for minute in 0..120 {
            facts.fail(NOW + minute * 60, "timeout");
        }
        let now = NOW + 119 * 60;
        assert!((56..=60).contains(&facts.failures_in_hour(now)), "{}", facts.failures_in_hour(now));
        assert_eq!(facts.failures_in_hour(now + 3_600), 0);
        assert_eq!(facts.failures_in_hour(NOW - 3_600), 0, "the clock went back");
        facts.fail(NOW - 3_600, "tls");
        assert_eq!(facts.failures_in_hour(NOW - 3_600), 1);
        assert_eq!(facts.failing_since, Some(NOW - 3_600));
    }
}
