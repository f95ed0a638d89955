use super::ways::{Way, Ways};
use crate::index::{FileBody, Piece, Shared};
use crate::platform;
use bytes::{Buf, Bytes};
use std::cell::RefCell;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

/// Piece in which a file is read and sent where the system cannot send it by itself.
const PIECE_BYTES: usize = 256 * 1024;

/// From here on what is left of a file is sent by the system (sendfile), at least: below, one write with the head does it.
const DIRECT_BYTES_MIN: u64 = 64 * 1024;

/// Most bytes of a file that the system is asked to send at a time: what is not in its memory is read meanwhile, and
/// the worker waits.
const DIRECT_BYTES_MAX: u64 = 1024 * 1024;

/// What of it is read and written with the head, where the system does not take that beforehand.
const FIRST_BYTES: usize = 16 * 1024;

/// What of it is read and written where the socket has no room, so that we are woken when it has.
const FEELER_BYTES: usize = 4 * 1024;

/// Bytes that one answer may send before others have their turn, to a client that takes them as fast: a millisecond.
const BURST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of a body in memory that are offered in one write.
const SLICE_BYTES_MAX: usize = 64 * 1024 * 1024;

thread_local! {
    /// One buffer for each worker, filled only while a write that does not wait is made: a slow client holds none.
    static PIECE: RefCell<Vec<u8>> = RefCell::new(vec![0; PIECE_BYTES]);
}

/// One for the whole process: it is the machine that is measured.
static WAYS: Ways = Ways::new();

/// Why an answer was not sent whole.
#[derive(Debug)]
pub enum Cut {
    /// The client went away or stopped reading.
    Client,
    /// What was promised cannot be kept: the connection must be cut so that the client sees it.
    Body(crate::cache::Failure),
    /// The file on the disk ended early or cannot be read.
    File,
}

/// Sends a head and what follows it, the first piece of the body in the same write.
pub struct Sender<'a, W: ?Sized> {
    to: &'a mut W,
    /// The socket below `to`, where nothing lies between: the system may send files to it by itself.
    socket: Option<BorrowedFd<'a>>,
    /// The socket took less than it was offered: it has no room.
    full: bool,
    /// What is left of it to send.
    head: &'a [u8],
    /// How long the client may take nothing.
    patience: Duration,
    /// Bytes sent since others had their turn.
    burst: usize,
    /// Bytes of the body that are sent.
    pub sent: u64,
}

impl<'a, W: AsyncWrite + Unpin + ?Sized> Sender<'a, W> {
    pub fn new(to: &'a mut W, socket: Option<BorrowedFd<'a>>, head: &'a [u8], patience: Duration) -> Self {
        Self { to, socket, full: false, head, patience, burst: 0, sent: 0 }
    }

    /// Sends the head alone, if it is not sent yet, and pushes out what a buffer holds.
    pub async fn finish(&mut self) -> Result<(), Cut> {
        while !self.head.is_empty() {
            self.step(|this, cx| this.poll_send(cx, &[])).await?;
        }
        self.step(|this, cx| Pin::new(&mut *this.to).poll_flush(cx).map_ok(|()| 0)).await.map(|_| ())
    }

    /// Returns when the client has closed its side. What else it sends meanwhile is not read on.
    pub async fn left(&mut self)
    where
        W: AsyncRead,
    {
        if let Ok(1..) = self.to.read(&mut [0]).await {
            std::future::pending().await
        }
    }

    pub async fn bytes(&mut self, mut bytes: Bytes) -> Result<(), Cut> {
        while !bytes.is_empty() {
            let count = self.step(|this, cx| this.poll_send(cx, &bytes)).await?;
            bytes.advance(count);
        }
        Ok(())
    }

    /// Sends a body, whose first piece may be here already.
    pub async fn body(&mut self, first: Option<Piece>, body: &mut FileBody) -> Result<(), Cut> {
        let mut piece = first;
        while let Some(next) = piece {
            match next {
                Piece::Bytes(bytes) => self.bytes(bytes).await?,
                Piece::File { file, range } => self.file(&file, range).await?,
                Piece::Shared(shared) => self.shared(shared).await?,
            }
            piece = body.next().await.map_err(Cut::Body)?;
        }
        Ok(())
    }

