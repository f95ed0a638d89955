use super::handler::Handler;
use super::reply::{Reply, Status};
use crate::metrics::Kind;
use crate::names::IndexName;
use serde_json::json;

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
        for name in self.index().names() {
            text.push_str(&format!("index {name}: {base}/{name}/+simple/\n"));
        }
        text.push_str("\nhealth: /+health   readiness: /+ready   metrics: /+metrics\n");
        Reply::text(Status::OK, Kind::Other, TEXT, text).line("Cache-Control", "no-store")
    }

    /// `/+api`, `/{user}/{index}/+api`: devpi's description of itself, the one answer whose URLs must be absolute
    /// (devpi.md §1.1). They begin with the public URL, else with the Host that was checked.
    pub(super) fn api(&self, base: &str, index: Option<&IndexName>) -> Reply {
        if let Some(index) = index.filter(|index| !self.index().has_index(index)) {
            return Reply::error(Status(404), Kind::Other, &format!("there is no index {index}"), true);
        }
        let mut result = json!({ "login": format!("{base}/+login"), "authstatus": ["noauth", "", []], "features": [] });
        if let (Some(index), Some(object)) = (index, result.as_object_mut()) {
            object.insert("index".into(), json!(format!("{base}/{index}")));
            object.insert("simpleindex".into(), json!(format!("{base}/{index}/+simple/")));
        }
        let body = json!({ "result": result, "type": "apiconfig" });
        let text = serde_json::to_string_pretty(&body).unwrap_or_default() + "\n";
        Reply::text(Status::OK, Kind::Other, "application/json", text)
            .line("X-DEVPI-API-VERSION", 2)
            .line("Cache-Control", "no-store")
    }
}
