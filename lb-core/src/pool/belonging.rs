//! What a pool does with a client that belongs to one of its backends.

use std::sync::Arc;

use super::{NoBackend, Pool};
use crate::backend::{Backend, BackendId};
use crate::flow::Flow;

impl<E> Pool<E> {
    /// A pool that does not honour a preference for a backend at weight 0: clients of draining
    /// backends go elsewhere.
    #[must_use]
    pub fn moving_draining(mut self, moves: bool) -> Self {
        self.moves_draining = moves;
        self
    }

    /// A pool where a client whose backend is full waits for that, if it may wait, instead of being
    /// served elsewhere: as in HAProxy, where it is the server's queue that a persistent client is put
    /// into. In a director with a [queue](crate::Director::with_queue) it may.
    #[must_use]
    pub fn waiting_for_full(mut self, waits: bool) -> Self {
        self.waits_for_full = waits;
        self
    }

    /// A pool where the clients of a backend that is down are refused, and belong there still, as in
    /// Envoy's stateful session with `strict`: those of `down`, which are not among the members, and
    /// those of a member that refused the flow. Clients of any other backend that is not a member are
    /// moved.
    #[must_use]
    pub fn refusing_clients_of<'a>(mut self, down: impl IntoIterator<Item = &'a Backend<E>>) -> Self
    where
        E: 'a,
    {
        self.refused = Some(down.into_iter().map(|one| (one.id(), one.place())).collect());
        self
    }

    /// The backend that `preferred` stands for, if it may have the flow, or `None` if the flow may go
    /// elsewhere.
    // A call, so that a pick without a preference is small enough to become part of its caller.
    #[inline(never)]
    pub(super) fn home(
        &self,
        preferred: BackendId,
        flow: &Flow<'_>,
    ) -> Result<Option<&Arc<Backend<E>>>, NoBackend> {
        let here = self.position(preferred).filter(|&position| self.is_home(position));
        match here {
            Some(position) if !flow.has_tried(preferred) => {
                let backend = &self.backends[position];
                if !backend.load().is_full() && !flow.must_leave(preferred) {
                    Ok(Some(backend))
                } else if self.waits_for_full && flow.may_wait() {
                    Err(NoBackend::HomeFull { home: preferred })
                } else {
                    Ok(None)
                }
            }
            _ if self.keeps(flow, preferred) => Err(NoBackend::HomeDown { home: preferred }),
            _ => Ok(None),
        }
    }

    /// The backend that this flow of a client of `home` is to wait for, if it is full.
    #[cfg(feature = "service")]
    pub(crate) fn waits_for(&self, flow: &Flow<'_>, home: BackendId) -> Option<&Arc<Backend<E>>> {
        let position = self.position(home).filter(|&position| self.is_home(position))?;
        let waits = self.waits_for_full && !flow.has_tried(home);
        waits.then(|| &self.backends[position])
    }

    /// Whether clients wait for their backend if it is full.
    #[cfg(feature = "service")]
    pub(crate) const fn is_waited_for(&self) -> bool {
        self.waits_for_full
    }

    /// Whether a client of `home` belongs there still, although this flow may not be served there.
    pub(crate) fn keeps(&self, flow: &Flow<'_>, home: BackendId) -> bool {
        let is_here = || self.position(home).is_some_and(|position| self.is_home(position));
        match &self.refused {
            None => !flow.has_tried(home) && is_here(),
            Some(refused) => is_here() || refused.iter().any(|&(id, _)| id == home),
        }
    }

    /// Who is at this [place](Backend::place), as far as clients belong there.
    pub(crate) fn home_at(&self, place: u64) -> Option<BackendId> {
        let refused = || self.refused.iter().flatten().find(|&&(_, other)| other == place);
        let here = self.backend_at(place).map(|backend| backend.id());
        here.or_else(|| refused().map(|&(id, _)| id))
    }

    /// Whether a client that is sent to `backend` with this flow belongs there from now on: it did, or
    /// belonged nowhere, or is moved for good.
    #[inline]
    pub(crate) fn is_home_of(&self, flow: &Flow<'_>, backend: BackendId) -> bool {
        let moves = |home| home == backend || !self.keeps(flow, home);
        self.records_affinity && flow.prefer.is_none_or(moves)
    }

    /// Whether exactly the clients of these are refused, or nobody's.
    pub(crate) fn refuses<'a>(&self, down: Option<impl IntoIterator<Item = &'a Backend<E>>>) -> bool
    where
        E: 'a,
    {
        let down = down.map(|down| down.into_iter().map(Backend::id));
        match (&self.refused, down) {
            (Some(refused), Some(down)) => refused.iter().map(|&(id, _)| id).eq(down),
            (refused, down) => refused.is_none() && down.is_none(),
        }
    }

    /// Whether those who belong to a member may come.
    fn is_home(&self, position: usize) -> bool {
        !(self.moves_draining && self.members[position].weight.is_zero())
    }
}
