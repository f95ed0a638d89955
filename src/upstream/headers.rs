use reqwest::header::{
    AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, TRANSFER_ENCODING,
};
use reqwest::{Response, Version};

use super::error::FetchError;

/// Longest validator that is kept and sent back, in bytes: it is stored with every page.
const VALIDATOR_BYTES_MAX: usize = 256;

/// Upstream's names for the state of a page (RFC 9110 §8.8), kept as it wrote them and only ever sent back to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

impl Validators {
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }

    pub(super) fn of(headers: &HeaderMap) -> Self {
        let validator =
            |name| text(headers, &name).filter(|value| !value.is_empty() && value.len() <= VALIDATOR_BYTES_MAX);
        Self { etag: validator(ETAG).map(str::to_owned), last_modified: validator(LAST_MODIFIED).map(str::to_owned) }
    }

    /// Adds the conditions to a request. Says whether any was added, that is, whether a 304 may come.
    pub(super) fn ask(&self, headers: &mut HeaderMap) -> bool {
        let mut add = |name: HeaderName, value: &Option<String>| {
            let value = value.as_deref().and_then(|value| HeaderValue::from_str(value).ok());
            value.map(|value| headers.insert(name, value)).is_some()
        };
        // Both may be sent; a server that knows entity tags ignores the date (RFC 9110 §13.1.3).
        let by_etag = add(IF_NONE_MATCH, &self.etag);
        let by_date = add(IF_MODIFIED_SINCE, &self.last_modified);
        by_etag || by_date
    }
}

/// A header's value when it is visible ASCII.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The media type in lower case, without parameters.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let raw = text(headers, &CONTENT_TYPE).unwrap_or_default();
    raw.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Seconds for which the answer may still be used unasked (RFC 9111 §4.2): `max-age` less `Age`; 0 when it must not be.
pub(super) fn max_age(headers: &HeaderMap) -> Option<u64> {
    let mut seconds = None;
    for line in headers.get_all(CACHE_CONTROL) {
        for directive in line.to_str().unwrap_or_default().split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" | "no-cache" => return Some(0),
                // Stated twice, the shorter holds.
                "max-age" => {
                    let stated = value.trim().trim_matches('"').parse::<u64>().unwrap_or(0);
                    seconds = Some(seconds.map_or(stated, |known: u64| known.min(stated)));
                }
                _ => {}
            }
        }
    }
    let age = text(headers, &AGE).and_then(|age| age.trim().parse().ok()).unwrap_or(0);
    seconds.map(|seconds| seconds.saturating_sub(age))
}

pub(super) fn number(headers: &HeaderMap, name: &'static str) -> Option<u64> {
    text(headers, &HeaderName::from_static(name))?.trim().parse().ok()
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    /// Chunks, or HTTP/2 frames: the end is marked.
    Marked,
    /// The end of the connection; a body that was cut looks whole.
    Closing,
}

/// Reads the framing of an answer with a body. Anything that two parsers might read in two ways is refused
/// (RFC 9112 §6.3).
pub(super) fn framing(response: &Response, host: &str) -> Result<Framing, FetchError> {
    let headers = response.headers();
    let is_h1 = matches!(response.version(), Version::HTTP_09 | Version::HTTP_10 | Version::HTTP_11);
    let chunked = headers.contains_key(TRANSFER_ENCODING);
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if codings.next().is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
        || codings.next().is_some()
    {
        return Err(FetchError::bad(host, "its Transfer-Encoding is not simply chunked"));
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (Some(_), Some(_)) => Err(FetchError::bad(host, "it states Content-Length twice")),
        (Some(_), None) if chunked => Err(FetchError::bad(host, "it states both Content-Length and Transfer-Encoding")),
        (Some(length), None) => match digits(length) {
            Some(length) => Ok(Framing::Length(length)),
            None => Err(FetchError::bad(host, "its Content-Length is not a number")),
        },
        (None, _) if is_h1 && !chunked => Ok(Framing::Closing),
        (None, _) => Ok(Framing::Marked),
    }
}

fn digits(value: &HeaderValue) -> Option<u64> {
    let value = value.to_str().ok()?;
    let plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    if plain { value.parse().ok() } else { None }
}

/// The codings of a body, in lower case; empty when it is sent as it is.
pub(super) fn content_encoding(headers: &HeaderMap) -> String {
    let mut codings = Vec::new();
    for line in headers.get_all(CONTENT_ENCODING) {
        // A coding that is not even text is no coding we know.
        for coding in line.to_str().unwrap_or("unknown").split(',') {
            let coding = coding.trim().to_ascii_lowercase();
            if !coding.is_empty() && coding != "identity" {
                codings.push(coding);
            }
        }
    }
    codings.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn max_age_is_what_is_left_of_it() {
        for (lines, left) in [
            (&[(CACHE_CONTROL, "max-age=600, public")][..], Some(600)),
            (&[(CACHE_CONTROL, "public"), (CACHE_CONTROL, "Max-Age=\"60\"")], Some(60)),
            (&[(CACHE_CONTROL, "max-age=600"), (AGE, "200")], Some(400)),
            (&[(CACHE_CONTROL, "max-age=600"), (AGE, "700")], Some(0)),
            (&[(CACHE_CONTROL, "max-age=600, max-age=5")], Some(5)),
            (&[(CACHE_CONTROL, "max-age=600, no-store")], Some(0)),
            (&[(CACHE_CONTROL, "no-cache")], Some(0)),
            (&[(CACHE_CONTROL, "max-age=soon")], Some(0)),
            (&[(CACHE_CONTROL, "public")], None),
            (&[], None),
        ] {
            assert_eq!(max_age(&headers(lines)), left, "{lines:?}");
        }
    }

    #[test]
    fn validators_go_there_and_back_within_bounds() {
        let answer = headers(&[(ETAG, "W/\"a\""), (LAST_MODIFIED, "Tue, 01 Jan 2030 00:00:00 GMT")]);
        let mut ask = HeaderMap::new();
        assert!(Validators::of(&answer).ask(&mut ask));
        assert_eq!(ask.get(IF_NONE_MATCH).unwrap(), "W/\"a\"");
        assert_eq!(ask.get(IF_MODIFIED_SINCE).unwrap(), "Tue, 01 Jan 2030 00:00:00 GMT");
        assert!(Validators::of(&headers(&[(ETAG, &"e".repeat(257)), (LAST_MODIFIED, "")])).is_empty());
        let poisoned = Validators { etag: Some("a\r\nX-Evil: 1".into()), last_modified: None };
        assert!(!poisoned.ask(&mut ask));
    }

    #[test]
    fn codings_and_types_are_read_through_parameters_and_case() {
        assert_eq!(content_encoding(&headers(&[(CONTENT_ENCODING, "Identity, GZIP")])), "gzip");
        assert_eq!(content_encoding(&headers(&[(CONTENT_ENCODING, "gzip"), (CONTENT_ENCODING, "br")])), "gzip, br");
        assert_eq!(content_encoding(&headers(&[])), "");
        assert_eq!(media_type(&headers(&[(CONTENT_TYPE, "Text/HTML; charset=utf-8")])), "text/html");
    }

    proptest! {
        #[test]
        fn header_readers_never_panic(value in "[ -~\\t]{0,60}") {
            let headers = headers(&[(CACHE_CONTROL, &value), (CONTENT_ENCODING, &value), (CONTENT_TYPE, &value), (AGE, &value)]);
            let _ = (max_age(&headers), content_encoding(&headers), media_type(&headers));
        }
    }
}
