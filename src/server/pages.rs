use super::api::{Openness, found};
use super::handler::{Handler, Request, failed};
use super::recall;
use super::reply::{Body, Reply, Status};
use crate::http::{self, Encoding, Field, FileWhat, Format, IndexRef, Negotiated, Query, RangeAnswer};
use crate::index::{
    Base, FileAnswer, FileAsk, FileKey, ListAnswer, ListAsk, PageAnswer, PageAsk, PageKey, Place, RenderedPage, page_of,
};
use crate::metrics::{Kind, Tier};
use crate::names::{ProjectName, Version};
use crate::store::{DocumentKey, DocumentKind};
use bytes::Bytes;
use std::fmt::Write;

/// A year, as devpi writes it: a file under its digest never changes (RFC 8246).
const FILE_CACHE_CONTROL: &str = "max-age=365000000, immutable, public";

/// The same of a file that not everybody may read.
const PROTECTED_FILE_CACHE_CONTROL: &str = "max-age=365000000, immutable, private";

/// The media type of a provenance object (PEP 740).
const PROVENANCE_TYPE: &str = "application/vnd.pypi.integrity.v1+json";

/// What every page says to browsers: sniff nothing, lend to no other site, load and embed nothing. Links still lead to
/// files, which a sandbox would forbid.
const PAGE_SAFE: &str = "X-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: same-origin\r\n\
                         Content-Security-Policy: default-src 'none'; base-uri 'none'; form-action 'none'; \
                         frame-ancestors 'none'\r\n";

/// The same of a file, which is never shown.
const FILE_SAFE: &str = "X-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: same-origin\r\n\
                         Content-Security-Policy: default-src 'none'; sandbox; frame-ancestors 'none'\r\n";

impl Handler {
    /// `/{user}/{index}/+simple/{project}/` and `/simple/{project}/`.
    pub(super) async fn project(
        &self,
        request: &Request<'_>,
        index: &IndexRef,
        project: ProjectName,
        query: &Query,
        json: bool,
    ) -> Reply {
        let Some(format) = negotiated(request, query) else { return not_acceptable(Kind::Page) };
        let document = page_of(&self.index_name(index), &project);
        self.page(request, document, format, base_of(index), Kind::Page, json).await
    }

    /// `/pypi/{project}/json` and `/pypi/{project}/{version}/json`.
    pub(super) async fn legacy_json(
        &self,
        request: &Request<'_>,
        project: ProjectName,
        version: Option<Version>,
        json: bool,
    ) -> Reply {
        let name = match version {
            Some(version) => format!("{project}/{version}"),
            None => project.to_string(),
        };
        let (index, kind) = (self.default_index().clone(), DocumentKind::LegacyJson);
        let document = DocumentKey { index, kind, name: name.into() };
        self.page(request, document, Format::JsonV1, Base::Alias, Kind::Json, json).await
    }

    async fn page(
        &self,
        request: &Request<'_>,
        document: DocumentKey,
        format: Format,
        base: Base,
        kind: Kind,
        json: bool,
    ) -> Reply {
        let facts = request.facts;
        let openness = match self.let_in(request, &document.index).await {
            Ok(openness) => openness,
            Err(why) => return self.denied(request, &why, kind, json),
        };
        let encoding = recall::encoding(facts.get(Field::AcceptEncoding));
        let no_cache = http::cache_directives(facts.get(Field::CacheControl)).no_cache;
        let ask = PageAsk { page: PageKey { document, format, encoding, base }, no_cache };
        match self.index().page(ask).await {
            Ok(PageAnswer { page, tier }) => self.page_reply(request, &page, tier, kind, openness),
            Err(why) => failed(&why, kind, json),
        }
    }

    fn page_reply(
        &self,
        request: &Request<'_>,
        page: &RenderedPage,
        tier: Tier,
        kind: Kind,
        openness: Openness,
    ) -> Reply {
        let not_modified = http::not_modified(request.facts.get(Field::IfNoneMatch), None, &page.etag, None);
        let status = if not_modified { Status::NOT_MODIFIED } else { Status::OK };
        let mut reply = Reply::new(status, kind).tier(tier);
        // A page that may be out of date is asked for again each time, and so is a stage's: what was uploaded is to be
        // seen at once, and pip and uv believe what this line says.
        let keep = match (tier, openness) {
            (_, Openness::Protected) => Keep::ByOne,
            _ if tier == Tier::Stale || page.of_stage => Keep::IfAsked,
            _ => Keep::ForNow,
        };
        if not_modified {
            reply.lines = keep.line(self.page_max_age());
            return reply.line("ETag", &page.etag).line("Vary", VARY);
        }
        let made = || page_head(page, &keep.line(self.page_max_age()));
        reply.made = page.heads.get(keep as usize).map_or_else(made, |head| head.get_or_init(made).clone());
        reply.body = Body::Bytes(page.body.clone());
        reply
    }

