//! Who runs the checks: the task itself, or threads.

use std::task::{Poll, Waker};
use std::time::Instant;

use super::lag::Due;
use super::runner::Runner;
use super::runs::{Finished, Job, Spot};
use super::threads::Threads;
use crate::monitor::Run;

/// Who runs the checks of a driver.
pub(super) enum Crew {
    Own(Runner),
    Threads(Threads),
}

impl Default for Crew {
    fn default() -> Self {
        Self::Own(Runner::default())
    }
}

impl Crew {
    /// Lets no more runs be under way at once.
    pub(super) fn limit(&mut self, most: usize) {
        match self {
            Self::Own(runner) => runner.limit(most),
            Self::Threads(threads) => threads.limit(most),
        }
    }

    /// Begins a run; answers where it is, if that is in the task itself.
    pub(super) fn start(&mut self, now: Instant, job: Job) -> Option<Spot> {
        match self {
            Self::Own(runner) => Some(runner.start(now, job)),
            Self::Threads(threads) => {
                threads.start(now, job);
                None
            }
        }
    }

    /// Ends the run at `spot`.
    pub(super) fn stop(&mut self, spot: Spot) {
        if let Self::Own(runner) = self {
            runner.stop(spot);
        }
    }

    /// Ends `run`, if it is on a thread.
    pub(super) fn cancel(&self, run: Run) {
        if let Self::Threads(threads) = self {
            threads.stop(run);
        }
    }

    /// Takes one step: `None` if there is none to take, `Some(Some)` if it ended a run.
    pub(super) fn poll_next(&mut self) -> Option<Option<Finished>> {
        match self {
            Self::Own(runner) => match runner.poll_next()? {
                Poll::Pending => Some(None),
                Poll::Ready(finished) => Some(Some(finished)),
            },
            Self::Threads(threads) => threads.poll_next().map(Some),
        }
    }

    pub(super) fn listen(&self, waker: &Waker) {
        match self {
            Self::Own(runner) => runner.listen(waker),
            Self::Threads(threads) => threads.listen(waker),
        }
    }

    /// When [`Self::end_overdue`] is to be asked. Threads see to that themselves.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self {
            Self::Own(runner) => runner.next_deadline(),
            Self::Threads(_) => None,
        }
    }

    /// What was due at `due` is done `now`. Threads hear answers while whoever asks is late.
    pub(super) fn woken(&mut self, due: Instant, now: Instant) {
        if let Self::Own(runner) = self {
            runner.woken(due, now);
        }
    }

    pub(super) fn end_overdue(&mut self, now: Instant) -> Option<Finished> {
        match self {
            Self::Own(runner) => runner.end_overdue(now),
            Self::Threads(_) => None,
        }
    }

    /// When others than the driver itself have to do something.
    pub(super) fn dues(&self) -> Vec<Due> {
        match self {
            Self::Own(_) => Vec::new(),
            Self::Threads(threads) => threads.dues().collect(),
        }
    }
}
