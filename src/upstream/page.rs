use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use url::Url;

use super::Upstream;
use super::body::{Taken, TextBody, WholeBody};
use super::error::FetchError;
use super::exchange::{Answer, Ask, headers};
use super::headers::{Validators, max_age, media_type, number};
use super::lane::Turn;
use crate::names::ProjectName;

/// JSON first (PEP 691); HTML for servers that know nothing else.
const ACCEPT_PAGE: &str =
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01";
/// Largest project page, decoded. The largest real ones are near 20 MB.
const PAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Largest list of all projects, decoded. A list of a million names is near 60 MB.
const LIST_BYTES_MAX: usize = 512 * 1024 * 1024;

/// How a page is written, by its Content-Type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageKind {
    Json,
    Html,
}

#[derive(Debug, Clone)]
pub enum PageFetch {
    Page {
        /// After redirects: what relative links on the page start from.
        url: Url,
        content: PageKind,
        /// Decoded.
        body: WholeBody,
        validators: Validators,
        /// Seconds for which upstream lets the page be used unasked, from now on.
        max_age: Option<u64>,
        last_serial_header: Option<u64>,
    },
    /// Whoever took its pieces has them all, see [`Upstream::page_in_pieces`].
    Poured(Poured),
    /// Only after validators were sent.
    NotModified { max_age: Option<u64> },
    /// 404 or 410.
    Missing,
}

/// What is left of a page that was taken in pieces.
#[derive(Debug, Clone)]
pub struct Poured {
    pub validators: Validators,
    pub max_age: Option<u64>,
    pub last_serial_header: Option<u64>,
    /// A large page's place: others wait until this is dropped.
    pub room: Option<Arc<OwnedSemaphorePermit>>,
}

/// Any other text, see [`Upstream::url_page`].
#[expect(clippy::large_enum_variant, reason = "made once per fetch and taken apart at once")]
#[derive(Debug, Clone)]
pub enum UrlFetch {
    Page {
        url: Url,
        /// The media type in lower case, without parameters; may be empty.
        content_type: String,
        body: WholeBody,
        validators: Validators,
        max_age: Option<u64>,
        last_serial_header: Option<u64>,
    },
    NotModified {
        max_age: Option<u64>,
    },
    Missing,
}

/// The list of all projects.
#[expect(clippy::large_enum_variant, reason = "made once per fetch and taken apart at once")]
pub enum ListFetch {
    Body {
        url: Url,
        content: PageKind,
        validators: Validators,
        max_age: Option<u64>,
        last_serial_header: Option<u64>,
        body: ListBody,
    },
    NotModified {
        max_age: Option<u64>,
    },
    Missing,
}

/// The body of a list, decoded.
pub struct ListBody {
    body: TextBody,
    _turn: Turn,
}

impl ListBody {
    /// The next piece. The end comes only after the last byte; after an error the same error comes again.
    pub async fn next(&mut self) -> Option<Result<Bytes, FetchError>> {
        self.body.next().await
    }
}

impl Upstream {
    /// The page of a project. `fresh` asks caches on the way to ask the origin. At most 64 MiB decoded.
    pub async fn page(
        &self,
        project: &ProjectName,
        validators: Option<&Validators>,
        fresh: bool,
    ) -> Result<PageFetch, FetchError> {
        self.page_in_pieces(project, validators, fresh, |_| None).await
    }

    /// The same. When a JSON page proves to be long, `taker` is told where it comes from and may name who takes it in
    /// pieces while it arrives. Only [`PageFetch::Poured`] says that those were the whole page; a taker that leaves early
    /// ends it.
    pub async fn page_in_pieces(
        &self,
        project: &ProjectName,
        validators: Option<&Validators>,
        fresh: bool,
        taker: impl FnOnce(&Url) -> Option<mpsc::Sender<Bytes>>,
    ) -> Result<PageFetch, FetchError> {
        let mut url = self.inner.base.clone();
        url.set_path(&format!("{}{project}/", self.inner.base.path()));
        let turn = self.turn(&self.inner.clients.pages).await?;
        let fetch = async {
            match self.text(&url, ACCEPT_PAGE, validators, fresh).await? {
                Text::NotModified { max_age } => Ok(PageFetch::NotModified { max_age }),
                Text::Missing => Ok(PageFetch::Missing),
                Text::Found(answer) => {
                    let Found { url, validators, max_age, last_serial_header, .. } = Found::of(&answer);
                    let content = page_kind(&answer)?;
                    let body = TextBody::of(answer, PAGE_BYTES_MAX)?;
                    let taker = || if content == PageKind::Json { taker(&url) } else { None };
                    match body.taken(&self.inner.clients.large, taker).await? {
                        Taken::Whole(body) => {
                            Ok(PageFetch::Page { url, content, body, validators, max_age, last_serial_header })
                        }
                        Taken::Poured(room) => {
                            let room = room.map(Arc::new);
                            Ok(PageFetch::Poured(Poured { validators, max_age, last_serial_header, room }))
                        }
                    }
                }
            }
        };
        let outcome = self.in_time(&url, fetch).await;
        drop(turn);
        outcome
    }

