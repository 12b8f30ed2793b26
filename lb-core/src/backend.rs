//! A place that flows can be sent to, and the count of those that are there now.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

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

/// Live counters of one backend: the only state that the data plane writes.
///
/// They belong to the backend's identity, not to a pool, and so survive every change of the set.
/// A cache line each, so that two workers counting on neighbours do not slow each other down.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Load {
    active: AtomicU32,
    total: AtomicU64,
}

impl Load {
    /// Flows that hold a [`Lease`] now.
    pub fn active(&self) -> u32 {
        self.active.load(Ordering::Relaxed)
    }

    /// Leases ever taken.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    fn enter(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(1, Ordering::Relaxed);
    }

    fn leave(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A backend: keepalived's `real_server`, nginx's upstream `server`.
///
/// `E` is whatever the embedder balances over: a socket address, a tower service, a channel.
#[derive(Debug)]
pub struct Backend<E = SocketAddr> {
    id: BackendId,
    name: Arc<str>,
    endpoint: E,
    load: Arc<Load>,
}

impl<E> Backend<E> {
    /// A backend with fresh counters. `name` must be stable and unique within a pool: hashing
    /// schedulers place a backend by it, so that two directors agree whatever ids they issued.
    pub fn new(id: BackendId, name: impl Into<Arc<str>>, endpoint: E) -> Self {
        Self { id, name: name.into(), endpoint, load: Arc::default() }
    }

    /// This backend with another endpoint: same identity, same counters.
    #[must_use]
    pub fn with_endpoint<F>(&self, endpoint: F) -> Backend<F> {
        Backend {
            id: self.id,
            name: Arc::clone(&self.name),
            endpoint,
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

    /// What flows are sent to.
    pub const fn endpoint(&self) -> &E {
        &self.endpoint
    }

    /// The live counters.
    pub const fn load(&self) -> &Arc<Load> {
        &self.load
    }
}

/// One flow's stay at a backend: counts as active from creation to drop.
///
/// Hold it for as long as the connection or request lasts; dropping it at any point, a cancelled
/// future included, leaves the counter exact.
///
/// ```
/// use std::sync::Arc;
/// use lb_core::{Backend, BackendId, Lease};
///
/// let backend = Arc::new(Backend::new(BackendId::new(0), "a", "10.0.0.1:80"));
/// let lease = Lease::new(Arc::clone(&backend));
/// assert_eq!((lease.load().active(), *lease.endpoint()), (1, "10.0.0.1:80"));
/// drop(lease);
/// assert_eq!((backend.load().active(), backend.load().total()), (0, 1));
/// ```
#[must_use = "the flow counts as over when the lease is dropped"]
pub struct Lease<E = SocketAddr>(Arc<Backend<E>>);

impl<E> Lease<E> {
    /// Counts one more flow on `backend`.
    pub fn new(backend: Arc<Backend<E>>) -> Self {
        backend.load.enter();
        Self(backend)
    }

    /// The backend, for holders that outlive the lease.
    pub const fn backend(&self) -> &Arc<Backend<E>> {
        &self.0
    }
}

impl<E> Deref for Lease<E> {
    type Target = Backend<E>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<E> Drop for Lease<E> {
    fn drop(&mut self) {
        self.0.load.leave();
    }
}

impl<E> fmt::Debug for Lease<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lease").field(&self.0.name).finish()
    }
}
