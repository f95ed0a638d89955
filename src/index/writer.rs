use super::fill::FileLeader;
use crate::cache::{Disk, DiskError, DiskFile, Spool, SpoolError};
use crate::names::Sha256;
use bytes::Bytes;
use std::iter;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

/// Bytes of one transfer that wait to be written, at most: bounds memory, and lets the network go on while the disk
/// and the hash work.
const WAITING_BYTES_MAX: u32 = 512 * 1024;

/// Pieces that are written in one go, at most.
const BATCH_PIECES_MAX: usize = 64;

/// A thread that writes and hashes the pieces of one transfer, tells the followers how far it is, and publishes the file
/// at its end: each thread more is one more that has to be woken before the last byte leaves.
pub struct Writer {
    // Unbounded in number, bounded in bytes by the semaphore.
    orders: mpsc::UnboundedSender<Order>,
    room: Arc<Semaphore>,
    thread: JoinHandle<Result<Landed, SpoolError>>,
    handed: u64,
}

enum Order {
    Write(Waiting),
    Land(Promise),
}

struct Waiting {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

/// What the page or upstream said of the whole.
struct Promise {
    size: Option<u64>,
    sha256: Option<Sha256>,
    disk: Arc<Disk>,
}

/// A file that arrived whole and is what was promised.
pub struct Landed {
    pub digest: Sha256,
    pub len: u64,
    /// Under its final name, or why it has none.
    pub file: Result<DiskFile, DiskError>,
}

impl Writer {
    pub fn start(spool: Spool, leader: Arc<FileLeader>) -> Self {
        let (orders, given) = mpsc::unbounded_channel();
        let thread = tokio::task::spawn_blocking(move || carry_out(spool, &leader, given));
        Self { orders, room: Arc::new(Semaphore::new(WAITING_BYTES_MAX as usize)), thread, handed: 0 }
    }

    /// Hands over a piece, waiting for room; `false` when the disk has failed: [`Writer::land`] says how.
    pub async fn write(&mut self, bytes: Bytes) -> bool {
        self.handed += bytes.len() as u64;
        let want = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(WAITING_BYTES_MAX);
        let Ok(room) = Arc::clone(&self.room).acquire_many_owned(want).await else { return false };
        self.orders.send(Order::Write(Waiting { bytes, _room: room })).is_ok()
    }

    /// Bytes handed over so far.
    pub fn handed(&self) -> u64 {
        self.handed
    }

    /// Waits until everything handed over is written; how much that is.
    pub async fn settled(&self) -> u64 {
        let _all = self.room.acquire_many(WAITING_BYTES_MAX).await;
        self.handed
    }

    /// Waits for the rest, checks the whole against what was promised and gives it its name. Dropped instead, what was
    /// written goes.
    pub async fn land(self, disk: &Arc<Disk>, size: Option<u64>, sha256: Option<Sha256>) -> Result<Landed, SpoolError> {
        let _ = self.orders.send(Order::Land(Promise { size, sha256, disk: Arc::clone(disk) }));
        drop(self.orders);
        self.thread.await.unwrap_or_else(|_| Err(ended("the writing thread ended")))
    }
}

fn carry_out(
    mut spool: Spool,
    leader: &FileLeader,
    mut given: mpsc::UnboundedReceiver<Order>,
) -> Result<Landed, SpoolError> {
    let mut batch = Vec::with_capacity(BATCH_PIECES_MAX);
    // The first piece goes to the followers alone: they wait for the first byte, not for as many as have come.
    let mut at_once = 1;
    while let Some(first) = given.blocking_recv() {
        let mut promise = None;
        let come = iter::once(first).chain(iter::from_fn(|| given.try_recv().ok()));
        for order in come.take(at_once) {
            match order {
                Order::Write(piece) => {
                    spool.append(&piece.bytes)?;
                    batch.push(piece);
                }
                Order::Land(told) => promise = Some(told),
            }
        }
        // Who waits for these bytes has them before they are hashed; the last ones wait for the digest.
        leader.wrote_up_to(spool.written());
        for piece in batch.drain(..) {
            spool.hash(&piece.bytes);
        }
        at_once = BATCH_PIECES_MAX;
        if let Some(Promise { size, sha256, disk }) = promise {
            let (digest, len) = (spool.verify(size, sha256)?, spool.written());
            return Ok(Landed { digest, len, file: spool.publish(&disk, digest) });
        }
    }
    Err(ended("the transfer was given up"))
}

fn ended(why: &str) -> SpoolError {
    SpoolError::Disk(DiskError::Unwritable(std::io::Error::other(why)))
}
