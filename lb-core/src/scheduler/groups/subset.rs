//! A few rather than all: what one of many balancers keeps to.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::Groups;
use crate::hash::{fold, stir};
use crate::pool::Member;
use crate::scheduler::Scheduler;

/// Keeps to a few of the backends, others for each instance of a fleet, so that not every balancer
/// holds connections to every backend.
///
/// The few are those that bid highest for this instance (rendezvous hashing, as in gRPC's proposal
/// A68): instances that know each other's number or not, all backends are kept to by about equally
/// many; a backend that leaves is replaced by one other, for the instances that kept to it; one that
/// comes replaces one at most. The rest are there for when none of the few can take a flow.
///
/// Put it inside [`Priorities`](super::Priorities) and [`Zones`](super::Zones), where it keeps to a
/// few of each group: `Priorities::around(Arc::new(Subset::around(…)))`. Around them it chooses among
/// all backends, without a look at their priorities, and if the few are all standbys, then these get
/// everything while the primaries are idle.
///
/// ```
/// use std::{collections::HashSet, num::NonZeroUsize, sync::Arc};
/// use lb_core::backend::BackendId;
/// use lb_core::scheduler::Subset;
/// use lb_core::{Algorithm, Backend, Flow, Pool, Weight};
/// # use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};
/// # let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
///
/// let members = (0..100).map(|id| {
///     (Arc::new(Backend::new(BackendId::new(id), format!("10.0.0.{id}:80"), ())), Weight::ONE)
/// });
/// let instance = 7; // which of the fleet this one is: any number that the others do not have
/// let ten = NonZeroUsize::new(10).unwrap();
/// let pool = Pool::new(members, &Subset::around(ten, instance, Algorithm::P2c.scheduler()));
/// let used: HashSet<_> = (0..10_000).map(|hash| pool.pick(&Flow::new(hash), &mut rng).unwrap().id()).collect();
/// assert_eq!(used.len(), 10);
/// ```
#[derive(Debug)]
pub struct Subset {
    /// Whether a member is one of the rest.
    groups: Groups<bool>,
    size: NonZeroUsize,
    instance: u64,
}

/// "subset" in ASCII.
const SALT: u64 = 0x7375_6273_6574;

impl Subset {
    /// `scheduler` over `size` of the backends, those of this `instance`.
    pub fn around(size: NonZeroUsize, instance: u64, scheduler: Arc<dyn Scheduler>) -> Self {
        Self { groups: Groups::around(SALT, scheduler), size, instance }
    }

    /// What a backend offers to be kept to by this instance; equal offers are the place's matter.
    fn bid(&self, member: &Member) -> (u64, u64) {
        (fold(stir(self.instance) | 1, stir(member.place)), member.place)
    }
}

impl Scheduler for Subset {
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        let mut bids: Vec<_> = members
            .iter()
            .filter(|member| !member.weight.is_zero())
            .map(|member| self.bid(member))
            .collect();
        bids.sort_unstable_by(|one, other| other.cmp(one));
        bids.truncate(self.size.get());
        let few: HashSet<_> = bids.into_iter().collect();
        let groups = self.groups.over(
            members,
            |member| !few.contains(&self.bid(member)),
            // All flows begin with the few.
            |groups| groups.iter().map(|(rest, _)| u128::from(!rest)).collect(),
        );
        Arc::new(Self { groups, size: self.size, instance: self.instance })
    }

    ask_groups!();
}
