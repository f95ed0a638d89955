use super::{Content, UploadError};
use crate::cache::{Disk, DiskError, Spool};
use std::mem;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Bytes that are hashed and written in one go. Two such batches are in memory at most: one is written while the next
/// arrives.
const BATCH_BYTES: usize = 512 * 1024;

/// The content of an upload on its way to a temporary file, written off the workers. Dropped, the file is gone.
pub struct Writing {
    disk: Arc<Disk>,
    batch: Vec<u8>,
    under_way: Option<JoinHandle<Result<Written, DiskError>>>,
    size: u64,
    size_max: u64,
}

/// The file, and the emptied batch to be filled again.
type Written = (Spool, Vec<u8>);

impl Writing {
    pub fn new(disk: &Arc<Disk>, size_max: u64) -> Self {
        Self { disk: Arc::clone(disk), batch: Vec::new(), under_way: None, size: 0, size_max }
    }

    pub async fn write(&mut self, piece: &[u8]) -> Result<(), UploadError> {
        self.size += piece.len() as u64;
        if self.size > self.size_max {
            return Err(UploadError::TooLarge { what: "the file", limit: self.size_max });
        }
        self.batch.extend_from_slice(piece);
        if self.batch.len() >= BATCH_BYTES { self.flush().await } else { Ok(()) }
    }

    pub async fn finish(mut self, filename: String) -> Result<Content, UploadError> {
        self.flush().await?;
        let spool = match self.under_way {
            Some(write) => ended(write).await?.0,
            None => return Err(DiskError::Unwritable(std::io::ErrorKind::NotFound.into()).into()),
        };
        let (sha256, size) = (spool.digest(), spool.written());
        Ok(Content { filename, spool, sha256, size })
    }

    /// Waits for the batch before, and hands this one over.
    async fn flush(&mut self) -> Result<(), UploadError> {
        let (spool, empty) = match self.under_way.take() {
            Some(write) => ended(write).await.map(|(spool, batch)| (Some(spool), batch))?,
            None => (None, Vec::new()),
        };
        let batch = mem::replace(&mut self.batch, empty);
        let disk = Arc::clone(&self.disk);
        self.under_way = Some(tokio::task::spawn_blocking(move || write_batch(&disk, spool, batch)));
        Ok(())
    }
}

fn write_batch(disk: &Disk, spool: Option<Spool>, mut batch: Vec<u8>) -> Result<Written, DiskError> {
    let mut spool = match spool {
        Some(spool) => spool,
        None => Spool::create(disk)?,
    };
    spool.write(&batch)?;
    batch.clear();
    Ok((spool, batch))
}

async fn ended<T>(write: JoinHandle<Result<T, DiskError>>) -> Result<T, DiskError> {
    match write.await {
        Ok(written) => written,
        Err(_) => Err(DiskError::Unwritable(std::io::Error::other("the writing thread ended"))),
    }
}
