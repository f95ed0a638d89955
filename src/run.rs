//! Puts the house together and runs it: the one place that knows every room's door.
//!
//! Enters: the command and the process's environment. Leaves: an exit code.

mod backup;
mod cache;
mod configure;
mod doctor;
mod export;
mod first;
mod human;
mod import;
mod log;
mod manager;
mod open;
mod progress;
mod serve;
mod service;
mod sockets;
mod status;
mod successor;
mod tokens;
mod upgrade;

use crate::auth::AuthError;
use crate::backup::{BackupError, Fault};
use crate::cache::LockError;
use crate::cli::{Command, EXIT_USAGE, Options};
use crate::config::{Config, ConfigError, ENV_CONFIG};
use crate::export::ExportError;
use crate::http::{HostEntryError, Hosts};
use crate::import::ImportError;
use crate::index::IndexError;
use crate::names::IndexNameError;
use crate::platform::ActivationError;
use crate::platform::allocator::collect_now_and_then;
use crate::server::control::ControlError;
use crate::server::{ListenError, TakeoverError};
use crate::service::ServiceError;
use crate::store::{FormatError, StoreError};
use crate::upstream::{ClientError, OriginError};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub use log::subscribe;

/// Exit codes as sysexits.h has them, so that a service manager need not try again what cannot work. With 64 and 78
/// somebody has to change something first; what ends with 69 or 75 may work a moment later. docs/service.md lists them.
const EXIT_CONFIG: u8 = 78;
/// What was given could not be read, or not all of it could be taken.
const EXIT_DATA: u8 = 65;
const EXIT_UNAVAILABLE: u8 = 69;
/// Not all that a lockfile names is here; which is missing, is said.
const EXIT_INCOMPLETE: u8 = 1;
const EXIT_TEMPORARY: u8 = 75;
const EXIT_DAMAGED: u8 = 65;
const EXIT_MISSING: u8 = 66;
const EXIT_UNREADABLE: u8 = 74;

/// The doctor found something that does not work.
const EXIT_UNWELL: u8 = 1;

