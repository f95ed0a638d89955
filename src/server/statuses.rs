use super::reply::{Reply, Status};
use crate::cache::{DiskError, Failure};
use crate::index::{IndexError, Trouble};
use crate::metrics::Kind;
use crate::store::{StoreError, Trouble as StoreTrouble};
use crate::upload::UploadError;
use crate::upstream::FetchError;

/// How loud an error is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loud {
    /// The client asked for what is not there.
    No,
    /// Upstream's trouble; its own line was written where it happened.
    Upstream,
    /// Somebody tries what he should not.
    Warning,
    /// Ours.
    Error,
}

/// Seconds after which a client may well ask again. Poetry waits that long before each of its tries: five would make
/// half a minute of an answer that is known at once.
pub const RETRY_AFTER_SECONDS: u32 = 1;

/// The one place where an error becomes a status: `404` only for what is known not to be there, since uv's first-index
/// strategy goes on to the next index after it; upstream's trouble is 502, 503 or 504.
pub fn reply(error: &IndexError, kind: Kind, json: bool) -> Reply {
    let (status, loud) = status(error);
    match loud {
        Loud::No => tracing::debug!(%error, "refused"),
        Loud::Upstream => tracing::info!(%error, "not served"),
        Loud::Warning => tracing::warn!(%error, "refused"),
        Loud::Error => tracing::error!(%error, "failed"),
    }
    let mut reply = Reply::error(status, kind, &sentence(error), json);
    reply.trouble = (loud != Loud::No).then(|| Box::new(trouble(error)));
    match (error, status.0) {
        (IndexError::TooManyAttempts(seconds), _) => reply.line("Retry-After", seconds),
        (_, 502..=504) => reply.line("Retry-After", RETRY_AFTER_SECONDS),
        _ => reply,
    }
}

/// A file that failed while its first bytes were waited for: the head is not sent yet, so the error is a clean one.
pub fn late(why: Failure, kind: Kind) -> Reply {
    let status = file_status(why);
    let mut reply = Reply::error(status, kind, &why.to_string(), false);
    reply.trouble = Some(Box::new(Trouble { class: "file", index: None, sentence: why.to_string() }));
    if (502..=504).contains(&status.0) { reply.line("Retry-After", RETRY_AFTER_SECONDS) } else { reply }
}

/// An upload that was not taken.
pub fn upload(error: &UploadError, json: bool) -> Reply {
    let mut trouble = None;
    let status = match error {
        UploadError::TooLarge { .. } => Status(413),
        UploadError::Disk(why) => {
            tracing::error!(%why, "an upload cannot be stored");
            let sentence = "an upload cannot be stored".to_owned();
            trouble = Some(Box::new(Trouble { class: "disk", index: None, sentence }));
            disk_status(why)
        }
        _ => Status(400),
    };
    let mut reply = Reply::error(status, Kind::Other, &upload_sentence(error), json);
    reply.trouble = trouble;
    reply
}

/// What the client is told of it.
pub fn upload_sentence(error: &UploadError) -> String {
    match error {
        UploadError::Disk(_) => STORAGE_FAILED.to_owned(),
        other => other.to_string(),
    }
}

fn store_status(why: &StoreError) -> Status {
    match why.trouble() {
        StoreTrouble::Full => Status(507),
        StoreTrouble::ReadOnly | StoreTrouble::Busy => Status(503),
        StoreTrouble::Other => Status(500),
    }
}

/// A full disk is a state that passes (RFC 4918 §11.5).
fn disk_status(why: &DiskError) -> Status {
    match why {
        DiskError::Unwritable(why) if why.kind() == std::io::ErrorKind::StorageFull => Status(507),
        DiskError::Unwritable(_) => Status(503),
        DiskError::Unreadable(_) => Status(500),
    }
}

const STORAGE_FAILED: &str = "the server's storage failed; its log says more";

