use super::{Store, StoreError};
use crate::names::{IndexName, ProjectName, Sha256};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

/// What a file in the cache is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobName {
    pub index: IndexName,
    /// None of what belongs to no project: a list of projects.
    pub project: Option<ProjectName>,
    pub filename: String,
}

/// A file in the cache, with all that the books say of it; times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRow {
    pub sha256: Sha256,
    pub size: u64,
    /// Last asked for.
    pub used: u64,
    pub fetched: Option<u64>,
    pub name: Option<BlobName>,
    /// How often it was served, and how many bytes of it in all.
    pub uses: u64,
    pub served: u64,
}

/// Uses of a file that the database has not heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobUse {
    pub digest: Sha256,
    /// The last, in Unix seconds.
    pub last: u64,
    pub times: u64,
    pub bytes: u64,
}

impl BlobName {
    pub fn new(index: &IndexName, project: Option<&ProjectName>, filename: String) -> Self {
        Self { index: index.clone(), project: project.cloned(), filename }
    }
}

impl Store {
    /// Notes a file in the cache that came at `now` (Unix seconds) and what it is called.
    pub async fn put_blob(&self, digest: &Sha256, size: u64, now: u64, name: &BlobName) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        let mut transaction = self.pool.begin().await?;
        sqlx::query(PUT_BLOB)
            .bind(digest.as_bytes().as_slice())
            .bind(size as i64)
            .bind(now as i64)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "INSERT INTO cached (sha256, index_name, project, filename, fetched) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET index_name = excluded.index_name, project = excluded.project,
             filename = excluded.filename, fetched = excluded.fetched",
        )
        .bind(digest.as_bytes().as_slice())
        .bind(name.index.as_str())
        .bind(name.project.as_ref().map(ProjectName::as_str))
        .bind(&name.filename)
        .bind(now as i64)
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// Notes files that were found, by digest and size; those known already keep their last use.
    pub async fn put_blobs(&self, blobs: &[(Sha256, u64)], used: u64) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        let mut transaction = self.pool.begin().await?;
        for (digest, size) in blobs {
            sqlx::query(PUT_BLOB)
                .bind(digest.as_bytes().as_slice())
                .bind(*size as i64)
                .bind(used as i64)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Says what files are called that nobody had a name for, and when those came of which nobody knew it.
    pub async fn name_blobs(&self, names: &[(Sha256, BlobName)], came: &[(Sha256, u64)]) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        let mut transaction = self.pool.begin().await?;
        for (digest, name) in names {
            sqlx::query(
                "INSERT INTO cached (sha256, index_name, project, filename)
                 SELECT sha256, ?, ?, ? FROM blob WHERE sha256 = ?
                 ON CONFLICT DO UPDATE SET index_name = excluded.index_name, project = excluded.project,
                 filename = excluded.filename WHERE filename IS NULL",
            )
            .bind(name.index.as_str())
            .bind(name.project.as_ref().map(ProjectName::as_str))
            .bind(&name.filename)
            .bind(digest.as_bytes().as_slice())
            .execute(&mut *transaction)
            .await?;
        }
        for (digest, at) in came {
            sqlx::query(
                "INSERT INTO cached (sha256, fetched) SELECT sha256, ? FROM blob WHERE sha256 = ?
                 ON CONFLICT DO UPDATE SET fetched = coalesce(fetched, excluded.fetched)",
            )
            .bind(*at as i64)
            .bind(digest.as_bytes().as_slice())
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Notes uses of files, in one transaction; those of files that are not in the cache are passed over.
    pub async fn touch_blobs(&self, uses: &[BlobUse]) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        let mut transaction = self.pool.begin().await?;
        for used in uses {
            sqlx::query("UPDATE blob SET used = max(used, ?) WHERE sha256 = ?")
                .bind(used.last as i64)
                .bind(used.digest.as_bytes().as_slice())
                .execute(&mut *transaction)
                .await?;
            if used.times == 0 {
                continue;
            }
            sqlx::query(
                "INSERT INTO cached (sha256, uses, served) SELECT sha256, ?, ? FROM blob WHERE sha256 = ?
                 ON CONFLICT DO UPDATE SET uses = uses + excluded.uses, served = served + excluded.served",
            )
            .bind(used.times as i64)
            .bind(used.bytes as i64)
            .bind(used.digest.as_bytes().as_slice())
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// All files in the cache.
    pub async fn blobs(&self) -> Result<Vec<BlobRow>, StoreError> {
        let query = "SELECT b.sha256, b.size, b.used, c.fetched, c.index_name, c.project, c.filename,
                     coalesce(c.uses, 0), coalesce(c.served, 0) FROM blob b LEFT JOIN cached c USING (sha256)";
        sqlx::query(query).fetch_all(&self.pool).await?.iter().map(blob_row).collect()
    }

    /// What was served of files that are not here any more, by project: times and bytes.
    pub async fn departed(&self) -> Result<Vec<(ProjectName, u64, u64)>, StoreError> {
        let rows = sqlx::query("SELECT project, uses, served FROM departed").fetch_all(&self.pool).await?;
        let read = |row: &SqliteRow| {
            let project = ProjectName::parse(row.try_get(0)?).map_err(|_| StoreError::Row("project"))?;
            Ok((project, row.try_get::<i64, _>(1)? as u64, row.try_get::<i64, _>(2)? as u64))
        };
        rows.iter().map(read).collect()
    }

    /// The digests that begin with `first`, and of each whether it is known when it came.
    pub async fn blobs_part(&self, first: u8) -> Result<Vec<(Sha256, bool)>, StoreError> {
        let query = "SELECT b.sha256, c.fetched IS NOT NULL FROM blob b LEFT JOIN cached c USING (sha256)
             WHERE b.sha256 BETWEEN ? AND ?";
        let (mut from, mut to) = ([0; 32], [u8::MAX; 32]);
        (from[0], to[0]) = (first, first);
        let rows: Vec<(Vec<u8>, bool)> =
            sqlx::query_as(query).bind(from.to_vec()).bind(to.to_vec()).fetch_all(&self.pool).await?;
        rows.iter().map(|(bytes, dated)| Ok((digest(bytes)?, *dated))).collect()
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
                "INSERT INTO departed SELECT project, uses, served FROM cached
                 WHERE sha256 = ? AND project IS NOT NULL AND uses > 0
                 ON CONFLICT DO UPDATE SET uses = uses + excluded.uses, served = served + excluded.served",
                "DELETE FROM cached WHERE sha256 = ?",
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

    /// The digests and sizes of all files in the cache, in the order of the digests.
    pub async fn blob_sizes(&self) -> Result<Vec<(Sha256, u64)>, StoreError> {
        let rows = sqlx::query("SELECT sha256, size FROM blob ORDER BY sha256").fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((digest(row.try_get(0)?)?, row.try_get::<i64, _>(1)? as u64))).collect()
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

    /// The computed digests of an index's files, with the addresses of those.
    pub async fn all_unhashed(&self) -> Result<Vec<(IndexName, String, Sha256)>, StoreError> {
        let rows = sqlx::query("SELECT index_name, url, sha256 FROM unhashed").fetch_all(&self.pool).await?;
        let read = |row: &SqliteRow| {
            let index = IndexName::parse(row.try_get(0)?).map_err(|_| StoreError::Row("index_name"))?;
            Ok((index, row.try_get(1)?, digest(row.try_get(2)?)?))
        };
        rows.iter().map(read).collect()
    }

    /// The computed digest and the size of a file which upstream lists without a digest.
    pub async fn unhashed(&self, index: &IndexName, url: &str) -> Result<Option<(Sha256, u64)>, StoreError> {
        let query = "SELECT sha256, size FROM unhashed WHERE index_name = ? AND url = ?";
        let row = sqlx::query(query).bind(index.as_str()).bind(url).fetch_optional(&self.pool).await?;
        row.map(|row| Ok((digest(row.try_get(0)?)?, row.try_get::<i64, _>(1)? as u64))).transpose()
    }
}

const PUT_BLOB: &str = "INSERT INTO blob VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET size = excluded.size";

fn blob_row(row: &SqliteRow) -> Result<BlobRow, StoreError> {
    let index: Option<String> = row.try_get(4)?;
    let project: Option<String> = row.try_get(5)?;
    let filename: Option<String> = row.try_get(6)?;
    let name = match (index.map(|index| IndexName::parse(&index)), filename) {
        (Some(Ok(index)), Some(filename)) => {
            let project = project.and_then(|project| ProjectName::parse(&project).ok());
            Some(BlobName { index, project, filename })
        }
        _ => None,
    };
    Ok(BlobRow {
        sha256: digest(row.try_get(0)?)?,
        size: row.try_get::<i64, _>(1)? as u64,
        used: row.try_get::<i64, _>(2)? as u64,
        fetched: row.try_get::<Option<i64>, _>(3)?.map(|at| at as u64),
        name,
        uses: row.try_get::<i64, _>(7)? as u64,
        served: row.try_get::<i64, _>(8)? as u64,
    })
}

pub(super) fn digest(bytes: &[u8]) -> Result<Sha256, StoreError> {
    bytes.try_into().map(Sha256::from_bytes).map_err(|_| StoreError::Row("sha256"))
}
