//! Whether this machine's clock is right, by what upstream says the time is.

use super::Finding;
use crate::platform::machine::MACOS;

pub(super) const CHECK: &str = "clock";

/// Further off than this is worth a word, in seconds: a fetch takes part of it, and `Date` has whole seconds.
const OFF_SECONDS: u64 = 30;

/// Further off than this breaks things, in seconds: certificates and tokens are in and out of their time.
const FAR_OFF_SECONDS: u64 = 3_600;

/// A server's own time, in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    unix: u64,
    by: String,
}

pub(super) fn told(date: &str, by: &str) -> Option<Told> {
    let unix = httpdate::parse_http_date(date).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    Some(Told { unix, by: by.to_owned() })
}

/// The line that sets the clock.
pub(super) const SET_CLOCK: &str = if MACOS { "sudo sntp -sS time.apple.com" } else { "sudo timedatectl set-ntp true" };

pub(super) fn judge(told: Option<Told>, now: u64) -> Finding {
    let Some(Told { unix, by }) = told else {
        return Finding::skipped(CHECK, "upstream did not say what time it is");
    };
    let off = now.abs_diff(unix);
    let direction = if now > unix { "ahead of" } else { "behind" };
    match off {
        _ if off <= OFF_SECONDS => Finding::ok(CHECK, format!("agrees with {by}")),
        _ if off <= FAR_OFF_SECONDS => Finding::warning(CHECK, format!("{off} s {direction} {by}"), SET_CLOCK),
        _ => {
            let says = format!(
                "{} hours {direction} {by}: certificates look expired or not valid yet, and tokens end at the wrong time",
                off / 3_600
            );
            Finding::failed(CHECK, says, SET_CLOCK)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_clock_is_off_by_degrees() {
        let told = told("Tue, 24 Nov 2026 12:00:00 GMT", "index.example").unwrap();
        for (off, status, words) in [
            (0, Status::Ok, "agrees"),
            (30, Status::Ok, "agrees"),
            (-31, Status::Warning, "31 s behind index.example"),
            (3_600, Status::Warning, "ahead of"),
            (90_000, Status::Failed, "25 hours ahead of"),
        ] {
            let found = judge(Some(told.clone()), told.unix.saturating_add_signed(off));
            assert!(found.status == status && found.says.contains(words), "{off}: {found:?}");
        }
        assert_eq!(judge(None, 0).status, Status::Skipped);
        assert_eq!(super::told("yesterday", "x"), None);
    }
}
