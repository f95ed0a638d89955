use std::io::Write;
use std::ops::Deref;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use flate2::write::MultiGzDecoder;
use reqwest::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::error::FetchError;
use super::exchange::Answer;
use super::headers::{Framing, content_encoding, framing};

/// Compressed bytes decoded at a time. Gzip grows its input at most about 1,030 times, so one step makes at most
/// 4.3 MB however hostile the body is.
const GZIP_STEP_BYTES: usize = 4096;
/// Room made for a body before it has come: its stated length may be a lie.
const FIRST_ROOM_BYTES_MAX: usize = 1024 * 1024;

/// From this size on a body waits for a place among the large ones, in bytes: nearly all pages are smaller.
const LARGE_BODY_BYTES: usize = 2 * 1024 * 1024;

/// From this size on a body is handed on while it arrives, where somebody takes it so, in bytes: less of it is read in a
/// moment.
const POUR_FROM_BYTES: usize = 256 * 1024;

/// Large bodies that are held at the same time. They may be 64 MiB each, and count in no budget yet.
pub(super) const LARGE_BODIES_MAX: usize = 2;

/// A text that came whole. A large one keeps its place until it is dropped, so drop it as soon as it is read.
#[derive(Debug, Clone)]
pub struct WholeBody {
    bytes: Bytes,
    _room: Option<Arc<OwnedSemaphorePermit>>,
}

impl WholeBody {
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl Deref for WholeBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// What became of a body that somebody would take in pieces.
pub(super) enum Taken {
    Whole(WholeBody),
    /// All of it was handed on, or whoever took it has left. Its place among the large ones.
    Poured(Option<OwnedSemaphorePermit>),
}

/// A text's body, decoded and counted while it is read. It ends cleanly only when it is whole.
pub(super) struct TextBody {
    response: Response,
    host: String,
    /// Of the body as sent.
    length: Option<u64>,
    received: u64,
    decoder: Option<Box<MultiGzDecoder<Vec<u8>>>>,
    /// Received, not yet decoded.
    waiting: Bytes,
    decoded: usize,
    limit: usize,
    end: Option<Result<(), FetchError>>,
}

impl TextBody {
    /// Refuses a body whose end could not be told from a cut, and one that states more than `limit` bytes.
    pub(super) fn of(answer: Answer, limit: usize) -> Result<Self, FetchError> {
        let Answer { host, response, .. } = answer;
        let decoder = match content_encoding(response.headers()).as_str() {
            "" => None,
            "gzip" | "x-gzip" => Some(Box::new(MultiGzDecoder::new(Vec::new()))),
            _ => return Err(FetchError::bad(&host, "its body is compressed in a way that was not asked for")),
        };
        let length = match framing(&response, &host)? {
            Framing::Length(length) => Some(length),
            Framing::Marked => None,
            // A gzip stream ends with a checksum, which a cut loses.
            Framing::Closing if decoder.is_some() => None,
            Framing::Closing => {
                return Err(FetchError::bad(&host, "it states no length, so a cut could not be told from the end"));
            }
        };
        if decoder.is_none() && length.is_some_and(|length| length > limit as u64) {
            return Err(FetchError::TooLarge { host, limit });
        }
        let (received, decoded, waiting, end) = (0, 0, Bytes::new(), None);
        Ok(Self { response, host, length, received, decoder, waiting, decoded, limit, end })
    }

    /// The next decoded piece. After an error the same error comes again, never an end.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, FetchError>> {
        loop {
            match &self.end {
                Some(Ok(())) => return None,
                Some(Err(error)) => return Some(Err(error.clone())),
                None => {}
            }
            match self.step().await {
                Ok(Some(piece)) if piece.is_empty() => {}
                Ok(Some(piece)) => return Some(Ok(piece)),
                Ok(None) => self.end = Some(Ok(())),
                Err(error) => self.end = Some(Err(error)),
            }
        }
    }

