use super::{Hands, Place, ServiceError, Standing, Started, may, must};

/// Looks after a job was told to go until it is gone: as long as it may take to stop, and some more.
const GONE_LOOKS_MAX: u32 = (super::STOP_SECONDS + 5) * 4;

/// A job that is just going can be in the way of the new one a little longer (launchctl: 5, Input/output error).
const BOOTSTRAPS_MAX: u32 = 8;

/// Loads what was written, which starts the job, or loads it anew where it changed.
pub(super) fn load(place: &Place, hands: &impl Hands, changed: bool) -> Result<Started, ServiceError> {
    let (domain, target, file) = (place.domain(), place.target(), place.file());
    if may(hands, &["launchctl", "print", &domain])?.is_none() {
        return Err(ServiceError::NoSession { domain });
    }
    let before = standing(place, hands)?;
    match (before.loaded, changed) {
        (true, false) if before.running => return Ok(Started::Untouched),
        (true, false) => {
            must(hands, &["launchctl", "kickstart", &target])?;
            return Ok(Started::Started);
        }
        (true, true) => unload(place, hands)?,
        (false, _) => {}
    }
    // Somebody may have disabled it once; launchd remembers that beyond the file's life.
    must(hands, &["launchctl", "enable", &target])?;
    let file = file.to_string_lossy();
    for _ in 1..BOOTSTRAPS_MAX {
        if may(hands, &["launchctl", "bootstrap", &domain, &file])?.is_some() {
            return Ok(started(before.running));
        }
        hands.pause();
    }
    must(hands, &["launchctl", "bootstrap", &domain, &file])?;
    Ok(started(before.running))
}

fn started(ran_before: bool) -> Started {
    if ran_before { Started::Restarted } else { Started::Started }
}

pub(super) fn restart(place: &Place, hands: &impl Hands) -> Result<(), ServiceError> {
    must(hands, &["launchctl", "kickstart", "-k", &place.target()])?;
    Ok(())
}

/// Stops the job and waits until it is gone.
pub(super) fn unload(place: &Place, hands: &impl Hands) -> Result<(), ServiceError> {
    let target = place.target();
    if may(hands, &["launchctl", "print", &target])?.is_none() {
        return Ok(());
    }
    // It may say that it is still at it; whether it is gone is seen below.
    may(hands, &["launchctl", "bootout", &target])?;
    for _ in 0..GONE_LOOKS_MAX {
        if may(hands, &["launchctl", "print", &target])?.is_none() {
            return Ok(());
        }
        hands.pause();
    }
    let told = format!("it is still loaded {} seconds later", GONE_LOOKS_MAX / 4);
    Err(ServiceError::Command { command: format!("launchctl bootout {target}"), told })
}

pub(super) fn standing(place: &Place, hands: &impl Hands) -> Result<Standing, ServiceError> {
    let Some(out) = may(hands, &["launchctl", "print", &place.target()])? else {
        return Ok(Standing::default());
    };
    // Each on a line of its own; what is nested deeper has other names.
    let value = |name: &str| {
        let lines = out.lines().filter_map(|line| line.trim().split_once(" = "));
        lines.filter(|(key, _)| *key == name).map(|(_, value)| value.trim()).next()
    };
    let pid = value("pid").and_then(|pid| pid.parse::<u32>().ok());
    let facts = match pid {
        Some(pid) => may(hands, &["ps", "-o", "rss=,lstart=", "-p", &pid.to_string()])?,
        None => None,
    };
    let (kibibytes, since) = facts.as_deref().and_then(|facts| facts.trim().split_once(' ')).unzip();
    Ok(Standing {
        loaded: true,
        enabled: true,
        running: pid.is_some(),
        pid,
        since: since.map(|since| since.trim().to_owned()),
        memory_bytes: kibibytes.and_then(|kibibytes| kibibytes.parse::<u64>().ok()).map(|kibibytes| kibibytes * 1024),
        last_exit: value("last exit code").and_then(|code| code.split(':').next()?.parse().ok()),
    })
}
