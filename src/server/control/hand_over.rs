use super::desk::{Desk, Event};
use super::line::{LineError, Lines};
use super::{NewSays, OldSays, TakeOver};
use crate::server::gate::Silence;
use crate::server::handover::{Old, OldDoes, OldHears};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;

/// How long one that comes while another is taking over waits for that one to fail.
const TURN_WAIT: Duration = Duration::from_secs(5);

/// How long running writes have to end; new ones wait for as long.
const WRITES_WAIT: Duration = Duration::from_secs(30);

/// How long the new server may take to read its settings against our sockets.
const CLAIM_WAIT: Duration = Duration::from_secs(30);

/// How long it may take to open the data directory, and bring it up to a newer format, while connections wait in line.
const READY_WAIT: Duration = Duration::from_secs(60);

/// How long it may take to accept.
const SERVING_WAIT: Duration = Duration::from_secs(10);

/// How long a process that was ended takes to be gone.
const END_WAIT: Duration = Duration::from_secs(5);

impl Desk {
    /// Lets another process take over, step by step as [`Old`] has it. Whatever fails, this server serves on.
    pub(super) async fn hand_over(&self, lines: &mut Lines, asked: TakeOver) {
        let Ok(_one) = tokio::time::timeout(TURN_WAIT, self.handing.lock()).await else {
            let _ = lines.write(&OldSays::Refused("another process is taking over already".to_owned())).await;
            return;
        };
        let pid = lines.stream().peer_cred().ok().and_then(|peer| peer.pid());
        tracing::info!(version = asked.version, pid, "another process wants to take over");
        let _ = self.events.send(Event::Asked).await;
        let (mut old, mut heard) = (Old::Serving, OldHears::Asked);
        let (mut silence, mut why) = (None, String::new());
        loop {
            let (next, does) = old.hear(heard);
            old = next;
            heard = match does {
                OldDoes::Offer => self.offer(lines, &mut why).await,
                OldDoes::QuietWrites => self.quiet_writes(lines, &mut silence, &mut why).await,
                OldDoes::Yield => self.yield_to(lines, &mut why).await,
                OldDoes::SayGo => match lines.write(&OldSays::Go).await {
                    Ok(()) => hear(lines, NewSays::Serving, OldHears::Serving, SERVING_WAIT, &mut why).await,
                    Err(failed) => lost(failed, &mut why),
                },
                OldDoes::EndThem => end(lines, pid).await,
                OldDoes::Resume => {
                    let _ = lines.write(&OldSays::Refused(why.clone())).await;
                    self.resume().await;
                    tracing::warn!(why, "the other process has not taken over; this one serves on");
                    let _ = self.events.send(Event::ServesOn { why }).await;
                    return;
                }
                OldDoes::Leave => {
                    self.leave().await;
                    tracing::info!(pid, "another process serves now; running answers come to their end here");
                    let by = pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or_default();
                    let _ = self.events.send(Event::Relieved { by }).await;
                    return;
                }
            };
        }
    }

    async fn offer(&self, lines: &mut Lines, why: &mut String) -> OldHears {
        let sockets = self.socket.try_clone().and_then(|control| {
            let (mut sockets, lent) = self.doors.copies()?;
            sockets.insert(0, OwnedFd::from(control));
            Ok((sockets, lent))
        });
        let offered = match sockets {
            Ok((sockets, lent)) => {
                let (version, pid) = (env!("CARGO_PKG_VERSION").to_owned(), std::process::id());
                lines.write_with(&OldSays::Offer { version, pid, lent }, &sockets).await
            }
            Err(failed) => Err(failed.into()),
        };
        match offered {
            Ok(()) => hear(lines, NewSays::Claim, OldHears::Claimed, CLAIM_WAIT, why).await,
            Err(failed) => lost(failed, why),
        }
    }

    async fn quiet_writes(&self, lines: &mut Lines, silence: &mut Option<Silence>, why: &mut String) -> OldHears {
        tokio::select! {
            quiet = self.doors.gate().silence(WRITES_WAIT) => match quiet {
                Some(quiet) => {
                    *silence = Some(quiet);
                    OldHears::Silence
                }
                None => {
                    *why = format!("an upload has not ended within {} seconds; try again", WRITES_WAIT.as_secs());
                    OldHears::Late
                }
            },
            // Nothing is to be said now: what comes is the end, or nonsense.
            said = lines.read::<NewSays>() => lost(said.err().unwrap_or_else(|| gone("it spoke out of turn")), why),
        }
    }

    async fn yield_to(&self, lines: &mut Lines, why: &mut String) -> OldHears {
        // While we are still heard: the new one goes on counting from there.
        self.index().write_books().await;
        self.doors.gate().wait();
        self.doors.close().await;
        let yielded = match self.index().lock_copy() {
            Ok(lock) => lines.write_with(&OldSays::Yours, &lock.into_iter().collect::<Vec<_>>()).await,
            Err(failed) => Err(failed.into()),
        };
        match yielded {
            Ok(()) => hear(lines, NewSays::Ready, OldHears::Ready, READY_WAIT, why).await,
            Err(failed) => lost(failed, why),
        }
    }

    async fn resume(&self) {
        let ours = self.index().take_back();
        if !ours {
            tracing::error!(
                "a newer version has changed the data directory: this one only reads until that is started"
            );
        }
        self.doors.open();
        self.doors.gate().resume(ours);
    }

    async fn leave(&self) {
        self.close().await;
        self.doors.give_up().await;
        self.index().retire();
        self.doors.gate().pass_to(self.data.clone());
    }
}

/// Waits for the one thing that may be said now.
async fn hear(lines: &mut Lines, expected: NewSays, heard: OldHears, wait: Duration, why: &mut String) -> OldHears {
    match tokio::time::timeout(wait, lines.read::<NewSays>()).await {
        Ok(Ok(said)) if said == expected => heard,
        Ok(Ok(_)) => lost(gone("it spoke out of turn"), why),
        Ok(Err(failed)) => lost(failed, why),
        Err(_) => {
            *why = format!("the new process did not get on within {} seconds", wait.as_secs());
            OldHears::Late
        }
    }
}

fn lost(failed: LineError, why: &mut String) -> OldHears {
    *why = format!("the new process gave up ({failed})");
    OldHears::Lost
}

fn gone(why: &str) -> LineError {
    LineError::Gone(std::io::Error::other(why))
}

/// Ends the process at the other end, and waits until it is gone.
async fn end(lines: &mut Lines, pid: Option<i32>) -> OldHears {
    let Some(pid) = pid.and_then(Pid::from_raw) else { return OldHears::Unended };
    if kill_process(pid, Signal::KILL).is_err() {
        return OldHears::Unended;
    }
    let silent = async { while lines.read::<serde_json::Value>().await.is_ok() {} };
    match tokio::time::timeout(END_WAIT, silent).await {
        Ok(()) => OldHears::Ended,
        Err(_) => OldHears::Unended,
    }
}
