mod file;

use crate::config::{LogFormat, ServerConfig};
use file::LogFile;
use std::collections::BTreeMap;
use std::io::{self, Write};
use tokio::signal::unix::{SignalKind, signal};
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// The log that runs; what is still on its way is written when this is dropped.
pub(super) struct Log {
    file: Option<LogFile>,
    _writer: WorkerGuard,
}

impl Log {
    /// Starts the log, to its file or to standard error, through a thread of its own: a full disk or a closed pipe there
    /// holds up no request.
    pub fn start(server: &ServerConfig, env: &BTreeMap<String, String>) -> Self {
        let file = server.log_file.as_ref().map(|file| LogFile::open(file.path.clone(), file.bytes_max));
        let (writer, guard) = match &file {
            Some(file) => tracing_appender::non_blocking(file.clone()),
            None => tracing_appender::non_blocking(io::stderr()),
        };
        subscribe(writer, server.log_format, env);
        Self { file, _writer: guard }
    }

    /// Opens the file anew whenever SIGHUP says that somebody has set it aside. Without a file the signal is taken too:
    /// the end of a terminal is no reason to end. To be called within the runtime.
    pub fn heed_hangups(&self) -> io::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let file = self.file.clone();
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                if let Some(file) = file.clone() {
                    let _ = tokio::task::spawn_blocking(move || file.reopen()).await;
                    tracing::info!("SIGHUP: the log file was opened anew");
                }
            }
        });
        Ok(())
    }
}

fn subscribe(writer: NonBlocking, format: LogFormat, env: &BTreeMap<String, String>) {
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
}