    /// `/{user}/{index}/+simple/` and `/simple/`.
    pub(super) async fn project_list(
        &self,
        request: &Request<'_>,
        index: &IndexRef,
        query: &Query,
        json: bool,
    ) -> Reply {
        let Some(format) = negotiated(request, query) else { return not_acceptable(Kind::List) };
        let encoding = recall::encoding(request.facts.get(Field::AcceptEncoding));
        // The list is kept in gzip only, which every client that takes a compression takes.
        let encoding = if encoding == Encoding::Identity { encoding } else { Encoding::Gzip };
        let index = self.index_name(index);
        let openness = match self.let_in(request, &index).await {
            Ok(openness) => openness,
            Err(why) => return self.denied(request, &why, Kind::List, json),
        };
        let of_stage = self.index().entry(&index).is_ok_and(|entry| entry.is_stage());
        let ask = ListAsk { index, format, encoding };
        let answer = match self.index().list(ask).await {
            Ok(answer) => answer,
            Err(why) => return failed(&why, Kind::List, json),
        };
        let ListAnswer { format, encoding, len, etag, last_serial, body, tier } = answer;
        let not_modified = http::not_modified(request.facts.get(Field::IfNoneMatch), None, &etag, None);
        let status = if not_modified { Status::NOT_MODIFIED } else { Status::OK };
        let mut reply = Reply::new(status, Kind::List).tier(tier);
        reply = match (of_stage, openness) {
            (_, Openness::Protected) => reply.line("Cache-Control", "no-cache, private"),
            (true, _) => reply.line("Cache-Control", "no-cache"),
            _ => reply.line("Cache-Control", format_args!("max-age={}, public", self.page_max_age())),
        };
        reply = reply.line("ETag", etag).line("Vary", VARY);
        if not_modified {
            return reply;
        }
        reply = reply.line("Content-Type", format.content_type()).line("Content-Length", len);
        if let Some(token) = encoding.token() {
            reply = reply.line("Content-Encoding", token);
        }
        if let Some(serial) = last_serial {
            reply = reply.line("X-PyPI-Last-Serial", serial);
        }
        reply.lines.push_str(PAGE_SAFE);
        reply.body = Body::File(Box::new(body));
        reply
    }

    /// `+f`, `+e` and `+packages`, and what hangs on a file.
    pub(super) async fn file(&self, request: &Request<'_>, file: FileKey, what: FileWhat, json: bool) -> Reply {
        match self.let_in(request, &file.index).await {
            Ok(openness) => self.file_for(request, file, what, openness, json).await,
            Err(why) => self.denied(request, &why, Kind::File, json),
        }
    }

    /// The same for who was let in already.
    pub(super) async fn file_for(
        &self,
        request: &Request<'_>,
        file: FileKey,
        what: FileWhat,
        openness: Openness,
        json: bool,
    ) -> Reply {
        let facts = request.facts;
        let head_only = facts.method == "HEAD";
        // Ranges are defined for GET alone (RFC 9110 §14.2).
        let part = |field| facts.get(field).filter(|_| !head_only).map(str::to_owned);
        let pinned = !matches!(file.place, Place::Link(_));
        let ask = FileAsk { file, range: part(Field::Range), if_range: part(Field::IfRange), head_only };
        let (kind, answer) = match what {
            FileWhat::Itself => (Kind::File, self.index().file(ask).await),
            FileWhat::Metadata => (Kind::Metadata, self.index().metadata(ask).await),
            FileWhat::ToxResult(stamp) => (Kind::Metadata, self.index().toxresult(&ask.file, &stamp).await),
            // Mirrors keep upstream's own provenance URLs (PEP 740).
            FileWhat::Provenance => {
                return match self.index().provenance(&ask.file).await {
                    Ok(text) => Reply::text(Status::OK, Kind::Metadata, PROVENANCE_TYPE, text)
                        .line("Cache-Control", format_args!("no-cache, {}", openness.word())),
                    Err(why) => failed(&why, Kind::Metadata, json),
                };
            }
        };
        match answer {
            Ok(answer) => file_reply(request, answer, kind, pinned, openness),
            Err(why) => failed(&why, kind, json),
        }
    }
}

const VARY: &str = "Accept, Accept-Encoding";

fn base_of(index: &IndexRef) -> Base {
    match index {
        IndexRef::Named(_) => Base::Index,
        IndexRef::Default => Base::Alias,
    }
}

fn negotiated(request: &Request<'_>, query: &Query) -> Option<Format> {
    let accept = request.facts.get(Field::Accept);
    let negotiated = match &query.format {
        Some(format) => http::negotiate(accept, Some(format)),
        None => recall::accept(accept).format,
    };
    match negotiated {
        Negotiated::Format(format) => Some(format),
        Negotiated::NotAcceptable => None,
    }
}

