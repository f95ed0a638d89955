//! A connection without a socket: it asks the same again and again, and takes every answer whole.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub struct Wire {
    head: String,
    /// How often it still asks.
    left: usize,
    /// Whether the server has waited for the next request, as it does for a client that reads an answer first.
    waited: bool,
    /// Bytes of all answers.
    pub received: usize,
    /// The head of the last answer, with the beginning of its body.
    pub last: Vec<u8>,
}

/// More than a head has.
const LAST_BYTES: usize = 1024;

impl Wire {
    pub fn new(head: String, requests: usize) -> Self {
        Self { head, left: requests, waited: false, received: 0, last: Vec::with_capacity(LAST_BYTES) }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.waited = !self.waited;
        if self.waited {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            into.put_slice(self.head.as_bytes());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = slices.iter().map(|slice| slice.len()).sum();
        self.received += count;
        if self.left == 0 {
            let (room, first) = (LAST_BYTES - self.last.len(), slices.first().map_or(&[][..], |slice| slice));
            self.last.extend_from_slice(&first[..room.min(first.len())]);
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
