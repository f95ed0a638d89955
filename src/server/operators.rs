use super::handler::Handler;
use super::reply::{Reply, Status};
use crate::metrics::Kind;

const TEXT: &str = "text/plain; charset=utf-8";

impl Handler {
    /// `/+health`: the process answers.
    pub(super) fn health(&self) -> Reply {
        Reply::text(Status::OK, Kind::Other, TEXT, "ok\n").line("Cache-Control", "no-store")
    }

    /// `/+ready`: the database answers too.
    pub(super) async fn ready(&self) -> Reply {
        let reply = match self.index().ready().await {
            Ok(()) => Reply::text(Status::OK, Kind::Other, TEXT, "ready\n"),
            Err(why) => {
                tracing::error!(%why, "not ready");
                Reply::text(Status(503), Kind::Other, TEXT, "the database does not answer\n")
            }
        };
        reply.line("Cache-Control", "no-store")
    }

    /// `/+metrics`, for Prometheus.
    pub(super) fn metrics_page(&self) -> Reply {
        self.index().measure();
        let text = self.metrics().text();
        Reply::text(Status::OK, Kind::Other, "text/plain; version=0.0.4", text).line("Cache-Control", "no-store")
    }

    /// `/`: what this is and what to paste.
    pub(super) fn front(&self, base: &str) -> Reply {
        let mut text = format!("Sidewheel {}\n\n", env!("CARGO_PKG_VERSION"));
        let catalog = self.index().catalog();
        for (name, _) in catalog.indexes.iter().filter(|(_, entry)| entry.public) {
            text.push_str(&format!("index {name}: {base}/{name}/+simple/\n"));
        }
        text.push_str("\nhealth: /+health   readiness: /+ready   metrics: /+metrics\n");
        Reply::text(Status::OK, Kind::Other, TEXT, text).line("Cache-Control", "no-store")
    }
}
