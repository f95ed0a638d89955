//! systemd's units (systemd.service(5), systemd.exec(5), systemd.socket(5)).

use super::place::{LOGS, RUNTIME, STATE};
use super::plan::directory;
use super::quote::{command, value, word};
use super::{MARK, Plan, STOP_SECONDS, Scope};
use crate::config::Listen;
use std::path::{Path, PathBuf};

/// How long the server may be silent before systemd kills it and starts it again, in seconds. It speaks twice as often.
const WATCHDOG_SECONDS: u32 = 30;

/// How long the start may take, in seconds: an older data directory is brought up to date then, with a copy first.
const START_SECONDS: u32 = 900;

/// A failed server is started again after so many seconds, and so often within ten minutes: five minutes in which a port
/// may become free.
const RESTART_SECONDS: u32 = 5;
const RESTARTS_MAX: u32 = 60;
const RESTARTS_WITHIN_SECONDS: u32 = 600;

/// Where systemd puts root's password for a user that could not read it.
const CREDENTIAL: &str = "root-password";

/// Open files: what 4096 connections need, and to spare.
const FILES_MAX: u32 = 65_536;

/// Memory beside the budget, in bytes: the program, a large page that is read, the database. During an upgrade two
/// servers run. From here on systemd takes memory back; twice that is a fault, and ends in a restart.
const MEMORY_BESIDE_BYTES: u64 = 256 << 20;

/// The first port that every user may listen on.
const FREE_PORTS_FROM: u16 = 1024;

pub(super) fn service(plan: &Plan) -> String {
    let system = matches!(plan.place.scope, Scope::System { .. });
    let mut unit = Text::begin(&plan.record().line());
    unit.section("Unit");
    unit.set("Description", "Sidewheel, the wheel server");
    if plan.socket_activation {
        unit.set("Requires", &plan.place.socket_unit());
        unit.set("After", &plan.place.socket_unit());
    }
    if system {
        let online = plan.listen.iter().any(needs_network);
        unit.set("After", if online { "network-online.target" } else { "network.target" });
        if online {
            unit.set("Wants", "network-online.target");
        }
    }
    unit.set("StartLimitIntervalSec", &RESTARTS_WITHIN_SECONDS.to_string());
    unit.set("StartLimitBurst", &RESTARTS_MAX.to_string());

    unit.section("Service");
    unit.set("Type", "notify");
    // After an upgrade another process than the first speaks.
    unit.set("NotifyAccess", "all");
    unit.set("ExecStart", &command(&plan.command()));
    unit.set("ExecReload", "/bin/kill -USR2 $MAINPID");
    unit.set("Restart", "on-failure");
    unit.set("RestartSec", &RESTART_SECONDS.to_string());
    // What was typed and what is set does not get better by trying again (sysexits.h: EX_USAGE, EX_CONFIG).
    unit.set("RestartPreventExitStatus", "64 78");
    unit.set("TimeoutStartSec", &START_SECONDS.to_string());
    unit.set("TimeoutStopSec", &STOP_SECONDS.to_string());
    unit.set("WatchdogSec", &WATCHDOG_SECONDS.to_string());
    for variable in &plan.environment {
        unit.set("Environment", &word(&format!("{}={}", variable.name, variable.value)));
    }

    unit.section_part("What it may use");
    unit.set("LimitNOFILE", &FILES_MAX.to_string());
    let high = plan.memory_bytes.saturating_add(MEMORY_BESIDE_BYTES).saturating_mul(2);
    unit.set("MemoryHigh", &high.to_string());
    unit.set("MemoryMax", &high.saturating_mul(2).to_string());
    unit.set("UMask", "0077");
    if system {
        places(&mut unit, plan);
    }

    unit.section_part("What it may not");
    let low_port = plan.listen.iter().any(is_low) && !plan.socket_activation;
    if system {
        fences(&mut unit, plan, low_port);
    }
    unit.set("NoNewPrivileges", "yes");
    unit.set("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6 AF_NETLINK");
    for switch in
        ["RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality", "MemoryDenyWriteExecute"]
    {
        unit.set(switch, "yes");
    }
    unit.set("SystemCallArchitectures", "native");
    unit.set("SystemCallFilter", "@system-service");
    unit.set("SystemCallErrorNumber", "EPERM");

    unit.section("Install");
    unit.set("WantedBy", if system { "multi-user.target" } else { "default.target" });
    unit.text
}

pub(super) fn socket(plan: &Plan) -> String {
    // Without the record: what does not change here leaves the sockets open.
    let mut unit = Text::begin(MARK);
    unit.section("Unit");
    unit.set("Description", "Sidewheel's sockets: connections wait in line while the server is restarted");
    unit.section("Socket");
    for listen in &plan.listen {
        match listen {
            Listen::Tcp(address) => unit.set("ListenStream", &address.to_string()),
            Listen::Unix(path) => unit.set("ListenStream", &value(&path.to_string_lossy())),
        }
    }
    unit.set("SocketMode", "0660");
    if let Scope::System { run_as: Some(user) } = &plan.place.scope {
        unit.set("SocketUser", user.as_str());
    }
    // The address is ours although the interface may come up later.
    if plan.listen.iter().any(needs_network) {
        unit.set("FreeBind", "yes");
    }
    unit.section("Install");
    unit.set("WantedBy", "sockets.target");
    unit.text
}

