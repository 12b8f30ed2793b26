//! How many runs are under way at once, and who waits for a turn.

use std::collections::VecDeque;

use super::runs::Spot;

/// Turns to be taken, in the order that they were asked for.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// As many as come, if there is none.
    most: Option<usize>,
    taken: usize,
    /// Of those that wait; some may be gone by the time that it is their turn.
    waiting: VecDeque<Spot>,
}

impl Turns {
    pub(super) const fn limit(&mut self, most: usize) {
        self.most = Some(most);
    }

    /// Whether the run at `spot` may begin; else it waits until [`Self::next`] says that it may.
    pub(super) fn admits(&mut self, spot: Spot) -> bool {
        let is_free = self.is_free();
        if !is_free {
            self.waiting.push_back(spot);
        }
        is_free
    }

    /// One has begun.
    pub(super) const fn take(&mut self) {
        self.taken += 1;
    }

    /// One that had begun is over.
    pub(super) const fn give_back(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }

    /// Who may be next, if somebody may.
    pub(super) fn next(&mut self) -> Option<Spot> {
        if self.is_free() { self.waiting.pop_front() } else { None }
    }

    fn is_free(&self) -> bool {
        self.most.is_none_or(|most| self.taken < most)
    }
}
