use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Client, Method, Response, StatusCode};
use url::{Host, Url};

use super::address::may_be_public;
use super::error::{FetchError, Refusal};
use super::headers::text;
use super::lane::{Lane, Turn};
use super::origin::{Origin, has_userinfo};
use super::{Inner, Upstream};

/// Hops after the first URL.
const REDIRECTS_MAX: usize = 3;
/// Attempts after the first one, all before the first byte of a body.
const RETRIES_MAX: usize = 2;
/// Pause before another attempt, drawn anew each time so that many clients do not come back as one.
const RETRY_PAUSE_MS: std::ops::RangeInclusive<u64> = 50..=300;
/// Longest `Retry-After` that is waited for; beyond it the asker is told instead.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(2);
/// Longest wait for one's turn, which comes before any deadline of the request itself.
const TURN_PATIENCE: Duration = Duration::from_secs(10);

/// A GET as it is sent on every hop.
pub(super) struct Ask {
    pub url: Url,
    /// Without credentials: those are added per hop.
    pub headers: HeaderMap,
}

/// The head of an answer, and where it came from after redirects.
pub(super) struct Answer {
    pub url: Url,
    pub host: String,
    pub response: Response,
}

impl Upstream {
    /// The address rule. A URL is fetched when its origin (scheme, host **and** port) is the base's own or one listed
    /// for the mirror, whatever its address; or when it is `https` and its host is not an address outside the public
    /// internet. A host *name* passes here and is held to the rule when it is resolved: only its public addresses are
    /// connected to. Redirects are held to the same rule at each hop.
    ///
    /// Through a proxy the proxy resolves names, and only hosts written as an address can be judged.
    pub fn allows(&self, url: &Url) -> Result<(), FetchError> {
        self.inner.client_for(url).map(|_| ())
    }

    pub(super) async fn turn(&self, lane: &Lane) -> Result<Turn, FetchError> {
        lane.turn(TURN_PATIENCE).await.map_err(|_| FetchError::Busy)
    }

    /// The head of the answer: redirects followed, retried where that may help.
    pub(super) async fn ask(&self, ask: &Ask) -> Result<Answer, FetchError> {
        let mut retries = 0;
        loop {
            let outcome = self.inner.follow(ask).await;
            let Some(pause) = pause_before_retry(&outcome).filter(|_| retries < RETRIES_MAX) else {
                return outcome;
            };
            retries += 1;
            tracing::debug!(host = ask.url.host_str(), retries, ?pause, "asking upstream again");
            drop(outcome);
            tokio::time::sleep(pause).await;
        }
    }

    /// Runs `fetch` under the mirror's deadline.
    pub(super) async fn in_time<T>(
        &self,
        url: &Url,
        fetch: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        match tokio::time::timeout(self.inner.page_timeout, fetch).await {
            Ok(outcome) => outcome,
            Err(_) => Err(FetchError::Timeout { host: host_of(url) }),
        }
    }
}

impl Inner {
    async fn follow(&self, ask: &Ask) -> Result<Answer, FetchError> {
        let mut url = ask.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let response = self.send(&url, ask.headers.clone()).await?;
            if !is_redirect(response.status()) {
                url.set_fragment(None);
                let host = host_of(&url);
                return Ok(Answer { url, host, response });
            }
            url = next_hop(&url, text(response.headers(), &LOCATION))?;
        }
        Err(FetchError::bad(&host_of(&ask.url), format!("it redirects more than {REDIRECTS_MAX} times")))
    }

    async fn send(&self, url: &Url, headers: HeaderMap) -> Result<Response, FetchError> {
        let (client, origin) = self.client_for(url)?;
        let mut request = client.request(Method::GET, url.clone()).headers(headers);
        if let Some(credentials) = &self.credentials
            && self.base_origin.as_ref() == Some(&origin)
        {
            request = request.basic_auth(&credentials.username, Some(&credentials.password));
        }
        let (host, origin) = (host_of(url), origin.to_string());
        let before_head = |error| FetchError::before_head(&error, &host, &origin);
        let request = request.build().map_err(before_head)?;
        if self.clients.plain.takes(&request) {
            return self.clients.plain.send(request, &host, &origin).await;
        }
        client.execute(request).await.map_err(before_head)
    }

    /// The client whose resolver fits the URL, when the URL may be fetched at all.
    pub(super) fn client_for(&self, url: &Url) -> Result<(&Client, Origin), FetchError> {
        let Ok(origin) = Origin::of(url) else {
            // What has no origin (`file:`, `data:` …) is named by its scheme: the rest may be anything.
            return Err(FetchError::Refused { origin: format!("{}:", url.scheme()), why: Refusal::Scheme });
        };
        let refuse = |why| Err(FetchError::Refused { origin: origin.to_string(), why });
        if has_userinfo(url) {
            return refuse(Refusal::Userinfo);
        }
        if self.listed.contains(&origin) {
            return Ok((&self.clients.listed, origin));
        }
        if !origin.is_https() {
            return refuse(Refusal::PlainHttp);
        }
        if !may_be_public(origin.host()) {
            return refuse(Refusal::NotPublic);
        }
        if let Host::Domain(name) = origin.host()
            && self.clients.proxies.contains(name)
        {
            return refuse(Refusal::Proxy);
        }
        Ok((&self.clients.public, origin))
    }
}

