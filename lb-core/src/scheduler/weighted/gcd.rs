//! `wrr-ipvs`: by weight, in the order that the kernel has.

use std::cmp::Reverse;
use std::sync::Arc;

use rand::Rng;

use super::{Period, shares};
use crate::backend::BackendId;
use crate::flow::Flow;
use crate::hash::stir;
use crate::pool::Member;
use crate::scheduler::Scheduler;
use crate::weight::Weight;

/// `wrr-ipvs`: the weighted round robin of IPVS (`ip_vs_wrr.c`), pick by pick.
///
/// The list is gone through again and again, each time for those who weigh as much as the *level*.
/// That begins at the greatest weight, falls by the greatest common divisor of all weights, and
/// begins anew after the lowest. Weights 4, 3, 2 give `A A B A B C A B C`, and weights 5, 1, 1 give
/// `A A A A A B C`: the heavy ones get theirs in a row. Take it where a director has to do what IPVS
/// did, and [`SmoothWeighted`](super::SmoothWeighted) wherever nobody counts on that.
///
/// The period of `Σw / gcd` picks is laid out once when the membership changes; a pick is one atomic
/// exchange and one load, O(1), and threads that run into each other go through whole periods side by
/// side, as with [`RoundRobin`](crate::scheduler::RoundRobin). A redispatched flow is drawn by weight among the rest, so that the
/// share of a backend that refuses is spread over all.
///
/// A change of membership or of a weight goes back to the head of the list, and stays at the level
/// of the last pick, as in the kernel: a level above the greatest weight becomes that, and where
/// weights have a divisor it moves to one of their levels. Whoever is first in the list therefore
/// gains by frequent changes. In a fleet it would be the first choice of every instance after one, so
/// that the list begins somewhere else in each that has a [phase](Self::starting_at) of its own.
///
/// # Limits
/// Those of [`SmoothWeighted`](super::SmoothWeighted): periods longer than 65 536 entries are scaled
/// and rounded, with the same error. The level is then kept in proportion.
///
/// # Where it differs
/// The kernel looks at the list at every pick, so that one that is overloaded or refuses leaves its
/// turns to those after it. Drawing is of this library. A pool that is published anew with nothing
/// changed goes on where it was.
#[derive(Debug)]
pub struct GcdWeighted {
    period: Period,
    /// What the period was laid out for.
    list: Box<[(BackendId, Weight)]>,
    /// The position that the last change set: that of the list's head, at the level kept.
    head: u64,
    /// Where the first pick of all is to be; 0 if there was one before the last change.
    phase: u64,
    /// How many members go to the end of the list before it begins, if there are more. `None` until
    /// that follows from where the first pick began.
    turned: Option<u32>,
}

impl GcdWeighted {
    /// A rotation that starts at the head of the list, with the greatest weight.
    pub fn new() -> Self {
        Self::starting_at(0)
    }

    /// A rotation that starts as many picks later as the lower 31 bits of `phase` say, in a list that
    /// begins with another member for another upper half: from there on it is that of the kernel,
    /// as it would be over a list in that order.
    pub fn starting_at(phase: u64) -> Self {
        Self::over_nobody(Period::starting_at(phase), Some((phase >> 32) as u32))
    }

    /// A rotation that starts where the first pick draws, in a list that begins with another member
    /// for another draw.
    pub fn starting_anywhere() -> Self {
        Self::over_nobody(Period::starting_anywhere(), None)
    }

    fn over_nobody(period: Period, turned: Option<u32>) -> Self {
        let phase = period.cursor.position();
        Self { period, list: Box::default(), head: phase, phase, turned }
    }

    /// With which of so many members the list begins.
    fn first(&self, members: usize) -> usize {
        self.turned.unwrap_or(0) as usize % members.max(1)
    }

