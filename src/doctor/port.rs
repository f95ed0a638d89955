//! Who has the addresses that the settings name.

use super::{Door, Finding, Subject, reachable};
use crate::config::Listen;
use crate::platform::machine::{self, Listener, MACOS, Process};
use std::net::SocketAddr;
use std::path::Path;

const CHECK: &str = "port";

struct Facts {
    address: SocketAddr,
    listeners: Vec<Listener>,
    /// The process of the server on our data directory.
    ours: Option<u32>,
    /// Where that server says it listens.
    elsewhere: Vec<String>,
    speaks: Speaks,
}

/// What answers at the address.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Speaks {
    Sidewheel,
    Devpi { version: String },
    Other,
    Nothing,
}

pub(super) async fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let ours = subject.server.as_ref().map(|server| server.pid);
    for listen in &subject.config.server.listen {
        findings.push(match listen {
            Listen::Tcp(address) if address.port() == 0 => {
                Finding::ok(CHECK, format!("{address}: the system chooses a free port at each start"))
            }
            Listen::Tcp(address) => {
                let fits = |listener: &Listener| overlap(listener.address, *address);
                let listeners = machine::listeners(address.port()).into_iter().filter(fits).collect();
                let elsewhere = subject.server.iter().flat_map(|server| server.addresses.clone()).collect();
                judge(&Facts { address: *address, listeners, ours, elsewhere, speaks: speaks(*address).await })
            }
            Listen::Unix(path) => {
                socket(path, ours.is_some(), Door::Socket(path.clone()).get("/+health", &[]).await.is_ok())
            }
        });
    }
    findings
}

fn judge(facts: &Facts) -> Finding {
    let (address, port) = (facts.address, facts.address.port());
    let owner = facts.listeners.iter().find_map(|listener| listener.owner.as_ref());
    let other_port =
        format!("sidewheel serve --listen {}", SocketAddr::new(address.ip(), port.checked_add(1).unwrap_or(3141)));
    match (owner, facts.ours) {
        _ if facts.listeners.is_empty() && facts.speaks == Speaks::Nothing => match facts.ours {
            Some(pid) => {
                let says = format!(
                    "nothing listens at {address}; the running server (process {pid}) listens at {}: it was started with other \
                     settings",
                    facts.elsewhere.join(", ")
                );
                Finding::warning(CHECK, says, "start it again, so that it reads the settings")
            }
            None => Finding::warning(CHECK, format!("{address} is free; no server runs"), "sidewheel serve"),
        },
        (Some(Process { pid, .. }), Some(ours)) if *pid == ours => {
            Finding::ok(CHECK, format!("{address} is ours (process {pid})"))
        }
        _ if facts.ours.is_some() && facts.elsewhere.iter().any(|told| told.ends_with(&format!(":{port}"))) => {
            Finding::ok(CHECK, format!("{address} is ours"))
        }
        (owner, _) => {
            let who = owner.map_or("a process of another user".to_owned(), |Process { pid, command }| {
                format!("process {pid} ({})", shortened(command))
            });
            let is_devpi = owner.is_some_and(|owner| owner.command.contains("devpi-server"));
            match (&facts.speaks, owner) {
                (Speaks::Sidewheel, _) => {
                    let says = format!("another Sidewheel has {address}: {who}, with another data directory");
                    Finding::failed(CHECK, says, other_port)
                }
                (Speaks::Devpi { version }, _) => {
                    let says = format!("devpi-server {version} has {address}: {who}");
                    Finding::failed(CHECK, says, switch_off(owner).unwrap_or(other_port))
                }
                (_, Some(_)) if is_devpi => {
                    let says = format!("devpi-server has {address}: {who}");
                    Finding::failed(CHECK, says, switch_off(owner).unwrap_or(other_port))
                }
                (_, Some(_)) => Finding::failed(CHECK, format!("another program has {address}: {who}"), other_port),
                (_, None) => {
                    let line = match MACOS {
                        true => format!("sudo lsof -nP -iTCP:{port} -sTCP:LISTEN"),
                        false => format!("sudo ss -ltnp 'sport = :{port}'"),
                    };
                    Finding::failed(CHECK, format!("{who} has {address}; root can see which"), line)
                }
            }
        }
    }
}

