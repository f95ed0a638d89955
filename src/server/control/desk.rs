use super::line::{LineError, Lines};
use super::{ANSWER_WAIT, Answer, Request, Said, Status};
use crate::index::Index;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

/// What the server says of itself.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Unix seconds.
    pub started: u64,
    /// The data directory's format.
    pub format: u32,
}

/// Where questions are answered.
pub struct Desk {
    pub index: Index,
    pub standing: Standing,
    pub addresses: Vec<String>,
}

/// Questions at the same time; more wait in the kernel's line.
const ASKERS_MAX: usize = 16;

/// How long who has connected may take to say what they want.
const QUESTION_WAIT: Duration = Duration::from_secs(10);

/// After a failing accept, most often for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Answers until the task is ended.
pub async fn answer(listener: UnixListener, desk: Desk) {
    let (desk, places) = (Arc::new(desk), Arc::new(Semaphore::new(ASKERS_MAX)));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) if is_ours(&stream) => {
                let desk = Arc::clone(&desk);
                tokio::spawn(async move {
                    let _place = place;
                    let mut lines = Lines::new(stream);
                    let said = desk.hear(&mut lines).await;
                    let _ = tokio::time::timeout(ANSWER_WAIT, lines.write(&said)).await;
                });
            }
            Ok(_) => tracing::warn!("another user's program asked at the control socket; it was not answered"),
            Err(why) => {
                tracing::warn!(%why, "the control socket does not accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether this user, or root, is at the other end.
fn is_ours(stream: &UnixStream) -> bool {
    let us = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == us || peer.uid() == 0)
}

impl Desk {
    async fn hear(&self, lines: &mut Lines) -> Said {
        let request = match tokio::time::timeout(QUESTION_WAIT, lines.read()).await {
            Ok(Ok(request)) => request,
            Ok(Err(why)) => return Said::Refused(misheard(&why)),
            Err(_) => return Said::Refused("no question came".to_owned()),
        };
        match tokio::time::timeout(ANSWER_WAIT, self.answer(request)).await {
            Ok(Ok(answer)) => Said::Done(answer),
            Ok(Err(sentence)) => Said::Refused(sentence),
            Err(_) => Said::Refused("it takes too long; the server may be busy".to_owned()),
        }
    }

    async fn answer(&self, request: Request) -> Result<Answer, String> {
        match request {
            Request::Status => Ok(Answer::Status(self.status().await)),
        }
    }

    async fn status(&self) -> Status {
        let (cached_files, cached_bytes) = self.index.disk_totals().await;
        Status {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: self.standing.started,
            addresses: self.addresses.clone(),
            format: self.standing.format,
            cached_files,
            cached_bytes,
            trouble: self.index.ready().await.err().map(|why| why.to_string()),
        }
    }
}

fn misheard(why: &LineError) -> String {
    format!("the running server, version {}, was asked what it cannot answer: {why}", env!("CARGO_PKG_VERSION"))
}