    async fn file(&mut self, file: &File, mut range: Range<u64>) -> Result<(), Cut> {
        while range.start < range.end {
            range.start += self.step(|this, cx| this.poll_file(cx, file, &range)).await? as u64;
        }
        Ok(())
    }

    async fn shared(&mut self, mut shared: Shared) -> Result<(), Cut> {
        if self.socket.is_some()
            && WAYS.choose() == Way::Direct
            && let Some(file) = shared.on_disk()
        {
            return self.file(&file, shared.range).await;
        }
        while shared.range.start < shared.range.end {
            let (from, to) = (shared.range.start as usize, shared.range.end as usize);
            let sent = self.step(|this, cx| {
                // Held only for this attempt: who is slow does not keep an evicted file alive.
                let Some(known) = shared.in_memory() else { return Poll::Ready(Ok(0)) };
                let bytes = known.bytes.as_ref().and_then(|bytes| bytes.get(from..to.min(from + SLICE_BYTES_MAX)));
                let began = Instant::now();
                let sent = this.poll_send(cx, bytes.unwrap_or_default());
                if let Poll::Ready(Ok(count)) = &sent {
                    WAYS.note(Way::Copied, *count, began.elapsed());
                }
                sent
            });
            match sent.await? {
                0 if shared.in_memory().is_none() => {
                    let file = shared.on_disk().ok_or(Cut::File)?;
                    return self.file(&file, shared.range).await;
                }
                count => shared.range.start += count as u64,
            }
        }
        Ok(())
    }

