//! What is known, in two databases. [`Store`]: mirrored documents, which files are cached and when they were used, where
//! metadata is. [`Private`]: what users own: themselves, their indexes, releases, files and tokens.
//!
//! Enters: typed questions. Leaves: typed rows. The first is an index over the files, not their truth, and can be lost:
//! a file is addressed by its digest and found without it. The second is the truth, and cannot.
//! Must not know: HTTP, the bytes of files, what upstream is.

mod addresses;
mod blobs;
mod cached;
mod documents;
mod format;
mod keyfs;
mod metadata;
mod private;
mod samples;
mod schema;
mod scrub;
mod search;
mod tallies;

pub use addresses::AddressRow;
pub use blobs::{BlobName, BlobRow, BlobUse};
pub use cached::{CachedOrder, CachedProject};
pub use documents::{Document, DocumentKey, DocumentKind, Packed, Packer};
pub use format::{
    FORMAT_FILE, FORMAT_OF_BACKUPS, FORMAT_OF_RESTORES, FormatError, Migrated, check as check_format, migrate,
    write_format,
};
pub use keyfs::{KeyRow, Keyfs};
pub use metadata::MetadataRow;
pub use private::{
    FileRow, IndexRow, KeptRemoval, LOGINS_PER_USER_MAX, PRIVATE_FILE, Private, ProjectHead, ProjectRow, Publication,
    Published, PublishedAll, PutBack, REMOVALS_MAX, Rel, ReleaseRow, RemoveWish, Removed, RemovedForNow, RemovedPart,
    SESSIONS_PER_USER_MAX, SessionRow, Stored, TOKENS_PER_USER_MAX, TokenRow, UserRow, YankOf, Yanked,
};
pub use samples::{COUNTS, Count, HEIGHTS, Height, SampleRow};
pub use schema::{FORMAT, StoreError, Trouble};
pub use scrub::ScrubRow;
pub use search::{KnownRow, ListedRow, WORDS_MAX};
pub use tallies::{DAYS_KEPT, TallyRow};

use schema::LAYOUT;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A handle on the database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: SqlitePool,
    /// Held by the one who writes: SQLite lets in only one, and the others would wait on the readers' connections.
    turns: Turns,
}

/// The database's file in the data directory.
pub const STORE_FILE: &str = "sidewheel.db";

/// Connections: one writes at a time in SQLite, the others read. Each costs a thread and its page cache.
const CONNECTIONS_MAX: u32 = 3;

/// How long a writer waits for another, beside our own queue: a backup or a person with `sqlite3` may hold the lock.
const LOCK_WAIT: Duration = Duration::from_secs(10);

impl Store {
    /// Opens or makes the database in `data`.
    pub async fn open(data: &Path) -> Result<Self, StoreError> {
        let path = data.join(STORE_FILE);
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(LOCK_WAIT)
            // KiB: the default of 2 MB a connection is a tenth of the memory that we promise to idle in.
            .pragma("cache_size", "-512")
            .statement_cache_capacity(32);
        let connect = pool_options()
            .max_connections(CONNECTIONS_MAX)
            .after_release(|connection, _| Box::pin(left_clean(connection)))
            .acquire_timeout(LOCK_WAIT)
            .test_before_acquire(false)
            .connect_with(options);
        let pool = connect.await.map_err(|why| StoreError::open(&path, why))?;
        LAYOUT.prepare(&pool).await.map_err(|why| why.at(&path, StoreError::open))?;
        Ok(Self::over(pool))
    }

    /// Opens the database of a data directory that cannot be written, to read what is there.
    pub async fn open_read_only(data: &Path) -> Result<Self, StoreError> {
        let path = data.join(STORE_FILE);
        // Immutable: SQLite needs no lock and no shared memory file, neither of which could be made.
        let options = SqliteConnectOptions::new().filename(&path).read_only(true).immutable(true);
        let connect = pool_options().max_connections(CONNECTIONS_MAX).connect_with(options);
        let pool = connect.await.map_err(|why| StoreError::open(&path, why))?;
        LAYOUT.check(&pool).await.map_err(|why| why.at(&path, StoreError::open))?;
        Ok(Self::over(pool))
    }

    /// Opens the database of a directory that a server may be writing, to read and to copy it.
    pub async fn beside(data: &Path) -> Result<Self, StoreError> {
        let path = data.join(STORE_FILE);
        format::beside(&path).await.map(Self::over).map_err(|why| why.at(&path, StoreError::open))
    }

    /// Opens a copy that nobody writes, in a directory of its own.
    pub async fn still(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(STORE_FILE);
        format::still(&path).await.map(Self::over).map_err(|why| why.at(&path, StoreError::open))
    }

    /// Writes a consistent copy to a new file, while others read and write.
    pub async fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        format::copy(&self.pool, path).await
    }

    /// What is wrong inside the database; none: nothing.
    pub async fn trouble(&self) -> Result<Option<String>, StoreError> {
        format::trouble(&self.pool).await
    }

    /// A database that lives in memory and dies with the handle: for a data directory that cannot be written.
    pub async fn in_memory() -> Result<Self, StoreError> {
        Ok(Self::over(LAYOUT.in_memory().await?))
    }

    fn over(pool: SqlitePool) -> Self {
        Self { pool, turns: Turns::default() }
    }

    /// The turn to write, waited for as long as for the database's own lock.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        self.turns.take().await
    }

    /// Writes what is pending and closes; later calls fail.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// What every pool of connections begins with: they are kept for good. The task that would end those that are old or not
/// used any more may spin for ever, taking a worker with it and every answer that waits for that one: sqlx 0.9.0 counts
/// idle connections below zero when one is taken in the moment in which it comes back (sqlx issue 3645). No least number of
/// connections either: they would be opened beside the first one, and who makes a new database finds it locked.
fn pool_options() -> SqlitePoolOptions {
    SqlitePoolOptions::new().idle_timeout(None).max_lifetime(None)
}

/// Whether a connection may be used again. A full disk makes SQLite roll back by itself, of which sqlx does not hear: it then
/// takes the next transaction for one within another, and when that fails, leaves it open with the lock to write.
async fn left_clean(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // Nothing to roll back is an error, and what we want.
    Ok(sqlx::raw_sql("ROLLBACK").execute(connection).await.is_err())
}

/// Whose turn it is to write.
#[derive(Clone)]
struct Turns(Arc<Semaphore>);

impl Turns {
    async fn take(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        match tokio::time::timeout(LOCK_WAIT, self.0.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(StoreError::Busy),
        }
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

#[cfg(test)]
mod tests;
