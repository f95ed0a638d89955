use super::{is_dist, open};
use crate::clock::Clock;
use crate::config::Config;
use crate::index::{TALLY_EVICTED, TALLY_FETCHED, inventory, stamps};
use crate::metrics::{Kind, Tier};
use crate::names::ProjectName;
use crate::run::{RunError, human, say};
use crate::store::{BlobRow, TallyRow};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Projects in each of the two lists of the largest.
const TOP: usize = 10;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// The periods that are told of, and how many seconds each goes back.
const PERIODS: [(&str, Option<u64>); 4] =
    [("all", None), ("24h", Some(DAY)), ("7d", Some(7 * DAY)), ("30d", Some(30 * DAY))];

/// `sidewheel cache stats`: how much there is, how often it was of use, and what that saved.
pub(super) async fn stats(config: &Config, as_json: bool) -> Result<(), RunError> {
    let store = open(config).await?;
    let (rows, departed, tallies) = (inventory(&store).await?, store.departed().await?, store.tallies().await?);
    store.close().await;
    let now = Clock::system().unix();
    let stats = Stats {
        files: rows.len() as u64,
        bytes: rows.iter().map(|row| row.size).sum(),
        cap: config.cache.disk_bytes,
        since: tallies.iter().map(|row| row.start).find(|start| *start > 0),
        periods: PERIODS.map(|(_, back)| Period::of(&tallies, back.map(|back| now.saturating_sub(back)))).to_vec(),
        oldest: rows.iter().filter(|row| is_dist(row)).min_by_key(|row| row.fetched.unwrap_or(row.used)).cloned(),
        projects: projects(&rows, &departed),
    };
    match as_json {
        true => say(&serde_json::to_string_pretty(&stats.shown()).unwrap_or_default()),
        false => say(&stats.told(now)),
    }
    Ok(())
}

struct Stats {
    files: u64,
    bytes: u64,
    cap: u64,
    /// When counting began, as far as days are told apart.
    since: Option<u64>,
    periods: Vec<Period>,
    oldest: Option<BlobRow>,
    projects: BTreeMap<ProjectName, Project>,
}

/// What one project takes and gave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Project {
    size: u64,
    uses: u64,
    served: u64,
}

/// Answers by where they came from, in times and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Hits {
    memory: (u64, u64),
    disk: (u64, u64),
    /// From a fetch that another request had started.
    shared: (u64, u64),
    miss: (u64, u64),
    /// What was last known, because upstream could not be asked.
    stale: (u64, u64),
}

/// What happened in a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Period {
    files: Hits,
    pages: Hits,
    fetched: u64,
    evicted: (u64, u64),
}

impl Hits {
    fn add(&mut self, row: &TallyRow) {
        let tiers = [
            (Tier::Memory, &mut self.memory),
            (Tier::Disk, &mut self.disk),
            (Tier::Flight, &mut self.shared),
            (Tier::Miss, &mut self.miss),
            (Tier::Stale, &mut self.stale),
        ];
        if let Some((_, sum)) = tiers.into_iter().find(|(tier, _)| tier.as_str() == row.tier) {
            *sum = (sum.0 + row.times, sum.1 + row.bytes);
        }
    }

    fn total(&self) -> (u64, u64) {
        let all = [self.memory, self.disk, self.shared, self.miss, self.stale];
        all.iter().fold((0, 0), |sum, tier| (sum.0 + tier.0, sum.1 + tier.1))
    }

    /// The part of all answers that waited for nobody, by times and by bytes.
    fn ratios(&self) -> (Option<f64>, Option<f64>) {
        let hits = [self.memory, self.disk, self.stale];
        let hits = hits.iter().fold((0, 0), |sum, tier| (sum.0 + tier.0, sum.1 + tier.1));
        let ratio = |hits: u64, all: u64| (all > 0).then(|| hits as f64 / all as f64);
        let all = self.total();
        (ratio(hits.0, all.0), ratio(hits.1, all.1))
    }

    fn shown(&self) -> Value {
        let tier = |(requests, bytes): (u64, u64)| json!({ "requests": requests, "bytes": bytes });
        let (by_requests, by_bytes) = self.ratios();
        json!({
            "memory": tier(self.memory), "disk": tier(self.disk), "shared": tier(self.shared),
            "miss": tier(self.miss), "stale": tier(self.stale),
            "hit_ratio": by_requests, "byte_hit_ratio": by_bytes,
        })
    }
}

