//! How the house is doing, in one picture that the page, its events and devpi's `+status` are all made of.

use super::catalog::IndexKind;
use super::errors::failure;
use super::health::Facts;
use super::history::{self, HISTORY_SECONDS, SAMPLES_MAX};
use super::mirror::Mirror;
use super::troubles::{Heard, Trouble};
use super::{House, Index};
use crate::cache::{Failure, Progress};
use crate::metrics::{Kind, Tier};
use crate::names::IndexName;
use crate::platform::machine;
use crate::rules::{ROOT, Scope, Subject};
use crate::store::{COUNTS, Count, SampleRow};
use crate::upstream::FetchError;
use serde_json::{Value, json};
use std::sync::Arc;

/// Files under way, and mirrors, that are told by name; the rest is a number.
const NAMED_MAX: usize = 50;

/// How the house is doing, as far as one subject may know it.
#[derive(Debug, Clone)]
pub struct Status {
    /// Unix seconds.
    pub now: u64,
    /// When this run began (Unix seconds).
    pub began: u64,
    pub memory: Level,
    pub disk: Level,
    /// What the process holds of the machine's memory; not every system tells it.
    pub resident: Option<u64>,
    pub connections: u64,
    /// Since this run began.
    pub total: SampleRow,
    /// The last day by stretches, oldest first.
    pub day: Vec<SampleRow>,
    /// The largest first.
    pub transfers: Vec<Transfer>,
    /// Those that the subject may not see, or that are too many.
    pub transfers_unnamed: usize,
    /// Those that fail first.
    pub mirrors: Vec<MirrorStanding>,
    pub mirrors_unnamed: usize,
    /// What went wrong in this run, by kind.
    pub troubles: Vec<Heard<&'static str>>,
    /// The same in sentences, for who keeps this server.
    pub sentences: Option<Vec<Heard<Trouble>>>,
}

/// What is taken of a budget, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    pub used: u64,
    pub budget: u64,
}

/// A file on its way here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    pub filename: String,
    pub index: IndexName,
    pub bytes: u64,
    pub total: Option<u64>,
    pub clients: usize,
    pub milliseconds: u64,
}

/// The server behind a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorStanding {
    pub index: IndexName,
    pub standing: Standing,
    pub facts: Facts,
    pub failures_in_hour: u64,
}

/// How it goes with an upstream, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It is asked in vain since then (Unix seconds).
    Failing {
        since: u64,
    },
    Good,
    /// Nobody asked it since this run began.
    Unasked,
    /// This server asks nobody.
    Offline,
}

impl Transfer {
    /// Bytes in a second, as long as it takes.
    pub fn rate(&self) -> u64 {
        self.bytes.saturating_mul(1_000) / self.milliseconds.max(1)
    }
}

impl Index {
    /// How the house is doing. Indexes that the subject may not read are not named.
    pub fn status(&self, subject: &Subject) -> Status {
        self.0.status(subject)
    }

    /// Notes what went wrong for a client.
    pub fn note_trouble(&self, trouble: Trouble) {
        self.0.troubles.note(self.0.clock.unix(), trouble);
    }

    /// The figures that devpi's `+status` carries, by name, kind and value. Counters are of this run.
    pub fn figures(&self, subject: &Subject) -> Vec<Value> {
        let status = self.status(subject);
        let count = |of| status.total.count(of);
        let hits = history::sum_of(&status.total, &[Count::Memory, Count::Disk, Count::Stale]);
        let answers = hits + history::sum_of(&status.total, &[Count::Flight, Count::Miss]);
        let failing = |one: &&MirrorStanding| matches!(one.standing, Standing::Failing { .. });
        let transfers = status.transfers.len() + status.transfers_unnamed;
        let figures = [
            ("sidewheel_memory_bytes", "gauge", status.memory.used),
            ("sidewheel_memory_capacity_bytes", "gauge", status.memory.budget),
            ("sidewheel_disk_bytes", "gauge", status.disk.used),
            ("sidewheel_disk_capacity_bytes", "gauge", status.disk.budget),
            ("sidewheel_resident_bytes", "gauge", status.resident.unwrap_or_default()),
            ("sidewheel_connections", "gauge", status.connections),
            ("sidewheel_transfers", "gauge", transfers as u64),
            ("sidewheel_mirrors_failing", "gauge", status.mirrors.iter().filter(failing).count() as u64),
            ("sidewheel_started", "gauge", status.began),
            ("sidewheel_requests", "counter", count(Count::Requests)),
            ("sidewheel_cache_lookups", "counter", answers),
            ("sidewheel_cache_hits", "counter", hits),
            ("sidewheel_cache_misses", "counter", answers - hits),
            ("sidewheel_sent_bytes", "counter", count(Count::Sent)),
            ("sidewheel_served_file_bytes", "counter", count(Count::Served)),
            ("sidewheel_fetched_file_bytes", "counter", count(Count::Fetched)),
            ("sidewheel_upstream_failures", "counter", count(Count::Failures)),
        ];
        figures.map(|(name, kind, value)| json!([name, kind, value])).to_vec()
    }
}