fn socket(path: &Path, runs: bool, answers: bool) -> Finding {
    let shown = path.display();
    match (runs, answers) {
        (true, true) => Finding::ok(CHECK, format!("unix:{shown} is ours")),
        (false, true) => {
            Finding::failed(CHECK, format!("another program answers at unix:{shown}"), format!("sudo lsof {shown}"))
        }
        (true, false) => Finding::warning(
            CHECK,
            format!("a server runs, and nothing answers at unix:{shown}"),
            "start it again, so that it reads the settings",
        ),
        (false, false) => {
            Finding::warning(CHECK, format!("nothing answers at unix:{shown}; no server runs"), "sidewheel serve")
        }
    }
}

fn switch_off(owner: Option<&Process>) -> Option<String> {
    owner.map(|owner| format!("kill {}   # where a service starts it again, see the lines on devpi below", owner.pid))
}

fn shortened(command: &str) -> String {
    const CHARS_MAX: usize = 100;
    match command.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &command[..end]),
        None => command.to_owned(),
    }
}

/// Whether two sockets get in each other's way: "all addresses" is each of them.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified()
}

async fn speaks(address: SocketAddr) -> Speaks {
    let door = Door::Tcp(reachable(address));
    let Ok(front) = door.get("/", &[("Accept", "text/plain")]).await else {
        // Somebody may listen and speak no HTTP.
        let connected = tokio::net::TcpStream::connect(reachable(address)).await;
        return if connected.is_ok() { Speaks::Other } else { Speaks::Nothing };
    };
    if front.body.starts_with(b"Sidewheel ") {
        return Speaks::Sidewheel;
    }
    let api = door.get("/+api", &[]).await;
    match api.ok().and_then(|api| api.header("x-devpi-server-version").map(str::to_owned)) {
        Some(version) => Speaks::Devpi { version },
        None => Speaks::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn names_who_has_the_port() {
        let address: SocketAddr = "127.0.0.1:3141".parse().unwrap();
        let listener =
            |pid, command: &str| Listener { address, owner: Some(Process { pid, command: command.to_owned() }) };
        let nobody_known = Listener { address, owner: None };
        let devpi = Speaks::Devpi { version: "6.20.3".to_owned() };
        let ours = Some(7);
        for (listeners, ours, speaks, status, words) in [
            (vec![], None, Speaks::Nothing, Status::Warning, "no server runs"),
            (vec![], ours, Speaks::Nothing, Status::Warning, "other settings"),
            (vec![listener(7, "sidewheel serve")], ours, Speaks::Sidewheel, Status::Ok, "ours (process 7)"),
            (vec![listener(8, "sidewheel serve")], ours, Speaks::Sidewheel, Status::Failed, "another data directory"),
            (vec![listener(8, "sidewheel serve")], None, Speaks::Sidewheel, Status::Failed, "another data directory"),
            (vec![listener(9, "python devpi-server")], None, devpi.clone(), Status::Failed, "devpi-server 6.20.3"),
            (vec![listener(9, "python devpi-server")], None, Speaks::Other, Status::Failed, "devpi-server has"),
            (vec![nobody_known.clone()], None, devpi, Status::Failed, "another user"),
            (vec![listener(9, "nginx: master")], None, Speaks::Other, Status::Failed, "process 9 (nginx: master)"),
            (vec![nobody_known], None, Speaks::Other, Status::Failed, "root can see"),
        ] {
            let facts = Facts { address, listeners, ours, elsewhere: vec!["http://127.0.0.1:9".to_owned()], speaks };
            let found = judge(&facts);
            assert!(found.status == status && found.says.contains(words), "{words}: {found:?}");
            assert_eq!(found.line.is_none(), status == Status::Ok, "{found:?}");
        }
    }
}
