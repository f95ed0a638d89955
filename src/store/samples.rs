use super::{Store, StoreError};
use sqlx::Row;

/// What happened in a stretch of time, and how high the levels rose in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SampleRow {
    /// When it began (Unix seconds).
    pub start: u64,
    pub counts: [u64; COUNTS],
    pub heights: [u64; HEIGHTS],
}

/// How much is added up, and how much rises and falls.
pub const COUNTS: usize = 10;
pub const HEIGHTS: usize = 4;

/// What is added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Requests of all kinds.
    Requests,
    /// Answers out of the cache or from upstream, by where they came from.
    Memory,
    Disk,
    Flight,
    Miss,
    Stale,
    /// Bytes of all bodies that were sent.
    Sent,
    /// Bytes that were sent of files.
    Served,
    /// Bytes of files that came from upstream.
    Fetched,
    /// Requests to upstream that failed.
    Failures,
}

/// What rises and falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Height {
    MemoryBytes,
    DiskBytes,
    ResidentBytes,
    Connections,
}

impl Count {
    /// The columns, in the order of the variants.
    const COLUMNS: [&'static str; COUNTS] =
        ["requests", "memory", "disk", "flight", "miss", "stale", "sent", "served", "fetched", "failures"];
}

impl Height {
    const COLUMNS: [&'static str; HEIGHTS] = ["memory_bytes", "disk_bytes", "resident_bytes", "connections"];
}

impl SampleRow {
    pub fn count(&self, of: Count) -> u64 {
        self.counts.get(of as usize).copied().unwrap_or_default()
    }

    pub fn height(&self, of: Height) -> u64 {
        self.heights.get(of as usize).copied().unwrap_or_default()
    }

    /// Takes in what happened beside it.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in self.counts.iter_mut().zip(other.counts) {
            *sum = sum.saturating_add(more);
        }
        for (highest, height) in self.heights.iter_mut().zip(other.heights) {
            *highest = (*highest).max(height);
        }
    }
}

impl Store {
    /// Adds to what is written of these stretches, and keeps the newest `keep` of those that began until `now`: what lies
    /// ahead was written under a clock that was wrong.
    pub async fn add_samples(&self, added: &[SampleRow], now: u64, keep: u32) -> Result<(), StoreError> {
        let columns = [&Count::COLUMNS[..], &Height::COLUMNS[..]].concat();
        let sums = Count::COLUMNS.map(|column| format!("{column} = {column} + excluded.{column}"));
        let maxima = Height::COLUMNS.map(|column| format!("{column} = max({column}, excluded.{column})"));
        let query = format!(
            "INSERT INTO sample (start, {}) VALUES (?{}) ON CONFLICT DO UPDATE SET {}, {}",
            columns.join(", "),
            ", ?".repeat(columns.len()),
            sums.join(", "),
            maxima.join(", "),
        );
        let _turn = self.turn().await?;
        let mut transaction = self.pool.begin().await?;
        for row in added {
            let mut insert = sqlx::query(sqlx::AssertSqlSafe(query.clone())).bind(signed(row.start));
            for value in row.counts.iter().chain(&row.heights) {
                insert = insert.bind(signed(*value));
            }
            insert.execute(&mut *transaction).await?;
        }
        let forget = "DELETE FROM sample WHERE start > ?1 OR start <= (
            SELECT start FROM sample WHERE start <= ?1 ORDER BY start DESC LIMIT 1 OFFSET ?2)";
        sqlx::query(forget).bind(signed(now)).bind(keep).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// All samples, oldest first.
    pub async fn samples(&self) -> Result<Vec<SampleRow>, StoreError> {
        let columns = [&["start"][..], &Count::COLUMNS[..], &Height::COLUMNS[..]].concat().join(", ");
        let query = format!("SELECT {columns} FROM sample ORDER BY start");
        let rows = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(&self.pool).await?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            let value = |at: usize| row.try_get::<i64, _>(at).map(|value| u64::try_from(value).unwrap_or(0));
            let mut sample = SampleRow { start: value(0)?, ..SampleRow::default() };
            for (at, slot) in sample.counts.iter_mut().chain(&mut sample.heights).enumerate() {
                *slot = value(at + 1)?;
            }
            Ok(sample)
        };
        rows.iter().map(read).collect()
    }
}

/// As SQLite holds it.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(start: u64, count: u64, height: u64) -> SampleRow {
        SampleRow { start, counts: [count; 10], heights: [height; 4] }
    }

    #[tokio::test]
    async fn samples_add_up_and_only_the_newest_are_kept() {
        let store = Store::in_memory().await.unwrap();
        store.add_samples(&[sample(300, 1, 9), sample(600, 2, 2)], 700, 3).await.unwrap();
        store.add_samples(&[sample(300, 5, 4)], 700, 3).await.unwrap();
        assert_eq!(store.samples().await.unwrap(), [sample(300, 6, 9), sample(600, 2, 2)]);
        store.add_samples(&[sample(900, 1, 1), sample(1_200, 1, 1)], 1_250, 3).await.unwrap();
        let starts = |rows: Vec<SampleRow>| rows.iter().map(|row| row.start).collect::<Vec<_>>();
        assert_eq!(starts(store.samples().await.unwrap()), [600, 900, 1_200]);
        // The clock was a day ahead, and then it was not.
        store.add_samples(&[sample(90_000, 1, 1)], 90_001, 3).await.unwrap();
        store.add_samples(&[sample(1_500, 1, 1)], 1_501, 3).await.unwrap();
        assert_eq!(starts(store.samples().await.unwrap()), [900, 1_200, 1_500]);
    }
}