impl House {
    fn status(&self, subject: &Subject) -> Status {
        let now = self.clock.unix();
        let (total, day) = self.look();
        let (transfers, transfers_unnamed) = self.transfers(subject);
        let (mirrors, mirrors_unnamed) = self.mirror_standings(subject, now);
        Status {
            now,
            began: self.began,
            memory: Level { used: self.memory.bytes(), budget: self.memory.capacity() },
            disk: Level { used: self.disk_bytes(), budget: self.disk_bytes_max },
            resident: machine::resident(),
            connections: u64::try_from(self.metrics.connections()).unwrap_or(0),
            total,
            day,
            transfers,
            transfers_unnamed,
            mirrors,
            mirrors_unnamed,
            troubles: self.troubles.classes(),
            sentences: keeps_the_server(subject).then(|| self.sentences(subject)),
        }
    }

    /// Takes the metrics into the history; the sum of this run, and the last day.
    fn look(&self) -> (SampleRow, Vec<SampleRow>) {
        let now = self.clock.unix();
        let connections = u64::try_from(self.metrics.connections()).unwrap_or(0);
        let resident = machine::resident().unwrap_or_default();
        let heights = history::heights(self.memory.bytes(), self.disk_bytes(), resident, connections);
        // Under the lock: two who look at once do not count anything twice.
        let mut history = self.history.lock();
        let counts = self.counters();
        history.look(now, counts, heights);
        (SampleRow { start: self.began, counts, heights }, history.day(now))
    }

    fn counters(&self) -> [u64; COUNTS] {
        let mut counts = [0; COUNTS];
        let mut add = |of: Count, value: u64| {
            if let Some(slot) = counts.get_mut(of as usize) {
                *slot += value;
            }
        };
        for (kind, tier, tally) in self.metrics.tallies() {
            if matches!(kind, Kind::File | Kind::Metadata) {
                add(Count::Served, tally.bytes);
            }
            let of = match tier {
                Tier::Memory => Count::Memory,
                Tier::Disk => Count::Disk,
                Tier::Flight => Count::Flight,
                Tier::Miss => Count::Miss,
                Tier::Stale => Count::Stale,
            };
            add(of, tally.requests);
        }
        add(Count::Requests, self.metrics.requests());
        add(Count::Sent, self.metrics.sent_bytes());
        add(Count::Fetched, self.metrics.received_bytes());
        add(Count::Failures, self.metrics.upstream_failures());
        counts
    }

    /// What another run, or the process before this one, wrote down of the last day.
    pub(super) async fn load_history(&self) {
        match self.store.samples().await {
            Ok(rows) => {
                let from = self.clock.unix().saturating_sub(HISTORY_SECONDS);
                self.history.lock().load(rows.into_iter().filter(|row| row.start >= from));
            }
            Err(why) => tracing::warn!(%why, "what the pages show of the last day cannot be read"),
        }
    }

    /// Writes down what the history has gained; `all`: also what is of no interest yet.
    pub(super) async fn write_history(&self, all: bool) {
        self.look();
        let rows = self.history.lock().take_unwritten(all);
        if rows.is_empty() {
            return;
        }
        if let Err(why) = self.store.add_samples(&rows, self.clock.unix(), SAMPLES_MAX as u32).await {
            self.history.lock().put_back(rows);
            self.disk_trouble(&why);
        }
    }

