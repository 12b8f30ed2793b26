//! Who has the least: one exact scan, for every notion of load.

use std::cmp::Ordering;

use rand::Rng;

use super::draw::{below, draw_by_walking, is_trial};
use crate::flow::Flow;
use crate::pool::Member;

/// A load beside the share of all loads that is due to whoever bears it. Among equals, it is drawn
/// by that share.
#[derive(Clone, Copy, Debug)]
pub(super) struct PerShare {
    /// Less than 2⁴⁸, so that products with a share fit.
    pub(super) load: u64,
    /// From 1 to the greatest weight.
    pub(super) share: u64,
}

impl PerShare {
    pub(super) fn compare(self, other: Self) -> Ordering {
        (self.load * other.share).cmp(&(other.load * self.share))
    }

    /// The quotient, in 65 536ths.
    fn fixed(self) -> u64 {
        u64::try_from((u128::from(self.load) << 16) / u128::from(self.share)).unwrap_or(u64::MAX)
    }
}

/// The member with the least load for its share that may take the flow. O(n).
#[inline]
pub(super) fn least(
    members: &[Member],
    flow: &Flow<'_>,
    rng: &mut dyn Rng,
    load: impl Fn(usize, &Member) -> PerShare,
) -> Option<usize> {
    let usable = || members.iter().enumerate().filter(|(_, member)| flow.may_use(member));
    let mut failing = false;
    let plain = |index: usize, member: &Member| {
        let load = load(index, member);
        (load, load.share)
    };
    let chosen = least_of(
        usable(),
        rng,
        |index, member| {
            failing |= member.load.failing() > 0;
            plain(index, member)
        },
        |one, other| one.compare(*other),
    );
    if !failing {
        return chosen;
    }
    if is_trial(rng) {
        return draw_by_walking(members, flow, rng);
    }
    // Somebody's flows fail. What they do not stay is made up for by as much of the others' mean.
    let (sum, count) = usable().fold((0_u128, 0_u128), |(sum, count), (index, member)| {
        (sum + u128::from(load(index, member).fixed()), count + 1)
    });
    let others = u128::max(count, 2) - 1;
    least_of(
        usable(),
        rng,
        |index, member| {
            let load = load(index, member);
            let own = u128::from(load.fixed());
            let mean = sum.saturating_sub(own) / others;
            let missing = mean * u128::from(member.load.failing()) / u128::from(u16::MAX);
            (own + missing, load.share)
        },
        Ord::cmp,
    )
}

/// The member of least cost; where several are, one drawn by the shares that come with the costs.
#[inline]
fn least_of<'a, C: Copy>(
    usable: impl Iterator<Item = (usize, &'a Member)> + Clone,
    rng: &mut dyn Rng,
    mut cost: impl FnMut(usize, &Member) -> (C, u64),
    compare: impl Fn(&C, &C) -> Ordering,
) -> Option<usize> {
    let mut candidates = usable.clone();
    let (first, member) = candidates.next()?;
    let (least, share) = cost(first, member);
    let mut best = (first, least);
    let (mut tied, mut tied_shares) = (1_usize, share);
    for (index, member) in candidates {
        let (cost, share) = cost(index, member);
        match compare(&cost, &best.1) {
            Ordering::Less => {
                best = (index, cost);
                (tied, tied_shares) = (1, share);
            }
            Ordering::Equal => {
                tied += 1;
                tied_shares += share;
            }
            Ordering::Greater => {}
        }
    }
    if tied == 1 {
        return Some(best.0);
    }
    let mut left = below(rng.next_u64(), tied_shares);
    let mut drawn = usable.filter_map(|(index, member)| {
        let (cost, share) = cost(index, member);
        compare(&cost, &best.1).is_eq().then_some((index, share))
    });
    let drawn = drawn.find(|&(_, share)| {
        let found = left < share;
        left = left.saturating_sub(share);
        found
    });
    // Counters move while we look: if the drawn one has become busier meanwhile, the first will do.
    Some(drawn.map_or(best.0, |(index, _)| index))
}
