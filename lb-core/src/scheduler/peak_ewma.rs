//! `peak_ewma`: the faster of two.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;

use super::Scheduler;
use super::draw::WeightedDraw;
use crate::flow::Flow;
use crate::pool::Member;

/// `peak_ewma`: of two backends drawn in proportion to weight, the one with less latency times one
/// more than its flows per weight. O(1).
///
/// The latency is Finagle's, linkerd's and tower's peak-sensitive moving average of the time to a
/// [successful](crate::backend::Outcome) outcome: a slower one counts at once and in full, a faster one by how
/// much of 10 s has passed, `e^(−t / 10 s)` of the old value staying; it wears off at the same rate
/// while there is no news, so that a backend that was slow once is tried again. The time comes from
/// [`Flow::at`]; without it nothing wears off.
///
/// # Where it differs
/// tower starts a new backend at a default that the user has to guess; here it is taken to be as fast
/// as whoever it is compared with. Failures do not count as latency: of the other one's cost, a
/// backend is taken to have the share of its flows that failed. There is no lock, and no clock is
/// read.
#[derive(Debug, Default)]
pub struct PeakEwma {
    draw: WeightedDraw,
}

impl PeakEwma {
    /// A draw over no members yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Scheduler for PeakEwma {
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        Arc::new(Self { draw: WeightedDraw::over(members) })
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, rng: &mut dyn Rng) -> Option<usize> {
        self.draw.better_of_two(flow, members, rng, |a, b| {
            let times = [a, b].map(|one| one.load.peak_time(flow.now));
            let cost = |time: Option<Duration>, member: &Member| {
                let time = time.map_or(1, |time| time.as_micros() as u64);
                time * (u64::from(member.weight) + u64::from(member.load.active()))
            };
            (cost(times[0].or(times[1]), a), cost(times[1].or(times[0]), b))
        })
    }

    fn is_timed(&self) -> bool {
        true
    }
}
