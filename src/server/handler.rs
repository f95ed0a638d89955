use super::api::found;
use super::connection::Peer;
use super::events::STREAMS_MAX;
use super::incoming::Incoming;
use super::places::Places;
use super::recall;
use super::reply::{Reply, Status};
use super::send::Cut;
use super::statuses;
use super::web::DocsPlace;
use crate::clock::Clock;
use crate::http::{self, CrossSite, Field, HeadFacts, HostAnswer, Hosts, IndexRef, Query, Route, Routed, Via};
use crate::index::{FileKey, Index, Place};
use crate::metrics::{Connected, Event, Kind, Metrics};
use crate::names::IndexName;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
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
    /// Most bytes of an uploaded file.
    pub upload_bytes_max: u64,
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
    /// After the server was told to stop, for a request that is just arriving on an idle connection.
    pub quiet: Duration,
    /// While it takes nothing of what it is sent; then the connection is cut.
    pub stalled: Duration,
    /// While all places for bodies are taken; then it is told to come again.
    pub places: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            // A head is one packet; ten seconds bear the worst of lines.
            head: Duration::from_secs(10),
            // Longer than proxies keep theirs (Caddy: 2 minutes), so that none writes into a connection that is just
            // being closed.
            idle: Duration::from_secs(150),
            // Whoever asks again and again does so within this time, and is told that the answer is the last.
            quiet: Duration::from_millis(500),
            // A line that is gone for longer will hardly come back.
            stalled: Duration::from_secs(60),
            // Uploads of a release come one after another; proxies give up after a minute.
            places: Duration::from_secs(30),
        }
    }
}

/// What some address of ours knows; PUSH is devpi's own.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PUSH"];

/// Takes a request to its journey and makes an answer of what comes back.
pub struct Handler {
    parts: HandlerParts,
    connections: Arc<Semaphore>,
    places: Places,
    streams: Arc<Semaphore>,
}

/// A connection that was let in; counted until it is dropped.
pub struct Admitted {
    _place: OwnedSemaphorePermit,
    _counted: Connected,
}

