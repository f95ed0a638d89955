use super::files::{FileRow, file_of};
use super::{Private, StoreError, digest, unreferenced};
use crate::names::{IndexName, ProjectName, Sha256, UserName};
use sqlx::{Row, SqliteConnection};

/// What a removal leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    pub serial: u64,
    /// Files and metadata that no row refers to any more. Who unlinks them must keep out, from before the removal on,
    /// those who publish: the same bytes may be on their way again.
    pub unreferenced: Vec<Sha256>,
}

impl Private {
    /// Removes a user and all that it owns; none when there is no such user.
    pub async fn remove_user(&self, name: &UserName) -> Result<Option<Removed>, StoreError> {
        let mut writing = self.write().await?;
        let query = "SELECT sha256, metadata_sha256 FROM file
                     WHERE index_name IN (SELECT name FROM user_index WHERE user_name = ?1)
                     UNION SELECT sha256, metadata_sha256 FROM removed_file
                     WHERE index_name IN (SELECT name FROM user_index WHERE user_name = ?1)";
        let left = digests(sqlx::query(query).bind(name.as_str()).fetch_all(writing.sql()).await?)?;
        // Tokens of others that are for its indexes.
        let query = "DELETE FROM token WHERE index_name IN (SELECT name FROM user_index WHERE user_name = ?)";
        sqlx::query(query).bind(name.as_str()).execute(writing.sql()).await?;
        let gone = sqlx::query("DELETE FROM user WHERE name = ?").bind(name.as_str()).execute(writing.sql()).await?;
        finish(writing, gone.rows_affected() > 0, &left).await
    }

    /// Removes an index and all that is in it, names and tokens for it too; none when there is no such index.
    pub async fn remove_index(&self, name: &IndexName) -> Result<Option<Removed>, StoreError> {
        let mut writing = self.write().await?;
        let query = "SELECT sha256, metadata_sha256 FROM file WHERE index_name = ?1
                     UNION SELECT sha256, metadata_sha256 FROM removed_file WHERE index_name = ?1";
        let left = digests(sqlx::query(query).bind(name.as_str()).fetch_all(writing.sql()).await?)?;
        let query = "DELETE FROM token WHERE index_name = ?";
        sqlx::query(query).bind(name.as_str()).execute(writing.sql()).await?;
        let query = "DELETE FROM user_index WHERE name = ?";
        let gone = sqlx::query(query).bind(name.as_str()).execute(writing.sql()).await?;
        finish(writing, gone.rows_affected() > 0, &left).await
    }

    /// Removes all releases of a project; its name stays owned. None when it has none.
    pub async fn remove_project(
        &self,
        index: &IndexName,
        project: &ProjectName,
    ) -> Result<Option<Removed>, StoreError> {
        let mut writing = self.write().await?;
        let left = drop_project(writing.sql(), index, project).await?;
        finish(writing, left.is_some(), &left.unwrap_or_default()).await
    }

    /// Removes the release that spells its version so, with its files; none when there is none.
    pub async fn remove_version(
        &self,
        index: &IndexName,
        project: &ProjectName,
        version: &str,
    ) -> Result<Option<Removed>, StoreError> {
        let mut writing = self.write().await?;
        let left = drop_version(writing.sql(), index, project, version).await?;
        finish(writing, left.is_some(), &left.unwrap_or_default()).await
    }

    /// Removes a file and the results of its tests; the release goes with the last of its files.
    pub async fn remove_file(&self, index: &IndexName, filename: &str) -> Result<Option<Removed>, StoreError> {
        let mut writing = self.write().await?;
        let Some(file) = file_of(writing.sql(), index, filename).await? else { return Ok(None) };
        let left = drop_file(writing.sql(), &file).await?;
        finish(writing, true, &left).await
    }

    /// The digests of files that were here under this name and are gone, newest last. Of an index that was removed
    /// nothing is remembered.
    pub async fn was_deleted(&self, index: &IndexName, filename: &str) -> Result<Vec<Sha256>, StoreError> {
        let query = "SELECT sha256 FROM deleted WHERE index_name = ? AND filename = ? ORDER BY id";
        let rows = sqlx::query_scalar(query).bind(index.as_str()).bind(filename);
        let rows: Vec<Vec<u8>> = rows.fetch_all(&self.pool).await?;
        rows.iter().map(|bytes| digest(bytes)).collect()
    }
}

async fn finish(mut writing: super::Writing<'_>, gone: bool, left: &[Sha256]) -> Result<Option<Removed>, StoreError> {
    if !gone {
        return Ok(None);
    }
    let unreferenced = unreferenced(writing.sql(), left).await?;
    Ok(Some(Removed { serial: writing.commit().await?, unreferenced }))
}

