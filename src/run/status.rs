use super::{RunError, say};
use crate::config::Config;
use crate::index::stamps;
use crate::server::control::{Answer, ControlError, Request, Status, ask};

/// `sidewheel status`: who serves on the data directory, as it says itself. Nobody, or one that is not ready, is a failure,
/// so that a container's health check and a script need nothing else.
pub(super) async fn status(config: &Config, json: bool) -> Result<(), RunError> {
    let data = &config.cache.data;
    let Answer::Status(status) = ask(data, &Request::Status).await? else {
        return Err(ControlError::Foreign { data: data.clone() }.into());
    };
    match json {
        true => say(&serde_json::to_string_pretty(&status).unwrap_or_default()),
        false => say(&told(&status)),
    }
    match status.trouble {
        Some(trouble) => Err(RunError::NotReady(format!("the server runs and is not ready: {trouble}"))),
        None => Ok(()),
    }
}

fn told(status: &Status) -> String {
    let Status { pid, version, addresses, cached_files, .. } = status;
    let ready = if status.trouble.is_none() { "ready" } else { "not ready" };
    let mut text = format!("Sidewheel {version}, process {pid}, since {}: {ready}\n", stamps::iso(status.started));
    for address in addresses {
        text.push_str(&format!("  listening {address}\n"));
    }
    text.push_str(&format!("  cached    {cached_files} files, {:.1} MB", status.cached_bytes as f64 / 1e6));
    text
}
