use crate::config::Listen;
use crate::platform;
use rustix::net::{AddressFamily, SocketType};
use std::fs::Permissions;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// A listener that is bound, and not yet accepting. A lent one was bound by a service manager, which will remove its
/// file.
pub enum Bound {
    Tcp { listener: TcpListener, name: String, address: SocketAddr, lent: bool },
    Unix { listener: UnixListener, name: String, lent: bool },
}

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("cannot listen on {address}: {why}; is another server running there? Stop it, or give another --listen")]
    Tcp { address: SocketAddr, why: io::Error },
    #[error("cannot listen on unix:{}: {why}", path.display())]
    Unix { path: PathBuf, why: io::Error },
    #[error("a listening socket that was handed over cannot be used: {why}")]
    Handed { why: io::Error },
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
                Ok(Self::Tcp { listener, name: bound.to_string(), address: bound, lent: false })
            }
            Listen::Unix(path) => {
                let listener = bind_unix(path, SOCKET_MODE)?;
                Ok(Self::Unix { listener, name: path.display().to_string(), lent: false })
            }
        }
    }

    /// A socket that somebody else has bound: a service manager, or the server that was here before.
    pub fn adopt(socket: OwnedFd, lent: impl FnOnce(&str) -> bool) -> Result<Self, ListenError> {
        let foreign = |why: io::Error| ListenError::Handed { why };
        let not = |what: &str| foreign(io::Error::other(format!("it is {what}")));
        if rustix::net::sockopt::socket_type(&socket).map_err(|why| foreign(why.into()))? != SocketType::STREAM {
            return Err(not("no stream"));
        }
        if !platform::is_listening(&socket) {
            return Err(not("not listening"));
        }
        let family = rustix::net::getsockname(&socket).map_err(|why| foreign(why.into()))?.address_family();
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC).map_err(|why| foreign(why.into()))?;
        match family {
            AddressFamily::INET | AddressFamily::INET6 => {
                let listener = TcpListener::from(socket);
                listener.set_nonblocking(true).map_err(foreign)?;
                let address = listener.local_addr().map_err(foreign)?;
                let name = address.to_string();
                let lent = lent(&name);
                Ok(Self::Tcp { listener, name, address, lent })
            }
            AddressFamily::UNIX => {
                let listener = UnixListener::from(socket);
                listener.set_nonblocking(true).map_err(foreign)?;
                let address = listener.local_addr().map_err(foreign)?;
                let path = address.as_pathname().ok_or_else(|| not("a Unix socket without a path"))?;
                let name = path.display().to_string();
                let lent = lent(&name);
                Ok(Self::Unix { listener, name, lent })
            }
            _ => Err(not("neither TCP nor a Unix socket")),
        }
    }

    /// Whether this is the socket that `listen` means; a port of 0 means any.
    pub fn serves(&self, listen: &Listen) -> bool {
        match (self, listen) {
            (Self::Tcp { address, .. }, Listen::Tcp(wanted)) => {
                address == wanted || (wanted.port() == 0 && wanted.ip() == address.ip())
            }
            (Self::Unix { name, .. }, Listen::Unix(path)) => Path::new(name) == path,
            (Self::Tcp { .. }, Listen::Unix(_)) | (Self::Unix { .. }, Listen::Tcp(_)) => false,
        }
    }

    /// The address, or the socket's path.
    pub fn name(&self) -> &str {
        match self {
            Self::Tcp { name, .. } | Self::Unix { name, .. } => name,
        }
    }

    pub fn is_lent(&self) -> bool {
        match self {
            Self::Tcp { lent, .. } | Self::Unix { lent, .. } => *lent,
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

    /// A second handle on the same socket.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp { listener, name, address, lent } => {
                Self::Tcp { listener: listener.try_clone()?, name: name.clone(), address: *address, lent: *lent }
            }
            Self::Unix { listener, name, lent } => {
                Self::Unix { listener: listener.try_clone()?, name: name.clone(), lent: *lent }
            }
        })
    }

    /// Who may connect to a Unix socket, as it stands now.
    pub fn permissions(&self) -> Permissions {
        std::fs::metadata(self.name()).map_or(Permissions::from_mode(SOCKET_MODE), |facts| facts.permissions())
    }

    pub fn into_raw_fd(self) -> RawFd {
        match self {
            Self::Tcp { listener, .. } => listener.into_raw_fd(),
            Self::Unix { listener, .. } => listener.into_raw_fd(),
        }
    }
}

impl From<Bound> for OwnedFd {
    fn from(bound: Bound) -> Self {
        match bound {
            Bound::Tcp { listener, .. } => listener.into(),
            Bound::Unix { listener, .. } => listener.into(),
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
    std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}
