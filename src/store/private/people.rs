use super::{Private, StoreError, map, text};
use crate::names::{IndexName, UserName};
use serde_json::{Map, Value};
use sqlx::Row;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

#[derive(Debug, Clone, PartialEq)]
pub struct UserRow {
    pub name: UserName,
    /// The hash, as a PHC string; without one nobody logs in.
    pub password: Option<String>,
    /// Unix seconds.
    pub created: u64,
    pub modified: Option<u64>,
    /// `email`, `title`, `description`, `custom_data`.
    pub facts: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct IndexRow {
    pub name: IndexName,
    pub settings: Map<String, Value>,
}

impl Private {
    /// All users, by name.
    pub async fn users(&self) -> Result<Vec<UserRow>, StoreError> {
        let query = "SELECT name, password, created, modified, facts FROM user ORDER BY name";
        let rows = sqlx::query(query).fetch_all(&self.pool).await?;
        rows.iter().map(user).collect()
    }

    pub async fn user(&self, name: &UserName) -> Result<Option<UserRow>, StoreError> {
        let query = "SELECT name, password, created, modified, facts FROM user WHERE name = ?";
        let row = sqlx::query(query).bind(name.as_str()).fetch_optional(&self.pool).await?;
        row.as_ref().map(user).transpose()
    }

    /// Makes a user; none when there is one of this name, which stays as it is.
    pub async fn add_user(&self, row: &UserRow) -> Result<Option<u64>, StoreError> {
        let mut writing = self.write().await?;
        if exists_user(writing.sql(), row.name.as_str()).await? {
            return Ok(None);
        }
        write_user(writing.sql(), row).await?;
        writing.commit().await.map(Some)
    }

    /// Makes a user or changes one.
    pub async fn put_user(&self, row: &UserRow) -> Result<u64, StoreError> {
        let mut writing = self.write().await?;
        write_user(writing.sql(), row).await?;
        writing.commit().await
    }

    /// All indexes, by name.
    pub async fn indexes(&self) -> Result<Vec<IndexRow>, StoreError> {
        let query = "SELECT name, settings FROM user_index ORDER BY name";
        let rows = sqlx::query(query).fetch_all(&self.pool).await?;
        rows.iter().map(index).collect()
    }

    pub async fn index(&self, name: &IndexName) -> Result<Option<IndexRow>, StoreError> {
        let query = "SELECT name, settings FROM user_index WHERE name = ?";
        let row = sqlx::query(query).bind(name.as_str()).fetch_optional(&self.pool).await?;
        row.as_ref().map(index).transpose()
    }

    /// Makes an index of a user who is there; none when there is one of this name, which stays as it is.
    pub async fn add_index(&self, row: &IndexRow) -> Result<Option<u64>, StoreError> {
        let mut writing = self.write().await?;
        if exists_index(writing.sql(), &row.name).await? {
            return Ok(None);
        }
        write_index(writing.sql(), row).await?;
        writing.commit().await.map(Some)
    }

    /// Makes an index of a user who is there, or changes one.
    pub async fn put_index(&self, row: &IndexRow) -> Result<u64, StoreError> {
        let mut writing = self.write().await?;
        write_index(writing.sql(), row).await?;
        writing.commit().await
    }
}

/// Refuses what would be written into an index that somebody has removed meanwhile: whoever makes one of the same name
/// must find it empty.
pub(super) async fn need_index(sql: &mut SqliteConnection, name: &IndexName) -> Result<(), StoreError> {
    if exists_index(sql, name).await? { Ok(()) } else { Err(StoreError::Gone(format!("the index {name}"))) }
}

pub(super) async fn need_user(sql: &mut SqliteConnection, name: &str) -> Result<(), StoreError> {
    if exists_user(sql, name).await? { Ok(()) } else { Err(StoreError::Gone(format!("the user {name}"))) }
}

async fn exists_user(sql: &mut SqliteConnection, name: &str) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM user WHERE name = ?)").bind(name).fetch_one(sql).await?)
}

async fn exists_index(sql: &mut SqliteConnection, name: &IndexName) -> Result<bool, StoreError> {
    let query = "SELECT EXISTS (SELECT 1 FROM user_index WHERE name = ?)";
    Ok(sqlx::query_scalar(query).bind(name.as_str()).fetch_one(sql).await?)
}

async fn write_user(sql: &mut SqliteConnection, row: &UserRow) -> Result<(), StoreError> {
    // Never "OR REPLACE": that removes the row first, and with it all that its user owns.
    sqlx::query(
        "INSERT INTO user VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET password = excluded.password,
         created = excluded.created, modified = excluded.modified, facts = excluded.facts",
    )
    .bind(row.name.as_str())
    .bind(&row.password)
    .bind(row.created as i64)
    .bind(row.modified.map(|modified| modified as i64))
    .bind(text(&row.facts)?)
    .execute(sql)
    .await?;
    Ok(())
}

async fn write_index(sql: &mut SqliteConnection, row: &IndexRow) -> Result<(), StoreError> {
    need_user(sql, row.name.user()).await?;
    sqlx::query("INSERT INTO user_index VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET settings = excluded.settings")
        .bind(row.name.as_str())
        .bind(row.name.user())
        .bind(text(&row.settings)?)
        .execute(sql)
        .await?;
    Ok(())
}

fn user(row: &SqliteRow) -> Result<UserRow, StoreError> {
    Ok(UserRow {
        name: UserName::parse(row.try_get(0)?).map_err(|_| StoreError::Row("user"))?,
        password: row.try_get(1)?,
        created: row.try_get::<i64, _>(2)? as u64,
        modified: row.try_get::<Option<i64>, _>(3)?.map(|modified| modified as u64),
        facts: map(row.try_get(4)?, "facts")?,
    })
}

fn index(row: &SqliteRow) -> Result<IndexRow, StoreError> {
    Ok(IndexRow {
        name: IndexName::parse(row.try_get(0)?).map_err(|_| StoreError::Row("index"))?,
        settings: map(row.try_get(1)?, "settings")?,
    })
}
