use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{Client, Method};
use url::Url;

use super::clients::{ClientError, Roots, tls};
use super::error::FetchError;
use super::exchange::host_of;
use super::{Credentials, Origin};
use crate::clock::Clock;

/// Most that is read of a body, in bytes: more than any page or wheel that is fetched to see whether it comes.
const BODY_BYTES_MAX: usize = 64 << 20;

/// One request as it is, to see what comes back: no redirect is followed, nothing is tried again or decoded.
#[derive(Debug)]
pub struct Question<'a> {
    pub url: &'a Url,
    /// Sent as lines of the head.
    pub headers: &'a [(&'static str, &'a str)],
    pub credentials: Option<&'a Credentials>,
    /// Posted; a GET without.
    pub body: Option<Bytes>,
    pub way: Way<'a>,
    /// For all of it.
    pub timeout: Duration,
}

/// How the server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way<'a> {
    /// As mirrors reach theirs: through the proxies that the environment names.
    AsMirrors,
    /// Past all proxies.
    Straight,
    /// Past all proxies and by HTTP/1.1, which has a reason phrase.
    StraightHttp1,
    Socket(&'a Path),
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub status: u16,
    /// In lower case; the last of a name that came twice.
    pub headers: BTreeMap<String, String>,
    pub body: Bytes,
    /// HTTP/1.1's words beside the status, where they are not the usual ones.
    pub phrase: Option<String>,
    pub http2: bool,
    pub took_ms: u64,
}

/// Whose certificates would be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootsFound {
    pub count: usize,
    /// What could not be read.
    pub troubles: Vec<String>,
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR`, where they stand.
    pub named: Vec<PathBuf>,
}

impl Heard {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// Asks once.
pub async fn probe(question: Question<'_>) -> Result<Heard, FetchError> {
    let (clock, host) = (Clock::system(), host_of(question.url));
    let started = clock.ticks();
    let origin = Origin::of(question.url).map_or_else(|_| host.clone(), |origin| origin.to_string());
    let failed = |error: &reqwest::Error| FetchError::before_head(error, &host, &origin);
    let client = client(question.way, question.timeout)
        .map_err(|why| FetchError::Tls { host: host.clone(), why: why.to_string() })?;
    let method = if question.body.is_some() { Method::POST } else { Method::GET };
    let mut request = client.request(method, question.url.clone());
    for (name, value) in question.headers {
        request = request.header(*name, *value);
    }
    if let Some(Credentials { username, password }) = question.credentials {
        request = request.basic_auth(username, Some(password));
    }
    if let Some(body) = question.body {
        request = request.body(body);
    }
    let mut response = request.send().await.map_err(|error| failed(&error))?;
    let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let (status, http2) = (response.status().as_u16(), response.version() == reqwest::Version::HTTP_2);
    let phrase = response.extensions().get::<hyper::ext::ReasonPhrase>();
    let phrase = phrase.map(|phrase| String::from_utf8_lossy(phrase.as_bytes()).into_owned());
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|error| FetchError::in_body(&error, &host))? {
        if body.len() + piece.len() > BODY_BYTES_MAX {
            return Err(FetchError::TooLarge { host, limit: BODY_BYTES_MAX });
        }
        body.extend_from_slice(&piece);
    }
    Ok(Heard { status, headers, body: body.freeze(), phrase, http2, took_ms: clock.ticks().saturating_sub(started) })
}

/// The certificates that mirrors would trust, as they would be read now.
pub fn roots_found(env: &BTreeMap<String, String>) -> RootsFound {
    let found = rustls_native_certs::load_native_certs();
    let named =
        ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().filter_map(|name| env.get(*name)).filter(|path| !path.is_empty());
    RootsFound {
        count: found.certs.len(),
        troubles: found.errors.iter().map(ToString::to_string).collect(),
        named: named.map(PathBuf::from).collect(),
    }
}

fn client(way: Way<'_>, timeout: Duration) -> Result<Client, ClientError> {
    let builder = Client::builder()
        .tls_backend_preconfigured(tls(&Roots::System)?)
        .user_agent(super::clients::USER_AGENT)
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_gzip();
    Ok(match way {
        Way::AsMirrors => builder,
        Way::Straight => builder.no_proxy(),
        Way::StraightHttp1 => builder.no_proxy().http1_only(),
        Way::Socket(path) => builder.no_proxy().unix_socket(path.to_owned()),
    }
    .build()?)
}
