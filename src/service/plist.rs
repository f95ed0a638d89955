//! launchd's property list (launchd.plist(5)).

use super::{Manager, Plan, STOP_SECONDS, Scope};
use crate::config::Listen;
use plist::{Dictionary, Value};

/// How long launchd waits until it starts a server again that failed, in seconds. It tells no exit code from another and
/// never gives up: wrong settings cost one try and one line of log in this time.
const THROTTLE_SECONDS: u32 = 30;

/// Open files: what 3,700 connections need, and all that macOS gives to who does not ask for more (OPEN_MAX).
const FILES_MAX: u32 = 10_240;

/// 077
const UMASK: u32 = 63;

/// 0660, as the server makes its sockets.
const SOCKET_MODE: u32 = 432;

pub(super) fn render(plan: &Plan) -> String {
    debug_assert_eq!(plan.place.manager, Manager::Launchd);
    let mut job = Dictionary::new();
    let mut set = |key: &str, value: Value| job.insert(key.to_owned(), value);
    set("Label", plan.place.label.as_str().into());
    set("ProgramArguments", Value::Array(plan.command().into_iter().map(Value::from).collect()));
    set("RunAtLoad", true.into());
    // An orderly end is meant; a failure is not.
    set("KeepAlive", dictionary([("SuccessfulExit", false.into())]));
    set("ThrottleInterval", number(THROTTLE_SECONDS));
    set("ExitTimeOut", number(STOP_SECONDS));
    // Without the brakes that launchd puts on background work: builds wait for it.
    set("ProcessType", "Interactive".into());
    set("Umask", number(UMASK));
    set("SoftResourceLimits", dictionary([("NumberOfFiles", number(FILES_MAX))]));
    set("HardResourceLimits", dictionary([("NumberOfFiles", number(FILES_MAX))]));
    if let Some((output, errors)) = &plan.output {
        set("StandardOutPath", output.as_str().into());
        set("StandardErrorPath", errors.as_str().into());
    }
    if let Scope::System { run_as: Some(user) } = &plan.place.scope {
        set("UserName", user.as_str().into());
    }
    if !plan.environment.is_empty() {
        let variables =
            plan.environment.iter().map(|variable| (variable.name.as_str(), variable.value.as_str().into()));
        set("EnvironmentVariables", dictionary(variables));
    }
    if let Some(listen) = plan.listen.first().filter(|_| plan.socket_activation) {
        set("Sockets", dictionary([("Listeners", socket(listen))]));
    }
    let mut xml = Vec::new();
    let written = Value::Dictionary(job).to_writer_xml(&mut xml);
    debug_assert!(written.is_ok(), "writing into memory");
    let text = String::from_utf8_lossy(&xml).into_owned();
    let comment = format!("<!-- {} -->\n<plist ", plan.record().line());
    text.replacen("<plist ", &comment, 1) + "\n"
}

fn socket(listen: &Listen) -> Value {
    match listen {
        Listen::Tcp(address) => dictionary([
            ("SockNodeName", address.ip().to_string().into()),
            ("SockServiceName", address.port().to_string().into()),
            ("SockFamily", if address.is_ipv4() { "IPv4" } else { "IPv6" }.into()),
            ("SockType", "stream".into()),
        ]),
        Listen::Unix(path) => dictionary([
            ("SockPathName", path.to_string_lossy().into_owned().into()),
            ("SockPathMode", number(SOCKET_MODE)),
        ]),
    }
}

fn number(number: u32) -> Value {
    Value::Integer(number.into())
}

fn dictionary<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::Dictionary(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}
