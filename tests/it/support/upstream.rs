//! A scripted upstream: a simple index and its files on 127.0.0.1, that counts what it is asked and can break every
//! rule. It writes HTTP/1.1 by hand, because a library would not let it misbehave.
//!
//! It serves `/simple/`, `/simple/{project}/` (JSON or HTML by Accept), `/files/{filename}`, `….metadata`, and whatever
//! [`Upstream::put`] gives it. It stops, and its connections die, when it is dropped.

mod answer;
mod connection;
mod misbehaviour;
mod project;

pub use misbehaviour::Misbehaviour;
pub use project::ProjectScript;

use answer::Reply;
use bytes::Bytes;
use connection::serve;
use project::Project;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

pub struct Upstream {
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    address: SocketAddr,
    script: Mutex<Script>,
    /// Changes whenever all connections shall die; true while new ones die too.
    down: watch::Sender<bool>,
    connections: watch::Sender<usize>,
    /// Changes with every request.
    asked: watch::Sender<()>,
}

/// All that may be changed while it runs.
#[derive(Default)]
struct Script {
    projects: BTreeMap<String, Project>,
    files: HashMap<String, Bytes>,
    raw: HashMap<String, Reply>,
    once: HashMap<String, VecDeque<Misbehaviour>>,
    always: HashMap<String, Misbehaviour>,
    gates: HashMap<String, Held>,
    seen: Vec<Seen>,
    serial: u64,
    no_etags: bool,
    cache_control: Option<String>,
    credentials: Option<String>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    /// Without the query.
    pub path: String,
    pub query: Option<String>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Which connection, counted from 0.
    pub connection: usize,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Holds answers back until it is released or dropped.
pub struct Gate {
    open: watch::Sender<bool>,
    waiting: watch::Receiver<usize>,
}

#[derive(Clone)]
struct Held {
    /// Body bytes sent before the answer waits; none: it waits before its head.
    after: Option<usize>,
    open: watch::Receiver<bool>,
    waiting: watch::Sender<usize>,
}

impl Gate {
    pub fn release(&self) {
        self.open.send_replace(true);
    }

    /// Returns when `count` answers have come to the gate.
    pub async fn reached(&self, count: usize) {
        self.waiting.clone().wait_for(|waiting| *waiting >= count).await.unwrap();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.release();
    }
}

impl Held {
    async fn wait(mut self) {
        self.waiting.send_modify(|waiting| *waiting += 1);
        let _ = self.open.wait_for(|open| *open).await;
    }
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Arc::new(Shared {
            address: listener.local_addr().unwrap(),
            script: Mutex::default(),
            down: watch::Sender::new(false),
            connections: watch::Sender::new(0),
            asked: watch::Sender::new(()),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { shared, accepting }
    }

    /// `http://127.0.0.1:PORT/simple/`
    pub fn base(&self) -> String {
        self.url("/simple/")
    }

    /// `http://127.0.0.1:PORT`
    pub fn origin(&self) -> String {
        self.url("")
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.shared.address)
    }

    pub fn port(&self) -> u16 {
        self.shared.address.port()
    }

    /// A project to fill, made when it is not there.
    pub fn project(&self, name: &str) -> ProjectScript<'_> {
        ProjectScript::new(self, name)
    }

    pub fn remove_project(&self, name: &str) {
        let mut script = self.script();
        script.projects.remove(name);
        script.serial += 1;
    }

    /// Any other path's answer.
    pub fn put(&self, path: &str, content_type: &str, body: impl Into<Bytes>) {
        self.script().raw.insert(path.to_owned(), Reply::ok(content_type, body));
    }

    /// Other bytes under a file's name, while the page keeps what it says of them.
    pub fn change_bytes(&self, filename: &str, bytes: impl Into<Bytes>) {
        self.script().files.insert(format!("/files/{filename}"), bytes.into());
    }

    /// The next request of this path (or page of this project) is answered so; further calls queue up.
    pub fn misbehave(&self, path_or_project: &str, how: Misbehaviour) {
        self.script().once.entry(path_of(path_or_project)).or_default().push_back(how);
    }

