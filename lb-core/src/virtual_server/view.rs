//! What is to be seen of a virtual server.

use std::fmt;
use std::sync::Arc;

use super::slot::Slot;
use super::{BackendStatus, VirtualServer};
use crate::backend::{Backend, BackendId};
use crate::health::Admin;
use crate::pool::Pool;
use crate::quorum::{Quorum, Strength};

impl<E> VirtualServer<E> {
    /// Every configured backend, in order, as of the last input. O(1) for each.
    pub fn backends(&self) -> impl ExactSizeIterator<Item = BackendStatus<'_, E>> {
        self.slots.iter().map(|slot| slot.status(self.now, self.policy.drain_timeout))
    }

    /// One configured backend. O(1).
    pub fn backend(&self, backend: BackendId) -> Option<BackendStatus<'_, E>> {
        let slot = self.slots.get(*self.positions.get(&backend)?)?;
        Some(slot.status(self.now, self.policy.drain_timeout))
    }

    /// The quorum as of the last drain.
    pub const fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    /// The sorry server.
    pub fn sorry(&self) -> Option<&Arc<Backend<E>>> {
        self.sorry.as_ref().map(|sorry| &sorry.backend)
    }

    /// Whether the sorry server is checked, and its checks fail.
    pub fn sorry_is_down(&self) -> bool {
        self.sorry.as_ref().is_some_and(|sorry| sorry.is_down)
    }

    /// The pool published last. Whether it is the sorry server is whether it
    /// [records affinity](Pool::records_affinity).
    pub const fn published(&self) -> &Arc<Pool<E>> {
        &self.published
    }

    /// What lives now, as of the last input. O(n).
    pub fn strength(&self) -> Strength {
        let weights = || self.slots.iter().filter_map(Slot::live_weight).map(u64::from);
        Strength {
            weight: weights().sum(),
            alive: weights().filter(|&weight| weight > 0).count(),
            configured: self.slots.iter().filter(|slot| slot.admin != Admin::Maintenance).count(),
        }
    }
}

impl<E> fmt::Debug for VirtualServer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualServer")
            .field("quorum", &self.quorum)
            .field(
                "backends",
                &self.backends().map(|one| (one.name, one.state)).collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}
