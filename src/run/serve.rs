use super::log::Log;
use super::manager::{News, beat, tell};
use super::open::{open_data, open_index, public_url, site};
use super::sockets::listeners;
use super::successor::Successor;
use super::{RunError, first, runtime, say};
use crate::cache::held_open_max;
use crate::cli::Begin;
use crate::clock::Clock;
use crate::config::{Config, DEFAULT_INDEX, Listen};
use crate::http::Hosts;
use crate::index::Index;
use crate::metrics::Metrics;
use crate::names::IndexName;
use crate::platform::Program;
use crate::server::{Event, Handler, HandlerParts, Server, Standing, Takeover, Timeouts};
use crate::store::{FORMAT, check_format};
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long running answers may take to end after SIGTERM; launchd kills after 20 seconds.
const STOP_DEADLINE: Duration = Duration::from_secs(15);

/// How long answers may go on after another process took over: a large file over a slow line.
const LEAVE_DEADLINE: Duration = Duration::from_secs(15 * 60);

/// Most connections at the same time; each costs a few KiB while it is idle.
const CONNECTIONS_MAX: usize = 4096;

/// By then a start has done what it does beside its first answers.
const STARTED: Duration = Duration::from_millis(500);

/// How often the program's unused code leaves memory; what is in use is back within a millisecond.
const LET_GO_EVERY: Duration = Duration::from_secs(5 * 60);

/// File descriptors that are kept for transfers, the database and upstream, beside the files that stay open.
const DESCRIPTORS_RESERVED: u64 = 256;

/// OPEN_MAX of macOS: it offers no hard limit and refuses to be taken at its word (setrlimit(2), compatibility).
const DESCRIPTORS_MACOS_MAX: u64 = 10_240;

/// Clients may keep a mirror's page this long, in seconds, at most (standards: PyPI says the same).
const PAGE_MAX_AGE_MAX: u64 = 600;

pub(super) fn serve(config: &Config, env: &BTreeMap<String, String>, begin: Begin) -> Result<(), RunError> {
    let log = Log::start(&config.server, env);
    for notice in &config.notices {
        tracing::warn!("{notice}");
    }
    let runtime = runtime()?;
    runtime.block_on(serve_until_told(config, &log, begin))?;
    // Running answers had their time; what is left is cut, so that its client sees it.
    runtime.shutdown_timeout(Duration::from_millis(100));
    Ok(())
}

async fn serve_until_told(config: &Config, log: &Log, begin: Begin) -> Result<(), RunError> {
    // Deaf to signals for no moment: what comes while we start stops us when we have started.
    let (mut ends, mut upgrades) = (Ends::new()?, signal(SignalKind::user_defined2())?);
    log.heed_hangups()?;
    let mut successor = Successor::new();
    let (mut server, index) = start(config, begin).await?;
    announce(config, &server, &index).await;
    let status = format!("serving, version {}", env!("CARGO_PKG_VERSION"));
    tell(News::Serving(status.clone())).await;
    tokio::spawn(beat(server.pulse()));
    tokio::spawn(let_go_of_the_start());
    loop {
        tokio::select! {
            () = ends.asked() => break,
            _ = upgrades.recv() => successor.start(None),
            how = successor.ended() => successor.tell(Err(how)),
            event = server.event() => match event {
                Event::Upgrade(asked) => successor.start(Some(asked)),
                Event::Asked => tell(News::HandingOver).await,
                Event::ServesOn { why } => {
                    tell(News::Serving(status.clone())).await;
                    successor.tell(Err(why));
                }
                Event::Relieved { by } => {
                    tell(News::HandedOver(by)).await;
                    successor.tell(Ok(()));
                    leave(server, &mut ends).await;
                    return Ok(());
                }
            },
        }
    }
    tracing::info!("stopping: running answers have {} seconds; a second signal ends them", STOP_DEADLINE.as_secs());
    tell(News::Stopping).await;
    let finished = tokio::select! {
        finished = server.stop(STOP_DEADLINE) => finished,
        () = ends.asked() => false,
    };
    tracing::info!(finished, "stopped");
    Ok(())
}

