use super::{LOOK_EVERY, ready};
use crate::config::Listen;
use std::io;
use std::process::{Command, Stdio};

/// What is done outside of this program. Tests have hands of their own, and look at what was typed.
pub trait Hands {
    /// Types a command and waits for its end; the first word is the program.
    fn run(&self, command: &[&str]) -> io::Result<Ran>;

    /// Whether a server that listens here answers that it is ready.
    fn ready(&self, listen: &Listen) -> bool;

    /// Waits until the next look.
    fn pause(&self);
}

/// A command that ended.
#[derive(Debug, Clone, Default)]
pub struct Ran {
    /// None: a signal ended it.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// What it had to say about its failure, in one line.
    pub fn told(&self) -> String {
        let text = if self.err.trim().is_empty() { &self.out } else { &self.err };
        match (text.trim().replace('\n', "; "), self.code) {
            (text, _) if !text.is_empty() => text,
            (_, Some(code)) => format!("exit code {code}"),
            (_, None) => "ended by a signal".to_owned(),
        }
    }
}

/// The hands of this process.
pub struct RealHands;

impl Hands for RealHands {
    fn run(&self, command: &[&str]) -> io::Result<Ran> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        // What is said is read: it shall not be translated, and not wait in a pager.
        let output = Command::new(program)
            .args(arguments)
            .envs([("LC_ALL", "C"), ("SYSTEMD_PAGER", ""), ("SYSTEMD_COLORS", "0")])
            .stdin(Stdio::null())
            .output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) })
    }

    fn ready(&self, listen: &Listen) -> bool {
        ready::ready(listen).unwrap_or(false)
    }

    fn pause(&self) {
        std::thread::sleep(LOOK_EVERY);
    }
}
