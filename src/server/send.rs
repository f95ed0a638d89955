use crate::index::{FileBody, Piece, Shared};
use bytes::{Buf, Bytes};
use std::cell::RefCell;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Piece in which a file is read and sent: as fast as sendfile when it is 256 KiB or more.
const PIECE_BYTES: usize = 256 * 1024;

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
    head: Bytes,
    /// How long the client may take nothing.
    patience: Duration,
    /// Bytes of the body that are sent.
    pub sent: u64,
}

impl<'a, W: AsyncWrite + Unpin + ?Sized> Sender<'a, W> {
    pub fn new(to: &'a mut W, head: Bytes, patience: Duration) -> Self {
        Self { to, head, patience, sent: 0 }
    }

    /// Sends the head alone, if it is not sent yet, and pushes out what a buffer holds.
    pub async fn finish(&mut self) -> Result<(), Cut> {
        while !self.head.is_empty() {
            self.step(|this, cx| this.poll_send(cx, &[])).await?;
        }
        match tokio::time::timeout(self.patience, self.to.flush()).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Cut::Client),
        }
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
        while shared.range.start < shared.range.end {
            let (from, to) = (shared.range.start as usize, shared.range.end as usize);
            let sent = self.step(|this, cx| {
                // Held only for this attempt: who is slow does not keep an evicted file alive.
                let Some(known) = shared.in_memory() else { return Poll::Ready(Ok(0)) };
                let bytes = known.bytes.as_ref().and_then(|bytes| bytes.get(from..to.min(from + SLICE_BYTES_MAX)));
                this.poll_send(cx, bytes.unwrap_or_default())
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
        Ok(count)
    }

    /// One write of what is left of the head and of `body`; how much of `body` went out.
    fn poll_send(&mut self, cx: &mut Context<'_>, body: &[u8]) -> Poll<io::Result<usize>> {
        let written = if self.head.is_empty() {
            ready!(Pin::new(&mut *self.to).poll_write(cx, body))?
        } else {
            let slices = [IoSlice::new(&self.head), IoSlice::new(body)];
            ready!(Pin::new(&mut *self.to).poll_write_vectored(cx, &slices))?
        };
        if written == 0 && !(self.head.is_empty() && body.is_empty()) {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let of_head = written.min(self.head.len());
        self.head.advance(of_head);
        Poll::Ready(Ok(written - of_head))
    }

    fn poll_file(&mut self, cx: &mut Context<'_>, file: &File, range: &Range<u64>) -> Poll<io::Result<usize>> {
        PIECE.with_borrow_mut(|piece| {
            let want = PIECE_BYTES.min(usize::try_from(range.end - range.start).unwrap_or(PIECE_BYTES));
            let buffer = piece.get_mut(..want).unwrap_or_default();
            let count = file.read_at(buffer, range.start)?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.poll_send(cx, buffer.get(..count).unwrap_or_default())
        })
    }
}
