//! Removals that can be undone: their rows go out of every reader's sight at once, as any removal's do, but are kept
//! beside until the window is over. What they name counts as referred to all that time.

use super::files::file_of;
use super::releases::project;
use super::remove::{digests, drop_file, drop_project, drop_version};
use super::{Private, StoreError, map, text, unreferenced};
use crate::names::{IndexName, ProjectName, Sha256, UserName};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

/// Removals of one index that are kept at the same time: who takes away more than that within the window wants a
/// program's DELETE.
pub const REMOVALS_MAX: usize = 1_000;

/// What is to be removed, by whom and until when.
#[derive(Debug, Clone)]
pub struct RemoveWish {
    pub index: IndexName,
    pub project: ProjectName,
    pub part: RemovedPart,
    pub by: Option<UserName>,
    /// Unix seconds.
    pub at: u64,
    pub until: u64,
}

/// What of a project goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemovedPart {
    /// All releases.
    Project,
    /// The release that spells its version so.
    Version(String),
    /// By its name.
    File(String),
}

/// A removal that can be undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRemoval {
    /// No other removal ever has it.
    pub id: i64,
    pub index: IndexName,
    pub project: ProjectName,
    pub part: RemovedPart,
    pub by: Option<UserName>,
    /// Unix seconds.
    pub at: u64,
    pub until: u64,
    /// How many files went with it.
    pub files: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemovedForNow {
    /// Under this number.
    Kept(i64),
    /// There is nothing of that kind.
    Nothing,
    /// [`REMOVALS_MAX`] of this index are kept already; nothing was removed.
    TooMany,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutBack {
    Done,
    /// The window is over, or it was undone already.
    Over,
    /// A file of this name came meanwhile; nothing was put back.
    Taken(String),
    /// The file that this result of a test is of is not there; nothing was put back.
    Untested {
        result: String,
        tested: String,
    },
}

macro_rules! columns {
    (release) => {
        "index_name, project, version, metadata, created"
    };
    (file) => {
        "index_name, filename, rel, project, version, sha256, size, uploaded, requires_python, metadata_sha256,
         metadata_size, yanked, attestations, log, for_sha256, for_filename"
    };
}

macro_rules! select_removals {
    ($which:literal) => {
        concat!(
            "SELECT id, index_name, project, kind, name, user_name, at, until, (
                 SELECT count(*) FROM removed_file WHERE removal = id AND rel <> 'toxresult'
             ) FROM removal WHERE ",
            $which
        )
    };
}

impl Private {
    /// Removes what is wished, so that it can be put back as it was.
    pub async fn remove_for_now(&self, wish: &RemoveWish) -> Result<RemovedForNow, StoreError> {
        let mut writing = self.write().await?;
        let query = "SELECT count(*) FROM removal WHERE index_name = ?";
        let kept: i64 = sqlx::query_scalar(query).bind(wish.index.as_str()).fetch_one(writing.sql()).await?;
        if kept >= REMOVALS_MAX as i64 {
            return Ok(RemovedForNow::TooMany);
        }
        let id = note(writing.sql(), wish).await?;
        keep(writing.sql(), id, wish).await?;
        let (index, project) = (&wish.index, &wish.project);
        let gone = match &wish.part {
            RemovedPart::Project => drop_project(writing.sql(), index, project).await?.is_some(),
            RemovedPart::Version(version) => drop_version(writing.sql(), index, project, version).await?.is_some(),
            RemovedPart::File(filename) => match file_of(writing.sql(), index, filename).await? {
                Some(file) if file.project == *project => {
                    drop_file(writing.sql(), &file).await?;
                    true
                }
                _ => false,
            },
        };
        if !gone {
            return Ok(RemovedForNow::Nothing);
        }
        writing.commit().await?;
        Ok(RemovedForNow::Kept(id))
    }

