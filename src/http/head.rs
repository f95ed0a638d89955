//! The strict reading of a request's head, before any other parser sees it.
//!
//! Two readers that disagree about where a request ends let one request hide in another (request smuggling). So what
//! RFC 9112 lets a server repair is refused here: a head that passes reads the same to every parser.

mod scan;

use super::site::FetchFacts;
use scan::{Scanner, is_token};

/// Largest request head, in bytes, the blank line included. pip's longest is under 2 KiB, credentials included; a
/// browser with cookies of other local servers sends several.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Most fields of a head. Clients send about ten, proxies add a few.
pub const HEAD_FIELDS_MAX: usize = 100;

/// What a head says. Texts are parts of the raw bytes.
#[derive(Debug, Clone)]
pub struct HeadFacts<'a> {
    pub method: &'a str,
    /// The request target, visible ASCII, as sent: see [`super::route`].
    pub target: &'a str,
    /// 0 or 1, of HTTP/1.x.
    pub minor_version: u8,
    /// `None` only in HTTP/1.0.
    pub host: Option<&'a str>,
    pub body: Body,
    /// Whether the client keeps the connection: the default of its version, unless `Connection` says otherwise.
    pub keep_alive: bool,
    /// Length of the head in bytes, the blank line included: where the body begins.
    pub bytes: usize,
    fields: [Option<&'a str>; Field::COUNT],
    joined: Vec<(Field, String)>,
    /// `Connection: close` was seen: it wins over `keep-alive`, in whichever order they come.
    closes: bool,
}

/// How a request's body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// No framing field at all.
    None,
    /// `Content-Length`, in bytes; may be 0.
    Length(u64),
    /// `Transfer-Encoding: chunked`
    Chunked,
}

/// A field that some room reads. All others are checked for form and passed over; `Upgrade` among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Accept,
    AcceptEncoding,
    Authorization,
    CacheControl,
    ContentType,
    Cookie,
    Expect,
    IfModifiedSince,
    IfNoneMatch,
    IfRange,
    Origin,
    Range,
    SecFetchDest,
    SecFetchMode,
    SecFetchSite,
    UserAgent,
    XDevpiAuth,
    XForwardedFor,
    XForwardedHost,
    XForwardedProto,
}

/// Why a head is refused. The connection is closed after any of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    #[error("the request ends before its blank line")]
    Incomplete,
    #[error("the request's head is larger than {HEAD_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the request has more than {HEAD_FIELDS_MAX} header fields")]
    TooManyFields,
    #[error("the request line is not `METHOD target HTTP/1.1`")]
    RequestLine,
    #[error("only HTTP/1.0 and HTTP/1.1 are spoken here")]
    Version,
    #[error("a line ends in a bare CR or LF; every line ends in CR LF")]
    LineEnd,
    #[error("the head holds a control character")]
    Control,
    #[error("a header field is folded onto a second line")]
    Fold,
    #[error("a header field's name is not a token directly before its colon")]
    FieldName,
    #[error("HTTP/1.1 needs exactly one Host field")]
    Host,
    #[error("Content-Length is not one number")]
    ContentLength,
    #[error("Transfer-Encoding can only be `chunked`, once, in HTTP/1.1")]
    TransferEncoding,
    #[error("Content-Length and Transfer-Encoding are both present")]
    TwoLengths,
    #[error("the field {0} is sent twice")]
    Repeated(&'static str),
    #[error("the field {0} is not UTF-8")]
    NotText(&'static str),
}

impl HeadError {
    /// The status that answers it: 400, 431 or 505.
    pub fn status(self) -> u16 {
        match self {
            Self::TooLarge | Self::TooManyFields => 431,
            Self::Version => 505,
            Self::Incomplete
            | Self::RequestLine
            | Self::LineEnd
            | Self::Control
            | Self::Fold
            | Self::FieldName
            | Self::Host
            | Self::ContentLength
            | Self::TransferEncoding
            | Self::TwoLengths
            | Self::Repeated(_)
            | Self::NotText(_) => 400,
        }
    }
}

/// Reads a head that begins at the first byte of `raw`, in one pass. Bytes after the blank line are not looked at
/// ([`HeadFacts::bytes`] says where they begin); an empty line before the request line is refused.
pub fn check_head(raw: &[u8]) -> Result<HeadFacts<'_>, HeadError> {
    let mut lines = Scanner::new(raw);
    let (method, target, minor_version) = request_line(lines.next_line()?)?;
    let mut facts = HeadFacts {
        method,
        target,
        minor_version,
        host: None,
        body: Body::None,
        keep_alive: minor_version >= 1,
        bytes: 0,
        fields: [None; Field::COUNT],
        joined: Vec::new(),
        closes: false,
    };
    let mut count = 0;
    loop {
        let line = lines.next_line()?;
        if line.is_empty() {
            break;
        }
        count += 1;
        if count > HEAD_FIELDS_MAX {
            return Err(HeadError::TooManyFields);
        }
        let (name, value) = scan::field(line)?;
        facts.take(name, value)?;
    }
    if facts.host.is_none() && minor_version >= 1 {
        return Err(HeadError::Host);
    }
    facts.keep_alive &= !facts.closes;
    facts.bytes = lines.position();
    Ok(facts)
}

