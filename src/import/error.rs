use crate::index::IndexError;
use crate::store::StoreError;
use std::io;
use std::path::PathBuf;

/// Why an import ended before its end. What was taken until then stays; the next run goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("{} is no directory of devpi-server: it has no .serverversion; give the one that devpi-server's --serverdir named", .0.display())]
    NotDevpi(PathBuf),
    #[error("{} was written by devpi-server with layout {found:?}, and only layout 4 is read here; write it out with `devpi-export DIR` and use `sidewheel import devpi-export DIR`", path.display())]
    Layout { path: PathBuf, found: String },
    #[error("{} has no .sqlite: that devpi-server kept its data elsewhere (as PostgreSQL); write it out with `devpi-export DIR` and use `sidewheel import devpi-export DIR`", .0.display())]
    NoDatabase(PathBuf),
    #[error("{} changes while it is copied; stop devpi-server first", .0.display())]
    Changing(PathBuf),
    #[error("{} is no export of devpi: it has no dataindex.json", .0.display())]
    NotAnExport(PathBuf),
    #[error("{} has dumpversion {found:?}, and 1 and 2 are read here; write it with another devpi-export", path.display())]
    Dump { path: PathBuf, found: String },
    #[error("{} cannot be read: {why}", path.display())]
    Json { path: PathBuf, why: serde_json::Error },
    #[error("{} cannot be read: {why}", path.display())]
    Read { path: PathBuf, why: io::Error },
    #[error("the copy {} cannot be written: {why}; make room there, or give another --data", path.display())]
    Copy { path: PathBuf, why: io::Error },
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}; run the import again when that is seen to, it goes on where it stopped")]
    Index(#[from] IndexError),
    #[error("{0}")]
    Target(String),
}

impl ImportError {
    pub(super) fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |why| Self::Read { path, why }
    }
}
