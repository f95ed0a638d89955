use super::engine;
use super::gate::Gate;
use super::handler::Handler;
use super::listen::Bound;
use parking_lot::Mutex;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// The listening sockets. They stay bound while nobody accepts: the kernel keeps who connects in line.
pub struct Doors {
    bound: Mutex<Vec<Bound>>,
    handler: Arc<Handler>,
    gate: Arc<Gate>,
    accepting: Mutex<Option<Accepting>>,
    /// Given to every connection: when all are gone, its receiver knows.
    open: Mutex<Option<mpsc::Sender<()>>>,
}

struct Accepting {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Doors {
    /// The doors, closed, and what ends when they are gone and all connections with them.
    pub fn new(bound: Vec<Bound>, handler: Arc<Handler>, gate: Arc<Gate>) -> (Self, mpsc::Receiver<()>) {
        let (sender, receiver) = mpsc::channel(1);
        let (bound, accepting, open) = (Mutex::new(bound), Mutex::default(), Mutex::new(Some(sender)));
        (Self { bound, handler, gate, accepting, open }, receiver)
    }

    pub fn handler(&self) -> &Arc<Handler> {
        &self.handler
    }

    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// A token that counts as an open connection.
    pub fn connection(&self) -> Option<mpsc::Sender<()>> {
        self.open.lock().clone()
    }

    /// Accepts, unless it is being done already.
    pub fn open(&self) {
        if let Err(why) = self.try_open() {
            tracing::error!(%why, "the listening sockets cannot be used; nothing is accepted");
        }
    }

    fn try_open(&self) -> io::Result<()> {
        let mut accepting = self.accepting.lock();
        let Some(open) = self.connection().filter(|_| accepting.is_none()) else { return Ok(()) };
        let copies = self.bound.lock().iter().map(Bound::try_clone).collect::<io::Result<Vec<_>>>()?;
        let stop = watch::Sender::new(false);
        let accept = |bound| {
            let (handler, gate) = (Arc::clone(&self.handler), Arc::clone(&self.gate));
            engine::accept(bound, handler, gate, open.clone(), stop.subscribe())
        };
        let tasks = copies.into_iter().map(accept).collect();
        *accepting = Some(Accepting { stop, tasks });
        Ok(())
    }

    /// Accepts no more; afterwards nobody does here.
    pub async fn close(&self) {
        let accepting = self.accepting.lock().take();
        let Some(Accepting { stop, tasks }) = accepting else { return };
        stop.send_replace(true);
        for task in tasks {
            let _ = task.await;
        }
    }

    /// The sockets, for another process, and the names of those that a service manager has bound.
    pub fn copies(&self) -> io::Result<(Vec<OwnedFd>, Vec<String>)> {
        let bound = self.bound.lock();
        let lent = bound.iter().filter(|bound| bound.is_lent()).map(|bound| bound.name().to_owned()).collect();
        let sockets = bound.iter().map(|bound| Ok(bound.try_clone()?.into())).collect::<io::Result<_>>()?;
        Ok((sockets, lent))
    }

    /// Lets the sockets go.
    pub async fn give_up(&self) {
        self.close().await;
        self.bound.lock().clear();
        self.open.lock().take();
    }
}