    /// Any other text under the same rules as a page, at most `body_bytes_max` bytes decoded.
    pub async fn url_page(
        &self,
        url: &Url,
        accept: &str,
        validators: Option<&Validators>,
        body_bytes_max: usize,
    ) -> Result<UrlFetch, FetchError> {
        let turn = self.turn(&self.inner.clients.pages).await?;
        let fetch = async {
            match self.text(url, accept, validators, false).await? {
                Text::NotModified { max_age } => Ok(UrlFetch::NotModified { max_age }),
                Text::Missing => Ok(UrlFetch::Missing),
                Text::Found(answer) => {
                    let Found { url, content_type, validators, max_age, last_serial_header } = Found::of(&answer);
                    let body = TextBody::of(answer, body_bytes_max)?.whole(&self.inner.clients.large).await?;
                    Ok(UrlFetch::Page { url, content_type, body, validators, max_age, last_serial_header })
                }
            }
        };
        let outcome = self.in_time(url, fetch).await;
        drop(turn);
        outcome
    }

    /// The list of all projects, as a stream: it is large. The mirror's deadline holds to the head of the answer, the
    /// read timeout between the pieces after it. At most 512 MiB decoded.
    pub async fn list(&self, validators: Option<&Validators>) -> Result<ListFetch, FetchError> {
        let turn = self.turn(&self.inner.clients.pages).await?;
        let url = &self.inner.base;
        let answer = match self.in_time(url, self.text(url, ACCEPT_PAGE, validators, false)).await? {
            Text::NotModified { max_age } => return Ok(ListFetch::NotModified { max_age }),
            Text::Missing => return Ok(ListFetch::Missing),
            Text::Found(answer) => answer,
        };
        let Found { url, validators, max_age, last_serial_header, .. } = Found::of(&answer);
        let content = page_kind(&answer)?;
        let body = ListBody { body: TextBody::of(answer, LIST_BYTES_MAX)?, _turn: turn };
        Ok(ListFetch::Body { url, content, validators, max_age, last_serial_header, body })
    }

    async fn text(
        &self,
        url: &Url,
        accept: &str,
        validators: Option<&Validators>,
        fresh: bool,
    ) -> Result<Text, FetchError> {
        let mut headers = headers(accept, "gzip", fresh);
        let conditional = validators.is_some_and(|validators| validators.ask(&mut headers));
        let answer = self.ask(&Ask { url: url.clone(), headers }).await?;
        match answer.response.status().as_u16() {
            200 => Ok(Text::Found(answer)),
            304 if conditional => Ok(Text::NotModified { max_age: max_age(answer.response.headers()) }),
            404 | 410 => Ok(Text::Missing),
            status => Err(unusable(answer.host, status)),
        }
    }
}

/// Statuses of success that were not asked for are a server's mistake, all others its word.
pub(super) fn unusable(host: String, status: u16) -> FetchError {
    match status {
        200..=299 | 304 => FetchError::bad(&host, format!("status {status} was not asked for")),
        status => FetchError::Status { host, status },
    }
}

#[expect(clippy::large_enum_variant, reason = "made once per fetch and taken apart at once")]
enum Text {
    Found(Answer),
    NotModified { max_age: Option<u64> },
    Missing,
}

/// What is read from the head of a text; no other header is looked at.
struct Found {
    url: Url,
    content_type: String,
    validators: Validators,
    max_age: Option<u64>,
    last_serial_header: Option<u64>,
}

impl Found {
    fn of(answer: &Answer) -> Self {
        let headers = answer.response.headers();
        Self {
            url: answer.url.clone(),
            content_type: media_type(headers),
            validators: Validators::of(headers),
            max_age: max_age(headers),
            last_serial_header: number(headers, "x-pypi-last-serial"),
        }
    }
}

fn page_kind(answer: &Answer) -> Result<PageKind, FetchError> {
    match media_type(answer.response.headers()).as_str() {
        "application/vnd.pypi.simple.v1+json" => Ok(PageKind::Json),
        "application/vnd.pypi.simple.v1+html" | "text/html" => Ok(PageKind::Html),
        _ => Err(FetchError::bad(&answer.host, "its Content-Type is not one of a simple page")),
    }
}
