use super::control;
use super::gate::{Entered, Gate, Turn, Writing};
use super::handler::{Handler, Request, Timeouts};
use super::incoming::{AWAY, AWAY_BYTES_MAX, Incoming as RequestBody};
use super::reply::{Body, Reply, Status};
use super::send::{Cut, Sender};
use super::statuses::RETRY_AFTER_SECONDS;
use crate::http::{Field, HEAD_BYTES_MAX, HeadError, HeadFacts, Via, check_head};
use crate::metrics::Kind;
use bytes::{BufMut, BytesMut};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

/// Who is at the other end.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// None on a Unix socket.
    pub address: Option<SocketAddr>,
    /// The port that the connection came in by.
    pub port: Option<u16>,
}

impl Peer {
    /// Whether it may be the proxy in front of us: only programs of this machine can come by loopback or by the socket.
    pub fn is_proxy(&self) -> bool {
        match self.address {
            Some(address) => address.ip().to_canonical().is_loopback(),
            // Over TCP an address can be missing too: then nobody knows who it is.
            None => self.port.is_none(),
        }
    }
}

/// What carries a connection. It is asked through a table (a few instructions), so that the server behind it is compiled
/// once and not anew for each kind of stream.
pub trait Carrier: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Carrier for S {}

/// One connection: requests one after another until either side ends it.
pub struct Connection<'a, S: ?Sized> {
    stream: &'a mut S,
    socket: Option<BorrowedFd<'a>>,
    handler: &'a Handler,
    gate: &'a Gate,
    turn: watch::Receiver<Turn>,
    peer: Peer,
    /// Whether it ends with its first answer.
    once: bool,
    buffer: BytesMut,
    /// The head of an answer, written anew each time.
    head: Vec<u8>,
}

/// First room for a head, in bytes: most clients' heads are under 1 KiB.
const HEAD_BYTES: usize = 2 * 1024;

/// How long a connection that ends after an unread request is drained, so that the client reads the answer before it
/// sees a reset.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES_MAX: usize = 1024 * 1024;

enum Incoming {
    /// A head of this many bytes is in the buffer.
    Head(usize),
    Refused(HeadError),
    /// It came too slowly.
    Slow,
    Closed,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin + Send + ?Sized> Connection<'a, S> {
    pub fn new(stream: &'a mut S, handler: &'a Handler, gate: &'a Gate, peer: Peer) -> Self {
        let buffer = BytesMut::with_capacity(HEAD_BYTES);
        Self { stream, socket: None, handler, gate, turn: gate.turn(), peer, once: false, buffer, head: Vec::new() }
    }

    /// Where the stream is a socket's own, with nothing in between: files may be sent to it by the system.
    pub fn over(self, socket: Option<BorrowedFd<'a>>) -> Self {
        Self { socket, ..self }
    }

    /// A request that another process passed on, some of which was read already.
    pub fn passed_on(self, buffer: BytesMut) -> Self {
        Self { once: true, buffer, ..self }
    }

    /// Serves until the end of the connection.
    pub async fn serve(mut self) {
        let Some(_place) = self.handler.admit() else {
            let reply = Reply::error(Status(503), Kind::Other, "too many connections", false);
            let _ = self.refuse(reply.line("Retry-After", RETRY_AFTER_SECONDS)).await;
            return;
        };
        loop {
            let bytes = match self.head().await {
                Incoming::Head(bytes) => bytes,
                Incoming::Closed => return,
                Incoming::Slow => {
                    let reply = Reply::error(Status(408), Kind::Other, "the request's head took too long", false);
                    return self.refuse(reply).await;
                }
                Incoming::Refused(why) => {
                    let reply = Reply::error(Status(why.status()), Kind::Other, &why.to_string(), false);
                    return self.refuse(reply).await;
                }
            };
            let raw = self.buffer.split_to(bytes).freeze();
            let keep = match check_head(&raw) {
                Ok(facts) => {
                    let writes = !matches!(facts.method, "GET" | "HEAD");
                    match self.gate.enter(&mut self.turn, writes).await {
                        Entered::Here(writing) => self.answer(&facts, writing).await,
                        Entered::Elsewhere(data) => return self.pass_on(&raw, &data).await,
                        Entered::Closed => {
                            let why = "a newer version has changed the data directory; start that one to write";
                            let reply = Reply::error(Status(503), Kind::Other, why, false);
                            return self.refuse(reply.line("Retry-After", RETRY_AFTER_SECONDS)).await;
                        }
                    }
                }
                Err(why) => {
                    let reply = Reply::error(Status(why.status()), Kind::Other, &why.to_string(), false);
                    self.refuse(reply).await;
                    false
                }
            };
            if !keep {
                return;
            }
        }
    }

