use super::remembered::Fingerprint;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Questions under way: who asks the same meanwhile shares the answer instead of working for it again.
///
/// A question names all that its answer depends on, so an answer is right for whoever shares it. What was not answered
/// is not shared: the next in line tries for itself. There are never more questions than askers.
#[derive(Default)]
pub(super) struct Shared(Mutex<HashMap<Fingerprint, Arc<OnceCell<bool>>>>);

/// An asker's hold on a question; the last one out takes the question along.
struct Seat<'a> {
    shared: &'a Shared,
    question: Fingerprint,
    answer: Option<Arc<OnceCell<bool>>>,
}

impl Shared {
    pub(super) async fn answer<E, F>(&self, question: Fingerprint, work: impl FnOnce() -> F) -> Result<bool, E>
    where
        F: Future<Output = Result<bool, E>>,
    {
        let answer = Arc::clone(self.0.lock().entry(question).or_default());
        let seat = Seat { shared: self, question, answer: Some(answer) };
        match &seat.answer {
            Some(answer) => answer.get_or_try_init(work).await.copied(),
            None => work().await,
        }
    }

    #[cfg(test)]
    pub(super) fn questions(&self) -> usize {
        self.0.lock().len()
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut questions = self.shared.0.lock();
        // Let go under the lock, or two who leave at once would each count the other.
        drop(self.answer.take());
        if questions.get(&self.question).is_some_and(|answer| Arc::strong_count(answer) == 1) {
            questions.remove(&self.question);
        }
    }
}
