use super::{Disk, DiskError, DiskFile, Shelf, TempFile};
use crate::names::Sha256;
use sha2::Digest;
use std::fs::File;
use std::sync::Arc;

/// A file on its way to the disk: written and hashed in order, published only when the digest agrees.
///
/// All methods block; they run on a thread that may.
pub struct Spool {
    temp: TempFile,
    hasher: sha2::Sha256,
    written: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("the digest is {found}, not {expected}")]
    WrongDigest { expected: Sha256, found: Sha256 },
    #[error("{found} bytes arrived, not {expected}")]
    WrongSize { expected: u64, found: u64 },
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Spool {
    pub fn create(disk: &Disk) -> Result<Self, DiskError> {
        Ok(Self { temp: disk.create_temp()?, hasher: sha2::Sha256::new(), written: 0 })
    }

    /// What followers read while it grows.
    pub fn file(&self) -> Arc<File> {
        self.temp.file()
    }

    /// Appends a piece; on an error none of it counts as written.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), DiskError> {
        self.append(piece)?;
        self.hash(piece);
        Ok(())
    }

    /// The first half of [`write`](Self::write), for who has readers that wait: the piece goes to [`hash`](Self::hash) next,
    /// and in the same order.
    pub fn append(&mut self, piece: &[u8]) -> Result<(), DiskError> {
        self.temp.write_at(piece, self.written)?;
        self.written += piece.len() as u64;
        Ok(())
    }

    /// The second half of [`write`](Self::write).
    pub fn hash(&mut self, piece: &[u8]) {
        self.hasher.update(piece);
    }

    pub fn written(&self) -> u64 {
        self.written
    }

    /// The digest so far.
    pub fn digest(&self) -> Sha256 {
        Sha256::from_bytes(self.hasher.clone().finalize().into())
    }

    /// Checks what arrived against what was promised.
    pub fn verify(&self, size: Option<u64>, digest: Option<Sha256>) -> Result<Sha256, SpoolError> {
        if let Some(expected) = size.filter(|&size| size != self.written) {
            return Err(SpoolError::WrongSize { expected, found: self.written });
        }
        let found = self.digest();
        match digest.filter(|&digest| digest != found) {
            Some(expected) => Err(SpoolError::WrongDigest { expected, found }),
            None => Ok(found),
        }
    }

    /// Waits until the disk has what was written: what [`Spool::publish_private`] would otherwise wait for. When that
    /// fails the file is lost, and stays so. A call that may take long: hold no lock.
    pub fn sync(&self) -> Result<(), DiskError> {
        self.temp.sync()
    }

    /// Gives the file its final name in the cache. Call [`Spool::verify`] first; `digest` is what it returned.
    pub fn publish(self, disk: &Disk, digest: Sha256) -> Result<DiskFile, DiskError> {
        disk.adopt(self.temp, digest)
    }

    /// Gives the file its final name on a shelf, one of many: see [`Disk::adopt_on`]. Call [`Spool::verify`] and
    /// [`Spool::sync`] first.
    pub fn publish_on(self, disk: &Disk, shelf: Shelf, digest: Sha256) -> Result<DiskFile, DiskError> {
        disk.adopt_on(shelf, self.temp, digest)
    }

    /// Gives the file its final name on the private shelf, where it outlives a loss of power. Call [`Spool::verify`]
    /// first; `digest` is what it returned.
    pub fn publish_private(self, disk: &Disk, digest: Sha256) -> Result<DiskFile, DiskError> {
        disk.adopt_private(self.temp, digest)
    }
}
