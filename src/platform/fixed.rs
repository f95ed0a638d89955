use super::pipe::Sent;
use bytes::Bytes;
use memmap2::{MmapMut, MmapOptions};
use std::io;
use std::ops::{Deref, Range};
use std::os::fd::BorrowedFd;

/// Bytes that stay as they are, to be sent often. Many of them lie in pages of memory of their own, which the system sends
/// without a copy ([`Fixed::send`]).
#[derive(Clone, Default)]
pub struct Fixed {
    bytes: Bytes,
    /// They lie in a mapping of their own that nobody can write to, and that is let go of as a whole.
    apart: bool,
}

/// From here on bytes get pages of their own. Below, copying them costs less (bench/LOG.md).
const APART_BYTES_MIN: usize = 64 * 1024;

impl Fixed {
    /// Room for `len` bytes, filled by `fill`.
    ///
    /// # Errors
    ///
    /// What `fill` says.
    pub fn filled(len: usize, fill: impl FnOnce(&mut [u8]) -> io::Result<()>) -> io::Result<Self> {
        if let Some(mut map) = pages(len) {
            fill(&mut map)?;
            return Self::sealed(map);
        }
        let mut bytes = vec![0; len];
        fill(&mut bytes)?;
        Ok(Bytes::from(bytes).into())
    }

    /// All `parts`, one after the other.
    pub fn gathered(parts: &[Vec<u8>]) -> Self {
        let len = parts.iter().map(Vec::len).sum();
        let apart = pages(len).and_then(|mut map| {
            let mut room = &mut map[..];
            parts.iter().try_for_each(|part| io::Write::write_all(&mut room, part)).ok()?;
            Self::sealed(map).ok()
        });
        apart.unwrap_or_else(|| Bytes::from(parts.concat()).into())
    }

    fn sealed(map: MmapMut) -> io::Result<Self> {
        Ok(Self { bytes: Bytes::from_owner(map.make_read_only()?), apart: true })
    }

    /// Whether [`Fixed::send`] can send them.
    pub fn is_apart(&self) -> bool {
        self.apart
    }

    /// Some of them.
    ///
    /// # Panics
    ///
    /// Where `range` is not within them.
    pub fn slice(&self, range: Range<usize>) -> Self {
        Self { bytes: self.bytes.slice(range), apart: self.apart }
    }

    /// Lets the system send some of them to a socket.
    ///
    /// # Errors
    ///
    /// As [`super::send_file`]; `Unsupported` for bytes that have no pages of their own.
    #[cfg(target_os = "linux")]
    #[expect(unsafe_code, reason = "two thirds of what a copy costs (bench/LOG.md); there is no safe door to vmsplice")]
    pub fn send(&self, socket: BorrowedFd<'_>, range: Range<usize>) -> io::Result<Sent> {
        use rustix::pipe::{IoSliceRaw, SpliceFlags};
        let Some(part) = self.bytes.get(range).filter(|_| self.apart) else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        super::pipe::linux::send(socket, |entrance| {
            // SAFETY: `entrance` is the end of a pipe that is written to, so that the bytes are only read. The pipe, and the
            // socket after it, refer to their pages after this call, and after we have let go of them: nobody ever writes
            // to these, since the mapping is private and cannot be written to, and the system keeps what is referred to.
            Ok(unsafe { rustix::pipe::vmsplice(entrance, &[IoSliceRaw::from_slice(part)], SpliceFlags::NONBLOCK) }?)
        })
    }

    #[cfg(not(target_os = "linux"))]
    pub fn send(&self, _: BorrowedFd<'_>, _: Range<usize>) -> io::Result<Sent> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Deref for Fixed {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.bytes
    }
}

impl From<Vec<u8>> for Fixed {
    fn from(bytes: Vec<u8>) -> Self {
        let apart = pages(bytes.len()).and_then(|mut map| {
            map.copy_from_slice(&bytes);
            Self::sealed(map).ok()
        });
        apart.unwrap_or_else(|| Bytes::from(bytes).into())
    }
}

impl From<Bytes> for Fixed {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, apart: false }
    }
}

/// Pages of their own for `len` bytes, where so many get some and there are any.
fn pages(len: usize) -> Option<MmapMut> {
    let is_worth_it = cfg!(target_os = "linux") && len >= APART_BYTES_MIN;
    is_worth_it.then(|| MmapOptions::new().len(len).populate().map_anon().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_what_they_were_made_of() {
        for len in [0, 1, APART_BYTES_MIN - 1, APART_BYTES_MIN, APART_BYTES_MIN + 1, 1 << 20] {
            let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            let fixed = Fixed::from(bytes.clone());
            assert!(fixed[..] == bytes, "{len}");
            assert_eq!(fixed.is_apart(), cfg!(target_os = "linux") && len >= APART_BYTES_MIN, "{len}");
            assert!(fixed.slice(len / 3..len)[..] == bytes[len / 3..]);
            let gathered = Fixed::gathered(&[bytes[..len / 3].to_vec(), Vec::new(), bytes[len / 3..].to_vec()]);
            assert!(gathered[..] == bytes && gathered.is_apart() == fixed.is_apart(), "{len}");
        }
        assert!(Fixed::filled(100_000, |_| Err(io::ErrorKind::UnexpectedEof.into())).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_on_its_way_stays_as_it_is_when_it_is_let_go_of() {
        use std::io::Read;
        use std::os::fd::AsFd;
        const LEN: usize = 128 * 1024;
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let fixed = Fixed::from(vec![1; LEN]);
        let sent = fixed.send(ours.as_fd(), 0..LEN).unwrap();
        drop(fixed);
        // The memory's next owners write something else to it.
        let others: Vec<Fixed> = (0..64).map(|_| Fixed::from(vec![2; LEN])).collect();
        drop(ours);
        let mut got = Vec::new();
        theirs.read_to_end(&mut got).unwrap();
        assert_eq!(got.len(), sent.count);
        assert!(sent.count > 0 && got.iter().all(|&byte| byte == 1));
        assert_eq!(others.len(), 64);
        let small = Fixed::from(vec![1; 100]);
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(small.send(ours.as_fd(), 0..100).unwrap_err().kind(), io::ErrorKind::Unsupported);
    }
}
