//! A line on each project that is known here, and the words of those lines: what pages for people list and search.
//! It is made of what stands elsewhere, so that it can be lost and made again.

mod words;

use super::{Store, StoreError, blobs::digest};
use crate::names::{IndexName, ProjectName, Sha256};
use serde_json::Value;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

pub use words::WORDS_MAX;

/// What is known of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRow {
    pub index: IndexName,
    pub project: ProjectName,
    /// The digest of the mirror's page that it was made from; none of a stage's project.
    pub basis: Option<Sha256>,
    /// The latest release, final ones before others.
    pub version: Option<String>,
    pub releases: u64,
    /// When its latest release came (Unix seconds), as far as it is known.
    pub changed: u64,
    pub summary: String,
    pub keywords: String,
    pub classifiers: String,
}

/// The file that holds the names of a mirror's whole list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRow {
    /// The digest of the list's document.
    pub list: Sha256,
    pub sha256: Sha256,
    pub size: u64,
    pub projects: u64,
    /// Unix seconds.
    pub built: u64,
}

const COLUMNS: &str =
    "k.index_name, k.project, k.basis, k.version, k.releases, k.changed, k.summary, k.keywords, k.classifiers";

impl Store {
    /// Writes lines in one transaction; one that says the same already is left alone.
    pub async fn put_known(&self, rows: &[KnownRow]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let _turn = self.turn().await?;
        let mut transaction = self.pool.begin().await?;
        for row in rows {
            sqlx::query(PUT_KNOWN)
                .bind(row.index.as_str())
                .bind(row.project.as_str())
                .bind(row.basis.as_ref().map(|basis| basis.as_bytes().as_slice()))
                .bind(&row.version)
                .bind(row.releases as i64)
                .bind(row.changed as i64)
                .bind(&row.summary)
                .bind(&row.keywords)
                .bind(&row.classifiers)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Forgets what is known of projects, in one transaction.
    pub async fn forget_known(&self, projects: &[(IndexName, ProjectName)]) -> Result<(), StoreError> {
        if projects.is_empty() {
            return Ok(());
        }
        let _turn = self.turn().await?;
        let mut transaction = self.pool.begin().await?;
        for (index, project) in projects {
            sqlx::query("DELETE FROM known WHERE index_name = ? AND project = ?")
                .bind(index.as_str())
                .bind(project.as_str())
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Forgets lines on a mirror's projects whose pages are gone, and all of indexes that are not among `indexes`.
    pub async fn tidy_known(&self, indexes: &[IndexName]) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        let names = json_of(indexes.iter().map(IndexName::as_str));
        for query in [
            "DELETE FROM known WHERE index_name NOT IN (SELECT value FROM json_each(?1))",
            "DELETE FROM listed WHERE index_name NOT IN (SELECT value FROM json_each(?1))",
            "DELETE FROM known WHERE basis IS NOT NULL AND ?1 IS NOT NULL AND NOT EXISTS (
                 SELECT 1 FROM document d
                 WHERE d.index_name = known.index_name AND d.kind = 'page' AND d.name = known.project)",
        ] {
            sqlx::query(query).bind(&names).execute(&self.pool).await?;
        }
        Ok(())
    }

    /// Pages of mirrors that came or changed since what is known of their projects was made.
    pub async fn unknown_pages(&self, limit: usize) -> Result<Vec<(IndexName, ProjectName)>, StoreError> {
        let query = "SELECT d.index_name, d.name FROM document d
                     LEFT JOIN known k ON k.index_name = d.index_name AND k.project = d.name
                     WHERE d.kind = 'page' AND k.basis IS NOT d.digest LIMIT ?";
        let rows = sqlx::query(query).bind(limit as i64).fetch_all(&self.pool).await?;
        // A row that cannot be read has no name to look for.
        Ok(rows.iter().filter_map(|row| named(row).ok()).collect())
    }

    /// The names of the projects that are known in an index.
    pub async fn known_names(&self, index: &IndexName) -> Result<Vec<ProjectName>, StoreError> {
        let query = "SELECT index_name, project FROM known WHERE index_name = ?";
        let rows = sqlx::query(query).bind(index.as_str()).fetch_all(&self.pool).await?;
        rows.iter().map(|row| named(row).map(|(_, project)| project)).collect()
    }

    /// Of which `private.db`, and of which of its serials, the lines on stages' projects are.
    pub async fn known_state(&self) -> Result<Option<(String, u64)>, StoreError> {
        let row: Option<(String, i64)> =
            sqlx::query_as("SELECT uuid, serial FROM known_state").fetch_optional(&self.pool).await?;
        Ok(row.map(|(uuid, serial)| (uuid, serial as u64)))
    }

    pub async fn put_known_state(&self, uuid: &str, serial: u64) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        let query = "INSERT OR REPLACE INTO known_state VALUES (1, ?, ?)";
        sqlx::query(query).bind(uuid).bind(serial as i64).execute(&self.pool).await?;
        Ok(())
    }

    /// Where the names of a mirror's whole list are.
    pub async fn listed(&self, index: &IndexName) -> Result<Option<ListedRow>, StoreError> {
        let query = "SELECT list, sha256, size, projects, built FROM listed WHERE index_name = ?";
        let row = sqlx::query(query).bind(index.as_str()).fetch_optional(&self.pool).await?;
        let read = |row: SqliteRow| {
            Ok(ListedRow {
                list: digest(row.try_get(0)?)?,
                sha256: digest(row.try_get(1)?)?,
                size: row.try_get::<i64, _>(2)? as u64,
                projects: row.try_get::<i64, _>(3)? as u64,
                built: row.try_get::<i64, _>(4)? as u64,
            })
        };
        row.map(read).transpose()
    }

    pub async fn put_listed(&self, index: &IndexName, row: &ListedRow) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        sqlx::query("INSERT OR REPLACE INTO listed VALUES (?, ?, ?, ?, ?, ?)")
            .bind(index.as_str())
            .bind(row.list.as_bytes().as_slice())
            .bind(row.sha256.as_bytes().as_slice())
            .bind(row.size as i64)
            .bind(row.projects as i64)
            .bind(row.built as i64)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

const PUT_KNOWN: &str = "
    INSERT INTO known (index_name, project, basis, version, releases, changed, summary, keywords, classifiers)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET basis = excluded.basis, version = excluded.version, releases = excluded.releases,
    changed = excluded.changed, summary = excluded.summary, keywords = excluded.keywords,
    classifiers = excluded.classifiers
    WHERE (basis, version, releases, changed, summary, keywords, classifiers) IS NOT
    (excluded.basis, excluded.version, excluded.releases, excluded.changed, excluded.summary, excluded.keywords,
    excluded.classifiers)";

fn json_of<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    Value::from(texts.collect::<Vec<_>>()).to_string()
}

fn named(row: &SqliteRow) -> Result<(IndexName, ProjectName), StoreError> {
    let index = IndexName::parse(row.try_get(0)?).map_err(|_| StoreError::Row("index_name"))?;
    let project = ProjectName::parse(row.try_get(1)?).map_err(|_| StoreError::Row("project"))?;
    Ok((index, project))
}

fn known_row(row: &SqliteRow) -> Result<KnownRow, StoreError> {
    let (index, project) = named(row)?;
    let basis: Option<Vec<u8>> = row.try_get(2)?;
    Ok(KnownRow {
        index,
        project,
        basis: basis.map(|basis| digest(&basis)).transpose()?,
        version: row.try_get(3)?,
        releases: row.try_get::<i64, _>(4)? as u64,
        changed: row.try_get::<i64, _>(5)? as u64,
        summary: row.try_get(6)?,
        keywords: row.try_get(7)?,
        classifiers: row.try_get(8)?,
    })
}

#[cfg(test)]
mod tests;
