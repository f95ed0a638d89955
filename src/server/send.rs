use crate::index::{FileBody, Piece, Shared};
use crate::platform::{self, Corked, Fixed, Sent};
use std::cell::RefCell;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

/// Piece in which a file is read and sent where the system cannot send it by itself.
const PIECE_BYTES: usize = 256 * 1024;

/// From here on what is left of a body is sent by the system, without a copy: below, reading and one write with the head
/// cost less (bench/LOG.md).
const DIRECT_BYTES_MIN: u64 = 16 * 1024;

/// Most bytes that the system is asked to send at a time: what is not in its memory is read meanwhile, and the worker
/// waits.
const DIRECT_BYTES_MAX: u64 = 1024 * 1024;

/// What of it is written with the head, where the system does not take that beforehand.
const FIRST_BYTES: usize = 16 * 1024;

/// From here on a body leaves in full segments only. A shorter one has left before many acknowledgements have come, and would
/// wait for its last segment.
const CORKED_BYTES_MIN: u64 = 320 * 1024;

/// What of it is written where the socket has no room, so that we are woken when it has.
const FEELER_BYTES: usize = 4 * 1024;

/// Bytes that one answer may send before others have their turn, to a client that takes them as fast: a millisecond.
const BURST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of a body in memory that are offered in one write.
const SLICE_BYTES_MAX: usize = 64 * 1024 * 1024;

