//! Freshness: whether what is known about a project may be answered as it is, or upstream has to be asked first.
//!
//! Enters: an [`Entry`] (when it was last checked, how it came here, what failed since) and the time.
//! Leaves: a [`Decision`], and the entry that follows from an answer or a failure.
//! Must not know: networks, storage, the clock. Times are milliseconds of one clock of the caller's that may be set
//! back; they are only ever compared with each other.

/// A client's `no-cache` is heeded when upstream was last asked at least this long ago: long enough that a resolver
/// with fifty connections costs one question, short enough that nobody waits for a release that is there.
pub const NO_CACHE_AFTER_MS: u64 = 5_000;

/// How long upstream is left alone after the first failure; doubled for each further one.
pub const RETRY_FIRST_MS: u64 = 15_000;

/// The longest that upstream is left alone after failures: a mirror is current again a minute after upstream is.
pub const RETRY_MS_MAX: u64 = 60_000;

/// How long upstream's "no such project" is believed. A new project must appear soon; a resolver that asks for a
/// private name many times within a build must not cost upstream as many questions.
pub const ABSENT_MS_MAX: u64 = 30_000;

/// The shortest time that upstream's `max-age` can ask for: `max-age=0` must not turn every page into a question.
pub const UPSTREAM_MAX_AGE_MS_MIN: u64 = 10_000;

/// What to do about a page that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Answer what is known.
    Fresh,
    /// Answer what is known, marked stale, and leave upstream alone: it failed a moment ago.
    Stale,
    /// Ask upstream, then answer; if it fails, answer what is known.
    Revalidate,
    /// Answer what is known, and ask upstream in the background. Given until [`Entry::revalidating`] is noted.
    ServeThenRevalidate,
    /// Nothing is known: ask upstream, and if it fails, fail. Failures are not remembered here, because one lost
    /// question must not lock a project away.
    Missing,
}

/// What is known about a project of a mirror. `Entry::default()` knows nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Entry {
    known: Known,
    checked_at_ms: u64,
    /// It was stored by an earlier run, and upstream has not been asked about it in this one.
    from_disk: bool,
    /// When upstream last failed since the check, and how often in a row.
    failed_at_ms: u64,
    failures: u32,
}

/// Upstream's last word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Known {
    #[default]
    Nothing,
    Page,
    /// 404
    Absent,
}

impl Entry {
    /// Upstream answered: with a page (a 304 counts as one), or that there is none.
    pub fn checked(known: Known, now_ms: u64) -> Self {
        Self { known, checked_at_ms: now_ms, ..Self::default() }
    }

    /// A page was found on disk after a restart.
    pub fn loaded(checked_at_ms: u64) -> Self {
        Self { known: Known::Page, checked_at_ms, from_disk: true, ..Self::default() }
    }

    /// The background question that [`Decision::ServeThenRevalidate`] demands has been started.
    pub fn revalidating(self) -> Self {
        Self { from_disk: false, ..self }
    }

    /// Upstream could not be asked, or answered with an error. What is known stays known.
    pub fn failed(self, now_ms: u64) -> Self {
        Self { failed_at_ms: now_ms, failures: self.failures.saturating_add(1), from_disk: false, ..self }
    }

    pub fn known(&self) -> Known {
        self.known
    }

    /// When upstream last answered.
    pub fn checked_at_ms(&self) -> u64 {
        self.checked_at_ms
    }

    /// When the next question to upstream is allowed after failures.
    fn quiet_ms(&self) -> u64 {
        match self.failures {
            0 => 0,
            failures => RETRY_FIRST_MS.saturating_mul(1 << (failures - 1).min(2)).min(RETRY_MS_MAX),
        }
    }
}

/// Decides about one request. `ttl_ms` is the page's time to live (see [`ttl_ms`]); `client_no_cache` is the client's
/// `Cache-Control: no-cache`.
///
/// A time that lies ahead of `now_ms` means that the clock went backwards: what carries it counts as stale, never as
/// fresh for ever.
pub fn decide(entry: &Entry, now_ms: u64, ttl_ms: u64, client_no_cache: bool) -> Decision {
    let within = |since_ms: u64, span_ms: u64| now_ms.checked_sub(since_ms).is_some_and(|age_ms| age_ms < span_ms);
    let ttl_ms = match entry.known {
        Known::Nothing => return Decision::Missing,
        Known::Page => ttl_ms,
        Known::Absent => ttl_ms.min(ABSENT_MS_MAX),
    };
    let fresh_ms = if client_no_cache { NO_CACHE_AFTER_MS.min(ttl_ms) } else { ttl_ms };
    if within(entry.checked_at_ms, fresh_ms) {
        return Decision::Fresh;
    }
    let quiet_ms = if client_no_cache { NO_CACHE_AFTER_MS.min(entry.quiet_ms()) } else { entry.quiet_ms() };
    if within(entry.failed_at_ms, quiet_ms) {
        return Decision::Stale;
    }
    if entry.from_disk && !client_no_cache { Decision::ServeThenRevalidate } else { Decision::Revalidate }
}

/// A page's time to live: the configured one, or upstream's `max-age` where that is shorter (at least 10 s).
pub fn ttl_ms(configured_ms: u64, upstream_max_age_s: Option<u64>) -> u64 {
    let upstream = upstream_max_age_s.map(|seconds| seconds.saturating_mul(1_000).max(UPSTREAM_MAX_AGE_MS_MIN));
    upstream.map_or(configured_ms, |upstream_ms| upstream_ms.min(configured_ms))
}

#[cfg(test)]
mod tests {
    use super::Decision::*;
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_000_000_000;
    const TTL: u64 = 600_000;