fn request_line(line: &[u8]) -> Result<(&str, &str, u8), HeadError> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(HeadError::RequestLine);
    };
    let visible = !target.is_empty() && target.iter().all(u8::is_ascii_graphic);
    if method.is_empty() || !method.iter().copied().all(is_token) || !visible {
        return Err(HeadError::RequestLine);
    }
    let minor_version = match version {
        b"HTTP/1.1" => 1,
        b"HTTP/1.0" => 0,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            return Err(HeadError::Version);
        }
        _ => return Err(HeadError::RequestLine),
    };
    let text = |bytes| std::str::from_utf8(bytes).map_err(|_| HeadError::RequestLine);
    Ok((text(method)?, text(target)?, minor_version))
}

impl<'a> HeadFacts<'a> {
    /// A field's value; several lines of a list field are joined by `, `.
    pub fn get(&self, field: Field) -> Option<&str> {
        let joined = self.joined.iter().find(|(name, _)| *name == field);
        joined.map(|(_, value)| value.as_str()).or_else(|| self.fields.get(field as usize).copied().flatten())
    }

    /// Whether bytes of a body follow the head.
    pub fn has_body(&self) -> bool {
        !matches!(self.body, Body::None | Body::Length(0))
    }

    /// What [`super::fetch_site`] judges.
    pub fn fetch_facts(&self) -> FetchFacts<'_> {
        FetchFacts {
            method: self.method,
            site: self.get(Field::SecFetchSite),
            mode: self.get(Field::SecFetchMode),
            dest: self.get(Field::SecFetchDest),
            origin: self.get(Field::Origin),
            host: self.host,
        }
    }

    /// Takes one field in: those that frame the message here, those that are read later into their slots.
    fn take(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), HeadError> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name.len() {
            4 if is("host") => {
                if self.host.is_some() {
                    return Err(HeadError::Host);
                }
                self.host = Some(std::str::from_utf8(value).map_err(|_| HeadError::NotText("host"))?);
                Ok(())
            }
            10 if is("connection") => {
                self.connection(value);
                Ok(())
            }
            14 if is("content-length") => self.content_length(value),
            17 if is("transfer-encoding") => self.transfer_encoding(value),
            _ => match Field::named(name) {
                Some((field, known)) => self.keep(field, known, value),
                None => Ok(()),
            },
        }
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',') {
            let option = option.trim_ascii();
            if option.eq_ignore_ascii_case(b"close") {
                self.closes = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            }
        }
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), HeadError> {
        match self.body {
            Body::None => {}
            Body::Length(_) => return Err(HeadError::ContentLength),
            Body::Chunked => return Err(HeadError::TwoLengths),
        }
        if !value.iter().all(u8::is_ascii_digit) {
            return Err(HeadError::ContentLength);
        }
        let digits = std::str::from_utf8(value).map_err(|_| HeadError::ContentLength)?;
        self.body = Body::Length(digits.parse().map_err(|_| HeadError::ContentLength)?);
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), HeadError> {
        match self.body {
            Body::Length(_) => Err(HeadError::TwoLengths),
            Body::None if value == b"chunked" && self.minor_version >= 1 => {
                self.body = Body::Chunked;
                Ok(())
            }
            Body::None | Body::Chunked => Err(HeadError::TransferEncoding),
        }
    }

    fn keep(&mut self, field: Field, name: &'static str, value: &'a [u8]) -> Result<(), HeadError> {
        let text = match std::str::from_utf8(value) {
            Ok(text) => text,
            // Only the log reads the one, and old clients put a user's name into it; the other is that of every server on
            // this host, and ours is ASCII.
            Err(_) if matches!(field, Field::UserAgent | Field::Cookie) => return Ok(()),
            Err(_) => return Err(HeadError::NotText(name)),
        };
        if let Some(before) = self.get(field) {
            if !field.is_list() {
                return Err(HeadError::Repeated(name));
            }
            let joined = format!("{before}, {text}");
            self.joined.retain(|(other, _)| *other != field);
            self.joined.push((field, joined));
        } else if let Some(slot) = self.fields.get_mut(field as usize) {
            *slot = Some(text);
        }
        Ok(())
    }
}

