use super::{Private, StoreError, map, people::need_index, text};
use crate::names::{IndexName, ProjectName, Version};
use serde_json::{Map, Value};
use sqlx::Row;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use std::str::FromStr;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectRow {
    pub name: ProjectName,
    /// As its first release spelled it.
    pub display: String,
    /// None left: the name is still owned.
    pub releases: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseRow {
    pub index: IndexName,
    pub project: ProjectName,
    /// As it was given. Versions that are equal and spelled differently are different rows.
    pub version: String,
    pub metadata: Map<String, Value>,
    /// Unix seconds.
    pub created: u64,
}

impl Private {
    /// The projects that an index has or had, by name.
    pub async fn projects(&self, index: &IndexName) -> Result<Vec<ProjectRow>, StoreError> {
        let query = "SELECT name, display, (
                         SELECT count(*) FROM release WHERE index_name = p.index_name AND project = p.name
                     ) FROM project AS p WHERE index_name = ? ORDER BY name";
        let rows = sqlx::query(query).bind(index.as_str()).fetch_all(&self.pool).await?;
        let row = |row: &SqliteRow| {
            Ok(ProjectRow {
                name: project(row.try_get(0)?)?,
                display: row.try_get(1)?,
                releases: row.try_get::<i64, _>(2)? as u64,
            })
        };
        rows.iter().map(row).collect()
    }

    /// Those of `among` that have a project or had it, in their order.
    pub async fn owners(&self, project: &ProjectName, among: &[IndexName]) -> Result<Vec<IndexName>, StoreError> {
        let query = "SELECT index_name FROM project WHERE name = ?";
        let owners: Vec<String> = sqlx::query_scalar(query).bind(project.as_str()).fetch_all(&self.pool).await?;
        Ok(among.iter().filter(|index| owners.iter().any(|owner| owner == index.as_str())).cloned().collect())
    }

    pub async fn has_releases(&self, index: &IndexName, project: &ProjectName) -> Result<bool, StoreError> {
        let query = "SELECT EXISTS (SELECT 1 FROM release WHERE index_name = ? AND project = ?)";
        let has = sqlx::query_scalar(query).bind(index.as_str()).bind(project.as_str());
        Ok(has.fetch_one(&self.pool).await?)
    }

    /// A project's releases in the order in which they came.
    pub async fn releases(&self, index: &IndexName, project: &ProjectName) -> Result<Vec<ReleaseRow>, StoreError> {
        let query = "SELECT index_name, project, version, metadata, created FROM release
                     WHERE index_name = ? AND project = ? ORDER BY rowid";
        let rows = sqlx::query(query).bind(index.as_str()).bind(project.as_str()).fetch_all(&self.pool).await?;
        rows.iter().map(release).collect()
    }

    /// The release of this version: the one that is spelled so, else one whose version is equal (`1.0` and `1.0.0`).
    /// Go on with the row's own spelling: only this question is so kind, for what removes must not guess.
    pub async fn release(
        &self,
        index: &IndexName,
        project: &ProjectName,
        version: &str,
    ) -> Result<Option<ReleaseRow>, StoreError> {
        let query = "SELECT version FROM release WHERE index_name = ? AND project = ? ORDER BY rowid";
        let spellings = sqlx::query_scalar(query).bind(index.as_str()).bind(project.as_str());
        let spellings: Vec<String> = spellings.fetch_all(&self.pool).await?;
        let equal = || {
            let wanted = Version::from_str(version).ok()?;
            spellings.iter().find(|spelling| Version::from_str(spelling).as_ref() == Ok(&wanted))
        };
        let Some(found) = spellings.iter().find(|spelling| *spelling == version).or_else(equal) else {
            return Ok(None);
        };
        let query = "SELECT index_name, project, version, metadata, created FROM release
                     WHERE index_name = ? AND project = ? AND version = ?";
        let row = sqlx::query(query).bind(index.as_str()).bind(project.as_str()).bind(found);
        row.fetch_optional(&self.pool).await?.as_ref().map(release).transpose()
    }

    /// Lets an index own a name of which it has no release; says whether it did not before.
    pub async fn own_project(&self, index: &IndexName, project: &ProjectName, since: u64) -> Result<bool, StoreError> {
        let mut writing = self.write().await?;
        need_index(writing.sql(), index).await?;
        let done = sqlx::query("INSERT INTO project VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING")
            .bind(index.as_str())
            .bind(project.as_str())
            .bind(project.as_str())
            .bind(since as i64)
            .execute(writing.sql())
            .await?;
        writing.commit().await.map(|_| done.rows_affected() > 0)
    }

    /// Registers a release: its metadata takes the place of what was known.
    pub async fn put_release(&self, row: &ReleaseRow) -> Result<u64, StoreError> {
        let mut writing = self.write().await?;
        need_index(writing.sql(), &row.index).await?;
        write_release(writing.sql(), row, &row.metadata).await?;
        writing.commit().await
    }
}

/// Registers a release as an upload does: what it says of the metadata is taken, what it does not say stays.
pub(super) async fn merge_release(sql: &mut SqliteConnection, row: &ReleaseRow) -> Result<(), StoreError> {
    let query = "SELECT metadata FROM release WHERE index_name = ? AND project = ? AND version = ?";
    let known = sqlx::query_scalar(query).bind(row.index.as_str()).bind(row.project.as_str()).bind(&row.version);
    let known: Option<String> = known.fetch_optional(&mut *sql).await?;
    let mut metadata = known.map_or_else(|| Ok(Map::new()), |known| map(&known, "metadata"))?;
    metadata.extend(row.metadata.clone());
    write_release(sql, row, &metadata).await
}

async fn write_release(
    sql: &mut SqliteConnection,
    row: &ReleaseRow,
    metadata: &Map<String, Value>,
) -> Result<(), StoreError> {
    let named = row.metadata.get("name").and_then(Value::as_str);
    let display = named.filter(|name| ProjectName::parse(name).as_ref() == Ok(&row.project));
    sqlx::query("INSERT INTO project VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING")
        .bind(row.index.as_str())
        .bind(row.project.as_str())
        .bind(display.unwrap_or(row.project.as_str()))
        .bind(row.created as i64)
        .execute(&mut *sql)
        .await?;
    sqlx::query("INSERT INTO release VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET metadata = excluded.metadata")
        .bind(row.index.as_str())
        .bind(row.project.as_str())
        .bind(&row.version)
        .bind(text(metadata)?)
        .bind(row.created as i64)
        .execute(&mut *sql)
        .await?;
    Ok(())
}

fn release(row: &SqliteRow) -> Result<ReleaseRow, StoreError> {
    Ok(ReleaseRow {
        index: IndexName::parse(row.try_get(0)?).map_err(|_| StoreError::Row("index"))?,
        project: project(row.try_get(1)?)?,
        version: row.try_get(2)?,
        metadata: map(row.try_get(3)?, "metadata")?,
        created: row.try_get::<i64, _>(4)? as u64,
    })
}

pub(super) fn project(name: &str) -> Result<ProjectName, StoreError> {
    ProjectName::parse(name).map_err(|_| StoreError::Row("project"))
}
