mod file;
mod lines;

use crate::clock::Clock;
use crate::config::{LogFormat, ServerConfig};
use file::LogFile;
use lines::Lines;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::thread;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

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
            Some(file) => queue().finish(Gathered::new(file.clone())),
            None => queue().finish(Gathered::new(io::stderr())),
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

/// Lines that wait for the log's thread, at most: seconds of a busy server. Each takes 32 bytes from the start on, and
/// those beyond them are lost.
const QUEUED_LINES_MAX: usize = 16 * 1024;

fn queue() -> NonBlockingBuilder {
    NonBlockingBuilder::default().buffered_lines_limit(QUEUED_LINES_MAX)
}

/// Lets the log's lines go to `writer`, in the format that was asked for; `env` may have `RUST_LOG`. Once for a process.
pub fn subscribe<W>(writer: W, format: LogFormat, env: &BTreeMap<String, String>)
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let told = env.get("RUST_LOG").filter(|told| !told.is_empty()).map_or("info", String::as_str);
    let filter = EnvFilter::try_new(told).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let clock = Clock::system();
    let started = match format {
        LogFormat::Json => {
            log.json().flatten_event(true).map_event_format(|rest| Lines { rest, format, clock }).try_init()
        }
        LogFormat::Human => log.with_ansi(false).map_event_format(|rest| Lines { rest, format, clock }).try_init(),
    };
    if let Err(why) = started {
        let _ = writeln!(io::stderr(), "sidewheel: no log: {why}");
    }
}

/// Writes whole lines in few calls. The log's thread calls [`flush`](Write::flush) whenever it has caught up.
struct Gathered<W: Write>(BufWriter<W>);

/// Lines that are written at once, in bytes; a longer one goes alone.
const GATHERED_BYTES: usize = 64 * 1024;

/// How long the log's thread lets lines come together after it has written: who serves thousands in a second would
/// otherwise wake it, and write, for each of them.
const GATHER_PAUSE: Duration = Duration::from_millis(5);

impl<W: Write> Gathered<W> {
    fn new(writer: W) -> Self {
        Self(BufWriter::with_capacity(GATHERED_BYTES, writer))
    }
}

impl<W: Write> Write for Gathered<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.0.flush();
        thread::sleep(GATHER_PAUSE);
        flushed
    }
}
