use bytes::{Buf, BytesMut};
use rustix::fd::OwnedFd;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;

/// Longest line, in bytes: a list of a few thousand projects or files.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// Descriptors that come with one line, at most: a server listens in a few places.
const DESCRIPTORS_MAX: usize = 32;

const PIECE_BYTES: usize = 16 * 1024;

/// A conversation in lines of JSON, with which descriptors may come.
pub struct Lines {
    stream: UnixStream,
    buffer: BytesMut,
    descriptors: Vec<OwnedFd>,
}

#[derive(Debug, thiserror::Error)]
pub enum LineError {
    #[error("the other side is gone: {0}")]
    Gone(#[from] io::Error),
    #[error("a line may have {LINE_BYTES_MAX} bytes")]
    TooLong,
    #[error("this version does not understand it: {0}")]
    NotUnderstood(#[from] serde_json::Error),
}

impl Lines {
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, buffer: BytesMut::new(), descriptors: Vec::new() }
    }

    pub fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// What follows is no line: the stream, and what was read of it already.
    pub fn into_parts(self) -> (UnixStream, BytesMut) {
        (self.stream, self.buffer)
    }

    /// The descriptors that came so far.
    pub fn take_descriptors(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.descriptors)
    }

    /// The next line, whole; the end of the conversation is an error. Nothing is lost when it is given up.
    pub async fn read<T: DeserializeOwned>(&mut self) -> Result<T, LineError> {
        let mut seen = 0;
        loop {
            if let Some(at) = self.buffer.iter().skip(seen).position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(seen + at);
                self.buffer.advance(1);
                return Ok(serde_json::from_slice(&line)?);
            }
            seen = self.buffer.len();
            if seen >= LINE_BYTES_MAX {
                return Err(LineError::TooLong);
            }
            let Self { stream, buffer, descriptors } = self;
            if stream.async_io(Interest::READABLE, || receive(stream, buffer, descriptors)).await? == 0 {
                return Err(LineError::Gone(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    pub async fn write(&mut self, words: &impl Serialize) -> Result<(), LineError> {
        Ok(self.stream.write_all(&line(words)?).await?)
    }

    /// Writes a line with which descriptors go.
    pub async fn write_with(&mut self, words: &impl Serialize, descriptors: &[OwnedFd]) -> Result<(), LineError> {
        let line = line(words)?;
        let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        let send = || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
            let mut rights = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty() && !rights.push(SendAncillaryMessage::ScmRights(&descriptors)) {
                return Err(io::Error::other("too many sockets for one message"));
            }
            Ok(rustix::net::sendmsg(&self.stream, &[IoSlice::new(&line)], &mut rights, SendFlags::empty())?)
        };
        // The descriptors go with the first byte.
        let sent = self.stream.async_io(Interest::WRITABLE, send).await?;
        Ok(self.stream.write_all(line.get(sent..).unwrap_or_default()).await?)
    }
}

fn line(words: &impl Serialize) -> Result<Vec<u8>, LineError> {
    let mut line = serde_json::to_vec(words)?;
    line.push(b'\n');
    Ok(line)
}

fn receive(stream: &UnixStream, buffer: &mut BytesMut, descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut piece = [0; PIECE_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let slices = &mut [IoSliceMut::new(&mut piece)];
    let count = rustix::net::recvmsg(stream, slices, &mut rights, RecvFlags::empty())?.bytes;
    for message in rights.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    descriptors.truncate(DESCRIPTORS_MAX);
    for descriptor in &*descriptors {
        fcntl_setfd(descriptor, FdFlags::CLOEXEC)?;
    }
    buffer.extend_from_slice(piece.get(..count).unwrap_or_default());
    Ok(count)
}
