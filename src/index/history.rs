use crate::store::{COUNTS, Count, HEIGHTS, Height, SampleRow};
use std::collections::VecDeque;

/// How long a sample is, in seconds.
pub const SAMPLE_SECONDS: u64 = 300;

/// How far the picture goes back, in seconds.
pub const HISTORY_SECONDS: u64 = 24 * 3_600;

/// Samples that are kept: those of a day, and the one that is being made.
pub const SAMPLES_MAX: usize = (HISTORY_SECONDS / SAMPLE_SECONDS) as usize + 1;

/// What happened over the last day, by stretches of five minutes. Counters that only grow go in; what they grew by since
/// the last look belongs to the stretch in which it is seen. A stretch in which nobody looked is a gap.
#[derive(Default)]
pub struct History {
    /// Oldest first, at most [`SAMPLES_MAX`].
    samples: VecDeque<SampleRow>,
    /// The counters as they were when they were last looked at.
    seen: [u64; COUNTS],
    /// What the database has not heard of, by stretches, oldest first; as many at most.
    unwritten: VecDeque<SampleRow>,
}

impl History {
    /// Goes on from what an earlier run, or another process, wrote down.
    pub fn load(&mut self, rows: impl IntoIterator<Item = SampleRow>) {
        for row in rows {
            merge(&mut self.samples, row);
        }
    }

    /// Takes in what the counters and the levels say at `now` (Unix seconds).
    pub fn look(&mut self, now: u64, counters: [u64; COUNTS], heights: [u64; HEIGHTS]) {
        let start = now - now % SAMPLE_SECONDS;
        let mut counts = counters;
        for (count, seen) in counts.iter_mut().zip(self.seen) {
            *count = count.saturating_sub(seen);
        }
        self.seen = counters;
        // What lies ahead was seen by a clock that was wrong.
        for samples in [&mut self.samples, &mut self.unwritten] {
            while samples.back().is_some_and(|last| last.start > start) {
                samples.pop_back();
            }
            merge(samples, SampleRow { start, counts, heights });
        }
    }

    /// What is to be written down: now when `all`, else when a stretch is over.
    pub fn take_unwritten(&mut self, all: bool) -> Vec<SampleRow> {
        match all || self.unwritten.len() > 1 {
            true => self.unwritten.drain(..).collect(),
            false => Vec::new(),
        }
    }

    /// It could not be written.
    pub fn put_back(&mut self, rows: Vec<SampleRow>) {
        for row in rows {
            merge(&mut self.unwritten, row);
        }
    }

    /// The samples of the day that ends at `now`, oldest first.
    pub fn day(&self, now: u64) -> Vec<SampleRow> {
        let within = |row: &&SampleRow| row.start <= now && row.start + HISTORY_SECONDS > now;
        self.samples.iter().filter(within).copied().collect()
    }
}

/// Adds a stretch to those that are there, in its place; the oldest give way.
fn merge(samples: &mut VecDeque<SampleRow>, row: SampleRow) {
    match samples.binary_search_by_key(&row.start, |known| known.start) {
        Ok(at) => {
            if let Some(known) = samples.get_mut(at) {
                known.add(&row);
            }
        }
        Err(at) => samples.insert(at, row),
    }
    while samples.len() > SAMPLES_MAX {
        samples.pop_front();
    }
}

/// The sum of samples.
pub fn sum(samples: &[SampleRow]) -> SampleRow {
    let mut sum = SampleRow { start: samples.first().map_or(0, |first| first.start), ..SampleRow::default() };
    samples.iter().for_each(|sample| sum.add(sample));
    sum
}

/// `parts` equal parts of the day that ends at `now`, oldest first; none where nobody looked.
pub fn parts(samples: &[SampleRow], now: u64, parts: usize) -> Vec<Option<SampleRow>> {
    let mut all = vec![None; parts];
    let seconds = (HISTORY_SECONDS / parts.max(1) as u64).max(1);
    // The last part is the one that has begun, as the last sample is.
    let end = now - now % seconds + seconds;
    for sample in samples.iter().filter(|sample| sample.start < end) {
        let Ok(back) = usize::try_from((end - 1 - sample.start) / seconds) else { continue };
        let slot = parts.checked_sub(back + 1).and_then(|at| all.get_mut(at));
        if let Some(slot) = slot {
            slot.get_or_insert_with(|| SampleRow { start: sample.start, ..SampleRow::default() }).add(sample);
        }
    }
    all
}

