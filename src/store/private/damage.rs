use super::{Private, StoreError, digest};
use crate::names::Sha256;

impl Private {
    /// Notes that the disk has lost a file's bytes, found at `now` (Unix seconds); the first time counts.
    pub async fn note_damage(&self, sha256: &Sha256, now: u64) -> Result<(), StoreError> {
        let mut writing = self.write().await?;
        let query = "INSERT INTO damage VALUES (?, ?) ON CONFLICT DO NOTHING";
        let query = sqlx::query(query).bind(sha256.as_bytes().as_slice()).bind(now as i64);
        query.execute(writing.sql()).await?;
        writing.commit_unseen().await
    }

    /// The bytes that the disk has lost and rows still refer to.
    pub async fn damaged(&self) -> Result<Vec<Sha256>, StoreError> {
        let query = "SELECT sha256 FROM damage AS d
                     WHERE EXISTS (SELECT 1 FROM file WHERE sha256 = d.sha256)
                     OR EXISTS (SELECT 1 FROM file WHERE metadata_sha256 = d.sha256)
                     OR EXISTS (SELECT 1 FROM removed_file WHERE sha256 = d.sha256)
                     OR EXISTS (SELECT 1 FROM removed_file WHERE metadata_sha256 = d.sha256)
                     ORDER BY 1";
        let rows: Vec<Vec<u8>> = sqlx::query_scalar(query).fetch_all(&self.pool).await?;
        rows.iter().map(|bytes| digest(bytes)).collect()
    }

    /// Forgets what is good again, and what no row refers to any more.
    pub async fn mended(&self, good: &[Sha256]) -> Result<(), StoreError> {
        let mut writing = self.write().await?;
        for sha256 in good {
            let query = sqlx::query("DELETE FROM damage WHERE sha256 = ?").bind(sha256.as_bytes().as_slice());
            query.execute(writing.sql()).await?;
        }
        let query = "DELETE FROM damage AS d
                     WHERE NOT EXISTS (SELECT 1 FROM file WHERE sha256 = d.sha256)
                     AND NOT EXISTS (SELECT 1 FROM file WHERE metadata_sha256 = d.sha256)
                     AND NOT EXISTS (SELECT 1 FROM removed_file WHERE sha256 = d.sha256)
                     AND NOT EXISTS (SELECT 1 FROM removed_file WHERE metadata_sha256 = d.sha256)";
        sqlx::query(query).execute(writing.sql()).await?;
        writing.commit_unseen().await
    }
}
