//! `rr`: one after the other.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::Rng;

use super::Scheduler;
use crate::backend::BackendId;
use crate::flow::Flow;
use crate::pool::Member;

/// A place in a rotation that any number of pickers advance.
///
/// Alone on its cache line: it is written at every pick, its neighbours never are.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Cursor {
    position: AtomicU64,
    start: u64,
}

impl Cursor {
    pub(super) const fn at(position: u64) -> Self {
        Self { position: AtomicU64::new(position), start: position }
    }

    /// A cursor for a rotation that is not known yet. 31 bits are phase enough, and leave as many
    /// picks before divisions become slow.
    pub(super) const fn starting_at(phase: u64) -> Self {
        Self::at(phase & (u32::MAX >> 1) as u64)
    }

    /// Whether nobody was given a turn yet: then the whole phase carries over, and an instance
    /// whose backends come up one by one still has a rotation of its own.
    pub(super) fn is_untouched(&self) -> bool {
        self.position() == self.start
    }

    /// Where the next pick will be.
    pub(super) fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }

    /// The next place in a rotation of `length` places, which must not be 0.
    #[inline]
    pub(super) fn advance(&self, length: usize) -> usize {
        let position = self.position.fetch_add(1, Ordering::Relaxed);
        // A 32-bit division takes half the time of a 64-bit one, and a cursor is only that far
        // after four billion picks.
        match (u32::try_from(position), length as u32) {
            (Ok(position), short) if short as usize == length => (position % short) as usize,
            _ => (position % length as u64) as usize,
        }
    }
}

/// `rr`: every backend with a weight above 0 in turn, in configured order, whatever the weight
/// (IPVS `ip_vs_rr.c`).
///
/// Any window of n picks visits n backends. A change of membership continues the rotation where it
/// was. A pick costs one atomic addition, O(1); a flow that is redispatched takes the next turn,
/// so that the share of a backend that refuses goes to all others alike and not to its successor.
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

    /// The position in `turns` of the backend whose turn would have come next.
    fn resume(&self, turns: &[Turn]) -> u64 {
        let position = self.cursor.position();
        if self.turns.is_empty() || turns.is_empty() || self.cursor.is_untouched() {
            return position;
        }
        let places: HashMap<_, _> =
            turns.iter().enumerate().map(|(place, turn)| (turn.id, place as u64)).collect();
        let next = (position % self.turns.len() as u64) as usize;
        let upcoming = self.turns[next..].iter().chain(&self.turns[..next]);
        upcoming.filter_map(|turn| places.get(&turn.id).copied()).next().unwrap_or(0)
    }
}

impl Scheduler for RoundRobin {
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        let turns: Box<[Turn]> = members
            .iter()
            .enumerate()
            .filter(|(_, member)| !member.weight.is_zero())
            .map(|(index, member)| Turn { index: index as u32, id: member.id })
            .collect();
        Arc::new(Self { cursor: Cursor::at(self.resume(&turns)), turns })
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, _: &mut dyn Rng) -> Option<usize> {
        let length = self.turns.len();
        let may_use = |turn: &Turn| {
            flow.any_will_do() || members.get(turn.index()).is_some_and(|one| flow.may_use(one))
        };
        // Twice around finds every turn even if other pickers take turns in between; the plain
        // walk at the end is for when they took just the wrong ones.
        for _ in 0..2 * length {
            let turn = self.turns[self.cursor.advance(length)];
            if may_use(&turn) {
                return Some(turn.index());
            }
        }
        self.turns.iter().find(|turn| may_use(turn)).map(Turn::index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_goes_on_past_32_bits() {
        let cursor = Cursor::at(u64::from(u32::MAX) - 1);
        let places: Vec<_> = (0..4).map(|_| cursor.advance(3)).collect();
        // 2³² − 1 is divisible by three.
        assert_eq!(places, [2, 0, 1, 2]);
    }
}
