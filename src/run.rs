//! Puts the house together and runs it: the one place that knows every room's door.
//!
//! Enters: the command and the process's environment. Leaves: an exit code.

mod first;
mod tokens;

use crate::auth::{Auth, AuthError};
use crate::cache::{Disk, LockError, Space};
use crate::cli::{Command, Options};
use crate::clock::Clock;
use crate::config::{
    Config, ConfigError, Credentials as Configured, DEFAULT_INDEX, ENV_CONFIG, Listen, LogFormat, MirrorConfig,
    PasswordSource,
};
use crate::http::{HostEntryError, Hosts};
use crate::index::{Index, IndexError, Mirror, MirrorMaker, MirrorRules, Parts};
use crate::metrics::Metrics;
use crate::names::{IndexName, IndexNameError};
use crate::rules::UserCreation;
use crate::server::{Bound, Handler, HandlerParts, ListenError, Server, Timeouts};
use crate::store::{PRIVATE_FILE, Private, Store, StoreError};
use crate::upstream::{ClientError, Clients, ClientsConfig, Credentials, MirrorSite, Origin, OriginError, Upstream};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// How long running answers may take to end after SIGTERM; launchd kills after 20 seconds.
const STOP_DEADLINE: Duration = Duration::from_secs(15);

/// Most connections at the same time; each costs a few KiB while it is idle.
const CONNECTIONS_MAX: usize = 4096;

/// File descriptors that are kept for files, the database and upstream.
const DESCRIPTORS_RESERVED: u64 = 256;

/// OPEN_MAX of macOS: it offers no hard limit and refuses to be taken at its word (setrlimit(2), compatibility).
const DESCRIPTORS_MACOS_MAX: u64 = 10_240;

/// Clients may keep a mirror's page this long, in seconds, at most (standards: PyPI says the same).
const PAGE_MAX_AGE_MAX: u64 = 600;

/// Exit codes as sysexits.h has them, so that a service manager need not try again what cannot work.
const EXIT_CONFIG: u8 = 78;
const EXIT_USAGE: u8 = 64;
const EXIT_UNAVAILABLE: u8 = 69;

