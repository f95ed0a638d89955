//! The control socket: how the program's other commands speak with the server that runs on their data directory.
//!
//! Enters: one line of JSON, from this user's programs only. Leaves: one line of JSON. Must not know: who asks for what.
//!
//! To add a question: a variant of [`Request`] and of [`Answer`], and an arm in `control/desk.rs`. Each is answered within
//! [`ANSWER_WAIT`]: what takes longer is begun by one question and asked after by another.

mod cache;
mod desk;
mod hand_over;
mod line;
mod socket;

pub use cache::{CachePart, CachePurged};
pub(super) use desk::{Desk, answer};
pub use desk::{Event, Standing};
pub(super) use line::{LineError, Lines};
pub(super) use socket::bind;

use super::connection::Peer;
use serde::{Deserialize, Serialize};
use socket::Short;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// The socket's name in the data directory.
pub const CONTROL_FILE: &str = "control.sock";

/// How long an upgrade may take: as long as running writes have to end, and the new process to open everything.
const UPGRADE_WAIT: Duration = Duration::from_secs(120);

/// How long a question may wait for its answer, on both sides.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// What can be asked of a running server. A new one may be asked by an old program and the other way round, so that
/// fields are only ever added, with a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Request {
    /// Who are you?
    Status,
    /// Write down what is known of the cache's uses, for who reads the database next.
    CacheBooks,
    /// Take this part of the cache out; ask again while there is more.
    CachePurge(CachePart),
    /// Start your program's file anew, and let it take over.
    Upgrade,
    /// Let me take over. What follows is a conversation; see `handover.rs`.
    TakeOver(TakeOver),
    /// What follows is a request over HTTP, which came to the server that was here before.
    Pass(Passed),
}

/// Who wants to take over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeOver {
    pub version: String,
}

/// Where a request came from that is passed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    address: Option<SocketAddr>,
    port: Option<u16>,
}

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    Status(Status),
    CacheBooks,
    CachePurged(CachePurged),
    /// Another process serves now.
    Upgraded,
}

/// What the old server says to the new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OldSays {
    /// The descriptors are its listening sockets, the control socket's first.
    Offer {
        version: String,
        pid: u32,
        /// The names of those that a service manager has bound.
        lent: Vec<String>,
    },
    /// The descriptor is the data directory's lock.
    Yours,
    Go,
    /// It serves on.
    Refused(String),
}

/// What the new one says to the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum NewSays {
    Claim,
    Ready,
    Serving,
}

/// Who runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub pid: u32,
    pub version: String,
    /// Unix seconds.
    pub started: u64,
    /// As they are told to people: `http://127.0.0.1:3141`, `unix:/path`.
    pub addresses: Vec<String>,
    /// The data directory's format.
    pub format: u32,
    /// Files in the cache, and their bytes.
    pub cached_files: u64,
    pub cached_bytes: u64,
    /// What keeps it from serving as it should, as a sentence: none when it is ready.
    #[serde(default)]
    pub trouble: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("no server runs on {}; start one with `sidewheel serve`", data.display())]
    NoServer { data: PathBuf },
    #[error("the server of {} belongs to another user; ask as that user", data.display())]
    NotOurs { data: PathBuf },
    #[error("the server of {} did not answer in time", data.display())]
    Silent { data: PathBuf },
    #[error("the server of {} ended the conversation: {why}", data.display())]
    Broken { data: PathBuf, why: io::Error },
    #[error("the server of {} says what this program does not understand; it may be of another version", data.display())]
    Foreign { data: PathBuf },
    /// The server's own sentence.
    #[error("{0}")]
    Refused(String),
}

/// What stands in an answer's line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Said {
    Done(Answer),
    Refused(String),
}

/// Asks the server that runs on `data`.
pub async fn ask(data: &Path, request: &Request) -> Result<Answer, ControlError> {
    let asked = async {
        let mut lines = Lines::new(connect(data).await?);
        lines.write(request).await.map_err(|why| why.of(data))?;
        match lines.read().await.map_err(|why| why.of(data))? {
            Said::Done(answer) => Ok(answer),
            Said::Refused(sentence) => Err(ControlError::Refused(sentence)),
        }
    };
    let silent = || ControlError::Silent { data: data.to_owned() };
    tokio::time::timeout(request.patience(), asked).await.unwrap_or_else(|_| Err(silent()))
}

/// A way to the server of `data` for a request that it did not accept itself: what is written there is read as HTTP.
pub(super) async fn passage(data: &Path, peer: Peer) -> Result<UnixStream, ControlError> {
    let mut lines = Lines::new(connect(data).await?);
    let passed = Passed { address: peer.address, port: peer.port };
    lines.write(&Request::Pass(passed)).await.map_err(|why| why.of(data))?;
    Ok(lines.into_parts().0)
}

pub(super) async fn connect(data: &Path) -> Result<UnixStream, ControlError> {
    let at = data.to_owned();
    let connected = match Short::of(data) {
        Ok(short) => UnixStream::connect(short.path()).await,
        Err(why) => Err(why),
    };
    connected.map_err(|why| match why.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ControlError::NoServer { data: at },
        io::ErrorKind::PermissionDenied => ControlError::NotOurs { data: at },
        _ => ControlError::Broken { data: at, why },
    })
}

impl Request {
    fn patience(&self) -> Duration {
        match self {
            Self::Upgrade => UPGRADE_WAIT,
            _ => ANSWER_WAIT,
        }
    }
}

impl LineError {
    pub(super) fn of(self, data: &Path) -> ControlError {
        let data = data.to_owned();
        match self {
            Self::Gone(why) => ControlError::Broken { data, why },
            Self::TooLong | Self::NotUnderstood(_) => ControlError::Foreign { data },
        }
    }
}
