//! Counters of the whole house, in Prometheus' text form.
//!
//! Enters: facts as enums, never strings from outside, so that labels stay bounded. Leaves: one page of text.
//! Must not know: who counts.

use prometheus::{Encoder, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What an answer was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Page,
    List,
    Json,
    File,
    Metadata,
    Other,
}

/// Where an answer came from; sent as `X-Cache`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tier {
    /// From memory.
    Memory,
    /// From the disk.
    Disk,
    /// From a fetch that another request had started.
    Flight,
    /// From upstream, for this request.
    Miss,
    /// What was last known, because upstream could not be asked.
    Stale,
}

/// All metrics; cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Fields>);

struct Fields {
    registry: Registry,
    answers: [[IntCounter; Tier::ALL.len()]; Kind::ALL.len()],
    answer_bytes: [[IntCounter; Tier::ALL.len()]; Kind::ALL.len()],
    statuses: IntCounterVec,
    /// Those of [`FREQUENT`], found beforehand.
    frequent: [IntCounter; FREQUENT.len()],
    /// All of them: adding up the statuses would take their lock.
    requests: AtomicU64,
    failures: AtomicU64,
    sent_bytes: IntCounter,
    upstream_bytes: IntCounter,
    upstream_errors: IntCounterVec,
    events: IntCounterVec,
    connections: IntGauge,
    gauges: IntGaugeVec,
}

/// Statuses that are counted without looking for their label.
const FREQUENT: [u16; 4] = [200, 206, 304, 404];

/// How many answers there were, and how many bytes they had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub requests: u64,
    pub bytes: u64,
}

/// Things that happen rarely and that somebody wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    FileDamaged,
    FileWrong,
    FileEvicted,
    FetchResumed,
    DiskUnwritable,
    PageRefused,
    PageUnchanged,
    PageChanged,
    MetadataExtracted,
    MetadataFailed,
    RequestRefused,
    FileScrubbed,
    OrphanSwept,
}

/// Levels, set when the page of metrics is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    MemoryBytes,
    MemoryCapacityBytes,
    DiskBytes,
    DiskCapacityBytes,
    Flights,
    /// Files that users own and the disk has lost.
    PrivateLost,
    /// When every stored file had last been read through, in Unix seconds; 0: never.
    ScrubFinished,
}

