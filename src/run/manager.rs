use crate::server::Pulse;
use sd_notify::NotifyState;
use std::time::Duration;

/// How long systemd may take to take a message: it never holds up serving.
const TELL_WAIT: Duration = Duration::from_secs(1);

/// How long the server may take to answer itself before it counts as hanging.
const PULSE_WAIT: Duration = Duration::from_secs(10);

/// What systemd is told; without it, nothing happens.
pub(super) enum News {
    Serving(String),
    /// Another process is taking over.
    HandingOver,
    /// It did, and is the one to look at.
    HandedOver(u32),
    Stopping,
    Alive,
}

pub(super) async fn tell(news: News) {
    let told = tokio::task::spawn_blocking(move || match news {
        News::Serving(status) => sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&status)]),
        News::HandingOver => sd_notify::notify(&[
            NotifyState::Reloading,
            NotifyState::monotonic_usec_now()?,
            NotifyState::Status("another process is taking over"),
        ]),
        // In one message, and from here: who is not yet known as the main process may not be heard.
        News::HandedOver(pid) => sd_notify::notify(&[NotifyState::MainPid(pid), NotifyState::Ready]),
        News::Stopping => {
            sd_notify::notify(&[NotifyState::Stopping, NotifyState::Status("running answers come to their end")])
        }
        News::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
    });
    if let Ok(Ok(Err(why))) = tokio::time::timeout(TELL_WAIT, told).await {
        tracing::debug!(%why, "systemd was not told");
    }
}

/// Tells systemd twice in each of its intervals that the server answers, as long as it does; ends when another process
/// serves. Without a watchdog it ends at once.
pub(super) async fn beat(pulse: Pulse) {
    let Some(interval) = sd_notify::watchdog_enabled() else { return };
    let mut ticks = tokio::time::interval(interval / 2);
    while !pulse.is_over() {
        ticks.tick().await;
        match tokio::time::timeout(PULSE_WAIT.min(interval / 2), pulse.feel()).await {
            Ok(Ok(())) => tell(News::Alive).await,
            Ok(Err(why)) => {
                tracing::error!(why, "the server does not answer itself; systemd is not told that it lives")
            }
            Err(_) => tracing::error!("the server does not answer itself in time; systemd is not told that it lives"),
        }
    }
}
