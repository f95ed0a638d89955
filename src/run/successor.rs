use crate::platform;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use tokio::process::Command;
use tokio::sync::{mpsc, oneshot};

/// Starts this program's file anew, which may be another one by now, so that it takes over; see `docs/upgrade.md`.
pub(super) struct Successor {
    program: PathBuf,
    ended: mpsc::Sender<String>,
    ends: mpsc::Receiver<String>,
    /// Who waits to hear how it went.
    asked: Option<oneshot::Sender<Result<(), String>>>,
}

/// What makes a process take over.
const TAKE_OVER: &str = "--take-over";

/// What a service manager says to one process only.
const OURS_ALONE: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];

impl Successor {
    /// To be made at the start, while the program's path still leads to it.
    pub fn new() -> Self {
        let (ended, ends) = mpsc::channel(1);
        Self { program: program(), ended, ends, asked: None }
    }

    /// Starts it; who asked hears how it went.
    pub fn start(&mut self, asked: Option<oneshot::Sender<Result<(), String>>>) {
        match self.spawn() {
            Ok(pid) => {
                tracing::info!(program = %self.program.display(), pid, "a new process was started, to take over");
                // Who asked before and has heard nothing is not kept waiting for another.
                self.tell(Err("another upgrade was begun".to_owned()));
                self.asked = asked;
            }
            Err(why) => {
                tracing::error!(why, "no new process was started; this one serves on");
                if let Some(asked) = asked {
                    let _ = asked.send(Err(why));
                }
            }
        }
    }

    /// Waits until a process that was started ends before it has taken over; how it ended.
    pub async fn ended(&mut self) -> String {
        match self.ends.recv().await {
            Some(how) => how,
            // Never: a sender is here.
            None => std::future::pending().await,
        }
    }

    /// Tells who waits.
    pub fn tell(&mut self, how: Result<(), String>) {
        if let Some(asked) = self.asked.take() {
            let _ = asked.send(how);
        }
    }

    fn spawn(&self) -> Result<u32, String> {
        if platform::is_launchds_job(|name| std::env::var(name).ok()) {
            return Err("launchd watches this process: restart the job, whose sockets keep connections in line \
                        (`launchctl kickstart -k gui/$UID/LABEL`)"
                .to_owned());
        }
        let mut command = Command::new(&self.program);
        command.args(arguments(std::env::args_os().skip(1)));
        OURS_ALONE.iter().for_each(|name| {
            command.env_remove(name);
        });
        let mut child = command.spawn().map_err(|why| format!("{} does not start: {why}", self.program.display()))?;
        let pid = child.id().unwrap_or_default();
        let ended = self.ended.clone();
        tokio::spawn(async move {
            let how = match child.wait().await {
                Ok(status) => format!("the new process ended with {status}; its log says why"),
                Err(why) => format!("the new process is lost: {why}"),
            };
            let _ = ended.send(how).await;
        });
        Ok(pid)
    }
}

/// The arguments of this process, with the one that makes it take over.
fn arguments(ours: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<_> = ours.collect();
    if !arguments.iter().any(|argument| argument == TAKE_OVER) {
        // Right behind the command: what follows may be another option's value.
        arguments.insert(arguments.len().min(1), TAKE_OVER.into());
    }
    arguments
}

/// The path by which this program was called: through a link too it leads to the file of the day.
fn program() -> PathBuf {
    let called = std::env::args_os().next().unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    found(&called, &path).unwrap_or_else(|| std::env::current_exe().unwrap_or_else(|_| called.into()))
}

fn found(called: &OsStr, path: &OsStr) -> Option<PathBuf> {
    let name = Path::new(called);
    if name.components().count() > 1 {
        return std::path::absolute(name).ok().filter(|program| program.is_file());
    }
    std::env::split_paths(path).map(|directory| directory.join(name)).find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_process_has_our_arguments_and_takes_over() {
        let read = |line: &str| {
            let told = arguments(line.split_whitespace().map(OsString::from));
            told.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(read("serve --data /d --listen unix:/s"), "serve --take-over --data /d --listen unix:/s");
        assert_eq!(read("serve --take-over --data /d"), "serve --take-over --data /d");
    }

    #[test]
    fn the_program_is_found_as_it_was_called() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("sidewheel");
        std::fs::write(&program, "").unwrap();
        let path = std::env::join_paths([Path::new("/nowhere"), directory.path()]).unwrap();
        assert_eq!(found("sidewheel".as_ref(), &path), Some(program.clone()));
        assert_eq!(found(program.as_os_str(), "".as_ref()), Some(program));
        assert_eq!(found("gone/sidewheel".as_ref(), &path), None);
    }
}
