use super::connection::Peer;
use super::reply::{Reply, Status};
use super::send::Cut;
use super::statuses;
use crate::clock::Clock;
use crate::http::{self, CrossSite, Field, HeadFacts, HostAnswer, Hosts, IndexRef, Query, Route, Routed, Via};
use crate::index::{FileKey, Index, Place};
use crate::metrics::{Connected, Event, Kind, Metrics};
use crate::names::IndexName;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A request that passed the strict reading of its head.
pub struct Request<'a> {
    pub facts: &'a HeadFacts<'a>,
    pub via: Via,
    pub peer: Peer,
}

/// What a [`Handler`] is made of.
pub struct HandlerParts {
    pub index: Index,
    pub metrics: Metrics,
    pub clock: Clock,
    pub hosts: Hosts,
    /// The index that `/simple/` and `/pypi/` mean.
    pub default_index: IndexName,
    /// What clients outside call us, without a slash at the end.
    pub public_url: Option<String>,
    /// How long clients may keep a mirror's page, in seconds.
    pub page_max_age: u64,
    /// Connections open at the same time.
    pub connections_max: usize,
    pub timeouts: Timeouts,
}

/// How long a client may keep a connection waiting.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// From the first byte of a head to its last, however it trickles.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// While it takes nothing of what it is sent; then the connection is cut.
    pub stalled: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            // A head is one packet; ten seconds bear the worst of lines.
            head: Duration::from_secs(10),
            // Longer than proxies keep theirs (Caddy: 2 minutes), so that none writes into a connection that is just
            // being closed.
            idle: Duration::from_secs(150),
            // A line that is gone for longer will hardly come back.
            stalled: Duration::from_secs(60),
        }
    }
}

/// Takes a request to its journey and makes an answer of what comes back.
pub struct Handler {
    parts: HandlerParts,
    places: Arc<Semaphore>,
}

/// A connection that was let in; counted until it is dropped.
pub struct Admitted {
    _place: OwnedSemaphorePermit,
    _counted: Connected,
}

impl Handler {
    pub fn new(parts: HandlerParts) -> Self {
        let places = Arc::new(Semaphore::new(parts.connections_max));
        Self { parts, places }
    }

    pub fn index(&self) -> &Index {
        &self.parts.index
    }

    pub fn metrics(&self) -> &Metrics {
        &self.parts.metrics
    }

    pub(super) fn unix(&self) -> u64 {
        self.parts.clock.unix()
    }

    pub(super) fn timeouts(&self) -> Timeouts {
        self.parts.timeouts
    }

    pub(super) fn page_max_age(&self) -> u64 {
        self.parts.page_max_age
    }

