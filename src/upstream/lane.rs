use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bounds how many requests are under way and how many wait for their turn.
#[derive(Clone)]
pub(super) struct Lane {
    turns: Arc<Semaphore>,
    /// Room for those under way and those in line together.
    places: Arc<Semaphore>,
}

/// A turn; given back when dropped.
pub(super) struct Turn {
    _turn: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

/// The line is full, or the wait was too long.
pub(super) struct Full;

impl Lane {
    pub(super) fn new(at_once_max: usize, waiting_max: usize) -> Self {
        let at_once = at_once_max.clamp(1, Semaphore::MAX_PERMITS / 2);
        let waiting = waiting_max.min(Semaphore::MAX_PERMITS / 2);
        Self { turns: Arc::new(Semaphore::new(at_once)), places: Arc::new(Semaphore::new(at_once + waiting)) }
    }

    /// Waits for a turn, first come first served, at most `patience`.
    pub(super) async fn turn(&self, patience: Duration) -> Result<Turn, Full> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Full)?;
        let turn = tokio::time::timeout(patience, Arc::clone(&self.turns).acquire_owned()).await;
        match turn {
            Ok(Ok(turn)) => Ok(Turn { _turn: turn, _place: place }),
            Ok(Err(_)) | Err(_) => Err(Full),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn turns_and_the_line_are_bounded() {
        let lane = Lane::new(1, 1);
        let first = lane.turn(LONG).await.ok().unwrap();
        let mut second = Box::pin(lane.turn(LONG));
        assert!(futures_util::poll!(&mut second).is_pending());
        assert!(lane.turn(LONG).await.is_err(), "a third had no place to wait");
        drop(first);
        assert!(second.await.is_ok());
        assert!(lane.turn(LONG).await.is_ok(), "the turns came back");
    }

    #[tokio::test]
    async fn patience_ends_and_a_waiter_that_leaves_frees_its_place() {
        let lane = Lane::new(1, 1);
        let held = lane.turn(LONG).await.ok().unwrap();
        assert!(lane.turn(Duration::ZERO).await.is_err());
        let mut leaver = Box::pin(lane.turn(LONG));
        assert!(futures_util::poll!(&mut leaver).is_pending());
        drop(leaver);
        let mut next = Box::pin(lane.turn(LONG));
        assert!(futures_util::poll!(&mut next).is_pending(), "the place was free");
        drop(held);
        assert!(next.await.is_ok());
    }
}
