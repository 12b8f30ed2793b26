//! One flow's stay at a backend, and how it fared.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Backend;
#[cfg(feature = "service")]
use super::{BackendId, Load};
use crate::director::Queue;
use crate::persistence::Held;
use crate::sync::{AtomicBool, Ordering};

/// How a flow fared at its backend.
///
/// Schedulers that look at load (`lc`, `wlc`, `sed`, `nq`, `p2c`, `least_time`, `peak_ewma`) need to
/// know: a backend that fails at once is always idle and always fast, and would get everything. The
/// time of a failed flow is not counted, and what it does not stay is made up for: of the load that
/// others have, a backend is taken to have the share of its flows that failed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Outcome {
    /// The backend did not do what it is there for: it refused, broke off, answered with an error
    /// of its own.
    Failure,
    /// It did.
    Success,
}

/// One flow's stay at a backend: counts as active from creation to drop.
///
/// Hold it for as long as the connection or request lasts; dropping it at any point, a cancelled
/// future included, leaves the counter exact. Dropping says nothing of how the flow fared:
/// [`report`](Self::report) does, once.
///
/// ```
/// use std::{sync::Arc, time::Instant};
/// use lb_core::backend::{BackendId, Outcome};
/// use lb_core::{Backend, Lease};
///
/// let backend = Arc::new(Backend::new(BackendId::new(0), "a", "10.0.0.1:80"));
/// let lease = Lease::new(Arc::clone(&backend));
/// assert_eq!((lease.load().active(), *lease.endpoint()), (1, "10.0.0.1:80"));
/// lease.report(Instant::now(), Outcome::Failure);
/// lease.report(Instant::now(), Outcome::Success); // too late: that was the flow's outcome
/// drop(lease);
/// let load = backend.load();
/// assert_eq!((load.active(), load.total(), load.failed()), (0, 1, 1));
/// ```
#[must_use = "the flow counts as over when the lease is dropped"]
pub struct Lease<E = SocketAddr> {
    backend: Arc<Backend<E>>,
    since: Option<Instant>,
    /// Who waits for the room that becomes free.
    queue: Option<Arc<Queue>>,
    /// Where the director remembers the client for as long, and in which slot.
    held: Option<Arc<dyn Held>>,
    slot: u32,
    is_home: bool,
    is_reported: AtomicBool,
}

impl<E> Lease<E> {
    /// Counts one more flow on `backend`, even if it is full.
    pub fn new(backend: Arc<Backend<E>>) -> Self {
        backend.load().enter();
        Self::of(backend, None, None, true)
    }

    /// Counts one more flow on `backend`, unless it is full.
    #[inline]
    pub fn try_new(backend: &Arc<Backend<E>>) -> Option<Self> {
        Self::try_begun(backend, None, None, true)
    }

    /// The same, begun at a known time, and waking who waits in `queue` when it ends: whole at once,
    /// as a lease that is handed from one builder to the next is copied each time.
    #[inline(always)]
    pub(crate) fn try_begun(
        backend: &Arc<Backend<E>>,
        since: Option<Instant>,
        queue: Option<&Arc<Queue>>,
        is_home: bool,
    ) -> Option<Self> {
        if !backend.load().try_enter() {
            return None;
        }
        if let Some(now) = since {
            backend.load().chosen(now);
        }
        Some(Self::of(Arc::clone(backend), since, queue.cloned(), is_home))
    }

    #[inline(always)]
    fn of(
        backend: Arc<Backend<E>>,
        since: Option<Instant>,
        queue: Option<Arc<Queue>>,
        is_home: bool,
    ) -> Self {
        let is_reported = AtomicBool::new(false);
        Self { backend, since, queue, held: None, slot: 0, is_home, is_reported }
    }

    /// Releases this slot when the flow has ended, which counts it already.
    pub(crate) fn hold(&mut self, table: Arc<dyn Held>, slot: u32) {
        self.held = Some(table);
        self.slot = slot;
    }