fn not_acceptable(kind: Kind) -> Reply {
    let sentence =
        "pages come as text/html, application/vnd.pypi.simple.v1+html or application/vnd.pypi.simple.v1+json";
    Reply::error(Status(406), kind, sentence, false).line("Vary", VARY)
}

/// How a page may be kept.
#[derive(Clone, Copy)]
enum Keep {
    /// By who asked for it, asking again each time.
    ByOne,
    /// By anybody, asking again each time.
    IfAsked,
    ForNow,
}

impl Keep {
    fn line(self, max_age: u64) -> String {
        match self {
            Self::ByOne => "Cache-Control: no-cache, private\r\n".to_owned(),
            Self::IfAsked => "Cache-Control: no-cache\r\n".to_owned(),
            Self::ForNow => format!("Cache-Control: max-age={max_age}, public\r\n"),
        }
    }
}

fn page_head(page: &RenderedPage, cache_control: &str) -> Bytes {
    let content_type = if page.is_json_document { "application/json" } else { page.format.content_type() };
    let mut head = format!(
        "Content-Type: {content_type}\r\nContent-Length: {}\r\nETag: {}\r\nVary: {VARY}\r\n{cache_control}{PAGE_SAFE}",
        page.body.len(),
        page.etag
    );
    if let Some(token) = page.encoding.token() {
        let _ = write!(head, "Content-Encoding: {token}\r\n");
    }
    if let Some(serial) = page.last_serial {
        let _ = write!(head, "X-PyPI-Last-Serial: {serial}\r\n");
    }
    head.into()
}

/// `pinned`: the URL names the bytes by their digest or by upstream's own path.
fn file_reply(request: &Request<'_>, mut answer: FileAnswer, kind: Kind, pinned: bool, openness: Openness) -> Reply {
    if let Some(url) = &answer.elsewhere {
        return found(url.as_str());
    }
    let facts = request.facts;
    let (none_match, since) = (facts.get(Field::IfNoneMatch), facts.get(Field::IfModifiedSince));
    let etag = || answer.digest.map(|digest| format!("\"{digest}\"")).unwrap_or_default();
    let asks = none_match.is_some() || since.is_some();
    let not_modified = asks && http::not_modified(none_match, since, &etag(), answer.modified);
    let status = match answer.part {
        _ if not_modified => Status::NOT_MODIFIED,
        RangeAnswer::Whole => Status::OK,
        RangeAnswer::Part { .. } => Status::PARTIAL,
        RangeAnswer::Unsatisfiable => Status(416),
    };
    let mut reply = Reply::new(status, kind).tier(answer.tier);
    let lines = || file_lines(&answer, &etag(), not_modified, kind, pinned, openness);
    match answer.heads.as_ref().and_then(|known| known.heads.get(usize::from(openness == Openness::Protected))) {
        Some(head) if status == Status::OK => reply.made = head.get_or_init(|| lines().into()).clone(),
        _ => reply.lines = lines(),
    }
    if !not_modified {
        reply.body = match answer.body.in_one() {
            Some(bytes) => Body::Bytes(bytes),
            None => Body::File(Box::new(answer.body)),
        };
        reply.uses = answer.uses;
    }
    reply
}

fn file_lines(
    answer: &FileAnswer,
    etag: &str,
    not_modified: bool,
    kind: Kind,
    pinned: bool,
    openness: Openness,
) -> String {
    let mut lines = String::with_capacity(512);
    let total = answer.total;
    let (len, range) = match answer.part {
        RangeAnswer::Whole => (total, None),
        RangeAnswer::Part { start, end_inclusive: end } => {
            (end - start + 1, Some(format!("Content-Range: bytes {start}-{end}/{total}\r\n")))
        }
        RangeAnswer::Unsatisfiable => (0, Some(format!("Content-Range: bytes */{total}\r\n"))),
    };
    if !not_modified {
        let content_type = match kind {
            Kind::Metadata => "Content-Type: text/plain; charset=utf-8\r\n",
            _ => "Content-Type: application/octet-stream\r\nContent-Disposition: attachment\r\n",
        };
        let _ = write!(lines, "Content-Length: {len}\r\n{content_type}{FILE_SAFE}{}", range.unwrap_or_default());
    }
    if !etag.is_empty() {
        let _ = write!(lines, "ETag: {etag}\r\n");
    }
    if let Some(modified) = answer.modified {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(modified);
        let _ = write!(lines, "Last-Modified: {}\r\n", httpdate::fmt_http_date(time));
    }
    let cache_control = match answer.part {
        RangeAnswer::Unsatisfiable => "no-store",
        _ if openness == Openness::Protected && !pinned => "no-cache, private",
        _ if openness == Openness::Protected => PROTECTED_FILE_CACHE_CONTROL,
        // Nothing in such a URL says which bytes are meant.
        _ if !pinned => "no-cache",
        _ => FILE_CACHE_CONTROL,
    };
    let _ = write!(lines, "Accept-Ranges: bytes\r\nCache-Control: {cache_control}\r\n");
    lines
}
