use super::reply::{Reply, Status};
use crate::cache::Failure;
use crate::index::IndexError;
use crate::metrics::Kind;
use crate::upstream::FetchError;

/// How loud an error is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loud {
    /// The client asked for what is not there.
    No,
    /// Upstream's trouble; its own line was written where it happened.
    Upstream,
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
        Loud::Error => tracing::error!(%error, "failed"),
    }
    let reply = Reply::error(status, kind, &sentence(error), json);
    match status.0 {
        502..=504 => reply.line("Retry-After", RETRY_AFTER_SECONDS),
        _ => reply,
    }
}

/// A file that failed while its first bytes were waited for: the head is not sent yet, so the error is a clean one.
pub fn late(why: Failure, kind: Kind) -> Reply {
    let status = file_status(why);
    let reply = Reply::error(status, kind, &why.to_string(), false);
    if (502..=504).contains(&status.0) { reply.line("Retry-After", RETRY_AFTER_SECONDS) } else { reply }
}

fn status(error: &IndexError) -> (Status, Loud) {
    match error {
        IndexError::UnknownIndex(_)
        | IndexError::UnknownProject(..)
        | IndexError::UnknownFile(..)
        | IndexError::NoMetadata(_)
        | IndexError::Name(_) => (Status(404), Loud::No),
        IndexError::Offline(_) => (Status(504), Loud::No),
        IndexError::BadPage { .. } | IndexError::NotAsked(..) => (Status(502), Loud::Upstream),
        IndexError::Upstream { why, .. } => (fetch_status(why), Loud::Upstream),
        IndexError::File { why, .. } => (file_status(*why), Loud::Upstream),
        IndexError::Store(_) | IndexError::Disk(_) => (Status(500), Loud::Error),
        IndexError::Lost => (Status(503), Loud::Error),
    }
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
fn sentence(error: &IndexError) -> String {
    match error {
        IndexError::Store(_) | IndexError::Disk(_) => "the server's storage failed; its log says more".to_owned(),
        IndexError::Upstream { index, why } => match **why {
            FetchError::Timeout { .. } => format!("the upstream of {index} did not answer in time"),
            FetchError::Busy => "too many requests to upstream are under way".to_owned(),
            _ => format!("the upstream of {index} cannot be asked ({})", why.class()),
        },
        IndexError::BadPage { index, .. } => format!("the upstream of {index} sent a page that cannot be used"),
        other => other.to_string(),
    }
}
