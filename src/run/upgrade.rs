use super::{RunError, say};
use crate::config::Config;
use crate::server::control::{Answer, ControlError, Request, Status, ask};

/// `sidewheel upgrade`: lets the running server start its program's file anew, and waits until the new one serves.
pub(super) async fn upgrade(config: &Config) -> Result<(), RunError> {
    let data = &config.cache.data;
    let status = async || match ask(data, &Request::Status).await? {
        Answer::Status(status) => Ok(status),
        _ => Err(ControlError::Foreign { data: data.clone() }),
    };
    let old = status().await?;
    match ask(data, &Request::Upgrade).await? {
        Answer::Upgraded => {}
        _ => return Err(ControlError::Foreign { data: data.clone() }.into()),
    }
    let new = status().await?;
    let told = |status: &Status| format!("{} (process {})", status.version, status.pid);
    say(&format!("{} has taken over from {}", told(&new), told(&old)));
    Ok(())
}