impl Metrics {
    pub fn new() -> Self {
        let registry = Registry::new();
        let answers = counters(&registry, "answers_total", "Answers by kind and cache tier", &["kind", "tier"]);
        let bytes =
            counters(&registry, "answer_bytes_total", "Bytes of bodies by kind and cache tier", &["kind", "tier"]);
        let of = |all: &IntCounterVec, kind: Kind| {
            Tier::ALL.map(|tier| all.with_label_values(&[kind.as_str(), tier.as_str()]))
        };
        let build = gauges(&registry, "build_info", "The running version", &["version"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let events = counters(&registry, "events_total", "Rare events", &["event"]);
        // There from the start: an alert on an increase does not see a counter that begins at one.
        Event::ALL.iter().for_each(|event| events.with_label_values(&[event.as_str()]).reset());
        let statuses = counters(&registry, "http_requests_total", "Requests by status", &["status"]);
        Self(Arc::new(Fields {
            answers: Kind::ALL.map(|kind| of(&answers, kind)),
            answer_bytes: Kind::ALL.map(|kind| of(&bytes, kind)),
            requests: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            frequent: FREQUENT.map(|status| statuses.with_label_values(&[&status.to_string()])),
            statuses,
            sent_bytes: counter(&registry, "sent_bytes_total", "Bytes of bodies sent to clients"),
            upstream_bytes: counter(&registry, "upstream_bytes_total", "Bytes of files received from upstream"),
            upstream_errors: counters(&registry, "upstream_errors_total", "Failed requests to upstream", &["class"]),
            events,
            connections: {
                let gauge = IntGauge::with_opts(opts("connections", "Open connections from clients"));
                registered(&registry, gauge)
            },
            gauges: gauges(&registry, "level", "Sizes now, against their budgets", &["what"]),
            registry,
        }))
    }

    pub fn answered(&self, kind: Kind, tier: Tier, bytes: u64) {
        if let Some(counter) = self.0.answers.get(kind as usize).and_then(|tiers| tiers.get(tier as usize)) {
            counter.inc();
        }
        if let Some(counter) = self.0.answer_bytes.get(kind as usize).and_then(|tiers| tiers.get(tier as usize)) {
            counter.inc_by(bytes);
        }
    }

    /// What was answered since the start, by kind and tier; what did not happen is left out.
    pub fn tallies(&self) -> impl Iterator<Item = (Kind, Tier, Tally)> {
        let of = |kind: Kind, tier: Tier| {
            let count = |all: &[[IntCounter; Tier::ALL.len()]; Kind::ALL.len()]| {
                all.get(kind as usize).and_then(|tiers| tiers.get(tier as usize)).map_or(0, IntCounter::get)
            };
            (kind, tier, Tally { requests: count(&self.0.answers), bytes: count(&self.0.answer_bytes) })
        };
        let all = Kind::ALL.into_iter().flat_map(|kind| Tier::ALL.map(|tier| (kind, tier)));
        all.map(move |(kind, tier)| of(kind, tier)).filter(|(_, _, tally)| tally.requests > 0)
    }

    /// Bytes of files received from upstream since the start.
    pub fn received_bytes(&self) -> u64 {
        self.0.upstream_bytes.get()
    }

    /// Bytes of bodies sent to clients since the start.
    pub fn sent_bytes(&self) -> u64 {
        self.0.sent_bytes.get()
    }

    /// Requests since the start, whatever became of them.
    pub fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::Relaxed)
    }

    /// Requests to upstream that failed since the start.
    pub fn upstream_failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    pub fn requested(&self, status: u16, sent: u64) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        match FREQUENT.iter().zip(&self.0.frequent).find(|(frequent, _)| **frequent == status) {
            Some((_, counter)) => counter.inc(),
            None => self.0.statuses.with_label_values(&[&status.to_string()]).inc(),
        }
        self.0.sent_bytes.inc_by(sent);
    }

    pub fn received(&self, bytes: u64) {
        self.0.upstream_bytes.inc_by(bytes);
    }

    /// `class` is one of a bounded set of words.
    pub fn upstream_failed(&self, class: &'static str) {
        self.0.failures.fetch_add(1, Ordering::Relaxed);
        self.0.upstream_errors.with_label_values(&[class]).inc();
    }

    pub fn happened(&self, event: Event) {
        self.0.events.with_label_values(&[event.as_str()]).inc();
    }

    pub fn happened_times(&self, event: Event) -> u64 {
        self.0.events.with_label_values(&[event.as_str()]).get()
    }

    pub fn answered_times(&self, kind: Kind, tier: Tier) -> u64 {
        let counter = self.0.answers.get(kind as usize).and_then(|tiers| tiers.get(tier as usize));
        counter.map_or(0, IntCounter::get)
    }

    /// Counts a connection until the guard is dropped.
    pub fn connected(&self) -> Connected {
        self.0.connections.inc();
        Connected(self.0.connections.clone())
    }

    pub fn connections(&self) -> i64 {
        self.0.connections.get()
    }

    pub fn level(&self, level: Level, value: u64) {
        self.0.gauges.with_label_values(&[level.as_str()]).set(i64::try_from(value).unwrap_or(i64::MAX));
    }

    /// The page for Prometheus.
    pub fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // Writing into a vector fails only on an inconsistent family, which registration refuses.
        let _ = TextEncoder::new().encode(&self.0.registry.gather(), &mut text);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

