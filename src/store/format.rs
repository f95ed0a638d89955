//! The format of a data directory: newer ones are refused, older ones migrated, the databases being kept as they were.
//!
//! `DATA/format` says the number for people and for programs to come; what decides is what the databases say. A kill at
//! any step is made good by the next run: the copies have their name when they are whole, each database is one
//! transaction, and the file is written last.

use super::schema::{FORMAT, LAYOUT, Layout, StoreError, user_version};
use super::{LOCK_WAIT, PRIVATE_FILE, STORE_FILE, pool_options, private};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file in a data directory that says its format.
pub const FORMAT_FILE: &str = "format";

/// What a backup's own directory says there, so that nobody serves it.
pub const FORMAT_OF_BACKUPS: &str = "backup";

/// What a directory says there while a backup is put back into it.
pub const FORMAT_OF_RESTORES: &str = "restoring";

/// Copies of the databases that are kept from migrations to one format; with more, somebody goes back and forth.
const KEPT_MAX: u32 = 10;

/// Left free beside the copies, in bytes: what the migration itself writes.
const SPARE_BYTES: u64 = 16 * 1024 * 1024;

/// A directory that was brought up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    pub from: u32,
    /// Where the databases are as they were.
    pub kept: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    #[error("the data directory {} has format {found}, which a newer sidewheel wrote{by}; this one is sidewheel {} and knows format {FORMAT} and those before: use the newer one, or restore a backup that was made before the upgrade", path.display(), env!("CARGO_PKG_VERSION"))]
    Newer { path: PathBuf, found: u32, by: String },
    #[error("{} is a backup, not a data directory; `sidewheel restore` makes one of it", .0.display())]
    Backup(PathBuf),
    #[error("{} is being restored, or a restore was broken off there; run `sidewheel restore` again", .0.display())]
    Restoring(PathBuf),
    #[error("{} does not say a format; if it was changed by hand, write the number that it had (this program writes {FORMAT})", .0.display())]
    Strange(PathBuf),
    #[error("the data directory {} has an older format, and before it is brought up its databases are copied: that takes {needed} bytes, and {free} are free; make room", path.display())]
    NoRoom { path: PathBuf, needed: u64, free: u64 },
    #[error("{} cannot be brought up to format {FORMAT}: {why}", path.display())]
    Io { path: PathBuf, why: io::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Checks the format of a data directory and brings an older one up; says so if it did. The caller holds its lock.
pub async fn migrate(data: &Path) -> Result<Option<Migrated>, FormatError> {
    check(data)?;
    let databases = [Database::private(data), Database::store(data)];
    let (mut oldest, mut is_begun) = (FORMAT, false);
    for database in &databases {
        match database.found().await? {
            // What cannot be opened is told by who opens it to use it.
            None | Some(0) => {}
            Some(found) if found > FORMAT => {
                return Err(FormatError::Newer { path: data.to_owned(), found, by: String::new() });
            }
            Some(found) => {
                oldest = oldest.min(found);
                is_begun |= found == FORMAT && !database.can_be_lost;
            }
        }
    }
    let migrated = match oldest < FORMAT {
        false => None,
        true => {
            // A run that was killed between the two kept both: what nobody can fetch again is as it will be.
            let kept = match copies(data).take_while(|copy| copy.exists()).last().filter(|_| is_begun) {
                Some(kept) => kept,
                None => keep(data, &databases).await?,
            };
            for database in &databases {
                database.migrate().await?;
            }
            Some(Migrated { from: oldest, kept })
        }
    };
    write_format(data, &FORMAT.to_string()).map_err(failed(data))?;
    Ok(migrated)
}

/// Refuses a directory that says that it is none of ours to open.
pub fn check(data: &Path) -> Result<(), FormatError> {
    let path = data.join(FORMAT_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(why) => return Err(FormatError::Io { path, why }),
    };
    let mut lines = text.lines();
    match lines.next().map(str::trim) {
        Some(FORMAT_OF_BACKUPS) => Err(FormatError::Backup(data.to_owned())),
        Some(FORMAT_OF_RESTORES) => Err(FormatError::Restoring(data.to_owned())),
        Some(number) => match number.parse::<u32>() {
            Ok(0) | Err(_) => Err(FormatError::Strange(path)),
            Ok(found) if found > FORMAT => {
                let by = lines.next().map(|by| format!(" ({})", by.trim())).unwrap_or_default();
                Err(FormatError::Newer { path: data.to_owned(), found, by })
            }
            Ok(_) => Ok(()),
        },
        None => Err(FormatError::Strange(path)),
    }
}

/// Says a directory's format in its own file, and who wrote it.
pub fn write_format(data: &Path, format: &str) -> io::Result<()> {
    let path = data.join(FORMAT_FILE);
    if fs::read_to_string(&path).is_ok_and(|text| text.lines().next() == Some(format)) {
        return Ok(());
    }
    let new = data.join("format.new");
    let mut file = File::create(&new)?;
    writeln!(file, "{format}\nsidewheel {}", env!("CARGO_PKG_VERSION"))?;
    file.sync_all()?;
    fs::rename(&new, &path)?;
    File::open(data)?.sync_all()
}

/// Copies the databases as they are now to `before-format-N`, which has its name when it is whole. What could be fetched
/// again is left out where there is no room for it.
async fn keep(data: &Path, databases: &[Database; 2]) -> Result<PathBuf, FormatError> {
    let name = copies_name();
    let new = data.join(format!("{name}.new"));
    let failed = failed(data);
    if new.exists() {
        fs::remove_dir_all(&new).map_err(&failed)?;
    }
    DirBuilder::new().mode(0o700).create(&new).map_err(&failed)?;
    for database in databases.iter().filter(|database| database.path.is_file()) {
        let facts = rustix::fs::statvfs(data).map_err(|why| failed(why.into()))?;
        let free = facts.f_bavail.saturating_mul(facts.f_frsize);
        let needed = database.bytes() + SPARE_BYTES;
        match needed <= free {
            true => database.copy_to(&new).await?,
            false if database.can_be_lost => {}
            false => return Err(FormatError::NoRoom { path: data.to_owned(), needed, free }),
        }
    }
    File::open(&new).and_then(|directory| directory.sync_all()).map_err(&failed)?;
    let last = data.join(&name);
    let kept = match copies(data).find(|kept| !kept.exists() || same(kept, &new)) {
        // A run that was killed before the migration left the very same.
        Some(kept) if kept.exists() => {
            fs::remove_dir_all(&new).map_err(&failed)?;
            return Ok(kept);
        }
        Some(free) => free,
        None => {
            fs::remove_dir_all(&last).map_err(&failed)?;
            last
        }
    };
    fs::rename(&new, &kept).map_err(&failed)?;
    File::open(data).and_then(|directory| directory.sync_all()).map_err(&failed)?;
    Ok(kept)
}

/// Where copies are kept, the first one first.
fn copies(data: &Path) -> impl Iterator<Item = PathBuf> {
    let name = copies_name();
    (0..KEPT_MAX).map(move |n| data.join(if n == 0 { name.clone() } else { format!("{name}.{n}") }))
}

fn copies_name() -> String {
    format!("before-format-{FORMAT}")
}

/// Whether what nobody can fetch again is the same in both.
fn same(one: &Path, other: &Path) -> bool {
    let open = |directory: &Path| File::open(directory.join(PRIVATE_FILE)).map(BufReader::new);
    match (open(one), open(other)) {
        (Ok(one), Ok(other)) => equal(one, other).unwrap_or(false),
        (one, other) => one.is_err() && other.is_err(),
    }
}

/// Piece by piece: a database may be larger than the memory that we promise to need.
fn equal(mut one: impl BufRead, mut other: impl BufRead) -> io::Result<bool> {
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let length = left.len().min(right.len());
        if length == 0 || left.get(..length) != right.get(..length) {
            return Ok(left.is_empty() && right.is_empty());
        }
        one.consume(length);
        other.consume(length);
    }
}

