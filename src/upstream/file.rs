use std::fmt;

use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, HeaderValue, IF_RANGE, RANGE};
use reqwest::{Response, StatusCode};
use url::Url;

use super::Upstream;
use super::error::FetchError;
use super::exchange::{Answer, Ask, headers, host_of};
use super::headers::{Framing, Validators, content_encoding, framing, text};
use super::lane::Turn;
use super::page::unusable;

/// One range of a file (RFC 9110 §14.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// From this byte to the end.
    From(u64),
    /// Both ends belong to it.
    Span { first: u64, last: u64 },
    /// The last so many bytes.
    Last(u64),
}

/// The head of a file's answer, and its body.
#[derive(Debug)]
pub struct FileFetch {
    pub status: FileStatus,
    /// Bytes of this answer's body, when upstream states them.
    pub len: Option<u64>,
    pub etag: Option<String>,
    pub body: FileBody,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileStatus {
    /// The whole file, also when a range was asked for.
    Whole,
    /// Exactly the range asked for; `end` is the last byte in it, `total` the length of the file.
    Part { start: u64, end: u64, total: u64 },
}

/// The body of a file, as it comes.
pub struct FileBody {
    response: Response,
    host: String,
    len: Option<u64>,
    received: u64,
    end: Option<Result<(), FetchError>>,
    _turn: Turn,
}

impl fmt::Debug for FileBody {
    /// Without the answer's head: it names the URL with its query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, len, received, end, .. } = self;
        f.debug_struct("FileBody")
            .field("host", host)
            .field("len", len)
            .field("received", received)
            .field("end", end)
            .finish()
    }
}

impl FileBody {
    /// The next piece. The end comes only after as many bytes as were stated; after an error the same error comes
    /// again, never an end. A server that states no length and closes the connection cannot be caught cutting: the
    /// reader's digest must.
    pub async fn next(&mut self) -> Option<Result<Bytes, FetchError>> {
        match &self.end {
            Some(Ok(())) => return None,
            Some(Err(error)) => return Some(Err(error.clone())),
            None => {}
        }
        let error = match self.response.chunk().await {
            Ok(Some(piece)) => {
                self.received += piece.len() as u64;
                if self.len.is_none_or(|len| self.received <= len) {
                    return Some(Ok(piece));
                }
                FetchError::broken(&self.host, "it is longer than stated")
            }
            Ok(None) if self.len.is_none_or(|len| self.received == len) => {
                self.end = Some(Ok(()));
                return None;
            }
            Ok(None) => FetchError::broken(&self.host, "it is shorter than stated"),
            Err(error) => FetchError::in_body(&error, &self.host),
        };
        self.end = Some(Err(error.clone()));
        Some(Err(error))
    }
}

impl Upstream {
    /// A file, or `range` of it. With `if_range` (a strong entity tag) the range holds only while the file is the
    /// same; with a weak one, which HTTP forbids there, the whole file is asked for. `past_caches` asks caches on the
    /// way to ask the origin. The mirror's deadline holds to the head of the answer, the read timeout after it.
    ///
    /// The size of the body is not bounded here.
    pub async fn file(
        &self,
        url: &Url,
        range: Option<ByteRange>,
        if_range: Option<&str>,
        past_caches: bool,
    ) -> Result<FileFetch, FetchError> {
        let mut headers = headers("*/*", "identity", past_caches);
        let range = range.filter(|_| if_range.is_none_or(is_strong));
        let if_range = if_range.filter(|_| range.is_some());
        if let Some(range) = range {
            headers.insert(RANGE, header(&range.to_string(), url)?);
        }
        if let Some(etag) = if_range {
            headers.insert(IF_RANGE, header(etag, url)?);
        }
        let turn = self.turn(&self.inner.clients.files).await?;
        let answer = self.in_time(url, self.ask(&Ask { url: url.clone(), headers })).await?;
        begin(answer, range, if_range, turn)
    }
}

fn begin(
    answer: Answer,
    range: Option<ByteRange>,
    if_range: Option<&str>,
    turn: Turn,
) -> Result<FileFetch, FetchError> {
    let Answer { host, response, .. } = answer;
    let etag = Validators::of(response.headers()).etag;
    let status = match (response.status(), range) {
        (StatusCode::OK, _) => FileStatus::Whole,
        (StatusCode::PARTIAL_CONTENT, Some(range)) => part(&response, range, &host)?,
        (StatusCode::NOT_FOUND | StatusCode::GONE, _) => return Err(FetchError::Missing { host }),
        (status, _) => return Err(unusable(host, status.as_u16())),
    };
    // A part of another file than the one asked about; a part without a tag is left to the reader's digest.
    if let (FileStatus::Part { .. }, Some(asked), Some(given)) = (status, if_range, &etag)
        && asked != given
    {
        return Err(FetchError::bad(&host, "it sends a part of a file that has changed"));
    }
    if !content_encoding(response.headers()).is_empty() {
        return Err(FetchError::bad(&host, "the file is compressed, which was not asked for"));
    }
    let len = match framing(&response, &host)? {
        Framing::Length(len) => Some(len),
        Framing::Marked | Framing::Closing => None,
    };
    if let (FileStatus::Part { start, end, .. }, Some(len)) = (status, len)
        && len != end - start + 1
    {
        return Err(FetchError::bad(&host, "its Content-Length is not that of its Content-Range"));
    }
    // The reader counts on the length of a range, stated or not.
    let len = match status {
        FileStatus::Part { start, end, .. } => Some(end - start + 1),
        FileStatus::Whole => len,
    };
    let body = FileBody { response, host, len, received: 0, end: None, _turn: turn };
    Ok(FileFetch { status, len, etag, body })
}

