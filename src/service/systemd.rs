use super::{Hands, Place, Plan, ServiceError, Standing, Started, may, must};
use std::path::PathBuf;

/// What is asked of systemd, one line of its answer each.
const PROPERTIES: &str = "--property=LoadState,ActiveState,UnitFileState,MainPID,ActiveEnterTimestamp,MemoryCurrent,ExecMainStatus,ExecMainExitTimestampMonotonic";

/// Loads what was written and starts the service, or restarts it where something changed.
pub(super) fn load(plan: &Plan, hands: &impl Hands, written: &[PathBuf]) -> Result<Started, ServiceError> {
    let place = &plan.place;
    let (unit, socket) = (place.unit(), place.socket_unit());
    if !written.is_empty() {
        read_anew(place, hands)?;
    }
    let before = standing(place, hands)?;
    let sockets_changed = written.contains(&place.socket_file());
    if plan.socket_activation {
        if sockets_changed && before.running {
            // The address passes from the server to systemd, or to another one.
            must(hands, &place.systemctl(&["stop", &unit]))?;
        }
        if sockets_changed {
            must(hands, &place.systemctl(&["enable", &socket]))?;
            must(hands, &place.systemctl(&["restart", &socket]))?;
        }
    } else if place.socket_file().exists()
        && super::files::read(&place.socket_file())?.is_some_and(|text| super::is_ours(&text))
    {
        if before.running {
            must(hands, &place.systemctl(&["stop", &unit]))?;
        }
        must(hands, &place.systemctl(&["disable", "--now", &socket]))?;
        super::files::remove(&place.socket_file())?;
        read_anew(place, hands)?;
    }
    if !before.enabled {
        must(hands, &place.systemctl(&["enable", &unit]))?;
    }
    match (before.running, written.is_empty()) {
        (true, true) => Ok(Started::Untouched),
        (true, false) => start(place, hands, "restart").map(|()| Started::Restarted),
        (false, _) => start(place, hands, "start").map(|()| Started::Started),
    }
}

/// A service that failed too often is not started again before it is forgiven.
fn start(place: &Place, hands: &impl Hands, verb: &str) -> Result<(), ServiceError> {
    may(hands, &place.systemctl(&["reset-failed", &place.unit()]))?;
    must(hands, &place.systemctl(&[verb, &place.unit()]))?;
    Ok(())
}

pub(super) fn reload(place: &Place, hands: &impl Hands) -> Result<(), ServiceError> {
    must(hands, &place.systemctl(&["reload", &place.unit()]))?;
    Ok(())
}

/// Lets systemd read its units again.
pub(super) fn read_anew(place: &Place, hands: &impl Hands) -> Result<(), ServiceError> {
    must(hands, &place.systemctl(&["daemon-reload"]))?;
    Ok(())
}

pub(super) fn unload(place: &Place, hands: &impl Hands, files: &[PathBuf]) -> Result<(), ServiceError> {
    // The sockets first: they would start it again.
    for (file, unit) in [(place.socket_file(), place.socket_unit()), (place.file(), place.unit())] {
        if files.contains(&file) {
            must(hands, &place.systemctl(&["disable", "--now", &unit]))?;
        }
    }
    Ok(())
}

pub(super) fn standing(place: &Place, hands: &impl Hands) -> Result<Standing, ServiceError> {
    let out = must(hands, &place.systemctl(&["show", &place.unit(), PROPERTIES]))?;
    let value = |name: &str| {
        let lines = out.lines().filter_map(|line| line.split_once('='));
        lines.filter(|(key, _)| *key == name).map(|(_, value)| value.trim()).find(|value| !value.is_empty())
    };
    let running = matches!(value("ActiveState"), Some("active" | "reloading" | "deactivating"));
    let ended = value("ExecMainExitTimestampMonotonic").is_some_and(|when| when != "0");
    Ok(Standing {
        loaded: value("LoadState") == Some("loaded"),
        enabled: value("UnitFileState").is_some_and(|state| state.starts_with("enabled")),
        running,
        pid: value("MainPID").and_then(|pid| pid.parse().ok()).filter(|pid| running && *pid != 0),
        since: value("ActiveEnterTimestamp").filter(|_| running).map(str::to_owned),
        // Not counted: [not set].
        memory_bytes: value("MemoryCurrent").and_then(|bytes| bytes.parse().ok()).filter(|bytes| *bytes != u64::MAX),
        last_exit: value("ExecMainStatus").and_then(|code| code.parse().ok()).filter(|_| ended && !running),
    })
}
