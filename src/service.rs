//! The service: a launchd job or a systemd unit that runs `sidewheel serve`; rendered, installed and asked about.
//!
//! Enters: a [`Plan`] of resolved paths. Leaves: the text of the files, and commands of launchctl or systemctl, typed by
//! the [`Hands`] it is given. Must not know: the command line, what the settings mean, the server.

mod files;
mod hands;
mod launchd;
mod place;
mod plan;
mod plist;
mod quote;
mod ready;
mod record;
mod systemd;
mod unit;

pub use files::{is_ours, write};
pub use hands::{Hands, RealHands};
pub use place::{Label, Manager, Place, Scope, UserId};
pub use plan::{Environment, Plain, Plan};
pub use record::Record;

use crate::config::Listen;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// How long the manager lets the server end before it kills it, in seconds: the time that running answers have, and some
/// for the database. launchd's own default.
pub const STOP_SECONDS: u32 = 20;

/// A line of every file that we wrote, and may write again.
pub const MARK: &str = "Made by `sidewheel service install`, which may write it anew.";

/// How long one look waits until the next: a start takes a few of them.
pub const LOOK_EVERY: Duration = Duration::from_millis(250);

#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("{what} {text:?} is not accepted: {accepted}")]
    Word { what: &'static str, text: String, accepted: &'static str },
    #[error("{} was not made by `sidewheel service install`; remove it, give another --label, or overwrite it with --force", path.display())]
    Foreign { path: PathBuf },
    #[error("{} cannot be {done}: {why}", path.display())]
    File { path: PathBuf, done: &'static str, why: io::Error },
    #[error("`{command}` cannot be started: {why}")]
    Start { command: String, why: io::Error },
    #[error("`{command}` failed: {told}")]
    Command { command: String, told: String },
    #[error(
        "nobody is logged in at the screen as this user, so that there is no {domain} to load a LaunchAgent into; log in there once, or install with --system"
    )]
    NoSession { domain: String },
    #[error("{0}")]
    Plan(String),
}

/// A file that a service consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    pub path: PathBuf,
    pub text: String,
}

/// What installing did to the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// It ran already, with the same files.
    Untouched,
    Started,
    Restarted,
}

/// What installing did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Files that were written.
    pub written: Vec<PathBuf>,
    pub started: Started,
}

/// What the manager knows of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    pub loaded: bool,
    /// It starts by itself, at login or at boot.
    pub enabled: bool,
    pub running: bool,
    pub pid: Option<u32>,
    /// When it was started, as the manager says it.
    pub since: Option<String>,
    pub memory_bytes: Option<u64>,
    /// How the last run ended, where it did.
    pub last_exit: Option<i32>,
}

impl Plan {
    /// The files, in the order in which they are written.
    pub fn rendered(&self) -> Vec<Rendered> {
        let mut files = Vec::new();
        if self.socket_activation && self.place.manager == Manager::Systemd {
            files.push(Rendered { path: self.place.socket_file(), text: unit::socket(self) });
        }
        let text = match self.place.manager {
            Manager::Launchd => plist::render(self),
            Manager::Systemd => unit::service(self),
        };
        files.push(Rendered { path: self.place.file(), text });
        files
    }

    /// Writes the files, loads them, and starts the service, or restarts it where something changed.
    pub fn install(&self, hands: &impl Hands, force: bool) -> Result<Installed, ServiceError> {
        for directory in &self.directories {
            match &self.place.scope {
                Scope::System { run_as: Some(user) } => {
                    must(hands, &["install", "-d", "-m", "0700", "-o", user.as_str(), directory.as_str()])?;
                }
                _ => files::make_directory(directory.path())?,
            }
        }
        let mut written = Vec::new();
        for Rendered { path, text } in self.rendered() {
            if files::write(&path, &text, force)? {
                written.push(path);
            }
        }
        let started = match self.place.manager {
            Manager::Launchd => launchd::load(&self.place, hands, !written.is_empty())?,
            Manager::Systemd => systemd::load(self, hands, &written)?,
        };
        Ok(Installed { written, started })
    }
}

impl Place {
    /// What was installed here, if anything was, and by us.
    pub fn record(&self) -> Result<Option<Record>, ServiceError> {
        match files::read(&self.file())? {
            None => Ok(None),
            Some(text) if files::is_ours(&text) => Ok(Some(Record::find(&text).unwrap_or_default())),
            Some(_) => Err(ServiceError::Foreign { path: self.file() }),
        }
    }

    /// Lets a newer program take over; with systemd no request is lost.
    pub fn replace(&self, hands: &impl Hands) -> Result<(), ServiceError> {
        match self.manager {
            Manager::Launchd => launchd::restart(self, hands),
            Manager::Systemd => systemd::reload(self, hands),
        }
    }

    /// Stops and unloads the service and removes its files; which.
    pub fn uninstall(&self, hands: &impl Hands) -> Result<Vec<PathBuf>, ServiceError> {
        self.record()?;
        let files: Vec<_> = [self.file(), self.socket_file()].into_iter().filter(|path| path.exists()).collect();
        match self.manager {
            Manager::Launchd => launchd::unload(self, hands)?,
            Manager::Systemd => systemd::unload(self, hands, &files)?,
        }
        for path in &files {
            files::remove(path)?;
        }
        if self.manager == Manager::Systemd {
            systemd::read_anew(self, hands)?;
        }
        Ok(files)
    }

    pub fn standing(&self, hands: &impl Hands) -> Result<Standing, ServiceError> {
        match self.manager {
            Manager::Launchd => launchd::standing(self, hands),
            Manager::Systemd => systemd::standing(self, hands),
        }
    }
}

/// Whether the server answers that it is ready at one of its addresses, asked so many times at most.
pub fn wait_until_ready(listen: &[Listen], hands: &impl Hands, looks: u32) -> bool {
    for look in 0..looks {
        if look > 0 {
            hands.pause();
        }
        if listen.iter().any(|listen| hands.ready(listen)) {
            return true;
        }
    }
    false
}

/// Types a command that has to succeed; what it wrote.
fn must(hands: &impl Hands, command: &[&str]) -> Result<String, ServiceError> {
    let ran = hands.run(command).map_err(|why| ServiceError::Start { command: command.join(" "), why })?;
    match ran.code {
        Some(0) => Ok(ran.out),
        _ => Err(ServiceError::Command { command: command.join(" "), told: ran.told() }),
    }
}

/// Types a command that may fail; what it wrote if it did not.
fn may(hands: &impl Hands, command: &[&str]) -> Result<Option<String>, ServiceError> {
    let ran = hands.run(command).map_err(|why| ServiceError::Start { command: command.join(" "), why })?;
    Ok((ran.code == Some(0)).then_some(ran.out))
}

#[cfg(test)]
mod tests;
