//! `lc`, `wlc`, `sed`, `nq`: the backend with the least to do.

use std::cmp::Ordering;
use std::sync::Arc;

use rand::Rng;

use super::Scheduler;
use super::arrivals::Arrivals;
use super::draw::{WeightedDraw, is_trial};
use super::least::{PerShare, least};
use crate::flow::Flow;
use crate::pool::Member;
use crate::weight::Weight;

/// What [`LeastLoad`] keeps small. `a` is the number of active flows, `w` the weight.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Cost {
    /// `lc`: `a`, whatever the weight (IPVS `ip_vs_lc.c`). While somebody starts slowly it is `a`
    /// for the sixteenths of its share that each has.
    LeastConnections,
    /// `nq`: nothing while idle (and not failing), else `(a + 1) / w` (IPVS `ip_vs_nq.c`): no usable backend is left
    /// idle, however light, while another one gets a second flow.
    NeverQueue,
    /// `sed`: `(a + 1) / w`, the delay that the new flow will see (IPVS `ip_vs_sed.c`). Of idle
    /// backends the heaviest is therefore first, and remains so until the flow would be served as soon
    /// by a lighter one: with weights 10, 1, 1 it gets nine, and the tenth is drawn. Take `wlc` where
    /// the load is light and each is to have its share of it, and `nq` where nobody is to be idle.
    ShortestExpectedDelay,
    /// `wlc`: `a / w` (IPVS `ip_vs_wlc.c`).
    WeightedLeastConnections,
}

/// The usable backend of least [`Cost`], by an exact scan of the live counters. O(n), and O(1) where
/// most are idle.
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
/// One that has just come, or come back, among others that are busy is not their first choice until
/// it is as busy, as it is to the kernel, and at once to every balancer of a fleet: it begins with the
/// flows that the others have on average, for its weight, which wear off within as many picks as
/// there are flows, and 64 for each backend at most. So does one whose weight grows with what it gains.
/// `nq` never takes the idle for busy.
///
/// Before the scan, a few backends are drawn as ties are: whoever of them is idle costs as little as
/// any, and is drawn among its like already.
///
/// Two pickers at once may see the same counters and choose the same backend: the cost of the
/// choice is then above the least by as many flows as there are pickers at once. For pools of many
/// hundreds take [`PowerOfTwo`](super::PowerOfTwo), which looks at two counters instead of all.
#[derive(Clone, Debug)]
pub struct LeastLoad {
    cost: Cost,
    /// Draws by the shares that decide between equals. None before there are members.
    draw: Option<WeightedDraw>,
    /// Whether the same share is due to all who take flows.
    is_even: bool,
    /// No member can cost less than this.
    floor: PerShare,
    arrivals: Arc<Arrivals>,
}

/// How many are drawn before all are looked at, at most.
const DRAWS: usize = 4;
/// How many there have to be for another draw: one in vain costs as much as looking at two or three.
const MEMBERS_A_DRAW: usize = 32;

impl LeastLoad {
    /// The scheduler for `cost`.
    pub fn by(cost: Cost) -> Self {
        let floor = PerShare { load: 0, share: 1 };
        Self { cost, draw: None, is_even: false, floor, arrivals: Arc::default() }
    }

    pub(super) fn over(&self, members: &[Member]) -> Self {
        let cost = self.cost;
        let shares = members.iter().map(|member| match member.weight {
            Weight::ZERO => Weight::ZERO,
            _ => cost.share(member),
        });
        let mut serving = shares.clone().filter(|share| !share.is_zero());
        let first = serving.next().unwrap_or(Weight::ONE);
        let is_even = serving.all(|share| share == first);
        let heaviest = shares.clone().max().unwrap_or(Weight::ONE).max(Weight::ONE);
        let floor = cost.with(0, heaviest.into());
        let arrivals = self.arrivals.over(members, |member| cost.among_busy(member)).into();
        let draw = Some(WeightedDraw::by(shares.map(Weight::value)));
        Self { cost, draw, is_even, floor, arrivals }
    }

    /// Somebody who costs as little as anybody can, if one of a few draws finds one.
    #[inline]
    fn idle(&self, members: &[Member], flow: &Flow<'_>, rng: &mut dyn Rng) -> Option<usize> {
        let draw = self.draw.as_ref()?;
        let draws = DRAWS.min(1 + members.len() / MEMBERS_A_DRAW);
        (0..draws).find_map(|_| {
            let index = draw.one(rng)?;
            let member = members.get(index)?;
            let is_idle = flow.may_use(member) && self.cost.of(member).compare(self.floor).is_eq();
            // While somebody fails, the scan would give it its part of one flow in sixteen.
            (is_idle && (member.load.failing() == 0 || is_trial(rng))).then_some(index)
        })
    }
}

impl Cost {
    /// The share of all flows that is due to a member.
    const fn share(self, member: &Member) -> Weight {
        match self {
            Self::LeastConnections => member.warmth,
            _ => member.weight,
        }
    }

    #[inline]
    fn of(self, member: &Member) -> PerShare {
        let (active, share) = (member.load.active().into(), self.share(member).into());
        match self {
            // One that fails at once is not idle: it is only empty.
            Self::NeverQueue if member.load.failing() > 0 => {
                Self::ShortestExpectedDelay.with(active, share)
            }
            _ => self.with(active, share),
        }
    }

    /// What it costs where nobody is idle.
    fn among_busy(self, member: &Member) -> PerShare {
        let (active, share) = (member.load.active().into(), self.share(member).into());
        match self {
            Self::NeverQueue => Self::ShortestExpectedDelay.with(active, share),
            _ => self.with(active, share),
        }
    }

    /// The same as if it had so many more flows; but who is idle stays it to `nq`.
    fn with_more(self, member: &Member, more: u64) -> PerShare {
        match (self, self.of(member)) {
            (Self::NeverQueue, idle @ PerShare { load: 0, .. }) => idle,
            (_, PerShare { load, share }) => PerShare { load: load + more, share },
        }
    }

    /// What a member to whom this share is due costs with so many flows.
    #[inline]
    const fn with(self, active: u64, share: u64) -> PerShare {
        match self {
            Self::NeverQueue if active == 0 => PerShare { load: 0, share },
            Self::NeverQueue | Self::ShortestExpectedDelay => PerShare { load: active + 1, share },
            Self::LeastConnections | Self::WeightedLeastConnections => {
                PerShare { load: active, share }
            }
        }
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
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        Arc::new(self.over(members))
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, rng: &mut dyn Rng) -> Option<usize> {
        if let Some(turn) = self.arrivals.take_turn() {
            let cost = |index, one: &Member| self.cost.with_more(one, turn.of(index));
            return least(members, flow, rng, cost);
        }
        if let Some(idle) = self.idle(members, flow, rng) {
            return Some(idle);
        }
        // A scan for each, in which nobody has to ask which.
        use Cost::*;
        match self.cost {
            // One that multiplies by nothing, as most of the time.
            LeastConnections if self.is_even => least(members, flow, rng, |_, one| {
                LeastConnections.with(one.load.active().into(), 1)
            }),
            LeastConnections => least(members, flow, rng, |_, one| LeastConnections.of(one)),
            NeverQueue => least(members, flow, rng, |_, one| NeverQueue.of(one)),
            ShortestExpectedDelay => {
                least(members, flow, rng, |_, one| ShortestExpectedDelay.of(one))
            }
            WeightedLeastConnections => {
                least(members, flow, rng, |_, one| WeightedLeastConnections.of(one))
            }
        }
    }
}
