use super::places::Place;
use crate::http::Body;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use std::io;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The body of a request, read from the connection only when somebody asks for it. What is left unread when the answer
/// is sent ends the connection.
pub struct Incoming<'a, S: ?Sized> {
    stream: &'a mut S,
    /// What was read beyond the head; what lies beyond the body stays in it.
    buffer: &'a mut BytesMut,
    left: Left,
    /// The client waits for a word before it sends (RFC 9110 §10.1.1).
    expects: bool,
    /// How long it may send nothing.
    patience: Duration,
    /// When the first bytes were waited for, and how many came since.
    since: Option<Instant>,
    came: u64,
    slow: bool,
    /// Where it may be held; kept until the answer is made.
    pub place: Option<Place>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    /// Bytes of a body with a length, or of the chunk that is being read (then `chunked`).
    Bytes {
        count: u64,
        chunked: bool,
    },
    /// The line that opens a chunk; after the first one the line end of the last chunk comes before it.
    ChunkLine {
        first: bool,
    },
    Trailer,
    /// It broke: nothing more can be read.
    Broken,
}

#[derive(Debug, thiserror::Error)]
pub enum IncomingError {
    #[error("the client went away before the end of the body: {0}")]
    Gone(#[from] io::Error),
    #[error("the body came too slowly")]
    Slow,
    #[error("the chunks of the body are not as RFC 9112 writes them")]
    Chunks,
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
}

/// Piece in which a body is read, in bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// Slowest body, in bytes per second on the whole: a byte a minute would keep its place for ever. The worst of lines
/// does better.
const PACE_MIN: u64 = 1024;

/// How long a body that was refused is read before the answer, and how much of it. Clients send all of theirs before
/// they look for an answer, and a proxy that is answered earlier (Caddy over HTTP/1.1) may reset its client instead.
pub const AWAY: Duration = Duration::from_secs(10);
pub const AWAY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Who sends nothing for so long waits for the answer; curl waits for a word first, and is spared the sending.
const AWAY_QUIET: Duration = Duration::from_millis(200);

/// Longest line that opens a chunk, and longest trailer line, in bytes. Nobody sends extensions.
const CHUNK_LINE_BYTES_MAX: usize = 256;

/// Most trailer lines.
const TRAILER_LINES_MAX: usize = 16;

impl<'a, S: AsyncRead + AsyncWrite + Unpin + Send + ?Sized> Incoming<'a, S> {
    pub fn new(stream: &'a mut S, buffer: &'a mut BytesMut, body: Body, expects: bool, patience: Duration) -> Self {
        let left = match body {
            Body::None | Body::Length(0) => Left::Nothing,
            Body::Length(count) => Left::Bytes { count, chunked: false },
            Body::Chunked => Left::ChunkLine { first: true },
        };
        let (since, came, slow, place) = (None, 0, false, None);
        Self { stream, buffer, left, expects, patience, since, came, slow, place }
    }

    /// Whether all of it was read: then the connection may go on.
    pub fn finished(&self) -> bool {
        self.left == Left::Nothing
    }

    /// The length that the head states, of what was not read yet.
    pub fn stated(&self) -> Option<u64> {
        match self.left {
            Left::Nothing => Some(0),
            Left::Bytes { count, chunked: false } => Some(count),
            _ => None,
        }
    }

    pub fn states_more_than(&self, bytes: u64) -> bool {
        self.stated().is_some_and(|stated| stated > bytes)
    }

