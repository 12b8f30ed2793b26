//! `lc`, `wlc`, `sed`, `nq`: the backend with the least to do.

use std::cmp::Ordering;
use std::sync::Arc;

use rand::Rng;

use super::Scheduler;
use super::least::{PerShare, least};
use crate::flow::Flow;
use crate::pool::Member;

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
/// A backend whose flows [fail](crate::backend::Outcome) is never idle for long enough to look busy. To its
/// own cost is added, of the mean cost of the others, the share of its flows that failed: as much as
/// it would have if they had stayed as long as everybody else's. It gets no more than its part then,
/// and none of the kernel's schedulers does that. While anybody fails, one flow in sixteen is drawn
/// by weight alone, so that a backend that has recovered is found out.
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

/// Which of two members has more flows per weight, as `wlc` counts; one of weight 0 has the most.
pub(super) fn compare_loads(one: &Member, other: &Member) -> Ordering {
    let load = |member: &Member| match u64::from(member.weight) {
        0 => PerShare { load: 1, share: 0 },
        share => PerShare { load: member.load.active().into(), share },
    };
    load(one).compare(load(other))
}

impl Scheduler for LeastLoad {
    fn rebuild(&self, _: &[Member]) -> Arc<dyn Scheduler> {
        Arc::new(*self)
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, rng: &mut dyn Rng) -> Option<usize> {
        let active = |member: &Member| u64::from(member.load.active());
        let weight = |member: &Member| u64::from(member.weight);
        match self.cost {
            Cost::LeastConnections => {
                least(members, flow, rng, |one| PerShare { load: active(one), share: 1 })
            }
            Cost::NeverQueue => least(members, flow, rng, |one| match active(one) {
                0 => PerShare { load: 0, share: weight(one) },
                busy => PerShare { load: busy + 1, share: weight(one) },
            }),
            Cost::ShortestExpectedDelay => least(members, flow, rng, |one| PerShare {
                load: active(one) + 1,
                share: weight(one),
            }),
            Cost::WeightedLeastConnections => {
                least(members, flow, rng, |one| PerShare { load: active(one), share: weight(one) })
            }
        }
    }
}
