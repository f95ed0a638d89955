use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

/// Passwords hashed at once. One, because each takes a core for tens of milliseconds and 19 MiB, and the other cores
/// have pages to serve.
const AT_ONCE_MAX: usize = 1;

/// Passwords that wait their turn: at 50 ms each, the last waits less than two seconds.
pub const WAITING_MAX: usize = 32;

/// Who may hash now; the others wait in line, first come first served, and the line is bounded.
pub(super) struct Turns {
    turns: Arc<Semaphore>,
    /// Room for those at work and those in line together.
    places: Arc<Semaphore>,
}

/// A turn; given back when dropped.
pub(super) struct Turn {
    _turn: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE_MAX)),
            places: Arc::new(Semaphore::new(AT_ONCE_MAX + WAITING_MAX)),
        }
    }

    /// Waits for a turn; none when the line is full.
    pub(super) async fn turn(&self) -> Option<Turn> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok()?;
        Some(Turn { _turn: turn, _place: place })
    }
}

impl Turn {
    /// Does the work on a thread that may be blocked; none when it panicked. The work keeps the turn until it ends,
    /// also when nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let worked = spawn_blocking(move || {
            let result = work();
            drop(self);
            result
        });
        worked.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    #[tokio::test]
    async fn the_line_is_bounded_and_moves_on() {
        let turns = Turns::new();
        let first = turns.turn().await.unwrap();
        let mut line: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(turns.turn())).collect();
        for waiter in &mut line {
            assert!(poll!(waiter).is_pending());
        }
        assert!(turns.turn().await.is_none(), "one too many found a place");
        line.pop();
        let mut late = Box::pin(turns.turn());
        assert!(poll!(&mut late).is_pending(), "who left freed the place");
        drop(first);
        for waiter in line {
            drop(waiter.await.unwrap());
        }
        assert!(late.await.is_some());
    }

    #[tokio::test]
    async fn two_hundred_come_and_one_works_at_a_time() {
        let turns = Arc::new(Turns::new());
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let askers: Vec<_> = (0..200)
            .map(|_| {
                let (turns, now, most) = (Arc::clone(&turns), Arc::clone(&now), Arc::clone(&most));
                tokio::spawn(async move {
                    let work = move || {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::yield_now();
                        now.fetch_sub(1, Ordering::SeqCst);
                    };
                    match turns.turn().await {
                        Some(turn) => turn.run(work).await.is_some(),
                        None => false,
                    }
                })
            })
            .collect();
        let mut worked = 0;
        for asker in askers {
            worked += usize::from(asker.await.unwrap());
        }
        assert!(worked > WAITING_MAX, "{worked}");
        assert_eq!((most.load(Ordering::SeqCst), now.load(Ordering::SeqCst)), (1, 0));
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_keeps_its_turn() {
        let turns = Turns::new();
        let (go, gate) = mpsc::channel::<()>();
        let mut running = Box::pin(turns.turn().await.unwrap().run(move || gate.recv().is_ok()));
        assert!(poll!(&mut running).is_pending());
        drop(running);
        let mut next = Box::pin(turns.turn());
        assert!(poll!(&mut next).is_pending());
        go.send(()).unwrap();
        assert!(next.await.is_some());
    }

    #[tokio::test]
    async fn a_panic_gives_the_turn_back() {
        let turns = Turns::new();
        let work: fn() -> u8 = || panic!("on purpose");
        assert_eq!(turns.turn().await.unwrap().run(work).await, None);
        assert!(turns.turn().await.is_some());
    }
}