/// The part of the answers that waited for no fetch of their own, of those that the cache gave or got.
pub fn hit_ratio(sample: &SampleRow) -> Option<f64> {
    let hits = sum_of(sample, &[Count::Memory, Count::Disk, Count::Stale]);
    let all = hits + sum_of(sample, &[Count::Flight, Count::Miss]);
    (all > 0).then(|| hits as f64 / all as f64)
}

/// Bytes of files that were sent and did not have to be fetched. Less than nothing where more was fetched than anybody
/// took, as after a prefetch.
pub fn saved(sample: &SampleRow) -> i64 {
    let signed = |of| i64::try_from(sample.count(of)).unwrap_or(i64::MAX);
    signed(Count::Served).saturating_sub(signed(Count::Fetched))
}

pub fn sum_of(sample: &SampleRow, counts: &[Count]) -> u64 {
    counts.iter().map(|count| sample.count(*count)).sum()
}

/// The levels of this moment, as a sample holds them.
pub fn heights(memory: u64, disk: u64, resident: u64, connections: u64) -> [u64; HEIGHTS] {
    let mut heights = [0; HEIGHTS];
    let all = [
        (Height::MemoryBytes, memory),
        (Height::DiskBytes, disk),
        (Height::ResidentBytes, resident),
        (Height::Connections, connections),
    ];
    for (of, value) in all {
        if let Some(slot) = heights.get_mut(of as usize) {
            *slot = value;
        }
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = HISTORY_SECONDS;
    const NOW: u64 = 20_000 * DAY;

    fn counters(requests: u64) -> [u64; COUNTS] {
        let mut counters = [0; COUNTS];
        counters[Count::Requests as usize] = requests;
        counters
    }

    fn requests(samples: &[SampleRow]) -> Vec<(u64, u64)> {
        samples.iter().map(|sample| (sample.start, sample.count(Count::Requests))).collect()
    }

    #[test]
    fn what_counters_grew_by_belongs_to_the_stretch_in_which_it_is_seen() {
        let mut history = History::default();
        history.look(NOW, counters(5), heights(1, 9, 0, 2));
        history.look(NOW + 299, counters(7), heights(3, 4, 0, 1));
        history.look(NOW + 300, counters(7), heights(2, 4, 0, 0));
        history.look(NOW + 901, counters(10), heights(2, 4, 0, 0));
        let day = history.day(NOW + 901);
        assert_eq!(requests(&day), [(NOW, 7), (NOW + 300, 0), (NOW + 900, 3)]);
        assert_eq!(day[0].heights, [3, 9, 0, 2], "the highest of each");
        assert_eq!(sum(&day).count(Count::Requests), 10);
    }

    #[test]
    fn a_day_is_kept_and_no_more() {
        let mut history = History::default();
        for minute in 0..3 * 24 * 60 {
            history.look(NOW + minute * 60, counters(minute), [0; 4]);
        }
        let end = NOW + 3 * DAY - 60;
        assert_eq!((history.samples.len(), history.unwritten.len()), (SAMPLES_MAX, SAMPLES_MAX));
        let day = history.day(end);
        assert_eq!(day.len(), 288);
        assert_eq!(sum(&day).count(Count::Requests), 24 * 60);
        assert_eq!(history.day(end + DAY).len(), 0, "nobody looked for a day");
        assert_eq!(history.day(NOW).len(), 0);
    }

    #[test]
    fn a_clock_that_jumps_breaks_nothing() {
        let mut history = History::default();
        history.look(NOW, counters(1), [0; 4]);
        history.look(NOW + 10 * DAY, counters(2), [0; 4]);
        assert_eq!(requests(&history.day(NOW + 10 * DAY)), [(NOW + 10 * DAY, 1)]);
        // It was wrong: the stretch ahead is forgotten, the one before is there again.
        history.look(NOW + 600, counters(4), [0; 4]);
        assert_eq!(requests(&history.day(NOW + 600)), [(NOW, 1), (NOW + 600, 2)]);
        history.look(NOW + 10, counters(5), [0; 4]);
        assert_eq!(requests(&history.day(NOW + 10)), [(NOW, 2)]);
        history.look(0, counters(6), [0; 4]);
        assert_eq!(requests(&history.day(0)), [(0, 1)]);
        history.look(u64::MAX / 2, counters(7), [0; 4]);
        assert_eq!(history.day(u64::MAX / 2).len(), 1);
        history.look(u64::MAX / 2, counters(3), [0; 4]);
        assert_eq!(sum(&history.day(u64::MAX / 2)).count(Count::Requests), 1, "a counter that fell");
    }

    #[test]
    fn what_is_written_is_what_happened() {
        let mut history = History::default();
        history.look(NOW + 30, counters(2), [1; 4]);
        assert_eq!(
            history.take_unwritten(false),
            [],
            "a server that is asked for its health does not write all the time"
        );
        let first = history.take_unwritten(true);
        assert_eq!(requests(&first), [(NOW, 2)]);
        history.look(NOW + 60, counters(3), [1; 4]);
        history.put_back(first);
        assert_eq!(requests(&history.take_unwritten(true)), [(NOW, 3)], "it failed, and was added to");
        history.look(NOW + 90, counters(3), [1; 4]);
        history.look(NOW + 300, counters(3), [1; 4]);
        assert_eq!(requests(&history.take_unwritten(false)), [(NOW, 0), (NOW + 300, 0)], "a stretch is over");
        history.look(NOW + 310, counters(3), [1; 4]);
        assert_eq!(history.take_unwritten(true).len(), 1, "it ends");

        let mut next = History::default();
        next.load(history.day(NOW + 310));
        next.look(NOW + 320, counters(4), [1; 4]);
        assert_eq!(requests(&next.day(NOW + 320)), [(NOW, 3), (NOW + 300, 4)]);
        assert_eq!(requests(&next.take_unwritten(true)), [(NOW + 300, 4)], "not what was read");
    }

    #[test]
    fn a_day_is_cut_into_equal_parts() {
        let sample = |start, count| SampleRow { start, counts: [count; COUNTS], heights: [count; 4] };
        let now = NOW + 4_000;
        let all = [sample(now - now % 300, 1), sample(NOW + 3_600, 2), sample(NOW, 4), sample(NOW + 3_600 - DAY, 8)];
        let hours = parts(&all, now, 24);
        assert_eq!(hours.len(), 24);
        let told: Vec<_> = hours.iter().map(|part| part.map(|part| part.count(Count::Sent))).collect();
        assert_eq!((told[23], told[22], told[21], told[0]), (Some(3), Some(4), None, None), "{told:?}");
        assert_eq!(hours[23].unwrap().heights, [2; 4]);
        assert_eq!(parts(&[sample(NOW + 7_200 - DAY, 8)], now, 24)[0].unwrap().count(Count::Sent), 8);
        assert_eq!(parts(&all, now, 0), []);
        assert_eq!(parts(&all, NOW - DAY, 24).iter().flatten().count(), 0);
    }

    #[test]
    fn ratios_and_savings() {
        let mut sample = SampleRow::default();
        assert_eq!((hit_ratio(&sample), saved(&sample)), (None, 0));
        for (of, value) in [(Count::Memory, 6), (Count::Stale, 1), (Count::Flight, 1), (Count::Miss, 2)] {
            sample.counts[of as usize] = value;
        }
        sample.counts[Count::Served as usize] = 100;
        sample.counts[Count::Fetched as usize] = 130;
        assert_eq!((hit_ratio(&sample), saved(&sample)), (Some(0.7), -30));
    }
}