#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("the file {} cannot be read: {why}", path.display())]
    File { path: PathBuf, why: io::Error },
    #[error("{0}")]
    Origin(#[from] OriginError),
    #[error("{0}")]
    Host(#[from] HostEntryError),
    #[error("{0}")]
    Name(#[from] IndexNameError),
    #[error("{0}")]
    Lock(#[from] LockError),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Client(#[from] ClientError),
    #[error("{0}")]
    Listen(#[from] ListenError),
    #[error("{0}")]
    Index(#[from] IndexError),
    #[error("{0}")]
    Auth(#[from] AuthError),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Does what the command says.
pub fn run(command: Command, env: &BTreeMap<String, String>) -> ExitCode {
    let done = match command {
        Command::Check(options) => load(&options, env).and_then(|config| check(&config)),
        Command::Serve(options) => load(&options, env).and_then(|config| serve(&config, env)),
        Command::Init(options) => load(&options, env).and_then(|config| runtime()?.block_on(first::init(&config))),
        Command::Token(options, command) => {
            load(&options, env).and_then(|config| runtime()?.block_on(tokens::tokens(&config, command)))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(io::stderr(), "sidewheel: {why}");
            ExitCode::from(match why {
                RunError::Config(_) | RunError::File { .. } | RunError::Origin(_) | RunError::Host(_) => EXIT_CONFIG,
                RunError::Usage(_) => EXIT_USAGE,
                _ => EXIT_UNAVAILABLE,
            })
        }
    }
}

fn load(options: &Options, env: &BTreeMap<String, String>) -> Result<Config, RunError> {
    let from_env = || env.get(ENV_CONFIG).filter(|path| !path.is_empty()).map(PathBuf::from);
    let Some(path) = options.config.clone().or_else(from_env) else {
        return Ok(Config::load(None, env, &options.flags)?);
    };
    let text = read(&path)?;
    Ok(Config::load(Some((&path.display().to_string(), &text)), env, &options.flags)?)
}

fn read(path: &PathBuf) -> Result<String, RunError> {
    std::fs::read_to_string(path).map_err(|why| RunError::File { path: path.clone(), why })
}

fn check(config: &Config) -> Result<(), RunError> {
    Hosts::new(&config.server.host_names())?;
    for mirror in &config.mirrors {
        site(mirror, config)?;
    }
    say(&format!("the settings are good: {} mirror(s), data in {}", config.mirrors.len(), config.cache.data.display()));
    Ok(())
}

fn serve(config: &Config, env: &BTreeMap<String, String>) -> Result<(), RunError> {
    let _log = start_log(config.server.log_format, env);
    let runtime = runtime()?;
    runtime.block_on(serve_until_told(config))?;
    // Running answers had their time; what is left is cut, so that its client sees it.
    runtime.shutdown_timeout(Duration::from_millis(100));
    Ok(())
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

async fn serve_until_told(config: &Config) -> Result<(), RunError> {
    // Deaf to signals for no moment: what comes while we start stops us when we have started.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (server, index) = start(config).await?;
    announce(config, &server, &index).await;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: running answers have {} seconds", STOP_DEADLINE.as_secs());
    let finished = server.stop(STOP_DEADLINE).await;
    tracing::info!(finished, "stopped");
    Ok(())
}

/// Everything in the order in which it can fail: the data directory, the listeners, then what needs both.
async fn start(config: &Config) -> Result<(Server, Index), RunError> {
    let connections_max = raise_descriptors();
    let (disk, store, private) = open_data(config).await?;
    let bound = config.server.listen.iter().map(Bound::bind).collect::<Result<Vec<_>, _>>()?;
    let (clock, metrics) = (Clock::system(), Metrics::new());
    let index = open_index(config, disk, store, private, &clock, &metrics).await?;
    first::see_to_root(config, &index).await?;
    let page_ttl = config.mirrors.iter().map(|mirror| mirror.page_ttl.as_secs()).min();
    let handler = Handler::new(HandlerParts {
        index: index.clone(),
        metrics,
        clock,
        hosts: Hosts::new(&config.server.host_names())?,
        default_index: IndexName::parse(DEFAULT_INDEX)?,
        public_url: public_url(config),
        page_max_age: page_ttl.unwrap_or(PAGE_MAX_AGE_MAX).min(PAGE_MAX_AGE_MAX),
        upload_bytes_max: config.owners.upload_bytes_max,
        connections_max,
        timeouts: Timeouts::default(),
    });
    Ok((Server::start(bound, handler), index))
}

async fn open_data(config: &Config) -> Result<(Disk, Store, Private), RunError> {
    let disk = Disk::open(&config.cache.data)?;
    let store = open_store(&config.cache.data).await?;
    let private = open_private(&config.cache.data).await?;
    Ok((disk, store, private))
}

async fn open_index(
    config: &Config,
    disk: Disk,
    store: Store,
    private: Private,
    clock: &Clock,
    metrics: &Metrics,
) -> Result<Index, RunError> {
    let clients =
        Clients::new(ClientsConfig { connect_timeout: config.upstream.connect_timeout, ..Default::default() })?;
    let mut mirrors = Vec::new();
    for mirror in &config.mirrors {
        let upstream = Upstream::new(site(mirror, config)?, &clients);
        let ttl_ms = mirror.page_ttl.as_millis() as u64;
        mirrors.push(Mirror { name: mirror.name.clone(), upstream, ttl_ms, rules: MirrorRules::default() });
    }
    let ttl_ms = config.mirrors.first().map_or(0, |mirror| mirror.page_ttl.as_millis() as u64);
    let push_origins = config.owners.push_origins.iter().map(|origin| Origin::parse(&origin.to_string()));
    Ok(Index::open(Parts {
        clock: clock.clone(),
        metrics: metrics.clone(),
        store,
        private,
        disk,
        auth: Auth::new(clock.clone())?,
        mirrors,
        maker: MirrorMaker { clients, page_timeout: config.upstream.page_timeout, ttl_ms },
        user_creation: match config.owners.anyone_makes_users {
            true => UserCreation::Anyone,
            false => UserCreation::RootOnly,
        },
        push_origins: push_origins.collect::<Result<_, _>>()?,
        public_url: public_url(config),
        memory_bytes: config.cache.memory_bytes,
        disk_bytes: config.cache.disk_bytes,
        offline: config.upstream.offline,
        backfill: config.upstream.metadata_backfill,
    })
    .await?)
}

/// What clients outside call us, without a slash at the end.
fn public_url(config: &Config) -> Option<String> {
    config.server.public_url.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned())
}

/// A directory that cannot be written is no reason not to serve: what is there is read, nothing new is kept.
async fn open_store(data: &Path) -> Result<Store, RunError> {
    let space = Space::of(data);
    if space != Space::ReadOnly {
        match Store::open(data).await {
            Err(StoreError::Open { .. }) if space == Space::Full => {}
            opened => return Ok(opened?),
        }
    }
    tracing::error!(data = %data.display(), ?space, "the data directory cannot be written; nothing new is kept");
    match Store::open_read_only(data).await {
        Ok(store) => Ok(store),
        Err(why) => {
            tracing::warn!(%why, "what was known of pages is not at hand");
            Ok(Store::in_memory().await?)
        }
    }
}

/// What users own, as far as the disk allows. A database that holds something and cannot be read is not passed over.
async fn open_private(data: &Path) -> Result<Private, RunError> {
    let space = Space::of(data);
    if space != Space::ReadOnly {
        match Private::open(data).await {
            Err(StoreError::OpenPrivate { .. }) if space == Space::Full => {}
            opened => return Ok(opened?),
        }
    }
    let holds_something = std::fs::metadata(data.join(PRIVATE_FILE)).is_ok_and(|facts| facts.len() > 0);
    Ok(match holds_something {
        true => Private::open_read_only(data).await?,
        false => Private::empty().await?,
    })
}

fn site(mirror: &MirrorConfig, config: &Config) -> Result<MirrorSite, RunError> {
    let credentials = match &mirror.credentials {
        Some(Configured { username, password }) => Some(Credentials::new(
            username,
            match password {
                PasswordSource::Env(secret) => secret.expose().to_owned(),
                PasswordSource::File(path) => read(path)?.trim_end_matches(['\r', '\n']).to_owned(),
            },
        )),
        None => None,
    };
    let file_origins = mirror.file_origins.iter().map(|origin| Origin::parse(&origin.to_string()));
    Ok(MirrorSite {
        base: mirror.upstream.clone(),
        base_is_listed: true,
        file_origins: file_origins.collect::<Result<_, _>>()?,
        credentials,
        page_timeout: config.upstream.page_timeout,
    })
}

/// Tells a person what runs and what to paste.
async fn announce(config: &Config, server: &Server, index: &Index) {
    let mut text = format!("Sidewheel {}\n", env!("CARGO_PKG_VERSION"));
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:<9} {value}\n"));
    for address in server.addresses() {
        line("listening", format!("http://{address}"));
    }
    for listen in &config.server.listen {
        if let Listen::Unix(path) = listen {
            line("listening", format!("unix:{}", path.display()));
        }
    }
    let base = match (&config.server.public_url, server.addresses().first()) {
        (Some(url), _) => url.as_str().trim_end_matches('/').to_owned(),
        (None, Some(address)) => format!("http://{address}"),
        (None, None) => "http://localhost".to_owned(),
    };
    let index_url = format!("{base}/{DEFAULT_INDEX}/+simple/");
    line("index", index_url.clone());
    line("uv", format!("uv pip install --index-url {index_url} PACKAGE"));
    line("pip", format!("pip install --index-url {index_url} PACKAGE"));
    let (files, bytes) = index.disk_totals().await;
    let (used, cap) = (bytes as f64 / 1e6, config.cache.disk_bytes as f64 / 1e6);
    line("data", format!("{} ({files} files, {used:.1} MB of {cap:.0} MB)", config.cache.data.display()));
    if config.upstream.offline {
        line("offline", "only what is here is served".to_owned());
    }
    say(text.trim_end());
    tracing::info!(index = index_url, data = %config.cache.data.display(), files, bytes, "serving");
}

/// Standard output may be closed; that is no reason not to serve.
fn say(text: &str) {
    let mut out = io::stdout();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Lets the process open as many files as it may; how many connections that bears.
fn raise_descriptors() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = highest_taken(limit.current, limit.maximum, |current| {
        setrlimit(Resource::Nofile, Rlimit { current, ..limit }).is_ok()
    });
    let spare = raised.unwrap_or(u64::MAX).saturating_sub(DESCRIPTORS_RESERVED) / 2;
    usize::try_from(spare).unwrap_or(CONNECTIONS_MAX).clamp(16, CONNECTIONS_MAX)
}

/// Raises a limit of descriptors as far as `set` lets it; what it is then (none: no limit).
fn highest_taken(soft: Option<u64>, hard: Option<u64>, mut set: impl FnMut(Option<u64>) -> bool) -> Option<u64> {
    let modest = Some(hard.map_or(DESCRIPTORS_MACOS_MAX, |hard| hard.min(DESCRIPTORS_MACOS_MAX)));
    let higher = |wanted: &Option<u64>| soft.is_some_and(|soft| wanted.is_none_or(|wanted| wanted > soft));
    [hard, modest].into_iter().filter(higher).find(|wanted| set(*wanted)).unwrap_or(soft)
}

/// The log goes to standard error through a thread of its own: a full disk or a closed pipe there holds up no request.
fn start_log(format: LogFormat, env: &BTreeMap<String, String>) -> tracing_appender::non_blocking::WorkerGuard {
    let (writer, guard) = tracing_appender::non_blocking(io::stderr());
    let told = env.get("RUST_LOG").filter(|told| !told.is_empty()).map_or("info", String::as_str);
    let filter = EnvFilter::try_new(told).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let started = match format {
        LogFormat::Json => log.json().flatten_event(true).try_init(),
        LogFormat::Human => log.with_ansi(false).try_init(),
    };
    if let Err(why) = started {
        let _ = writeln!(io::stderr(), "sidewheel: no log: {why}");
    }
    guard
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_raised_as_far_as_the_system_lets_us() {
        let macos = |wanted: Option<u64>| wanted.is_some_and(|wanted| wanted <= 10_240);
        assert_eq!(highest_taken(Some(256), None, macos), Some(10_240), "macOS would leave us 16 connections");
        assert_eq!(highest_taken(Some(1024), Some(524_288), |_| true), Some(524_288));
        assert_eq!(highest_taken(Some(1024), Some(4096), |_| true), Some(4096));
        assert_eq!(highest_taken(Some(1024), None, |_| true), None);
        assert_eq!(highest_taken(Some(65_536), None, macos), Some(65_536), "never down");
        assert_eq!(highest_taken(Some(256), Some(4096), |_| false), Some(256));
        assert_eq!(highest_taken(None, None, |_| false), None);
    }
}
