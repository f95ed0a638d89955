//! What users own, in a database of its own: it is the truth, and nobody can fetch it again.
//!
//! Every method that changes something is one transaction on a disk that has said "written"; a killed process leaves all
//! of it or nothing. Each but those of tokens counts the serial on, so that a page made at a serial is known to be current.

mod addresses;
mod damage;
mod files;
mod layout;
mod listing;
mod people;
mod publish;
mod releases;
mod remove;
mod search;
mod sessions;
mod tokens;
mod undo;
mod yank;

pub use files::{FileRow, Rel};
pub use listing::ProjectHead;
pub use people::{IndexRow, UserRow};
pub use publish::{Publication, Published, PublishedAll, Stored};
pub use releases::{ProjectRow, ReleaseRow};
pub use remove::Removed;
pub use sessions::{SESSIONS_PER_USER_MAX, SessionRow};
pub use tokens::{LOGINS_PER_USER_MAX, TOKENS_PER_USER_MAX, TokenRow};
pub use undo::{KeptRemoval, PutBack, REMOVALS_MAX, RemoveWish, RemovedForNow, RemovedPart};
pub use yank::{YankOf, Yanked};

use super::{CONNECTIONS_MAX, LOCK_WAIT, StoreError, Turns, blobs::digest, format, pool_options};
use crate::names::Sha256;
pub(super) use layout::LAYOUT;
use serde_json::{Map, Value};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous};
use sqlx::{Sqlite, SqliteConnection, Transaction};
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tokio::sync::SemaphorePermit;

/// A handle on the database; cheap to clone.
#[derive(Clone)]
pub struct Private {
    pool: SqlitePool,
    /// One connection that never writes and never changes: what it is told about the others' writes can be compared.
    watch: Option<SqlitePool>,
    turns: Turns,
}

/// The database's file in the data directory.
pub const PRIVATE_FILE: &str = "private.db";

/// A larger database is not read through when it is opened, in bytes: a start must not take seconds.
const CHECK_BYTES_MAX: u64 = 64 * 1024 * 1024;

impl Private {
    /// Opens or makes the database in `data`.
    pub async fn open(data: &Path) -> Result<Self, StoreError> {
        let path = data.join(PRIVATE_FILE);
        // Made here, not by SQLite, so that only its owner reads the hashes in it; SQLite's other files take after it.
        let made = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let len = made.and_then(|file| file.metadata()).map_err(|why| StoreError::open_private(&path, why))?.len();
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(LOCK_WAIT)
            // macOS: else its disks say "written" of what lies in their own memory. Elsewhere it says nothing.
            .pragma("fullfsync", "1")
            .pragma("checkpoint_fullfsync", "1")
            // KiB: see the other database.
            .pragma("cache_size", "-512")
            .statement_cache_capacity(64);
        let opened = Self::connect(options).await.map_err(|why| StoreError::open_private(&path, why))?;
        LAYOUT.prepare(&opened.pool).await.map_err(|why| why.at(&path, StoreError::open_private))?;
        opened.checked(&path, len).await
    }

    /// Opens the database of a data directory that cannot be written, to read what is there.
    pub async fn open_read_only(data: &Path) -> Result<Self, StoreError> {
        let path = data.join(PRIVATE_FILE);
        let failed = |why: &dyn std::fmt::Display| StoreError::open_private(&path, why);
        let len = fs::metadata(&path).map_err(|why| failed(&why))?.len();
        // Immutable: SQLite needs no lock and no shared memory file, neither of which could be made. But it reads past
        // the log of what was last written; when there is one, its own files lie beside it and are read as they are.
        let log = fs::metadata(data.join("private.db-wal")).is_ok_and(|log| log.len() > 0);
        let options = SqliteConnectOptions::new().filename(&path).read_only(true).immutable(!log);
        let opened = Self::connect(options).await.map_err(|why| failed(&why))?;
        LAYOUT.check(&opened.pool).await.map_err(|why| why.at(&path, StoreError::open_private))?;
        opened.checked(&path, len).await
    }