    /// Lets a connection in, unless there are too many.
    pub(super) fn admit(&self) -> Option<Admitted> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Admitted { _place: place, _counted: self.parts.metrics.connected() })
    }

    /// The answer to a request. In order: where it is addressed to, who made the browser send it, what it names.
    pub(super) async fn handle(&self, request: &Request<'_>) -> Reply {
        let facts = request.facts;
        let json = http::wants_plain_json(facts.get(Field::Accept));
        match self.parts.hosts.check(facts.host, http::authority(facts.target), request.via) {
            HostAnswer::Ok => {}
            HostAnswer::Missing => return refuse(Status(400), "the request names no host", json),
            HostAnswer::Malformed => return refuse(Status(400), "the Host field is no host", json),
            HostAnswer::Foreign => {
                let sentence =
                    "this server does not answer for that host; start it with --public-url or --allowed-host";
                return refuse(Status(421), sentence, json);
            }
        }
        if http::fetch_site(facts.fetch_facts()) == CrossSite::Refused {
            return refuse(Status(403), "pages of other sites may not use this server", json);
        }
        if !matches!(facts.method, "GET" | "HEAD") {
            let reply = Reply::error(Status(405), Kind::Other, "only GET and HEAD are answered here", json);
            return reply.line("Allow", "GET, HEAD");
        }
        if facts.target.len() > http::TARGET_BYTES_MAX {
            return refuse(Status(414), "the request target is too long", json);
        }
        match http::route(facts.target) {
            Routed::Found { route, query } => self.go(request, route, &query, json).await,
            Routed::Redirect { location } => redirect(&location),
            Routed::Bad(why) => refuse(Status(400), why, json),
            Routed::NotFound => Reply::error(Status(404), Kind::Other, "there is nothing at this address", json),
        }
    }

    async fn go(&self, request: &Request<'_>, route: Route, query: &Query, json: bool) -> Reply {
        match route {
            Route::Root => self.front(&self.base(request)),
            Route::Health => self.health(),
            Route::Ready => self.ready().await,
            Route::Metrics => self.metrics_page(),
            Route::Api | Route::UserApi(_) => self.api(&self.base(request), None),
            Route::IndexApi(index) => self.api(&self.base(request), Some(&index)),
            Route::ProjectList { index } => self.project_list(request, &index, query, json).await,
            Route::Project { index, name } => self.project(request, &index, name, query, json).await,
            Route::LegacyJson { name, version } => self.legacy_json(request, name, version, json).await,
            Route::File { index, prefix, filename, what } => {
                let file = FileKey { index, place: Place::Digest(prefix), filename };
                self.file(request, file, what, json).await
            }
            Route::FileByLink { index, directory, filename, what } => {
                let file = FileKey { index, place: Place::Link(directory.into()), filename };
                self.file(request, file, what, json).await
            }
            Route::FileByPath { index, path, filename, what } => {
                let file = FileKey { index, place: Place::Path(path.into()), filename };
                self.file(request, file, what, json).await
            }
            Route::Status | Route::Index(_) | Route::User(_) => {
                Reply::error(Status(404), Kind::Other, "there is nothing at this address yet", json)
            }
        }
    }

    pub(super) fn index_name(&self, index: &IndexRef) -> IndexName {
        match index {
            IndexRef::Named(name) => name.clone(),
            IndexRef::Default => self.parts.default_index.clone(),
        }
    }

    pub(super) fn default_index(&self) -> &IndexName {
        &self.parts.default_index
    }

    /// How absolute URLs begin, in the few answers that need them.
    fn base(&self, request: &Request<'_>) -> String {
        match &self.parts.public_url {
            Some(url) => url.clone(),
            // The host was checked to be one of ours.
            None => format!("http://{}", request.facts.host.unwrap_or("localhost")),
        }
    }

    /// One line of the log and one count for each request.
    pub(super) fn record(&self, request: &Request<'_>, reply: &Reply, bytes: u64, cut: Option<&Cut>, took: Duration) {
        let (facts, metrics) = (request.facts, &self.parts.metrics);
        metrics.requested(reply.status.0, bytes);
        if let Some(tier) = reply.tier {
            metrics.answered(reply.kind, tier);
        }
        if !tracing::enabled!(target: "access", tracing::Level::INFO) {
            return;
        }
        let peer = request.peer.address.map(|address| address.ip().to_string());
        tracing::info!(
            target: "access",
            method = &*shown(facts.method),
            path = &*shown(facts.target),
            status = reply.status.0,
            bytes,
            cache = reply.tier.map_or("-", |tier| tier.as_str()),
            milliseconds = took.as_micros() as f64 / 1e3,
            peer = peer.as_deref().unwrap_or("unix"),
            client = shown(facts.get(Field::UserAgent).unwrap_or("-")).split(' ').next().unwrap_or("-"),
            cut = cut.map(cut_word),
        );
    }

    pub(super) fn record_refused(&self, peer: Peer, reply: &Reply) {
        self.parts.metrics.requested(reply.status.0, 0);
        self.parts.metrics.happened(Event::RequestRefused);
        tracing::info!(target: "access", status = reply.status.0, peer = ?peer.address, "refused");
    }
}

/// Longest text from outside in a log line, in bytes.
const SHOWN_BYTES_MAX: usize = 512;

/// A text from outside as a log line may hold it: short, and visible ASCII. All else is escaped, for it could end the
/// line, colour the terminal or turn the line's direction around.
fn shown(text: &str) -> Cow<'_, str> {
    let short = text.get(..text.floor_char_boundary(SHOWN_BYTES_MAX)).unwrap_or_default();
    match short.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        true => Cow::Borrowed(short),
        false => Cow::Owned(short.escape_default().to_string()),
    }
}

fn cut_word(cut: &Cut) -> String {
    match cut {
        Cut::Client => "client".to_owned(),
        Cut::File => "file".to_owned(),
        Cut::Body(why) => why.to_string(),
    }
}

fn refuse(status: Status, sentence: &str, json: bool) -> Reply {
    let mut reply = Reply::error(status, Kind::Other, sentence, json);
    reply.close = true;
    reply
}

fn redirect(location: &str) -> Reply {
    let sentence = format!("moved to {location}\n");
    Reply::text(Status(301), Kind::Other, "text/plain; charset=utf-8", sentence)
        .line("Location", location)
        .line("Cache-Control", "public, max-age=3600")
}

pub(super) use statuses::reply as failed;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_outside_cannot_write_the_log() {
        for (text, expected) in [
            ("pip/26.0 {\"ci\":null}", "pip/26.0 {\"ci\":null}"),
            ("/a%0d%0ab", "/a%0d%0ab"),
            ("a\r\n2026 INFO b", "a\\r\\n2026 INFO b"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("\u{202e}txt.exe", "\\u{202e}txt.exe"),
            ("a\u{2028}b", "a\\u{2028}b"),
            ("Jürgen", "J\\u{fc}rgen"),
        ] {
            assert_eq!(shown(text), expected);
        }
        for long in ["x".repeat(9_000), "€".repeat(9_000), format!("x{}", "€".repeat(9_000))] {
            let shown = shown(&long);
            assert!(shown.len() <= SHOWN_BYTES_MAX * 4, "{} bytes", shown.len());
            assert!(shown.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        }
    }
}
