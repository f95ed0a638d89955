use super::line::{LineError, Lines};
use super::{ANSWER_WAIT, Answer, Passed, Request, Said, Status};
use crate::index::Index;
use crate::server::connection::{Carrier, Connection, Peer};
use crate::server::doors::Doors;
use parking_lot::Mutex;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

/// What the server says of itself.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Unix seconds.
    pub started: u64,
    /// The data directory's format.
    pub format: u32,
}

/// What happens at the control socket that concerns the whole program.
#[derive(Debug)]
pub enum Event {
    /// The program's file is to be started anew; whether that went well is told.
    Upgrade(oneshot::Sender<Result<(), String>>),
    /// Another process wants to take over.
    Asked,
    /// It did not, and this one serves on.
    ServesOn { why: String },
    /// Another process serves now.
    Relieved { by: u32 },
}

/// Where questions are answered.
pub struct Desk {
    pub doors: Arc<Doors>,
    pub standing: Standing,
    pub addresses: Vec<String>,
    pub data: PathBuf,
    /// The control socket itself, for who takes over.
    pub socket: StdUnixListener,
    pub events: mpsc::Sender<Event>,
    /// Held while another process takes over.
    pub(super) handing: tokio::sync::Mutex<()>,
    /// The task that accepts at the control socket.
    accepting: Mutex<Option<JoinHandle<()>>>,
}

/// Questions at the same time; more wait in the kernel's line.
const ASKERS_MAX: usize = 16;

/// How long who has connected may take to say what they want.
const QUESTION_WAIT: Duration = Duration::from_secs(10);

/// After a failing accept, most often for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What an asker wants that is no answer.
enum Heard {
    Said(Said),
    Conversation(super::TakeOver),
    Http(Passed),
}

/// Answers until [`Desk::close`].
pub fn answer(listener: UnixListener, desk: Arc<Desk>) {
    let task = tokio::spawn(accept(listener, Arc::clone(&desk)));
    desk.accepting.lock().replace(task);
}

async fn accept(listener: UnixListener, desk: Arc<Desk>) {
    let places = Arc::new(Semaphore::new(ASKERS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) if is_ours(&stream) => {
                let desk = Arc::clone(&desk);
                tokio::spawn(async move { desk.serve(Lines::new(stream), place).await });
            }
            Ok(_) => tracing::warn!("another user's program asked at the control socket; it was not answered"),
            Err(why) => {
                tracing::warn!(%why, "the control socket does not accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether this user, or root, is at the other end.
fn is_ours(stream: &UnixStream) -> bool {
    let us = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == us || peer.uid() == 0)
}

impl Desk {
    pub fn new(
        doors: Arc<Doors>,
        standing: Standing,
        addresses: Vec<String>,
        data: PathBuf,
        socket: StdUnixListener,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let (handing, accepting) = (tokio::sync::Mutex::default(), Mutex::default());
        Self { doors, standing, addresses, data, socket, events, handing, accepting }
    }

    /// Answers no more; what is being asked is.
    pub async fn close(&self) {
        let task = self.accepting.lock().take();
        if let Some(task) = task {
            task.abort();
            let _ = task.await;
        }
    }

    pub(super) fn index(&self) -> &Index {
        self.doors.handler().index()
    }

    async fn serve(&self, mut lines: Lines, place: tokio::sync::OwnedSemaphorePermit) {
        match self.hear(&mut lines).await {
            Heard::Said(said) => {
                let _ = tokio::time::timeout(ANSWER_WAIT, lines.write(&said)).await;
            }
            Heard::Conversation(asked) => self.hand_over(&mut lines, asked).await,
            Heard::Http(passed) => {
                // It is counted with the connections from now on.
                drop(place);
                let Some(_open) = self.doors.connection() else { return };
                let (mut stream, read_ahead) = lines.into_parts();
                let peer = Peer { address: passed.address, port: passed.port };
                let carrier: &mut dyn Carrier = &mut stream;
                let connection = Connection::new(carrier, self.doors.handler(), self.doors.gate(), peer);
                connection.passed_on(read_ahead).serve().await;
                let _ = stream.shutdown().await;
            }
        }
    }

    async fn hear(&self, lines: &mut Lines) -> Heard {
        let request = match tokio::time::timeout(QUESTION_WAIT, lines.read::<Request>()).await {
            Ok(Ok(request)) => request,
            Ok(Err(why)) => return Heard::Said(Said::Refused(misheard(&why))),
            Err(_) => return Heard::Said(Said::Refused("no question came".to_owned())),
        };
        let patience = request.patience();
        let answer = match request {
            Request::TakeOver(asked) => return Heard::Conversation(asked),
            Request::Pass(passed) => return Heard::Http(passed),
            request => tokio::time::timeout(patience, self.answer(request)).await,
        };
        Heard::Said(match answer {
            Ok(Ok(answer)) => Said::Done(answer),
            Ok(Err(sentence)) => Said::Refused(sentence),
            Err(_) => Said::Refused("it takes too long; the server may be busy".to_owned()),
        })
    }

    async fn answer(&self, request: Request) -> Result<Answer, String> {
        match request {
            Request::Status => Ok(Answer::Status(self.status().await)),
            Request::Upgrade => self.upgrade().await,
            Request::TakeOver(_) | Request::Pass(_) => Err("that is a conversation".to_owned()),
            Request::CacheBooks => {
                self.index().write_books().await;
                Ok(Answer::CacheBooks)
            }
            Request::CachePurge(part) => {
                let purged = self.index().purge(part.selection()?).await.map_err(|why| why.to_string())?;
                tracing::info!(files = purged.files(), bytes = purged.bytes(), "purged a part of the cache");
                Ok(Answer::CachePurged(purged.into()))
            }
        }
    }

    async fn status(&self) -> Status {
        let (cached_files, cached_bytes) = self.index().disk_totals().await;
        Status {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: self.standing.started,
            addresses: self.addresses.clone(),
            format: self.standing.format,
            cached_files,
            cached_bytes,
            trouble: self.index().ready().await.err().map(|why| why.to_string()),
        }
    }

    async fn upgrade(&self) -> Result<Answer, String> {
        let (sender, told) = oneshot::channel();
        let ended = || "the server is ending".to_owned();
        self.events.send(Event::Upgrade(sender)).await.map_err(|_| ended())?;
        told.await.map_err(|_| ended())?.map(|()| Answer::Upgraded)
    }
}

fn misheard(why: &LineError) -> String {
    format!("the running server, version {}, was asked what it cannot answer: {why}", env!("CARGO_PKG_VERSION"))
}
