//! `lblc`: a server for each destination.

use std::sync::Arc;

use rand::Rng;

use super::table::Known;
use super::{Memory, is_overloaded};
use crate::flow::Flow;
use crate::pool::Member;
use crate::scheduler::Scheduler;

/// `lblc`: locality-based least connections (IPVS `ip_vs_lblc.c`).
///
/// A destination, which is what [`Flow::hash`] stands for, stays with its server. It gets another,
/// and stays with that, when its server cannot take the flow, or when the server has more flows than
/// its weight while somebody has less than half of theirs. Then, as for a destination that is seen
/// for the first time, it is the choice of
/// [`WeightedLeastConnections`](crate::scheduler::Cost::WeightedLeastConnections). So give weights
/// as the numbers of flows that the servers are meant for.
///
/// There is room for 16 384 destinations unless [another number](Self::remembering) is given, at 16
/// bytes each, 256 KiB for all. Each may have one of eight entries, and if all are taken it gets that
/// of one which was not asked for lately. So in half of the room nearly all are remembered (a
/// twentieth have to compete for theirs), and in a quarter all but one in a thousand. Backends that
/// leave are forgotten, those that are drained are not.
///
/// A pick by memory reads two cache lines and a counter, O(1); it takes O(n) to find out whether
/// somebody is half idle when the server has more flows than its weight, and to choose another. It
/// writes a few atomics at most, and takes no lock: two pickers at once may choose different servers
/// for a new destination, of which one is remembered.
///
/// # Where it differs
/// The kernel's table has no bound: every minute it clears up what was idle for six minutes, if
/// there are more than 16 384 destinations, and every half hour what was idle for a day. It can tell
/// all destinations apart; here two in 2³¹ of those that share a set of entries count as one. The kernel
/// also
/// counts connections that have ended, and asks for somebody half idle even among those that
/// refused the flow.
#[derive(Debug, Default)]
pub struct LocalityBased {
    memory: Memory,
}

impl LocalityBased {
    /// Room for 16 384 destinations, over no members yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Room for so many `destinations`, or up to seven more, over no members yet.
    pub fn remembering(destinations: usize) -> Self {
        Self { memory: Memory::of(destinations) }
    }
}

impl Scheduler for LocalityBased {
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        Arc::new(Self { memory: self.memory.over(members) })
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, rng: &mut dyn Rng) -> Option<usize> {
        let table = &self.memory.table;
        let before = table.find(flow.hash).and_then(|known| known.servers.iter().next());
        if let Some(index) = before
            && let Some(server) = members.get(index)
            && flow.may_use(server)
            && !is_overloaded(server, members, flow)
        {
            return before;
        }
        let chosen = self.memory.fallback.pick(members, flow, rng);
        if let Some(index) = chosen.filter(|_| chosen != before) {
            let servers = [index].into_iter().collect();
            table.store(flow.hash, Known { servers, ..Known::default() });
        }
        chosen
    }

    fn is_keyed(&self) -> bool {
        true
    }
}
