use sqlx::sqlite::SqlitePool;
use std::path::{Path, PathBuf};

/// The layout that this program writes, in SQLite's `user_version`. Newer ones are refused, never guessed at.
const SCHEMA_VERSION: i64 = 1;

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
";

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database {} cannot be opened: {why}; if it is damaged, move it away: what it says of mirrors is fetched again", path.display())]
    Open { path: PathBuf, why: String },
    #[error("the database {} was written by a newer sidewheel (layout {found}, this one knows {SCHEMA_VERSION}); use that one, or another --data", path.display())]
    Newer { path: PathBuf, found: i64 },
    #[error("the database failed: {0}")]
    Sql(#[from] sqlx::Error),
    #[error("the database is busy: others have been writing for too long")]
    Busy,
    #[error("a row of the database cannot be read: {0}")]
    Row(&'static str),
}

impl StoreError {
    pub(super) fn open(path: &Path, why: impl ToString) -> Self {
        Self::Open { path: path.to_owned(), why: why.to_string() }
    }

    /// Names the file in errors that were made without knowing it.
    pub(super) fn at(self, path: &Path) -> Self {
        match self {
            Self::Sql(why) => Self::open(path, why),
            Self::Newer { found, .. } => Self::Newer { path: path.to_owned(), found },
            other => other,
        }
    }
}

/// Checks the layout of a database that is only read.
pub(super) async fn check(pool: &SqlitePool) -> Result<(), StoreError> {
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(pool).await?;
    match found {
        SCHEMA_VERSION => Ok(()),
        found => Err(StoreError::Newer { path: PathBuf::new(), found }),
    }
}

/// Makes the tables in an empty database; checks the layout of an older one.
pub(super) async fn prepare(pool: &SqlitePool) -> Result<(), StoreError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *transaction).await?;
    match found {
        0 => {
            sqlx::raw_sql(TABLES).execute(&mut *transaction).await?;
            // user_version takes no bound parameter.
            sqlx::raw_sql("PRAGMA user_version = 1").execute(&mut *transaction).await?;
        }
        SCHEMA_VERSION => {}
        found => return Err(StoreError::Newer { path: PathBuf::new(), found }),
    }
    transaction.commit().await?;
    Ok(())
}
