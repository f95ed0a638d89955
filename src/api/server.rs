use super::{Answer, Asked};
use crate::http::index_path;
use crate::index::{IndexError, stamps};
use crate::names::IndexName;
use crate::rules::Subject;
use serde_json::json;

/// The version of the API; devpi's client gives up at any other.
pub const VERSION_SPOKEN: u32 = 2;

/// The devpi-server whose API this is: scripts look whether a server is new enough for what they want.
pub const SERVER_SPOKEN: &str = "6.20.3";

/// What devpi's client may use. `server-keyvalue-parsing`: PATCH takes lists of `key=value`.
const FEATURES: [&str; 4] = ["push-no-docs", "push-only-docs", "push-register-project", "server-keyvalue-parsing"];

/// `GET /+api`, `/{user}/+api`, `/{user}/{index}/+api`
pub fn config(asked: &Asked<'_>, index: Option<&IndexName>) -> Result<Answer, IndexError> {
    let base = asked.base;
    let status = match asked.subject {
        Subject::Anonymous => json!(["noauth", "", []]),
        Subject::User { name, .. } => json!(["ok", name.as_str(), []]),
    };
    let mut result = json!({ "login": format!("{base}/+login"), "authstatus": status, "features": FEATURES });
    if let (Some(name), Some(result)) = (index, result.as_object_mut()) {
        let entry = asked.index.entry(name)?;
        let url = format!("{base}{}", index_path(name));
        result.insert("index".to_owned(), url.clone().into());
        result.insert("simpleindex".to_owned(), format!("{url}/+simple/").into());
        if entry.is_stage() {
            result.insert("pypisubmit".to_owned(), format!("{url}/").into());
        }
    }
    Ok(Answer::result("apiconfig", result))
}

/// `GET /+status`: what monitoring of devpi looks at. There are no events that come after a change, so they are in step. No path of the machine is told.
pub async fn status(asked: &Asked<'_>, now: u64) -> Result<Answer, IndexError> {
    let (serial, uuid) = asked.index.identity().await?;
    let changed = asked.index.last_change();
    let base = url::Url::parse(asked.base).ok();
    let result = json!({
        "role": "MASTER",
        "uuid": uuid,
        "versioninfo": { "devpi-server": SERVER_SPOKEN, "sidewheel": env!("CARGO_PKG_VERSION") },
        // Where it is called, not where it listens.
        "host": base.as_ref().and_then(url::Url::host_str),
        "port": base.as_ref().and_then(url::Url::port_or_known_default),
        "outside-url": asked.base,
        "serial": serial,
        "event-serial": serial,
        "event-serial-timestamp": changed,
        "event-serial-in-sync-at": now,
        "last-commit-timestamp": changed,
        "time": stamps::iso(now),
        "metrics": asked.index.figures(asked.subject),
        "polling_replicas": {},
    });
    Ok(Answer::result("status", result))
}
