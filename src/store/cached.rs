use super::{Store, StoreError};
use crate::names::{IndexName, ProjectName, Sha256};
use sqlx::Row;

/// What the cache has of one project of a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedProject {
    pub name: ProjectName,
    /// Distributions; wheels' metadata counts in the bytes alone.
    pub files: u64,
    pub bytes: u64,
    /// How often they were served, as far as it is written down.
    pub uses: u64,
    /// Last asked for (Unix seconds).
    pub used: u64,
    /// The latest release that upstream lists, and what it says of itself in a line, as far as it is known.
    pub latest: Option<String>,
    pub summary: Option<String>,
}

/// In which order projects are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CachedOrder {
    Name,
    /// Most served first.
    Uses,
    /// Asked for last first.
    Used,
    /// Largest first.
    Bytes,
}

impl CachedOrder {
    fn sql(self) -> &'static str {
        match self {
            Self::Name => "c.project",
            Self::Uses => "uses DESC, c.project",
            Self::Used => "used DESC, c.project",
            Self::Bytes => "bytes DESC, c.project",
        }
    }
}

impl Store {
    /// The projects of a mirror that the cache has files of, those whose name holds `part`: how many there are in all,
    /// and `limit` of them from `offset` on.
    pub async fn cached_projects(
        &self,
        index: &IndexName,
        part: &str,
        order: CachedOrder,
        (offset, limit): (usize, usize),
    ) -> Result<(u64, Vec<CachedProject>), StoreError> {
        let count = "SELECT count(DISTINCT project) FROM cached WHERE index_name = ? AND instr(project, ?) > 0";
        let count = sqlx::query_scalar(count).bind(index.as_str()).bind(part);
        let count: i64 = count.fetch_one(&self.pool).await?;
        let query = format!(
            "SELECT files, bytes, uses, used, c.project, version, nullif(summary, '') FROM (
                 SELECT project, sum(filename NOT LIKE '%.metadata') AS files, sum(size) AS bytes, sum(uses) AS uses,
                     max(used) AS used
                 FROM cached JOIN blob USING (sha256) WHERE index_name = ?1 AND instr(project, ?2) > 0 GROUP BY project
             ) AS c LEFT JOIN known ON known.index_name = ?1 AND known.project = c.project
             ORDER BY {} LIMIT ?3 OFFSET ?4",
            order.sql()
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(index.as_str()).bind(part);
        let rows = query.bind(limit as i64).bind(offset as i64).fetch_all(&self.pool).await?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            let name: &str = row.try_get(4)?;
            Ok(CachedProject {
                name: ProjectName::parse(name).map_err(|_| StoreError::Row("project"))?,
                files: row.try_get::<i64, _>(0)? as u64,
                bytes: row.try_get::<i64, _>(1)? as u64,
                uses: row.try_get::<i64, _>(2)? as u64,
                used: row.try_get::<i64, _>(3)? as u64,
                latest: row.try_get(5)?,
                summary: row.try_get(6)?,
            })
        };
        Ok((count as u64, rows.iter().map(read).collect::<Result<_, StoreError>>()?))
    }

    /// How often a file of the cache was served, and when it was last asked for (Unix seconds); none of one that is not
    /// in it.
    pub async fn blob_use(&self, digest: &Sha256) -> Result<Option<(u64, u64)>, StoreError> {
        let query = "SELECT coalesce(uses, 0), used FROM blob LEFT JOIN cached USING (sha256) WHERE sha256 = ?";
        let row = sqlx::query(query).bind(digest.as_bytes().as_slice()).fetch_optional(&self.pool).await?;
        row.map(|row| Ok((row.try_get::<i64, _>(0)? as u64, row.try_get::<i64, _>(1)? as u64))).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{BlobName, BlobUse};

    #[tokio::test]
    async fn projects_are_counted_and_sorted() {
        let store = Store::in_memory().await.unwrap();
        let (pypi, other) = (IndexName::parse("root/pypi").unwrap(), IndexName::parse("root/other").unwrap());
        let put = async |index: &IndexName, project: &str, filename: &str, size: u64| {
            let digest = Sha256::of(filename.as_bytes());
            let name = BlobName::new(index, ProjectName::parse(project).ok().as_ref(), filename.to_owned());
            store.put_blob(&digest, size, 100, &name).await.unwrap();
            digest
        };
        let b = put(&pypi, "b", "b-1.whl", 5).await;
        put(&pypi, "b", "b-1.whl.metadata", 1).await;
        put(&pypi, "a-b", "a-b-1.zip", 50).await;
        put(&other, "c", "c-1.zip", 7).await;
        store.touch_blobs(&[BlobUse { digest: b, last: 200, times: 3, bytes: 15 }]).await.unwrap();
        let names = async |part: &str, order| {
            let (count, rows) = store.cached_projects(&pypi, part, order, (0, 10)).await.unwrap();
            assert_eq!(count, rows.len() as u64);
            rows.into_iter().map(|row| row.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names("", CachedOrder::Name).await, ["a-b", "b"]);
        assert_eq!(names("", CachedOrder::Uses).await, ["b", "a-b"]);
        assert_eq!(names("", CachedOrder::Used).await, ["b", "a-b"]);
        assert_eq!(names("", CachedOrder::Bytes).await, ["a-b", "b"]);
        assert_eq!(names("a-", CachedOrder::Name).await, ["a-b"]);
        assert_eq!(names("%", CachedOrder::Name).await, [""; 0], "no letter means any");
        let (count, rows) = store.cached_projects(&pypi, "", CachedOrder::Name, (1, 1)).await.unwrap();
        let name = ProjectName::parse("b").unwrap();
        let (latest, summary) = (None, None);
        assert_eq!(rows, [CachedProject { name, files: 1, bytes: 6, uses: 3, used: 200, latest, summary }]);
        assert_eq!(count, 2);
        assert_eq!(store.blob_use(&b).await.unwrap(), Some((3, 200)));
        assert_eq!(store.blob_use(&Sha256::of(b"")).await.unwrap(), None);
    }
}