/// A file that every directory of devpi-server has: the version of its layout.
const DEVPI_MARK: &str = ".serverversion";

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
    Format(#[from] FormatError),
    #[error("{0}")]
    Client(#[from] ClientError),
    #[error("{0}")]
    Listen(#[from] ListenError),
    #[error("{0}")]
    Index(#[from] IndexError),
    #[error("{0}")]
    Auth(#[from] AuthError),
    #[error("{0}")]
    Control(#[from] ControlError),
    #[error("{0}")]
    Service(#[from] ServiceError),
    /// Everything was said; only the exit code is left.
    #[error("exit code {0}")]
    Told(u8),
    #[error("{0}")]
    NotReady(String),
    #[error("{0} of the checks failed")]
    Unwell(usize),
    #[error("{0}")]
    Backup(#[from] BackupError),
    /// Files are not as they should be: what was said of them, and the worst.
    #[error("{0}")]
    Files(String, Fault),
    #[error("{0}")]
    Export(#[from] ExportError),
    #[error("{0}")]
    Activation(#[from] ActivationError),
    #[error("{0}")]
    Takeover(#[from] TakeoverError),
    #[error("{0}")]
    Import(#[from] ImportError),
    #[error("{0} thing(s) could not be taken; the report names them")]
    LeftOut(u64),
    #[error("{0}")]
    Incomplete(String),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Does what the command says.
pub fn run(command: Command, env: &BTreeMap<String, String>) -> ExitCode {
    match done(command, env) {
        Ok(()) => ExitCode::SUCCESS,
        Err(RunError::Told(code)) => ExitCode::from(code),
        Err(why) => {
            let _ = writeln!(io::stderr(), "sidewheel: {why}");
            ExitCode::from(why.exit_code())
        }
    }
}

fn done(command: Command, env: &BTreeMap<String, String>) -> Result<(), RunError> {
    match command {
        Command::Check(options) => check(&load(&options, env)?),
        Command::Serve(options, begin) => serve::serve(&load(&options, env)?, env, begin),
        Command::Upgrade(options) => {
            let config = load(&options, env)?;
            runtime()?.block_on(upgrade::upgrade(&config))
        }
        Command::Init(options) => {
            let config = load(&options, env)?;
            runtime()?.block_on(first::init(&config))
        }
        Command::Backup(options, wish) => {
            let (config, file) = (load(&options, env)?, config_file(&options, env));
            runtime()?.block_on(backup::backup(&config, file, wish))
        }
        Command::Restore(options, wish) => {
            let config = load(&options, env)?;
            runtime()?.block_on(backup::restore(&config, wish))
        }
        Command::Verify(options, wish) => {
            let config = load(&options, env)?;
            runtime()?.block_on(backup::verify(&config, wish))
        }
        Command::Token(options, command) => {
            let config = load(&options, env)?;
            runtime()?.block_on(tokens::tokens(&config, command))
        }
        Command::Service(command) => service::service(command, env),
        Command::Status(options, json) => {
            let config = load(&options, env)?;
            runtime()?.block_on(status::status(&config, json))
        }
        Command::Doctor(options, wanted) => runtime()?.block_on(doctor::doctor(&options, &wanted, env)),
        Command::Env(options, wanted) => configure::env(&load(&options, env)?, &wanted, env),
        Command::Configure(options, wanted) => configure::configure(&load(&options, env)?, &wanted, env),
        Command::Export(options, command) => {
            let config = load(&options, env)?;
            runtime()?.block_on(export::export(&config, command))
        }
        Command::Import(options, command) => {
            let config = load(&options, env)?;
            runtime()?.block_on(import::take_over(&config, command))
        }
        Command::Cache(options, command) => {
            let config = load(&options, env)?;
            runtime()?.block_on(cache::cache(&config, command))
        }
    }
}

impl RunError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::File { .. } | Self::Origin(_) | Self::Host(_) => EXIT_CONFIG,
            Self::Format(
                FormatError::Newer { .. }
                | FormatError::Backup(_)
                | FormatError::Restoring(_)
                | FormatError::Strange(_),
            )
            | Self::Store(StoreError::Newer { .. } | StoreError::Older { .. }) => EXIT_CONFIG,
            Self::Usage(_) | Self::Import(ImportError::Target(_)) | Self::Export(ExportError::NotEmpty { .. }) => {
                EXIT_USAGE
            }
            // The disk or the database of ours: a later run may go on.
            Self::Import(ImportError::Index(_) | ImportError::Copy { .. }) => EXIT_UNAVAILABLE,
            Self::Incomplete(_) => EXIT_INCOMPLETE,
            Self::LeftOut(_) | Self::Import(_) => EXIT_DATA,
            Self::Unwell(_) => EXIT_UNWELL,
            Self::Service(ServiceError::Word { .. } | ServiceError::Foreign { .. } | ServiceError::Plan(_)) => {
                EXIT_USAGE
            }
            Self::Told(code) => *code,
            Self::Lock(LockError::Held { .. }) => EXIT_TEMPORARY,
            Self::Backup(why) => backup::exit_code(why),
            Self::Files(_, fault) => backup::exit_code_of(*fault),
            _ => EXIT_UNAVAILABLE,
        }
    }
}

fn load(options: &Options, env: &BTreeMap<String, String>) -> Result<Config, RunError> {
    let named_text = |path: PathBuf| Ok::<_, RunError>((path.display().to_string(), read(&path)?));
    let file = config_file(options, env).map(named_text).transpose()?;
    let mut flags = options.flags.clone();
    flags.devpi.file = flags.devpi.configfile(env).map(named_text).transpose()?;
    let config = Config::load(file.as_ref().map(|(name, text)| (&**name, &**text)), env, &flags)?;
    refuse_devpis_directory(&config.cache.data)?;
    Ok(config)
}

/// devpi-server's own directory is never written into: what is in it is taken over into another one.
fn refuse_devpis_directory(data: &Path) -> Result<(), RunError> {
    if !data.join(DEVPI_MARK).exists() {
        return Ok(());
    }
    let data = data.display();
    Err(RunError::Usage(format!(
        "{data} is devpi-server's own directory; stop devpi-server, take its data over with `sidewheel import devpi \
         --serverdir {data} --data NEW`, and serve with --data NEW"
    )))
}

fn config_file(options: &Options, env: &BTreeMap<String, String>) -> Option<PathBuf> {
    let from_env = || env.get(ENV_CONFIG).filter(|path| !path.is_empty()).map(PathBuf::from);
    options.config.clone().or_else(from_env)
}

fn read(path: &PathBuf) -> Result<String, RunError> {
    std::fs::read_to_string(path).map_err(|why| RunError::File { path: path.clone(), why })
}

fn check(config: &Config) -> Result<(), RunError> {
    Hosts::new(&config.server.host_names())?;
    for mirror in &config.mirrors {
        open::site(mirror, config)?;
    }
    for notice in &config.notices {
        let _ = writeln!(io::stderr(), "sidewheel: {notice}");
    }
    say(&format!("the settings are good: {} mirror(s), data in {}", config.mirrors.len(), config.cache.data.display()));
    Ok(())
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().on_thread_park(collect_now_and_then).build()
}

/// A word by the way, to the person and not to the program that reads the output.
fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "sidewheel: {text}");
}

/// Standard output may be closed; that is no reason not to serve.
fn say(text: &str) {
    let mut out = io::stdout();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
