use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Uploads that arrive at once: each holds a file, a thread while it is written, and about 1 MB beside its fields.
pub const UPLOADS_MAX: usize = 32;

/// Large bodies of the API at once: each is in memory whole, up to 32 MiB of it.
pub const LARGE_BODIES_MAX: usize = 8;

/// A body up to this many bytes needs no place: what a connection reads ahead is as much.
const SMALL_BODY_BYTES_MAX: u64 = 64 * 1024;

/// Room for bodies that arrive. Who finds none waits a while in line.
pub struct Places {
    uploads: Arc<Semaphore>,
    large: Arc<Semaphore>,
    patience: Duration,
}

/// Given back when dropped.
pub type Place = OwnedSemaphorePermit;

/// All places stayed taken.
#[derive(Debug, thiserror::Error)]
#[error("too many uploads are under way; try again in a moment")]
pub struct Full;

impl Places {
    pub fn new(patience: Duration) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self { uploads: places(UPLOADS_MAX), large: places(LARGE_BODIES_MAX), patience }
    }

    /// Uploads that arrive now.
    pub fn uploads(&self) -> usize {
        UPLOADS_MAX.saturating_sub(self.uploads.available_permits())
    }

    pub async fn for_upload(&self) -> Result<Place, Full> {
        self.wait(&self.uploads).await
    }

    /// A place for a body that is held in memory; none is needed for one that states a small length.
    pub async fn for_body(&self, stated: Option<u64>) -> Result<Option<Place>, Full> {
        match stated {
            Some(..=SMALL_BODY_BYTES_MAX) => Ok(None),
            _ => self.wait(&self.large).await.map(Some),
        }
    }

    async fn wait(&self, places: &Arc<Semaphore>) -> Result<Place, Full> {
        match tokio::time::timeout(self.patience, Arc::clone(places).acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Full),
        }
    }
}