/// The directories of a system service: those that systemd makes by itself, and others.
fn places(unit: &mut Text, plan: &Plan) {
    let Scope::System { run_as } = &plan.place.scope else { return };
    match run_as {
        Some(user) => unit.set("User", user.as_str()),
        None => {
            unit.set("DynamicUser", "yes");
            unit.set("User", plan.place.label.as_str());
        }
    }
    let mut others = Vec::new();
    let mut place = |unit: &mut Text, key: &str, mode: Option<&str>, base: &str, path: &Path| match below(base, path) {
        Some(name) => {
            unit.set(key, &word(name));
            if let Some(mode) = mode {
                unit.set(&format!("{key}Mode"), mode);
            }
        }
        None => others.push(path.to_owned()),
    };
    place(unit, "StateDirectory", Some("0700"), STATE, plan.data.path());
    if let Some(log) = &plan.log {
        place(unit, "LogsDirectory", Some("0750"), LOGS, &directory(log.path()));
    }
    if !plan.socket_activation {
        for listen in &plan.listen {
            if let Listen::Unix(path) = listen {
                place(unit, "RuntimeDirectory", None, RUNTIME, &directory(path));
            }
        }
    }
    for path in others {
        unit.set("ReadWritePaths", &word(&path.to_string_lossy()));
    }
    if let Some(password) = &plan.root_password_file {
        unit.set("LoadCredential", &format!("{CREDENTIAL}:{}", value(password.as_str())));
        unit.set("Environment", &format!("SIDEWHEEL_ROOT_PASSWORD_FILE=%d/{CREDENTIAL}"));
    }
}

/// What needs a file system or capabilities of its own, which a user's manager cannot give everywhere.
fn fences(unit: &mut Text, plan: &Plan, low_port: bool) {
    let capabilities = if low_port { "CAP_NET_BIND_SERVICE" } else { "" };
    unit.set("CapabilityBoundingSet", capabilities);
    unit.set("AmbientCapabilities", capabilities);
    unit.set("ProtectSystem", "strict");
    unit.set("ProtectHome", if plan.touches(&["/home", "/root", "/run/user"]) { "read-only" } else { "yes" });
    unit.set("PrivateTmp", if plan.touches(&["/tmp", "/var/tmp"]) { "no" } else { "yes" });
    unit.set("ProtectProc", "invisible");
    unit.set("ProcSubset", "pid");
    for switch in [
        "PrivateDevices",
        "ProtectClock",
        "ProtectControlGroups",
        "ProtectHostname",
        "ProtectKernelLogs",
        "ProtectKernelModules",
        "ProtectKernelTunables",
        "RemoveIPC",
    ] {
        unit.set(switch, "yes");
    }
}

/// A directory that systemd makes below its own: its name there.
pub(super) fn below<'a>(base: &str, path: &'a Path) -> Option<&'a str> {
    let name = path.strip_prefix(base).ok()?.to_str()?;
    // systemd knows no `.` and `..`, and reads `:` as the name of a link.
    let plain =
        |name: &str| !name.is_empty() && !name.split('/').any(|part| part.starts_with('.')) && !name.contains(':');
    Some(name).filter(|name| plain(name))
}

fn is_low(listen: &Listen) -> bool {
    matches!(listen, Listen::Tcp(address) if address.port() < FREE_PORTS_FROM)
}

/// Whether the address is there only when the network is up.
fn needs_network(listen: &Listen) -> bool {
    matches!(listen, Listen::Tcp(address) if !address.ip().is_loopback() && !address.ip().is_unspecified())
}

impl Plan {
    /// Whether the service has to see something below one of these directories.
    fn touches(&self, directories: &[&str]) -> bool {
        let files = [Some(&self.program), Some(&self.data), Some(&self.config), self.log.as_ref()];
        let sockets = self.listen.iter().filter_map(|listen| match listen {
            Listen::Unix(path) => Some(path.clone()),
            Listen::Tcp(_) => None,
        });
        let mut paths = files.into_iter().flatten().map(|path| PathBuf::from(path.as_str())).chain(sockets);
        paths.any(|path| directories.iter().any(|directory| path.starts_with(directory)))
    }
}

/// A unit that is being written.
struct Text {
    text: String,
}

impl Text {
    fn begin(mark: &str) -> Self {
        Self { text: format!("# {mark}\n") }
    }

    fn section(&mut self, name: &str) {
        self.text.push_str(&format!("\n[{name}]\n"));
    }

    fn section_part(&mut self, what: &str) {
        self.text.push_str(&format!("\n# {what}\n"));
    }

    fn set(&mut self, key: &str, value: &str) {
        self.text.push_str(&format!("{key}={value}\n"));
    }
}