/// Memory holds the code that is in use, not what a start needed, or a page once in five minutes.
async fn let_go_of_the_start() {
    tokio::time::sleep(STARTED).await;
    let Ok(program) = tokio::task::spawn_blocking(Program::of_this_process).await else { return };
    loop {
        program.let_go();
        tokio::time::sleep(LET_GO_EVERY).await;
    }
}

/// Another process serves: what runs here comes to its end, sooner when somebody asks for it.
async fn leave(server: Server, ends: &mut Ends) {
    let ending = server.end(LEAVE_DEADLINE);
    tokio::pin!(ending);
    let finished = tokio::select! {
        finished = &mut ending => finished,
        () = ends.asked() => tokio::select! {
            finished = tokio::time::timeout(STOP_DEADLINE, &mut ending) => finished.unwrap_or(false),
            () = ends.asked() => false,
        },
    };
    tracing::info!(finished, "gone: another process serves");
}

/// The signals that ask for the end.
struct Ends {
    terminate: Signal,
    interrupt: Signal,
}

impl Ends {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Everything in the order in which it can fail: the data directory, the listeners, then what needs both. In a takeover
/// the data directory comes last: until then the old process serves.
async fn start(config: &Config, begin: Begin) -> Result<(Server, Index), RunError> {
    let connections_max = raise_descriptors();
    let mut takeover = match begin {
        Begin::Alone => None,
        Begin::TakeOver => ask_to_take_over(config).await?,
    };
    let (bound, ground) = match &mut takeover {
        None => {
            let ground = open_data(config, None).await?;
            (listeners(&config.server, None)?, ground)
        }
        Some(takeover) => {
            let bound = listeners(&config.server, Some(takeover))?;
            let lock = takeover.claim().await?;
            (bound, open_data(config, lock).await?)
        }
    };
    let (clock, metrics) = (Clock::system(), Metrics::new());
    let index = open_index(config, ground, &clock, &metrics).await?;
    first::see_to_root(config, &index).await?;
    let standing = Standing { started: clock.unix(), format: FORMAT };
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
    if let Some(takeover) = &mut takeover {
        takeover.ready().await?;
    }
    let mut server = Server::start(bound, handler);
    server.open_control(&config.cache.data, standing, takeover.as_mut().and_then(Takeover::control));
    if let Some(takeover) = takeover {
        takeover.finish().await;
    }
    if let Some(period) = config.cache.scrub_period {
        index.scrub_every(period);
    }
    Ok((server, index))
}

/// Asks the server that runs to let us take over, when all that can be known of our settings is known to be good.
async fn ask_to_take_over(config: &Config) -> Result<Option<Takeover>, RunError> {
    Hosts::new(&config.server.host_names())?;
    for mirror in &config.mirrors {
        site(mirror, config)?;
    }
    check_format(&config.cache.data)?;
    let takeover = Takeover::ask(&config.cache.data).await?;
    match &takeover {
        Some(takeover) => {
            let (version, pid) = takeover.old();
            tracing::info!(version, pid, "taking over");
        }
        None => tracing::info!("no server runs here that could be taken over from; this one begins alone"),
    }
    Ok(takeover)
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

/// Lets the process open as many files as it may; how many connections that bears.
fn raise_descriptors() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = highest_taken(limit.current, limit.maximum, |current| {
        setrlimit(Resource::Nofile, Rlimit { current, ..limit }).is_ok()
    });
    let kept = DESCRIPTORS_RESERVED + held_open_max(raised);
    let spare = raised.unwrap_or(u64::MAX).saturating_sub(kept) / 2;
    usize::try_from(spare).unwrap_or(CONNECTIONS_MAX).clamp(16, CONNECTIONS_MAX)
}

/// Raises a limit of descriptors as far as `set` lets it; what it is then (none: no limit).
fn highest_taken(soft: Option<u64>, hard: Option<u64>, mut set: impl FnMut(Option<u64>) -> bool) -> Option<u64> {
    let modest = Some(hard.map_or(DESCRIPTORS_MACOS_MAX, |hard| hard.min(DESCRIPTORS_MACOS_MAX)));
    let higher = |wanted: &Option<u64>| soft.is_some_and(|soft| wanted.is_none_or(|wanted| wanted > soft));
    [hard, modest].into_iter().filter(higher).find(|wanted| set(*wanted)).unwrap_or(soft)
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
