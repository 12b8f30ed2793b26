//! `peak_ewma`: the faster of two.

use std::sync::Arc;

use rand::Rng;

use super::Scheduler;
use super::arrivals::Arrivals;
use super::draw::WeightedDraw;
use super::least::PerShare;
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
/// read. One that has just come among others that are busy begins as if it had as many flows as they
/// have, as with [`LeastLoad`](super::LeastLoad).
#[derive(Debug, Default)]
pub struct PeakEwma {
    draw: WeightedDraw,
    arrivals: Arrivals,
}

impl PeakEwma {
    /// A draw over no members yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Scheduler for PeakEwma {
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        // So much counts for each beside its latency.
        let taken = |member: &Member| PerShare {
            load: u64::from(member.weight) + u64::from(member.load.active()),
            share: member.weight.into(),
        };
        let arrivals = self.arrivals.over(members, taken);
        Arc::new(Self { draw: WeightedDraw::over(members), arrivals })
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, rng: &mut dyn Rng) -> Option<usize> {
        let turn = self.arrivals.take_turn();
        self.draw.better_of_two(flow, members, rng, |index, one, other| {
            let [own, others] = [one, other].map(|one| one.load.peak_time(flow.now));
            // Of whom nothing is known is as fast as the other one.
            let time = own.or(others).map_or(1, |time| time.as_micros() as u64);
            let more = turn.map_or(0, |turn| turn.of(index));
            time * (u64::from(one.weight) + u64::from(one.load.active()) + more)
        })
    }

    fn is_timed(&self) -> bool {
        true
    }
}
