use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, watch};

/// What becomes of the next request of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is answered here.
    Serve,
    /// It waits: who answers is being decided.
    Wait,
    /// Another process serves now, and answers it.
    Pass,
    /// It is answered here, and is the last of its connection.
    Last,
}

/// Where every request passes, so that a handover finds a moment in which nobody writes.
pub struct Gate {
    turn: watch::Sender<Turn>,
    /// Read by every request that writes; fair, so that who waits for silence gets it.
    writes: Arc<RwLock<()>>,
    /// Whether the data directory was changed by a newer version: then nothing is written here any more.
    closed: AtomicBool,
    /// The data directory whose server answers what is passed on.
    successor: Mutex<Option<PathBuf>>,
}

/// Held while a request that writes does so.
pub type Writing = OwnedRwLockReadGuard<()>;

/// Held while nobody writes.
pub type Silence = OwnedRwLockWriteGuard<()>;

/// What a request may do.
pub enum Entered {
    Here(Option<Writing>),
    /// The server of this data directory answers it.
    Elsewhere(PathBuf),
    /// It wants to write, which only a newer version can here.
    Closed,
}

impl Turn {
    /// Whether the connection ends soon.
    pub fn ends(self) -> bool {
        matches!(self, Self::Pass | Self::Last)
    }
}

impl Gate {
    pub fn new() -> Self {
        Self {
            turn: watch::Sender::new(Turn::Serve),
            writes: Arc::default(),
            closed: AtomicBool::new(false),
            successor: Mutex::default(),
        }
    }

    pub fn turn(&self) -> watch::Receiver<Turn> {
        self.turn.subscribe()
    }

    /// Lets a request in, when it is known who answers.
    pub async fn enter(&self, turn: &mut watch::Receiver<Turn>, writes: bool) -> Entered {
        loop {
            let writing = match writes {
                true => Some(Arc::clone(&self.writes).read_owned().await),
                false => None,
            };
            match *turn.borrow_and_update() {
                Turn::Serve | Turn::Last if writes && self.closed.load(Ordering::Relaxed) => return Entered::Closed,
                Turn::Serve | Turn::Last => return Entered::Here(writing),
                Turn::Wait => {}
                Turn::Pass => {
                    let successor = self.successor.lock().clone();
                    return successor.map_or(Entered::Here(writing), Entered::Elsewhere);
                }
            }
            drop(writing);
            // The gate lives as long as its connections.
            let _ = turn.changed().await;
        }
    }

    /// Lets no new write in, and waits until the running ones have ended.
    pub async fn silence(&self, patience: Duration) -> Option<Silence> {
        tokio::time::timeout(patience, Arc::clone(&self.writes).write_owned()).await.ok()
    }

    /// Every request waits from now on.
    pub fn wait(&self) {
        self.turn.send_replace(Turn::Wait);
    }

    /// Requests are answered here again; those that write only where `writable`.
    pub fn resume(&self, writable: bool) {
        self.closed.store(!writable, Ordering::Relaxed);
        self.turn.send_if_modified(|turn| {
            let waits = *turn == Turn::Wait;
            *turn = if waits { Turn::Serve } else { *turn };
            waits
        });
    }

    /// Requests go to the server of this data directory from now on.
    pub fn pass_to(&self, data: PathBuf) {
        *self.successor.lock() = Some(data);
        self.turn.send_replace(Turn::Pass);
    }

    /// Each connection has one more request at most; who is passed on already still is.
    pub fn last(&self) {
        self.turn.send_if_modified(|turn| {
            let here = *turn != Turn::Pass;
            *turn = if here { Turn::Last } else { *turn };
            here
        });
    }
}