    /// Opens the database of a directory that a server may be writing, to read and to copy it.
    pub async fn beside(data: &Path) -> Result<Self, StoreError> {
        let path = data.join(PRIVATE_FILE);
        let opened = format::beside(&path).await.map_err(|why| why.at(&path, StoreError::open_private));
        Ok(Self { pool: opened?, watch: None, turns: Turns::default() })
    }

    /// Opens a copy that nobody writes, in a directory of its own.
    pub async fn still(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(PRIVATE_FILE);
        let opened = format::still(&path).await.map_err(|why| why.at(&path, StoreError::open_private));
        Ok(Self { pool: opened?, watch: None, turns: Turns::default() })
    }

    /// Writes a consistent copy to a new file, while others read and write.
    pub async fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        format::copy(&self.pool, path).await
    }

    /// The format that it is written in.
    pub async fn format(&self) -> Result<u32, StoreError> {
        let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&self.pool).await?;
        u32::try_from(found).map_err(|_| StoreError::Row("format"))
    }

    /// What is wrong inside the database; none: nothing.
    pub async fn trouble(&self) -> Result<Option<String>, StoreError> {
        format::trouble(&self.pool).await
    }

    /// A database that lives in memory and dies with the handle: where nothing can be kept, and for tests.
    pub async fn in_memory() -> Result<Self, StoreError> {
        Ok(Self { pool: LAYOUT.in_memory().await?, watch: None, turns: Turns::default() })
    }

    /// Holds nothing and takes nothing: for a data directory that cannot be written and has no database. What seemed
    /// to be stored here would be gone with the process.
    pub async fn empty() -> Result<Self, StoreError> {
        let private = Self::in_memory().await?;
        sqlx::raw_sql("PRAGMA query_only = ON").execute(&private.pool).await?;
        Ok(private)
    }

    /// Writes what is pending and closes; later calls fail.
    pub async fn close(&self) {
        if let Some(watch) = &self.watch {
            watch.close().await;
        }
        self.pool.close().await;
    }

    /// The serial, and the UUID: 32 hex digits that were drawn when the database was made.
    pub async fn identity(&self) -> Result<(u64, String), StoreError> {
        let (serial, uuid): (i64, String) =
            sqlx::query_as("SELECT serial, uuid FROM meta").fetch_one(&self.pool).await?;
        Ok((serial as u64, uuid))
    }

    /// How many changes there have been; what was made of the rows at a serial is right as long as it stands.
    pub async fn serial(&self) -> Result<u64, StoreError> {
        let serial: i64 = sqlx::query_scalar("SELECT serial FROM meta").fetch_one(&self.pool).await?;
        Ok(serial as u64)
    }

    /// A number that differs from the last one when anything was written since, by this process or by another one: the
    /// command line writes while the server runs. It costs no look at the disk, so it may be asked for every second.
    /// Only a difference says something. A database in memory has no other writers; its number stands still.
    pub async fn data_version(&self) -> Result<u64, StoreError> {
        let Some(watch) = &self.watch else { return Ok(0) };
        let version: i64 = sqlx::query_scalar("PRAGMA data_version").fetch_one(watch).await?;
        Ok(version as u64)
    }

    /// The digests of `candidates` that no row refers to, as a file or as its metadata; what was removed and can be had
    /// back still does.
    pub async fn unreferenced(&self, candidates: &[Sha256]) -> Result<Vec<Sha256>, StoreError> {
        unreferenced(&mut *self.pool.acquire().await?, candidates).await
    }

    async fn connect(options: SqliteConnectOptions) -> Result<Self, sqlx::Error> {
        let pool = pool_options()
            .max_connections(CONNECTIONS_MAX)
            .after_release(|connection, _| Box::pin(super::left_clean(connection)))
            .acquire_timeout(LOCK_WAIT)
            .test_before_acquire(false)
            .connect_with(options.clone())
            .await?;
        let watch = pool_options()
            .max_connections(1)
            .acquire_timeout(LOCK_WAIT)
            .test_before_acquire(false)
            .connect_lazy_with(options);
        Ok(Self { pool, watch: Some(watch), turns: Turns::default() })
    }

    /// Reads the database through, when it is small enough: it is better not opened than believed when it is damaged.
    async fn checked(self, path: &Path, len: u64) -> Result<Self, StoreError> {
        if len > 0 && len <= CHECK_BYTES_MAX {
            let said: Result<String, _> = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&self.pool).await;
            let said = said.map_err(|why| StoreError::open_private(path, why))?;
            if said != "ok" {
                self.close().await;
                return Err(StoreError::open_private(path, said));
            }
        }
        Ok(self)
    }

    /// Takes the turn to write and begins.
    async fn write(&self) -> Result<Writing<'_>, StoreError> {
        let turn = self.turns.take().await?;
        // Immediate: who reads first and writes then may find that another process has written between.
        Ok(Writing { transaction: self.pool.begin_with("BEGIN IMMEDIATE").await?, _turn: turn })
    }
}