impl Period {
    /// What happened from then on; hours and days that had begun earlier are not counted, but for the hour then.
    fn of(tallies: &[TallyRow], since: Option<u64>) -> Self {
        let mut period = Self::default();
        for row in tallies.iter().filter(|row| since.is_none_or(|since| row.start + HOUR > since)) {
            match &*row.kind {
                TALLY_FETCHED => period.fetched += row.bytes,
                TALLY_EVICTED => period.evicted = (period.evicted.0 + row.times, period.evicted.1 + row.bytes),
                kind if [Kind::File, Kind::Metadata].iter().any(|file| file.as_str() == kind) => period.files.add(row),
                kind if [Kind::Page, Kind::List, Kind::Json].iter().any(|page| page.as_str() == kind) => {
                    period.pages.add(row);
                }
                _ => {}
            }
        }
        period
    }

    /// Bytes of files that were served and did not have to be fetched; less than nothing where more was fetched than
    /// anybody took.
    fn saved(&self) -> i128 {
        i128::from(self.files.total().1) - i128::from(self.fetched)
    }

    fn shown(&self) -> Value {
        json!({
            "files": self.files.shown(), "pages": self.pages.shown(),
            "served_bytes": self.files.total().1, "fetched_bytes": self.fetched,
            "saved_bytes": i64::try_from(self.saved()).unwrap_or(i64::MAX),
            "evicted": { "files": self.evicted.0, "bytes": self.evicted.1 },
        })
    }
}

impl Stats {
    fn top(&self, by: impl Fn(&Project) -> u64) -> Vec<(&ProjectName, &Project)> {
        let mut all: Vec<_> = self.projects.iter().filter(|(_, project)| by(project) > 0).collect();
        all.sort_by_key(|(_, project)| std::cmp::Reverse(by(project)));
        all.truncate(TOP);
        all
    }

    fn shown(&self) -> Value {
        let top = |all: Vec<(&ProjectName, &Project)>| -> Vec<Value> {
            let one = |(name, project): &(&ProjectName, &Project)| {
                json!({
                    "project": name.as_str(), "size": project.size, "uses": project.uses, "served_bytes": project.served,
                })
            };
            all.iter().map(one).collect()
        };
        let periods = PERIODS.iter().zip(&self.periods).map(|((name, _), period)| ((*name).to_owned(), period.shown()));
        json!({
            "files": self.files,
            "bytes": self.bytes,
            "cap_bytes": self.cap,
            "counted_since": self.since.map(stamps::iso),
            "periods": Value::Object(periods.collect()),
            "top_served": top(self.top(|project| project.served)),
            "top_size": top(self.top(|project| project.size)),
            "oldest": self.oldest.as_ref().map(|row| json!({
                "filename": row.name.as_ref().map(|name| &name.filename),
                "fetched": row.fetched.map(stamps::iso), "last_used": stamps::iso(row.used),
            })),
        })
    }

    fn told(&self, now: u64) -> String {
        let mut lines = vec![format!(
            "{} ({} of {} at most)",
            human::count(self.files, "file", "files"),
            human::bytes(self.bytes),
            human::bytes(self.cap)
        )];
        if let Some((row, name)) = self.oldest.as_ref().and_then(|row| Some((row, row.name.as_ref()?))) {
            let age = human::ago(row.fetched.unwrap_or(row.used), now);
            lines.push(format!("oldest: {}, {age}; last used: {}", name.filename, human::ago(row.used, now)));
        }
        lines.extend([String::new(), self.table(), String::new()]);
        for (title, all) in
            [("most served", self.top(|project| project.served)), ("largest", self.top(|project| project.size))]
        {
            if all.is_empty() {
                continue;
            }
            let row = |(name, project): &(&ProjectName, &Project)| {
                let uses = human::count(project.uses, "use", "uses");
                vec![name.to_string(), human::bytes(project.size), human::bytes(project.served), uses]
            };
            let mut rows = vec![[title, "SIZE", "SERVED", ""].map(str::to_owned).to_vec()];
            rows.extend(all.iter().map(row));
            lines.extend([human::table(&rows, &[1, 2, 3]), String::new()]);
        }
        lines.join("\n").trim_end().to_owned()
    }

