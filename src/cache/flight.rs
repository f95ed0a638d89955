//! A file that is arriving: one leader fills it, any number of followers read what is there.
//!
//! The state is plain and pure ([`FlightState`]); the rest only waits and wakes. A leader that vanishes is a failure,
//! never an end of file. A failure wakes everybody at once and is then forgotten: the next asker leads anew.

use super::DiskFile;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fs::File;
use std::hash::Hash;
use std::sync::Arc;
use tokio::sync::watch;

/// The last bytes of an unverified file are not let out until its digest agrees: this many, or the whole of a
/// smaller file. A cut connection is then the only way that wrong bytes can end (trust T1).
const HOLD_BACK_BYTES: u64 = 64 * 1024;

/// How many bytes at the end of a file of `len` bytes wait for the digest.
pub fn hold_back(len: u64) -> u64 {
    HOLD_BACK_BYTES.min(len)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is known yet.
    Connecting,
    /// `written` bytes are in the file; `len` is told by upstream or by the page.
    Writing {
        len: Option<u64>,
        written: u64,
    },
    /// Whole and verified.
    Done {
        len: u64,
    },
    Failed(Failure),
}

/// Why a flight failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("upstream says that the file does not exist")]
    Missing,
    #[error("the bytes do not have the digest or the size that the page promised")]
    Wrong,
    #[error("the file in the cache was damaged and has been set aside")]
    Damaged,
    #[error("upstream answered with status {0}")]
    Status(u16),
    #[error("upstream broke off")]
    Broken,
    #[error("upstream did not answer in time")]
    Timeout,
    #[error("upstream's address is not allowed")]
    Refused,
    #[error("too many files are being fetched")]
    Busy,
    #[error("the cache directory cannot be written")]
    Disk,
    #[error("the fetch was abandoned")]
    Vanished,
}

/// The pure state of a flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlightState(Progress);

impl FlightState {
    pub const fn new() -> Self {
        Self(Progress::Connecting)
    }

    pub fn progress(&self) -> Progress {
        self.0
    }

    /// The length is known, or known to be unknown; nothing is written yet.
    pub fn begin(&mut self, len: Option<u64>) {
        if self.0 == Progress::Connecting {
            self.0 = Progress::Writing { len, written: 0 };
        }
    }

    /// `bytes` more are in the file.
    pub fn wrote(&mut self, bytes: u64) {
        if let Progress::Writing { written, .. } = &mut self.0 {
            *written += bytes;
        }
    }

    pub fn written(&self) -> u64 {
        match self.0 {
            Progress::Writing { written, .. } => written,
            Progress::Done { len } => len,
            Progress::Connecting | Progress::Failed(_) => 0,
        }
    }

    /// Starts over, allowed only while no follower could have read a byte; says whether it was.
    pub fn rewind(&mut self) -> bool {
        let untouched = self.readable() == 0 && !self.ended();
        if untouched {
            self.0 = Progress::Connecting;
        }
        untouched
    }

    /// All bytes are there and verified. A flight that failed stays failed.
    pub fn finish(&mut self) {
        if let Progress::Writing { len, written } = self.0 {
            self.0 = match len {
                Some(len) if len != written => Progress::Failed(Failure::Wrong),
                _ => Progress::Done { len: written },
            };
        }
    }

    pub fn fail(&mut self, why: Failure) {
        if !self.ended() {
            self.0 = Progress::Failed(why);
        }
    }

    pub fn ended(&self) -> bool {
        matches!(self.0, Progress::Done { .. } | Progress::Failed(_))
    }

    /// How many bytes from the start a follower may send now.
    pub fn readable(&self) -> u64 {
        match self.0 {
            Progress::Done { len } => len,
            // Without a length no answer can carry Content-Length: the follower waits for the end.
            Progress::Writing { len: Some(len), written } => written.min(len - hold_back(len)),
            _ => 0,
        }
    }
}

