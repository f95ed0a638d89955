use super::{StoreError, pool_options};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use std::collections::BTreeMap;
use std::path::Path;

/// Another server's database of keys and changes, read in pieces: `kv` says at which serial each key was last written,
/// `changelog` holds a blob for each serial. What the blobs mean is not known here.
///
/// It is opened to be written, which a database needs that its server left in the middle of a change: open a copy.
pub struct Keyfs {
    pool: SqlitePool,
}

/// A key, and the serial at which it was last written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    pub key: String,
    pub serial: i64,
}

/// Largest blob that is read, in bytes. That of a project with ten thousand files has five million.
const BLOB_BYTES_MAX: i64 = 256 * 1024 * 1024;

impl Keyfs {
    /// Opens a copy, and makes an index in it by which all questions here are answered without sorting.
    pub async fn open(copy: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new().filename(copy).pragma("cache_size", "-4096");
        // One connection: what is asked comes one after another, and its page cache is the one that counts.
        let pool = pool_options().max_connections(1).test_before_acquire(false);
        let pool = pool.connect_with(options).await.map_err(|why| StoreError::foreign(copy, why))?;
        for statement in [
            // The first look undoes what was left half done.
            "SELECT count(*) FROM kv WHERE key = ''",
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "CREATE INDEX IF NOT EXISTS kv_in_order ON kv (keyname, serial, key)",
        ] {
            sqlx::query(statement).execute(&pool).await.map_err(|why| StoreError::foreign(copy, why))?;
        }
        Ok(Self { pool })
    }

    /// How many keys there are of each kind.
    pub async fn counts(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let query = "SELECT keyname, count(*) FROM kv GROUP BY keyname";
        let rows: Vec<(String, i64)> = sqlx::query_as(query).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|(kind, count)| (kind, count as u64)).collect())
    }

    /// The keys of a kind that come after `after`, by serial and then by name.
    pub async fn keys(&self, kind: &str, after: Option<&KeyRow>, count: u32) -> Result<Vec<KeyRow>, StoreError> {
        let query = "SELECT key, serial FROM kv WHERE keyname = ? AND (serial, key) > (?, ?)
                     ORDER BY serial, key LIMIT ?";
        let (serial, key) = after.map_or((i64::MIN, ""), |row| (row.serial, row.key.as_str()));
        let rows = sqlx::query_as(query).bind(kind).bind(serial).bind(key).bind(count);
        let rows: Vec<(String, i64)> = rows.fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|(key, serial)| KeyRow { key, serial }).collect())
    }

    /// Those of `keys` that there are, by serial.
    pub async fn find(&self, keys: &[&str]) -> Result<Vec<KeyRow>, StoreError> {
        let names = serde_json::Value::from(keys).to_string();
        let query = "SELECT key, serial FROM kv WHERE key IN (SELECT value FROM json_each(?)) ORDER BY serial, key";
        let rows: Vec<(String, i64)> = sqlx::query_as(query).bind(names).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|(key, serial)| KeyRow { key, serial }).collect())
    }

    /// What was written at a serial; none where there is nothing, or more than is read.
    pub async fn change(&self, serial: i64) -> Result<Option<Vec<u8>>, StoreError> {
        let query = "SELECT data FROM changelog WHERE serial = ? AND length(data) <= ?";
        Ok(sqlx::query_scalar(query).bind(serial).bind(BLOB_BYTES_MAX).fetch_optional(&self.pool).await?)
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }
}