    fn table(&self) -> String {
        let row = |title: &str, cell: &dyn Fn(&Period) -> String| {
            std::iter::once(title.to_owned()).chain(self.periods.iter().map(cell)).collect::<Vec<_>>()
        };
        let percent = |ratio: Option<f64>| ratio.map_or("-".to_owned(), |ratio| format!("{:.1} %", ratio * 100.0));
        let tier = |(times, bytes): (u64, u64)| format!("{times} ({})", human::bytes(bytes));
        let saved = |period: &Period| {
            let saved = period.saved();
            let size = human::bytes(u64::try_from(saved.unsigned_abs()).unwrap_or(u64::MAX));
            if saved < 0 { format!("-{size}") } else { size }
        };
        let mut rows = vec![row("", &|_| String::new())];
        if let Some(head) = rows.first_mut() {
            head.splice(1.., PERIODS.map(|(name, _)| name.to_owned()));
        }
        rows.extend([
            row("files: hits", &|period| percent(period.files.ratios().0)),
            row("  by bytes", &|period| percent(period.files.ratios().1)),
            row("  from memory", &|period| tier(period.files.memory)),
            row("  from disk", &|period| tier(period.files.disk)),
            row("  from a shared fetch", &|period| tier(period.files.shared)),
            row("  fetched", &|period| tier(period.files.miss)),
            row("pages: hits", &|period| percent(period.pages.ratios().0)),
            row("  fetched", &|period| tier(period.pages.miss)),
            row("  out of date", &|period| tier(period.pages.stale)),
            row("served", &|period| human::bytes(period.files.total().1)),
            row("came from upstream", &|period| human::bytes(period.fetched)),
            row("saved", &saved),
            row("evicted", &|period| tier(period.evicted)),
        ]);
        human::table(&rows, &[1, 2, 3, 4])
    }
}

fn projects(rows: &[BlobRow], departed: &[(ProjectName, u64, u64)]) -> BTreeMap<ProjectName, Project> {
    let mut all: BTreeMap<ProjectName, Project> = BTreeMap::new();
    for row in rows {
        let Some(name) = row.name.as_ref().and_then(|name| name.project.clone()) else { continue };
        let project = all.entry(name).or_default();
        project.size += row.size;
        project.uses += row.uses;
        project.served += row.served;
    }
    for (name, uses, served) in departed {
        let project = all.entry(name.clone()).or_default();
        project.uses += uses;
        project.served += served;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(start: u64, kind: &str, tier: &str, times: u64, bytes: u64) -> TallyRow {
        TallyRow { start, kind: kind.to_owned(), tier: tier.to_owned(), times, bytes }
    }

    #[test]
    fn hits_and_what_was_saved_are_told_by_period() {
        let now = 100 * DAY + 1_800;
        let tallies = [
            row(0, "file", "miss", 1, 1_000),
            row(0, "fetched", "", 0, 5_000),
            row(90 * DAY, "file", "disk", 2, 2_000),
            row(99 * DAY, "file", "memory", 5, 500),
            row(99 * DAY + HOUR, "metadata", "memory", 1, 10),
            row(100 * DAY, "file", "miss", 2, 4_000),
            row(100 * DAY, "fetched", "", 0, 4_000),
            row(100 * DAY, "evicted", "", 3, 30),
            row(100 * DAY, "page", "stale", 1, 7),
            row(100 * DAY, "other", "memory", 1, 7),
        ];
        let day = Period::of(&tallies, Some(now - DAY));
        assert_eq!(day.files.total(), (8, 4_510));
        assert_eq!((day.saved(), day.evicted, day.pages.stale), (510, (3, 30), (1, 7)));
        assert_eq!(day.files.ratios().0, Some(0.75));
        assert_eq!(day.pages.ratios(), (Some(1.0), Some(1.0)), "nobody waited");
        let all = Period::of(&tallies, None);
        assert_eq!((all.files.total(), all.saved()), ((11, 7_510), -1_490));
        assert_eq!(Period::of(&tallies, Some(now - 30 * DAY)).files.disk, (2, 2_000));
        assert_eq!(Period::default().files.ratios(), (None, None));
    }
}
