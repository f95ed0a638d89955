use super::ServiceError;
use crate::platform;
use std::fmt;
use std::path::{Path, PathBuf};

/// Who runs services here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    Launchd,
    Systemd,
}

impl Manager {
    pub fn here() -> Self {
        if platform::machine::MACOS { Self::Launchd } else { Self::Systemd }
    }

    /// What the service is called where nothing else is said.
    pub fn default_label(self) -> &'static str {
        match self {
            Self::Launchd => "net.sidewheel.server",
            Self::Systemd => "sidewheel",
        }
    }
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Launchd => "launchd",
            Self::Systemd => "systemd",
        })
    }
}

/// Whose service it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// This user's.
    User { home: PathBuf, config_home: PathBuf, uid: u32 },
    /// The machine's. Without a user systemd makes one up.
    System { run_as: Option<UserId> },
}

/// The name of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label(String);

/// Longest name of a service, in bytes: with its directory and suffix it still is a file's name everywhere.
const LABEL_BYTES_MAX: usize = 100;

impl Label {
    pub fn parse(text: &str) -> Result<Self, ServiceError> {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if text.starts_with(['.', '-']) || text.is_empty() || text.len() > LABEL_BYTES_MAX || !text.bytes().all(letter)
        {
            let accepted = "write letters, digits, dots, dashes and underscores, like net.sidewheel.server";
            return Err(ServiceError::Word { what: "the label", text: text.to_owned(), accepted });
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserId(String);

impl UserId {
    pub fn parse(text: &str) -> Result<Self, ServiceError> {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if text.starts_with(['-', '.']) || text.is_empty() || text.len() > LABEL_BYTES_MAX || !text.bytes().all(letter)
        {
            let accepted = "write the name of a user of this machine";
            return Err(ServiceError::Word { what: "the user", text: text.to_owned(), accepted });
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a service is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub manager: Manager,
    pub scope: Scope,
    pub label: Label,
}

impl Place {
    /// The property list or the unit.
    pub fn file(&self) -> PathBuf {
        let label = self.label.as_str();
        match self.manager {
            Manager::Launchd => self.directory().join(format!("{label}.plist")),
            Manager::Systemd => self.directory().join(self.unit()),
        }
    }

    /// The unit of the sockets; launchd has them in the property list.
    pub fn socket_file(&self) -> PathBuf {
        self.directory().join(self.socket_unit())
    }

    /// Where settings are that are given to `service install`.
    pub fn default_config(&self) -> PathBuf {
        match &self.scope {
            Scope::User { config_home, .. } => config_home.join("sidewheel/sidewheel.toml"),
            Scope::System { .. } => PathBuf::from("/etc/sidewheel/sidewheel.toml"),
        }
    }

    /// Where a service of the machine keeps its data; a user's has the user's own place.
    pub fn default_data(&self) -> Option<PathBuf> {
        match (&self.scope, self.manager) {
            (Scope::User { home, .. }, Manager::Launchd) => Some(home.join("Library/Application Support/sidewheel")),
            (Scope::User { .. }, Manager::Systemd) => None,
            (Scope::System { .. }, Manager::Launchd) => Some(PathBuf::from("/Library/Application Support/sidewheel")),
            (Scope::System { .. }, Manager::Systemd) => Some(Path::new(STATE).join(self.label.as_str())),
        }
    }

    /// Where the logs go; with systemd into the journal.
    pub fn default_logs(&self) -> Option<PathBuf> {
        match (&self.scope, self.manager) {
            (_, Manager::Systemd) => None,
            (Scope::User { home, .. }, Manager::Launchd) => Some(home.join("Library/Logs/sidewheel")),
            (Scope::System { .. }, Manager::Launchd) => Some(PathBuf::from("/Library/Logs/sidewheel")),
        }
    }

    pub(super) fn unit(&self) -> String {
        format!("{}.service", self.label.as_str())
    }

    pub(super) fn socket_unit(&self) -> String {
        format!("{}.socket", self.label.as_str())
    }

    /// launchd's name of whom the job belongs to.
    pub(super) fn domain(&self) -> String {
        match &self.scope {
            Scope::User { uid, .. } => format!("gui/{uid}"),
            Scope::System { .. } => "system".to_owned(),
        }
    }

    pub(super) fn target(&self) -> String {
        format!("{}/{}", self.domain(), self.label.as_str())
    }

    /// The beginning of every call of a program of systemd.
    pub(super) fn systemctl<'a>(&self, words: &[&'a str]) -> Vec<&'a str> {
        let user = matches!(self.scope, Scope::User { .. }).then_some("--user");
        std::iter::once("systemctl").chain(user).chain(words.iter().copied()).collect()
    }

    /// What shows the log, where the service manager keeps it.
    pub fn journal(&self, lines: u32, follow: bool) -> Vec<String> {
        let unit = match self.scope {
            Scope::User { .. } => format!("--user-unit={}", self.unit()),
            Scope::System { .. } => format!("--unit={}", self.unit()),
        };
        let command = ["journalctl".to_owned(), unit, format!("--lines={lines}")];
        command.into_iter().chain(follow.then(|| "--follow".to_owned())).collect()
    }

    fn directory(&self) -> PathBuf {
        match (&self.scope, self.manager) {
            (Scope::User { home, .. }, Manager::Launchd) => home.join("Library/LaunchAgents"),
            (Scope::System { .. }, Manager::Launchd) => PathBuf::from("/Library/LaunchDaemons"),
            (Scope::User { config_home, .. }, Manager::Systemd) => config_home.join("systemd/user"),
            (Scope::System { .. }, Manager::Systemd) => PathBuf::from("/etc/systemd/system"),
        }
    }
}

/// Where systemd makes directories for the state and the logs of services, and those of their sockets.
pub(super) const STATE: &str = "/var/lib";
pub(super) const LOGS: &str = "/var/log";
pub(super) const RUNTIME: &str = "/run";