    /// Tries `attempt` until it says how many bytes of the body went out; the clock runs only while the client is slow.
    async fn step(
        &mut self,
        mut attempt: impl FnMut(&mut Self, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Result<usize, Cut> {
        let (mut stalled, patience) = (None, self.patience);
        let count = poll_fn(|cx| match attempt(self, cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => {
                let timer = stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
                timer.as_mut().poll(cx).map(|()| None)
            }
        });
        let count = match count.await {
            Some(Ok(count)) => count,
            Some(Err(why)) if why.kind() == io::ErrorKind::UnexpectedEof => return Err(Cut::File),
            Some(Err(_)) | None => return Err(Cut::Client),
        };
        self.sent += count as u64;
        self.burst = if stalled.is_some() { 0 } else { self.burst + count };
        if self.burst >= BURST_BYTES_MAX {
            self.burst = 0;
            tokio::task::yield_now().await;
        }
        Ok(count)
    }

    /// One write of what is left of the head and of `body`; how much of `body` went out.
    fn poll_send(&mut self, cx: &mut Context<'_>, body: &[u8]) -> Poll<io::Result<usize>> {
        let written = if self.head.is_empty() {
            ready!(Pin::new(&mut *self.to).poll_write(cx, body))?
        } else {
            let slices = [IoSlice::new(self.head), IoSlice::new(body)];
            ready!(Pin::new(&mut *self.to).poll_write_vectored(cx, &slices))?
        };
        if written == 0 && !(self.head.is_empty() && body.is_empty()) {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let of_head = written.min(self.head.len());
        self.head = self.head.get(of_head..).unwrap_or_default();
        Poll::Ready(Ok(written - of_head))
    }

    fn poll_file(&mut self, cx: &mut Context<'_>, file: &File, range: &Range<u64>) -> Poll<io::Result<usize>> {
        let left = range.end - range.start;
        let mut piece_bytes = PIECE_BYTES;
        if let Some(socket) = self.socket.filter(|_| left >= DIRECT_BYTES_MIN) {
            // What a buffer holds goes first.
            ready!(Pin::new(&mut *self.to).poll_flush(cx))?;
            if !self.head.is_empty() {
                // Where that does not go, the write below says why.
                let sent = platform::send_before_file(socket, self.head).unwrap_or(0);
                self.head = self.head.get(sent..).unwrap_or_default();
            }
            piece_bytes = if self.head.is_empty() { FEELER_BYTES } else { FIRST_BYTES };
            if self.head.is_empty() && !std::mem::take(&mut self.full) {
                let (asked, began) = (left.min(DIRECT_BYTES_MAX), Instant::now());
                match platform::send_file(socket, file, range.start, asked) {
                    Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                    Ok(count) => {
                        WAYS.note(Way::Direct, count, began.elapsed());
                        self.full = (count as u64) < asked;
                        return Poll::Ready(Ok(count));
                    }
                    // The write below sees to it that we are woken.
                    Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                    // This file system or this socket cannot: what is wrong with either shows below.
                    Err(_) => self.socket = None,
                }
            }
        }
        PIECE.with_borrow_mut(|piece| {
            let want = piece_bytes.min(usize::try_from(left).unwrap_or(piece_bytes));
            let buffer = piece.get_mut(..want).unwrap_or_default();
            let count = file.read_at(buffer, range.start)?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.poll_send(cx, buffer.get(..count).unwrap_or_default())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;
    use tokio::net::{TcpListener, TcpStream};

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A client that takes a little at a time, and never waits.
    struct Willing(usize);

    impl AsyncWrite for Willing {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let taken = bytes.len().min(PIECE_BYTES);
            self.0 += taken;
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_large_answer_lets_others_have_their_turn() {
        const LEN: usize = 8 * BURST_BYTES_MAX;
        let mut client = Willing(0);
        let mut turns = 0;
        {
            let mut sender = Sender::new(&mut client, None, b"", PATIENCE);
            let mut sending = std::pin::pin!(sender.bytes(Bytes::from(vec![0; LEN])));
            let sent = poll_fn(|cx| {
                turns += 1;
                sending.as_mut().poll(cx)
            });
            assert!(sent.await.is_ok());
        }
        assert_eq!(client.0, LEN);
        assert!(turns >= LEN / BURST_BYTES_MAX, "{turns} turns for {LEN} bytes");
    }

    /// Bytes of which no two pieces look alike.
    fn noise(len: usize) -> Vec<u8> {
        (0..len as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
    }

    #[tokio::test]
    async fn a_file_is_the_same_however_the_system_sends_it() {
        let bytes = noise(3_000_001);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let file = std::sync::Arc::new(file);
        let head = b"HTTP/1.1 200 OK\r\n\r\n";
        for direct in [true, false] {
            for (start, end) in [(0, bytes.len()), (1, 70_000), (17, 17), (5, 600), (2_000_000, bytes.len())] {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
                let server = listener.accept().await.unwrap().0.into_std().unwrap();
                let (socket, mut server) = (server.try_clone().unwrap(), TcpStream::from_std(server).unwrap());
                let expected = [&head[..], &bytes[start..end]].concat();
                let file = std::sync::Arc::clone(&file);
                let sending = tokio::spawn(async move {
                    let mut sender = Sender::new(&mut server, direct.then(|| socket.as_fd()), head, PATIENCE);
                    // In pieces, as a growing file is: small ones may wait in a buffer.
                    for (from, to) in [(start, start + (end - start) / 3), (start + (end - start) / 3, end)] {
                        sender.file(&file, from as u64..to as u64).await.unwrap();
                    }
                    sender.finish().await.unwrap();
                });
                let mut got = Vec::new();
                client.read_to_end(&mut got).await.unwrap();
                sending.await.unwrap();
                assert!(got == expected, "{start}..{end}, direct {direct}: other bytes came");
            }
        }
    }

    #[tokio::test]
    async fn a_file_that_is_too_short_is_an_error() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&noise(100_000)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let server = listener.accept().await.unwrap().0.into_std().unwrap();
        let (socket, mut server) = (server.try_clone().unwrap(), TcpStream::from_std(server).unwrap());
        let reading = tokio::spawn(async move { client.read_to_end(&mut Vec::new()).await });
        let mut sender = Sender::new(&mut server, Some(socket.as_fd()), b"", PATIENCE);
        assert!(matches!(sender.file(&file, 0..1_000_000).await, Err(Cut::File)));
        drop((server, socket));
        assert_eq!(reading.await.unwrap().unwrap(), 100_000);
    }
}
