//! What is left of devpi on this machine, how to take it over and how to switch it off.

use super::{Finding, Subject, shown_bytes};
use crate::platform::machine::{self, Process};
use std::fs;
use std::path::{Path, PathBuf};

const CHECK: &str = "devpi";

/// What devpi-server's command line and services name.
const PROGRAM: &str = "devpi-server";

/// A file that every directory of devpi-server has.
const MARK: &str = ".serverversion";

/// Most files whose sizes are summed up: beyond it the size is told as "more than".
const FILES_MAX: usize = 200_000;

/// Largest file that is searched for devpi's name, in bytes.
const UNIT_BYTES_MAX: u64 = 256 << 10;

struct Facts {
    processes: Vec<Process>,
    /// Directories of devpi-server, with the bytes in them and whether those are all.
    directories: Vec<(PathBuf, u64, bool)>,
    services: Vec<Service>,
    user: u32,
}

/// A file that starts devpi.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Service {
    Launchd { plist: PathBuf, system: bool },
    Systemd { unit: String, user: bool },
    Cron { file: PathBuf },
}

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let is_devpi = |process: &Process| process.command.split_whitespace().take(3).any(|word| word.ends_with(PROGRAM));
    let processes: Vec<Process> = machine::processes().into_iter().filter(is_devpi).collect();
    let home = subject.machine().home();
    let mut places: Vec<PathBuf> = processes.iter().filter_map(|process| serverdir(&process.command)).collect();
    places.extend(subject.env.get("DEVPISERVER_SERVERDIR").map(PathBuf::from));
    places.extend(home.iter().map(|home| home.join(".devpi/server")));
    places.extend(["/var/lib/devpi", "/var/lib/devpi-server", "/srv/devpi"].map(PathBuf::from));
    places.sort();
    places.dedup();
    let directories = places.into_iter().filter(|place| place.join(MARK).is_file()).map(|place| {
        let (mut bytes, mut files) = (0, 0);
        sum(&place, &mut bytes, &mut files);
        (place, bytes, files < FILES_MAX)
    });
    let user = rustix::process::getuid().as_raw();
    let directories = directories.collect();
    let services = services(home.as_deref());
    judge(&Facts { processes, directories, services, user })
}

fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Process { pid, command } in &facts.processes {
        let says = format!("devpi-server runs (process {pid}: {})", command.chars().take(100).collect::<String>());
        let line = match facts.services.first() {
            Some(service) => service.off(facts.user),
            None => format!("kill {pid}"),
        };
        findings.push(Finding::warning(CHECK, says, line));
    }
    for (directory, bytes, all) in &facts.directories {
        let size = format!("{}{}", if *all { "" } else { "more than " }, shown_bytes(*bytes));
        let shown = directory.display();
        let says =
            format!("{shown} is a directory of devpi-server ({size}); it can be taken over, nothing in it is changed");
        findings.push(Finding::warning(CHECK, says, format!("sidewheel import devpi --serverdir {shown}")));
    }
    for service in &facts.services {
        let says = match service {
            Service::Launchd { plist, .. } => format!("{} starts devpi-server at login", plist.display()),
            Service::Systemd { unit, .. } => format!("systemd's {unit} starts devpi-server"),
            Service::Cron { file } => format!("{} starts devpi-server", file.display()),
        };
        findings.push(Finding::warning(CHECK, says, service.off(facts.user)));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, "nothing of devpi-server is left on this machine"));
    }
    findings
}

impl Service {
    /// The line that switches it off, for good.
    fn off(&self, user: u32) -> String {
        match self {
            Self::Launchd { plist, system: true } => {
                format!("sudo launchctl bootout system {0}; sudo mv {0} {0}.off", plist.display())
            }
            Self::Launchd { plist, system: false } => {
                format!("launchctl bootout gui/{user} {0}; mv {0} {0}.off", plist.display())
            }
            Self::Systemd { unit, user: true } => format!("systemctl --user disable --now {unit}"),
            Self::Systemd { unit, user: false } => format!("sudo systemctl disable --now {unit}"),
            Self::Cron { file } => format!("take the line out of {}", file.display()),
        }
    }
}

