//! The skin: connections, requests, answers; one log line and one error-to-status match.
//!
//! Enters: a session. Leaves: bytes on the wire. Must not know: SQL, paths, PyPI.

mod api;
mod connection;
mod engine;
mod handler;
mod incoming;
mod listen;
mod operators;
mod pages;
mod places;
mod reply;
mod send;
mod statuses;
mod uploads;

pub use handler::{Handler, HandlerParts, Timeouts};
pub use listen::{Bound, ListenError};
pub use places::{LARGE_BODIES_MAX, UPLOADS_MAX};

use crate::index::Index;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// A server that accepts connections; [`Server::stop`] ends it in order.
pub struct Server {
    addresses: Vec<SocketAddr>,
    sockets: Vec<String>,
    index: Index,
    stop: watch::Sender<bool>,
    open: mpsc::Receiver<()>,
}

impl Server {
    /// Starts accepting on every bound listener.
    pub fn start(bound: Vec<Bound>, handler: Handler) -> Self {
        let (stop, stopping) = watch::channel(false);
        let (held, open) = mpsc::channel(1);
        let index = handler.index().clone();
        let handler = Arc::new(handler);
        let addresses = bound.iter().filter_map(Bound::address).collect();
        let sockets = bound.iter().filter(|bound| bound.address().is_none()).map(|bound| bound.name().to_owned());
        let sockets = sockets.collect();
        for listener in bound {
            drop(engine::accept(listener, Arc::clone(&handler), held.clone(), stopping.clone()));
        }
        Self { addresses, sockets, index, stop, open }
    }

    /// The TCP addresses, with the real ports.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Accepts no more, closes idle connections, lets running answers finish until `deadline`, and closes the
    /// database. Says whether all finished.
    pub async fn stop(mut self, deadline: Duration) -> bool {
        self.stop.send_replace(true);
        // At once: when the last answer is sent, a new server may listen at the same path.
        for socket in &self.sockets {
            let _ = std::fs::remove_file(socket);
        }
        let all_gone = async { while self.open.recv().await.is_some() {} };
        let finished = tokio::time::timeout(deadline, all_gone).await.is_ok();
        self.index.close().await;
        finished
    }
}
