use super::gate::Turn;
use super::handler::{Handler, Request};
use super::reply::{Body, Reply, Status};
use super::send::{Cut, Sender};
use super::statuses;
use crate::http::{Field, wants_plain_json};
use crate::metrics::Kind;
use crate::web::Viewer;
use bytes::Bytes;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, watch};

/// Streams of events at once: each wakes up all the time, and more people than that do not look at the same page.
pub const STREAMS_MAX: usize = 32;

/// How often the page is told what has changed.
const EVERY: Duration = Duration::from_secs(2);

/// How long a stream goes on; browsers then ask again, and prove anew who they are.
const STREAM_MAX: Duration = Duration::from_secs(600);

/// Seconds after which who found no place may ask again: somebody else's stream ends within minutes.
const RETRY_AFTER_SECONDS: u32 = 30;

/// How long a browser waits before it asks again when a stream has ended (the event stream format's `retry`).
const BEGINNING: &str = "retry: 3000\n\n";

/// Says that we are still there, where there is nothing new: so a client that has vanished is noticed.
const NOTHING_NEW: &str = ":\n\n";

/// What `/+status` shows, as it changes: the one answer whose length nobody knows when it begins.
pub struct Events {
    viewer: Viewer,
    /// In HTTP/1.1 the stream has an end of its own (RFC 9112 §7.1); in 1.0 it ends with the connection.
    chunked: bool,
    _place: OwnedSemaphorePermit,
}

impl Handler {
    /// `/+status/events`
    pub(super) async fn status_events(&self, request: &Request<'_>) -> Reply {
        let json = wants_plain_json(request.facts.get(Field::Accept));
        let viewer = match self.viewer(request).await {
            Ok(viewer) => viewer,
            Err(why) => return statuses::reply(&why, Kind::Other, json),
        };
        let Some(place) = self.stream_place() else {
            let sentence = "too many are looking at the status as it changes; the page itself is there";
            let reply = Reply::error(Status(503), Kind::Other, sentence, json);
            return reply.line("Retry-After", RETRY_AFTER_SECONDS);
        };
        let chunked = request.facts.minor_version >= 1;
        let mut reply = Reply::new(Status::OK, Kind::Other)
            .line("Content-Type", "text/event-stream")
            .line("Cache-Control", "no-store")
            // nginx would keep the events until it has a buffer full of them.
            .line("X-Accel-Buffering", "no")
            .line("X-Content-Type-Options", "nosniff")
            .line("Cross-Origin-Resource-Policy", "same-origin");
        if chunked {
            reply = reply.line("Transfer-Encoding", "chunked");
        }
        // Who asks again after the end comes by a new connection: after a takeover that leads to the new server.
        reply.close = true;
        reply.body = Body::Events(Box::new(Events { viewer, chunked, _place: place }));
        reply
    }
}

impl Events {
    /// Sends events until the server ends, the client goes or the time is over; `once`: no more than the first.
    pub async fn send<S: AsyncRead + AsyncWrite + Unpin + ?Sized>(
        &self,
        sender: &mut Sender<'_, S>,
        handler: &Handler,
        turn: &mut watch::Receiver<Turn>,
        once: bool,
    ) -> Result<(), Cut> {
        let over = tokio::time::sleep(STREAM_MAX);
        tokio::pin!(over);
        let mut told = String::new();
        self.push(sender, BEGINNING).await?;
        loop {
            let now = handler.status_event(&self.viewer);
            match now == told {
                true => self.push(sender, NOTHING_NEW).await?,
                false => self.push(sender, &format!("data: {now}\n\n")).await?,
            }
            told = now;
            if once {
                break;
            }
            tokio::select! {
                biased;
                _ = turn.wait_for(|turn| turn.ends()) => break,
                () = &mut over => break,
                () = sender.left() => return Err(Cut::Client),
                () = tokio::time::sleep(EVERY) => {}
            }
        }
        if self.chunked { sender.bytes(Bytes::from_static(b"0\r\n\r\n").into()).await } else { Ok(()) }
    }

    async fn push<S: AsyncWrite + Unpin + ?Sized>(&self, sender: &mut Sender<'_, S>, text: &str) -> Result<(), Cut> {
        let framed = match self.chunked {
            true => format!("{:x}\r\n{text}\r\n", text.len()),
            false => text.to_owned(),
        };
        sender.bytes(Bytes::from(framed).into()).await?;
        sender.finish().await
    }
}
