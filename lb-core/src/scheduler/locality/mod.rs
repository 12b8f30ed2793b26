//! `lblc`, `lblcr`: who served a destination before serves it again, as long as the load allows.
//!
//! Made for clusters of caches, where a second request for the same thing should meet the server
//! that has it already. [`Flow::hash`] stands for the destination: pass the hash of an address, a
//! host name, a path.
//!
//! Weights are numbers of flows here: a server is *overloaded* when it has more than its weight and
//! somebody else has less than half of theirs. At weights of 1, two flows are too many as long as
//! anybody is idle.

mod based;
mod moment;
mod replicated;
mod servers;
mod table;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::{Cost, LeastLoad};
use crate::backend::BackendId;
use crate::flow::Flow;
use crate::pool::Member;
use table::Table;

pub use based::LocalityBased;
pub use replicated::LocalityReplicated;

/// As many as the kernel has before it begins to clear up.
const DESTINATIONS: usize = 16_384;

/// Whether `member` has more flows than weight while somebody else who may take this one has less
/// than half.
fn is_overloaded(member: &Member, members: &[Member], flow: &Flow<'_>) -> bool {
    let flows = |one: &Member| u64::from(one.load.active()) * u64::from(one.parts);
    let half_idle = |one: &Member| 2 * flows(one) < one.weight.into() && flow.may_use(one);
    flows(member) > member.weight.into() && members.iter().any(half_idle)
}

/// A table of destinations, and the members that its numbers stand for.
struct Memory {
    table: Arc<Table>,
    ids: Box<[BackendId]>,
    destinations: usize,
    /// Chooses for destinations that have no server, or none that will do.
    fallback: LeastLoad,
}

impl Memory {
    /// Of no members yet, and therefore without the table.
    fn of(destinations: usize) -> Self {
        let fallback = LeastLoad::by(Cost::WeightedLeastConnections);
        Self { table: Arc::default(), ids: Box::default(), destinations, fallback }
    }

    /// What is known, over another membership: those who left are forgotten. Where nobody came or
    /// left the table is the same one; else what is stored in the old one from now on is lost.
    fn over(&self, members: &[Member]) -> Self {
        let ids: Box<[_]> = members.iter().map(|member| member.id).collect();
        let table = if ids == self.ids {
            Arc::clone(&self.table)
        } else if ids.is_empty() {
            Arc::default()
        } else if self.ids.is_empty() {
            Arc::new(Table::with_room_for(self.destinations))
        } else {
            let indices: HashMap<_, _> = ids.iter().zip(0..).collect();
            let new: Vec<Option<usize>> =
                self.ids.iter().map(|id| indices.get(id).copied()).collect();
            Arc::new(self.table.renumbered(|index| new.get(index).copied().flatten()))
        };
        let fallback = self.fallback.over(members);
        Self { table, ids, destinations: self.destinations, fallback }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::of(DESTINATIONS)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("destinations", &self.destinations).finish_non_exhaustive()
    }
}