    /// Puts a removal's rows back as they were, all or none. A release that is there again keeps what it says, and says
    /// again what it does not.
    pub async fn put_back(&self, id: i64, now: u64) -> Result<PutBack, StoreError> {
        let mut writing = self.write().await?;
        let query = "SELECT EXISTS (SELECT 1 FROM removal WHERE id = ? AND until > ?)";
        if !sqlx::query_scalar::<_, bool>(query).bind(id).bind(now as i64).fetch_one(writing.sql()).await? {
            return Ok(PutBack::Over);
        }
        let query = "SELECT f.filename FROM removed_file AS r
                     JOIN file AS f ON f.index_name = r.index_name AND f.filename = r.filename
                     WHERE r.removal = ? ORDER BY 1 LIMIT 1";
        let taken: Option<String> = sqlx::query_scalar(query).bind(id).fetch_optional(writing.sql()).await?;
        if let Some(filename) = taken {
            return Ok(PutBack::Taken(filename));
        }
        put_releases(writing.sql(), id).await?;
        put_files(writing.sql(), id).await?;
        let query = "SELECT r.filename, r.for_filename FROM removed_file AS r
                     WHERE r.removal = ? AND r.for_filename IS NOT NULL AND NOT EXISTS (
                         SELECT 1 FROM file AS f WHERE f.index_name = r.index_name
                         AND f.filename = r.for_filename AND f.sha256 = r.for_sha256)
                     ORDER BY 1 LIMIT 1";
        let untested: Option<(String, String)> = sqlx::query_as(query).bind(id).fetch_optional(writing.sql()).await?;
        if let Some((result, tested)) = untested {
            return Ok(PutBack::Untested { result, tested });
        }
        let query = "DELETE FROM deleted WHERE id IN (
                         SELECT d.id FROM removed_file AS r JOIN deleted AS d
                         ON d.index_name = r.index_name AND d.filename = r.filename AND d.sha256 = r.sha256
                         WHERE r.removal = ?)";
        sqlx::query(query).bind(id).execute(writing.sql()).await?;
        sqlx::query("DELETE FROM removal WHERE id = ?").bind(id).execute(writing.sql()).await?;
        writing.commit().await?;
        Ok(PutBack::Done)
    }

    /// The removal of this number, while it can be undone.
    pub async fn removal(&self, id: i64, now: u64) -> Result<Option<KeptRemoval>, StoreError> {
        let query = sqlx::query(select_removals!("id = ? AND until > ?")).bind(id).bind(now as i64);
        query.fetch_optional(&self.pool).await?.as_ref().map(removal).transpose()
    }

    /// What can be undone of an index, the newest first.
    pub async fn removals(&self, index: &IndexName, now: u64) -> Result<Vec<KeptRemoval>, StoreError> {
        let query = select_removals!("index_name = ? AND until > ? ORDER BY at DESC, id DESC");
        let rows = sqlx::query(query).bind(index.as_str()).bind(now as i64).fetch_all(&self.pool).await?;
        rows.iter().map(removal).collect()
    }

    /// Forgets removals whose window is over, the oldest `max` of them; tells how many, and what nobody refers to any
    /// more. Who unlinks that must keep out, from before on, those who publish: the same bytes may be on their way again.
    pub async fn end_removals(&self, now: u64, max: u32) -> Result<(u32, Vec<Sha256>), StoreError> {
        let due = "SELECT EXISTS (SELECT 1 FROM removal WHERE until <= ?1 OR at > ?1)";
        if !sqlx::query_scalar::<_, bool>(due).bind(now as i64).fetch_one(&self.pool).await? {
            return Ok((0, Vec::new()));
        }
        let mut writing = self.write().await?;
        // Noted by a clock that was ahead: the window begins now, instead of lasting for years.
        let query = "UPDATE removal SET at = ?1, until = ?1 + (until - at) WHERE at > ?1";
        sqlx::query(query).bind(now as i64).execute(writing.sql()).await?;
        let query = "SELECT id FROM removal WHERE until <= ? ORDER BY until, id LIMIT ?";
        let over: Vec<i64> = sqlx::query_scalar(query).bind(now as i64).bind(max).fetch_all(writing.sql()).await?;
        let mut left = Vec::new();
        for id in &over {
            let query = sqlx::query("SELECT sha256, metadata_sha256 FROM removed_file WHERE removal = ?").bind(id);
            left.extend(digests(query.fetch_all(writing.sql()).await?)?);
            sqlx::query("DELETE FROM removal WHERE id = ?").bind(id).execute(writing.sql()).await?;
        }
        let unreferenced = unreferenced(writing.sql(), &left).await?;
        writing.commit_unseen().await?;
        Ok((over.len() as u32, unreferenced))
    }
}

async fn note(sql: &mut SqliteConnection, wish: &RemoveWish) -> Result<i64, StoreError> {
    let (kind, name) = match &wish.part {
        RemovedPart::Project => ("project", wish.project.as_str()),
        RemovedPart::Version(version) => ("version", version.as_str()),
        RemovedPart::File(filename) => ("file", filename.as_str()),
    };
    let query = "INSERT INTO removal (index_name, project, kind, name, user_name, at, until)
                 VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id";
    let id = sqlx::query_scalar(query)
        .bind(wish.index.as_str())
        .bind(wish.project.as_str())
        .bind(kind)
        .bind(name)
        .bind(wish.by.as_ref().map(UserName::as_str))
        .bind(wish.at as i64)
        .bind(wish.until as i64)
        .fetch_one(sql)
        .await?;
    Ok(id)
}