    /// How many levels there are below the one of the last pick, of how many; `None` if there are
    /// none at all. Before the first pick since a change it is the level that the change kept.
    fn level(&self, position: u64) -> Option<(u64, u64)> {
        let last = if position == self.head { position } else { position - 1 };
        let sequence = &self.period.sequence;
        let last = last.checked_rem(sequence.len() as u64)? as usize;
        // Each level goes up the list, and begins no later in it than the one before has ended.
        let (members, first) = (self.list.len(), self.first(self.list.len()));
        let turn = |index: u32| (index as usize + members - first) % members.max(1);
        let falls =
            |picks: &[u32]| picks.windows(2).filter(|pair| turn(pair[1]) <= turn(pair[0])).count();
        let all = falls(sequence);
        Some(((all - falls(&sequence[..=last])) as u64, all as u64 + 1))
    }

    /// The weight that the kernel would ask for now, its `cw`: 0 without members.
    fn weight_asked_for(&self, position: u64) -> u64 {
        let greatest = self.list.iter().map(|&(_, weight)| u64::from(weight)).max().unwrap_or(0);
        // From level to level it is the divisor, unless the period had to be scaled.
        self.level(position).map_or(0, |(below, levels)| below * greatest / levels + 1)
    }
}

/// The position in the period of `shares` where the list begins at the level of weight `asked_for`.
fn head_at(shares: &[i64], greatest: u64, asked_for: u64) -> u64 {
    let levels = shares.iter().copied().max().unwrap_or(0);
    let level = match asked_for {
        0 => levels,
        _ if levels as u64 == greatest => levels.min(asked_for as i64),
        _ => levels.min((asked_for * levels as u64 / greatest.max(1)) as i64 + 1),
    };
    shares.iter().map(|share| (share - level).max(0) as u64).sum()
}

/// One period of the kernel's sequence. O(Σ shares + members · distinct shares).
fn lay_out(shares: &[i64]) -> Box<[u32]> {
    let mut heaviest_first: Vec<u32> = (0..shares.len() as u32).collect();
    heaviest_first.sort_by_key(|&index| Reverse(shares[index as usize]));
    let mut joining = heaviest_first.iter().copied().peekable();
    let mut present = Vec::new();
    let mut sequence = Vec::with_capacity(shares.iter().sum::<i64>() as usize);
    for level in (1..=shares.iter().copied().max().unwrap_or(0)).rev() {
        let before = present.len();
        while let Some(index) = joining.next_if(|&index| shares[index as usize] >= level) {
            present.push(index);
        }
        if present.len() > before {
            present.sort_unstable();
        }
        sequence.extend_from_slice(&present);
    }
    sequence.into()
}

impl Default for GcdWeighted {
    fn default() -> Self {
        Self::new()
    }
}

impl Scheduler for GcdWeighted {
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        let list: Box<[_]> = members.iter().map(|member| (member.id, member.weight)).collect();
        let position = self.period.cursor.position();
        if list == self.list {
            let period = Period::at(position, self.period.sequence.clone());
            let Self { head, phase, turned, .. } = *self;
            return Arc::new(Self { period, list, head, phase, turned });
        }
        let untouched = position == self.head;
        // Where it is by now is as good as drawn: it was, once.
        let turned = self.turned.or((!untouched).then_some(stir(position) as u32));
        let mut shares = shares(members.iter().map(|member| member.weight));
        let first = turned.unwrap_or(0) as usize % members.len().max(1);
        shares.rotate_left(first);
        // An instance whose backends come up one by one still has a rotation of its own.
        let phase = if untouched { self.phase } else { 0 };
        let head = if phase > 0 {
            phase
        } else {
            let greatest = members.iter().map(|member| u64::from(member.weight)).max();
            head_at(&shares, greatest.unwrap_or(0), self.weight_asked_for(position))
        };
        let turn_back = |index: &u32| (*index as usize + first) as u32 % members.len() as u32;
        let sequence = lay_out(&shares).iter().map(turn_back).collect();
        let period = Period::at(head, sequence);
        Arc::new(Self { period, list, head, phase, turned })
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, rng: &mut dyn Rng) -> Option<usize> {
        self.period.pick(members, flow, rng)
    }
}
