use super::{Private, StoreError, digest, people::need_user};
use crate::names::{IndexName, Sha256, UserName};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

/// Something that stands for a user: a login that ends by itself, or a token that was made by name. Changes of tokens
/// show on no page and leave the serial alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// The part of it that is no secret.
    pub id: String,
    /// Of the secret part.
    pub hash: Sha256,
    pub user: UserName,
    pub login: bool,
    pub name: String,
    /// The only index that it is for.
    pub index: Option<IndexName>,
    pub read: bool,
    pub upload: bool,
    /// Unix seconds, as all times here.
    pub created: u64,
    pub expires: Option<u64>,
    pub used: Option<u64>,
}

/// Logins that a user has at a time; the oldest give way. A build server logs in for every build, and each login lasts
/// for hours.
pub const LOGINS_PER_USER_MAX: u32 = 200;

/// Tokens by name that a user has at a time: one for each build server and machine, and the list can be looked through.
pub const TOKENS_PER_USER_MAX: u32 = 200;

impl Private {
    /// Notes a new token by name of a user who is there, unless it has as many as it may have; says whether it did.
    pub async fn add_token(&self, row: &TokenRow) -> Result<bool, StoreError> {
        let mut writing = self.write().await?;
        let query = "SELECT count(*) FROM token WHERE user_name = ? AND NOT login AND coalesce(expires > ?, TRUE)";
        let query = sqlx::query_scalar(query).bind(row.user.as_str()).bind(row.created as i64);
        let count: i64 = query.fetch_one(writing.sql()).await?;
        if count >= i64::from(TOKENS_PER_USER_MAX) {
            return Ok(false);
        }
        write_token(writing.sql(), row).await?;
        writing.commit_unseen().await.map(|()| true)
    }

    /// Notes a token of a user who is there; a login makes the oldest ones of its user give way.
    pub async fn put_token(&self, row: &TokenRow) -> Result<(), StoreError> {
        let mut writing = self.write().await?;
        write_token(writing.sql(), row).await?;
        if row.login {
            let query = "DELETE FROM token WHERE rowid IN (
                             SELECT rowid FROM token WHERE user_name = ? AND login ORDER BY rowid DESC LIMIT -1 OFFSET ?
                         )";
            let query = sqlx::query(query).bind(row.user.as_str()).bind(LOGINS_PER_USER_MAX);
            query.execute(writing.sql()).await?;
        }
        writing.commit_unseen().await
    }

    pub async fn token(&self, id: &str) -> Result<Option<TokenRow>, StoreError> {
        let query = "SELECT id, hash, user_name, login, name, index_name, read, upload, created, expires, used
                     FROM token WHERE id = ?";
        let row = sqlx::query(query).bind(id).fetch_optional(&self.pool).await?;
        row.as_ref().map(token).transpose()
    }

    /// The tokens of one user, or of all, oldest first; logins are among them.
    pub async fn tokens(&self, user: Option<&UserName>) -> Result<Vec<TokenRow>, StoreError> {
        let query = "SELECT id, hash, user_name, login, name, index_name, read, upload, created, expires, used
                     FROM token WHERE ?1 IS NULL OR user_name = ?1 ORDER BY rowid";
        let rows = sqlx::query(query).bind(user.map(UserName::as_str)).fetch_all(&self.pool).await?;
        rows.iter().map(token).collect()
    }

    /// Notes the last uses of tokens (Unix seconds), in one transaction.
    pub async fn touch_tokens(&self, uses: &[(String, u64)]) -> Result<(), StoreError> {
        let mut writing = self.write().await?;
        for (id, used) in uses {
            let query = "UPDATE token SET used = max(coalesce(used, 0), ?) WHERE id = ?";
            sqlx::query(query).bind(*used as i64).bind(id).execute(writing.sql()).await?;
        }
        writing.commit_unseen().await
    }

    /// Says whether there was such a token.
    pub async fn remove_token(&self, id: &str) -> Result<bool, StoreError> {
        let mut writing = self.write().await?;
        let gone = sqlx::query("DELETE FROM token WHERE id = ?").bind(id).execute(writing.sql()).await?;
        writing.commit_unseen().await?;
        Ok(gone.rows_affected() > 0)
    }

    /// Removes a user's logins, or all its tokens; says how many.
    pub async fn remove_tokens_of(&self, user: &UserName, logins_only: bool) -> Result<u64, StoreError> {
        let mut writing = self.write().await?;
        let query = "DELETE FROM token WHERE user_name = ? AND (login OR NOT ?)";
        let gone = sqlx::query(query).bind(user.as_str()).bind(logins_only).execute(writing.sql()).await?;
        writing.commit_unseen().await?;
        Ok(gone.rows_affected())
    }

    /// Removes what has expired at `now` (Unix seconds); says how many.
    pub async fn remove_expired_tokens(&self, now: u64) -> Result<u64, StoreError> {
        let mut writing = self.write().await?;
        let query = "DELETE FROM token WHERE expires <= ?";
        let gone = sqlx::query(query).bind(now as i64).execute(writing.sql()).await?;
        writing.commit_unseen().await?;
        Ok(gone.rows_affected())
    }
}

async fn write_token(sql: &mut SqliteConnection, row: &TokenRow) -> Result<(), StoreError> {
    need_user(sql, row.user.as_str()).await?;
    sqlx::query("INSERT OR REPLACE INTO token VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(&row.id)
        .bind(row.hash.as_bytes().as_slice())
        .bind(row.user.as_str())
        .bind(row.login)
        .bind(&row.name)
        .bind(row.index.as_ref().map(IndexName::as_str))
        .bind(row.read)
        .bind(row.upload)
        .bind(row.created as i64)
        .bind(row.expires.map(|expires| expires as i64))
        .bind(row.used.map(|used| used as i64))
        .execute(sql)
        .await?;
    Ok(())
}

fn token(row: &SqliteRow) -> Result<TokenRow, StoreError> {
    let index: Option<&str> = row.try_get(5)?;
    Ok(TokenRow {
        id: row.try_get(0)?,
        hash: digest(row.try_get(1)?)?,
        user: UserName::parse(row.try_get(2)?).map_err(|_| StoreError::Row("user"))?,
        login: row.try_get(3)?,
        name: row.try_get(4)?,
        index: index.map(IndexName::parse).transpose().map_err(|_| StoreError::Row("index"))?,
        read: row.try_get(6)?,
        upload: row.try_get(7)?,
        created: row.try_get::<i64, _>(8)? as u64,
        expires: row.try_get::<Option<i64>, _>(9)?.map(|expires| expires as u64),
        used: row.try_get::<Option<i64>, _>(10)?.map(|used| used as u64),
    })
}
