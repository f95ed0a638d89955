use parking_lot::Mutex;
use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use tokio::sync::watch;

/// Calls under way, one per key: whoever asks while one runs waits for its result instead of starting another.
///
/// A call runs as its own task, so an asker that leaves ends nothing. A result is handed to those who wait and then
/// forgotten; it is not a cache.
pub struct Calls<K: Eq + Hash + Clone, T>(Arc<Mutex<HashMap<K, watch::Receiver<Option<T>>>>>);

/// The call ended without a result: its task panicked or the runtime is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the shared call ended without a result")]
pub struct CallLost;

impl<K, T> Calls<K, T>
where
    K: Eq + Hash + Clone + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(HashMap::new())))
    }

    /// Waits for the running call of `key`, or starts `call` and waits for that.
    pub async fn join<F>(&self, key: K, call: impl FnOnce() -> F) -> Result<T, CallLost>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut result = self.start(key, call);
        let value = result.wait_for(Option::is_some).await.map_err(|_| CallLost)?;
        value.clone().ok_or(CallLost)
    }

    /// Starts `call` unless one runs for `key`; nobody need wait for it.
    pub fn start<F>(&self, key: K, call: impl FnOnce() -> F) -> watch::Receiver<Option<T>>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut calls = self.0.lock();
        if let Some(running) = calls.get(&key) {
            return running.clone();
        }
        let (sender, receiver) = watch::channel(None);
        calls.insert(key.clone(), receiver.clone());
        let claim = Claim { calls: Arc::clone(&self.0), key };
        let future = call();
        tokio::spawn(async move {
            let value = future.await;
            // The claim goes first: who comes after the result is told starts anew.
            drop(claim);
            sender.send_replace(Some(value));
        });
        receiver
    }

    /// How many calls run now.
    pub fn running(&self) -> usize {
        self.0.lock().len()
    }
}

impl<K, T> Default for Calls<K, T>
where
    K: Eq + Hash + Clone + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    fn default() -> Self {
        Self::new()
    }
}

/// The right to run the call of a key; its end, however it comes, frees the key.
struct Claim<K: Eq + Hash + Clone, T> {
    calls: Arc<Mutex<HashMap<K, watch::Receiver<Option<T>>>>>,
    key: K,
}

impl<K: Eq + Hash + Clone, T> Drop for Claim<K, T> {
    fn drop(&mut self) {
        self.calls.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;

    #[tokio::test]
    async fn fifty_askers_make_one_call() {
        let calls: Arc<Calls<u8, usize>> = Arc::default();
        let (made, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let askers: Vec<_> = (0..50)
            .map(|_| {
                let (calls, made, gate) = (Arc::clone(&calls), Arc::clone(&made), Arc::clone(&gate));
                tokio::spawn(async move {
                    let call = || async move {
                        gate.notified().await;
                        made.fetch_add(1, Ordering::SeqCst) + 1
                    };
                    calls.join(1, call).await
                })
            })
            .collect();
        while calls.running() == 0 {
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
        gate.notify_one();
        for asker in askers {
            assert_eq!(asker.await.unwrap(), Ok(1));
        }
        assert_eq!((made.load(Ordering::SeqCst), calls.running()), (1, 0));
    }

    #[tokio::test]
    async fn a_panicking_call_wakes_its_askers_and_frees_the_key() {
        let calls: Calls<u8, u8> = Calls::new();
        assert_eq!(calls.join(1, || async { panic!("on purpose") }).await, Err(CallLost));
        assert_eq!(calls.join(1, || async { 7 }).await, Ok(7));
    }
}