fn status(error: &IndexError) -> (Status, Loud) {
    match error {
        IndexError::UnknownIndex(_)
        | IndexError::UnknownProject(..)
        | IndexError::UnknownFile(..)
        | IndexError::NoMetadata(_)
        | IndexError::NotThere(_)
        | IndexError::Name(_) => (Status(404), Loud::No),
        IndexError::NeedsLogin(_) | IndexError::Unproved(_) => (Status(401), Loud::No),
        IndexError::Forbidden(_) => (Status(403), Loud::No),
        IndexError::Invalid(_) => (Status(400), Loud::No),
        IndexError::Conflict(_) => (Status(409), Loud::No),
        IndexError::Deleted(_) => (Status(410), Loud::No),
        IndexError::TooManyAttempts(_) => (Status(429), Loud::Warning),
        IndexError::Busy | IndexError::Crowded => (Status(503), Loud::Warning),
        IndexError::Push(_) => (Status(502), Loud::Upstream),
        IndexError::Damaged(_) | IndexError::Auth(_) => (Status(500), Loud::Error),
        IndexError::Offline(_) => (Status(504), Loud::No),
        IndexError::BadPage { .. } | IndexError::NotAsked(..) => (Status(502), Loud::Upstream),
        IndexError::Upstream { why, .. } => (fetch_status(why), Loud::Upstream),
        IndexError::File { why, .. } => (file_status(*why), Loud::Upstream),
        IndexError::Store(why) => (store_status(why), Loud::Error),
        IndexError::Disk(why) => (disk_status(why), Loud::Error),
        IndexError::Lost => (Status(503), Loud::Error),
    }
}

/// What is remembered of an error for whoever keeps the server: more than the client is told, but no path and no secret.
fn trouble(error: &IndexError) -> Trouble {
    let (class, index) = match error {
        IndexError::Upstream { index, why } => (why.class(), Some(index)),
        IndexError::BadPage { index, .. } => ("bad_page", Some(index)),
        IndexError::NotAsked(index, _) => ("not_asked", Some(index)),
        IndexError::File { .. } => ("file", None),
        IndexError::TooManyAttempts(_) => ("logins", None),
        IndexError::Busy | IndexError::Auth(_) => ("passwords", None),
        IndexError::Push(_) => ("push", None),
        IndexError::Damaged(_) => ("damaged", None),
        IndexError::Store(_) => ("database", None),
        IndexError::Disk(_) => ("disk", None),
        IndexError::Lost => ("stopped", None),
        _ => ("refused", None),
    };
    let sentence = match error {
        // It names hosts, and no more of an address.
        IndexError::Upstream { .. } => error.to_string(),
        // One sentence, however long somebody has to wait.
        IndexError::TooManyAttempts(_) => "somebody failed to log in too often and has to wait".to_owned(),
        other => sentence(other),
    };
    Trouble { class, index: index.cloned(), sentence }
}

fn fetch_status(why: &FetchError) -> Status {
    match why {
        FetchError::Timeout { .. } => Status(504),
        FetchError::Busy => Status(503),
        FetchError::Refused { .. }
        | FetchError::Unreachable { .. }
        | FetchError::Status { .. }
        | FetchError::BadAnswer { .. }
        | FetchError::Broken { .. }
        | FetchError::TooLarge { .. }
        | FetchError::Missing { .. }
        | FetchError::Tls { .. } => Status(502),
    }
}

fn file_status(why: Failure) -> Status {
    match why {
        // Upstream was asked and says so.
        Failure::Missing => Status(404),
        Failure::Timeout => Status(504),
        Failure::Busy | Failure::Vanished | Failure::Disk => Status(503),
        Failure::Wrong | Failure::Damaged | Failure::Status(_) | Failure::Broken | Failure::Refused => Status(502),
    }
}

/// What the client is told: no path and no text of the operating system leaves the house.
pub fn sentence(error: &IndexError) -> String {
    match error {
        IndexError::Store(_) | IndexError::Disk(_) => STORAGE_FAILED.to_owned(),
        IndexError::Auth(_) => "the server cannot check passwords; its log says more".to_owned(),
        IndexError::Upstream { index, why } => match **why {
            FetchError::Timeout { .. } => format!("the upstream of {index} did not answer in time"),
            FetchError::Busy => "too many requests to upstream are under way".to_owned(),
            _ => format!("the upstream of {index} cannot be asked ({})", why.class()),
        },
        IndexError::BadPage { index, .. } => format!("the upstream of {index} sent a page that cannot be used"),
        other => other.to_string(),
    }
}
