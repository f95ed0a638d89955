//! Whose the data directory is, and who may look into it and write it.

use super::{Finding, Subject};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const CHECK: &str = "permissions";

/// Most files that are looked at: the first that belong to somebody else tell enough.
const FILES_MAX: usize = 20_000;

/// What only its owner may read.
const CLOSED: [&str; 7] =
    ["private.db", "private.db-wal", "private", "tmp", "quarantine", "root-password", "control.sock"];

struct Facts {
    data: PathBuf,
    /// Who asks.
    me: u32,
    /// Owner and mode of the directory; none where it is not there.
    directory: Option<(u32, u32)>,
    /// Files and directories of another owner than the directory's.
    foreign: Vec<PathBuf>,
    /// Closed things that are open to others, with their modes.
    open: Vec<(PathBuf, u32)>,
    root_password: bool,
}

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let data = &subject.config.cache.data;
    let me = rustix::process::getuid().as_raw();
    let facts = match fs::metadata(data) {
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => None,
        Err(why) => {
            let says = format!("{} cannot be looked at: {why}", data.display());
            return vec![Finding::failed(CHECK, says, format!("ls -ld {}", data.display()))];
        }
        Ok(facts) => Some((facts.uid(), facts.mode() & 0o7777)),
    };
    let (mut foreign, mut seen) = (Vec::new(), 0);
    if let Some((owner, _)) = facts {
        foreigners(data, owner, &mut foreign, &mut seen);
    }
    let open = CLOSED.iter().filter_map(|name| {
        let path = data.join(name);
        let mode = fs::symlink_metadata(&path).ok()?.mode() & 0o777;
        (mode & 0o077 != 0).then_some((path, mode))
    });
    let facts = Facts {
        data: data.clone(),
        me,
        directory: facts,
        foreign,
        open: open.collect(),
        root_password: data.join("root-password").exists(),
    };
    judge(&facts)
}

fn foreigners(directory: &Path, owner: u32, found: &mut Vec<PathBuf>, seen: &mut usize) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        *seen += 1;
        if *seen > FILES_MAX {
            return;
        }
        let Ok(facts) = entry.metadata() else { continue };
        if facts.uid() != owner {
            found.push(entry.path());
        }
        if facts.is_dir() {
            foreigners(&entry.path(), owner, found, seen);
        }
    }
}

fn judge(facts: &Facts) -> Vec<Finding> {
    let data = facts.data.display();
    let Some((owner, mode)) = facts.directory else {
        return vec![Finding::ok(CHECK, format!("{data} is not there yet; the first start makes it"))];
    };
    let mut findings = Vec::new();
    if owner != facts.me && facts.me != 0 {
        let says = format!("{data} belongs to the user with number {owner}; this one ({}) cannot serve it", facts.me);
        findings.push(Finding::warning(CHECK, says, format!("sudo -u '#{owner}' sidewheel doctor")));
    }
    if let Some(first) = facts.foreign.first() {
        let says = format!(
            "{} file(s) in {data} belong to another user than the directory, like {}: a command was run by root once",
            facts.foreign.len(),
            first.display()
        );
        findings.push(Finding::failed(CHECK, says, format!("sudo chown -R {owner} {data}")));
    }
    if mode & 0o022 != 0 {
        let says = format!("{data} can be written by others than its owner (mode {mode:o})");
        findings.push(Finding::failed(CHECK, says, format!("chmod go-w {data}")));
    }
    for (path, mode) in &facts.open {
        let says = format!("{} can be read by others than its owner (mode {mode:o})", path.display());
        findings.push(Finding::failed(CHECK, says, format!("chmod go= {}", path.display())));
    }
    if facts.root_password {
        let says = "root's first password still lies in the data directory";
        let path = facts.data.join("root-password");
        findings.push(Finding::warning(CHECK, says, format!("cat {0}; rm {0}", path.display())));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, format!("{data} is its owner's alone, where it has to be")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn the_data_directory_is_its_owners() {
        let path = |name: &str| PathBuf::from(name);
        let facts = |me, directory, foreign, open, root_password| Facts {
            data: path("/d"),
            me,
            directory,
            foreign,
            open,
            root_password,
        };
        for (facts, status, words) in [
            (facts(1, None, vec![], vec![], false), Status::Ok, "not there yet"),
            (facts(1, Some((1, 0o755)), vec![], vec![], false), Status::Ok, "alone"),
            (facts(0, Some((1, 0o700)), vec![], vec![], false), Status::Ok, "alone"),
            (facts(2, Some((1, 0o700)), vec![], vec![], false), Status::Warning, "number 1"),
            (facts(1, Some((1, 0o755)), vec![path("/d/a")], vec![], false), Status::Failed, "/d/a"),
            (facts(1, Some((1, 0o777)), vec![], vec![], false), Status::Failed, "written by others"),
            (
                facts(1, Some((1, 0o755)), vec![], vec![(path("/d/private.db"), 0o644)], false),
                Status::Failed,
                "mode 644",
            ),
            (facts(1, Some((1, 0o755)), vec![], vec![], true), Status::Warning, "first password"),
        ] {
            let found = judge(&facts);
            assert!(
                found.len() == 1 && found[0].status == status && found[0].says.contains(words),
                "{words}: {found:?}"
            );
        }
    }

    #[test]
    fn looks_at_a_real_directory() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("files")).unwrap();
        fs::write(directory.path().join("files/a"), "").unwrap();
        let (mut found, mut seen) = (Vec::new(), 0);
        let owner = fs::metadata(directory.path()).unwrap().uid();
        foreigners(directory.path(), owner, &mut found, &mut seen);
        assert_eq!((found.len(), seen), (0, 2));
        foreigners(directory.path(), owner + 1, &mut found, &mut seen);
        assert_eq!(found.len(), 2);
    }
}