pub struct Connected(IntGauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Kind {
    const ALL: [Self; 6] = [Self::Page, Self::List, Self::Json, Self::File, Self::Metadata, Self::Other];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::List => "list",
            Self::Json => "json",
            Self::File => "file",
            Self::Metadata => "metadata",
            Self::Other => "other",
        }
    }
}

impl Tier {
    pub const ALL: [Self; 5] = [Self::Memory, Self::Disk, Self::Flight, Self::Miss, Self::Stale];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Flight => "flight",
            Self::Miss => "miss",
            Self::Stale => "stale",
        }
    }
}

impl Event {
    const ALL: [Self; 13] = [
        Self::FileDamaged,
        Self::FileWrong,
        Self::FileEvicted,
        Self::FetchResumed,
        Self::DiskUnwritable,
        Self::PageRefused,
        Self::PageUnchanged,
        Self::PageChanged,
        Self::MetadataExtracted,
        Self::MetadataFailed,
        Self::RequestRefused,
        Self::FileScrubbed,
        Self::OrphanSwept,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::FileDamaged => "file_damaged",
            Self::FileWrong => "file_wrong",
            Self::FileEvicted => "file_evicted",
            Self::FetchResumed => "fetch_resumed",
            Self::DiskUnwritable => "disk_unwritable",
            Self::PageRefused => "page_refused",
            Self::PageUnchanged => "page_unchanged",
            Self::PageChanged => "page_changed",
            Self::MetadataExtracted => "metadata_extracted",
            Self::MetadataFailed => "metadata_failed",
            Self::RequestRefused => "request_refused",
            Self::FileScrubbed => "file_scrubbed",
            Self::OrphanSwept => "orphan_swept",
        }
    }
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::MemoryBytes => "memory_bytes",
            Self::MemoryCapacityBytes => "memory_capacity_bytes",
            Self::DiskBytes => "disk_bytes",
            Self::DiskCapacityBytes => "disk_capacity_bytes",
            Self::Flights => "flights",
            Self::PrivateLost => "private_lost",
            Self::ScrubFinished => "scrub_finished",
        }
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("sidewheel")
}

fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    registered(registry, IntCounter::with_opts(opts(name, help)))
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    registered(registry, IntCounterVec::new(opts(name, help), labels))
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    registered(registry, IntGaugeVec::new(opts(name, help), labels))
}

/// The names are constants of this file and the registry is new: neither step can fail but by a mistake here, which
/// the first test that makes a `Metrics` finds.
#[expect(clippy::expect_used, reason = "constant names, caught by any test")]
fn registered<C: prometheus::core::Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let collector = made.expect("a valid metric");
    registry.register(Box::new(collector.clone())).expect("a new metric");
    collector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_prints() {
        let metrics = Metrics::new();
        metrics.answered(Kind::File, Tier::Memory, 5);
        metrics.requested(200, 5);
        metrics.requested(502, 0);
        metrics.happened(Event::FileDamaged);
        metrics.level(Level::Flights, 3);
        let guard = metrics.connected();
        assert_eq!(metrics.connections(), 1);
        metrics.upstream_failed("timeout");
        assert_eq!((metrics.requests(), metrics.sent_bytes(), metrics.upstream_failures()), (2, 5, 1));
        drop(guard);
        let told: Vec<_> = metrics.tallies().collect();
        assert_eq!(told, [(Kind::File, Tier::Memory, Tally { requests: 1, bytes: 5 })]);
        let text = String::from_utf8(metrics.text()).unwrap();
        for line in [
            r#"sidewheel_answers_total{kind="file",tier="memory"} 1"#,
            r#"sidewheel_answer_bytes_total{kind="file",tier="memory"} 5"#,
            r#"sidewheel_http_requests_total{status="502"} 1"#,
            "sidewheel_sent_bytes_total 5",
            r#"sidewheel_events_total{event="file_damaged"} 1"#,
            r#"sidewheel_events_total{event="disk_unwritable"} 0"#,
            r#"sidewheel_level{what="flights"} 3"#,
            "sidewheel_connections 0",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
