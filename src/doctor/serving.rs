//! Whether a Sidewheel serves our data directory, of this version, and ready.

use super::{Door, Finding, Server, Subject};
use crate::upstream::{FetchError, Heard};

const CHECK: &str = "server";

pub(super) async fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let Some(server) = &subject.server else {
        let data = subject.config.cache.data.display();
        return vec![Finding::skipped(CHECK, format!("no server runs on {data}"))];
    };
    let Some(door) = Door::of(subject) else {
        return vec![Finding::warning(CHECK, "the server says no address that it listens at", "sidewheel status")];
    };
    vec![judge(server, env!("CARGO_PKG_VERSION"), &door.get("/+ready", &[]).await)]
}

fn judge(server: &Server, version: &str, ready: &Result<Heard, FetchError>) -> Finding {
    let who = format!("Sidewheel {} (process {})", server.version, server.pid);
    match ready {
        Ok(heard) if heard.status == 200 && server.version != version => Finding::warning(
            CHECK,
            format!("{who} serves this data directory, but this program is {version}"),
            "start it again, so that the new version serves",
        ),
        Ok(heard) if heard.status == 200 => {
            Finding::ok(CHECK, format!("{who} serves this data directory and is ready"))
        }
        Ok(heard) if heard.status == 421 => Finding::failed(
            CHECK,
            format!("{who} does not answer for the host that it listens at"),
            "sidewheel serve --allowed-host HOST",
        ),
        Ok(heard) => {
            let says = String::from_utf8_lossy(&heard.body).trim().to_owned();
            Finding::failed(CHECK, format!("{who} is not ready (status {}): {says}", heard.status), "sidewheel status")
        }
        Err(why) => Finding::failed(CHECK, format!("{who} runs but does not answer: {why}"), "sidewheel status"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_server_is_ready_and_of_this_version() {
        let heard = |status| Heard {
            status,
            headers: Default::default(),
            body: "why\n".into(),
            http2: false,
            took_ms: 1,
            phrase: None,
        };
        let away = FetchError::Timeout { host: "127.0.0.1".to_owned() };
        for (version, ready, status) in [
            ("1", Ok(heard(200)), Status::Ok),
            ("2", Ok(heard(200)), Status::Warning),
            ("1", Ok(heard(503)), Status::Failed),
            ("1", Ok(heard(421)), Status::Failed),
            ("1", Err(away), Status::Failed),
        ] {
            let server = Server { pid: 1, version: "1".to_owned(), addresses: Vec::new(), cached_bytes: 0 };
            assert_eq!(judge(&server, version, &ready).status, status, "{ready:?}");
        }
    }
}
