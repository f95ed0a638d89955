use super::{Private, StoreError};
use crate::names::{IndexName, ProjectName};

/// What is yanked, or taken back: files for a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum YankOf<'a> {
    /// All files of the release that spells its version so.
    Version(&'a str),
    File(&'a str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Yanked {
    /// The present one, if nothing had to be written.
    pub serial: u64,
    /// How many files said something else before.
    pub changed: u64,
}

impl Private {
    /// Yanks (a reason, which may be empty) or takes back (none).
    pub async fn set_yanked(
        &self,
        index: &IndexName,
        project: &ProjectName,
        of: YankOf<'_>,
        yanked: Option<&str>,
    ) -> Result<Yanked, StoreError> {
        let mut writing = self.write().await?;
        let (query, name) = match of {
            YankOf::Version(version) => (
                "UPDATE file SET yanked = ?1 WHERE index_name = ?2 AND project = ?3 AND version = ?4
                 AND rel = 'releasefile' AND yanked IS NOT ?1",
                version,
            ),
            YankOf::File(filename) => (
                "UPDATE file SET yanked = ?1 WHERE index_name = ?2 AND project = ?3 AND filename = ?4
                 AND rel = 'releasefile' AND yanked IS NOT ?1",
                filename,
            ),
        };
        let query = sqlx::query(query).bind(yanked).bind(index.as_str()).bind(project.as_str()).bind(name);
        let changed = query.execute(writing.sql()).await?.rows_affected();
        let serial = if changed == 0 { writing.unchanged().await? } else { writing.commit().await? };
        Ok(Yanked { serial, changed })
    }
}