    /// The whole body. One that proves large waits for a place in `large` before it goes on.
    pub(super) async fn whole(self, large: &Arc<Semaphore>) -> Result<WholeBody, FetchError> {
        match self.taken(large, || None).await? {
            Taken::Whole(body) => Ok(body),
            Taken::Poured(_) => Ok(WholeBody { bytes: Bytes::new(), _room: None }),
        }
    }

    /// The same, but when it proves to be longer than a moment's work, `taker` is asked who takes it in pieces.
    pub(super) async fn taken(
        mut self,
        large: &Arc<Semaphore>,
        taker: impl FnOnce() -> Option<mpsc::Sender<Bytes>>,
    ) -> Result<Taken, FetchError> {
        let small = |bytes| Taken::Whole(WholeBody { bytes, _room: None });
        let Some(first) = self.next().await.transpose()? else {
            return Ok(small(Bytes::new()));
        };
        let Some(second) = self.next().await.transpose()? else {
            return Ok(small(first));
        };
        let (mut room, mut taker) = (None, Some(taker));
        let stated = usize::try_from(self.length.unwrap_or(0)).unwrap_or(usize::MAX);
        let mut whole = BytesMut::with_capacity(stated.min(FIRST_ROOM_BYTES_MAX));
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(piece) = self.next().await {
            whole.extend_from_slice(&piece?);
            if whole.len() >= POUR_FROM_BYTES
                && let Some(pieces) = taker.take().and_then(|taker| taker())
            {
                return self.pour(whole.freeze(), pieces, large).await;
            }
            if room.is_none() && whole.len() > LARGE_BODY_BYTES {
                room = Arc::clone(large).acquire_owned().await.ok().map(Arc::new);
            }
        }
        Ok(Taken::Whole(WholeBody { bytes: whole.freeze(), _room: room }))
    }

    async fn pour(
        mut self,
        first: Bytes,
        pieces: mpsc::Sender<Bytes>,
        large: &Arc<Semaphore>,
    ) -> Result<Taken, FetchError> {
        let mut room = None;
        let mut next = Some(Ok(first));
        while let Some(piece) = next {
            if pieces.send(piece?).await.is_err() {
                break;
            }
            if room.is_none() && self.decoded > LARGE_BODY_BYTES {
                room = Arc::clone(large).acquire_owned().await.ok();
            }
            next = self.next().await;
        }
        Ok(Taken::Poured(room))
    }

    async fn step(&mut self) -> Result<Option<Bytes>, FetchError> {
        if self.waiting.is_empty() {
            match self.response.chunk().await {
                Ok(Some(piece)) => {
                    self.received += piece.len() as u64;
                    self.waiting = piece;
                }
                Ok(None) => return self.finish(),
                Err(error) => return Err(FetchError::in_body(&error, &self.host)),
            }
        }
        let piece = match &mut self.decoder {
            None => std::mem::take(&mut self.waiting),
            Some(decoder) => {
                let step = self.waiting.split_to(self.waiting.len().min(GZIP_STEP_BYTES));
                decoder.write_all(&step).map_err(|error| FetchError::bad(&self.host, error.to_string()))?;
                Bytes::from(std::mem::take(decoder.get_mut()))
            }
        };
        self.count(piece).map(Some)
    }

    fn finish(&mut self) -> Result<Option<Bytes>, FetchError> {
        if self.length.is_some_and(|length| length != self.received) {
            return Err(FetchError::broken(&self.host, "its length is not the one stated"));
        }
        let Some(decoder) = self.decoder.take() else {
            return Ok(None);
        };
        let rest = decoder.finish().map_err(|error| FetchError::broken(&self.host, error.to_string()))?;
        if rest.is_empty() { Ok(None) } else { self.count(rest.into()).map(Some) }
    }

    fn count(&mut self, piece: Bytes) -> Result<Bytes, FetchError> {
        self.decoded += piece.len();
        if self.decoded > self.limit {
            return Err(FetchError::TooLarge { host: self.host.clone(), limit: self.limit });
        }
        Ok(piece)
    }
}
