//! What differs between the systems that we run on.
//!
//! Enters: open files, bytes and numbers. Leaves: the same on all systems, as far as they have it.
//! Must not know: what it is done for.

pub mod allocator;
mod fixed;
pub mod machine;
mod pipe;
mod program;

pub use fixed::Fixed;
pub use pipe::{Corked, Sent, send_ahead, send_file};
pub use program::Program;

use std::fs::File;
use std::os::fd::OwnedFd;

/// Asks the system to forget what it keeps in memory of a part of a file that was read once and is not read again. Where
/// it cannot, it keeps it.
#[cfg(not(target_os = "macos"))]
pub fn forget_pages(file: &File, at: u64, len: u64) {
    let _ = rustix::fs::fadvise(file, at, std::num::NonZeroU64::new(len), rustix::fs::Advice::DontNeed);
}

/// Here it is said of the file as it is open, once and for all that is read by it.
#[cfg(target_os = "macos")]
pub fn forget_pages(file: &File, at: u64, _len: u64) {
    if at == 0 {
        let _ = rustix::fs::fcntl_nocache(file, true);
    }
}

/// How many files this process may have open at a time; none: no limit.
pub fn descriptors_max() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[derive(Debug, thiserror::Error)]
#[error("the service manager's listening sockets cannot be taken: {0}")]
pub struct ActivationError(String);

/// The listening sockets that systemd has bound for this process (sd_listen_fds). To be asked once.
#[cfg(target_os = "linux")]
pub fn activated() -> Result<Vec<OwnedFd>, ActivationError> {
    let sockets = sd_listen_fds::get().map_err(|why| ActivationError(why.to_string()))?;
    Ok(sockets.into_iter().map(|(_, socket)| socket.into_std()).collect())
}

/// The one listening socket that launchd has bound for this job, under the name `Listeners`. To be asked once.
#[cfg(target_os = "macos")]
pub fn activated() -> Result<Vec<OwnedFd>, ActivationError> {
    use service_binding::{Binding, Error, Listener};
    let binding = match Binding::try_from("fd://Listeners") {
        Ok(binding) => binding,
        Err(Error::DescriptorsMissing) => return Ok(Vec::new()),
        Err(Error::DescriptorOutOfRange(count)) => {
            return Err(ActivationError(format!("there are {count}; give `Listeners` one address (SockFamily IPv4)")));
        }
        Err(why) => return Err(ActivationError(why.to_string())),
    };
    match Listener::try_from(binding).map_err(|why| ActivationError(why.to_string()))? {
        Listener::Unix(listener) => Ok(vec![listener.into()]),
        Listener::Tcp(listener) => Ok(vec![listener.into()]),
        Listener::NamedPipe(_) => Ok(Vec::new()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub fn activated() -> Result<Vec<OwnedFd>, ActivationError> {
    Ok(Vec::new())
}

/// Whether a socket listens. Where the system does not say, it is believed: it says so when it is to accept.
#[cfg(not(target_os = "macos"))]
pub fn is_listening(socket: &OwnedFd) -> bool {
    rustix::net::sockopt::socket_acceptconn(socket).unwrap_or(true)
}

#[cfg(target_os = "macos")]
pub fn is_listening(_: &OwnedFd) -> bool {
    true
}

/// Whether launchd started this process as a job: it looks only at the process that it started, and starts another when
/// that one ends.
pub fn is_launchds_job(variable: impl Fn(&str) -> Option<String>) -> bool {
    cfg!(target_os = "macos") && variable("XPC_SERVICE_NAME").is_some_and(|name| !matches!(&*name, "" | "0"))
}

/// Lets everything reach the disk that was written to a file system. Says whether it did: where there is no such call,
/// files and directories are to be synced one by one.
#[cfg(target_os = "linux")]
pub fn sync_file_system(inside: &File) -> std::io::Result<bool> {
    Ok(rustix::fs::syncfs(inside).map(|()| true)?)
}

#[cfg(not(target_os = "linux"))]
pub fn sync_file_system(_inside: &File) -> std::io::Result<bool> {
    Ok(false)
}
