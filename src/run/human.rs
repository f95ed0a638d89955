//! Numbers as people read and write them.

/// Longest time that is taken: a hundred years.
const SECONDS_MAX: u64 = 100 * 365 * 86_400;

/// A time as people write it: `90m`, `12h`, `30d`, `8w`, `1y`; in seconds.
pub(super) fn seconds(raw: &str) -> Result<u64, String> {
    let accepted = || format!("{raw:?} is no time; write one like 12h, 30d or 1y");
    let unit = raw.chars().last().ok_or_else(accepted)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        'y' => 365 * 86_400,
        _ => return Err(accepted()),
    };
    let count: u64 = raw.trim_end_matches(unit).parse().map_err(|_| accepted())?;
    count.checked_mul(factor).filter(|seconds| (1..=SECONDS_MAX).contains(seconds)).ok_or_else(accepted)
}

/// A size: `999 B`, `1.5 MB`; decimal, as the settings have it.
pub(super) fn bytes(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut size = bytes as f64;
    let mut unit = 0;
    // 999,950 bytes would be rounded to 1000.0 kB.
    while size >= 999.95 && unit + 1 < units.len() {
        size /= 1_000.0;
        unit += 1;
    }
    match (unit, units.get(unit)) {
        (1.., Some(unit)) => format!("{size:.1} {unit}"),
        _ => format!("{bytes} B"),
    }
}

/// How long ago a time was (both Unix seconds).
pub(super) fn ago(time: u64, now: u64) -> String {
    match now.saturating_sub(time) {
        0..60 => "now".to_owned(),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// How many there are of something.
pub(super) fn count(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Rows under each other, the columns of `right` aligned to the right; the last one is not filled up.
pub(super) fn table(rows: &[Vec<String>], right: &[usize]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cell = |(at, (cell, width)): (usize, (&String, &usize))| match right.contains(&at) {
            true => format!("{cell:>width$}"),
            false => format!("{cell:<width$}"),
        };
        let cells: Vec<_> = row.iter().zip(&widths).enumerate().map(cell).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (raw, expected) in
            [("90m", Some(5_400)), ("12h", Some(43_200)), ("30d", Some(2_592_000)), ("1y", Some(31_536_000))]
        {
            assert_eq!(seconds(raw).ok(), expected, "{raw}");
        }
        for raw in ["", "d", "0d", "-1d", "1", "1x", "99999999999999999999y", "1é", "500y"] {
            assert!(seconds(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn numbers_are_written_as_people_read_them() {
        for (size, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_951, "1.0 MB"),
            (1_500_000_000, "1.5 GB"),
            (u64::MAX, "18446744.1 TB"),
        ] {
            assert_eq!(bytes(size), text);
        }
        for (time, text) in [(1_000_000, "now"), (999_900, "1 min"), (990_000, "2 h"), (0, "11 d"), (2_000_000, "now")]
        {
            assert_eq!(ago(time, 1_000_000), text);
        }
        let rows = [["a", "1", "x"], ["bcd", "10", ""]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows, &[1]), "a     1  x\nbcd  10");
    }
}
