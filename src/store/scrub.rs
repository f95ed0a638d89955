use super::{Store, StoreError, blobs::digest};
use crate::names::Sha256;
use sqlx::Row;

/// How far a pass over all stored files has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScrubRow {
    /// Unix seconds.
    pub began: u64,
    /// Which shelf is being read: `private`, then `files`.
    pub shelf: String,
    /// The last digest that was read on it.
    pub after: Option<Sha256>,
    pub files: u64,
    pub bytes: u64,
    pub damaged: u64,
    /// When the last whole pass ended, in Unix seconds.
    pub finished: Option<u64>,
}

impl Store {
    pub async fn scrub(&self) -> Result<Option<ScrubRow>, StoreError> {
        let query = "SELECT began, shelf, after, files, bytes, damaged, finished FROM scrub";
        let Some(row) = sqlx::query(query).fetch_optional(&self.pool).await? else { return Ok(None) };
        let after: Option<&[u8]> = row.try_get(2)?;
        Ok(Some(ScrubRow {
            began: row.try_get::<i64, _>(0)? as u64,
            shelf: row.try_get(1)?,
            after: after.map(digest).transpose()?,
            files: row.try_get::<i64, _>(3)? as u64,
            bytes: row.try_get::<i64, _>(4)? as u64,
            damaged: row.try_get::<i64, _>(5)? as u64,
            finished: row.try_get::<Option<i64>, _>(6)?.map(|finished| finished as u64),
        }))
    }

    pub async fn put_scrub(&self, row: &ScrubRow) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        sqlx::query("INSERT OR REPLACE INTO scrub VALUES (1, ?, ?, ?, ?, ?, ?, ?)")
            .bind(row.began as i64)
            .bind(&row.shelf)
            .bind(row.after.as_ref().map(|after| after.as_bytes().as_slice()))
            .bind(row.files as i64)
            .bind(row.bytes as i64)
            .bind(row.damaged as i64)
            .bind(row.finished.map(|finished| finished as i64))
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
