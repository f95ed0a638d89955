use super::{Private, StoreError, releases::project};
use crate::names::{IndexName, ProjectName};
use sqlx::Row;

/// A project of a stage as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectHead {
    pub name: ProjectName,
    /// As its first release spelled it.
    pub display: String,
    /// All versions and when each came (Unix seconds), in the order in which they came.
    pub releases: Vec<(String, u64)>,
}

impl Private {
    /// The projects of a stage that have releases and whose name holds `part`: how many there are in all, and `limit` of
    /// them from `offset` on, by name.
    pub async fn project_heads(
        &self,
        index: &IndexName,
        part: &str,
        (offset, limit): (usize, usize),
    ) -> Result<(u64, Vec<ProjectHead>), StoreError> {
        let which = "FROM project AS p WHERE index_name = ? AND instr(name, ?) > 0 AND EXISTS (
                         SELECT 1 FROM release WHERE index_name = p.index_name AND project = p.name)";
        let count = format!("SELECT count(*) {which}");
        let count = sqlx::query_scalar(sqlx::AssertSqlSafe(count)).bind(index.as_str()).bind(part);
        let count: i64 = count.fetch_one(&self.pool).await?;
        let query = format!("SELECT name, display {which} ORDER BY name LIMIT ? OFFSET ?");
        let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(index.as_str()).bind(part);
        let rows = query.bind(limit as i64).bind(offset as i64).fetch_all(&self.pool).await?;
        let mut heads = Vec::with_capacity(rows.len());
        for row in &rows {
            let name = project(row.try_get(0)?)?;
            let query = "SELECT version, created FROM release WHERE index_name = ? AND project = ? ORDER BY rowid";
            let releases = sqlx::query(query).bind(index.as_str()).bind(name.as_str()).fetch_all(&self.pool).await?;
            let release = |row: &sqlx::sqlite::SqliteRow| Ok((row.try_get(0)?, row.try_get::<i64, _>(1)? as u64));
            let releases = releases.iter().map(release).collect::<Result<_, StoreError>>()?;
            heads.push(ProjectHead { name, display: row.try_get(1)?, releases });
        }
        Ok((count as u64, heads))
    }

    /// What a release says of itself in a line.
    pub async fn summary(
        &self,
        index: &IndexName,
        project: &ProjectName,
        version: &str,
    ) -> Result<Option<String>, StoreError> {
        let query = "SELECT json_extract(metadata, '$.summary') FROM release
                     WHERE index_name = ? AND project = ? AND version = ?";
        let query = sqlx::query_scalar(query).bind(index.as_str()).bind(project.as_str()).bind(version);
        let summary: Option<Option<String>> = query.fetch_optional(&self.pool).await?;
        Ok(summary.flatten().filter(|summary| !summary.is_empty()))
    }
}