/// Copies the rows that are about to go. A file's release is kept with it, whether it goes too or stays.
async fn keep(sql: &mut SqliteConnection, id: i64, wish: &RemoveWish) -> Result<(), StoreError> {
    let (releases, files, name) = match &wish.part {
        RemovedPart::Project => (
            "INSERT INTO removed_release SELECT ?1, rowid, * FROM release
             WHERE index_name = ?2 AND project = ?3 AND ?4 IS NULL",
            "INSERT INTO removed_file SELECT ?1, rowid, * FROM file
             WHERE index_name = ?2 AND project = ?3 AND ?4 IS NULL",
            None,
        ),
        RemovedPart::Version(version) => (
            "INSERT INTO removed_release SELECT ?1, rowid, * FROM release
             WHERE index_name = ?2 AND project = ?3 AND version = ?4",
            "INSERT INTO removed_file SELECT ?1, rowid, * FROM file
             WHERE index_name = ?2 AND project = ?3 AND version = ?4",
            Some(version),
        ),
        RemovedPart::File(filename) => (
            "INSERT INTO removed_release SELECT ?1, rowid, * FROM release
             WHERE index_name = ?2 AND project = ?3 AND version =
             (SELECT version FROM file WHERE index_name = ?2 AND filename = ?4)",
            "INSERT INTO removed_file SELECT ?1, rowid, * FROM file
             WHERE index_name = ?2 AND project = ?3 AND (filename = ?4 OR for_filename = ?4)",
            Some(filename),
        ),
    };
    for query in [releases, files] {
        let query = sqlx::query(query).bind(id).bind(wish.index.as_str()).bind(wish.project.as_str()).bind(name);
        query.execute(&mut *sql).await?;
    }
    Ok(())
}

/// Puts releases back in their places. One that was made anew meanwhile stays, and takes what only the old one said.
async fn put_releases(sql: &mut SqliteConnection, id: i64) -> Result<(), StoreError> {
    let query = "SELECT n.rowid, n.metadata, r.metadata FROM removed_release AS r JOIN release AS n
                 ON n.index_name = r.index_name AND n.project = r.project AND n.version = r.version
                 WHERE r.removal = ? AND n.created <> r.created";
    let anew: Vec<(i64, String, String)> = sqlx::query_as(query).bind(id).fetch_all(&mut *sql).await?;
    for (place, new, old) in anew {
        let mut metadata = map(&old, "metadata")?;
        metadata.extend(map(&new, "metadata")?);
        let query = sqlx::query("UPDATE release SET metadata = ? WHERE rowid = ?").bind(text(&metadata)?).bind(place);
        query.execute(&mut *sql).await?;
    }
    let in_place = concat!(
        "INSERT INTO release (rowid, ",
        columns!(release),
        ") SELECT place, ",
        columns!(release),
        " FROM removed_release AS r WHERE removal = ?
         AND NOT EXISTS (SELECT 1 FROM release WHERE rowid = r.place)
         AND NOT EXISTS (SELECT 1 FROM release AS n
             WHERE n.index_name = r.index_name AND n.project = r.project AND n.version = r.version)"
    );
    let elsewhere = concat!(
        "INSERT INTO release (",
        columns!(release),
        ") SELECT ",
        columns!(release),
        " FROM removed_release WHERE removal = ? ORDER BY place ON CONFLICT DO NOTHING"
    );
    for query in [in_place, elsewhere] {
        sqlx::query(query).bind(id).execute(&mut *sql).await?;
    }
    Ok(())
}

/// Puts files back in their places; none of their names is taken.
async fn put_files(sql: &mut SqliteConnection, id: i64) -> Result<(), StoreError> {
    let in_place = concat!(
        "INSERT INTO file (rowid, ",
        columns!(file),
        ") SELECT place, ",
        columns!(file),
        " FROM removed_file AS r WHERE removal = ? AND NOT EXISTS (SELECT 1 FROM file WHERE rowid = r.place)"
    );
    let elsewhere = concat!(
        "INSERT INTO file (",
        columns!(file),
        ") SELECT ",
        columns!(file),
        " FROM removed_file WHERE removal = ? ORDER BY place ON CONFLICT DO NOTHING"
    );
    for query in [in_place, elsewhere] {
        sqlx::query(query).bind(id).execute(&mut *sql).await?;
    }
    Ok(())
}

fn removal(row: &SqliteRow) -> Result<KeptRemoval, StoreError> {
    let name: String = row.try_get(4)?;
    let by: Option<&str> = row.try_get(5)?;
    Ok(KeptRemoval {
        id: row.try_get(0)?,
        index: IndexName::parse(row.try_get(1)?).map_err(|_| StoreError::Row("index"))?,
        project: project(row.try_get(2)?)?,
        part: match row.try_get(3)? {
            "project" => RemovedPart::Project,
            "version" => RemovedPart::Version(name),
            "file" => RemovedPart::File(name),
            _ => return Err(StoreError::Row("kind of removal")),
        },
        by: by.map(UserName::parse).transpose().map_err(|_| StoreError::Row("user"))?,
        at: row.try_get::<i64, _>(6)? as u64,
        until: row.try_get::<i64, _>(7)? as u64,
        files: row.try_get::<i64, _>(8)? as u64,
    })
}