impl Handler {
    pub fn new(parts: HandlerParts) -> Self {
        let connections = Arc::new(Semaphore::new(parts.connections_max));
        let places = Places::new(parts.timeouts.places);
        Self { parts, connections, places, streams: Arc::new(Semaphore::new(STREAMS_MAX)) }
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

    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    /// A place for a stream of events, unless all are taken.
    pub(super) fn stream_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.streams).try_acquire_owned().ok()
    }

    pub(super) fn connections_max(&self) -> usize {
        self.parts.connections_max
    }

    pub(super) fn page_max_age(&self) -> u64 {
        self.parts.page_max_age
    }

    /// Lets a connection in, unless there are too many.
    pub(super) fn admit(&self) -> Option<Admitted> {
        let place = Arc::clone(&self.connections).try_acquire_owned().ok()?;
        Some(Admitted { _place: place, _counted: self.parts.metrics.connected() })
    }

    /// The answer to a request. In order: where it is addressed to, who made the browser send it, what it names.
    pub(super) async fn handle<S: AsyncRead + AsyncWrite + Unpin + Send + ?Sized>(
        &self,
        request: &Request<'_>,
        body: &mut Incoming<'_, S>,
    ) -> Reply {
        let facts = request.facts;
        let json = recall::accept(facts.get(Field::Accept)).plain_json;
        let reads = matches!(facts.method, "GET" | "HEAD");
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
        if !METHODS.contains(&facts.method) {
            let reply = Reply::error(Status(405), Kind::Other, "this method is not answered here", json);
            return reply.line("Allow", "GET, HEAD");
        }
        if facts.target.len() > http::TARGET_BYTES_MAX {
            return refuse(Status(414), "the request target is too long", json);
        }
        match &*recall::route(facts.target) {
            Routed::Found { route, query } => self.go(request, route.clone(), query, json, body).await,
            Routed::Redirect { location } if reads => redirect(location),
            Routed::Redirect { location } => {
                let sentence = format!("write to {location}");
                Reply::error(Status(405), Kind::Other, &sentence, json).line("Allow", "GET, HEAD")
            }
            Routed::Bad(why) => refuse(Status(400), why, json),
            Routed::NotFound if reads && http::wants_page(facts.get(Field::Accept)) => self.nothing_here(request).await,
            Routed::NotFound => Reply::error(Status(404), Kind::Other, "there is nothing at this address", json)
                .line("X-DEVPI-API-VERSION", crate::api::VERSION_SPOKEN),
        }
    }

    async fn go<S: AsyncRead + AsyncWrite + Unpin + Send + ?Sized>(
        &self,
        request: &Request<'_>,
        route: Route,
        query: &Query,
        json: bool,
        body: &mut Incoming<'_, S>,
    ) -> Reply {
        let reads = matches!(request.facts.method, "GET" | "HEAD");
        match route {
            Route::ProjectList { index } if reads => self.project_list(request, &index, query, json).await,
            Route::Project { index, name } if reads => self.project(request, &index, name, query, json).await,
            Route::ProjectList { index } | Route::Project { index, .. } => no_upload_here(&self.index_name(&index)),
            // Of a file alone JSON tells more than its bytes do.
            Route::File { index, prefix, filename, what } if reads && !(json && what == http::FileWhat::Itself) => {
                let file = FileKey { index, place: Place::Digest(prefix), filename };
                self.file(request, file, what, json).await
            }
            Route::FileByLink { index, directory, filename, what } if reads => {
                let file = FileKey { index, place: Place::Link(directory.into()), filename };
                self.file(request, file, what, json).await
            }
            Route::FileByPath { index, path, filename, what } if reads => {
                let file = FileKey { index, place: Place::Path(path.into()), filename };
                self.file(request, file, what, json).await
            }
            Route::LegacyJson { name, version } if reads => self.legacy_json(request, name, version, json).await,
            Route::Health if reads => self.health(),
            Route::Ready if reads => self.ready().await,
            Route::Metrics if reads => self.metrics_page(),
            Route::Static(name) if reads => self.asset(&name),
            Route::StatusEvents if reads => self.status_events(request).await,
            // Installers mean the simple API by an address without `+simple` too (devpi's behaviour).
            Route::Index { index, slash: true } if reads && is_installer(request) => {
                found(&format!("{}/+simple/", http::index_path(&index)))
            }
            Route::ProjectInfo { index, name, .. } if reads && is_installer(request) => {
                found(&format!("{}/+simple/{name}/", http::index_path(&index)))
            }
            Route::ProjectInfo { index, name, spelling } if reads && !spelling.normalised => {
                found(&format!("{}/{name}", http::index_path(&index)))
                    .line("X-DEVPI-API-VERSION", crate::api::VERSION_SPOKEN)
            }
            Route::Search if reads && Self::wants_found_as_json(request, query) => self.search(request, query).await,
            Route::Search if request.facts.method == "POST" => self.want_whole_list(request, query).await,
            Route::Docs { index, name, version, path } if reads => {
                self.docs(request, DocsPlace { index, name, version, path }).await
            }
            route if reads && Self::is_for_page(request, &route) => self.page_for_people(request, route, query).await,
            Route::Do(action) => self.act(request, &action, query, body).await,
            Route::Login if request.facts.method == "POST" && is_plain_form(request) => {
                self.log_in(request, body).await
            }
            Route::Root if reads && !json => self.front(&self.base(request)),
            Route::Index { index, .. } if request.facts.method == "POST" && is_form(request) => {
                self.upload(request, &index, body, json).await
            }
            Route::Refresh { index, name } => self.refresh(request, &index, &name).await,
            Route::VersionInfo { index, name, version, .. }
                if version == "refresh" && request.facts.method == "POST" =>
            {
                self.refresh(request, &index, &name).await
            }
            route => self.api(request, route, query, body).await,
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
    pub(super) fn base(&self, request: &Request<'_>) -> String {
        if let Some(url) = &self.parts.public_url {
            return url.clone();
        }
        let told = request.facts.get(Field::XForwardedProto).filter(|_| request.peer.is_proxy());
        let scheme = if told == Some("https") { "https" } else { "http" };
        // The host was checked to be one of ours.
        format!("{scheme}://{}", request.facts.host.unwrap_or("localhost"))
    }

    /// The address of the client. A proxy on this machine is believed about who it speaks for; it puts the client's
    /// address last.
    pub(super) fn peer(&self, request: &Request<'_>) -> Option<IpAddr> {
        let told = request.facts.get(Field::XForwardedFor).filter(|_| request.peer.is_proxy());
        let told = told.and_then(|list| list.rsplit(',').next()?.trim().parse().ok());
        told.or_else(|| request.peer.address.map(|address| address.ip()))
    }

    pub(super) fn upload_bytes_max(&self) -> u64 {
        self.parts.upload_bytes_max
    }

    /// One line of the log and one count for each request.
    pub(super) fn record(&self, request: &Request<'_>, reply: &Reply, bytes: u64, cut: Option<&Cut>, took: Duration) {
        let (facts, metrics) = (request.facts, &self.parts.metrics);
        metrics.requested(reply.status.0, bytes);
        if let Some(tier) = reply.tier {
            metrics.answered(reply.kind, tier, bytes);
        }
        if let Some(uses) = reply.uses.as_ref().filter(|_| bytes > 0) {
            uses.served(bytes);
        }
        if let Some(trouble) = &reply.trouble {
            self.parts.index.note_trouble((**trouble).clone());
        }
        let is_ours = facts.get(Field::UserAgent) == Some(super::pulse::AGENT) && request.peer.is_proxy();
        if is_ours || !tracing::enabled!(target: "access", tracing::Level::INFO) {
            return;
        }
        let peer = request.peer.address.map(|address| address.ip().to_string());
        let client = facts.get(Field::UserAgent).and_then(|agent| agent.split(' ').next()).unwrap_or("-");
        tracing::info!(
            target: "access",
            method = &*shown(facts.method),
            path = &*shown(facts.target),
            status = reply.status.0,
            bytes,
            cache = reply.tier.map_or("-", |tier| tier.as_str()),
            milliseconds = took.as_micros() as f64 / 1e3,
            peer = peer.as_deref().unwrap_or("unix"),
            client = &*shown(client),
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

/// twine, pdm and uv explain a 405 to who gave them the address of the simple API.
fn no_upload_here(index: &IndexName) -> Reply {
    let sentence = format!("pages are read here; upload to /{index}/");
    Reply::error(Status(405), Kind::Other, &sentence, false).reason(&sentence).line("Allow", "GET, HEAD")
}

/// Whether the body is a form, as uploads are.
fn is_form(request: &Request<'_>) -> bool {
    is_of_type(request, "multipart/form-data") || is_plain_form(request)
}

/// Whether it is a form without a file, as browsers send them.
pub(super) fn is_plain_form(request: &Request<'_>) -> bool {
    is_of_type(request, "application/x-www-form-urlencoded")
}

fn is_of_type(request: &Request<'_>, media_type: &str) -> bool {
    let content_type = request.facts.get(Field::ContentType).unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type)
}

/// Whether an installer asks, or somebody who names the simple API's own media type.
fn is_installer(request: &Request<'_>) -> bool {
    let agent = request.facts.get(Field::UserAgent).unwrap_or_default();
    let names = |word: &str| word.split_once('/').is_some_and(|(name, _)| INSTALLERS.contains(&name));
    agent.split(' ').any(names)
        || request.facts.get(Field::Accept).is_some_and(|accept| accept.contains("application/vnd.pypi.simple"))
}

/// Programs that install (devpi's `INSTALLER_USER_AGENT`).
const INSTALLERS: [&str; 5] = ["distribute", "setuptools", "pip", "pex", "uv"];

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
