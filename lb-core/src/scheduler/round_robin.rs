//! `rr`: one after the other.

use std::collections::HashSet;
use std::sync::Arc;

use rand::Rng;

use super::Scheduler;
use super::cursor::Cursor;
use super::weighted::smooth_period;
use crate::backend::BackendId;
use crate::flow::Flow;
use crate::pool::Member;
use crate::weight::Weight;

/// `rr`: every backend with a weight above 0 in turn, in configured order, whatever the weight
/// (IPVS `ip_vs_rr.c`).
///
/// Any window of n picks visits n backends. Where threads run into each other, one of them goes
/// through whole rounds by itself before it comes back to the common rotation: any n picks of a
/// round still visit n backends, and all together no backend is ahead of another by more than a turn
/// for the common rotation and one for each round that is under way beside it, of which there are
/// sixteen at most.
///
/// A change of membership continues the rotation where it was, without the rounds that were not gone
/// through to their end. A pick costs one atomic exchange, O(1); a flow that is redispatched takes the
/// next turn, so that the share of a backend that refuses goes to all others alike and not to its
/// successor.
///
/// While a backend [starts slowly](crate::virtual_server::VirtualServerConfig::slow_start), a round has
/// up to sixteen turns for each of the others, and for that one as many as it has sixteenths of its
/// share, spread as evenly as [`wrr`](super::SmoothWeighted) spreads weights, and within the same limits.
#[derive(Debug, Default)]
pub struct RoundRobin {
    turns: Box<[Turn]>,
    cursor: Cursor,
}

#[derive(Clone, Copy, Debug)]
struct Turn {
    index: u32,
    id: BackendId,
}

impl Turn {
    const fn index(&self) -> usize {
        self.index as usize
    }
}

impl RoundRobin {
    /// A rotation that starts with the first backend.
    pub fn new() -> Self {
        Self::default()
    }

    /// A rotation that starts `phase` turns later; only its lower 31 bits count.
    pub fn starting_at(phase: u64) -> Self {
        Self { turns: Box::default(), cursor: Cursor::starting_at(phase) }
    }

    /// A rotation that starts with whom the first pick draws.
    pub fn starting_anywhere() -> Self {
        Self { turns: Box::default(), cursor: Cursor::anywhere() }
    }

    /// The position in `turns` of the backend whose turn would have come next: where it has several,
    /// the first of them that is no less far through the round.
    fn resume(&self, turns: &[Turn]) -> u64 {
        let position = self.cursor.position();
        if self.turns.is_empty() || turns.is_empty() || self.cursor.is_untouched() {
            return position;
        }
        let present: HashSet<_> = turns.iter().map(|turn| turn.id).collect();
        let next = (position % self.turns.len() as u64) as usize;
        let mut upcoming = self.turns[next..].iter().chain(&self.turns[..next]);
        let Some(upcoming) = upcoming.find(|turn| present.contains(&turn.id)) else { return 0 };
        let passed = next * turns.len() / self.turns.len();
        let mut positions = (passed..turns.len()).chain(0..passed);
        positions.find(|&position| turns[position].id == upcoming.id).unwrap_or(0) as u64
    }
}

impl Scheduler for RoundRobin {
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        let shares = members.iter().map(|member| match member.weight {
            Weight::ZERO => Weight::ZERO,
            _ => member.warmth,
        });
        let turn = |&index: &u32| Turn { index, id: members[index as usize].id };
        let turns: Box<[Turn]> = smooth_period(shares).iter().map(turn).collect();
        Arc::new(Self { cursor: Cursor::at(self.resume(&turns)), turns })
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, rng: &mut dyn Rng) -> Option<usize> {
        if !flow.any_will_do() || self.turns.is_empty() {
            return self.usable(members, flow, rng);
        }
        Some(self.turns[self.cursor.advance(self.turns.len(), rng)].index())
    }
}

impl RoundRobin {
    /// Whose turn it is next of those that may take the flow. Apart, so that a pick where anybody may
    /// keeps nothing ready for this.
    #[inline(never)]
    fn usable(&self, members: &[Member], flow: &Flow<'_>, rng: &mut dyn Rng) -> Option<usize> {
        let length = self.turns.len();
        let may_use = |turn: &Turn| members.get(turn.index()).is_some_and(|one| flow.may_use(one));
        // Where all have one turn, twice around finds every one even if other pickers take turns in
        // between. The plain walk at the end is for when they took just the wrong ones, and for those
        // of whom there are few because they start slowly.
        let mut position = 0;
        for _ in 0..2 * length.min(members.len()) {
            position = self.cursor.advance(length, rng);
            let turn = self.turns[position];
            if may_use(&turn) {
                return Some(turn.index());
            }
        }
        let (before, after) = self.turns.split_at(position);
        after.iter().chain(before).find(|turn| may_use(turn)).map(Turn::index)
    }
}