impl Field {
    const ALL: [(Self, &'static str); 20] = [
        (Self::Accept, "accept"),
        (Self::AcceptEncoding, "accept-encoding"),
        (Self::Authorization, "authorization"),
        (Self::CacheControl, "cache-control"),
        (Self::ContentType, "content-type"),
        (Self::Cookie, "cookie"),
        (Self::Expect, "expect"),
        (Self::IfModifiedSince, "if-modified-since"),
        (Self::IfNoneMatch, "if-none-match"),
        (Self::IfRange, "if-range"),
        (Self::Origin, "origin"),
        (Self::Range, "range"),
        (Self::SecFetchDest, "sec-fetch-dest"),
        (Self::SecFetchMode, "sec-fetch-mode"),
        (Self::SecFetchSite, "sec-fetch-site"),
        (Self::UserAgent, "user-agent"),
        (Self::XDevpiAuth, "x-devpi-auth"),
        (Self::XForwardedFor, "x-forwarded-for"),
        (Self::XForwardedHost, "x-forwarded-host"),
        (Self::XForwardedProto, "x-forwarded-proto"),
    ];
    const COUNT: usize = Self::ALL.len();

    fn named(name: &[u8]) -> Option<(Self, &'static str)> {
        let known = Self::ALL.iter().find(|(_, known)| known.as_bytes().eq_ignore_ascii_case(name));
        known.copied()
    }

    /// Whether several lines mean the same as one with commas (RFC 9110 §5.3). Any other field may come once.
    fn is_list(self) -> bool {
        match self {
            Self::Accept
            | Self::AcceptEncoding
            | Self::CacheControl
            // One line in HTTP/1.1 (RFC 6265 §5.4), but a proxy may have them apart from HTTP/2.
            | Self::Cookie
            | Self::Expect
            | Self::IfNoneMatch
            | Self::XForwardedFor
            | Self::XForwardedHost
            | Self::XForwardedProto => true,
            Self::Authorization
            | Self::ContentType
            | Self::IfModifiedSince
            | Self::IfRange
            | Self::Origin
            | Self::Range
            | Self::SecFetchDest
            | Self::SecFetchMode
            | Self::SecFetchSite
            | Self::UserAgent
            | Self::XDevpiAuth => false,
        }
    }
}

#[cfg(test)]
mod tests;
