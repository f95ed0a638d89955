use super::{Private, StoreError, digest, people::need_user};
use crate::names::{Sha256, UserName};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

/// A browser that a user has logged in with. Changes of sessions show on no page of others and leave the serial alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// The part of it that is no secret.
    pub id: String,
    /// Of what the cookie holds.
    pub hash: Sha256,
    pub user: UserName,
    /// Unix seconds, as all times here.
    pub created: u64,
    pub used: u64,
    /// What the browser calls itself.
    pub client: String,
}

/// Sessions that a user has at a time; the oldest give way. A person has a few browsers, and forgets to log out.
pub const SESSIONS_PER_USER_MAX: u32 = 20;

impl Private {
    /// Notes a session of a user who is there; the oldest ones of its user give way.
    pub async fn put_session(&self, row: &SessionRow) -> Result<(), StoreError> {
        let mut writing = self.write().await?;
        need_user(writing.sql(), row.user.as_str()).await?;
        sqlx::query("INSERT INTO session VALUES (?, ?, ?, ?, ?, ?)")
            .bind(&row.id)
            .bind(row.hash.as_bytes().as_slice())
            .bind(row.user.as_str())
            .bind(row.created as i64)
            .bind(row.used as i64)
            .bind(&row.client)
            .execute(writing.sql())
            .await?;
        let query = "DELETE FROM session WHERE rowid IN (
                         SELECT rowid FROM session WHERE user_name = ? ORDER BY rowid DESC LIMIT -1 OFFSET ?
                     )";
        let query = sqlx::query(query).bind(row.user.as_str()).bind(SESSIONS_PER_USER_MAX);
        query.execute(writing.sql()).await?;
        writing.commit_unseen().await
    }

    pub async fn session(&self, id: &str) -> Result<Option<SessionRow>, StoreError> {
        let query = "SELECT id, hash, user_name, created, used, client FROM session WHERE id = ?";
        let row = sqlx::query(query).bind(id).fetch_optional(&self.pool).await?;
        row.as_ref().map(session).transpose()
    }

    /// The sessions of a user, newest first.
    pub async fn sessions(&self, user: &UserName) -> Result<Vec<SessionRow>, StoreError> {
        let query = "SELECT id, hash, user_name, created, used, client FROM session
                     WHERE user_name = ? ORDER BY rowid DESC";
        let rows = sqlx::query(query).bind(user.as_str()).fetch_all(&self.pool).await?;
        rows.iter().map(session).collect()
    }

    /// Notes the last uses of sessions (Unix seconds), in one transaction.
    pub async fn touch_sessions(&self, uses: &[(String, u64)]) -> Result<(), StoreError> {
        let mut writing = self.write().await?;
        for (id, used) in uses {
            let query = "UPDATE session SET used = max(used, ?) WHERE id = ?";
            sqlx::query(query).bind(*used as i64).bind(id).execute(writing.sql()).await?;
        }
        writing.commit_unseen().await
    }

    /// Says whether the user had such a session.
    pub async fn remove_session(&self, user: &UserName, id: &str) -> Result<bool, StoreError> {
        let mut writing = self.write().await?;
        let query = sqlx::query("DELETE FROM session WHERE id = ? AND user_name = ?").bind(id).bind(user.as_str());
        let gone = query.execute(writing.sql()).await?;
        writing.commit_unseen().await?;
        Ok(gone.rows_affected() > 0)
    }

    /// Removes a user's sessions but the one that is to stay; says how many.
    pub async fn remove_sessions_of(&self, user: &UserName, but: Option<&str>) -> Result<u64, StoreError> {
        let mut writing = self.write().await?;
        let query = "DELETE FROM session WHERE user_name = ? AND id IS NOT ?";
        let gone = sqlx::query(query).bind(user.as_str()).bind(but).execute(writing.sql()).await?;
        writing.commit_unseen().await?;
        Ok(gone.rows_affected())
    }

    /// Removes sessions that were made or last used before these times (Unix seconds); says how many.
    pub async fn remove_old_sessions(&self, made_before: u64, used_before: u64) -> Result<u64, StoreError> {
        let mut writing = self.write().await?;
        let query = sqlx::query("DELETE FROM session WHERE created <= ? OR used <= ?");
        let gone = query.bind(made_before as i64).bind(used_before as i64).execute(writing.sql()).await?;
        writing.commit_unseen().await?;
        Ok(gone.rows_affected())
    }
}

fn session(row: &SqliteRow) -> Result<SessionRow, StoreError> {
    Ok(SessionRow {
        id: row.try_get(0)?,
        hash: digest(row.try_get(1)?)?,
        user: UserName::parse(row.try_get(2)?).map_err(|_| StoreError::Row("user"))?,
        created: row.try_get::<i64, _>(3)? as u64,
        used: row.try_get::<i64, _>(4)? as u64,
        client: row.try_get(5)?,
    })
}
