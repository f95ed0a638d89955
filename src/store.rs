//! What is known, in a database: mirrored documents, which files are cached and when they were used, where metadata is.
//!
//! Enters: typed questions. Leaves: typed rows. The database is an index over the files, not their truth: a file is
//! addressed by its digest and found without it.
//! Must not know: HTTP, the bytes of files, what upstream is.

mod blobs;
mod documents;
mod metadata;
mod schema;

pub use documents::{Document, DocumentKey, DocumentKind};
pub use metadata::MetadataRow;
pub use schema::StoreError;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A handle on the database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: SqlitePool,
    /// Held by the one who writes: SQLite lets in only one, and the others would wait on the readers' connections.
    writing: Arc<Semaphore>,
}

/// Connections: one writes at a time in SQLite, the others read. Each costs a thread and its page cache.
const CONNECTIONS_MAX: u32 = 3;

/// How long a writer waits for another, beside our own queue: a backup or a person with `sqlite3` may hold the lock.
const LOCK_WAIT: Duration = Duration::from_secs(10);

impl Store {
    /// Opens or makes the database in `data`.
    pub async fn open(data: &Path) -> Result<Self, StoreError> {
        let path = data.join("sidewheel.db");
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(LOCK_WAIT)
            // KiB: the default of 2 MB a connection is a tenth of the memory that we promise to idle in.
            .pragma("cache_size", "-512")
            .statement_cache_capacity(32);
        let connect = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .min_connections(1)
            .acquire_timeout(LOCK_WAIT)
            .test_before_acquire(false)
            .connect_with(options);
        let pool = connect.await.map_err(|why| StoreError::open(&path, why))?;
        schema::prepare(&pool).await.map_err(|why| why.at(&path))?;
        Ok(Self::over(pool))
    }

    /// Opens the database of a data directory that cannot be written, to read what is there.
    pub async fn open_read_only(data: &Path) -> Result<Self, StoreError> {
        let path = data.join("sidewheel.db");
        // Immutable: SQLite needs no lock and no shared memory file, neither of which could be made.
        let options = SqliteConnectOptions::new().filename(&path).read_only(true).immutable(true);
        let connect = SqlitePoolOptions::new().max_connections(CONNECTIONS_MAX).connect_with(options);
        let pool = connect.await.map_err(|why| StoreError::open(&path, why))?;
        schema::check(&pool).await.map_err(|why| why.at(&path))?;
        Ok(Self::over(pool))
    }

    /// A database that lives in memory and dies with the handle: for a data directory that cannot be written.
    pub async fn in_memory() -> Result<Self, StoreError> {
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect("sqlite::memory:")
            .await?;
        schema::prepare(&pool).await?;
        Ok(Self::over(pool))
    }

    fn over(pool: SqlitePool) -> Self {
        Self { pool, writing: Arc::new(Semaphore::new(1)) }
    }

    /// The turn to write, waited for as long as for the database's own lock.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        match tokio::time::timeout(LOCK_WAIT, self.writing.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(StoreError::Busy),
        }
    }

    /// Writes what is pending and closes; later calls fail.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

#[cfg(test)]
mod tests;