    /// Waits for a whole head. When the server stops, an idle connection has a moment for a request that is under way;
    /// when another took over, as long as ever.
    async fn head(&mut self) -> Incoming {
        let mut seen = 0;
        if let Some(found) = self.found(&mut seen) {
            return found;
        }
        if self.buffer.is_empty() {
            self.buffer.reserve(HEAD_BYTES);
            let Timeouts { idle, quiet, .. } = self.handler.timeouts();
            let stopped = async {
                let _ = self.turn.wait_for(|turn| *turn == Turn::Last).await;
                tokio::time::sleep(quiet).await;
            };
            let read = tokio::select! {
                biased;
                read = self.stream.read_buf(&mut self.buffer) => read,
                () = stopped => return Incoming::Closed,
                () = tokio::time::sleep(idle) => return Incoming::Closed,
            };
            match read {
                Ok(0) | Err(_) => return Incoming::Closed,
                Ok(_) => {}
            }
            if let Some(found) = self.found(&mut seen) {
                return found;
            }
        }
        let deadline = self.handler.timeouts().head;
        let rest = async {
            loop {
                self.buffer.reserve(HEAD_BYTES);
                match self.stream.read_buf(&mut self.buffer).await {
                    Ok(0) | Err(_) => return Incoming::Closed,
                    Ok(_) => {}
                }
                if let Some(found) = self.found(&mut seen) {
                    return found;
                }
            }
        };
        tokio::time::timeout(deadline, rest).await.unwrap_or(Incoming::Slow)
    }

    /// Looks for the blank line from `seen` on; a line that ends in a bare LF is not waited past.
    fn found(&mut self, seen: &mut usize) -> Option<Incoming> {
        // No method begins so: TLS, most often, from who wrote https for http. Its client would wait for an answer.
        if self.buffer.first().is_some_and(|byte| !byte.is_ascii_alphabetic()) {
            return Some(Incoming::Refused(HeadError::RequestLine));
        }
        while let Some(at) = memchr::memchr(b'\n', self.buffer.get(*seen..)?) {
            let end = *seen + at + 1;
            match self.buffer.get(..end)? {
                [.., b'\n', b'\r', b'\n'] => return Some(Incoming::Head(end)),
                [.., b'\r', b'\n'] => *seen = end,
                _ => return Some(Incoming::Refused(HeadError::LineEnd)),
            }
        }
        *seen = (*seen).max(self.buffer.len().saturating_sub(1));
        (self.buffer.len() > HEAD_BYTES_MAX).then_some(Incoming::Refused(HeadError::TooLarge))
    }

    /// Answers one request; whether the connection goes on.
    async fn answer(&mut self, facts: &HeadFacts<'_>, writing: Option<Writing>) -> bool {
        let started = Instant::now();
        let via = self.peer.port.map_or(Via::Unix, |port| Via::Tcp { port });
        let request = Request { facts, via, peer: self.peer };
        let writes = !matches!(facts.method, "GET" | "HEAD");
        // A client of HTTP/1.0 knows no word in between.
        let expects = facts.minor_version >= 1
            && facts.get(Field::Expect).is_some_and(|said| said.eq_ignore_ascii_case("100-continue"));
        let patience = self.handler.timeouts().stalled;
        let mut body = RequestBody::new(self.stream, &mut self.buffer, facts.body, expects, patience);
        let mut reply = self.handler.handle(&request, &mut body).await;
        let wanted_there = reply.status != Status(405);
        if writes && wanted_there {
            body.read_away().await;
        }
        // A body that nobody read would be taken for the next request: the connection ends with the answer.
        let finished = body.finished();
        drop(body);
        drop(writing);
        let ends = self.once || self.turn.borrow().ends();
        let keep = facts.keep_alive && finished && !reply.close && !ends;
        let sent = self.send(&mut reply, facts.method == "HEAD", keep, facts.minor_version).await;
        let (bytes, cut) = match sent {
            Ok(bytes) => (bytes, None),
            Err((bytes, cut)) => (bytes, Some(cut)),
        };
        self.handler.record(&request, &reply, bytes, cut.as_ref(), started.elapsed());
        // What the client sent beyond this request is read away, or the reset for it could overtake the answer.
        let unread = !finished || !self.buffer.is_empty() || reply.close;
        if !keep && unread && cut.is_none() {
            match writes && !finished {
                // Who was silent before the answer may yet send all of it before looking for one.
                true => self.drain(AWAY, AWAY_BYTES_MAX).await,
                false => self.drain(LINGER, LINGER_BYTES_MAX).await,
            }
        }
        keep && cut.is_none()
    }

    async fn send(&mut self, reply: &mut Reply, head_only: bool, keep: bool, minor: u8) -> Result<u64, (u64, Cut)> {
        let first = match &mut reply.body {
            // The first piece is waited for before the head is sent: a failure until then is a clean error.
            Body::File(body) if !head_only => match body.next().await {
                Ok(piece) => piece,
                Err(why) => {
                    *reply = super::statuses::late(why, reply.kind);
                    None
                }
            },
            _ => None,
        };
        self.write_head(reply, keep, minor);
        let mut sender = Sender::new(self.stream, self.socket, &self.head, self.handler.timeouts().stalled);
        let sent = match &mut reply.body {
            _ if head_only => Ok(()),
            Body::Empty => Ok(()),
            Body::Bytes(bytes) => sender.bytes(bytes.clone()).await,
            Body::File(body) => sender.body(first, body).await,
            Body::Events(events) => events.send(&mut sender, self.handler, &mut self.turn, self.once).await,
        };
        let sent = match sent {
            Ok(()) => sender.finish().await,
            Err(cut) => Err(cut),
        };
        sent.map(|()| sender.sent).map_err(|cut| (sender.sent, cut))
    }

