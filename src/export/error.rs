use crate::names::IndexName;
use crate::rules::SettingsError;
use crate::store::StoreError;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("{} is not empty; give a directory that does not exist yet", path.display())]
    NotEmpty { path: PathBuf },
    #[error("{} cannot be written: {why}; what is there is not complete, remove it", path.display())]
    Target { path: PathBuf, why: io::Error },
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the stored settings of the index {index} cannot be read: {why}; restore private.db from a backup")]
    Settings { index: IndexName, why: SettingsError },
    #[error("the dump cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl ExportError {
    pub(super) fn target(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |why| Self::Target { path, why }
    }
}
