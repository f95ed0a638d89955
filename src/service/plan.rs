use super::place::{LOGS, STATE};
use super::unit::below;
use super::{Manager, Place, Record, Scope, ServiceError};
use crate::config::Listen;
use std::fmt;
use std::path::{Path, PathBuf};

/// Everything that the service's files say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub place: Place,
    pub program: Plain,
    /// What follows the program: `serve` and where its settings are.
    pub arguments: Vec<Plain>,
    pub data: Plain,
    pub config: Plain,
    /// The log's file; none where the service manager keeps it.
    pub log: Option<Plain>,
    /// Where launchd puts what is written to standard output and standard error.
    pub output: Option<(Plain, Plain)>,
    pub listen: Vec<Listen>,
    pub socket_activation: bool,
    pub environment: Vec<Environment>,
    /// Root's first password, which a system service may not be able to read by itself.
    pub root_password_file: Option<Plain>,
    pub memory_bytes: u64,
    /// Directories that are made, for the service's user only.
    pub directories: Vec<Plain>,
    /// SHA-256 of the configuration file.
    pub settings: String,
}

impl Plan {
    /// The plan with the directories that have to be made, where the service manager can do what it says.
    pub fn checked(mut self) -> Result<Self, ServiceError> {
        let refuse = |sentence: String| Err(ServiceError::Plan(sentence));
        if self.socket_activation
            && self.listen.iter().any(|listen| matches!(listen, Listen::Tcp(at) if at.port() == 0))
        {
            return refuse("a service manager cannot hold port 0; name one in `listen`".to_owned());
        }
        if self.socket_activation && self.place.manager == Manager::Launchd && self.listen.len() > 1 {
            return refuse("launchd can hold one address for the server; leave one in `listen`".to_owned());
        }
        let log = self.log.as_ref().map(|log| directory(log.path()));
        let output = self.output.as_ref().map(|(_, errors)| directory(errors.path()));
        let mut directories = Vec::new();
        match (&self.place.scope, self.place.manager) {
            (Scope::System { run_as }, Manager::Systemd) => {
                let data = (self.data.path(), STATE, "data directory");
                let log = log.as_deref().map(|log| (log, LOGS, "log directory"));
                for (path, base, what) in
                    std::iter::once(data).chain(log).filter(|(path, base, _)| below(base, path).is_none())
                {
                    if run_as.is_none() {
                        return refuse(format!(
                            "the {what} {} belongs to nobody: a user that systemd makes up can only have one below {base}; \
                             name a user with --run-as",
                            path.display()
                        ));
                    }
                    directories.push(path.to_owned());
                }
            }
            _ => directories.extend([Some(self.data.path().to_owned()), log, output].into_iter().flatten()),
        }
        directories.dedup();
        self.directories = directories.iter().map(|path| Plain::of("the directory", path)).collect::<Result<_, _>>()?;
        Ok(self)
    }

    pub fn record(&self) -> Record {
        let path = |text: &Plain| text.path().to_owned();
        Record {
            data: path(&self.data),
            config: Some(path(&self.config)),
            log: self.log.as_ref().map(path),
            early_log: self.output.as_ref().map(|(_, errors)| path(errors)),
            settings: Some(self.settings.clone()),
        }
    }

    pub(super) fn command(&self) -> Vec<&str> {
        std::iter::once(&self.program).chain(&self.arguments).map(Plain::as_str).collect()
    }
}

/// Text that can stand in a unit and in a property list: without control characters, and without an end that a unit's
/// line would lose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain(String);

impl Plain {
    pub fn parse(what: &'static str, text: &str) -> Result<Self, ServiceError> {
        let bad = |character: char| character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}');
        if text.is_empty() || text.contains(bad) || text.ends_with(['\\']) || text.trim() != text {
            let accepted = "write one line without control characters, blanks around it, or a backslash at its end";
            return Err(ServiceError::Word { what, text: text.to_owned(), accepted });
        }
        Ok(Self(text.to_owned()))
    }

    /// An absolute path.
    pub fn of(what: &'static str, path: &Path) -> Result<Self, ServiceError> {
        match path.to_str() {
            Some(text) if path.is_absolute() => Self::parse(what, text),
            _ => {
                let text = path.to_string_lossy().into_owned();
                Err(ServiceError::Word { what, text, accepted: "write the whole path, from /, in UTF-8" })
            }
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn path(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A variable of the service's environment. Files of services can be read by everybody: secrets are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    pub name: String,
    pub value: Plain,
}

impl Environment {
    /// `NAME=VALUE`
    pub fn parse(text: &str) -> Result<Self, ServiceError> {
        let what = "the variable";
        let refuse = |accepted| ServiceError::Word { what, text: text.to_owned(), accepted };
        let (name, value) = text.split_once('=').ok_or_else(|| refuse("write NAME=VALUE"))?;
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(letter) || name.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(refuse("a name has letters, digits and _, and no digit first"));
        }
        let capitals = name.to_ascii_uppercase();
        let secret = ["PASSWORD", "PASSWD", "SECRET", "TOKEN"].iter().any(|word| capitals.ends_with(word));
        let authority = value.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
        if secret || authority.is_some_and(|authority| authority.contains('@')) {
            // The text itself is not repeated.
            let accepted =
                "everybody can read a service's file: a secret stands in a file of its own, which a setting names";
            return Err(ServiceError::Word { what, text: name.to_owned(), accepted });
        }
        Ok(Self { name: name.to_owned(), value: Plain::parse(what, value)? })
    }
}

/// The directory of a file, or the path itself at the root.
pub(super) fn directory(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_owned()
}
