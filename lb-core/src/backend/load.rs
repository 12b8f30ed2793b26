//! What a backend is busy with, and how its last flows fared: the only state that the data plane
//! writes.

use std::fmt;
use std::time::{Duration, Instant};

use super::estimate::{Mean, Peak};
use super::{Limits, Outcome};
use crate::epoch::Epoch;
use crate::sync::{AtomicU16, AtomicU32, AtomicU64, Ordering};

/// Live counters of one backend, and the limits that they are held to.
///
/// They belong to the backend's identity, not to a pool, and so survive every change of the set.
/// Cache lines of their own, so that two workers counting on neighbours do not slow each other down.
#[derive(Default)]
#[repr(C, align(64))]
pub struct Load {
    // One line for what every flow writes, and what is looked at with it.
    /// The number of flows, and [`OVERLOADED`]. One word, because the flag follows from the number:
    /// apart from each other, a flow that leaves at the wrong moment could leave it set for ever.
    state: AtomicU32,
    /// Of the limits, 0 where there is none.
    max: AtomicU32,
    upper: AtomicU32,
    lower: AtomicU32,
    total: AtomicU64,
    failed: AtomicU64,
    failing: AtomicU16,
    // And one for the estimates.
    times: Times,
}

/// How long flows take.
#[derive(Default)]
#[repr(align(64))]
struct Times {
    mean: Mean,
    peak: Peak,
    /// What the estimates count time from: the first outcome.
    epoch: Epoch,
}

/// In `state`: the backend has reached its upper threshold, and not fallen below the lower one since.
const OVERLOADED: u32 = 1 << 31;

/// So small a share of failures does not count: without an end, the last trace of a failure would
/// keep an idle backend behind its idle neighbours for long.
const FORGOTTEN: u16 = u16::MAX / 64;

impl Load {
    /// Flows that hold a [`Lease`](crate::Lease) now.
    #[inline]
    pub fn active(&self) -> u32 {
        self.state.load(Ordering::Relaxed) & !OVERLOADED
    }

    /// Leases ever taken.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Flows ever reported as [failed](Outcome::Failure).
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// How many of the last flows failed, in 65 536ths: an eighth of the way towards all at every
    /// failure, an eighth of the way back at every success, and 0 once it is less than one in 64.
    #[inline]
    pub fn failing(&self) -> u16 {
        self.failing.load(Ordering::Relaxed)
    }

    /// The average time to a successful outcome, as [`LeastTime`](crate::scheduler::LeastTime)
    /// sees it at `now`, or without any forgiveness. `None` before the first one.
    pub fn mean_time(&self, now: Option<Instant>) -> Option<Duration> {
        self.times.mean.at(now.and_then(|now| self.tick(now)))
    }

    /// The peak-sensitive time to a successful outcome, as
    /// [`PeakEwma`](crate::scheduler::PeakEwma) sees it at `now`, or before anything wore off.
    /// `None` before the first one.
    pub fn peak_time(&self, now: Option<Instant>) -> Option<Duration> {
        self.times.peak.at(now.and_then(|now| self.tick(now)))
    }

    /// What it is held to.
    pub fn limits(&self) -> Limits {
        let [max, upper, lower] =
            [&self.max, &self.upper, &self.lower].map(|limit| limit.load(Ordering::Relaxed));
        Limits::from_words(max, upper, lower)
    }

    /// Holds it to other limits from now on. The flows that are there stay, however many. A higher
    /// upper threshold ends an overload by the one before, as in IPVS (`__ip_vs_update_dest`).
    pub(crate) fn limit(&self, limits: Limits) {
        let (max, upper, lower) = limits.into_words();
        let is_raised = upper > self.upper.load(Ordering::Relaxed);
        self.max.store(max, Ordering::Relaxed);
        self.upper.store(upper, Ordering::Relaxed);
        self.lower.store(lower, Ordering::Relaxed);
        self.update(|state| {
            let before = if is_raised { state & !OVERLOADED } else { state };
            Some(count(before, 0, &limits))
        });
    }

    /// Whether it takes no more flows until some have ended.
    #[inline]
    pub fn is_full(&self) -> bool {
        let state = self.state.load(Ordering::Relaxed);
        let max = self.max.load(Ordering::Relaxed);
        state & OVERLOADED != 0 || (max != 0 && state >= max)
    }

