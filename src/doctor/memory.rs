//! Whether the machine bears the memory budget, and how many files may be open.

use super::{Finding, Subject, shown_bytes};
use crate::platform::machine::{self, MACOS};
use rustix::process::{Resource, getrlimit};

const MEMORY: &str = "memory";
const FILES: &str = "open files";

/// What the server needs beside its budget, in bytes: measured 20 MiB idle, 64 MiB while large pages are made.
const BESIDE_BYTES: u64 = 64 << 20;

/// Fewer open files than this turn clients away: each takes two, 256 are kept for the cache and upstream.
const OPEN_FILES_MIN: u64 = 1_024;

struct Facts {
    budget: u64,
    machine: Option<u64>,
    /// The least of what a container, a service or `ulimit -v` allows.
    limit: Option<u64>,
}

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let address_space = getrlimit(Resource::As).current;
    let limit = [machine::memory_limit(), address_space].into_iter().flatten().min();
    let facts = Facts { budget: subject.config.cache.memory_bytes, machine: machine::memory(), limit };
    // The server raises its own limit as far as it may; a running one tells what came of it.
    let of_server = subject.server.as_ref().and_then(|server| machine::open_files_max(server.pid));
    let files = of_server.or_else(|| getrlimit(Resource::Nofile).maximum).unwrap_or(u64::MAX);
    vec![judge(&facts), open_files(files)]
}

fn judge(facts: &Facts) -> Finding {
    let needed = facts.budget.saturating_add(BESIDE_BYTES);
    let budget = shown_bytes(facts.budget);
    let line = |room: u64| {
        let fits = room.saturating_sub(BESIDE_BYTES) / 2 / (1 << 20);
        format!("sidewheel serve --memory {}MiB   # or `memory` in the settings", fits.max(16))
    };
    match (facts.limit, facts.machine) {
        (Some(limit), _) if needed > limit => Finding::failed(
            MEMORY,
            format!("the budget of {budget} does not fit into the limit of {} that is set here", shown_bytes(limit)),
            line(limit),
        ),
        (_, Some(machine)) if needed > machine => Finding::failed(
            MEMORY,
            format!("the budget of {budget} is more than this machine has ({})", shown_bytes(machine)),
            line(machine),
        ),
        (_, Some(machine)) if needed > machine / 2 => Finding::warning(
            MEMORY,
            format!("the budget of {budget} is more than half of this machine's {}", shown_bytes(machine)),
            line(machine),
        ),
        (_, Some(machine)) => Finding::ok(MEMORY, format!("a budget of {budget} of {}", shown_bytes(machine))),
        (_, None) => Finding::skipped(MEMORY, "this machine does not say how much memory it has"),
    }
}

fn open_files(most: u64) -> Finding {
    let line = match MACOS {
        true => "SoftResourceLimits and HardResourceLimits, NumberOfFiles, in the service's plist",
        false => "LimitNOFILE=65536 in the service's unit; in a shell: ulimit -n 65536",
    };
    match most {
        0..OPEN_FILES_MIN => Finding::warning(
            FILES,
            format!("only {most} may be open at once: that is {} clients", most.saturating_sub(256) / 2),
            line,
        ),
        u64::MAX => Finding::ok(FILES, "as many as the system has"),
        _ => Finding::ok(FILES, format!("up to {most}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_budget_fits_into_the_machine_and_its_limits() {
        const GIB: u64 = 1 << 30;
        for (budget, machine, limit, status) in [
            (GIB / 4, Some(8 * GIB), None, Status::Ok),
            (GIB / 4, Some(8 * GIB), Some(GIB), Status::Ok),
            (GIB / 4, Some(8 * GIB), Some(GIB / 4), Status::Failed),
            (4 * GIB, Some(8 * GIB), None, Status::Warning),
            (8 * GIB, Some(8 * GIB), None, Status::Failed),
            (GIB, None, None, Status::Skipped),
        ] {
            assert_eq!(judge(&Facts { budget, machine, limit }).status, status, "{budget} {machine:?} {limit:?}");
        }
        assert_eq!(open_files(256).status, Status::Warning);
        assert_eq!(open_files(65_536).status, Status::Ok);
    }
}