fn services(home: Option<&Path>) -> Vec<Service> {
    let at_home = |more: &str| home.map(|home| home.join(more));
    let mut services = Vec::new();
    let agents = [
        (at_home("Library/LaunchAgents"), false),
        (Some("/Library/LaunchAgents".into()), false),
        (Some("/Library/LaunchDaemons".into()), true),
    ];
    for (directory, system) in agents {
        let found = naming(directory.as_deref(), ".plist");
        services.extend(found.into_iter().map(|plist| Service::Launchd { plist, system }));
    }
    let units = [
        (at_home(".config/systemd/user"), true),
        (Some("/etc/systemd/system".into()), false),
        (Some("/usr/lib/systemd/system".into()), false),
    ];
    for (directory, user) in units {
        let found = naming(directory.as_deref(), ".service");
        let unit = |path: PathBuf| Some(Service::Systemd { unit: path.file_name()?.to_str()?.to_owned(), user });
        services.extend(found.into_iter().filter_map(unit));
    }
    for directory in ["/etc/cron.d", "/var/spool/cron", "/var/spool/cron/crontabs"] {
        services.extend(naming(Some(Path::new(directory)), "").into_iter().map(|file| Service::Cron { file }));
    }
    if names_devpi(Path::new("/etc/crontab")) {
        services.push(Service::Cron { file: "/etc/crontab".into() });
    }
    services
}

/// The files of a directory that name devpi-server.
fn naming(directory: Option<&Path>, suffix: &str) -> Vec<PathBuf> {
    let entries = directory.map(fs::read_dir).into_iter().flatten().flatten().flatten();
    let files = entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with(suffix));
    files.filter(|path| names_devpi(path)).collect()
}

fn names_devpi(path: &Path) -> bool {
    let small = fs::metadata(path).is_ok_and(|facts| facts.is_file() && facts.len() <= UNIT_BYTES_MAX);
    small && fs::read(path).is_ok_and(|text| String::from_utf8_lossy(&text).contains(PROGRAM))
}

/// `--serverdir DIR` or `--serverdir=DIR` of a command line.
fn serverdir(command: &str) -> Option<PathBuf> {
    let mut words = command.split_whitespace();
    while let Some(word) = words.next() {
        match word.strip_prefix("--serverdir") {
            Some("") => return words.next().map(PathBuf::from),
            Some(rest) if rest.starts_with('=') => return Some(PathBuf::from(rest.trim_start_matches('='))),
            _ => {}
        }
    }
    None
}

fn sum(directory: &Path, bytes: &mut u64, files: &mut usize) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if *files >= FILES_MAX {
            return;
        }
        let Ok(facts) = entry.metadata() else { continue };
        *files += 1;
        match facts.is_dir() {
            true => sum(&entry.path(), bytes, files),
            false => *bytes += facts.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn says_how_to_take_over_and_how_to_switch_off() {
        let process = Process { pid: 5, command: "python /x/devpi-server --serverdir /srv/d".to_owned() };
        let agent = Service::Launchd { plist: "/u/Library/LaunchAgents/net.devpi.plist".into(), system: false };
        let facts = Facts {
            processes: vec![process.clone()],
            directories: vec![("/srv/d".into(), 3_000_000_000, true)],
            services: vec![agent, Service::Systemd { unit: "devpi.service".to_owned(), user: false }],
            user: 501,
        };
        let found = judge(&facts);
        let lines: Vec<&str> = found.iter().filter_map(|found| found.line.as_deref()).collect();
        assert!(found.iter().all(|found| found.status == Status::Warning) && lines.len() == 4, "{found:?}");
        assert!(lines[0].starts_with("launchctl bootout gui/501 /u/Library") && lines[0] == lines[2], "{lines:?}");
        assert_eq!(lines[1], "sidewheel import devpi --serverdir /srv/d");
        assert_eq!(lines[3], "sudo systemctl disable --now devpi.service");
        let none = Facts { processes: vec![], directories: vec![], services: vec![], user: 0 };
        assert_eq!(judge(&none).first().map(|found| found.status), Some(Status::Ok));
        let alone = Facts { processes: vec![process], ..none };
        assert_eq!(judge(&alone)[0].line.as_deref(), Some("kill 5"));
    }

    #[test]
    fn reads_command_lines() {
        for (line, directory) in [
            ("devpi-server --serverdir /a --port 3141", Some("/a")),
            ("devpi-server --serverdir=/a", Some("/a")),
            ("devpi-server --port 3141", None),
        ] {
            assert_eq!(serverdir(line), directory.map(PathBuf::from), "{line}");
        }
    }
}
