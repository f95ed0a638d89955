use crate::auth::AuthError;
use crate::cache::{DiskError, Failure};
use crate::names::{IndexName, NameError, ProjectName};
use crate::store::StoreError;
use crate::upstream::FetchError;
use std::sync::Arc;

/// Why a journey ended without what was asked for. Cheap to clone: shared calls hand one result to many.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IndexError {
    #[error("The stage {0} could not be found.")]
    UnknownIndex(IndexName),
    #[error("the index {0} has no project {1}")]
    UnknownProject(IndexName, ProjectName),
    #[error("the index {0} does not list the file {1}")]
    UnknownFile(IndexName, String),
    /// What is known of the project does not list the file, and upstream cannot say whether it still holds.
    #[error("the upstream of {0} cannot be asked about the file {1}")]
    NotAsked(IndexName, String),
    #[error("there is no metadata for {0}")]
    NoMetadata(String),
    #[error("{0}")]
    Name(#[from] NameError),
    /// Nobody was recognised, and somebody is needed.
    #[error("{0}")]
    NeedsLogin(String),
    /// What was proved, if anything, is not enough (devpi's 401 to who is logged in).
    #[error("{0}")]
    Unproved(String),
    /// Who was recognised may not.
    #[error("{0}")]
    Forbidden(String),
    /// What was asked for makes no sense; the sentence says what would.
    #[error("{0}")]
    Invalid(String),
    /// It stands against what is there.
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    NotThere(String),
    /// It was there and was deleted.
    #[error("{0}")]
    Deleted(String),
    #[error("too many failed attempts; wait {0} s and try again")]
    TooManyAttempts(u64),
    #[error("too many passwords are being checked; try again in a moment")]
    Busy,
    #[error("too many documents are being read; try again in a moment")]
    Crowded,
    #[error("the password cannot be hashed: {0}")]
    Auth(Arc<AuthError>),
    /// A file of ours is not what it was when it came.
    #[error("the stored file {0} is damaged or gone; it was set aside, restore it from a backup")]
    Damaged(String),
    /// Another server that files were to be pushed to.
    #[error("{0}")]
    Push(String),
    /// Upstream could not be asked, or said nothing that can be used.
    #[error("upstream of {index}: {why}")]
    Upstream { index: IndexName, why: Arc<FetchError> },
    /// Upstream answered with a page that cannot be believed.
    #[error("upstream of {index} sent a page that cannot be used: {why}")]
    BadPage { index: IndexName, why: String },
    #[error("this server runs with --offline and does not have {0}")]
    Offline(String),
    #[error("the file {filename}: {why}")]
    File { filename: String, why: Failure },
    #[error("the database failed: {0}")]
    Store(Arc<StoreError>),
    #[error("{0}")]
    Disk(Arc<DiskError>),
    #[error("the server is stopping or a task of it failed")]
    Lost,
}

impl From<StoreError> for IndexError {
    fn from(why: StoreError) -> Self {
        Self::Store(Arc::new(why))
    }
}

impl From<AuthError> for IndexError {
    fn from(why: AuthError) -> Self {
        match why {
            AuthError::Busy => Self::Busy,
            why => Self::Auth(Arc::new(why)),
        }
    }
}

impl From<DiskError> for IndexError {
    fn from(why: DiskError) -> Self {
        Self::Disk(Arc::new(why))
    }
}

/// What a failed fetch of a file is for those who follow it.
pub(super) fn failure(error: &FetchError) -> Failure {
    match error {
        FetchError::Missing { .. } => Failure::Missing,
        FetchError::Refused { .. } => Failure::Refused,
        FetchError::Timeout { .. } => Failure::Timeout,
        FetchError::Status { status, .. } => Failure::Status(*status),
        FetchError::Busy => Failure::Busy,
        _ => Failure::Broken,
    }
}
