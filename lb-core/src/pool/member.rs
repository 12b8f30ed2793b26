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
    /// The share of new flows, in [`parts`](Self::parts); 0 means none.
    pub weight: Weight,
    /// In how many parts of a configured weight weights are given: 1, or more while anybody starts
    /// slowly. The same for all members. Of no matter to whoever only compares weights; a weight
    /// that stands for a number, of flows or points, is to be divided by it.
    pub parts: u16,
    /// The backend's [place](crate::Backend::place), a stable hash of its name: hashing schedulers place the backend by it, so that
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
}
