//! The control socket: how the program's other commands speak with the server that runs on their data directory.
//!
//! Enters: one line of JSON, from this user's programs only. Leaves: one line of JSON. Must not know: who asks for what.
//!
//! To add a question: a variant of [`Request`] and of [`Answer`], and an arm in `control/desk.rs`. Each is answered within
//! [`ANSWER_WAIT`]: what takes longer is begun by one question and asked after by another.

mod desk;
mod line;
mod socket;

pub use desk::Standing;
pub(super) use desk::{Desk, answer};
pub(super) use socket::bind;

use line::{LineError, Lines};
use serde::{Deserialize, Serialize};
use socket::Short;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// The socket's name in the data directory.
pub const CONTROL_FILE: &str = "control.sock";

/// How long a question may wait for its answer, on both sides.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// What can be asked of a running server. A new one may be asked by an old program and the other way round, so that
/// fields are only ever added, with a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Request {
    /// Who are you?
    Status,
}

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    Status(Status),
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
    #[error("the server of {} did not answer within {} seconds", data.display(), ANSWER_WAIT.as_secs())]
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
    tokio::time::timeout(ANSWER_WAIT, asked).await.unwrap_or_else(|_| Err(silent()))
}

async fn connect(data: &Path) -> Result<UnixStream, ControlError> {
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

impl LineError {
    fn of(self, data: &Path) -> ControlError {
        let data = data.to_owned();
        match self {
            Self::Gone(why) => ControlError::Broken { data, why },
            Self::TooLong | Self::NotUnderstood(_) => ControlError::Foreign { data },
        }
    }
}