    /// The flow has ended, at `now`: drops the lease. It makes a difference only where the director
    /// remembers clients [while their flows are open](crate::persistence::PersistenceConfig::while_open):
    /// just dropped, they count as ended when the director was told the time last. O(1).
    pub fn end(mut self, now: Instant) {
        if let Some(held) = self.held.take() {
            held.release(self.slot, Some(now));
        }
    }

    /// The same, begun at a known time: a [success](Outcome::Success) then tells how long it took.
    #[inline]
    pub fn since(mut self, begun: impl Into<Option<Instant>>) -> Self {
        self.since = begun.into();
        if let Some(now) = self.since {
            self.backend.load().chosen(now);
        }
        self
    }

    /// How the flow fared, known at `now`: the first byte or the whole of the answer, or what went
    /// wrong. The first call tells, and any other nothing: a flow has one outcome. O(1).
    ///
    /// Whoever has the lease from `service::Balance` tells only what the judge there left open: that
    /// tells by itself, and both would count.
    pub fn report(&self, now: Instant, outcome: Outcome) {
        if !self.is_reported.swap(true, Ordering::Relaxed) {
            self.backend.load().report(outcome, took(self.since, || now));
        }
    }

    /// Whether the client belongs to this backend from now on: it is where it belonged, or is new, or
    /// was moved for good. Not so if it is here only because its own backend is full, or at the sorry
    /// server: then whatever says where it belongs, such as a cookie, is to be left as it is.
    pub const fn is_home(&self) -> bool {
        self.is_home
    }

    /// The backend, for holders that outlive the lease.
    pub const fn backend(&self) -> &Arc<Backend<E>> {
        &self.backend
    }

    /// Reports for whoever has handed on the lease.
    #[cfg(feature = "service")]
    #[inline]
    pub(crate) fn reporter(&self) -> Reporter {
        let load = self.backend.load();
        let matters = self.since.is_some() || load.failing() > 0;
        Reporter {
            backend: self.backend.id(),
            since: self.since,
            load: matters.then(|| Arc::clone(load)),
        }
    }
}

/// How long it took, asking for the time only if it is known when the flow began.
fn took(since: Option<Instant>, now: impl FnOnce() -> Instant) -> Option<(Instant, Duration)> {
    since.map(|since| {
        let now = now();
        (now, now.saturating_duration_since(since))
    })
}

/// What it takes to tell how a flow fared.
///
/// Usually nothing can be told but a failure: a success, of which the time is of no interest, changes
/// nothing at a backend that does not fail. Counters that have to be found only for a failure are not
/// worth holding on to, which costs as much as a pick.
#[cfg(feature = "service")]
pub(crate) struct Reporter {
    backend: BackendId,
    since: Option<Instant>,
    load: Option<Arc<Load>>,
}

#[cfg(feature = "service")]
impl Reporter {
    /// Whom the flow was sent to.
    pub(crate) const fn backend(&self) -> BackendId {
        self.backend
    }

    /// Tells `outcome`; `find` is asked for counters that were not held on to.
    pub(crate) fn report(
        &self,
        now: impl FnOnce() -> Instant,
        outcome: Outcome,
        find: impl FnOnce(BackendId) -> Option<Arc<Load>>,
    ) {
        let found = match (&self.load, outcome) {
            (None, Outcome::Failure) => find(self.backend),
            _ => None,
        };
        if let Some(load) = self.load.as_ref().or(found.as_ref()) {
            load.report(outcome, took(self.since, now));
        }
    }
}

impl<E> Deref for Lease<E> {
    type Target = Backend<E>;

    fn deref(&self) -> &Self::Target {
        &self.backend
    }
}

impl<E> Drop for Lease<E> {
    #[inline]
    fn drop(&mut self) {
        self.backend.load().leave();
        if let Some(held) = &self.held {
            held.release(self.slot, None);
        }
        if let Some(queue) = &self.queue {
            queue.call();
        }
    }
}

impl<E> fmt::Debug for Lease<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lease").field(&self.backend.name()).finish()
    }
}