/// Removes a project's releases and tells their digests; none when it has none.
pub(super) async fn drop_project(
    sql: &mut SqliteConnection,
    index: &IndexName,
    project: &ProjectName,
) -> Result<Option<Vec<Sha256>>, StoreError> {
    let query = "SELECT sha256, metadata_sha256 FROM file WHERE index_name = ? AND project = ?";
    let rows = sqlx::query(query).bind(index.as_str()).bind(project.as_str()).fetch_all(&mut *sql).await?;
    let left = digests(rows)?;
    let note = "INSERT OR REPLACE INTO deleted (index_name, filename, sha256)
                SELECT index_name, filename, sha256 FROM file WHERE index_name = ? AND project = ?";
    sqlx::query(note).bind(index.as_str()).bind(project.as_str()).execute(&mut *sql).await?;
    let query = "DELETE FROM release WHERE index_name = ? AND project = ?";
    let gone = sqlx::query(query).bind(index.as_str()).bind(project.as_str()).execute(sql).await?;
    Ok((gone.rows_affected() > 0).then_some(left))
}

/// Removes a release and tells the digests of its files; none when there is none.
pub(super) async fn drop_version(
    sql: &mut SqliteConnection,
    index: &IndexName,
    project: &ProjectName,
    version: &str,
) -> Result<Option<Vec<Sha256>>, StoreError> {
    let query = "SELECT sha256, metadata_sha256 FROM file WHERE index_name = ? AND project = ? AND version = ?";
    let rows = sqlx::query(query).bind(index.as_str()).bind(project.as_str()).bind(version);
    let left = digests(rows.fetch_all(&mut *sql).await?)?;
    let note = "INSERT OR REPLACE INTO deleted (index_name, filename, sha256)
                SELECT index_name, filename, sha256 FROM file
                WHERE index_name = ? AND project = ? AND version = ?";
    let note = sqlx::query(note).bind(index.as_str()).bind(project.as_str()).bind(version);
    note.execute(&mut *sql).await?;
    let query = "DELETE FROM release WHERE index_name = ? AND project = ? AND version = ?";
    let gone = sqlx::query(query).bind(index.as_str()).bind(project.as_str()).bind(version);
    Ok((gone.execute(sql).await?.rows_affected() > 0).then_some(left))
}

/// Removes a file with the results of its tests, and its release with the last of its files; tells their digests.
pub(super) async fn drop_file(sql: &mut SqliteConnection, file: &FileRow) -> Result<Vec<Sha256>, StoreError> {
    let mut left: Vec<_> = file.digests().collect();
    note_deleted(sql, file).await?;
    left.extend(drop_results_of(sql, file).await?);
    let query = "DELETE FROM file WHERE index_name = ? AND filename = ?";
    sqlx::query(query).bind(file.index.as_str()).bind(&file.filename).execute(&mut *sql).await?;
    drop_emptied(sql, file).await?;
    Ok(left)
}

/// Remembers that there was this file.
pub(super) async fn note_deleted(sql: &mut SqliteConnection, file: &FileRow) -> Result<(), StoreError> {
    sqlx::query("INSERT OR REPLACE INTO deleted (index_name, filename, sha256) VALUES (?, ?, ?)")
        .bind(file.index.as_str())
        .bind(&file.filename)
        .bind(file.sha256.as_bytes().as_slice())
        .execute(sql)
        .await?;
    Ok(())
}

/// Removes the results of a file's tests, and tells their digests.
pub(super) async fn drop_results_of(sql: &mut SqliteConnection, file: &FileRow) -> Result<Vec<Sha256>, StoreError> {
    let note = "INSERT OR REPLACE INTO deleted (index_name, filename, sha256)
                SELECT index_name, filename, sha256 FROM file WHERE index_name = ? AND for_filename = ?";
    sqlx::query(note).bind(file.index.as_str()).bind(&file.filename).execute(&mut *sql).await?;
    let query = "DELETE FROM file WHERE index_name = ? AND for_filename = ? RETURNING sha256, metadata_sha256";
    digests(sqlx::query(query).bind(file.index.as_str()).bind(&file.filename).fetch_all(sql).await?)
}

/// Removes the release that `file` was in, if that was its last file.
pub(super) async fn drop_emptied(sql: &mut SqliteConnection, file: &FileRow) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM release WHERE index_name = ?1 AND project = ?2 AND version = ?3 AND NOT EXISTS (
             SELECT 1 FROM file WHERE index_name = ?1 AND project = ?2 AND version = ?3)",
    )
    .bind(file.index.as_str())
    .bind(file.project.as_str())
    .bind(&file.version)
    .execute(sql)
    .await?;
    Ok(())
}

/// The digests in rows of (sha256, metadata_sha256).
pub(super) fn digests(rows: Vec<sqlx::sqlite::SqliteRow>) -> Result<Vec<Sha256>, StoreError> {
    let mut found = Vec::with_capacity(rows.len() * 2);
    for row in &rows {
        found.push(digest(row.try_get(0)?)?);
        if let Some(metadata) = row.try_get::<Option<&[u8]>, _>(1)? {
            found.push(digest(metadata)?);
        }
    }
    Ok(found)
}
