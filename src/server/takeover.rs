//! The new server's side of a takeover: asks the one that runs, gets its sockets and its lock, and confirms.

use super::control::{self, ControlError, LineError, Lines, NewSays, OldSays, Request, TakeOver};
use super::handover::{New, NewDoes, NewHears};
use super::listen::Bound;
use crate::config::Listen;
use std::fs::File;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the old server may take to answer: it waits for running writes first.
const OLD_WAIT: Duration = Duration::from_secs(45);

#[derive(Debug, thiserror::Error)]
pub enum TakeoverError {
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("the running server serves on: {0}")]
    Refused(String),
    #[error("the running server did not answer within {} seconds; it may serve on", OLD_WAIT.as_secs())]
    Silent,
    #[error("the running server, version {0}, says what this one does not understand; stop it and start this one")]
    Foreign(String),
}

/// A takeover under way. Dropped before [`Takeover::finish`], it is given up, and the old server serves on.
pub struct Takeover {
    lines: Lines,
    new: New,
    data: PathBuf,
    listeners: Vec<Bound>,
    control: Option<UnixListener>,
    version: String,
    pid: u32,
    /// Since when nobody accepts.
    paused: Option<Instant>,
}

impl Takeover {
    /// Asks the server that runs on `data`; none if no server runs.
    pub async fn ask(data: &Path) -> Result<Option<Self>, TakeoverError> {
        let mut lines = match control::connect(data).await {
            Ok(stream) => Lines::new(stream),
            Err(ControlError::NoServer { .. }) => return Ok(None),
            Err(why) => return Err(why.into()),
        };
        let asked = Request::TakeOver(TakeOver { version: env!("CARGO_PKG_VERSION").to_owned() });
        lines.write(&asked).await.map_err(|why| why.of(data))?;
        let mut takeover = Self {
            lines,
            new: New::Asking,
            data: data.to_owned(),
            listeners: Vec::new(),
            control: None,
            version: String::new(),
            pid: 0,
            paused: None,
        };
        // Its answer to a question that it does not know is no word of the conversation.
        let lent = match takeover.hear().await? {
            Some(OldSays::Offer { version, pid, lent }) => {
                (takeover.version, takeover.pid) = (version, pid);
                lent
            }
            Some(_) => return Err(takeover.foreign()),
            None => return Err(takeover.gone()),
        };
        let mut sockets = takeover.lines.take_descriptors().into_iter();
        takeover.control = sockets.next().map(UnixListener::from);
        let adopt = |socket| Bound::adopt(socket, |name| lent.iter().any(|lent| lent == name)).ok();
        takeover.listeners = sockets.filter_map(adopt).collect();
        takeover.step(NewHears::Offered);
        Ok(Some(takeover))
    }

    /// Who serves until now.
    pub fn old(&self) -> (&str, u32) {
        (&self.version, self.pid)
    }

    /// The old server's sockets that a service manager has bound.
    pub fn lent(&mut self) -> Vec<Bound> {
        self.listeners.extract_if(.., |bound| bound.is_lent()).collect()
    }

    /// The old server's socket for an address, if it has one.
    pub fn listener(&mut self, listen: &Listen) -> Option<Bound> {
        let at = self.listeners.iter().position(|bound| bound.serves(listen))?;
        Some(self.listeners.swap_remove(at))
    }

    /// Lets the old server come to rest; from here on connections wait in line. The lock of the data directory; none
    /// when the old server has died and its lock with it.
    pub async fn claim(&mut self) -> Result<Option<File>, TakeoverError> {
        self.step(NewHears::Prepared);
        // Who cannot be told is gone, as the answer says.
        let _ = self.lines.write(&NewSays::Claim).await;
        let heard = match self.hear().await? {
            Some(OldSays::Yours) => NewHears::Yours,
            Some(_) => return Err(self.foreign()),
            None => NewHears::Lost,
        };
        self.paused = Some(Instant::now());
        Ok(match self.step(heard) {
            NewDoes::Open => self.lines.take_descriptors().into_iter().next().map(File::from),
            _ => None,
        })
    }

    /// Says that everything is open, and waits for the word to accept.
    pub async fn ready(&mut self) -> Result<(), TakeoverError> {
        self.step(NewHears::Opened);
        let _ = self.lines.write(&NewSays::Ready).await;
        let heard = match self.hear().await? {
            Some(OldSays::Go) => NewHears::Go,
            Some(_) => return Err(self.foreign()),
            None => NewHears::Lost,
        };
        match self.step(heard) {
            NewDoes::Accept => Ok(()),
            _ => Err(self.foreign()),
        }
    }

    /// The control socket.
    pub fn control(&mut self) -> Option<UnixListener> {
        self.control.take()
    }

    /// Says that this server accepts, and answers at the control socket.
    pub async fn finish(mut self) {
        let paused = self.paused.map_or(0.0, |paused| paused.elapsed().as_micros() as f64 / 1e3);
        tracing::info!(paused_milliseconds = paused, "took over; connections waited in line");
        let _ = self.lines.write(&NewSays::Serving).await;
    }

    fn step(&mut self, heard: NewHears) -> NewDoes {
        let (new, does) = self.new.hear(heard);
        self.new = new;
        does
    }

    /// The next word; none when the conversation has ended without one.
    async fn hear(&mut self) -> Result<Option<OldSays>, TakeoverError> {
        match tokio::time::timeout(OLD_WAIT, self.lines.read::<OldSays>()).await {
            Ok(Ok(OldSays::Refused(why))) => {
                self.step(NewHears::Refused);
                Err(TakeoverError::Refused(why))
            }
            Ok(Ok(said)) => Ok(Some(said)),
            Ok(Err(LineError::Gone(_))) => Ok(None),
            Ok(Err(_)) => Err(self.foreign()),
            Err(_) => {
                self.step(NewHears::Failed);
                Err(TakeoverError::Silent)
            }
        }
    }

    fn foreign(&self) -> TakeoverError {
        TakeoverError::Foreign(if self.version.is_empty() { "unknown".to_owned() } else { self.version.clone() })
    }

    fn gone(&self) -> TakeoverError {
        ControlError::Broken { data: self.data.clone(), why: std::io::ErrorKind::UnexpectedEof.into() }.into()
    }
}