impl Default for FlightState {
    fn default() -> Self {
        Self::new()
    }
}

/// A flight under way, as followers know it. Cheap to clone.
#[derive(Clone)]
pub struct Flight {
    state: watch::Receiver<FlightState>,
    file: Arc<Mutex<Option<Arc<File>>>>,
    /// One clone in the map, and one with each who follows.
    crowd: Arc<()>,
    began_ms: u64,
}

/// How far a flight is, for who looks on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub progress: Progress,
    pub followers: usize,
    /// When it began, on the clock of who asked first.
    pub began_ms: u64,
}

/// A position in a flight.
pub struct Follower {
    flight: Flight,
    at: u64,
}

impl Flight {
    /// Waits until the first bytes may be sent or the flight ended; the length is then known.
    pub async fn ready(&self) -> Result<u64, Failure> {
        let mut state = self.state.clone();
        let state = state.wait_for(|s| s.readable() > 0 || s.ended()).await.map(|s| *s);
        match state.map(|s| s.progress()) {
            Ok(Progress::Done { len } | Progress::Writing { len: Some(len), .. }) => Ok(len),
            Ok(Progress::Failed(why)) => Err(why),
            Ok(_) | Err(_) => Err(Failure::Vanished),
        }
    }

    /// Waits for the end; the length of the verified file.
    pub async fn done(&self) -> Result<u64, Failure> {
        let mut state = self.state.clone();
        let state = state.wait_for(FlightState::ended).await.map(|s| *s);
        match state.map(|s| s.progress()) {
            Ok(Progress::Done { len }) => Ok(len),
            Ok(Progress::Failed(why)) => Err(why),
            Ok(_) | Err(_) => Err(Failure::Vanished),
        }
    }

    pub fn follow(&self) -> Follower {
        Follower { flight: self.clone(), at: 0 }
    }

    /// The file that grows; it stays readable for who holds it, whatever becomes of its name.
    pub fn file(&self) -> Option<Arc<File>> {
        self.file.lock().clone()
    }
}

impl Follower {
    /// Waits for more bytes: the file and the range of it that may be sent now. `None` at the verified end.
    pub async fn next(&mut self) -> Result<Option<(Arc<File>, std::ops::Range<u64>)>, Failure> {
        let at = self.at;
        let state = self.flight.state.wait_for(|s| s.readable() > at || s.ended()).await.map(|s| *s);
        let state = state.map_err(|_| Failure::Vanished)?;
        match state.progress() {
            Progress::Failed(why) => Err(why),
            Progress::Done { len } if at >= len => Ok(None),
            _ => {
                let file = self.flight.file().ok_or(Failure::Vanished)?;
                self.at = state.readable();
                Ok(Some((file, at..self.at)))
            }
        }
    }

    /// How far this follower has been let read.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// See [`Flight::file`].
    pub fn file(&self) -> Option<Arc<File>> {
        self.flight.file()
    }
}

/// The flights under way, one per key.
pub struct Flights<K: Eq + Hash + Clone>(Arc<Mutex<HashMap<K, Flight>>>);

/// What asking for a flight gave.
pub enum Joined<K: Eq + Hash + Clone> {
    /// Somebody fills it already.
    Follows(Flight),
    /// The asker must see to it that the leader is run.
    Leads(Leader<K>, Flight),
}

impl<K: Eq + Hash + Clone> Flights<K> {
    pub fn new() -> Self {
        Self(Arc::default())
    }

    /// Joins the flight of `key`, or starts it `now_ms`.
    pub fn join(&self, key: &K, now_ms: u64) -> Joined<K> {
        let mut flights = self.0.lock();
        if let Some(flight) = flights.get(key) {
            return Joined::Follows(flight.clone());
        }
        let (state, receiver) = watch::channel(FlightState::new());
        let flight = Flight { state: receiver, file: Arc::default(), crowd: Arc::default(), began_ms: now_ms };
        flights.insert(key.clone(), flight.clone());
        let leader = Leader {
            state,
            file: Arc::clone(&flight.file),
            claim: Claim { flights: Arc::clone(&self.0), key: key.clone(), file: Arc::clone(&flight.file) },
        };
        Joined::Leads(leader, flight)
    }

