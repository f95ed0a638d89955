use bytes::Bytes;
use futures_util::Stream;
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

/// Largest piece handed on at once, in bytes: a piece is held together with what was read of the part before it.
const PIECE_BYTES_MAX: usize = 64 * 1024;

/// Most bytes taken for one answer of the reader: a part's head, or what stands before the first boundary. A head has
/// a few hundred bytes.
const STEP_BYTES_MAX: usize = 64 * 1024;

/// A body that is read no faster than it is used.
///
/// The multipart reader takes all that is there each time it is asked, and gathers a head without a bound: a fast
/// client could fill the memory. So it is given nothing until it has tried what it has, then one piece at a time.
pub struct Paced<S> {
    body: Pin<Box<S>>,
    rest: Bytes,
    pace: Arc<Pace>,
}

/// How the one who asks the reader tells the body of it.
#[derive(Default)]
pub struct Pace {
    /// Whether the reader has to try first what it has.
    hold: AtomicBool,
    /// Bytes given since [`Pace::step`].
    given: AtomicUsize,
}

#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the head of a part has no end")]
    EndlessHead,
    #[error(transparent)]
    Client(Box<dyn Error + Send + Sync>),
}

impl Pace {
    /// To be said before each question to the reader.
    pub fn step(&self) {
        self.hold.store(true, Ordering::Relaxed);
        self.given.store(0, Ordering::Relaxed);
    }
}

impl<S, E> Paced<S>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Error + Send + Sync + 'static,
{
    pub fn new(body: S) -> (Self, Arc<Pace>) {
        let pace = Arc::new(Pace::default());
        (Self { body: Box::pin(body), rest: Bytes::new(), pace: Arc::clone(&pace) }, pace)
    }
}

impl<S, E> Stream for Paced<S>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Error + Send + Sync + 'static,
{
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.pace.hold.swap(false, Ordering::Relaxed) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.pace.given.load(Ordering::Relaxed) > STEP_BYTES_MAX {
            return Poll::Ready(Some(Err(BodyError::EndlessHead)));
        }
        while self.rest.is_empty() {
            match self.body.as_mut().poll_next(context) {
                Poll::Ready(Some(Ok(bytes))) => self.rest = bytes,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(BodyError::Client(error.into())))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
        let len = self.rest.len().min(PIECE_BYTES_MAX);
        let piece = self.rest.split_to(len);
        self.pace.given.fetch_add(piece.len(), Ordering::Relaxed);
        self.pace.hold.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Ok(piece)))
    }
}
