//! `wrr`, `wrr-ipvs`: by weight, in one period or another.

mod gcd;
mod smooth;

use std::fmt;

use rand::Rng;

use super::cursor::Cursor;
use super::draw::draw_by_walking;
use crate::flow::Flow;
use crate::pool::Member;
use crate::weight::Weight;

pub use gcd::GcdWeighted;
pub use smooth::SmoothWeighted;

/// Picks that repeat themselves, laid out once, and how far they have come.
#[derive(Default)]
struct Period {
    /// Indices of members, in the order of their turns.
    sequence: Box<[u32]>,
    cursor: Cursor,
}

impl Period {
    /// A period that is not known yet.
    fn starting_at(phase: u64) -> Self {
        Self { sequence: Box::default(), cursor: Cursor::starting_at(phase) }
    }

    /// The same, which begins where the first pick draws.
    fn starting_anywhere() -> Self {
        Self { sequence: Box::default(), cursor: Cursor::anywhere() }
    }

    fn at(position: u64, sequence: Box<[u32]>) -> Self {
        Self { sequence, cursor: Cursor::at(position) }
    }

    /// Whose turn it is; if that one refused the flow, one of the others drawn by weight, so that
    /// its share is spread over all of them and does not go to whoever comes next.
    #[inline]
    fn pick(&self, members: &[Member], flow: &Flow<'_>, rng: &mut dyn Rng) -> Option<usize> {
        if flow.any_will_do() { self.next(rng) } else { self.usable(members, flow, rng) }
    }

    #[inline]
    fn next(&self, rng: &mut dyn Rng) -> Option<usize> {
        if self.sequence.is_empty() {
            return None;
        }
        Some(self.sequence[self.cursor.advance(self.sequence.len(), rng)] as usize)
    }

    /// Apart, so that a pick where anybody may take the flow keeps nothing ready for this.
    #[inline(never)]
    fn usable(&self, members: &[Member], flow: &Flow<'_>, rng: &mut dyn Rng) -> Option<usize> {
        let index = self.next(rng)?;
        if members.get(index).is_some_and(|member| flow.may_use(member)) {
            return Some(index);
        }
        draw_by_walking(members, flow, rng)
    }
}

/// The length, not its thousands of entries.
impl fmt::Debug for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Period")
            .field("length", &self.sequence.len())
            .field("position", &self.cursor.position())
            .finish()
    }
}

/// The longest period that is laid out whole, unless there are more members than this.
const LONGEST_PERIOD: u64 = 65_536;

/// One period of nginx's smooth sequence, in which each has the turns of its weight.
pub(super) fn smooth_period(weights: impl Iterator<Item = Weight> + Clone) -> Box<[u32]> {
    smooth::lay_out(&shares(weights))
}

/// The weights of one period: divided by what they have in common, then held to the limit.
fn shares(weights: impl Iterator<Item = Weight> + Clone) -> Vec<i64> {
    let common = weights.clone().fold(Weight::ZERO, Weight::gcd);
    let common = u64::from(common).max(1);
    let limit = LONGEST_PERIOD.max(weights.clone().count() as u64);
    let total = weights.clone().map(u64::from).sum::<u64>() / common;
    weights
        .map(|weight| match u64::from(weight) / common {
            0 => 0,
            share if total <= limit => share as i64,
            share => ((share * limit + total / 2) / total).max(1) as i64,
        })
        .collect()
}
