mod install;

use super::{RunError, runtime, say};
use crate::cli::{ServiceCommand, ServicePlace, SystemName};
use crate::config::{Config, Flags};
use crate::server::control::{Answer, Request, Status, ask};
use crate::service::{Label, Manager, Place, RealHands, Record, Scope, Standing, UserId, wait_until_ready};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

type Env = BTreeMap<String, String>;

/// What systemctl ends with when a service does not run, and when it does not exist (LSB).
const EXIT_STOPPED: u8 = 3;
const EXIT_NOT_INSTALLED: u8 = 4;

/// Most that is read for the end of a log, in bytes: some hundred lines.
const TAIL_BYTES_MAX: u64 = 64 * 1024;

pub(super) fn service(command: ServiceCommand, env: &Env) -> Result<(), RunError> {
    match command {
        ServiceCommand::Install(wanted) => install::install(*wanted, env),
        ServiceCommand::Uninstall(which) => uninstall(&place(&which, None, env)?),
        ServiceCommand::Status { place: which, json } => status(&place(&which, None, env)?, json, env),
        ServiceCommand::Logs { place: which, lines, follow } => logs(&place(&which, None, env)?, lines, follow),
    }
}

/// Which service is meant, here.
fn place(which: &ServicePlace, run_as: Option<UserId>, env: &Env) -> Result<Place, RunError> {
    let manager = match which.system_name {
        None => Manager::here(),
        Some(SystemName::Macos) => Manager::Launchd,
        Some(SystemName::Linux) => Manager::Systemd,
    };
    let uid = rustix::process::geteuid();
    let scope = match which.system || (uid.is_root() && !which.user) {
        true => Scope::System { run_as },
        false => {
            let directory = |name: &str| env.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
            let home = directory("HOME").ok_or_else(|| RunError::Usage("there is no HOME; set it".to_owned()))?;
            let config_home = directory("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
            Scope::User { home, config_home, uid: uid.as_raw() }
        }
    };
    let label = Label::parse(which.label.as_deref().unwrap_or(manager.default_label()))?;
    Ok(Place { manager, scope, label })
}

fn uninstall(place: &Place) -> Result<(), RunError> {
    let Some(record) = place.record()? else {
        say(&format!("there is nothing to remove: {} does not exist", place.file().display()));
        return Ok(());
    };
    for path in place.uninstall(&RealHands)? {
        say(&format!("removed {}", path.display()));
    }
    say(&format!("the data stays: {}", record.data.display()));
    for (what, path) in [("settings", &record.config), ("log", &record.log)] {
        if let Some(path) = path.as_ref().filter(|path| path.exists()) {
            say(&format!("the {what} stay: {}", path.display()));
        }
    }
    Ok(())
}

fn status(place: &Place, as_json: bool, env: &Env) -> Result<(), RunError> {
    let record = place.record()?;
    let (file, label) = (place.file(), place.label.as_str());
    let Some(record) = record else {
        if as_json {
            say(&pretty(
                &json!({ "label": label, "manager": place.manager.to_string(), "file": file, "installed": false }),
            ));
            return Err(RunError::Told(EXIT_NOT_INSTALLED));
        }
        return not_installed(place);
    };
    let standing = place.standing(&RealHands)?;
    let ready = match settings(&record, env) {
        Ok(config) => Some(wait_until_ready(&config.server.listen, &RealHands, 1)),
        // Settings that this user may not read: what is not known is not said.
        Err(_) => None,
    };
    let server = server(&record.data);
    let Standing { loaded, enabled, running, pid, since, memory_bytes, last_exit } = &standing;
    if as_json {
        say(&pretty(&json!({
            "label": label,
            "manager": place.manager.to_string(),
            "file": file,
            "installed": true,
            "loaded": loaded,
            "enabled": enabled,
            "running": running,
            "pid": pid,
            "since": since,
            "memory_bytes": memory_bytes,
            "last_exit": last_exit,
            "ready": ready,
            "version": server.as_ref().map(|server| &server.version),
            "addresses": server.as_ref().map(|server| &server.addresses),
            "data": record.data,
            "config": record.config,
            "log": record.log,
        })));
    } else {
        let line = |name: &str, value: String| say(&format!("  {name:<9} {value}"));
        say(&format!("{label} ({})", place.manager));
        line("file", file.display().to_string());
        line(
            "loaded",
            format!("{}{}", yes(*loaded), if *enabled { ", starts by itself" } else { ", does not start by itself" }),
        );
        let mut state = match (running, pid) {
            (true, Some(pid)) => format!("yes, process {pid}"),
            (true, None) => "yes".to_owned(),
            (false, _) => "no".to_owned(),
        };
        let details = [
            since.as_ref().map(|since| format!("since {since}")),
            memory_bytes.map(|bytes| format!("{:.0} MB of memory", bytes as f64 / 1e6)),
            last_exit.map(|code| format!("its last run ended with {code}")),
        ];
        details.into_iter().flatten().for_each(|detail| state.push_str(&format!(", {detail}")));
        line("running", state);
        line("ready", ready.map_or("not known: its settings cannot be read", yes).to_owned());
        if let Some(server) = server {
            line("version", server.version);
            server.addresses.into_iter().for_each(|address| line("listening", address));
        }
        line("data", record.data.display().to_string());
        line("log", record.log.map_or("the journal".to_owned(), |log| log.display().to_string()));
    }
    if *running { Ok(()) } else { Err(RunError::Told(EXIT_STOPPED)) }
}

/// Becomes the program that shows logs.
fn logs(place: &Place, lines: u32, follow: bool) -> Result<(), RunError> {
    let Some(record) = place.record()? else {
        return not_installed(place);
    };
    let command = match record.log {
        None => place.journal(lines, follow),
        Some(log) => {
            let mut command = vec!["tail".to_owned(), "-n".to_owned(), lines.to_string()];
            // By name: the file is set aside when it is large.
            command.extend(follow.then(|| "-F".to_owned()));
            let files =
                [Some(log), record.early_log.filter(|early| early.metadata().is_ok_and(|facts| facts.len() > 0))];
            command.extend(files.into_iter().flatten().map(|path| path.display().to_string()));
            command
        }
    };
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let why = std::process::Command::new(program).args(arguments).exec();
    Err(RunError::NotReady(format!("`{program}` cannot be started: {why}")))
}

/// The settings that an installed service serves with.
fn settings(record: &Record, env: &Env) -> Result<Config, RunError> {
    let file = match &record.config {
        Some(path) => Some((path.display().to_string(), super::read(path)?)),
        None => None,
    };
    let flags = Flags { data: Some(record.data.display().to_string()), ..Flags::default() };
    let file = file.as_ref().map(|(name, text)| (&**name, &**text));
    Ok(Config::load(file, &service_env(env), &flags)?)
}

/// What a service will have of this environment.
fn service_env(env: &Env) -> Env {
    env.iter()
        .filter(|(name, _)| ["HOME", "XDG_DATA_HOME"].contains(&&***name))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect()
}

/// What the running server says of itself.
fn server(data: &Path) -> Option<Status> {
    let answer = runtime().ok()?.block_on(ask(data, &Request::Status)).ok()?;
    let Answer::Status(status) = answer else { return None };
    Some(status)
}

fn not_installed(place: &Place) -> Result<(), RunError> {
    let (label, file) = (place.label.as_str(), place.file());
    say(&format!("there is no service {label} here; `sidewheel service install` would write {}", file.display()));
    Err(RunError::Told(EXIT_NOT_INSTALLED))
}

/// The last lines of a file.
fn tail(path: &Path, lines: usize) -> String {
    let read = || {
        let mut file = File::open(path)?;
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(len.saturating_sub(TAIL_BYTES_MAX)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let all: Vec<_> = text.lines().collect();
    all.iter().skip(all.len().saturating_sub(lines)).copied().collect::<Vec<_>>().join("\n")
}

fn yes(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}

fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