    /// Counts one more flow, however full it is.
    #[inline]
    pub(crate) fn enter(&self) {
        if self.is_limited() {
            self.update(|state| Some(count(state, 1, &self.limits())));
            self.judge_overload();
        } else {
            self.state.fetch_add(1, Ordering::Relaxed);
        }
        self.total.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one more flow, unless it is full.
    #[inline]
    pub(crate) fn try_enter(&self) -> bool {
        if self.is_limited() {
            return self.try_enter_limited();
        }
        self.state.fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Apart, so that an assignment where nothing is limited is small enough to become part of its caller.
    #[inline(never)]
    fn try_enter_limited(&self) -> bool {
        let entered = self.update(|state| {
            let limits = self.limits();
            let room = state & OVERLOADED == 0 && !limits.is_reached(state);
            room.then(|| count(state, 1, &limits))
        });
        if entered {
            self.judge_overload();
            self.total.fetch_add(1, Ordering::Relaxed);
        }
        entered
    }

    /// Counts one flow less.
    #[inline]
    pub(crate) fn leave(&self) {
        let before = self.state.fetch_sub(1, Ordering::AcqRel);
        if before & OVERLOADED != 0 {
            self.judge_overload();
        }
    }

    /// Judges an overload by the limits of now: those that it was found by may have changed while the
    /// flows stayed as many, which an exchange cannot see.
    #[inline(never)]
    fn judge_overload(&self) {
        if self.state.load(Ordering::Relaxed) & OVERLOADED != 0 {
            self.update(|state| Some(count(state, 0, &self.limits())));
        }
    }

    #[inline]
    fn is_limited(&self) -> bool {
        self.max.load(Ordering::Relaxed) | self.upper.load(Ordering::Relaxed) != 0
    }

    fn update(&self, change: impl FnMut(u32) -> Option<u32>) -> bool {
        // Whoever comes after `limit` in this word's order also sees the limits that it has set.
        self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, change).is_ok()
    }

    /// Notes how a flow fared that `took` so long, if that is known.
    pub(crate) fn report(&self, outcome: Outcome, took: Option<(Instant, Duration)>) {
        match outcome {
            Outcome::Failure => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                self.lean(|failing| failing + (u16::MAX - failing).div_ceil(8));
            }
            Outcome::Success => {
                // Nearly always 0 already: then there is nothing to write.
                if self.failing() > 0 {
                    self.lean(|failing| match failing - failing.div_ceil(8) {
                        few if few < FORGOTTEN => 0,
                        many => many,
                    });
                }
                // Of failures the time is not taken: one that fails at once is not fast.
                if let Some((now, took)) = took {
                    // If another thread has the first outcome just now, this one is as early.
                    let tick = milliseconds(self.times.epoch.begin(now).unwrap_or_default());
                    self.times.mean.sample(tick, took);
                    self.times.peak.sample(tick, took);
                }
            }
        }
    }

    /// Notes that a flow was sent here at `now`: until its outcome is known, the last estimate
    /// counts in full.
    #[inline(never)]
    pub(crate) fn chosen(&self, now: Instant) {
        if let Some(tick) = self.tick(now) {
            self.times.mean.chosen(tick);
        }
    }

    fn lean(&self, step: impl Fn(u16) -> u16) {
        let _ = self
            .failing
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |failing| Some(step(failing)));
    }

    /// The time in the estimates' count; `None` before the first outcome.
    fn tick(&self, now: Instant) -> Option<u32> {
        self.times.epoch.since(now).map(milliseconds)
    }
}

/// The state with `change` more flows.
#[inline]
fn count(state: u32, change: i32, limits: &Limits) -> u32 {
    let flows = (state & !OVERLOADED).wrapping_add_signed(change) & !OVERLOADED;
    match limits.is_overloaded(flows, state & OVERLOADED != 0) {
        true => flows | OVERLOADED,
        false => flows,
    }
}

/// Whole milliseconds; starts again at 0 after 49 days, which makes an estimate that old look young.
fn milliseconds(time: Duration) -> u32 {
    time.as_millis() as u32
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load")
            .field("active", &self.active())
            .field("total", &self.total())
            .field("failed", &self.failed())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(lb_loom)))]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn it_is_two_cache_lines() {
        assert_eq!((size_of::<Load>(), align_of::<Load>()), (128, 64));
    }

    #[test]
    fn limits_may_change_while_there_are_flows() {
        let limits = |upper: u32, lower: u32| {
            let [upper, lower] = [upper, lower].map(NonZeroU32::new);
            Limits::NONE.overloaded_at(upper.unwrap(), lower).unwrap()
        };
        let load = Load::default();
        (0..5).for_each(|_| load.enter());
        load.limit(limits(3, 2));
        assert!(load.is_full());
        (0..3).for_each(|_| load.leave());
        assert!(load.is_full(), "2 are not below the lower threshold");
        load.limit(limits(30, 20));
        assert!(!load.is_full());
        load.limit(limits(2, 1));
        assert!(load.is_full());
        load.limit(Limits::NONE);
        assert!(!load.is_full() && load.try_enter());
        assert_eq!((load.active(), load.limits()), (3, Limits::NONE));
    }

    #[test]
    fn a_higher_threshold_makes_room_at_once() {
        let limits = |upper: u32, lower: u32| {
            let [upper, lower] = [upper, lower].map(NonZeroU32::new);
            Limits::NONE.overloaded_at(upper.unwrap(), lower).unwrap()
        };
        let load = Load::default();
        load.limit(limits(2, 1));
        (0..2).for_each(|_| load.enter());
        load.limit(limits(2, 2));
        assert!(load.is_full());
        load.limit(limits(3, 1));
        assert!(!load.is_full(), "2 of 3");
        assert!(load.try_enter() && load.is_full());
        load.leave();
        load.limit(limits(3, 1));
        assert!(load.is_full(), "nothing was raised");
        load.limit(limits(2, 1));
        assert!(load.is_full());
    }

    #[test]
    fn failures_are_remembered_and_forgotten() {
        let load = Load::default();
        let many = |outcome| (0..100).for_each(|_| load.report(outcome, None));
        many(Outcome::Failure);
        assert_eq!((load.failing(), load.failed()), (u16::MAX, 100));
        many(Outcome::Success);
        assert_eq!(load.failing(), 0);
        load.report(Outcome::Failure, None);
        assert_eq!(load.failing(), 8192);
    }
}