    pub fn misbehave_times(&self, path_or_project: &str, times: usize, how: Misbehaviour) {
        (0..times).for_each(|_| self.misbehave(path_or_project, how.clone()));
    }

    /// All requests of this path are answered so once its queue is empty, until [`Self::behave`].
    pub fn misbehave_always(&self, path_or_project: &str, how: Misbehaviour) {
        self.script().always.insert(path_of(path_or_project), how);
    }

    pub fn behave(&self, path_or_project: &str) {
        let mut script = self.script();
        script.once.remove(&path_of(path_or_project));
        script.always.remove(&path_of(path_or_project));
    }

    /// Answers of this path wait before their head.
    pub fn hold(&self, path_or_project: &str) -> Gate {
        self.gate(path_or_project, None)
    }

    /// Answers of this path wait after their head and so many bytes of body.
    pub fn hold_after(&self, path_or_project: &str, bytes: usize) -> Gate {
        self.gate(path_or_project, Some(bytes))
    }

    fn gate(&self, path_or_project: &str, after: Option<usize>) -> Gate {
        let (open, seen_open) = watch::channel(false);
        let (reached, waiting) = watch::channel(0);
        let held = Held { after, open: seen_open, waiting: reached };
        self.script().gates.insert(path_of(path_or_project), held);
        Gate { open, waiting }
    }

    /// While down, connections are reset at once, those that stand too.
    pub fn set_down(&self, down: bool) {
        self.shared.down.send_replace(down);
    }

    /// Resets the connections that stand; new ones are served.
    pub fn kill_connections(&self) {
        self.shared.down.send_modify(|_| {});
    }

    /// Whether pages and files have an ETag (they do) and 304 is answered.
    pub fn set_etags(&self, on: bool) {
        self.script().no_etags = !on;
    }

    /// The Cache-Control of pages; none at first.
    pub fn set_cache_control(&self, value: Option<&str>) {
        self.script().cache_control = value.map(str::to_owned);
    }

    /// The only `Authorization` that is not answered with 401.
    pub fn require(&self, authorization: &str) {
        self.script().credentials = Some(authorization.to_owned());
    }

    pub fn requests(&self) -> Vec<Seen> {
        self.script().seen.clone()
    }

    /// Requests of this path, of any method.
    pub fn count(&self, path: &str) -> usize {
        self.script().seen.iter().filter(|seen| seen.path == path).count()
    }

    pub fn count_prefix(&self, prefix: &str) -> usize {
        self.script().seen.iter().filter(|seen| seen.path.starts_with(prefix)).count()
    }

    pub fn forget_requests(&self) {
        self.script().seen.clear();
    }

    /// Returns when `count` requests of this path have come.
    pub async fn asked(&self, path: &str, count: usize) {
        let mut asked = self.shared.asked.subscribe();
        asked.wait_for(|()| self.count(path) >= count).await.unwrap();
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        *self.shared.connections.borrow()
    }

    /// Asserts that nobody ever connected, also not a moment ago: a connection of our own is taken in its turn, so all
    /// earlier ones have been counted when it is.
    pub async fn assert_untouched(&self) {
        let ours = TcpStream::connect(self.shared.address).await.unwrap();
        let mut connections = self.shared.connections.subscribe();
        let at = ours.local_addr().unwrap();
        let counted = *connections.wait_for(|count| *count > 0).await.unwrap();
        assert_eq!(counted, 1, "somebody connected to the canary besides {at}");
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.shared.script()
    }
}

impl Shared {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn path_of(path_or_project: &str) -> String {
    if path_or_project.starts_with('/') { path_or_project.to_owned() } else { format!("/simple/{path_or_project}/") }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Aborted with this task, when the upstream is dropped.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let number = *shared.connections.borrow();
        shared.connections.send_modify(|count| *count += 1);
        let mut down = shared.down.subscribe();
        if *down.borrow_and_update() {
            let _ = stream.set_zero_linger();
            continue;
        }
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let mut stream = stream;
            let _ = stream.set_nodelay(true);
            tokio::select! {
                () = serve(&mut stream, &shared, number) => {}
                _ = down.changed() => { let _ = stream.set_zero_linger(); }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}