thread_local! {
    /// One buffer for each worker, filled only while a write that does not wait is made: a slow client holds none.
    static PIECE: RefCell<Vec<u8>> = RefCell::new(vec![0; PIECE_BYTES]);
}

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
    /// The socket below `to`, where nothing lies between: the system may send to it by itself.
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

    pub async fn bytes(&mut self, bytes: Fixed) -> Result<(), Cut> {
        let mut range = 0..bytes.len();
        let _corked = self.corked(bytes.len() as u64);
        while !range.is_empty() {
            range.start += self.step(|this, cx| this.poll_bytes(cx, &bytes, range.clone())).await?;
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
        let _corked = self.corked(range.end - range.start);
        while range.start < range.end {
            range.start += self.step(|this, cx| this.poll_file(cx, file, &range)).await? as u64;
        }
        Ok(())
    }

    async fn shared(&mut self, mut shared: Shared) -> Result<(), Cut> {
        let _corked = self.corked(shared.range.end - shared.range.start);
        while shared.range.start < shared.range.end {
            let range = shared.range.start as usize..shared.range.end as usize;
            let sent = self.step(|this, cx| {
                // Held only for this attempt: who is slow does not keep an evicted file alive.
                let known = shared.in_memory();
                match known.as_ref().and_then(|known| known.bytes.as_ref()) {
                    Some(bytes) => this.poll_bytes(cx, bytes, range.clone()),
                    None => Poll::Ready(Ok(0)),
                }
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

    /// For a body of `len` bytes.
    fn corked(&self, len: u64) -> Option<Corked<'a>> {
        self.socket.filter(|_| len >= CORKED_BYTES_MIN).map(Corked::new)
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

    fn poll_bytes(&mut self, cx: &mut Context<'_>, bytes: &Fixed, range: Range<usize>) -> Poll<io::Result<usize>> {
        let mut offered = SLICE_BYTES_MAX;
        if bytes.is_apart() {
            let send = |socket: BorrowedFd<'_>, asked| bytes.send(socket, range.start..range.start + asked);
            match ready!(self.poll_direct(cx, range.len() as u64, send))? {
                Direct::Sent(count) => return Poll::Ready(Ok(count)),
                Direct::Written(count) => offered = count,
            }
        }
        let end = range.end.min(range.start.saturating_add(offered));
        self.poll_send(cx, bytes.get(range.start..end).unwrap_or_default())
    }

    fn poll_file(&mut self, cx: &mut Context<'_>, file: &File, range: &Range<u64>) -> Poll<io::Result<usize>> {
        let left = range.end - range.start;
        let send = |socket: BorrowedFd<'_>, asked| platform::send_file(socket, file, range.start, asked);
        let offered = match ready!(self.poll_direct(cx, left, send))? {
            Direct::Sent(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Direct::Sent(count) => return Poll::Ready(Ok(count)),
            Direct::Written(count) => count.min(PIECE_BYTES),
        };
        PIECE.with_borrow_mut(|piece| {
            let want = offered.min(usize::try_from(left).unwrap_or(offered));
            let buffer = piece.get_mut(..want).unwrap_or_default();
            let count = file.read_at(buffer, range.start)?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.poll_send(cx, buffer.get(..count).unwrap_or_default())
        })
    }

    /// Lets the system send what it can of a body of which `left` bytes are left, by `send`.
    fn poll_direct(
        &mut self,
        cx: &mut Context<'_>,
        left: u64,
        send: impl FnOnce(BorrowedFd<'_>, usize) -> io::Result<Sent>,
    ) -> Poll<io::Result<Direct>> {
        let Some(socket) = self.socket.filter(|_| left >= DIRECT_BYTES_MIN) else {
            return Poll::Ready(Ok(Direct::Written(SLICE_BYTES_MAX)));
        };
        // What a buffer holds goes first.
        ready!(Pin::new(&mut *self.to).poll_flush(cx))?;
        if !self.head.is_empty() {
            // Where that does not go, the write that follows says why.
            let sent = platform::send_ahead(socket, self.head).unwrap_or(0);
            self.head = self.head.get(sent..).unwrap_or_default();
        }
        if !self.head.is_empty() {
            return Poll::Ready(Ok(Direct::Written(FIRST_BYTES)));
        }
        // A write that follows sees to it that we are woken.
        if std::mem::take(&mut self.full) {
            return Poll::Ready(Ok(Direct::Written(FEELER_BYTES)));
        }
        match send(socket, left.min(DIRECT_BYTES_MAX) as usize) {
            Ok(Sent { count, is_full }) => {
                self.full = is_full;
                Poll::Ready(Ok(Direct::Sent(count)))
            }
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => Poll::Ready(Ok(Direct::Written(FEELER_BYTES))),
            // This file system or this socket cannot: what is wrong with either shows in what follows.
            Err(_) => {
                self.socket = None;
                Poll::Ready(Ok(Direct::Written(SLICE_BYTES_MAX)))
            }
        }
    }
}

/// How a body goes on.
enum Direct {
    /// The system took so much of it; nothing at its end.
    Sent(usize),
    /// It is to be written, at most so much of it.
    Written(usize),
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
            let mut sending = std::pin::pin!(sender.bytes(bytes::Bytes::from(vec![0; LEN]).into()));
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

    /// A server's side of a connection with its socket, and a client's.
    async fn connection() -> (TcpStream, std::net::TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let server = listener.accept().await.unwrap().0.into_std().unwrap();
        let socket = server.try_clone().unwrap();
        (TcpStream::from_std(server).unwrap(), socket, client)
    }

    #[tokio::test]
    async fn a_body_is_the_same_however_the_system_sends_it() {
        let bytes = noise(3_000_001);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let (file, fixed) = (std::sync::Arc::new(file), Fixed::from(bytes.clone()));
        let (head, parts) = (b"HTTP/1.1 200 OK\r\n\r\n", [(0, bytes.len()), (1, 70_000), (17, 17), (5, 600)]);
        let parts = parts.into_iter().chain([(2_000_000, bytes.len()), (4_095, 2_500_000)]);
        for ((start, end), direct, memory) in
            parts.flat_map(|part| [(part, true, true), (part, true, false), (part, false, true), (part, false, false)])
        {
            let (mut server, socket, mut client) = connection().await;
            let expected = [&head[..], &bytes[start..end]].concat();
            let (file, fixed) = (std::sync::Arc::clone(&file), fixed.clone());
            let sending = tokio::spawn(async move {
                let mut sender = Sender::new(&mut server, direct.then(|| socket.as_fd()), head, PATIENCE);
                // In pieces, as a growing file is: small ones may wait in a buffer.
                for (from, to) in [(start, start + (end - start) / 3), (start + (end - start) / 3, end)] {
                    match memory {
                        true => sender.bytes(fixed.slice(from..to)).await.unwrap(),
                        false => sender.file(&file, from as u64..to as u64).await.unwrap(),
                    }
                }
                sender.finish().await.unwrap();
                assert_eq!(sender.sent, (end - start) as u64);
            });
            let mut got = Vec::new();
            client.read_to_end(&mut got).await.unwrap();
            sending.await.unwrap();
            assert!(got == expected, "{start}..{end}, direct {direct}, memory {memory}: other bytes came");
        }
    }

    #[tokio::test]
    async fn what_one_client_does_not_take_never_reaches_another() {
        let (mut server, socket, slow) = connection().await;
        let bodies = [Fixed::from(vec![b's'; 32 << 20]), Fixed::from(vec![b'q'; 1 << 20])];
        let mut sender = Sender::new(&mut server, Some(socket.as_fd()), b"", PATIENCE);
        let stalled = tokio::time::timeout(Duration::from_millis(200), sender.bytes(bodies[0].clone()));
        assert!(stalled.await.is_err(), "32 MiB went to a client that does not read");
        let (mut server, socket, mut quick) = connection().await;
        let reading = tokio::spawn(async move {
            let mut got = Vec::new();
            quick.read_to_end(&mut got).await.map(|_| got)
        });
        let mut sender = Sender::new(&mut server, Some(socket.as_fd()), b"", PATIENCE);
        sender.bytes(bodies[1].clone()).await.unwrap();
        drop((server, socket));
        assert!(reading.await.unwrap().unwrap() == bodies[1][..], "other bytes came");
        drop(slow);
    }

    #[tokio::test]
    async fn a_file_that_is_too_short_is_an_error() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&noise(100_000)).unwrap();
        let (mut server, socket, mut client) = connection().await;
        let reading = tokio::spawn(async move { client.read_to_end(&mut Vec::new()).await });
        let mut sender = Sender::new(&mut server, Some(socket.as_fd()), b"", PATIENCE);
        assert!(matches!(sender.file(&file, 0..1_000_000).await, Err(Cut::File)));
        drop((server, socket));
        assert_eq!(reading.await.unwrap().unwrap(), 100_000);
    }
}
