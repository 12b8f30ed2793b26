//! A place that flows can be sent to: who it is, how much it takes, and what it is busy with.

mod estimate;
mod lease;
mod limits;
mod load;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::hash::stable_hash;

#[cfg(feature = "service")]
pub(crate) use lease::Reporter;
pub use lease::{Lease, Outcome};
pub use limits::{Limits, LimitsError};
pub use load::Load;

/// The identity of a backend: issued once by a [`VirtualServer`](crate::VirtualServer), never
/// reused, kept over every change of weight, health and configuration.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BackendId(u32);

impl BackendId {
    /// The identity with this number, for pools that are built by hand.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number behind the identity.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for BackendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A backend: keepalived's `real_server`, nginx's upstream `server`.
///
/// `E` is whatever the embedder balances over: a socket address, a tower service, a channel.
///
/// Counters and [limits](Self::set_limits) belong to the identity: all copies share them.
#[derive(Debug)]
pub struct Backend<E = SocketAddr> {
    id: BackendId,
    name: Arc<str>,
    endpoint: E,
    priority: u8,
    zone: Option<Arc<str>>,
    load: Arc<Load>,
}

impl<E> Backend<E> {
    /// A backend with fresh counters, without limits, of priority 0 and in no zone. `name` must be
    /// stable and unique within a pool: hashing schedulers place a backend by it, so that two
    /// directors agree whatever ids they issued.
    pub fn new(id: BackendId, name: impl Into<Arc<str>>, endpoint: E) -> Self {
        let (priority, zone) = (0, None);
        Self { id, name: name.into(), endpoint, priority, zone, load: Arc::default() }
    }

    /// Holds this backend to other limits from now on: every copy of it, wherever it is in use, as
    /// limits belong to the identity, as the counters do. The flows that are there stay. A higher upper
    /// threshold makes room at once, even above the lower one.
    pub fn set_limits(&self, limits: Limits) {
        self.load.limit(limits);
    }

    /// This backend in the group of this `priority`: 0, the default, is tried first. See
    /// [`Priorities`](crate::scheduler::Priorities).
    #[must_use]
    pub fn at_priority(self, priority: u8) -> Self {
        Self { priority, ..self }
    }

    /// This backend in this zone, or in none. See [`Zones`](crate::scheduler::Zones).
    #[must_use]
    pub fn in_zone(self, zone: Option<Arc<str>>) -> Self {
        Self { zone, ..self }
    }

    /// This backend with another endpoint: same identity, same counters, same place.
    #[must_use]
    pub fn with_endpoint<F>(&self, endpoint: F) -> Backend<F> {
        Backend {
            id: self.id,
            name: Arc::clone(&self.name),
            endpoint,
            priority: self.priority,
            zone: self.zone.clone(),
            load: Arc::clone(&self.load),
        }
    }

    /// The identity.
    pub const fn id(&self) -> BackendId {
        self.id
    }

    /// The name it is configured under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A stable hash of the name, the same on every balancer: where hashing schedulers place the
    /// backend, and what a client may know it by.
    pub fn place(&self) -> u64 {
        stable_hash(self.name.as_bytes())
    }

    /// What flows are sent to.
    pub const fn endpoint(&self) -> &E {
        &self.endpoint
    }

    /// Its group: 0 is tried first.
    pub const fn priority(&self) -> u8 {
        self.priority
    }

    /// The zone it is in, if any.
    pub const fn zone(&self) -> Option<&Arc<str>> {
        self.zone.as_ref()
    }

    /// The live counters.
    pub const fn load(&self) -> &Arc<Load> {
        &self.load
    }
}
