use super::fill::FileLeader;
use crate::cache::{DiskError, Spool};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

/// Bytes of one transfer that wait to be written, at most: bounds memory, and lets the network go on while the disk
/// and the hash work.
const WAITING_BYTES_MAX: u32 = 512 * 1024;

/// Pieces that are written in one go, at most.
const BATCH_PIECES_MAX: usize = 64;

/// A thread that hashes and writes the pieces of one transfer, and tells the followers how far it is.
pub struct Writer {
    // Unbounded in number, bounded in bytes by the semaphore.
    pieces: mpsc::UnboundedSender<Waiting>,
    room: Arc<Semaphore>,
    thread: JoinHandle<Result<Spool, DiskError>>,
    handed: u64,
}

struct Waiting {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl Writer {
    pub fn start(spool: Spool, leader: Arc<FileLeader>) -> Self {
        let (pieces, waiting) = mpsc::unbounded_channel();
        let thread = tokio::task::spawn_blocking(move || write_all(spool, &leader, waiting));
        Self { pieces, room: Arc::new(Semaphore::new(WAITING_BYTES_MAX as usize)), thread, handed: 0 }
    }

    /// Hands over a piece, waiting for room; `false` when the disk has failed: [`Writer::finish`] says how.
    pub async fn write(&mut self, bytes: Bytes) -> bool {
        self.handed += bytes.len() as u64;
        let want = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(WAITING_BYTES_MAX);
        let Ok(room) = Arc::clone(&self.room).acquire_many_owned(want).await else { return false };
        self.pieces.send(Waiting { bytes, _room: room }).is_ok()
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

    /// Waits for the rest; the spool as it is then.
    pub async fn finish(self) -> Result<Spool, DiskError> {
        drop(self.pieces);
        match self.thread.await {
            Ok(spool) => spool,
            Err(_) => Err(DiskError::Unwritable(std::io::Error::other("the writing thread ended"))),
        }
    }
}

fn write_all(
    mut spool: Spool,
    leader: &FileLeader,
    mut waiting: mpsc::UnboundedReceiver<Waiting>,
) -> Result<Spool, DiskError> {
    let mut batch = Vec::with_capacity(BATCH_PIECES_MAX);
    while let Some(first) = waiting.blocking_recv() {
        batch.push(first);
        while batch.len() < BATCH_PIECES_MAX
            && let Ok(next) = waiting.try_recv()
        {
            batch.push(next);
        }
        for piece in batch.drain(..) {
            spool.write(&piece.bytes)?;
        }
        leader.wrote_up_to(spool.written());
    }
    Ok(spool)
}