    fn transfers(&self, subject: &Subject) -> (Vec<Transfer>, usize) {
        let (all, now) = (self.flights.standings(), self.clock.ticks());
        let total = all.len();
        let mut named: Vec<_> = all
            .into_iter()
            .filter(|(key, _)| self.readable(subject, &key.index).is_ok())
            .map(|(key, standing)| {
                let (bytes, total) = match standing.progress {
                    Progress::Writing { len, written } => (written, len),
                    Progress::Done { len } => (len, Some(len)),
                    Progress::Connecting | Progress::Failed(_) => (0, None),
                };
                Transfer {
                    filename: key.filename.to_string(),
                    index: key.index,
                    bytes,
                    total,
                    clients: standing.followers,
                    milliseconds: now.saturating_sub(standing.began_ms),
                }
            })
            .collect();
        named.sort_by(|a, b| (b.total, &a.filename).cmp(&(a.total, &b.filename)));
        named.truncate(NAMED_MAX);
        let unnamed = total - named.len();
        (named, unnamed)
    }

    fn mirror_standings(&self, subject: &Subject, now: u64) -> (Vec<MirrorStanding>, usize) {
        let catalog = self.catalog();
        let mut all: Vec<_> = catalog
            .indexes
            .values()
            .filter_map(|entry| match &entry.kind {
                IndexKind::Mirror(mirror) => Some(mirror),
                IndexKind::Stage(_) => None,
            })
            .filter(|mirror| self.readable(subject, &mirror.name).is_ok())
            .map(|mirror| self.mirror_standing(mirror, now))
            .collect();
        all.sort_by(|a, b| (a.standing, &a.index).cmp(&(b.standing, &b.index)));
        let unnamed = all.len().saturating_sub(NAMED_MAX);
        all.truncate(NAMED_MAX);
        (all, unnamed)
    }

    fn mirror_standing(&self, mirror: &Arc<Mirror>, now: u64) -> MirrorStanding {
        let facts = mirror.health.facts();
        let standing = match (self.offline, facts.failing_since, facts.answered) {
            (true, ..) => Standing::Offline,
            (_, Some(since), _) => Standing::Failing { since },
            (_, None, Some(_)) => Standing::Good,
            (_, None, None) => Standing::Unasked,
        };
        let failures_in_hour = facts.failures_in_hour(now);
        MirrorStanding { index: mirror.name.clone(), standing, facts, failures_in_hour }
    }

    fn sentences(&self, subject: &Subject) -> Vec<Heard<Trouble>> {
        let may_know = |heard: &Heard<Trouble>| match &heard.what.index {
            Some(index) => self.readable(subject, index).is_ok(),
            None => true,
        };
        self.troubles.sentences().into_iter().filter(may_know).collect()
    }

    /// Upstream answered, be it that it does not have what was asked for.
    pub(super) fn upstream_answered(&self, mirror: &Mirror) {
        mirror.health.answered(self.clock.unix());
    }

    /// Counts a request to upstream that failed; what that is for those who wait for the file.
    pub(super) fn upstream_failed(&self, mirror: &Mirror, why: &FetchError) -> Failure {
        self.metrics.upstream_failed(why.class());
        match why {
            FetchError::Missing { .. } => self.upstream_answered(mirror),
            // It was not even asked.
            FetchError::Busy => {}
            _ => mirror.health.failed(self.clock.unix(), why.class()),
        }
        failure(why)
    }

    /// The same of what upstream need not have: only trouble counts.
    pub(super) fn upstream_lacks(&self, mirror: &Mirror, why: &FetchError) -> Failure {
        match why {
            FetchError::Missing { .. } => {
                self.upstream_answered(mirror);
                failure(why)
            }
            _ => self.upstream_failed(mirror, why),
        }
    }

    /// Upstream answered with what cannot be believed.
    pub(super) fn upstream_unusable(&self, mirror: &Mirror) {
        mirror.health.failed(self.clock.unix(), "bad_page");
    }
}

/// Whether somebody may read what went wrong here, word by word: root, by password or login.
fn keeps_the_server(subject: &Subject) -> bool {
    matches!(subject, Subject::User { name, scope: Scope::Everything } if name.as_str() == ROOT)
}