    fn write_head(&mut self, reply: &Reply, keep: bool, minor: u8) {
        let head = &mut self.head;
        head.clear();
        head.reserve(256 + reply.made.len() + reply.lines.len());
        match reply.status {
            Status::OK if reply.reason.is_none() => head.put_slice(b"HTTP/1.1 200 OK\r\n"),
            status => {
                let phrase = reply.reason.as_deref().unwrap_or(status.phrase());
                head.put_slice(format!("HTTP/1.1 {} {phrase}\r\n", status.0).as_bytes());
            }
        }
        head.put_slice(b"Date: ");
        put_date(head, self.handler.unix());
        head.put_slice(b"\r\n");
        head.put_slice(&reply.made);
        head.put_slice(reply.lines.as_bytes());
        if let Some(tier) = reply.tier {
            head.put_slice(b"X-Cache: ");
            head.put_slice(tier.as_str().as_bytes());
            head.put_slice(b"\r\n");
        }
        match (keep, minor) {
            (false, _) => head.put_slice(b"Connection: close\r\n\r\n"),
            (true, 0) => head.put_slice(b"Connection: keep-alive\r\n\r\n"),
            (true, _) => head.put_slice(b"\r\n"),
        }
    }

    /// Carries a request to the server that took over, and its answer back.
    async fn pass_on(&mut self, head: &[u8], data: &Path) {
        let mut next = match control::passage(data, self.peer).await {
            Ok(next) => next,
            Err(why) => {
                tracing::error!(%why, "a request cannot be passed on to the server that took over");
                let reply = Reply::error(Status(503), Kind::Other, "the server was replaced; try again", false);
                return self.refuse(reply.line("Retry-After", RETRY_AFTER_SECONDS)).await;
            }
        };
        let read_ahead = self.buffer.split();
        let (mut from_next, mut to_next) = next.split();
        let (mut from_client, mut to_client) = tokio::io::split(&mut *self.stream);
        let there = async {
            to_next.write_all(head).await?;
            to_next.write_all(&read_ahead).await?;
            tokio::io::copy(&mut from_client, &mut to_next).await?;
            // Who has said all may still be waiting for the answer.
            to_next.shutdown().await
        };
        let answered = {
            let back = tokio::io::copy(&mut from_next, &mut to_client);
            tokio::pin!(there, back);
            tokio::select! {
                answered = &mut back => answered,
                _ = &mut there => back.await,
            }
        };
        if let Ok(1..) = answered {
            self.drain(LINGER, LINGER_BYTES_MAX).await;
        }
    }

    /// Answers what was not even a request, and ends the connection.
    async fn refuse(&mut self, mut reply: Reply) {
        reply.close = true;
        let _ = self.send(&mut reply, false, false, 1).await;
        self.handler.record_refused(self.peer, &reply);
        self.drain(LINGER, LINGER_BYTES_MAX).await;
    }

    /// Reads on a little and throws it away.
    async fn drain(&mut self, linger: Duration, bytes_max: usize) {
        let _ = self.stream.shutdown().await;
        let drained = async {
            let mut total = 0;
            let mut rest = BytesMut::with_capacity(HEAD_BYTES);
            while let Ok(1..) = self.stream.read_buf(&mut rest).await {
                total += rest.len();
                rest.clear();
                if total > bytes_max {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(linger, drained).await;
    }
}

/// The date of an answer (RFC 9110 §6.6.1), written anew once a second for each worker.
fn put_date(head: &mut Vec<u8>, unix: u64) {
    thread_local! {
        static DATE: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
    }
    DATE.with_borrow_mut(|(second, text)| {
        if *second != unix {
            *second = unix;
            *text = httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(unix));
        }
        head.put_slice(text.as_bytes());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_of_this_machine_may_speak_for_others() {
        for (address, port, expected) in [
            (None, None, true),
            (None, Some(3141), false),
            (Some("127.0.0.1:5"), Some(3141), true),
            (Some("[::1]:5"), Some(3141), true),
            (Some("[::ffff:127.0.0.1]:5"), Some(3141), true),
            (Some("10.0.0.1:5"), Some(3141), false),
            (Some("[::ffff:10.0.0.1]:5"), Some(3141), false),
            (Some("[2001:db8::1]:5"), Some(3141), false),
        ] {
            let peer = Peer { address: address.map(|address| address.parse().unwrap()), port };
            assert_eq!(peer.is_proxy(), expected, "{peer:?}");
        }
    }
}
