use super::{Store, StoreError};
use crate::names::{IndexName, Sha256};
use sqlx::Row;

impl Store {
    /// Notes a file in the cache, used at `used` (Unix seconds).
    pub async fn put_blob(&self, digest: &Sha256, size: u64, used: u64) -> Result<(), StoreError> {
        self.put_blobs(&[(*digest, size)], used).await
    }

    /// Notes many files at once; those known already keep their last use.
    pub async fn put_blobs(&self, blobs: &[(Sha256, u64)], used: u64) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        let mut transaction = self.pool.begin().await?;
        for (digest, size) in blobs {
            sqlx::query("INSERT INTO blob VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET size = excluded.size")
                .bind(digest.as_bytes().as_slice())
                .bind(*size as i64)
                .bind(used as i64)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Notes the last uses of files, in one transaction.
    pub async fn touch_blobs(&self, uses: &[(Sha256, u64)]) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        let mut transaction = self.pool.begin().await?;
        for (digest, used) in uses {
            sqlx::query("UPDATE blob SET used = max(used, ?) WHERE sha256 = ?")
                .bind(*used as i64)
                .bind(digest.as_bytes().as_slice())
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Takes uses that lie ahead of `now` for uses at `now`: the clock was wrong once, and what was used then must not
    /// outlive all that is used since.
    pub async fn no_use_after(&self, now: u64) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        sqlx::query("UPDATE blob SET used = ?1 WHERE used > ?1").bind(now as i64).execute(&self.pool).await?;
        Ok(())
    }

    /// The files that were not used for longest, with their sizes.
    pub async fn oldest_blobs(&self, count: u32) -> Result<Vec<(Sha256, u64)>, StoreError> {
        let query = "SELECT sha256, size FROM blob ORDER BY used LIMIT ?";
        let rows = sqlx::query(query).bind(count).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((digest(row.try_get(0)?)?, row.try_get::<i64, _>(1)? as u64))).collect()
    }

    /// Forgets files, and the metadata and computed digests that lie in them, in one transaction.
    pub async fn remove_blobs(&self, blobs: &[Sha256]) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        let mut transaction = self.pool.begin().await?;
        for blob in blobs {
            for query in [
                "DELETE FROM blob WHERE sha256 = ?",
                "DELETE FROM metadata WHERE sha256 = ?",
                "DELETE FROM unhashed WHERE sha256 = ?",
            ] {
                sqlx::query(query).bind(blob.as_bytes().as_slice()).execute(&mut *transaction).await?;
            }
        }
        Ok(transaction.commit().await?)
    }

    /// Number and bytes of the files in the cache.
    pub async fn blob_totals(&self) -> Result<(u64, u64), StoreError> {
        let row = sqlx::query("SELECT count(*), coalesce(sum(size), 0) FROM blob").fetch_one(&self.pool).await?;
        Ok((row.try_get::<i64, _>(0)? as u64, row.try_get::<i64, _>(1)? as u64))
    }

    /// All digests in the cache: the offline pages list only these.
    pub async fn blob_digests(&self) -> Result<Vec<Sha256>, StoreError> {
        let rows: Vec<Vec<u8>> = sqlx::query_scalar("SELECT sha256 FROM blob").fetch_all(&self.pool).await?;
        rows.iter().map(|bytes| digest(bytes)).collect()
    }

    /// Notes the digest that was computed for a file which upstream lists without one.
    pub async fn put_unhashed(
        &self,
        index: &IndexName,
        url: &str,
        digest: &Sha256,
        size: u64,
    ) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        sqlx::query("INSERT OR REPLACE INTO unhashed VALUES (?, ?, ?, ?)")
            .bind(index.as_str())
            .bind(url)
            .bind(digest.as_bytes().as_slice())
            .bind(size as i64)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The computed digest and the size of a file which upstream lists without a digest.
    pub async fn unhashed(&self, index: &IndexName, url: &str) -> Result<Option<(Sha256, u64)>, StoreError> {
        let query = "SELECT sha256, size FROM unhashed WHERE index_name = ? AND url = ?";
        let row = sqlx::query(query).bind(index.as_str()).bind(url).fetch_optional(&self.pool).await?;
        row.map(|row| Ok((digest(row.try_get(0)?)?, row.try_get::<i64, _>(1)? as u64))).transpose()
    }
}

pub(super) fn digest(bytes: &[u8]) -> Result<Sha256, StoreError> {
    bytes.try_into().map(Sha256::from_bytes).map_err(|_| StoreError::Row("sha256"))
}