fn failed(data: &Path) -> impl Fn(io::Error) -> FormatError + '_ {
    |why| FormatError::Io { path: data.to_owned(), why }
}

struct Database {
    path: PathBuf,
    layout: Layout,
    can_be_lost: bool,
    open: fn(&Path, sqlx::Error) -> StoreError,
}

impl Database {
    fn private(data: &Path) -> Self {
        let (path, layout) = (data.join(PRIVATE_FILE), private::LAYOUT);
        Self { path, layout, can_be_lost: false, open: |path, why| StoreError::open_private(path, why) }
    }

    fn store(data: &Path) -> Self {
        let path = data.join(STORE_FILE);
        Self { path, layout: LAYOUT, can_be_lost: true, open: |path, why| StoreError::open(path, why) }
    }

    async fn connect(&self) -> Result<SqlitePool, sqlx::Error> {
        let options = SqliteConnectOptions::new().filename(&self.path).busy_timeout(LOCK_WAIT).pragma("fullfsync", "1");
        pool_options().max_connections(1).acquire_timeout(LOCK_WAIT).connect_with(options).await
    }

    /// The format of a database that is there and can be read.
    async fn found(&self) -> Result<Option<u32>, StoreError> {
        if !self.path.is_file() {
            return Ok(None);
        }
        let Ok(pool) = self.connect().await else { return Ok(None) };
        let found = match pool.acquire().await {
            Ok(mut connection) => user_version(&mut connection).await.ok(),
            Err(_) => None,
        };
        pool.close().await;
        Ok(found.map(|found| u32::try_from(found).unwrap_or(u32::MAX)))
    }

