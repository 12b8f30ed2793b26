//! `random` and `p2c`: drawn by weight.

use std::sync::Arc;

use rand::Rng;

use super::{Scheduler, below, draw_by_walking};
use crate::flow::Flow;
use crate::member::Member;

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
        if flow.tried.is_empty() { self.draw.one(rng) } else { draw_by_walking(members, flow, rng) }
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
/// 99/0.5/0.5 (tower issue 696).
#[derive(Debug, Default)]
pub struct PowerOfTwo {
    draw: WeightedDraw,
}

impl PowerOfTwo {
    /// A draw over no members yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Scheduler for PowerOfTwo {
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        Arc::new(Self { draw: WeightedDraw::over(members) })
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, rng: &mut dyn Rng) -> Option<usize> {
        let (first, second) = if flow.tried.is_empty() {
            self.draw.two(rng)?
        } else {
            (draw_by_walking(members, flow, rng)?, draw_by_walking(members, flow, rng)?)
        };
        let (Some(a), Some(b)) = (members.get(first), members.get(second)) else {
            return None;
        };
        let first_is_busier = u64::from(a.load.active()) * u64::from(b.weight)
            > u64::from(b.load.active()) * u64::from(a.weight);
        Some(if first_is_busier { second } else { first })
    }
}

/// Draws an index in proportion to weight in O(1): Walker's alias method with Vose's construction
/// (*A Linear Algorithm for Generating Random Numbers with a Given Distribution*, 1991), in
/// integers. A column's threshold is exact to 2⁻³².
#[derive(Debug, Default)]
struct WeightedDraw {
    columns: Box<[Column]>,
}

#[derive(Clone, Copy, Debug)]
struct Column {
    /// Below it, in 32 bits, the column's own member is drawn; above, the alias.
    threshold: u32,
    own: u32,
    alias: u32,
}

impl WeightedDraw {
    /// O(n).
    fn over(members: &[Member]) -> Self {
        let usable: Vec<u32> = (0..members.len() as u32)
            .filter(|&index| !members[index as usize].weight.is_zero())
            .collect();
        let weight = |index: u32| u128::from(members[index as usize].weight.value());
        let total: u128 = usable.iter().map(|&index| weight(index)).sum();
        // Each column holds `total`; a member brings its weight times the number of columns.
        let mut brought: Vec<u128> =
            usable.iter().map(|&index| weight(index) * usable.len() as u128).collect();
        let (mut short, mut long): (Vec<usize>, Vec<usize>) =
            (0..usable.len()).partition(|&column| brought[column] < total);
        let full = |&own: &u32| Column { threshold: u32::MAX, own, alias: own };
        let mut columns: Box<[Column]> = usable.iter().map(full).collect();
        while let (Some(poor), Some(&rich)) = (short.pop(), long.last()) {
            columns[poor].threshold = ((brought[poor] << 32) / total) as u32;
            columns[poor].alias = usable[rich];
            brought[rich] -= total - brought[poor];
            if brought[rich] < total {
                long.pop();
                short.push(rich);
            }
        }
        Self { columns }
    }

    #[inline]
    fn one(&self, rng: &mut dyn Rng) -> Option<usize> {
        (!self.columns.is_empty()).then(|| self.column(rng.next_u64()))
    }

    /// Two draws, different ones where there are two: a second draw that repeats the first is
    /// replaced by any other member, evenly.
    #[inline]
    fn two(&self, rng: &mut dyn Rng) -> Option<(usize, usize)> {
        let first = self.one(rng)?;
        let mut second = self.column(rng.next_u64());
        if first == second && self.columns.len() > 1 {
            // The columns' own members are all the usable ones in order, so that the place after
            // the first's, wrapped, is any other one.
            let place = self.columns.partition_point(|column| (column.own as usize) < first);
            let steps = 1 + below(rng.next_u64(), self.columns.len() as u64 - 1) as usize;
            second = self.columns[(place + steps) % self.columns.len()].own as usize;
        }
        Some((first, second))
    }

    /// The upper half of the bits chooses the column, the lower half the side of its threshold.
    #[inline]
    fn column(&self, bits: u64) -> usize {
        let place = ((bits >> 32) * self.columns.len() as u64) >> 32;
        let column = self.columns[place as usize];
        (if (bits as u32) < column.threshold { column.own } else { column.alias }) as usize
    }
}
