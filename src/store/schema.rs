use super::pool_options;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqlitePool;
use std::cmp::Ordering;
use std::path::{Path, PathBuf};

/// The format of a data directory that this program writes: the number of the last step below, which each database
/// carries in SQLite's `user_version`. Newer ones are refused, never guessed at; older ones are migrated.
///
/// To change a table: count this on by one, and append a step to both layouts (here and in `private/layout.rs`; `""` where
/// nothing changes). A step that was released stays as it is. It runs in the transaction that makes all missing steps,
/// on data that older programs wrote, and on empty databases after the steps before it; it takes no bound parameter.
/// It only adds: after an upgrade without a gap the old program ends its answers on the new tables.
pub const FORMAT: u32 = 3;

/// What a database of ours is made of.
pub(super) struct Layout {
    /// What makes each format out of the one before; the first starts from nothing.
    pub steps: [&'static str; FORMAT as usize],
}

pub(super) const LAYOUT: Layout = Layout { steps: [TABLES, KEEPING, PAGES] };

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

/// `scrub`: how far the scrub has come. The files of `shelf` up to and with `after` are read in the pass that began then
/// (Unix seconds), and what it found so far.
/// `cached`: what a file in the cache is called, when it came (Unix seconds) and how often it was served; files from
/// before are named when somebody asks. `departed`: what was served of files that are not here any more.
/// `tally`: what happened in the hour or the day that began then (Unix seconds; 0: long ago).
/// `address`: where another server had a file of a mirror (`f/aaa/bbbbbbbbbbbbb` or `e/DIRECTORY`), and what it knew of it:
/// the old address is answered with those bytes, whatever the page says today.
const KEEPING: &str = "
CREATE TABLE scrub (
    one INTEGER PRIMARY KEY CHECK (one = 1), began INTEGER NOT NULL, shelf TEXT NOT NULL, after BLOB,
    files INTEGER NOT NULL, bytes INTEGER NOT NULL, damaged INTEGER NOT NULL, finished INTEGER
);
CREATE TABLE cached (
    sha256 BLOB PRIMARY KEY, index_name TEXT, project TEXT, filename TEXT, fetched INTEGER,
    uses INTEGER NOT NULL DEFAULT 0, served INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE departed (project TEXT PRIMARY KEY, uses INTEGER NOT NULL, served INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE tally (
    start INTEGER NOT NULL, kind TEXT NOT NULL, tier TEXT NOT NULL, times INTEGER NOT NULL, bytes INTEGER NOT NULL,
    PRIMARY KEY (start, kind, tier)
) WITHOUT ROWID;
CREATE TABLE address (
    index_name TEXT NOT NULL, place TEXT NOT NULL, filename TEXT NOT NULL,
    project TEXT NOT NULL, url TEXT NOT NULL, sha256 BLOB NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (index_name, place, filename)
) WITHOUT ROWID;
";

/// What pages for people need.
///
/// `known`: a line on each project of a stage and each project of a mirror whose page is here. `basis` is the digest of
/// the page it was made from; a stage's has none, and is made anew where `known_state` is not of `private.db` as it is.
/// `known_words`: the words of those lines; `known_vocabulary` lists them.
/// `listed`: the file in the cache that holds the names of a mirror's whole list, and of which list (its document's digest).
/// `sample`: what happened in the five minutes that began then (Unix seconds), and the highest levels in them.
const PAGES: &str = "
CREATE TABLE known (
    id INTEGER PRIMARY KEY, index_name TEXT NOT NULL, project TEXT NOT NULL, basis BLOB,
    version TEXT, releases INTEGER NOT NULL, changed INTEGER NOT NULL,
    summary TEXT NOT NULL, keywords TEXT NOT NULL, classifiers TEXT NOT NULL,
    UNIQUE (index_name, project)
);
CREATE INDEX known_by_project ON known (project);
CREATE TABLE known_state (one INTEGER PRIMARY KEY CHECK (one = 1), uuid TEXT NOT NULL, serial INTEGER NOT NULL);
CREATE VIRTUAL TABLE known_words USING fts5 (
    project, summary, keywords, classifiers, content = 'known', content_rowid = 'id',
    tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
);
CREATE VIRTUAL TABLE known_vocabulary USING fts5vocab (known_words, row);
CREATE TRIGGER known_added AFTER INSERT ON known BEGIN
    INSERT INTO known_words (rowid, project, summary, keywords, classifiers)
    VALUES (new.id, new.project, new.summary, new.keywords, new.classifiers);
END;
CREATE TRIGGER known_removed AFTER DELETE ON known BEGIN
    INSERT INTO known_words (known_words, rowid, project, summary, keywords, classifiers)
    VALUES ('delete', old.id, old.project, old.summary, old.keywords, old.classifiers);
END;
CREATE TRIGGER known_changed AFTER UPDATE OF project, summary, keywords, classifiers ON known BEGIN
    INSERT INTO known_words (known_words, rowid, project, summary, keywords, classifiers)
    VALUES ('delete', old.id, old.project, old.summary, old.keywords, old.classifiers);
    INSERT INTO known_words (rowid, project, summary, keywords, classifiers)
    VALUES (new.id, new.project, new.summary, new.keywords, new.classifiers);
END;
CREATE TABLE listed (
    index_name TEXT PRIMARY KEY, list BLOB NOT NULL, sha256 BLOB NOT NULL, size INTEGER NOT NULL,
    projects INTEGER NOT NULL, built INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE sample (
    start INTEGER PRIMARY KEY,
    requests INTEGER NOT NULL, memory INTEGER NOT NULL, disk INTEGER NOT NULL, flight INTEGER NOT NULL,
    miss INTEGER NOT NULL, stale INTEGER NOT NULL, sent INTEGER NOT NULL, served INTEGER NOT NULL,
    fetched INTEGER NOT NULL, failures INTEGER NOT NULL,
    memory_bytes INTEGER NOT NULL, disk_bytes INTEGER NOT NULL, resident_bytes INTEGER NOT NULL,
    connections INTEGER NOT NULL
);
";

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database {} cannot be opened: {why}; if it is damaged, move it away: what it says of mirrors is fetched again", path.display())]
    Open { path: PathBuf, why: String },
    #[error("the database {} cannot be opened: {why}; it holds what was uploaded here, which nobody can fetch again: if it is damaged, restore it from a backup", path.display())]
    OpenPrivate { path: PathBuf, why: String },
    #[error("the database {} was written by a newer sidewheel (format {found}, this one knows {FORMAT}); use that one, or restore a backup that was made before", path.display())]
    Newer { path: PathBuf, found: i64 },
    #[error("the database {} was written by an older sidewheel (format {found}, this one writes {FORMAT}); `sidewheel init` brings it up while no server runs, and so does the start of a server on a disk that can be written", path.display())]
    Older { path: PathBuf, found: i64 },
    #[error("the copy {} of another server's database cannot be read: {why}", path.display())]
    Foreign { path: PathBuf, why: sqlx::Error },
    #[error("the copy {} cannot be written: {why}", path.display())]
    Copy { path: PathBuf, why: std::io::Error },
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

    /// The database that users' things stand in is not as it should be inside.
    pub fn damaged(path: &Path, why: String) -> Self {
        Self::open_private(path, why)
    }

    pub(super) fn open(path: &Path, why: impl ToString) -> Self {
        Self::Open { path: path.to_owned(), why: why.to_string() }
    }

    pub(super) fn foreign(path: &Path, why: sqlx::Error) -> Self {
        Self::Foreign { path: path.to_owned(), why }
    }

    pub(super) fn open_private(path: &Path, why: impl ToString) -> Self {
        Self::OpenPrivate { path: path.to_owned(), why: why.to_string() }
    }

    /// Names the file in errors that were made without knowing it; `open` makes the one for a file that cannot be read.
    pub(super) fn at(self, path: &Path, open: impl FnOnce(&Path, sqlx::Error) -> Self) -> Self {
        match self {
            Self::Sql(why) => open(path, why),
            Self::Newer { found, .. } => Self::Newer { path: path.to_owned(), found },
            Self::Older { found, .. } => Self::Older { path: path.to_owned(), found },
            other => other,
        }
    }
}

impl Layout {
    /// Checks the format of a database that is only read.
    pub(super) async fn check(&self, pool: &SqlitePool) -> Result<(), StoreError> {
        current(user_version(&mut *pool.acquire().await?).await?)
    }

    /// A database that lives in one connection, which never ends by itself.
    pub(super) async fn in_memory(&self) -> Result<SqlitePool, StoreError> {
        let pool = pool_options().max_connections(1).connect("sqlite::memory:").await?;
        self.prepare(&pool).await?;
        Ok(pool)
    }

    /// Makes the tables in an empty database; checks the format of one that is not.
    pub(super) async fn prepare(&self, pool: &SqlitePool) -> Result<(), StoreError> {
        let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
        match user_version(&mut transaction).await? {
            0 => self.advance(&mut transaction, 0).await?,
            found => return current(found),
        }
        Ok(transaction.commit().await?)
    }

    /// Brings an older database up, in one transaction; says from which format.
    pub(super) async fn migrate(&self, pool: &SqlitePool) -> Result<i64, StoreError> {
        let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
        let found = user_version(&mut transaction).await?;
        self.advance(&mut transaction, found).await?;
        transaction.commit().await?;
        Ok(found)
    }

    async fn advance(&self, sql: &mut SqliteConnection, found: i64) -> Result<(), StoreError> {
        if found > i64::from(FORMAT) {
            return current(found);
        }
        for step in self.steps.iter().skip(usize::try_from(found).unwrap_or(0)) {
            sqlx::raw_sql(*step).execute(&mut *sql).await?;
        }
        // Not a bound parameter, which a pragma does not take; a number of ours.
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("PRAGMA user_version = {FORMAT}"))).execute(sql).await?;
        Ok(())
    }
}

pub(super) async fn user_version(sql: &mut SqliteConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("PRAGMA user_version").fetch_one(sql).await?)
}

fn current(found: i64) -> Result<(), StoreError> {
    let path = PathBuf::new();
    match found.cmp(&i64::from(FORMAT)) {
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(StoreError::Newer { path, found }),
        Ordering::Less => Err(StoreError::Older { path, found }),
    }
}
