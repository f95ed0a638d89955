//! The skin: connections, requests, answers; one log line and one error-to-status match.
//!
//! Enters: a session. Leaves: bytes on the wire. Must not know: SQL, paths, PyPI.

mod api;
mod connection;
pub mod control;
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

pub use control::Standing;
pub use handler::{Handler, HandlerParts, Timeouts};
pub use listen::{Bound, ListenError};
pub use places::{LARGE_BODIES_MAX, UPLOADS_MAX};

use crate::index::Index;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// A server that accepts connections; [`Server::stop`] ends it in order.
pub struct Server {
    addresses: Vec<SocketAddr>,
    sockets: Vec<String>,
    index: Index,
    stop: watch::Sender<bool>,
    open: mpsc::Receiver<()>,
    control: Option<Control>,
}

/// The control socket, while it answers.
struct Control {
    path: PathBuf,
    task: JoinHandle<()>,
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
        Self { addresses, sockets, index, stop, open, control: None }
    }

    /// Answers at the control socket of the data directory; without one the server serves all the same.
    pub fn open_control(&mut self, data: &Path, standing: Standing) {
        let listener = control::bind(data).map_err(|why| why.to_string());
        let listener = listener.and_then(|bound| UnixListener::from_std(bound).map_err(|why| why.to_string()));
        match listener {
            Ok(listener) => {
                let tcp = self.addresses.iter().map(|address| format!("http://{address}"));
                let addresses = tcp.chain(self.sockets.iter().map(|path| format!("unix:{path}"))).collect();
                let desk = control::Desk { index: self.index.clone(), standing, addresses };
                let task = tokio::spawn(control::answer(listener, desk));
                self.control = Some(Control { path: data.join(control::CONTROL_FILE), task });
            }
            Err(why) => tracing::warn!(%why, "there is no control socket; commands cannot speak with this server"),
        }
    }

    /// The TCP addresses, with the real ports.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Accepts no more, closes idle connections, lets running answers finish until `deadline`, and closes the
    /// database. Says whether all finished.
    pub async fn stop(mut self, deadline: Duration) -> bool {
        self.stop.send_replace(true);
        if let Some(Control { path, task }) = self.control.take() {
            let _ = std::fs::remove_file(path);
            task.abort();
        }
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
