//! Results on their way to whoever asked for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::mailbox::Mailbox;
use super::now;
use super::runs::Finished;

/// What is posted together.
///
/// To wake another thread takes longer than to judge a result, and of ten thousand results in a second
/// nearly all say once more what is known. So those that passed wait for one another for a moment; what
/// failed is told at once, with all before it.
pub(super) struct Outbox {
    results: Arc<Mailbox<Finished>>,
    waiting: Vec<Finished>,
    /// When the first of those that wait has waited for long enough.
    due: Option<Instant>,
}

impl Outbox {
    /// The longest that a result waits for others: nothing beside the shortest sensible interval.
    const PATIENCE: Duration = Duration::from_millis(4);
    /// The most that wait.
    const ROOM: usize = 64;

    pub(super) const fn new(results: Arc<Mailbox<Finished>>) -> Self {
        Self { results, waiting: Vec::new(), due: None }
    }

    pub(super) fn put(&mut self, finished: Finished) {
        let is_urgent = finished.result.is_err();
        self.waiting.push(finished);
        if is_urgent || self.waiting.len() >= Self::ROOM {
            self.post();
        } else if self.due.is_none() {
            self.due = Some(now() + Self::PATIENCE);
        }
    }

    /// When [`Self::handle_timeout`] is due.
    pub(super) const fn next_deadline(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.due.is_some_and(|due| due <= now) {
            self.post();
        }
    }

    fn post(&mut self) {
        self.due = None;
        self.results.post_all(&mut self.waiting);
    }
}
