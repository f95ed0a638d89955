use crate::config::Listen;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{IntoRawFd, RawFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// A listener that is bound, and not yet accepting.
pub enum Bound {
    Tcp { listener: TcpListener, name: String, address: SocketAddr },
    Unix { listener: UnixListener, name: String },
}

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("cannot listen on {address}: {why}; is another server running there? Stop it, or give another --listen")]
    Tcp { address: SocketAddr, why: io::Error },
    #[error("cannot listen on unix:{}: {why}", path.display())]
    Unix { path: PathBuf, why: io::Error },
    #[error("cannot listen on unix:{}: a server answers there already", path.display())]
    Taken { path: PathBuf },
}

/// Mode of the Unix socket: the user and the group, which a proxy can be put into; nobody else.
const SOCKET_MODE: u32 = 0o660;

impl Bound {
    pub fn bind(listen: &Listen) -> Result<Self, ListenError> {
        match listen {
            Listen::Tcp(address) => {
                let failed = |why| ListenError::Tcp { address: *address, why };
                let listener = TcpListener::bind(address).map_err(failed)?;
                listener.set_nonblocking(true).map_err(failed)?;
                let bound = listener.local_addr().map_err(failed)?;
                Ok(Self::Tcp { listener, name: bound.to_string(), address: bound })
            }
            Listen::Unix(path) => {
                let listener = bind_unix(path, SOCKET_MODE)?;
                Ok(Self::Unix { listener, name: path.display().to_string() })
            }
        }
    }

    /// The address, or the socket's path.
    pub fn name(&self) -> &str {
        match self {
            Self::Tcp { name, .. } | Self::Unix { name, .. } => name,
        }
    }

    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp { address, .. } => Some(*address),
            Self::Unix { .. } => None,
        }
    }

    pub fn port(&self) -> Option<u16> {
        self.address().map(|address| address.port())
    }

    pub fn into_raw_fd(self) -> RawFd {
        match self {
            Self::Tcp { listener, .. } => listener.into_raw_fd(),
            Self::Unix { listener, .. } => listener.into_raw_fd(),
        }
    }
}

/// A socket file outlives its server: one that nobody answers on is replaced, anything else is left alone.
pub(super) fn bind_unix(path: &Path, mode: u32) -> Result<UnixListener, ListenError> {
    let failed = |why| ListenError::Unix { path: path.to_owned(), why };
    if std::fs::symlink_metadata(path).is_ok_and(|facts| facts.file_type().is_socket()) {
        match UnixStream::connect(path) {
            Err(why) if why.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path).map_err(failed)?,
            // Any other error means that somebody is there: of another kind, or one that we may not speak to.
            Ok(_) | Err(_) => return Err(ListenError::Taken { path: path.to_owned() }),
        }
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}
