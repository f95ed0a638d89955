use super::people::need_index;
use super::{Private, StoreError, digest};
use crate::names::{IndexName, Sha256};

impl Private {
    /// Notes that another server had a stage's file at a place that its digest does not say.
    pub async fn put_address(
        &self,
        index: &IndexName,
        place: &str,
        filename: &str,
        sha256: &Sha256,
    ) -> Result<(), StoreError> {
        let mut writing = self.write().await?;
        need_index(writing.sql(), index).await?;
        sqlx::query("INSERT OR REPLACE INTO address VALUES (?, ?, ?, ?)")
            .bind(index.as_str())
            .bind(place)
            .bind(filename)
            .bind(sha256.as_bytes().as_slice())
            .execute(writing.sql())
            .await?;
        writing.commit_unseen().await
    }

    /// The digest of what was at such a place.
    pub async fn address(&self, index: &IndexName, place: &str, filename: &str) -> Result<Option<Sha256>, StoreError> {
        let query = "SELECT sha256 FROM address WHERE index_name = ? AND place = ? AND filename = ?";
        let found = sqlx::query_scalar(query).bind(index.as_str()).bind(place).bind(filename);
        let found: Option<Vec<u8>> = found.fetch_optional(&self.pool).await?;
        found.map(|bytes| digest(&bytes)).transpose()
    }
}