    #[test]
    fn a_page_lives_for_its_time() {
        for (age_ms, plain, no_cache) in [
            (0, Fresh, Fresh),
            (NO_CACHE_AFTER_MS - 1, Fresh, Fresh),
            (NO_CACHE_AFTER_MS, Fresh, Revalidate),
            (TTL - 1, Fresh, Revalidate),
            (TTL, Revalidate, Revalidate),
            (NOW, Revalidate, Revalidate),
        ] {
            let entry = Entry::checked(Known::Page, NOW - age_ms);
            assert_eq!(decide(&entry, NOW, TTL, false), plain, "{age_ms}");
            assert_eq!(decide(&entry, NOW, TTL, true), no_cache, "{age_ms}");
        }
        assert_eq!(decide(&Entry::default(), NOW, TTL, false), Missing);
        assert_eq!(decide(&Entry::default(), NOW, TTL, true), Missing);
    }

    #[test]
    fn an_absence_is_believed_for_half_a_minute() {
        let absent = |age_ms| Entry::checked(Known::Absent, NOW - age_ms);
        assert_eq!(decide(&absent(ABSENT_MS_MAX - 1), NOW, TTL, false), Fresh);
        assert_eq!(decide(&absent(ABSENT_MS_MAX), NOW, TTL, false), Revalidate);
        assert_eq!(decide(&absent(20_000), NOW, 10_000, false), Revalidate);
        assert_eq!(decide(&absent(NO_CACHE_AFTER_MS), NOW, TTL, true), Revalidate);
    }

    #[test]
    fn a_restart_serves_first_and_asks_once() {
        let old = Entry::loaded(NOW - TTL);
        assert_eq!(decide(&Entry::loaded(NOW - TTL + 1), NOW, TTL, false), Fresh);
        assert_eq!(decide(&old, NOW, TTL, false), ServeThenRevalidate);
        assert_eq!(decide(&old, NOW, TTL, true), Revalidate);
        assert_eq!(decide(&old.revalidating(), NOW, TTL, false), Revalidate);
        assert_eq!(decide(&old.revalidating().failed(NOW), NOW, TTL, false), Stale);
    }

    #[test]
    fn a_failing_upstream_is_left_alone_for_longer_and_longer() {
        let mut entry = Entry::checked(Known::Page, NOW - TTL);
        for quiet_ms in [15_000, 30_000, 60_000, 60_000, 60_000] {
            entry = entry.failed(NOW);
            assert_eq!(decide(&entry, NOW, TTL, false), Stale);
            assert_eq!(decide(&entry, NOW + quiet_ms - 1, TTL, false), Stale, "{quiet_ms}");
            assert_eq!(decide(&entry, NOW + quiet_ms, TTL, false), Revalidate, "{quiet_ms}");
            assert_eq!(decide(&entry, NOW + NO_CACHE_AFTER_MS - 1, TTL, true), Stale);
            assert_eq!(decide(&entry, NOW + NO_CACHE_AFTER_MS, TTL, true), Revalidate);
            assert_eq!(entry.known(), Known::Page);
        }
        assert_eq!(decide(&Entry::checked(Known::Page, NOW), NOW + 1, TTL, false), Fresh);
    }

    #[test]
    fn a_first_failure_locks_nothing_away() {
        assert_eq!(decide(&Entry::default().failed(NOW), NOW, TTL, false), Missing);
    }

    #[test]
    fn a_failure_does_not_end_the_freshness_that_is_left() {
        // A forced question failed: others keep their fresh page.
        let entry = Entry::checked(Known::Page, NOW - NO_CACHE_AFTER_MS).failed(NOW);
        assert_eq!(decide(&entry, NOW, TTL, false), Fresh);
    }

    #[test]
    fn a_clock_set_back_makes_nothing_fresh() {
        for known in [Known::Page, Known::Absent] {
            let ahead = Entry::checked(known, NOW + 1);
            assert_eq!(decide(&ahead, NOW, u64::MAX, false), Revalidate);
            assert_eq!(decide(&ahead.failed(NOW + 1), NOW, TTL, false), Revalidate);
        }
        assert_eq!(decide(&Entry::loaded(NOW + 1), NOW, u64::MAX, false), ServeThenRevalidate);
    }

    #[test]
    fn upstream_may_shorten_a_life_but_not_to_nothing() {
        for (configured_ms, max_age_s, expected_ms) in [
            (TTL, None, TTL),
            (TTL, Some(60), 60_000),
            (TTL, Some(600), TTL),
            (TTL, Some(86_400), TTL),
            (TTL, Some(u64::MAX), TTL),
            (TTL, Some(0), 10_000),
            (TTL, Some(9), 10_000),
            (2_000, Some(0), 2_000),
            (0, None, 0),
        ] {
            assert_eq!(ttl_ms(configured_ms, max_age_s), expected_ms, "{configured_ms} {max_age_s:?}");
        }
    }

    proptest! {
        /// Whatever happened, upstream is asked again at the latest when both spans are over, and what was never
        /// known is never called fresh.
        #[test]
        fn nothing_is_fresh_for_ever(
            checked in 0u64..NOW, failed in 0u64..NOW, failures in 0u32..9, from_disk: bool, no_cache: bool,
            ttl in 0u64..TTL,
        ) {
            let mut entry = if from_disk { Entry::loaded(checked) } else { Entry::checked(Known::Page, checked) };
            for _ in 0..failures {
                entry = entry.failed(failed);
            }
            let late = checked.max(failed) + ttl + RETRY_MS_MAX;
            let decision = decide(&entry, late, ttl, no_cache);
            prop_assert!(matches!(decision, Revalidate | ServeThenRevalidate), "{:?}", decision);
            prop_assert_eq!(decision == ServeThenRevalidate, from_disk && failures == 0 && !no_cache);
        }
    }
}