/// A transaction that writes; its drop takes everything back.
struct Writing<'a> {
    transaction: Transaction<'static, Sqlite>,
    _turn: SemaphorePermit<'a>,
}

impl Writing<'_> {
    fn sql(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }

    /// Commits under the next serial, which it tells.
    async fn commit(mut self) -> Result<u64, StoreError> {
        let next = "UPDATE meta SET serial = serial + 1 RETURNING serial";
        let serial: i64 = sqlx::query_scalar(next).fetch_one(self.sql()).await?;
        self.transaction.commit().await?;
        Ok(serial as u64)
    }

    /// Ends where there was nothing to write; tells the serial that stands.
    async fn unchanged(mut self) -> Result<u64, StoreError> {
        let serial: i64 = sqlx::query_scalar("SELECT serial FROM meta").fetch_one(self.sql()).await?;
        Ok(serial as u64)
    }

    /// Commits what no page shows.
    async fn commit_unseen(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit().await?)
    }
}

macro_rules! unreferenced_by_files {
    () => {
        "SELECT DISTINCT unhex(value) FROM json_each(?)
         WHERE NOT EXISTS (SELECT 1 FROM file WHERE sha256 = unhex(value))
         AND NOT EXISTS (SELECT 1 FROM file WHERE metadata_sha256 = unhex(value))"
    };
}

macro_rules! unreferenced_by_removed {
    () => {
        "NOT EXISTS (SELECT 1 FROM removed_file WHERE sha256 = unhex(value))
         AND NOT EXISTS (SELECT 1 FROM removed_file WHERE metadata_sha256 = unhex(value))"
    };
}

/// The digests of `candidates` that no row refers to any more.
async fn unreferenced(sql: &mut SqliteConnection, candidates: &[Sha256]) -> Result<Vec<Sha256>, StoreError> {
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let names = Value::from(candidates.iter().map(Sha256::to_hex).collect::<Vec<_>>()).to_string();
    let query = match keeps_removed(sql).await? {
        true => concat!(unreferenced_by_files!(), " AND ", unreferenced_by_removed!()),
        false => unreferenced_by_files!(),
    };
    let rows: Vec<Vec<u8>> = sqlx::query_scalar(query).bind(names).fetch_all(sql).await?;
    rows.iter().map(|bytes| digest(bytes)).collect()
}

/// Whether this database knows removals that can be undone: those of older formats do not, and are read for a backup.
async fn keeps_removed(sql: &mut SqliteConnection) -> Result<bool, StoreError> {
    let query = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'removed_file')";
    Ok(sqlx::query_scalar(query).fetch_one(sql).await?)
}

fn map(text: &str, what: &'static str) -> Result<Map<String, Value>, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Row(what))
}

fn text(map: &Map<String, Value>) -> Result<String, StoreError> {
    serde_json::to_string(map).map_err(|_| StoreError::Row("JSON"))
}

#[cfg(test)]
mod tests;
