//! Whether the data directory's disk bears what the settings allow, and is of a kind that databases can trust.

use super::{Finding, Subject, shown_bytes};
use crate::platform::machine::{self, Mount};
use std::path::{Path, PathBuf};

const CHECK: &str = "disk";

/// Less than this is as good as full, in bytes: one large wheel is more.
const FREE_BYTES_MIN: u64 = 200_000_000;

/// Fewer free inodes than this run out before the bytes do.
const FREE_INODES_MIN: u64 = 10_000;

/// File systems of other machines: their locks and shared memory cannot be trusted, which SQLite's journal needs.
const REMOTE: [&str; 16] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "afpfs",
    "webdav",
    "9p",
    "virtiofs",
    "ceph",
    "glusterfs",
    "fuse.glusterfs",
    "fuse.sshfs",
    "fuse.rclone",
    "macfuse",
    "lustre",
];

struct Facts {
    data: PathBuf,
    mount: Option<Mount>,
    free_bytes: u64,
    /// None where the file system has no fixed number of them.
    free_inodes: Option<u64>,
    /// How much the cache may still grow.
    growth: u64,
}

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let data = &subject.config.cache.data;
    // Not there yet: it will be made on the disk of what is above it.
    let there = data.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let real = std::fs::canonicalize(there).unwrap_or_else(|_| there.to_owned());
    let facts = match rustix::fs::statvfs(&real) {
        Ok(facts) => facts,
        Err(why) => {
            return vec![Finding::failed(
                CHECK,
                format!("{}: {why}", real.display()),
                format!("ls -ld {}", real.display()),
            )];
        }
    };
    let cached = subject.server.as_ref().map_or(0, |server| server.cached_bytes);
    judge(&Facts {
        data: data.clone(),
        mount: machine::mount(&real),
        free_bytes: facts.f_bavail.saturating_mul(facts.f_frsize),
        free_inodes: (facts.f_files > 0).then_some(facts.f_favail),
        growth: subject.config.cache.disk_bytes.saturating_sub(cached),
    })
}

fn judge(facts: &Facts) -> Vec<Finding> {
    let data = facts.data.display();
    let (free, growth) = (shown_bytes(facts.free_bytes), shown_bytes(facts.growth));
    let mut findings = Vec::new();
    let fits = facts.free_bytes / 10 * 9;
    findings.push(match facts.free_bytes {
        0..FREE_BYTES_MIN => Finding::failed(
            CHECK,
            format!("{data}: only {free} are free; nothing new can be kept"),
            "df -h   # make room, or move the directory and set `data`",
        ),
        _ if facts.growth > fits => Finding::warning(
            CHECK,
            format!("{data}: {free} are free, but the cache may grow by {growth}"),
            format!("sidewheel serve --disk {}MB   # or `disk` in the settings", fits / 1_000_000),
        ),
        _ => Finding::ok(CHECK, format!("{data}: {free} are free, the cache may grow by {growth}")),
    });
    if let Some(inodes) = facts.free_inodes.filter(|inodes| *inodes < FREE_INODES_MIN) {
        let says = format!("{data}: only {inodes} more files fit on this disk, however small (inodes)");
        findings.push(Finding::warning(CHECK, says, "df -i"));
    }
    if let Some(Mount { point, kind }) = &facts.mount {
        let at = format!("{data} is on {kind} ({})", point.display());
        if REMOTE.contains(&kind.as_str()) {
            let says = format!("{at}: databases break on file systems of other machines");
            findings.push(Finding::failed(CHECK, says, "set `data` to a directory on a local disk"));
        } else if matches!(kind.as_str(), "tmpfs" | "ramfs" | "devtmpfs") {
            let says = format!("{at}: all of it is gone when the machine starts again, uploads too");
            findings.push(Finding::warning(CHECK, says, "set `data` to a directory on a disk"));
        } else if kind == "overlay" {
            let says = format!("{at}: it goes with the container, uploads too");
            findings.push(Finding::warning(CHECK, says, "mount a volume, and set `data` to it"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_disk_has_room_and_is_local() {
        const GB: u64 = 1_000_000_000;
        for (free_bytes, free_inodes, growth, kind, expected) in [
            (50 * GB, Some(1 << 20), 20 * GB, "ext4", &[(Status::Ok, "50.0 GB are free")][..]),
            (10 * GB, None, 20 * GB, "apfs", &[(Status::Warning, "may grow by 20.0 GB")]),
            (GB / 10, None, 0, "ext4", &[(Status::Failed, "only 100 MB")]),
            (50 * GB, Some(99), GB, "ext4", &[(Status::Ok, ""), (Status::Warning, "only 99 more files")]),
            (50 * GB, None, GB, "nfs4", &[(Status::Ok, ""), (Status::Failed, "databases break")]),
            (50 * GB, None, GB, "tmpfs", &[(Status::Ok, ""), (Status::Warning, "starts again")]),
            (50 * GB, None, GB, "overlay", &[(Status::Ok, ""), (Status::Warning, "container")]),
        ] {
            let mount = Some(Mount { point: PathBuf::from("/"), kind: kind.to_owned() });
            let found = judge(&Facts { data: PathBuf::from("/d"), mount, free_bytes, free_inodes, growth });
            let right = found.len() == expected.len()
                && found
                    .iter()
                    .zip(expected)
                    .all(|(found, (status, words))| found.status == *status && found.says.contains(words));
            assert!(right, "{kind}: {found:?}");
        }
    }
}
