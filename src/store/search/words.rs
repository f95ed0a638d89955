use super::{COLUMNS, KnownRow, json_of, known_row};
use crate::names::IndexName;
use crate::store::{Store, StoreError};
use sqlx::Row;

/// Words that one question is made of, at most.
pub const WORDS_MAX: usize = 8;

/// Lines that are weighed for one question, at most: more have the words, but nobody reads so far.
const WEIGHED_MAX: i64 = 2_000;

/// What a word counts in the name, the summary, the keywords and the classifiers.
const WEIGHTS: &str = "10.0, 3.0, 3.0, 1.0";

/// Words of the vocabulary that are read at once.
const VOCABULARY_PIECE: i64 = 10_000;

impl Store {
    /// Projects of `indexes` whose name begins with `prefix`, shortest first.
    pub async fn known_by_prefix(
        &self,
        indexes: &[IndexName],
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<KnownRow>, StoreError> {
        let query = format!(
            "SELECT {COLUMNS} FROM known k WHERE k.project >= ?1 AND k.project < ?1 || char(127)
             AND k.index_name IN (SELECT value FROM json_each(?2)) ORDER BY length(k.project), k.project LIMIT ?3"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(prefix)
            .bind(json_of(indexes.iter().map(IndexName::as_str)))
            .bind(limit as i64)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(known_row).collect()
    }

    /// Projects of `indexes` in whose lines every one of `words` begins a word, the best first: each word in any of its
    /// spellings. `in_name`: it must stand in the name.
    pub async fn known_by_words(
        &self,
        indexes: &[IndexName],
        words: &[Vec<String>],
        in_name: bool,
        limit: usize,
    ) -> Result<Vec<KnownRow>, StoreError> {
        let Some(question) = question(words, in_name) else { return Ok(Vec::new()) };
        let query = format!(
            "SELECT {COLUMNS} FROM (
                 SELECT known_words.rowid AS id, bm25(known_words, {WEIGHTS}) AS score FROM known_words
                 JOIN known ON known.id = known_words.rowid WHERE known_words MATCH ?1 AND known.index_name IN (SELECT value FROM json_each(?2)) LIMIT {WEIGHED_MAX}
             ) AS hit JOIN known k ON k.id = hit.id ORDER BY hit.score, length(k.project), k.project LIMIT ?3"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(question)
            .bind(json_of(indexes.iter().map(IndexName::as_str)))
            .bind(limit as i64)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(known_row).collect()
    }

    /// The words of all lines after `after`, in the order of their bytes; empty when there are no more.
    pub async fn vocabulary(&self, after: &str) -> Result<Vec<String>, StoreError> {
        let query = "SELECT term FROM known_vocabulary WHERE term > ? LIMIT ?";
        let rows = sqlx::query(query).bind(after).bind(VOCABULARY_PIECE).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }
}

/// The question in FTS5's language: every word quoted, as a prefix.
fn question(words: &[Vec<String>], in_name: bool) -> Option<String> {
    let prefix = |word: &String| format!("\"{}\" *", word.replace('"', ""));
    let spellings = |word: &Vec<String>| format!("({})", word.iter().map(prefix).collect::<Vec<_>>().join(" OR "));
    let words: Vec<_> = words.iter().filter(|word| !word.is_empty()).take(WORDS_MAX).map(spellings).collect();
    let column = if in_name { "project : " } else { "" };
    (!words.is_empty()).then(|| format!("{column}({})", words.join(" AND ")))
}
