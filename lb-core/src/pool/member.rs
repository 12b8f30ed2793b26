//! A backend as schedulers see it.

use std::sync::Arc;

use crate::backend::{Backend, BackendId, Load};
use crate::weight::Weight;

/// What a [`Scheduler`](crate::Scheduler) sees of one backend: never the endpoint.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Member {
    /// The identity.
    pub id: BackendId,
    /// The share of new flows, in [`parts`](Self::parts); 0 means none.
    pub weight: Weight,
    /// What the weight comes to once nobody starts slowly any more, in the same parts: for whoever
    /// asks which of two is the greater one, and not by how much.
    pub whole: Weight,
    /// The share of new flows for whoever treats all alike, whatever they weigh: 1 for everybody, or,
    /// while anybody [starts slowly](crate::virtual_server::VirtualServerConfig::slow_start), so many
    /// sixteenths. Never 0: who takes no flows has no weight.
    pub warmth: Weight,
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

/// A backend's place in a pool, before anybody looks at it.
#[derive(Clone, Debug)]
pub(crate) struct Seat<E> {
    pub(crate) backend: Arc<Backend<E>>,
    /// See [`Member::weight`].
    pub(crate) weight: Weight,
    /// See [`Member::whole`].
    pub(crate) whole: Weight,
    /// See [`Member::warmth`].
    pub(crate) warmth: Weight,
}

/// One that does not start slowly, nor anybody beside it.
impl<E> From<(Arc<Backend<E>>, Weight)> for Seat<E> {
    fn from((backend, weight): (Arc<Backend<E>>, Weight)) -> Self {
        Self { backend, weight, whole: weight, warmth: Weight::ONE }
    }
}
