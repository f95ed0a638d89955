use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use std::path::{Path, PathBuf};

/// What a database of ours is made of.
pub(super) struct Layout {
    /// What this program writes, in SQLite's `user_version`. Newer ones are refused, never guessed at.
    pub version: i64,
    /// What makes the tables in an empty database, and sets `user_version`: it takes no bound parameter.
    pub tables: &'static str,
}

pub(super) const LAYOUT: Layout = Layout { version: 1, tables: TABLES };

/// `document`: what upstream said, one compressed row, written once per change.
/// `blob`: a file in the cache, its size and last use (Unix seconds): the books of the eviction.
/// `unhashed`: a file that upstream lists without a digest, under the digest that was computed.
/// `metadata`: where the core metadata of a wheel is.
const TABLES: &str = "
CREATE TABLE document (
    index_name TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
    fetched INTEGER NOT NULL, etag TEXT, last_modified TEXT, last_serial INTEGER,
    digest BLOB NOT NULL, url TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (index_name, kind, name)
);
CREATE TABLE blob (sha256 BLOB PRIMARY KEY, size INTEGER NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX blob_by_use ON blob (used);
CREATE TABLE unhashed (
    index_name TEXT NOT NULL, url TEXT NOT NULL, sha256 BLOB NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (index_name, url)
) WITHOUT ROWID;
CREATE TABLE metadata (
    index_name TEXT NOT NULL, project TEXT NOT NULL, filename TEXT NOT NULL,
    wheel BLOB NOT NULL, sha256 BLOB NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (index_name, project, filename)
) WITHOUT ROWID;
CREATE INDEX metadata_by_digest ON metadata (sha256);
PRAGMA user_version = 1;
";

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database {} cannot be opened: {why}; if it is damaged, move it away: what it says of mirrors is fetched again", path.display())]
    Open { path: PathBuf, why: String },
    #[error("the database {} cannot be opened: {why}; it holds what was uploaded here, which nobody can fetch again: if it is damaged, restore it from a backup", path.display())]
    OpenPrivate { path: PathBuf, why: String },
    #[error("the database {} was written by a newer sidewheel (layout {found}, this one knows {known}); use that one, or another --data", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    /// Somebody removed it while it was written to.
    #[error("{0} is not there any more; ask again when it is")]
    Gone(String),
    #[error("the database failed: {0}")]
    Sql(#[from] sqlx::Error),
    #[error("the database is busy: others have been writing for too long")]
    Busy,
    #[error("a row of the database cannot be read: {0}")]
    Row(&'static str),
}

/// Why a database does not take what it is given, as far as it can be told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The disk has no room; reading goes on.
    Full,
    /// The disk, the directory or the file may not be written; reading goes on.
    ReadOnly,
    /// Others have been writing for too long; a later try may do.
    Busy,
    Other,
}

impl StoreError {
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Busy => Trouble::Busy,
            Self::Sql(sqlx::Error::PoolTimedOut) => Trouble::Busy,
            Self::Sql(sqlx::Error::Database(why)) => match why.code().and_then(|code| code.parse::<i32>().ok()) {
                // The low byte is the plain code (SQLITE_BUSY, _LOCKED, _READONLY, _FULL), the rest its finer kind.
                Some(code) if matches!(code & 0xff, 5 | 6) => Trouble::Busy,
                Some(code) if code & 0xff == 8 => Trouble::ReadOnly,
                Some(code) if code & 0xff == 13 => Trouble::Full,
                _ => Trouble::Other,
            },
            _ => Trouble::Other,
        }
    }

    pub(super) fn open(path: &Path, why: impl ToString) -> Self {
        Self::Open { path: path.to_owned(), why: why.to_string() }
    }

    pub(super) fn open_private(path: &Path, why: impl ToString) -> Self {
        Self::OpenPrivate { path: path.to_owned(), why: why.to_string() }
    }

    /// Names the file in errors that were made without knowing it; `open` makes the one for a file that cannot be read.
    pub(super) fn at(self, path: &Path, open: impl FnOnce(&Path, sqlx::Error) -> Self) -> Self {
        match self {
            Self::Sql(why) => open(path, why),
            Self::Newer { found, known, .. } => Self::Newer { path: path.to_owned(), found, known },
            other => other,
        }
    }
}

impl Layout {
    /// Checks the layout of a database that is only read.
    pub(super) async fn check(&self, pool: &SqlitePool) -> Result<(), StoreError> {
        let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(pool).await?;
        if found == self.version { Ok(()) } else { Err(self.newer(found)) }
    }

    /// A database that lives in one connection, which never ends by itself.
    pub(super) async fn in_memory(&self) -> Result<SqlitePool, StoreError> {
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect("sqlite::memory:")
            .await?;
        self.prepare(&pool).await?;
        Ok(pool)
    }

    /// Makes the tables in an empty database; checks the layout of an older one.
    pub(super) async fn prepare(&self, pool: &SqlitePool) -> Result<(), StoreError> {
        let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
        let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *transaction).await?;
        if found == 0 {
            sqlx::raw_sql(self.tables).execute(&mut *transaction).await?;
        } else if found != self.version {
            return Err(self.newer(found));
        }
        Ok(transaction.commit().await?)
    }

    fn newer(&self, found: i64) -> StoreError {
        StoreError::Newer { path: PathBuf::new(), found, known: self.version }
    }
}
