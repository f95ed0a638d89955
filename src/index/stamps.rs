//! Times as devpi and PEP 700 write them.

use crate::names::IndexName;
use crate::rules::Subject;
use serde_json::{Value, json};

/// Year, month, day, hour, minute, second, in UTC.
pub fn parts(unix: u64) -> [u64; 6] {
    // Days since 0000-03-01, counting years from March so that the leap day comes last.
    let (days, seconds) = (unix / 86_400 + 719_468, unix % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) =
        (day_of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    [year, month, day, seconds / 3_600, seconds / 60 % 60, seconds % 60]
}

/// `2026-11-23T07:02:45Z`
pub fn iso(unix: u64) -> String {
    let [year, month, day, hour, minute, second] = parts(unix);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Unix seconds of a time as PEP 700 and devpi write it: `2026-10-07T12:23:37.892554Z`.
pub fn unix_of(time: &str) -> Option<u64> {
    let (date, clock) = time.strip_suffix('Z')?.split_once('T')?;
    let mut parts =
        date.splitn(3, '-').chain(clock.splitn(3, ':')).map(|part| part.split('.').next()?.parse::<i64>().ok());
    let mut next = || parts.next().flatten();
    unix_of_parts([next()?, next()?, next()?, next()?, next()?, next()?])
}

/// Unix seconds of [`parts`], where they are a time from 1970 on.
pub fn unix_of_parts([year, month, day, hour, minute, second]: [i64; 6]) -> Option<u64> {
    let fits = (1..=12).contains(&month) && (1..=31).contains(&day);
    let fits = fits && (0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
    if !fits || !(1970..10_000).contains(&year) {
        return None;
    }
    // Days since 1970 of a civil date, counting years from March so that the leap day comes last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468;
    u64::try_from(days * 86_400 + hour * 3_600 + minute * 60 + second).ok()
}

/// Unix seconds of [`http_date`].
pub fn unix_of_http(date: &str) -> Option<u64> {
    let time = httpdate::parse_http_date(date).ok()?;
    time.duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// `20261123070245`, as the names of test results carry it.
pub fn compact(unix: u64) -> String {
    parts(unix).map(|part| format!("{part:02}")).concat()
}

/// `Mon, 23 Nov 2026 07:02:45 GMT` (RFC 9110 §5.6.7)
pub fn http_date(unix: u64) -> String {
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(unix))
}

/// The time of an upload (PEP 700), from microseconds.
pub fn upload_time(microseconds: i64) -> String {
    let microseconds = u64::try_from(microseconds).unwrap_or_default();
    let second = iso(microseconds / 1_000_000);
    format!("{}.{:06}Z", second.trim_end_matches('Z'), microseconds % 1_000_000)
}

/// A line of a file's history, as devpi's links carry it.
pub fn log_entry(what: &str, who: &Subject, unix: u64, from: Option<&IndexName>, to: Option<&IndexName>) -> Value {
    let who = who.user().map(|user| user.as_str());
    let mut entry = json!({ "what": what, "who": who, "when": parts(unix) });
    if let Some(entry) = entry.as_object_mut() {
        for (key, index) in [("src", from), ("dst", to)] {
            if let Some(index) = index {
                entry.insert(key.to_owned(), index.as_str().into());
            }
        }
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_clients_read_them() {
        for (unix, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_825_600, "2000-02-29T12:00:00Z"),
            (1_791_375_817, "2026-10-07T12:23:37Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(iso(unix), text);
        }
        for (time, unix) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:00:00.5Z", Some(951_825_600)),
            ("2026-10-07T12:23:37.892554Z", Some(1_791_375_817)),
            ("2026-13-07T12:23:37Z", None),
            ("2026-10-07T12:23:37", None),
            ("yesterday", None),
            ("99999999999999999999-01-01T00:00:00Z", None),
        ] {
            assert_eq!(unix_of(time), unix, "{time}");
        }
        assert_eq!(unix_of_http(&http_date(951_825_600)), Some(951_825_600));
        assert_eq!(unix_of_parts(parts(951_825_600).map(|part| part as i64)), Some(951_825_600));
        assert_eq!(compact(951_825_600), "20000229120000");
        assert_eq!(upload_time(1_791_375_817_892_554), "2026-10-07T12:23:37.892554Z");
    }
}