fn part(response: &Response, asked: ByteRange, host: &str) -> Result<FileStatus, FetchError> {
    let headers = response.headers();
    let one = headers.get_all(CONTENT_RANGE).iter().count() == 1;
    let given = text(headers, &CONTENT_RANGE).filter(|_| one).and_then(content_range);
    match given {
        Some(given) if asked.on(given.total) == Some((given.start, given.end)) => {
            Ok(FileStatus::Part { start: given.start, end: given.end, total: given.total })
        }
        Some(_) => Err(FetchError::bad(host, "its range is not the one asked for")),
        None => Err(FetchError::bad(host, "it sends a part and does not say which")),
    }
}

impl fmt::Display for ByteRange {
    /// As in a Range header.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::From(first) => write!(f, "bytes={first}-"),
            Self::Span { first, last } => write!(f, "bytes={first}-{last}"),
            Self::Last(count) => write!(f, "bytes=-{count}"),
        }
    }
}

impl ByteRange {
    /// First and last byte of this range in a file of `total` bytes; none when it holds no byte.
    fn on(self, total: u64) -> Option<(u64, u64)> {
        let end = total.checked_sub(1)?;
        let (first, last) = match self {
            Self::From(first) => (first, end),
            Self::Span { first, last } => (first, last.min(end)),
            Self::Last(0) => return None,
            Self::Last(count) => (total.saturating_sub(count), end),
        };
        if first <= last { Some((first, last)) } else { None }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ContentRange {
    start: u64,
    end: u64,
    total: u64,
}

/// `bytes 0-9/100`, with a known total; anything else is of no use.
fn content_range(raw: &str) -> Option<ContentRange> {
    let number = |raw: &str| raw.parse::<u64>().ok().filter(|_| raw.bytes().all(|byte| byte.is_ascii_digit()));
    let (unit, rest) = raw.split_once(' ')?;
    let (span, total) = rest.split_once('/')?;
    let (start, end) = span.split_once('-')?;
    let (start, end, total) = (number(start)?, number(end)?, number(total)?);
    let holds = unit.eq_ignore_ascii_case("bytes") && start <= end && end < total;
    if holds { Some(ContentRange { start, end, total }) } else { None }
}

/// Whether `etag` may stand in If-Range: quoted, not weak, and fit for a header.
fn is_strong(etag: &str) -> bool {
    etag.len() >= 2 && etag.starts_with('"') && etag.ends_with('"') && etag.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Only values that are fit come here; none that is not may be dropped in silence, as it would change the question.
fn header(value: &str, url: &Url) -> Result<HeaderValue, FetchError> {
    HeaderValue::from_str(value).map_err(|_| FetchError::bad(&host_of(url), "it cannot be asked for that range"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn content_ranges_are_exact_or_nothing() {
        assert_eq!(content_range("bytes 0-9/100"), Some(ContentRange { start: 0, end: 9, total: 100 }));
        for raw in [
            "",
            "bytes",
            "bytes 0-9",
            "bytes */100",
            "bytes 0-9/*",
            "bytes 9-0/100",
            "bytes 0-100/100",
            "bytes -9/100",
            "bytes +0-9/100",
            "items 0-9/100",
            "bytes 0-9/100 ",
            "bytes 0-9/99999999999999999999",
            "bytes=0-9/100",
        ] {
            assert_eq!(content_range(raw), None, "{raw:?}");
        }
    }

    #[test]
    fn ranges_land_on_a_file() {
        use ByteRange::{From, Last, Span};
        for (range, total, on) in [
            (From(0), 10, Some((0, 9))),
            (From(9), 10, Some((9, 9))),
            (From(10), 10, None),
            (Span { first: 2, last: 3 }, 10, Some((2, 3))),
            (Span { first: 2, last: 30 }, 10, Some((2, 9))),
            (Span { first: 3, last: 2 }, 10, None),
            (Last(3), 10, Some((7, 9))),
            (Last(30), 10, Some((0, 9))),
            (Last(0), 10, None),
            (From(0), 0, None),
        ] {
            assert_eq!(range.on(total), on, "{range:?} of {total}");
        }
    }

    #[test]
    fn weak_tags_are_not_strong() {
        assert!(
            is_strong("\"a\"")
                && !is_strong("W/\"a\"")
                && !is_strong("\"")
                && !is_strong("a")
                && !is_strong("\"a\nb\"")
        );
    }

    proptest! {
        #[test]
        fn a_written_range_reads_back(start in 0_u64..1000, more in 0_u64..1000, rest in 1_u64..1000) {
            let (end, total) = (start + more, start + more + rest);
            prop_assert_eq!(content_range(&format!("bytes {start}-{end}/{total}")), Some(ContentRange { start, end, total }));
        }

        #[test]
        fn never_panics(raw in "(bytes )?[0-9*-]{0,5}-?[0-9]{0,22}/?.{0,9}") {
            let _ = content_range(&raw);
        }
    }
}