    /// Bytes that a copy may take.
    fn bytes(&self) -> u64 {
        let log = self.path.with_extension("db-wal");
        [&self.path, &log].iter().filter_map(|path| fs::metadata(path).ok()).map(|facts| facts.len()).sum()
    }

    async fn copy_to(&self, directory: &Path) -> Result<(), StoreError> {
        let Some(name) = self.path.file_name() else { return Ok(()) };
        let pool = self.connect().await.map_err(|why| (self.open)(&self.path, why))?;
        let copied = copy(&pool, &directory.join(name)).await;
        pool.close().await;
        match copied {
            // One that is too damaged to be copied is told, if it matters, by who opens it.
            Err(_) if self.can_be_lost => Ok(()),
            copied => copied.map_err(|why| why.at(&self.path, self.open)),
        }
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        if matches!(self.found().await?, None | Some(0 | FORMAT)) {
            return Ok(());
        }
        let pool = self.connect().await.map_err(|why| (self.open)(&self.path, why))?;
        let migrated = self.layout.migrate(&pool).await;
        pool.close().await;
        migrated.map(drop).map_err(|why| why.at(&self.path, self.open))
    }
}

/// Writes a consistent copy of a database to a new file, which only its owner reads; when this returns, it is on the
/// disk. Readers and writers go on meanwhile.
pub(super) async fn copy(pool: &SqlitePool, to: &Path) -> Result<(), StoreError> {
    let failed = |why: io::Error| StoreError::Copy { path: to.to_owned(), why };
    // Made here, so that only its owner ever reads it: SQLite takes an empty file.
    let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(failed)?;
    sqlx::query("VACUUM INTO ?").bind(to.to_string_lossy().into_owned()).execute(pool).await?;
    made.sync_all().map_err(failed)
}

/// Opens a database that a server may be writing, to read it: without a wish to write, and never in the belief that
/// nobody else does. Older formats can be read too.
pub(super) async fn beside(path: &Path) -> Result<SqlitePool, StoreError> {
    let log = || fs::metadata(path.with_extension("db-wal")).is_ok_and(|log| log.len() > 0);
    match reading(path, false).await {
        // Where its shared memory file cannot be made, nobody can be writing either. But what stands in its log only would
        // be passed over.
        Err(StoreError::Sql(_)) if !log() => still(path).await,
        opened => opened,
    }
}

/// Opens a database that nobody writes, as in a backup.
pub(super) async fn still(path: &Path) -> Result<SqlitePool, StoreError> {
    reading(path, true).await
}

async fn reading(path: &Path, immutable: bool) -> Result<SqlitePool, StoreError> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true).immutable(immutable);
    let options = options.busy_timeout(LOCK_WAIT);
    let pool = pool_options().max_connections(1).acquire_timeout(LOCK_WAIT).connect_with(options).await?;
    match user_version(&mut *pool.acquire().await?).await? {
        found if (1..=i64::from(FORMAT)).contains(&found) => Ok(pool),
        0 => Err(sqlx::Error::Protocol("there is nothing in it".to_owned()).into()),
        found => Err(StoreError::Newer { path: path.to_owned(), found }),
    }
}

/// Reads a whole database through; what is wrong in it, if anything is.
pub(super) async fn trouble(pool: &SqlitePool) -> Result<Option<String>, StoreError> {
    let said: String = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(pool).await?;
    Ok((said != "ok").then_some(said))
}

#[cfg(test)]
mod tests;
