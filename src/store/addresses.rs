use super::{Store, StoreError, blobs::digest};
use crate::names::{IndexName, ProjectName, Sha256};
use sqlx::Row;

/// A mirror's file that another server had at an address of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressRow {
    pub index: IndexName,
    /// `f/aaa/bbbbbbbbbbbbb` or `e/DIRECTORY`.
    pub place: String,
    pub filename: String,
    pub project: ProjectName,
    /// Where upstream had it.
    pub url: String,
    pub sha256: Sha256,
    pub size: u64,
}

impl Store {
    /// Notes where a file was that is in the cache now; `unhashed`: upstream lists it without a digest.
    pub async fn put_address(&self, row: &AddressRow, unhashed: bool) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        let mut transaction = self.pool.begin().await?;
        sqlx::query("INSERT OR REPLACE INTO address VALUES (?, ?, ?, ?, ?, ?, ?)")
            .bind(row.index.as_str())
            .bind(&row.place)
            .bind(&row.filename)
            .bind(row.project.as_str())
            .bind(&row.url)
            .bind(row.sha256.as_bytes().as_slice())
            .bind(row.size as i64)
            .execute(&mut *transaction)
            .await?;
        if unhashed {
            sqlx::query("INSERT OR REPLACE INTO unhashed VALUES (?, ?, ?, ?)")
                .bind(row.index.as_str())
                .bind(&row.url)
                .bind(row.sha256.as_bytes().as_slice())
                .bind(row.size as i64)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// What was at an address.
    pub async fn address(
        &self,
        index: &IndexName,
        place: &str,
        filename: &str,
    ) -> Result<Option<AddressRow>, StoreError> {
        let query = "SELECT project, url, sha256, size FROM address
                     WHERE index_name = ? AND place = ? AND filename = ?";
        let row = sqlx::query(query).bind(index.as_str()).bind(place).bind(filename);
        let row = row.fetch_optional(&self.pool).await?;
        row.map(|row| {
            Ok(AddressRow {
                index: index.clone(),
                place: place.to_owned(),
                filename: filename.to_owned(),
                project: ProjectName::parse(row.try_get(0)?).map_err(|_| StoreError::Row("project"))?,
                url: row.try_get(1)?,
                sha256: digest(row.try_get(2)?)?,
                size: row.try_get::<i64, _>(3)? as u64,
            })
        })
        .transpose()
    }
}
