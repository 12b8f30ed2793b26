//! Drawing by weight.

use rand::Rng;

use crate::flow::Flow;
use crate::pool::Member;

/// How often the precomputed draw is asked for somebody else before all members are walked.
const DRAWS: usize = 8;

/// Draws an index in proportion to weight in O(1): Walker's alias method with Vose's construction
/// (*A Linear Algorithm for Generating Random Numbers with a Given Distribution*, 1991), in
/// integers. A column's threshold is exact to 2⁻³².
#[derive(Clone, Debug, Default)]
pub(super) struct WeightedDraw {
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
    /// By the members' weights. O(n).
    pub(super) fn over(members: &[Member]) -> Self {
        Self::by(members.iter().map(|member| member.weight.value()))
    }

    /// By these weights of the members. O(n).
    pub(super) fn by(weights: impl Iterator<Item = u16>) -> Self {
        let weights: Vec<_> = weights.collect();
        let usable: Vec<u32> =
            (0..weights.len() as u32).filter(|&index| weights[index as usize] > 0).collect();
        let weight = |index: u32| u128::from(weights[index as usize]);
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

    /// A member for `flow`, if anybody may take it.
    #[inline]
    pub(super) fn one_for(
        &self,
        flow: &Flow<'_>,
        members: &[Member],
        rng: &mut dyn Rng,
    ) -> Option<usize> {
        if flow.any_will_do() { self.one(rng) } else { self.usable(flow, members, rng) }
    }

    /// Of two members drawn for `flow` the one with less load per weight, given the `load` of each
    /// beside the other one; the first if they are equal.
    #[inline]
    pub(super) fn better_of_two(
        &self,
        flow: &Flow<'_>,
        members: &[Member],
        rng: &mut dyn Rng,
        load: impl Fn(usize, &Member, &Member) -> u64,
    ) -> Option<usize> {
        let (first, second) = if flow.any_will_do() {
            self.two(rng)?
        } else {
            (self.usable(flow, members, rng)?, self.usable(flow, members, rng)?)
        };
        let (a, b) = (members.get(first)?, members.get(second)?);
        let loads = (load(first, a, b), load(second, b, a));
        Some(if is_busier(a, b, loads, rng) { second } else { first })
    }

    /// Draws until somebody may take the flow; after a few times, among those alone. Apart, so that a
    /// pick where anybody may keeps nothing ready for this.
    #[inline(never)]
    fn usable(&self, flow: &Flow<'_>, members: &[Member], rng: &mut dyn Rng) -> Option<usize> {
        let drawn = (0..DRAWS).find_map(|_| {
            let index = self.one(rng)?;
            flow.may_use(members.get(index)?).then_some(index)
        });
        drawn.or_else(|| draw_by_walking(members, flow, rng))
    }

    #[inline]
    pub(super) fn one(&self, rng: &mut dyn Rng) -> Option<usize> {
        (!self.columns.is_empty()).then(|| self.column(rng.next_u64()))
    }

    /// Two draws, different ones where there are two: a second draw that repeats the first is
    /// replaced by any other member, evenly.
    #[inline]
    fn two(&self, rng: &mut dyn Rng) -> Option<(usize, usize)> {
        let first = self.one(rng)?;
        let mut second = self.column(rng.next_u64());
        if first == second && self.columns.len() > 1 {
            // The columns' own members are all the usable ones in order, so that the one after
            // the first's, wrapped, is any other one.
            let position = self.columns.partition_point(|column| (column.own as usize) < first);
            let steps = 1 + below(rng.next_u64(), self.columns.len() as u64 - 1) as usize;
            second = self.columns[(position + steps) % self.columns.len()].own as usize;
        }
        Some((first, second))
    }

    /// The upper half of the bits chooses the column, the lower half the side of its threshold.
    #[inline]
    fn column(&self, bits: u64) -> usize {
        let index = ((bits >> 32) * self.columns.len() as u64) >> 32;
        let column = self.columns[index as usize];
        (if (bits as u32) < column.threshold { column.own } else { column.alias }) as usize
    }
}

/// Whether `a` has more load per weight than `b`. Whoever's flows fail has, beside its own, the share
/// that failed of the other one's: as much as it would have if they had stayed as long.
#[inline]
fn is_busier(a: &Member, b: &Member, (a_load, b_load): (u64, u64), rng: &mut dyn Rng) -> bool {
    let a_side = u128::from(a_load) * u128::from(b.weight.value());
    let b_side = u128::from(b_load) * u128::from(a.weight.value());
    match (a.load.failing(), b.load.failing()) {
        (0, 0) => a_side > b_side,
        _ if is_trial(rng) => false,
        (a_fails, b_fails) => {
            const WHOLE: u128 = 1 << 16;
            a_side * WHOLE + b_side * u128::from(a_fails)
                > b_side * WHOLE + a_side * u128::from(b_fails)
        }
    }
}

/// Whether to choose by weight alone although somebody's flows fail: one time in sixteen, so that
/// whoever has recovered is found out.
pub(super) fn is_trial(rng: &mut dyn Rng) -> bool {
    below(rng.next_u64(), 16) == 0
}

/// A number below `bound` from 64 even bits, each as likely as the other to within 2⁻⁶⁴ · `bound`
/// (Lemire, arXiv 1805.10941, without its rejection step). 0 for bits of zero, and for bound 0.
#[inline]
pub(super) fn below(bits: u64, bound: u64) -> u64 {
    ((u128::from(bits) * u128::from(bound)) >> 64) as u64
}

/// A member drawn by weight among those that may take the flow, by walking all of them: for
/// redispatch, where the precomputed draw knows nothing of the ones tried.
pub(super) fn draw_by_walking(
    members: &[Member],
    flow: &Flow<'_>,
    rng: &mut dyn Rng,
) -> Option<usize> {
    let usable = (0..members.len()).filter(|&index| flow.may_use(&members[index]));
    draw(usable, members, rng.next_u64())
}

/// One of the `usable` members' indices, drawn by weight with 64 even bits.
pub(super) fn draw(
    mut usable: impl Iterator<Item = usize> + Clone,
    members: &[Member],
    bits: u64,
) -> Option<usize> {
    let weight = |index: usize| u64::from(members[index].weight);
    let mut left = below(bits, usable.clone().map(weight).sum());
    let drawn = usable.clone().find(|&index| {
        let found = left < weight(index);
        left = left.saturating_sub(weight(index));
        found
    });
    // Backends become full while we look: whoever is left will do.
    drawn.or_else(|| usable.next())
}
