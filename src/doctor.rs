//! What is wrong on this machine, and the line to type: each check is a file, a pure judgement over facts and a thin
//! gatherer of them. Nothing is changed.
//!
//! Enters: the settings, the environment, what the running server says of itself. Leaves: [`Finding`]s.
//! Must not know: how findings are shown; databases.

mod caddy;
mod clients;
mod clock;
mod disk;
mod finding;
mod leftovers;
mod memory;
mod owners;
mod port;
mod proxies;
mod serving;
mod smoke;
mod trust;

pub use finding::{Finding, Status, shown_bytes};

use crate::config::{Config, Listen};
use crate::configure::Machine;
use crate::upstream::{Credentials, FetchError, Heard, Question, Way, probe};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// How long any one question may take: longer than the slowest client waits.
const QUESTION_PATIENCE: Duration = Duration::from_secs(15);

/// The checks, as they are named in findings.
pub const CHECKS: [&str; 12] = [
    "port",
    "server",
    "upstream",
    "clock",
    "disk",
    "permissions",
    "memory",
    "open files",
    "proxy",
    "tools",
    "devpi",
    "install",
];

/// Everything that is looked at.
pub struct Subject<'a> {
    pub config: &'a Config,
    pub env: &'a BTreeMap<String, String>,
    pub here: &'a Path,
    /// What the server on the data directory says of itself; none where none runs.
    pub server: Option<Server>,
    /// Of each mirror, in the settings' order.
    pub credentials: Vec<Option<Credentials>>,
    pub wanted: Wanted,
}

/// A server that runs on our data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub pid: u32,
    pub version: String,
    /// `http://127.0.0.1:3141`, `unix:/path`
    pub addresses: Vec<String>,
    pub cached_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Whether anything outside this machine may be asked.
    pub network: bool,
    /// Whether something is installed.
    pub smoke: bool,
    /// Where clients reach the server through a proxy; the settings' `public_url` without.
    pub through: Option<Url>,
    /// What is installed.
    pub package: String,
    /// How much is uploaded to see whether the proxy in front lets it through, in bytes.
    pub upload_bytes: u64,
}

/// Looks at everything, the first causes first.
pub async fn examine(subject: &Subject<'_>) -> Vec<Finding> {
    let mut findings = port::check(subject).await;
    findings.extend(serving::check(subject).await);
    findings.extend(trust::check(subject).await);
    findings.extend(disk::check(subject));
    findings.extend(owners::check(subject));
    findings.extend(memory::check(subject));
    findings.extend(caddy::check(subject).await);
    findings.extend(clients::check(subject));
    findings.extend(leftovers::check(subject));
    findings.extend(smoke::check(subject).await);
    findings
}

/// A way to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Door {
    Tcp(SocketAddr),
    Socket(PathBuf),
}

impl Door {
    /// Where the running server says that it listens, else where the settings say.
    fn of(subject: &Subject<'_>) -> Option<Self> {
        let told = subject.server.iter().flat_map(|server| &server.addresses).find_map(|address| Self::parse(address));
        told.or_else(|| {
            subject.config.server.listen.iter().find_map(|listen| match listen {
                Listen::Tcp(address) if address.port() != 0 => Some(Self::Tcp(reachable(*address))),
                Listen::Tcp(_) => None,
                Listen::Unix(path) => Some(Self::Socket(path.clone())),
            })
        })
    }

    fn parse(address: &str) -> Option<Self> {
        match address.strip_prefix("unix:") {
            Some(path) => Some(Self::Socket(PathBuf::from(path))),
            None => Some(Self::Tcp(reachable(address.strip_prefix("http://")?.parse().ok()?))),
        }
    }

    fn base(&self) -> String {
        match self {
            Self::Tcp(address) => format!("http://{address}"),
            Self::Socket(_) => "http://localhost".to_owned(),
        }
    }

    async fn get(&self, path: &str, headers: &[(&'static str, &str)]) -> Result<Heard, FetchError> {
        let bad = || FetchError::BadAnswer { host: self.base(), why: "there is no such address".to_owned() };
        let url = Url::parse(&format!("{}{path}", self.base())).map_err(|_| bad())?;
        let way = match self {
            Self::Tcp(_) => Way::Straight,
            Self::Socket(path) => Way::Socket(path),
        };
        ask(&url, headers, way).await
    }
}

async fn ask(url: &Url, headers: &[(&'static str, &str)], way: Way<'_>) -> Result<Heard, FetchError> {
    probe(Question { url, headers, credentials: None, body: None, way, timeout: QUESTION_PATIENCE }).await
}

impl Subject<'_> {
    fn machine(&self) -> Machine<'_> {
        Machine { env: self.env, macos: crate::platform::machine::MACOS, here: self.here }
    }
}

/// An address to connect to, for one that is listened at: "all addresses" is none.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
