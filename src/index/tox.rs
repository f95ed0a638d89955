use super::Index;
use super::errors::IndexError;
use super::info::link_of;
use crate::names::{IndexName, ProjectName};
use crate::store::{FileRow, Rel};

/// Largest result that is read for a page, in bytes; those of large test suites have some hundred thousand.
const TOX_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A result of tests that was posted for a file.
pub struct ToxResult {
    /// Where it is, in an URL.
    pub path: String,
    pub filename: String,
    /// The name of the file that was tested.
    pub tested: String,
    /// Unix seconds.
    pub posted: u64,
    row: FileRow,
}

impl Index {
    /// The results of tests of a version in one index, newest first.
    pub async fn tox_results(
        &self,
        stage: &IndexName,
        project: &ProjectName,
        version: &str,
    ) -> Result<Vec<ToxResult>, IndexError> {
        let rows = self.0.private.files_of_version(stage, project, version).await?;
        let result = |row: FileRow| ToxResult {
            path: format!("/{}", link_of(stage, &row).path),
            filename: row.filename.clone(),
            tested: row.for_file.as_ref().map(|(_, name)| name.clone()).unwrap_or_default(),
            posted: u64::try_from(row.uploaded / 1_000_000).unwrap_or_default(),
            row,
        };
        let mut results: Vec<_> = rows.into_iter().rev().filter(|row| row.rel == Rel::Toxresult).map(result).collect();
        results.sort_by_key(|result| std::cmp::Reverse(result.posted));
        Ok(results)
    }

    /// What was posted; none when it is too large for a page.
    pub async fn read_tox(&self, result: &ToxResult) -> Result<Option<Vec<u8>>, IndexError> {
        let row = &result.row;
        if row.size > TOX_BYTES_MAX {
            return Ok(None);
        }
        let disk = self.0.whole_private(&row.sha256, row.size, &row.filename).await?;
        let read = tokio::task::spawn_blocking(move || disk.read());
        Ok(Some(read.await.map_err(|_| IndexError::Lost)??))
    }
}