pub(super) fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// The headers of every request; `accept_encoding` says which codings the asker undoes.
pub(super) fn headers(accept: &str, accept_encoding: &'static str, past_caches: bool) -> HeaderMap {
    use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, HeaderValue};
    let mut headers = HeaderMap::new();
    if let Ok(accept) = HeaderValue::from_str(accept) {
        headers.insert(ACCEPT, accept);
    }
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(accept_encoding));
    if past_caches {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    headers
}

/// Statuses that name another place for the same GET (RFC 9110 §15.4). 304 is none, 300 leaves a choice.
fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn next_hop(from: &Url, location: Option<&str>) -> Result<Url, FetchError> {
    let to = location.and_then(|location| from.join(location).ok());
    let Some(to) = to else {
        return Err(FetchError::bad(&host_of(from), "it redirects to nowhere"));
    };
    if from.scheme() == "https" && to.scheme() == "http" {
        let origin = Origin::of(&to).map_or_else(|_| to.scheme().to_owned(), |origin| origin.to_string());
        return Err(FetchError::Refused { origin, why: Refusal::Downgrade });
    }
    Ok(to)
}

/// How long to pause before the next attempt; none when another attempt would be of no use or of no good.
fn pause_before_retry(outcome: &Result<Answer, FetchError>) -> Option<Duration> {
    match outcome {
        Err(FetchError::Unreachable { .. }) => Some(jitter()),
        Err(_) => None,
        Ok(answer) => {
            let status = answer.response.status().as_u16();
            let stated = text(answer.response.headers(), &RETRY_AFTER);
            // The other form of Retry-After, a date, is taken as too long.
            let stated = stated.map(|value| value.trim().parse().map_or(Duration::MAX, Duration::from_secs));
            match (status, stated) {
                (429 | 502..=504, Some(pause)) if pause <= RETRY_AFTER_MAX => Some(pause + jitter()),
                (502..=504, None) => Some(jitter()),
                _ => None,
            }
        }
    }
}

/// A pause from the range of pauses. Each hasher has keys of its own, which is randomness enough.
fn jitter() -> Duration {
    let span = RETRY_PAUSE_MS.end() - RETRY_PAUSE_MS.start() + 1;
    Duration::from_millis(RETRY_PAUSE_MS.start() + RandomState::new().hash_one(0) % span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hop_is_resolved_against_where_it_came_from_and_never_falls_to_http() {
        let from = Url::parse("https://index.example/simple/Demo/?q").unwrap();
        for (location, to) in [
            ("../demo/", "https://index.example/simple/demo/"),
            ("/x", "https://index.example/x"),
            ("//other.example/x", "https://other.example/x"),
            ("https://other.example:8443/x", "https://other.example:8443/x"),
        ] {
            assert_eq!(next_hop(&from, Some(location)).unwrap().as_str(), to);
        }
        let refused = next_hop(&from, Some("http://index.example/x?secret=1")).unwrap_err();
        let origin = "http://index.example".to_owned();
        assert_eq!(refused, FetchError::Refused { origin, why: Refusal::Downgrade });
        for nowhere in [None, Some("https://"), Some("http://[::x")] {
            assert!(matches!(next_hop(&from, nowhere), Err(FetchError::BadAnswer { .. })), "{nowhere:?}");
        }
    }

    #[test]
    fn pauses_vary_within_their_range() {
        let pauses: Vec<_> = std::iter::repeat_with(jitter).take(50).collect();
        assert!(pauses.iter().all(|pause| (50..=300).contains(&pause.as_millis())), "{pauses:?}");
        assert!(pauses.iter().any(|pause| Some(pause) != pauses.first()), "{pauses:?}");
    }
}
