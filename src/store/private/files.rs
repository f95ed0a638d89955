use super::{Private, StoreError, digest, keeps_removed, releases::project};
use crate::names::{IndexName, ProjectName, Sha256};
use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

#[derive(Debug, Clone, PartialEq)]
pub struct FileRow {
    pub index: IndexName,
    /// One file of an index has this name, whatever it is to its release.
    pub filename: String,
    pub rel: Rel,
    pub project: ProjectName,
    /// As its release spells it.
    pub version: String,
    pub sha256: Sha256,
    pub size: u64,
    /// Unix microseconds.
    pub uploaded: i64,
    pub requires_python: Option<String>,
    /// The core metadata of a wheel: a file of its own, and its size.
    pub metadata: Option<(Sha256, u64)>,
    /// The reason, empty when none was given; none: not yanked.
    pub yanked: Option<String>,
    /// JSON.
    pub attestations: Option<String>,
    /// What happened to it, as devpi's `_log` tells it.
    pub log: Vec<Value>,
    /// What a test's result is of: digest and name of a release file in the same index.
    pub for_file: Option<(Sha256, String)>,
}

impl FileRow {
    /// The digests of its bytes and of its metadata: what must lie on the shelf.
    pub fn digests(&self) -> impl Iterator<Item = Sha256> + use<> {
        [Some(self.sha256), self.metadata.map(|(sha256, _)| sha256)].into_iter().flatten()
    }
}

/// What a file is to its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rel {
    Releasefile,
    Doczip,
    Toxresult,
}

impl Rel {
    /// devpi's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Releasefile => "releasefile",
            Self::Doczip => "doczip",
            Self::Toxresult => "toxresult",
        }
    }

    fn parse(word: &str) -> Result<Self, StoreError> {
        let all = [Self::Releasefile, Self::Doczip, Self::Toxresult];
        all.into_iter().find(|rel| rel.as_str() == word).ok_or(StoreError::Row("rel"))
    }
}

macro_rules! select_files {
    ($which:literal) => {
        concat!(
            "SELECT index_name, filename, rel, project, version, sha256, size, uploaded, requires_python,
             metadata_sha256, metadata_size, yanked, attestations, log, for_sha256, for_filename FROM file WHERE ",
            $which
        )
    };
}

impl Private {
    /// All files of a project, in the order in which they came.
    pub async fn files(&self, index: &IndexName, project: &ProjectName) -> Result<Vec<FileRow>, StoreError> {
        let query = select_files!("index_name = ? AND project = ? ORDER BY rowid");
        let rows = sqlx::query(query).bind(index.as_str()).bind(project.as_str()).fetch_all(&self.pool).await?;
        rows.iter().map(file).collect()
    }

    /// All files of a release, by its own spelling of its version.
    pub async fn files_of_version(
        &self,
        index: &IndexName,
        project: &ProjectName,
        version: &str,
    ) -> Result<Vec<FileRow>, StoreError> {
        let query = select_files!("index_name = ? AND project = ? AND version = ? ORDER BY rowid");
        let rows = sqlx::query(query).bind(index.as_str()).bind(project.as_str()).bind(version);
        rows.fetch_all(&self.pool).await?.iter().map(file).collect()
    }

