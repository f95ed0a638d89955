use super::{Store, StoreError};
use sqlx::Row;

/// What happened in an hour or a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TallyRow {
    /// When that began (Unix seconds); 0: longer ago than days are kept.
    pub start: u64,
    /// What it was about, a word of a bounded set.
    pub kind: String,
    /// How it was done, likewise.
    pub tier: String,
    pub times: u64,
    pub bytes: u64,
}

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// Days that are told apart; what was before is one sum.
pub const DAYS_KEPT: u64 = 400;

/// How long hours are told apart, in seconds: enough to say what happened in the last 24 of them at any time.
const HOURS_KEPT: u64 = 2 * DAY;

impl Store {
    /// Adds to the tallies of the hour of `now` (Unix seconds): kind, tier, times and bytes.
    pub async fn add_tallies(&self, now: u64, added: &[(&str, &str, u64, u64)]) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        let mut transaction = self.pool.begin().await?;
        for (kind, tier, times, bytes) in added {
            sqlx::query(
                "INSERT INTO tally VALUES (?, ?, ?, ?, ?)
                 ON CONFLICT DO UPDATE SET times = times + excluded.times, bytes = bytes + excluded.bytes",
            )
            .bind((now - now % HOUR) as i64)
            .bind(kind)
            .bind(tier)
            .bind(*times as i64)
            .bind(*bytes as i64)
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Makes one tally of the hours of days long past, and one of all that is older than days are kept.
    pub async fn fold_tallies(&self, now: u64) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        let mut transaction = self.pool.begin().await?;
        let days = now.saturating_sub(HOURS_KEPT);
        let ages = now.saturating_sub(DAYS_KEPT * DAY);
        for (before, into) in [(days - days % DAY, "start - start % 86400"), (ages - ages % DAY, "0")] {
            let fold = format!(
                "INSERT INTO tally SELECT {into}, kind, tier, sum(times), sum(bytes) FROM tally
                 WHERE start < ? AND start != {into} GROUP BY 1, 2, 3
                 ON CONFLICT DO UPDATE SET times = times + excluded.times, bytes = bytes + excluded.bytes"
            );
            let drop = format!("DELETE FROM tally WHERE start < ? AND start != {into}");
            for query in [fold, drop] {
                sqlx::query(sqlx::AssertSqlSafe(query)).bind(before as i64).execute(&mut *transaction).await?;
            }
        }
        Ok(transaction.commit().await?)
    }

    /// All tallies, oldest first.
    pub async fn tallies(&self) -> Result<Vec<TallyRow>, StoreError> {
        let query = "SELECT start, kind, tier, times, bytes FROM tally ORDER BY start, kind, tier";
        let rows = sqlx::query(query).fetch_all(&self.pool).await?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            Ok(TallyRow {
                start: row.try_get::<i64, _>(0)? as u64,
                kind: row.try_get(1)?,
                tier: row.try_get(2)?,
                times: row.try_get::<i64, _>(3)? as u64,
                bytes: row.try_get::<i64, _>(4)? as u64,
            })
        };
        rows.iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hours_become_days_and_days_become_the_past_and_nothing_is_lost() {
        let store = Store::in_memory().await.unwrap();
        let today = 20_000 * DAY;
        for hour in 0..500 * 24 {
            // Every tenth hour: a row for each would make the test slow.
            if hour % 10 == 0 {
                store.add_tallies(today - hour * HOUR + 59, &[("file", "memory", 1, 10)]).await.unwrap();
            }
        }
        store.add_tallies(today, &[("file", "memory", 1, 10), ("page", "miss", 1, 1)]).await.unwrap();
        store.fold_tallies(today).await.unwrap();
        store.fold_tallies(today).await.unwrap();
        let rows = store.tallies().await.unwrap();
        assert_eq!(rows.iter().map(|row| row.times).sum::<u64>(), 500 * 24 / 10 + 2);
        assert_eq!(rows.iter().map(|row| row.bytes).sum::<u64>(), 10 * (500 * 24 / 10 + 1) + 1);
        assert!(rows.len() < 410, "{} rows", rows.len());
        assert_eq!(rows[0].start, 0);
        assert!(rows[1].start >= today - DAYS_KEPT * DAY);
        assert!(rows.iter().filter(|row| row.start < today - HOURS_KEPT).all(|row| row.start % DAY == 0));
        let of_last_day = rows.iter().filter(|row| row.start > today - DAY);
        assert_eq!(of_last_day.map(|row| row.times).sum::<u64>(), 5, "the last day is still told by hours");
    }
}
