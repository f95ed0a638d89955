use std::error::Error;
use std::io;

use super::address::NoPublicAddress;

/// Longest reason kept from another library or server, in characters: it goes to logs.
const WHY_CHARS_MAX: usize = 200;

/// Why nothing (or nothing more) came. Names hosts and origins, never paths, queries or credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    #[error("{origin} was not asked: {why}")]
    Refused { origin: String, why: Refusal },
    #[error("{host} could not be reached: {why}")]
    Unreachable { host: String, why: String },
    #[error("{host} did not answer in time")]
    Timeout { host: String },
    #[error("{host} answered with status {status}")]
    Status { host: String, status: u16 },
    /// The answer breaks HTTP or what was asked for.
    #[error("{host} gave an answer that cannot be used: {why}")]
    BadAnswer { host: String, why: String },
    /// The body began and did not end as promised.
    #[error("the answer of {host} broke off: {why}")]
    Broken { host: String, why: String },
    #[error("the answer of {host} is larger than {limit} bytes")]
    TooLarge { host: String, limit: usize },
    #[error("{host} does not have it")]
    Missing { host: String },
    #[error("no secure connection to {host}: {why}")]
    Tls { host: String, why: String },
    #[error("too many requests to upstream servers are under way")]
    Busy,
}

/// The address rule that was broken; see [`Upstream::allows`](super::Upstream::allows).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("only http and https URLs are fetched")]
    Scheme,
    #[error("a URL that carries a user or a password is not followed")]
    Userinfo,
    #[error(
        "plain http is used only with origins listed for the mirror; list it among its file origins if it is meant"
    )]
    PlainHttp,
    #[error(
        "it is not on the public internet and not listed for the mirror; list it among its file origins if it is meant"
    )]
    NotPublic,
    #[error("a redirect led from https down to http")]
    Downgrade,
    #[error("it is the proxy itself")]
    Proxy,
}

impl FetchError {
    /// Whether the same request may succeed a little later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Broken { .. } | Self::Busy => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            Self::Refused { .. }
            | Self::BadAnswer { .. }
            | Self::TooLarge { .. }
            | Self::Missing { .. }
            | Self::Tls { .. } => false,
        }
    }

    /// One of a few words, for a metric's label.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::Status { status: 500..=599, .. } => "status_5xx",
            Self::Status { status: 400..=499, .. } => "status_4xx",
            Self::Status { .. } => "status_other",
            Self::BadAnswer { .. } => "bad_answer",
            Self::Broken { .. } => "broken",
            Self::TooLarge { .. } => "too_large",
            Self::Missing { .. } => "missing",
            Self::Tls { .. } => "tls",
            Self::Busy => "busy",
        }
    }

    pub(super) fn bad(host: &str, why: impl Into<String>) -> Self {
        Self::BadAnswer { host: host.to_owned(), why: why.into() }
    }

    pub(super) fn broken(host: &str, why: impl Into<String>) -> Self {
        Self::Broken { host: host.to_owned(), why: why.into() }
    }

    /// What went wrong before the head of an answer had come, by whichever client.
    pub(super) fn before_head(error: &(dyn Error + 'static), host: &str, origin: &str) -> Self {
        let host = host.to_owned();
        if chain(error).any(|cause| cause.is::<NoPublicAddress>()) {
            return Self::Refused { origin: origin.to_owned(), why: Refusal::NotPublic };
        }
        let why = why(error);
        if chain(error).any(is_connect) {
            return if chain(error).any(|cause| cause.is::<rustls::Error>()) {
                Self::Tls { host, why }
            } else {
                Self::Unreachable { host, why }
            };
        }
        if chain(error).any(is_timeout) {
            return Self::Timeout { host };
        }
        if is_parse_error(&why) { Self::BadAnswer { host, why } } else { Self::Unreachable { host, why } }
    }

    /// What went wrong while a body was read.
    pub(super) fn in_body(error: &reqwest::Error, host: &str) -> Self {
        if error.is_timeout() {
            return Self::Timeout { host: host.to_owned() };
        }
        Self::broken(host, why(error))
    }
}

/// An error and its causes. What an I/O error wraps is not named as its source, so that step is taken by hand.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
        Some(outer) => outer.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    })
}

fn is_connect(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(|error| error.is_connect())
}

fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout)
        || error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

/// The HTTP parser's errors have no public type at this distance; these are its words for a head that breaks HTTP.
fn is_parse_error(why: &str) -> bool {
    [
        "invalid HTTP",
        "invalid content-length",
        "invalid transfer-encoding",
        "unexpected transfer-encoding",
        "message head",
    ]
    .iter()
    .any(|words| why.starts_with(words))
}

/// The innermost cause, on one line: the outer ones repeat the URL, which may carry a query.
fn why(error: &(dyn Error + 'static)) -> String {
    let root = chain(error).last().map_or_else(String::new, ToString::to_string);
    root.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WHY_CHARS_MAX).collect()
}