    /// Whether it was given up because it came too slowly.
    pub fn was_slow(&self) -> bool {
        self.slow
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, IncomingError> {
        let piece = self.piece().await;
        if let Err(why) = &piece {
            self.left = Left::Broken;
            self.slow |= matches!(why, IncomingError::Slow);
        }
        piece
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, IncomingError> {
        loop {
            match self.left {
                Left::Nothing => return Ok(None),
                Left::Broken => return Err(IncomingError::Gone(io::ErrorKind::UnexpectedEof.into())),
                Left::Bytes { count, chunked } => {
                    if self.buffer.is_empty() {
                        self.fill().await?;
                    }
                    let take = self.buffer.len().min(usize::try_from(count).unwrap_or(usize::MAX));
                    let piece = self.buffer.split_to(take).freeze();
                    self.left = match (count - take as u64, chunked) {
                        (0, true) => Left::ChunkLine { first: false },
                        (0, false) => Left::Nothing,
                        (count, chunked) => Left::Bytes { count, chunked },
                    };
                    return Ok(Some(piece));
                }
                Left::ChunkLine { first } => {
                    if !first && !self.line().await?.is_empty() {
                        return Err(IncomingError::Chunks);
                    }
                    self.left = match chunk_size(&self.line().await?).ok_or(IncomingError::Chunks)? {
                        0 => Left::Trailer,
                        count => Left::Bytes { count, chunked: true },
                    };
                }
                Left::Trailer => {
                    for _ in 0..=TRAILER_LINES_MAX {
                        if self.line().await?.is_empty() {
                            self.left = Left::Nothing;
                            return Ok(None);
                        }
                    }
                    return Err(IncomingError::Chunks);
                }
            }
        }
    }

    /// The whole body, at most `bytes_max` bytes of it.
    pub async fn whole(&mut self, bytes_max: usize) -> Result<Bytes, IncomingError> {
        if self.states_more_than(bytes_max as u64) {
            return Err(IncomingError::TooLarge(bytes_max));
        }
        let mut whole = BytesMut::new();
        while let Some(piece) = self.next().await? {
            if whole.len() + piece.len() > bytes_max {
                return Err(IncomingError::TooLarge(bytes_max));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// Reads what is on its way of a body that nobody wants, and throws it away.
    pub async fn read_away(&mut self) {
        self.expects = false;
        let reading = async {
            let mut total = 0;
            while let Ok(Ok(Some(piece))) = tokio::time::timeout(AWAY_QUIET, self.next()).await {
                total += piece.len();
                if total > AWAY_BYTES_MAX {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(AWAY, reading).await;
    }

    /// The pieces as a stream.
    pub fn pieces(&mut self) -> impl Stream<Item = Result<Bytes, IncomingError>> + Send + use<'_, 'a, S> {
        let pieces = futures_util::stream::unfold(self, |incoming| async move {
            match incoming.next().await {
                Ok(None) => None,
                Ok(Some(piece)) => Some((Ok(piece), incoming)),
                Err(why) => Some((Err(why), incoming)),
            }
        });
        // Readers of forms ask once more after the end.
        pieces.fuse()
    }

    /// A line without its end, which is CR LF.
    async fn line(&mut self) -> Result<Bytes, IncomingError> {
        loop {
            if let Some(at) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line = self.buffer.split_to(at + 1).freeze();
                if at == 0 || line.get(at - 1) != Some(&b'\r') {
                    return Err(IncomingError::Chunks);
                }
                line.truncate(at - 1);
                return Ok(line);
            }
            if self.buffer.len() > CHUNK_LINE_BYTES_MAX {
                return Err(IncomingError::Chunks);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), IncomingError> {
        if std::mem::take(&mut self.expects) {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            self.stream.flush().await?;
        }
        self.buffer.reserve(PIECE_BYTES);
        let waited = self.since.get_or_insert_with(Instant::now).elapsed();
        let earned = self.patience + Duration::from_secs(self.came / PACE_MIN);
        let patience = self.patience.min(earned.saturating_sub(waited));
        match tokio::time::timeout(patience, self.stream.read_buf(self.buffer)).await {
            Ok(Ok(0)) => Err(IncomingError::Gone(io::ErrorKind::UnexpectedEof.into())),
            Ok(Ok(count)) => {
                self.came += count as u64;
                Ok(())
            }
            Ok(Err(why)) => Err(why.into()),
            Err(_) => Err(IncomingError::Slow),
        }
    }
}

/// The size that opens a chunk: hex digits; an extension after `;` is passed over, but no control character in it is,
/// which another reader could take for the line's end.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?;
    let fits = (1..=15).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
    let visible = line.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    (fits && visible).then(|| u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(sent: &[u8], body: Body, piece: usize) -> (Result<Vec<u8>, IncomingError>, Vec<u8>, bool) {
        let (mut client, mut server) = tokio::io::duplex(piece);
        let sent = sent.to_vec();
        let sender = tokio::spawn(async move {
            let _ = client.write_all(&sent).await;
        });
        let mut buffer = BytesMut::new();
        let mut incoming = Incoming::new(&mut server, &mut buffer, body, false, Duration::from_secs(5));
        let whole = incoming.whole(1000).await.map(|bytes| bytes.to_vec());
        let finished = incoming.finished();
        let _ = server.read_buf(&mut buffer).await;
        sender.abort();
        (whole, buffer.to_vec(), finished)
    }

    #[tokio::test]
    async fn a_body_ends_where_it_says_and_no_later() {
        for piece in [1, 3, 4096] {
            let (whole, rest, finished) = read(b"helloGET", Body::Length(5), piece).await;
            assert_eq!((whole.unwrap(), finished), (b"hello".to_vec(), true));
            assert_eq!(rest.first(), Some(&b'G'));
            let chunks = b"5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nTrailer: 1\r\n\r\nGET";
            let (whole, rest, finished) = read(chunks, Body::Chunked, piece).await;
            assert_eq!((whole.unwrap(), finished), (b"hello!".to_vec(), true));
            assert_eq!(rest.first(), Some(&b'G'));
        }
    }

    #[tokio::test]
    async fn a_broken_body_is_an_error_and_stays_one() {
        for (sent, body) in [
            (&b"hel"[..], Body::Length(5)),
            (b"5\r\nhello0\r\n\r\n", Body::Chunked),
            (b"5\nhello\r\n", Body::Chunked),
            (b"-5\r\nhello\r\n", Body::Chunked),
            (b"+5\r\nhello\r\n", Body::Chunked),
            (b"0x5\r\nhello\r\n", Body::Chunked),
            (b"ffffffffffffffffff\r\n", Body::Chunked),
            (b"\r\n", Body::Chunked),
            (b"5;a\rb\r\nhello\r\n0\r\n\r\n", Body::Chunked),
            (b"5;\0\r\nhello\r\n0\r\n\r\n", Body::Chunked),
            (b"5\r\nhello\r\n", Body::Chunked),
            (b"7d1\r\n", Body::Chunked),
        ] {
            let (whole, _, finished) = read(sent, body, 64).await;
            assert!(whole.is_err() && !finished, "{:?}", String::from_utf8_lossy(sent));
        }
        let (whole, _, _) = read(&[b'x'; 1001], Body::Length(1001), 4096).await;
        assert!(matches!(whole, Err(IncomingError::TooLarge(1000))));
        let (whole, _, _) = read(&[&b"7d0\r\n"[..], &[b'x'; 2000]].concat(), Body::Chunked, 4096).await;
        assert!(matches!(whole, Err(IncomingError::TooLarge(1000))));
    }

    #[tokio::test]
    async fn who_expects_a_word_gets_it_when_the_body_is_wanted() {
        let (mut client, mut server) = tokio::io::duplex(1024);
        let mut buffer = BytesMut::new();
        let mut incoming = Incoming::new(&mut server, &mut buffer, Body::Length(2), true, Duration::from_secs(5));
        let asked = async {
            let mut word = [0; 25];
            client.read_exact(&mut word).await.unwrap();
            client.write_all(b"ok").await.unwrap();
            word
        };
        let (whole, word) = tokio::join!(incoming.whole(10), asked);
        assert_eq!((whole.unwrap().as_ref(), &word), (&b"ok"[..], b"HTTP/1.1 100 Continue\r\n\r\n"));
    }
}
