//! The skin: connections, requests, answers; one log line and one error-to-status match.
//!
//! Enters: a session. Leaves: bytes on the wire. Must not know: SQL, paths, PyPI.

mod api;
mod connection;
pub mod control;
mod doors;
mod engine;
mod events;
mod gate;
mod handler;
mod handover;
mod incoming;
mod listen;
mod operators;
mod pages;
mod places;
mod pulse;
mod recall;
mod reply;
mod send;
mod statuses;
mod takeover;
mod uploads;
mod web;

pub use connection::Carrier;
pub use control::{Event, Standing};
pub use events::STREAMS_MAX;
pub use handler::{Handler, HandlerParts, Timeouts};
pub use listen::{Bound, ListenError};
pub use places::{LARGE_BODIES_MAX, UPLOADS_MAX};
pub use pulse::Pulse;
pub use takeover::{Takeover, TakeoverError};

use crate::index::Index;
use connection::{Connection, Peer};
use control::Desk;
use doors::Doors;
use futures_util::future::BoxFuture;
use gate::Gate;
use pulse::Door;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::mpsc;

/// A server that accepts connections; [`Server::stop`] ends it in order.
pub struct Server {
    addresses: Vec<SocketAddr>,
    /// Unix sockets, and whether their files are somebody else's.
    sockets: Vec<(String, bool)>,
    index: Index,
    doors: Arc<Doors>,
    open: mpsc::Receiver<()>,
    desk: Option<Arc<Desk>>,
    events: mpsc::Sender<Event>,
    happens: mpsc::Receiver<Event>,
}

/// Serves one connection from `peer` that no listener of ours accepted, as if it had come in by `port`: so requests are
/// measured without a socket.
pub fn serve_stream<'a>(
    stream: &'a mut dyn Carrier,
    handler: &'a Handler,
    peer: SocketAddr,
    port: u16,
) -> BoxFuture<'a, ()> {
    let peer = Peer { address: Some(peer), port: Some(port) };
    Box::pin(async move { Connection::new(stream, handler, &Gate::new(), peer).serve().await })
}

/// Events that wait to be heard: a few for each takeover, of which there is one at a time.
const EVENTS_MAX: usize = 16;

impl Server {
    /// Starts accepting on every bound listener.
    pub fn start(bound: Vec<Bound>, handler: Handler) -> Self {
        let index = handler.index().clone();
        let addresses = bound.iter().filter_map(Bound::address).collect();
        let sockets = bound.iter().filter(|bound| bound.address().is_none());
        let sockets = sockets.map(|bound| (bound.name().to_owned(), bound.is_lent())).collect();
        let (doors, open) = Doors::new(bound, Arc::new(handler), Arc::new(Gate::new()));
        doors.open();
        let (events, happens) = mpsc::channel(EVENTS_MAX);
        Self { addresses, sockets, index, doors: Arc::new(doors), open, desk: None, events, happens }
    }

    /// Answers at the control socket of the data directory, or at the one that was handed over; without one the server
    /// serves all the same.
    pub fn open_control(&mut self, data: &Path, standing: Standing, handed: Option<StdUnixListener>) {
        let bound = handed.map_or_else(|| control::bind(data).map_err(|why| why.to_string()), Ok);
        let text = |why: std::io::Error| why.to_string();
        let opened = bound.and_then(|socket| {
            let listener = socket.try_clone().and_then(UnixListener::from_std).map_err(text)?;
            Ok((socket, listener))
        });
        match opened {
            Ok((socket, listener)) => {
                let tcp = self.addresses.iter().map(|address| format!("http://{address}"));
                let addresses = tcp.chain(self.sockets.iter().map(|(path, _)| format!("unix:{path}"))).collect();
                let (doors, events) = (Arc::clone(&self.doors), self.events.clone());
                let desk = Arc::new(Desk::new(doors, standing, addresses, data.to_owned(), socket, events));
                control::answer(listener, Arc::clone(&desk));
                self.desk = Some(desk);
            }
            Err(why) => tracing::warn!(%why, "there is no control socket; commands cannot speak with this server"),
        }
    }

    /// The TCP addresses, with the real ports.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Tells whether this server truly answers.
    pub fn pulse(&self) -> Pulse {
        let tcp = self.addresses.first().map(|address| Door::Tcp(*address));
        let door = tcp.or_else(|| self.sockets.first().map(|(path, _)| Door::Unix(path.clone())));
        Pulse { index: self.index.clone(), gate: Arc::clone(self.doors.gate()), door }
    }

    /// Waits for what happens at the control socket.
    pub async fn event(&mut self) -> Event {
        match self.happens.recv().await {
            Some(event) => event,
            // Never: the server itself holds a sender.
            None => std::future::pending().await,
        }
    }

    /// Accepts no more, closes idle connections, lets running answers finish until `deadline`, and closes the
    /// database. Says whether all finished.
    pub async fn stop(self, deadline: Duration) -> bool {
        self.doors.gate().last();
        if let Some(desk) = &self.desk {
            let _ = std::fs::remove_file(desk.data.join(control::CONTROL_FILE));
            desk.close().await;
        }
        self.doors.close().await;
        // At once: when the last answer is sent, a new server may listen at the same path.
        for (socket, _) in self.sockets.iter().filter(|(_, lent)| !lent) {
            let _ = std::fs::remove_file(socket);
        }
        self.doors.give_up().await;
        self.end(deadline).await
    }

    /// After another process took over: lets what runs finish until `deadline`.
    pub async fn end(mut self, deadline: Duration) -> bool {
        let all_gone = async { while self.open.recv().await.is_some() {} };
        let finished = tokio::time::timeout(deadline, all_gone).await.is_ok();
        self.index.close().await;
        finished
    }
}
