use super::CONTROL_FILE;
use crate::platform::machine::MACOS;
use crate::server::listen::{ListenError, bind_unix};
use rustix::fs::{Mode, OFlags};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

/// Only this user.
const MODE: u32 = 0o600;

/// Binds the control socket of a data directory whose lock is ours.
pub fn bind(data: &Path) -> Result<UnixListener, ListenError> {
    let failed = |why| ListenError::Unix { path: data.join(CONTROL_FILE), why };
    bind_unix(Short::of(data).map_err(failed)?.path(), MODE)
}

/// The socket's path in a form that fits into an address, which has room for about a hundred bytes.
pub struct Short {
    path: PathBuf,
    _directory: Option<OwnedFd>,
}

impl Short {
    pub fn of(data: &Path) -> io::Result<Self> {
        let path = data.join(CONTROL_FILE);
        if SocketAddr::from_pathname(&path).is_ok() {
            return Ok(Self { path, _directory: None });
        }
        // Linux names an open directory in a few letters; elsewhere there is no such way, and the error says so.
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(data, flags, Mode::empty())?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(CONTROL_FILE);
        match MACOS {
            false => Ok(Self { path, _directory: Some(directory) }),
            true => Err(io::Error::other("its path is too long for a socket; choose a shorter --data")),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}
