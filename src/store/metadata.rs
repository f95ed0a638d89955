use super::{BlobName, Store, StoreError, blobs::digest};
use crate::names::{DistFilename, IndexName, ProjectName, Sha256};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

/// Where the core metadata of a wheel is: a file in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataRow {
    pub filename: String,
    /// The wheel's digest: metadata of other bytes under the same name is not this wheel's.
    pub wheel: Sha256,
    pub sha256: Sha256,
    pub size: u64,
}

impl Store {
    pub async fn put_metadata(
        &self,
        index: &IndexName,
        project: &ProjectName,
        row: &MetadataRow,
    ) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        sqlx::query("INSERT OR REPLACE INTO metadata VALUES (?, ?, ?, ?, ?, ?)")
            .bind(index.as_str())
            .bind(project.as_str())
            .bind(&row.filename)
            .bind(row.wheel.as_bytes().as_slice())
            .bind(row.sha256.as_bytes().as_slice())
            .bind(row.size as i64)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// What all metadata that is kept is called: as the wheel that it is of.
    pub async fn metadata_names(&self) -> Result<Vec<(Sha256, BlobName)>, StoreError> {
        let query = "SELECT index_name, project, filename, sha256 FROM metadata";
        let read = |row: &SqliteRow| {
            let index = IndexName::parse(row.try_get(0)?).map_err(|_| StoreError::Row("index_name"))?;
            let project = ProjectName::parse(row.try_get(1)?).map_err(|_| StoreError::Row("project"))?;
            Ok((digest(row.try_get(3)?)?, BlobName { index, project: Some(project), filename: row.try_get(2)? }))
        };
        sqlx::query(query).fetch_all(&self.pool).await?.iter().map(read).collect()
    }

    /// All metadata that is kept for a project.
    pub async fn project_metadata(
        &self,
        index: &IndexName,
        project: &ProjectName,
    ) -> Result<Vec<MetadataRow>, StoreError> {
        let query = "SELECT filename, wheel, sha256, size FROM metadata WHERE index_name = ? AND project = ?";
        let rows = sqlx::query(query).bind(index.as_str()).bind(project.as_str()).fetch_all(&self.pool).await?;
        rows.iter().map(metadata_row).collect()
    }

    pub async fn metadata(
        &self,
        index: &IndexName,
        project: &ProjectName,
        filename: &DistFilename,
    ) -> Result<Option<MetadataRow>, StoreError> {
        let query = "SELECT filename, wheel, sha256, size FROM metadata
                     WHERE index_name = ? AND project = ? AND filename = ?";
        let row = sqlx::query(query)
            .bind(index.as_str())
            .bind(project.as_str())
            .bind(filename.as_str())
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(metadata_row).transpose()
    }
}

fn metadata_row(row: &SqliteRow) -> Result<MetadataRow, StoreError> {
    Ok(MetadataRow {
        filename: row.try_get(0)?,
        wheel: digest(row.try_get(1)?)?,
        sha256: digest(row.try_get(2)?)?,
        size: row.try_get::<i64, _>(3)? as u64,
    })
}
