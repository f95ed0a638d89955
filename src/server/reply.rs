use super::events::Events;
use crate::index::{FileBody, Trouble, Uses};
use crate::metrics::{Kind, Tier};
use crate::platform::Fixed;
use bytes::Bytes;
use std::fmt::Write;
use std::sync::Arc;

/// An answer before it is on the wire.
pub struct Reply {
    pub status: Status,
    /// In place of the status's own phrase; visible ASCII.
    pub reason: Option<String>,
    /// Lines of the head that were made before, each with its end; may be empty.
    pub made: Bytes,
    /// Lines of the head that are this answer's own.
    pub lines: String,
    pub body: Body,
    pub kind: Kind,
    pub tier: Option<Tier>,
    /// Counts what is sent of a file of the cache.
    pub uses: Option<Arc<Uses>>,
    /// The connection ends with this answer.
    pub close: bool,
    /// What went wrong, where whoever keeps the server wants to hear of it.
    pub trouble: Option<Box<Trouble>>,
}

/// Longest reason phrase; Python's reader of answers takes lines of 64 KiB, proxies less.
const REASON_CHARS_MAX: usize = 400;

pub enum Body {
    Empty,
    Bytes(Fixed),
    File(Box<FileBody>),
    Events(Box<Events>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub u16);

impl Reply {
    pub fn new(status: Status, kind: Kind) -> Self {
        let (made, lines) = (Bytes::new(), String::new());
        Self {
            status,
            reason: None,
            made,
            lines,
            body: Body::Empty,
            kind,
            tier: None,
            uses: None,
            close: false,
            trouble: None,
        }
    }

    /// Adds a line to the head. `value` is made here or checked to be visible ASCII: nothing from outside passes
    /// unchecked, so no answer can be split.
    pub fn line(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        let before = self.lines.len();
        let _ = write!(self.lines, "{name}: {value}");
        if self.lines.get(before..).is_some_and(|line| line.bytes().any(|byte| !matches!(byte, b' '..=b'~'))) {
            self.lines.truncate(before);
            return self;
        }
        self.lines.push_str("\r\n");
        self
    }

    /// Says the sentence in the reason phrase too: twine and devpi-client print it. HTTP/2 has none, so it stands in the
    /// body as well. What is not visible ASCII becomes `?`, and what is long is cut.
    pub fn reason(mut self, sentence: &str) -> Self {
        let visible = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
        let reason: String = sentence.chars().take(REASON_CHARS_MAX).map(visible).collect();
        self.reason = Some(reason).filter(|reason| !reason.trim().is_empty());
        self
    }

    pub fn tier(mut self, tier: Tier) -> Self {
        self.tier = Some(tier);
        self
    }

    /// A short text for people and programs, with its length.
    pub fn text(status: Status, kind: Kind, content_type: &str, text: impl Into<Bytes>) -> Self {
        let text: Bytes = text.into();
        let mut reply = Self::new(status, kind)
            .line("Content-Type", content_type)
            .line("Content-Length", text.len())
            .line("X-Content-Type-Options", "nosniff");
        reply.body = Body::Bytes(text.into());
        reply
    }

    /// An error, as a sentence; uv, twine and poetry show the body, devpi-client the JSON `message`.
    pub fn error(status: Status, kind: Kind, sentence: &str, json: bool) -> Self {
        let (content_type, text) = match json {
            true => ("application/json", serde_json::json!({ "message": sentence }).to_string() + "\n"),
            false => ("text/plain; charset=utf-8", format!("{sentence}\n")),
        };
        Self::text(status, kind, content_type, text).line("Cache-Control", "no-store")
    }
}

impl Status {
    pub const OK: Self = Self(200);
    pub const PARTIAL: Self = Self(206);
    pub const NOT_MODIFIED: Self = Self(304);

    /// The reason phrase (RFC 9110 §15); devpi's clients print it.
    pub fn phrase(self) -> &'static str {
        match self.0 {
            200 => "OK",
            201 => "Created",
            206 => "Partial Content",
            301 => "Moved Permanently",
            302 => "Found",
            303 => "See Other",
            304 => "Not Modified",
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            406 => "Not Acceptable",
            408 => "Request Timeout",
            409 => "Conflict",
            410 => "Gone",
            413 => "Content Too Large",
            414 => "URI Too Long",
            415 => "Unsupported Media Type",
            416 => "Range Not Satisfiable",
            421 => "Misdirected Request",
            429 => "Too Many Requests",
            431 => "Request Header Fields Too Large",
            500 => "Internal Server Error",
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            504 => "Gateway Timeout",
            507 => "Insufficient Storage",
            505 => "HTTP Version Not Supported",
            _ => "Unknown",
        }
    }
}
