//! A backend as schedulers see it.

use std::sync::Arc;

use crate::backend::{BackendId, Load};
use crate::health::Weight;

/// What a [`Scheduler`](crate::Scheduler) sees of one backend: never the endpoint.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Member {
    /// The identity.
    pub id: BackendId,
    /// The share of new flows; 0 means none.
    pub weight: Weight,
    /// The weight that counts as one where weights are laid out in points: what all configured
    /// weights of the pool have in common. The same for all members, whoever of them is alive, so
    /// that a backend that dies changes nothing for the others.
    pub unit: Weight,
    /// A stable hash of the backend's name: hashing schedulers place the backend by it, so that
    /// directors which issued different identities still agree.
    pub place: u64,
    /// Where [`Ketama`](crate::scheduler::Ketama) begins the backend's points: the unfinished CRC-32
    /// of the name, as nginx takes it.
    pub ketama_seed: u32,
    /// The group it is in: 0 is tried first.
    pub priority: u8,
    /// How many backends are configured to take flows at this priority, alive or not.
    pub peers: u32,
    /// The zone it is in, if any.
    pub zone: Option<Arc<str>>,
    /// The live counters.
    pub load: Arc<Load>,
    /// How many times as large as configured all weights are, while somebody starts slowly.
    pub(super) scale: u16,
}

impl Member {
    /// The weight as a number of flows, for schedulers to whom it is one (`ovf`, `lblc`, `lblcr`):
    /// as it is configured, however finely weights are given while somebody starts slowly.
    #[inline]
    pub fn capacity(&self) -> u32 {
        u32::from(self.weight.value().div_ceil(self.scale.max(1)))
    }
}
