//! What is known about one connection or request when its backend is chosen.

mod granularity;
mod key;
mod sticky;

use std::time::Instant;

use crate::backend::BackendId;
use crate::pool::Member;

pub use granularity::Granularity;
pub use key::ClientKey;
pub use sticky::Sticky;

/// What a [`Scheduler`](crate::Scheduler) may know about one connection or request.
///
/// ```
/// use lb_core::flow::ClientKey;
/// use lb_core::Flow;
/// use std::net::IpAddr;
///
/// let client: IpAddr = "192.0.2.7".parse()?;
/// let first_try = Flow::new(client.flow_hash());
/// assert!(first_try.tried.is_empty());
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Flow<'a> {
    /// The [`ClientKey`]'s hash: what hashing schedulers choose by.
    pub hash: u64,
    /// The backend that this client already belongs to. Honoured as long as it is in the pool, has
    /// room and was not tried; even at weight 0, unless the pool says otherwise.
    pub prefer: Option<BackendId>,
    /// Backends that refused this flow already: never chosen again for it.
    pub tried: &'a [BackendId],
    /// When it comes, for schedulers that [look at the time](crate::Scheduler::is_timed).
    pub now: Option<Instant>,
    /// Backends that are as good as full, because somebody who came before waits for them.
    claimed: &'a [BackendId],
    /// Whether it may wait for the backend that it prefers.
    may_wait: bool,
    /// Whether not every backend with a weight will do: a choice that did not look for room has met one
    /// without, or others wait for some of them.
    looks_for_room: bool,
}

impl<'a> Flow<'a> {
    /// The first attempt of a flow without affinity.
    pub const fn new(hash: u64) -> Self {
        Self {
            hash,
            prefer: None,
            tried: &[],
            now: None,
            claimed: &[],
            may_wait: false,
            looks_for_room: false,
        }
    }

    /// This flow after `tried` refused it.
    #[must_use]
    pub const fn retried(self, tried: &'a [BackendId]) -> Self {
        Self { tried, ..self }
    }

    /// This flow of a client that belongs to `backend`.
    #[must_use]
    pub const fn preferring(self, backend: Option<BackendId>) -> Self {
        Self { prefer: backend, ..self }
    }

    /// This flow, which comes at `now`.
    #[must_use]
    pub const fn at(self, now: Instant) -> Self {
        Self { now: Some(now), ..self }
    }

    /// This flow where a backend may be full: [`any_will_do`](Self::any_will_do) no more.
    #[must_use]
    pub const fn minding_limits(self) -> Self {
        Self { looks_for_room: true, ..self }
    }

    /// This flow where others wait for the `claimed` backends, and it may do so itself or not.
    #[must_use]
    pub(crate) const fn minding(self, claimed: &'a [BackendId], may_wait: bool) -> Self {
        let looks_for_room = self.looks_for_room || !claimed.is_empty();
        Self { claimed, may_wait, looks_for_room, ..self }
    }

    /// Whether a scheduler may give this flow to `member`: it takes new flows, has room, and has not
    /// refused this one.
    #[inline]
    pub fn may_use(&self, member: &Member) -> bool {
        !member.weight.is_zero()
            && !self.has_tried(member.id)
            && !member.load.is_full()
            && !self.must_leave(member.id)
    }

    /// Whether a scheduler need not ask [`may_use`](Self::may_use): whoever has a weight will do,
    /// so that what was computed beforehand holds. A choice that turns out to be full is made again
    /// with a flow for which this is false.
    #[inline]
    pub const fn any_will_do(&self) -> bool {
        self.tried.is_empty() && !self.looks_for_room
    }

    /// Whether `backend` refused this flow already.
    #[inline]
    pub fn has_tried(&self, backend: BackendId) -> bool {
        // The empty case is nearly every pick; `contains` alone would still set up its loop.
        !self.tried.is_empty() && self.tried.contains(&backend)
    }

    /// Whether the room that `backend` may have is for somebody else.
    #[inline]
    pub(crate) fn must_leave(&self, backend: BackendId) -> bool {
        !self.claimed.is_empty() && self.claimed.contains(&backend)
    }

    /// Whether it may wait for the backend that it prefers.
    pub(crate) const fn may_wait(&self) -> bool {
        self.may_wait
    }
}