    /// The digests and sizes of all bytes that rows refer to, in the order of the digests: what must lie on the shelf,
    /// with what was removed and can be had back.
    pub async fn named(&self) -> Result<Vec<(Sha256, u64)>, StoreError> {
        let query = match keeps_removed(&mut *self.pool.acquire().await?).await? {
            true => {
                "SELECT sha256, size FROM file
                 UNION SELECT metadata_sha256, metadata_size FROM file WHERE metadata_sha256 IS NOT NULL
                 UNION SELECT sha256, size FROM removed_file
                 UNION SELECT metadata_sha256, metadata_size FROM removed_file WHERE metadata_sha256 IS NOT NULL
                 ORDER BY 1"
            }
            false => {
                "SELECT sha256, size FROM file
                 UNION SELECT metadata_sha256, metadata_size FROM file WHERE metadata_sha256 IS NOT NULL
                 ORDER BY 1"
            }
        };
        let rows = sqlx::query(query).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((digest(row.try_get(0)?)?, row.try_get::<i64, _>(1)? as u64))).collect()
    }

    /// Whose bytes these are, like `alice/dev/demo-1.0.tar.gz`.
    pub async fn names_of(&self, sha256: &Sha256) -> Result<Vec<String>, StoreError> {
        let query = match keeps_removed(&mut *self.pool.acquire().await?).await? {
            true => {
                "SELECT index_name || '/' || filename FROM file WHERE sha256 = ?1
                 UNION SELECT index_name || '/' || filename || '.metadata' FROM file WHERE metadata_sha256 = ?1
                 UNION SELECT index_name || '/' || filename || ' (removed, can be undone)'
                 FROM removed_file WHERE sha256 = ?1 OR metadata_sha256 = ?1"
            }
            false => {
                "SELECT index_name || '/' || filename FROM file WHERE sha256 = ?1
                 UNION SELECT index_name || '/' || filename || '.metadata' FROM file WHERE metadata_sha256 = ?1"
            }
        };
        let query = sqlx::query_scalar(query).bind(sha256.as_bytes().as_slice());
        Ok(query.fetch_all(&self.pool).await?)
    }

    pub async fn file(&self, index: &IndexName, filename: &str) -> Result<Option<FileRow>, StoreError> {
        file_of(&mut *self.pool.acquire().await?, index, filename).await
    }
}

pub(super) async fn file_of(
    sql: &mut SqliteConnection,
    index: &IndexName,
    filename: &str,
) -> Result<Option<FileRow>, StoreError> {
    let query = select_files!("index_name = ? AND filename = ?");
    let row = sqlx::query(query).bind(index.as_str()).bind(filename).fetch_optional(sql).await?;
    row.as_ref().map(file).transpose()
}

/// Writes a file's row, in place of one of the same name; its release must be there.
pub(super) async fn write_file(sql: &mut SqliteConnection, row: &FileRow) -> Result<(), StoreError> {
    sqlx::query("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(row.index.as_str())
        .bind(&row.filename)
        .bind(row.rel.as_str())
        .bind(row.project.as_str())
        .bind(&row.version)
        .bind(row.sha256.as_bytes().as_slice())
        .bind(row.size as i64)
        .bind(row.uploaded)
        .bind(&row.requires_python)
        .bind(row.metadata.as_ref().map(|(sha256, _)| sha256.as_bytes().as_slice()))
        .bind(row.metadata.map(|(_, size)| size as i64))
        .bind(&row.yanked)
        .bind(&row.attestations)
        .bind(Value::from(row.log.clone()).to_string())
        .bind(row.for_file.as_ref().map(|(sha256, _)| sha256.as_bytes().as_slice()))
        .bind(row.for_file.as_ref().map(|(_, filename)| filename))
        .execute(sql)
        .await?;
    Ok(())
}

fn file(row: &SqliteRow) -> Result<FileRow, StoreError> {
    let metadata: Option<&[u8]> = row.try_get(9)?;
    let metadata_size: Option<i64> = row.try_get(10)?;
    let for_sha256: Option<&[u8]> = row.try_get(14)?;
    let for_filename: Option<String> = row.try_get(15)?;
    Ok(FileRow {
        index: IndexName::parse(row.try_get(0)?).map_err(|_| StoreError::Row("index"))?,
        filename: row.try_get(1)?,
        rel: Rel::parse(row.try_get(2)?)?,
        project: project(row.try_get(3)?)?,
        version: row.try_get(4)?,
        sha256: digest(row.try_get(5)?)?,
        size: row.try_get::<i64, _>(6)? as u64,
        uploaded: row.try_get(7)?,
        requires_python: row.try_get(8)?,
        metadata: metadata.map(digest).transpose()?.zip(metadata_size.map(|size| size as u64)),
        yanked: row.try_get(11)?,
        attestations: row.try_get(12)?,
        log: serde_json::from_str(row.try_get(13)?).map_err(|_| StoreError::Row("log"))?,
        for_file: for_sha256.map(digest).transpose()?.zip(for_filename),
    })
}
