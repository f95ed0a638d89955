//! The settings, read once and valid ever after: defaults, then the file, then the environment, then the flags.
//!
//! Enters: the file's text, the environment as a map, the flags. Leaves: one [`Config`], a struct per room, or a
//! [`ConfigError`] that names the key, where it came from and what is accepted.
//! Must not know: files and the real environment (the caller reads them), Pingora's own configuration.

mod devpi;
mod error;
mod mirror;
mod public_index;
mod secret;
mod sources;
mod value;
mod written;

use crate::names::IndexName;
use sources::Sources;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

pub use devpi::{DEVPI_OPTIONS, DevpiGiven, DevpiOption};
pub use error::ConfigError;
pub use mirror::{Credentials, MirrorConfig, PasswordSource};
pub use secret::Secret;
pub use sources::Flags;
pub use value::{Listen, LogFormat, Origin, size};

/// The prefix of every environment variable that is read; the rest of its name is a key in capitals.
pub const ENV_PREFIX: &str = "SIDEWHEEL_";

/// The variable that names the configuration file. Not a key: who reads the file reads this.
pub const ENV_CONFIG: &str = "SIDEWHEEL_CONFIG";

/// The index that always exists, and that the aliases `/simple/` and `/pypi/` stand for.
pub const DEFAULT_INDEX: &str = "root/pypi";

const LISTEN_DEFAULT: &str = "127.0.0.1:3141";

/// What PyPI itself tells clients to believe a page for.
const PAGE_TTL_DEFAULT: Duration = Duration::from_secs(600);

/// The pages and wheels of a busy team's builds, on a machine that has other work too.
const MEMORY_BYTES_DEFAULT: u64 = 256 << 20;

/// Below this the buffers of a few downloads alone fill the budget.
pub const MEMORY_BYTES_MIN: u64 = 16 << 20;

/// Several complete sets of a large project's dependencies.
const DISK_BYTES_DEFAULT: u64 = 20_000_000_000;

/// Below this one large wheel evicts everything else.
pub const DISK_BYTES_MIN: u64 = 1_000_000;

/// Often enough that damage is found while a backup from before it is still there.
const SCRUB_PERIOD_DEFAULT: Duration = Duration::from_secs(30 * 86_400);

/// devpi's limit, and larger than any wheel but those of machine learning.
const UPLOAD_BYTES_DEFAULT: u64 = 1 << 30;

/// Below this ordinary wheels are refused.
const UPLOAD_BYTES_MIN: u64 = 1_000_000;

/// Some 200,000 requests; a few such files are kept.
const LOG_FILE_BYTES_DEFAULT: u64 = 50_000_000;

/// Below this the files that are kept hold less than one busy minute.
const LOG_FILE_BYTES_MIN: u64 = 100_000;

/// pip and poetry give up after 15 s without a byte: both timeouts together stay within that.
const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
const PAGE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub server: ServerConfig,
    pub cache: CacheConfig,
    pub upstream: UpstreamConfig,
    pub owners: OwnersConfig,
    /// [`DEFAULT_INDEX`] first, then the `[[mirror]]` tables in the file's order. Names are unique.
    pub mirrors: Vec<MirrorConfig>,
    /// What is to be said to whoever gave devpi-server's options: one line for each.
    pub notices: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// At least one; no two are equal.
    pub listen: Vec<Listen>,
    /// Whether the settings say where to listen.
    pub listen_is_chosen: bool,
    /// Where clients reach the server through a proxy; ends in `/`.
    pub public_url: Option<Url>,
    /// `name`, `name:port`, `[v6]` or `[v6]:port`, in lower case.
    pub allowed_hosts: Vec<String>,
    pub log_format: LogFormat,
    /// Without one the log goes to standard error.
    pub log_file: Option<LogFileConfig>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFileConfig {
    pub path: PathBuf,
    /// Size at which the file is set aside and a new one begun.
    pub bytes_max: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheConfig {
    pub data: PathBuf,
    /// Everything that is held in memory together.
    pub memory_bytes: u64,
    /// Files of mirrors on disk; uploads do not count.
    pub disk_bytes: u64,
    /// In which time all stored files are read through; none: never.
    pub scrub_period: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// Nothing is ever asked upstream: what is not stored does not exist.
    pub offline: bool,
    pub connect_timeout: Duration,
    /// For a whole page, from request to last byte.
    pub page_timeout: Duration,
    /// Whether metadata that upstream does not offer is read out of its wheels.
    pub metadata_backfill: bool,
}

/// What concerns users and what they own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnersConfig {
    /// Where root's first password stands; `-` is standard input.
    pub root_password_file: Option<PathBuf>,
    /// Whether anybody may make a user, as devpi has it by default; otherwise only root.
    pub anyone_makes_users: bool,
    /// Most bytes of an uploaded file.
    pub upload_bytes_max: u64,
    /// Origins that releases may be pushed to although they have a private address or speak http.
    pub push_origins: Vec<Origin>,
}