    /// The flights under way, in no order.
    pub fn standings(&self) -> Vec<(K, Standing)> {
        let standing = |flight: &Flight| Standing {
            progress: flight.state.borrow().progress(),
            followers: Arc::strong_count(&flight.crowd).saturating_sub(1),
            began_ms: flight.began_ms,
        };
        self.0.lock().iter().map(|(key, flight)| (key.clone(), standing(flight))).collect()
    }

    /// How many flights are under way.
    pub fn running(&self) -> usize {
        self.0.lock().len()
    }
}

impl<K: Eq + Hash + Clone> Default for Flights<K> {
    fn default() -> Self {
        Self::new()
    }
}

/// The duty to fill a flight. Dropping it without [`Leader::finish`] tells the followers that the flight failed.
pub struct Leader<K: Eq + Hash + Clone> {
    state: watch::Sender<FlightState>,
    file: Arc<Mutex<Option<Arc<File>>>>,
    claim: Claim<K>,
}

impl<K: Eq + Hash + Clone> Leader<K> {
    /// The length is known (or not); `file` is what followers read.
    pub fn begin(&self, len: Option<u64>, file: Arc<File>) {
        *self.file.lock() = Some(file);
        self.change(|s| s.begin(len));
    }

    /// `bytes` more are in the file.
    pub fn wrote(&self, bytes: u64) {
        self.change(|s| s.wrote(bytes));
    }

    /// All of the first `total` bytes are in the file.
    pub fn wrote_up_to(&self, total: u64) {
        self.change(|s| s.wrote(total.saturating_sub(s.written())));
    }

    /// Wakes the followers only when there is more for them to read.
    fn change(&self, change: impl FnOnce(&mut FlightState)) {
        self.state.send_if_modified(|s| {
            let before = s.readable();
            change(s);
            s.readable() != before
        });
    }

    /// See [`FlightState::rewind`].
    pub fn rewind(&self) -> bool {
        let mut rewound = false;
        self.state.send_if_modified(|s| {
            rewound = s.rewind();
            false
        });
        rewound
    }

    /// The file is whole, verified, and under its final name: who comes now finds it there.
    pub fn finish(&self, file: Option<DiskFile>) {
        if let Some(file) = file {
            *self.file.lock() = Some(file.file);
        }
        self.claim.release();
        self.state.send_modify(FlightState::finish);
    }

    /// Wakes everybody with `why`; who asks next starts anew.
    pub fn fail(&self, why: Failure) {
        self.claim.release();
        self.state.send_modify(|s| s.fail(why));
    }

    pub fn state(&self) -> FlightState {
        *self.state.borrow()
    }
}

impl<K: Eq + Hash + Clone> Drop for Leader<K> {
    fn drop(&mut self) {
        self.claim.release();
        self.state.send_if_modified(|s| {
            let open = !s.ended();
            s.fail(Failure::Vanished);
            open
        });
    }
}

/// The place in the map; released before the end is told, so that no late asker joins an ended flight.
struct Claim<K: Eq + Hash + Clone> {
    flights: Arc<Mutex<HashMap<K, Flight>>>,
    key: K,
    /// Tells this flight from a later one of the same key.
    file: Arc<Mutex<Option<Arc<File>>>>,
}

impl<K: Eq + Hash + Clone> Claim<K> {
    fn release(&self) {
        let mut flights = self.flights.lock();
        // The leader lives on after the end, keeping books; by then the place may be another's.
        if flights.get(&self.key).is_some_and(|flight| Arc::ptr_eq(&flight.file, &self.file)) {
            flights.remove(&self.key);
        }
    }
}

#[cfg(test)]
#[path = "flight/tests.rs"]
mod tests;
