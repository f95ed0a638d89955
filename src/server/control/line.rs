use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// Longest line, in bytes: a list of a few thousand projects or files.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

/// A conversation in lines of JSON.
pub struct Lines(BufReader<UnixStream>);

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
        Self(BufReader::new(stream))
    }

    /// The next line, whole; the end of the conversation is an error.
    pub async fn read<T: DeserializeOwned>(&mut self) -> Result<T, LineError> {
        let mut line = Vec::new();
        (&mut self.0).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
        match line.last() {
            Some(b'\n') => Ok(serde_json::from_slice(&line)?),
            _ if line.len() as u64 >= LINE_BYTES_MAX => Err(LineError::TooLong),
            _ => Err(LineError::Gone(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    pub async fn write(&mut self, words: &impl Serialize) -> Result<(), LineError> {
        let mut line = serde_json::to_vec(words)?;
        line.push(b'\n');
        Ok(self.0.get_mut().write_all(&line).await?)
    }
}
