//! Runs, and whose fault it is that one timed out.

use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::lag::Stalls;
use super::now;
use super::runs::{Finished, GRACE, Job, Runs, Spot};
use crate::{CheckError, Failure};

/// The runs of one thread.
///
/// While some are going it looks at the clock every now and then even if nothing is due: that it
/// was not there to hear an answer is only known from when it last was.
#[derive(Default)]
pub(super) struct Runner {
    runs: Runs,
    stalls: Stalls,
    /// When to look at the clock at the latest.
    beat: Option<Instant>,
}

impl Runner {
    /// Half of [`Stalls::SHORTEST`].
    const BEAT: Duration = Duration::from_millis(25);

    pub(super) const fn limit(&mut self, most: usize) {
        self.runs.limit(most);
    }

    pub(super) fn start(&mut self, now: Instant, job: Job) -> Spot {
        // While nothing ran nobody looked, and nobody had to.
        if self.runs.next_bound().is_none() {
            self.beat = Some(now + Self::BEAT);
        }
        self.runs.start(now, job)
    }

    pub(super) fn stop(&mut self, spot: Spot) {
        self.runs.stop(spot);
    }

    pub(super) fn listen(&self, waker: &Waker) {
        self.runs.listen(waker);
    }

    /// Lets one run go on; `None` if there is none that can.
    pub(super) fn poll_next(&mut self) -> Option<Poll<Finished>> {
        let polled = self.runs.poll_next(now)?;
        // What ended was going until now, so that there was a beat.
        Some(polled.map(|finished| self.judged(finished.ended, finished)))
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        // Where there is a run there is a bound, so that without one there is no need to look.
        let bound = self.runs.next_bound()?;
        Some(self.beat.map_or(bound, |beat| beat.min(bound)))
    }

    /// What was due at `due`, here or where it is asked for runs, is done `now`.
    pub(super) fn woken(&mut self, due: Instant, now: Instant) {
        self.stalls.woken(due, now);
        self.beat = Some(now + Self::BEAT);
    }

    /// Ends a run whose time is over at `now`, if there is one.
    pub(super) fn end_overdue(&mut self, now: Instant) -> Option<Finished> {
        let finished = self.runs.end_overdue(now)?;
        Some(self.judged(now, finished))
    }

    fn judged(&mut self, now: Instant, mut finished: Finished) -> Finished {
        let Finished { called, limits, result, .. } = &mut finished;
        if let Err(Failure { error: error @ CheckError::Timeout { .. }, .. }) = result {
            // Runs are polled before the clock is looked at: this may be the first to know of a stall.
            if let Some(beat) = self.beat {
                self.stalls.woken(beat, now);
            }
            let Some(called) = *called else {
                // It takes no turn while the next ones come up: one that does not take place.
                *error = CheckError::NoTurn { waited: limits.patience };
                return finished;
            };
            let end = called + limits.timeout;
            let late = now.saturating_duration_since(end + GRACE);
            let lag = self.stalls.excusing(called, end).or(Some(late).filter(|&late| late > GRACE));
            if let Some(lag) = lag {
                *error = CheckError::Overloaded { lag };
            }
        }
        finished
    }
}
