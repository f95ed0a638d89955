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

/// The same of all transfers together: four are as fast as they can be, and many need no more memory than these.
pub(super) const ALL_WAITING_BYTES_MAX: usize = 4 * WAITING_BYTES_MAX as usize;

/// Pieces that are written in one go, at most.
const BATCH_PIECES_MAX: usize = 64;

/// A thread that writes and hashes the pieces of one transfer, tells the followers how far it is, and publishes the file
/// at its end: each thread more is one more that has to be woken before the last byte leaves.
pub struct Writer {
    // Unbounded in number, bounded in bytes by the semaphores.
    orders: mpsc::UnboundedSender<Order>,
    /// Its own room for what waits: none until the thread runs, so that what all share is held only by who goes on.
    room: Arc<Semaphore>,
    shared: Arc<Semaphore>,
    thread: JoinHandle<Result<Landed, SpoolError>>,
    handed: u64,
}

enum Order {
    Write(Waiting),
    Land(Promise),
}

struct Waiting {
    bytes: Bytes,
    _room: [OwnedSemaphorePermit; 2],
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
    /// `shared`: room of [`ALL_WAITING_BYTES_MAX`] for what waits in all writers.
    pub fn start(spool: Spool, leader: Arc<FileLeader>, shared: &Arc<Semaphore>) -> Self {
        let (orders, given) = mpsc::unbounded_channel();
        let (room, shared) = (Arc::new(Semaphore::new(0)), Arc::clone(shared));
        let opened = Arc::clone(&room);
        let thread = tokio::task::spawn_blocking(move || {
            opened.add_permits(WAITING_BYTES_MAX as usize);
            carry_out(spool, &leader, given)
        });
        Self { orders, room, shared, thread, handed: 0 }
    }

    /// Hands over a piece, waiting for room; `false` when the disk has failed: [`Writer::land`] says how.
    pub async fn write(&mut self, bytes: Bytes) -> bool {
        self.handed += bytes.len() as u64;
        let want = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(WAITING_BYTES_MAX);
        let Ok(own) = Arc::clone(&self.room).acquire_many_owned(want).await else { return false };
        let Ok(shared) = Arc::clone(&self.shared).acquire_many_owned(want).await else { return false };
        self.orders.send(Order::Write(Waiting { bytes, _room: [own, shared] })).is_ok()
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
    while let Some(first) = given.blocking_recv() {
        let mut promise = None;
        let come = iter::once(first).chain(iter::from_fn(|| given.try_recv().ok()));
        for order in come.take(BATCH_PIECES_MAX) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Flights, Joined};
    use crate::index::keys::FlightKey;
    use crate::names::{DistFilename, IndexName};
    use futures_util::FutureExt;
    use sha2::Digest;

    #[tokio::test]
    async fn what_waits_in_all_transfers_has_one_room() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Arc::new(Disk::open(directory.path()).unwrap());
        let key = FlightKey {
            index: IndexName::parse("root/pypi").unwrap(),
            url: "https://files.example/demo-1.tar.gz".into(),
            digest: None,
            filename: DistFilename::parse("demo-1.tar.gz").unwrap(),
        };
        let Joined::Leads(leader, _) = Flights::new().join(&key, 0) else { panic!("nobody else leads") };
        let all = u32::try_from(ALL_WAITING_BYTES_MAX).unwrap();
        let shared = Arc::new(Semaphore::new(ALL_WAITING_BYTES_MAX));
        let others = Arc::clone(&shared).acquire_many_owned(all).await.unwrap();
        let mut writer = Writer::start(Spool::create(&disk).unwrap(), Arc::new(leader), &shared);
        drop(writer.room.acquire().await.unwrap());
        {
            let mut writing = std::pin::pin!(writer.write(Bytes::from_static(b"piece")));
            assert!((&mut writing).now_or_never().is_none(), "the others hold all the room");
            drop(others);
            assert!(writing.await);
        }
        let digest = Sha256::from_bytes(sha2::Sha256::digest(b"piece").into());
        let landed = writer.land(&disk, Some(5), Some(digest)).await.unwrap();
        assert_eq!((landed.len, landed.digest), (5, digest));
        assert_eq!(shared.available_permits(), ALL_WAITING_BYTES_MAX, "what is written waits no more");
    }
}
