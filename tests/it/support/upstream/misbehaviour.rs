use super::answer::{HTML, JSON, Reply, cut, ranged};
use super::{Held, Seen};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::time::Duration;

/// How one answer goes wrong (or merely differs).
#[derive(Debug, Clone)]
pub enum Misbehaviour {
    /// This status, an empty body.
    Status(u16),
    /// This status and header, an empty body.
    StatusWith(u16, &'static str, String),
    /// The connection is reset before the head.
    Reset,
    /// The connection is reset after the head and so many bytes of body.
    ResetAfter(usize),
    /// So many bytes of the body, then a clean end of the connection.
    Truncate(usize),
    /// One bit is flipped in the middle; the length stays.
    WrongBytes,
    /// The stated length is right, and more bytes follow.
    Longer,
    /// The stated length is ten bytes short; all bytes are sent.
    ShortContentLength,
    /// The right length, stated in two lines.
    DuplicateContentLength,
    /// Two lengths that disagree.
    ConflictingContentLength,
    ClAndTe,
    /// Nothing wrong: chunks in place of a length.
    Chunked,
    /// A transfer coding other than chunked; the end of the connection is the end.
    OddTransferEncoding(&'static str),
    /// A chunk's size is no number.
    BadChunk,
    /// Chunks that end without the last one.
    TruncatedChunks,
    /// Neither length nor chunks: the end of the connection is the end.
    CloseDelimited,
    /// The body in pieces of so many bytes, so far apart.
    Slow {
        bytes: usize,
        every: Duration,
    },
    /// No answer at all.
    Hang,
    /// The head, so many bytes, then silence.
    HangAfter(usize),
    /// 80 MiB of JSON blanks, compressed.
    GzipBomb,
    /// The body, honestly compressed.
    ContentEncodingGzip,
    /// A compressed body cut in half; the length is that of the half.
    TruncatedGzip,
    /// A coding nobody knows.
    ContentEncodingUnknown,
    /// 302 to this URL.
    Redirect(String),
    /// 304, whatever was asked.
    Bogus304,
    /// 206 with the first half of the file, whatever was asked.
    Unrequested206,
    /// 206 with a range beginning one byte later than asked.
    WrongRange,
    /// 206 without Content-Range.
    RangeWithoutContentRange,
    /// Ranges are answered whole.
    NoRange,
    /// A range although If-Range says that the file has changed.
    IgnoreIfRange,
    /// A log-in page with status 200.
    HtmlInsteadOfJson,
    /// The body under this Content-Type.
    ContentType(&'static str),
    /// Another body, the same head.
    Body(Bytes),
    /// A valid JSON page without files.
    EmptyPage,
    /// A valid JSON page of another project.
    WrongName,
    /// 100,000 nested arrays.
    DeepJson,
    /// A JSON page of so many bytes.
    HugeJson(usize),
    /// Headers that nobody downstream may ever see.
    HeaderPoison,
    /// Not HTTP.
    Garbage,
    /// A body without a head.
    Http09,
}

/// What the connection does, in order.
pub(super) enum Act {
    Head(Bytes),
    Body(Bytes),
    Wait(Held),
    Pause(Duration),
    Hang,
    /// The connection is reset.
    Reset,
    /// The connection ends as if all had been said.
    Close,
}

/// Size of what [`Misbehaviour::GzipBomb`] becomes.
const BOMB_BYTES: usize = 80 * 1024 * 1024;

pub(super) fn plan(reply: Reply, seen: &Seen, how: Option<Misbehaviour>) -> Vec<Act> {
    use Misbehaviour as M;
    let Some(how) = how else { return send(reply, seen) };
    let name = seen.path.trim_matches('/').rsplit('/').next().unwrap_or_default();
    let body = reply.body.clone();
    let length = body.len();
    let half = body.slice(..length / 2);
    let other = |content_type: &str, body: String| send(Reply::ok(content_type, body), seen);
    match how {
        M::Status(status) => send(Reply::empty(status), seen),
        M::StatusWith(status, name, value) => send(Reply::empty(status).with(name, value), seen),
        M::Reset => vec![Act::Reset],
        M::ResetAfter(count) => {
            vec![head_of_length(&reply, length), Act::Body(body.slice(..count.min(length))), Act::Reset]
        }
        M::Truncate(count) => {
            vec![head_of_length(&reply, length), Act::Body(body.slice(..count.min(length))), Act::Close]
        }
        M::WrongBytes => {
            let mut wrong = body.to_vec();
            if let Some(byte) = wrong.get_mut(length / 2) {
                *byte ^= 1;
            }
            send(Reply { body: wrong.into(), ..reply }, seen)
        }
        M::Longer => {
            let mut acts = send(reply, seen);
            acts.push(Act::Body(Bytes::from_static(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")));
            acts
        }
        M::ShortContentLength => vec![head_of_length(&reply, length.saturating_sub(10)), Act::Body(body)],
        M::DuplicateContentLength => {
            vec![head(&reply, &[("Content-Length", length), ("Content-Length", length)]), Act::Body(body)]
        }
        M::ConflictingContentLength => {
            vec![head(&reply, &[("Content-Length", length), ("Content-Length", length / 2)]), Act::Body(body)]
        }
        M::ClAndTe => {
            let reply = reply.with("Transfer-Encoding", "chunked");
            vec![head_of_length(&reply, length), chunk(&body), last_chunk()]
        }
        M::Chunked => vec![chunked_head(reply), chunk(&half), chunk(&body.slice(half.len()..)), last_chunk()],
        M::OddTransferEncoding(coding) => {
            vec![head(&reply.with("Transfer-Encoding", coding), &[]), Act::Body(body), Act::Close]
        }
        M::BadChunk => vec![chunked_head(reply), chunk(&half), Act::Body("zz\r\nevil\r\n".into()), Act::Close],
        M::TruncatedChunks => vec![chunked_head(reply), chunk(&half), Act::Close],
        M::CloseDelimited => vec![head(&reply.with("Connection", "close"), &[]), Act::Body(body), Act::Close],
        M::Slow { bytes, every } => {
            let mut acts = vec![head_of_length(&reply, length)];
            for piece in body.chunks(bytes.max(1)) {
                acts.extend([Act::Pause(every), Act::Body(body.slice_ref(piece))]);
            }
            acts
        }
        M::Hang => vec![Act::Hang],
        M::HangAfter(count) => {
            vec![head_of_length(&reply, length), Act::Body(body.slice(..count.min(length))), Act::Hang]
        }
        M::GzipBomb => send(gzipped(Reply::ok(JSON, vec![b' '; BOMB_BYTES])), seen),
        M::ContentEncodingGzip => send(gzipped(reply), seen),
        M::TruncatedGzip => {
            let reply = gzipped(reply);
            let half = reply.body.slice(..reply.body.len() / 2);
            send(Reply { body: half, ..reply }, seen)
        }
        M::ContentEncodingUnknown => send(reply.with("Content-Encoding", "rot13"), seen),
        M::Redirect(to) => send(Reply::empty(302).with("Location", to), seen),
        M::Bogus304 => send(Reply::empty(304).with("ETag", "\"bogus\""), seen),
        M::Unrequested206 => send(cut(whole(reply), 0, length.div_ceil(2)), seen),
        M::WrongRange => {
            let end = reply.whole.len();
            send(cut(whole(reply), end.saturating_sub(length) + 1, end), seen)
        }
        M::RangeWithoutContentRange => {
            let mut reply = reply;
            reply.headers.retain(|(name, _)| name != "Content-Range");
            send(reply, seen)
        }
        M::NoRange => send(whole(reply), seen),
        M::IgnoreIfRange => send(ranged(whole(reply), seen, true), seen),
        M::HtmlInsteadOfJson => other(HTML, "<!DOCTYPE html><html><body>Please log in</body></html>".into()),
        M::ContentType(content_type) => send(Reply::ok(content_type, body), seen),
        M::Body(body) => send(Reply { body, ..reply }, seen),
        M::EmptyPage => {
            other(JSON, format!(r#"{{"meta":{{"api-version":"1.1"}},"name":"{name}","versions":[],"files":[]}}"#))
        }
        M::WrongName => {
            other(JSON, r#"{"meta":{"api-version":"1.1"},"name":"somebody-else","versions":[],"files":[]}"#.into())
        }
        M::DeepJson => other(JSON, format!(r#"{{"meta":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000))),
        M::HugeJson(bytes) => other(JSON, format!("{{\"x\":\"{}\"}}", "x".repeat(bytes.saturating_sub(8)))),
        M::HeaderPoison => send(poisoned(reply), seen),
        M::Garbage => vec![Act::Head("220 mail.example ESMTP\r\n\r\n".into()), Act::Close],
        M::Http09 => vec![Act::Body(body), Act::Close],
    }
}

fn send(reply: Reply, seen: &Seen) -> Vec<Act> {
    if reply.status == 304 {
        return vec![head(&reply, &[])];
    }
    let head = head_of_length(&reply, reply.body.len());
    if seen.method == "HEAD" { vec![head] } else { vec![head, Act::Body(reply.body)] }
}

fn head_of_length(reply: &Reply, length: usize) -> Act {
    head(reply, &[("Content-Length", length)])
}

fn head(reply: &Reply, lengths: &[(&str, usize)]) -> Act {
    let mut head = format!("HTTP/1.1 {} Scripted\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    for (name, value) in lengths {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    Act::Head(head.into())
}

fn chunked_head(reply: Reply) -> Act {
    head(&reply.with("Transfer-Encoding", "chunked"), &[])
}

fn chunk(bytes: &Bytes) -> Act {
    if bytes.is_empty() {
        return Act::Body(Bytes::new());
    }
    let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
    framed.extend_from_slice(bytes);
    framed.extend_from_slice(b"\r\n");
    Act::Body(framed.into())
}

fn last_chunk() -> Act {
    Act::Body(Bytes::from_static(b"0\r\n\r\n"))
}

fn gzipped(reply: Reply) -> Reply {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&reply.body).unwrap();
    let body = encoder.finish().unwrap().into();
    Reply { body, ..reply }.with("Content-Encoding", "gzip")
}

/// The answer as if no range had been asked for.
fn whole(mut reply: Reply) -> Reply {
    reply.headers.retain(|(name, _)| name != "Content-Range");
    Reply { status: 200, body: reply.whole.clone(), ..reply }
}

fn poisoned(reply: Reply) -> Reply {
    [
        ("Set-Cookie", "session=stolen"),
        ("X-Foo", "poison"),
        ("Location", "https://evil.example/"),
        ("Link", "<https://evil.example/>; rel=preload"),
        ("Refresh", "0; url=https://evil.example/"),
        ("Content-Disposition", "inline; filename=evil.html"),
        ("Access-Control-Allow-Origin", "*"),
        ("Content-Security-Policy", "default-src *"),
        ("Clear-Site-Data", "\"*\""),
        ("Strict-Transport-Security", "max-age=63072000; includeSubDomains"),
        ("Alt-Svc", "h2=\"evil.example:443\""),
        ("Server", "evil/1.0"),
        ("Service-Worker-Allowed", "/"),
    ]
    .into_iter()
    .fold(reply, |reply, (name, value)| reply.with(name, value))
}
