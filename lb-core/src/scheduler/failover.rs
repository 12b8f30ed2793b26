//! `fo`: active and passive.

use std::cmp::Reverse;
use std::sync::Arc;

use rand::Rng;

use super::Scheduler;
use crate::flow::Flow;
use crate::pool::Member;

/// `fo`: all flows to the heaviest backend; to the next heaviest when it is gone or refuses
/// (IPVS `ip_vs_fo.c`). Of equal weights the one that is configured first. O(1), or one step per
/// backend tried.
///
/// The heaviest is whoever will be once nobody [starts
/// slowly](crate::virtual_server::VirtualServerConfig::slow_start) any more: who has all flows cannot
/// have a part of them.
#[derive(Debug, Default)]
pub struct Failover {
    order: HeaviestFirst,
}

impl Failover {
    /// An order of no members yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Scheduler for Failover {
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        Arc::new(Self { order: HeaviestFirst::of(members) })
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, _: &mut dyn Rng) -> Option<usize> {
        self.order.find(members, |member| flow.may_use(member))
    }
}

/// Indices of members with a weight, heaviest first, as it will be when all have theirs whole.
#[derive(Debug, Default)]
pub(super) struct HeaviestFirst(Box<[u32]>);

impl HeaviestFirst {
    pub(super) fn of(members: &[Member]) -> Self {
        let mut order: Vec<u32> = (0..members.len() as u32).collect();
        order.retain(|&index| !members[index as usize].weight.is_zero());
        // Stable: equals stay in configured order.
        order.sort_by_key(|&index| Reverse(members[index as usize].whole));
        Self(order.into())
    }

    /// The index of the heaviest that is `suitable`.
    #[inline]
    pub(super) fn find(
        &self,
        members: &[Member],
        suitable: impl Fn(&Member) -> bool,
    ) -> Option<usize> {
        let mut order = self.0.iter().map(|&index| index as usize);
        order.find(|&index| members.get(index).is_some_and(&suitable))
    }
}
