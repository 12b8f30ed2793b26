//! `ovf`: fill up and run over.

use std::sync::Arc;

use rand::Rng;

use super::Scheduler;
use super::failover::HeaviestFirst;
use crate::flow::Flow;
use crate::pool::Member;

/// `ovf`: all flows to the heaviest backend until they are more than its weight, then to the next
/// heaviest (IPVS `ip_vs_ovf.c`). Of equal weights the one that is configured first.
///
/// The weight is the number of flows that a backend is meant for. It takes **one more** than that,
/// as in the kernel, which sends on only what comes when there are already more flows than weight.
/// When all have one more, the flow is refused as [`AllFull`](crate::pool::NoBackend::AllFull): a
/// persisted client still gets to its backend, nobody else gets anywhere. One that [starts
/// slowly](crate::virtual_server::VirtualServerConfig::slow_start) has its place in the order at once,
/// and is meant for a part of its number at first.
///
/// A pick looks at each backend up to the chosen one, the heaviest first: O(1) with room on the
/// heaviest, O(n) at worst. Several pickers at once may each take the last place, and so exceed the
/// bound by as many.
///
/// # Where it differs
/// The kernel calls active what is established; here a flow is active while it holds a
/// [`Lease`](crate::Lease), from the attempt to connect on.
#[derive(Debug, Default)]
pub struct Overflow {
    order: HeaviestFirst,
}

impl Overflow {
    /// An order of no members yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Scheduler for Overflow {
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        Arc::new(Self { order: HeaviestFirst::of(members) })
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, _: &mut dyn Rng) -> Option<usize> {
        self.order.find(members, |member| {
            let flows = u64::from(member.load.active()) * u64::from(member.parts);
            flows <= member.weight.into() && flow.may_use(member)
        })
    }
}
