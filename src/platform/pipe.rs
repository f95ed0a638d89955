//! What the system sends by itself, without a copy of ours: pages of a file, or of memory that stays as it is.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;

/// What a socket took in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// In bytes; 0 at the end of a file, and never else.
    pub count: usize,
    /// It had no room for more.
    pub is_full: bool,
}

/// Gives a socket bytes that [`send_file`] or [`super::Fixed::send`] follows at once, so that both leave in the same segments
/// (MSG_MORE); how many it took.
///
/// # Errors
///
/// As [`send_file`].
#[cfg(target_os = "linux")]
pub fn send_ahead(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    use rustix::net::SendFlags;
    Ok(rustix::net::send(socket, bytes, SendFlags::MORE | SendFlags::NOSIGNAL)?)
}

#[cfg(not(target_os = "linux"))]
pub fn send_ahead(_: BorrowedFd<'_>, _: &[u8]) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// While it lives a TCP socket sends full segments only (TCP_CORK): else each acknowledgement that arrives pushes out the
/// little that a pipe has put there beyond the last full one, half as many segments again (bench/LOG.md).
pub struct Corked<'a>(BorrowedFd<'a>);

impl<'a> Corked<'a> {
    pub fn new(socket: BorrowedFd<'a>) -> Self {
        let corked = Self(socket);
        corked.set(true);
        corked
    }

    /// What is no TCP socket sends as it likes.
    #[cfg(target_os = "linux")]
    fn set(&self, corked: bool) {
        let _ = rustix::net::sockopt::set_tcp_cork(self.0, corked);
    }

    #[cfg(not(target_os = "linux"))]
    fn set(&self, _: bool) {
        let Self(_) = self;
    }
}

impl Drop for Corked<'_> {
    fn drop(&mut self) {
        self.set(false);
    }
}

/// Lets the system send up to `count` bytes of a file from `at` to a socket.
///
/// # Errors
///
/// `WouldBlock` where a socket that does not wait has no room; `Unsupported` where the system does not do it.
#[cfg(target_os = "linux")]
pub fn send_file(socket: BorrowedFd<'_>, file: &File, at: u64, count: usize) -> io::Result<Sent> {
    linux::send(socket, |entrance| {
        let flags = rustix::pipe::SpliceFlags::NONBLOCK;
        Ok(rustix::pipe::splice(file, Some(&mut { at }), entrance, None, count, flags)?)
    })
}

#[cfg(not(target_os = "linux"))]
pub fn send_file(_: BorrowedFd<'_>, _: &File, _: u64, _: usize) -> io::Result<Sent> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(target_os = "linux")]
pub(super) mod linux {
    use super::Sent;
    use rustix::io::Errno;
    use rustix::pipe::{PipeFlags, SpliceFlags};
    use std::cell::Cell;
    use std::io;
    use std::os::fd::{BorrowedFd, OwnedFd};

    /// What goes through a pipe at a time, in bytes: the most that the system gives to anybody
    /// (`/proc/sys/fs/pipe-max-size`). The pipe inside sendfile(2) takes 64 KiB, and a byte costs a tenth more by
    /// it, or twice as much where the client runs on the same core (bench/LOG.md).
    const PIPE_BYTES: usize = 1024 * 1024;

    thread_local! {
        /// One for each worker, empty between two calls.
        static PIPE: Cell<Option<Pipe>> = const { Cell::new(None) };
    }

    struct Pipe {
        exit: OwnedFd,
        entrance: OwnedFd,
    }

    /// Fills the pipe by `fill`, and empties it into the socket.
    pub fn send(socket: BorrowedFd<'_>, fill: impl FnOnce(&OwnedFd) -> io::Result<usize>) -> io::Result<Sent> {
        let pipe = PIPE.take().map_or_else(Pipe::open, Ok)?;
        let filled = fill(&pipe.entrance)?;
        let count = pipe.empty_into(socket, filled)?;
        let is_full = count < filled;
        // What is left in a pipe is nobody else's: both go.
        if !is_full {
            PIPE.set(Some(pipe));
        }
        Ok(Sent { count, is_full })
    }

    impl Pipe {
        fn open() -> io::Result<Self> {
            let (exit, entrance) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
            // Who has many pipes gets small ones, which do as well.
            let _ = rustix::pipe::fcntl_setpipe_size(&entrance, PIPE_BYTES);
            Ok(Self { exit, entrance })
        }

        fn empty_into(&self, socket: BorrowedFd<'_>, filled: usize) -> io::Result<usize> {
            let mut count = 0;
            while count < filled {
                match rustix::pipe::splice(&self.exit, None, socket, None, filled - count, SpliceFlags::NONBLOCK) {
                    Ok(0) if count == 0 => return Err(io::ErrorKind::WouldBlock.into()),
                    Ok(0) => break,
                    Ok(taken) => count += taken,
                    Err(Errno::INTR) => {}
                    // The next call says what is wrong.
                    Err(_) if count > 0 => break,
                    Err(why) => return Err(why.into()),
                }
            }
            Ok(count)
        }
    }
}
