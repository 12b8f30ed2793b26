//! `lc`, `wlc`, `sed`, `nq`: the backend with the least to do.

use std::cmp::Ordering;
use std::sync::Arc;

use rand::Rng;

use super::{Scheduler, below};
use crate::flow::Flow;
use crate::member::Member;

/// What [`LeastLoad`] keeps small. `a` is the number of active flows, `w` the weight.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Cost {
    /// `lc`: `a`, whatever the weight (IPVS `ip_vs_lc.c`).
    LeastConnections,
    /// `nq`: nothing while idle, else `(a + 1) / w` (IPVS `ip_vs_nq.c`): no usable backend is left
    /// idle, however light, while another one gets a second flow.
    NeverQueue,
    /// `sed`: `(a + 1) / w`, the delay that the new flow will see (IPVS `ip_vs_sed.c`).
    ShortestExpectedDelay,
    /// `wlc`: `a / w` (IPVS `ip_vs_wlc.c`).
    WeightedLeastConnections,
}

/// The usable backend of least [`Cost`], by an exact scan of the live counters. O(n).
///
/// Fractions are compared by cross-multiplication, never in floating point. **Ties** are drawn in
/// proportion to weight (for `lc`: evenly). IPVS takes the first in the list, which sends all of a
/// light load to one backend (the kernel hides this by also counting connections that have ended;
/// a proxy has none of those); drawing from a generator of zeros is the kernel's order.
///
/// Two pickers at once may see the same counters and choose the same backend: the cost of the
/// choice is then above the least by as many flows as there are pickers at once. For pools of many
/// hundreds take [`PowerOfTwo`](super::PowerOfTwo), which looks at two counters instead of all.
#[derive(Clone, Copy, Debug)]
pub struct LeastLoad {
    cost: Cost,
}

impl LeastLoad {
    /// The scheduler for `cost`.
    pub const fn by(cost: Cost) -> Self {
        Self { cost }
    }
}

/// A cost as the fraction that it is.
type Fraction = (u64, u64);

fn compare(a: Fraction, b: Fraction) -> Ordering {
    // 33 bits of flows times 16 bits of weight.
    (a.0 * b.1).cmp(&(b.0 * a.1))
}

/// Which of two members has more flows per weight, as `wlc` counts; one of weight 0 has the most.
pub(super) fn compare_loads(one: &Member, other: &Member) -> Ordering {
    let load = |member: &Member| match u64::from(member.weight) {
        0 => (1, 0),
        weight => (u64::from(member.load.active()), weight),
    };
    compare(load(one), load(other))
}

/// The member of least cost; where several are, one drawn by `tie_share`.
#[inline]
fn least(
    members: &[Member],
    flow: &Flow<'_>,
    rng: &mut dyn Rng,
    cost: impl Fn(u64, u64) -> Fraction,
    tie_share: impl Fn(u64) -> u64,
) -> Option<usize> {
    let usable = || members.iter().enumerate().filter(|(_, member)| flow.may_use(member));
    let cost_of = |member: &Member| cost(u64::from(member.load.active()), u64::from(member.weight));
    let share_of = |member: &Member| tie_share(u64::from(member.weight));

    let (first, member) = usable().next()?;
    let mut best = (first, cost_of(member));
    let (mut tied, mut tied_shares) = (1_usize, share_of(member));
    for (index, member) in usable().skip(1) {
        let cost = cost_of(member);
        match compare(cost, best.1) {
            Ordering::Less => {
                best = (index, cost);
                (tied, tied_shares) = (1, share_of(member));
            }
            Ordering::Equal => {
                tied += 1;
                tied_shares += share_of(member);
            }
            Ordering::Greater => {}
        }
    }
    if tied == 1 {
        return Some(best.0);
    }
    let mut left = below(rng.next_u64(), tied_shares);
    let drawn = usable().filter(|(_, member)| compare(cost_of(member), best.1).is_eq()).find(
        |(_, member)| {
            let share = share_of(member);
            let found = left < share;
            left = left.saturating_sub(share);
            found
        },
    );
    // Counters move while we look: if the drawn one has become busier meanwhile, the first will do.
    Some(drawn.map_or(best.0, |(index, _)| index))
}

impl Scheduler for LeastLoad {
    fn rebuild(&self, _: &[Member]) -> Arc<dyn Scheduler> {
        Arc::new(*self)
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, rng: &mut dyn Rng) -> Option<usize> {
        let by_weight = |weight| weight;
        match self.cost {
            Cost::LeastConnections => least(members, flow, rng, |active, _| (active, 1), |_| 1),
            Cost::NeverQueue => least(
                members,
                flow,
                rng,
                |active, weight| (if active == 0 { 0 } else { active + 1 }, weight),
                by_weight,
            ),
            Cost::ShortestExpectedDelay => {
                least(members, flow, rng, |active, weight| (active + 1, weight), by_weight)
            }
            Cost::WeightedLeastConnections => {
                least(members, flow, rng, |active, weight| (active, weight), by_weight)
            }
        }
    }
}
