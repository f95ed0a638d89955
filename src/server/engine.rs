//! The one file that names Pingora: its listeners accept connections and its streams carry them. Reading heads and
//! writing answers is ours (`connection`), so that a head has one deadline and an answer is one vectored write.

use super::connection::{Carrier, Connection, Peer};
use super::gate::Gate;
use super::handler::Handler;
use super::listen::Bound;
use async_trait::async_trait;
use parking_lot::Mutex;
use pingora_core::apps::ServerApp;
use pingora_core::listeners::ListenerConfig;
use pingora_core::protocols::Stream;
use pingora_core::protocols::l4::stream::Stream as Socket;
use pingora_core::server::{Fds, ShutdownWatch};
use pingora_core::services::Service as _;
use pingora_core::services::listening::Service;
use pingora_timeout::fast_timeout::set_fast_timeout_to_tokio_threshold;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

struct App {
    handler: Arc<Handler>,
    gate: Arc<Gate>,
    /// Held by every connection, for each holds the app: when all are gone, its receiver knows.
    _open: mpsc::Sender<()>,
    port: Option<u16>,
}

/// Accepts on a bound listener until `stop` turns true; the connections live on until they are done.
pub fn accept(
    bound: Bound,
    handler: Arc<Handler>,
    gate: Arc<Gate>,
    open: mpsc::Sender<()>,
    stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    // Pingora's own timers wake a thread a hundred times a second from the first connection on, for good.
    set_fast_timeout_to_tokio_threshold(Some(Duration::ZERO));
    let name = bound.name().to_owned();
    let port = bound.port();
    let app = App { handler, gate, _open: open, port };
    let mut service = Service::new(format!("sidewheel {name}"), app);
    let listener = match &bound {
        Bound::Tcp { .. } => ListenerConfig::tcp(&name),
        // Pingora sets a mode again, and means everybody's by default.
        Bound::Unix { .. } => ListenerConfig::uds(&name).permissions(bound.permissions()),
    };
    service.add_listener(listener);
    // A descriptor under the listener's name is taken instead of binding: so a port of 0, socket activation and a
    // socket's mode are ours.
    let mut descriptors = Fds::new();
    descriptors.add(name, bound.into_raw_fd());
    tokio::spawn(async move { service.start_service(Some(Arc::new(Mutex::new(descriptors))), stop, 1).await })
}

#[async_trait]
impl ServerApp for App {
    async fn process_new(self: &Arc<Self>, mut stream: Stream, _: &ShutdownWatch) -> Option<Stream> {
        let address =
            stream.get_socket_digest().and_then(|digest| digest.peer_addr().and_then(|a| a.as_inet().copied()));
        let peer = Peer { address, port: self.port };
        let socket = socket_of(&stream);
        let carrier: &mut dyn Carrier = &mut stream;
        Connection::new(carrier, &self.handler, &self.gate, peer).over(socket).serve().await;
        stream.shutdown().await;
        None
    }
}

/// The socket of a connection, for the system to send files to: Pingora's stream gives its number only. From the disk it
/// is twice as fast as reading and writing (bench/LOG.md).
#[expect(unsafe_code, reason = "Pingora's stream gives no borrowed descriptor")]
fn socket_of<'a>(stream: &Stream) -> Option<BorrowedFd<'a>> {
    let socket = (**stream).as_any().downcast_ref::<Socket>()?;
    // SAFETY: the caller's stream, which owns the descriptor, outlives the connection that is given it.
    Some(unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) })
}
