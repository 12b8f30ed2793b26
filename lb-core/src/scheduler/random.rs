//! `random` and `p2c`: drawn by weight.

use std::sync::Arc;

use rand::Rng;

use super::Scheduler;
use super::arrivals::Arrivals;
use super::draw::WeightedDraw;
use super::least::PerShare;
use crate::flow::Flow;
use crate::pool::Member;

/// `random`: a backend drawn in proportion to its weight. O(1).
#[derive(Debug, Default)]
pub struct Random {
    draw: WeightedDraw,
}

impl Random {
    /// A draw over no members yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Scheduler for Random {
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        Arc::new(Self { draw: WeightedDraw::over(members) })
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, rng: &mut dyn Rng) -> Option<usize> {
        self.draw.one_for(flow, members, rng)
    }
}

/// `p2c`: of two backends drawn in proportion to weight, the one with fewer active flows per
/// weight; the first drawn if they are equal. O(1).
///
/// Two choices bring the longest queue from O(log n / log log n) down to O(log log n)
/// (Mitzenmacher, *The Power of Two Choices in Randomized Load Balancing*, 2001), without the herd
/// that an exact least-connections scan makes of many balancers. Because the draw carries the
/// weight and the comparison is of utilisation, shares are exactly those of the weights as long as
/// all are equally busy; dividing a load by a weight after an even draw gives 67/17/17 for weights
/// 99/0.5/0.5 (tower issue 696). A backend whose flows [fail](crate::backend::Outcome) is taken to have, of
/// the other one's load, the share that failed. One that has just come among others that are busy
/// begins as if it had as much as they have, as with [`LeastLoad`](super::LeastLoad).
#[derive(Debug, Default)]
pub struct PowerOfTwo {
    draw: WeightedDraw,
    arrivals: Arrivals,
}

impl PowerOfTwo {
    /// A draw over no members yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Scheduler for PowerOfTwo {
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        let flows = |member: &Member| PerShare {
            load: member.load.active().into(),
            share: member.weight.into(),
        };
        let arrivals = self.arrivals.over(members, flows);
        Arc::new(Self { draw: WeightedDraw::over(members), arrivals })
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, rng: &mut dyn Rng) -> Option<usize> {
        let active = |member: &Member| u64::from(member.load.active());
        match self.arrivals.take_turn() {
            None => self.draw.better_of_two(flow, members, rng, |_, one, _| active(one)),
            Some(turn) => {
                let taken = |index, one: &Member, _: &Member| active(one) + turn.of(index);
                self.draw.better_of_two(flow, members, rng, taken)
            }
        }
    }
}
