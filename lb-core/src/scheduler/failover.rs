//! `fo`: active and passive.

use std::cmp::Reverse;
use std::sync::Arc;

use rand::Rng;

use super::Scheduler;
use crate::flow::Flow;
use crate::member::Member;

/// `fo`: all flows to the heaviest backend; to the next heaviest when it is gone or refuses
/// (IPVS `ip_vs_fo.c`). Of equal weights the one that is configured first. O(1), or one step per
/// backend tried.
#[derive(Debug, Default)]
pub struct Failover {
    /// Indices of usable members, heaviest first.
    order: Box<[u32]>,
}

impl Failover {
    /// An order of no members yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Scheduler for Failover {
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        let mut order: Vec<u32> = (0..members.len() as u32).collect();
        order.retain(|&index| !members[index as usize].weight.is_zero());
        // Stable: equals stay in configured order.
        order.sort_by_key(|&index| Reverse(members[index as usize].weight));
        Arc::new(Self { order: order.into() })
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, _: &mut dyn Rng) -> Option<usize> {
        let mut order = self.order.iter().map(|&index| index as usize);
        order.find(|&index| members.get(index).is_some_and(|member| flow.may_use(member)))
    }
}