impl ServerConfig {
    /// The host names that requests may carry besides loopback's: the allowed hosts and the public URL's.
    pub fn host_names(&self) -> Vec<String> {
        let public = self.public_url.as_ref().and_then(|url| match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => Some(format!("{host}:{port}")),
            (host, _) => host.map(str::to_owned),
        });
        self.allowed_hosts.iter().cloned().chain(public).collect()
    }
}

impl Config {
    /// Reads and checks everything. `file` is the configuration file's name, as errors shall call it, and its text;
    /// `env` is the whole environment, for it also says where the user's home is. An empty variable is an unset one.
    pub fn load(
        file: Option<(&str, &str)>,
        env: &BTreeMap<String, String>,
        flags: &Flags,
    ) -> Result<Self, ConfigError> {
        let sources = Sources::gather(file, env, flags)?;
        let settings = &sources.top;
        let path = |raw: &str| value::path(raw, env);
        let page_ttl = settings.one("page_ttl", value::page_ttl)?.unwrap_or(PAGE_TTL_DEFAULT);
        let listen = settings.list("listen", |raw| value::listen(raw, env))?;
        let data = match settings.one("data", path)? {
            Some(data) => data,
            None => value::default_data(env).ok_or(ConfigError::NoHome)?,
        };
        Ok(Self {
            server: ServerConfig {
                listen_is_chosen: listen.is_some(),
                listen: match listen {
                    Some(listen) => listen,
                    None => value::listen(LISTEN_DEFAULT, env).map(|listen| vec![listen]).unwrap_or_default(),
                },
                public_url: settings.one("public_url", value::base_url)?,
                allowed_hosts: settings.list("allowed_hosts", value::host)?.unwrap_or_default(),
                log_format: settings.one("log_format", value::log_format)?.unwrap_or(LogFormat::Human),
                log_file: log_file(settings, env)?,
            },
            cache: CacheConfig {
                data,
                memory_bytes: settings
                    .one("memory", |raw| value::size(raw, MEMORY_BYTES_MIN))?
                    .unwrap_or(MEMORY_BYTES_DEFAULT),
                disk_bytes: settings.one("disk", |raw| value::size(raw, DISK_BYTES_MIN))?.unwrap_or(DISK_BYTES_DEFAULT),
                scrub_period: settings.one("scrub_period", value::scrub_period)?.unwrap_or(Some(SCRUB_PERIOD_DEFAULT)),
            },
            upstream: UpstreamConfig {
                offline: settings.one("offline", value::switch)?.unwrap_or(false),
                connect_timeout: settings
                    .one("upstream_connect_timeout", value::timeout)?
                    .unwrap_or(CONNECT_TIMEOUT_DEFAULT),
                page_timeout: settings.one("upstream_timeout", value::timeout)?.unwrap_or(PAGE_TIMEOUT_DEFAULT),
                metadata_backfill: settings.one("metadata", value::switch)?.unwrap_or(true),
            },
            owners: OwnersConfig {
                root_password_file: settings.one("root_password_file", |raw| match raw {
                    "-" => Ok(PathBuf::from(raw)),
                    raw => path(raw),
                })?,
                anyone_makes_users: settings.one("user_creation", value::user_creation)?.unwrap_or(false),
                upload_bytes_max: settings
                    .one("upload_max", |raw| value::size(raw, UPLOAD_BYTES_MIN))?
                    .unwrap_or(UPLOAD_BYTES_DEFAULT),
                push_origins: settings.list("push_origins", value::origin)?.unwrap_or_default(),
            },
            mirrors: mirror::read_all(&sources, env, page_ttl)?,
            notices: sources.notices,
        })
    }

    pub fn mirror(&self, name: &IndexName) -> Option<&MirrorConfig> {
        self.mirrors.iter().find(|mirror| mirror.name == *name)
    }
}

fn log_file(
    settings: &sources::Settings,
    env: &BTreeMap<String, String>,
) -> Result<Option<LogFileConfig>, ConfigError> {
    let bytes_max = settings.one("log_file_max", |raw| value::size(raw, LOG_FILE_BYTES_MIN))?;
    match settings.one("log_file", |raw| value::path(raw, env))? {
        Some(path) => Ok(Some(LogFileConfig { path, bytes_max: bytes_max.unwrap_or(LOG_FILE_BYTES_DEFAULT) })),
        None if bytes_max.is_some() => {
            Err(settings.refuse("log_file_max", "there is no log_file that it could be for"))
        }
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests;
