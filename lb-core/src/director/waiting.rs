//! What whoever waits has to know.

use std::sync::Arc;
use std::time::Instant;

use super::Director;
use super::line::Home;
use super::queue::Queue;
use crate::backend::BackendId;
use crate::flow::{ClientKey, Flow};
use crate::persistence::lock;
use crate::pool::NoBackend;

impl<K: ClientKey, E> Director<K, E> {
    /// The line of those who wait.
    pub(crate) const fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// What to say to whoever comes while others wait, if the line was closed meanwhile.
    pub(crate) fn all_full(&self) -> NoBackend {
        self.pool.load().all_full()
    }

    /// The only backend that this flow is to wait for, if there is one. With persistence, one short
    /// lock.
    pub(crate) fn home_to_wait_for(
        &self,
        now: impl FnOnce() -> Instant,
        client: &K,
        tried: &[BackendId],
    ) -> Option<Home> {
        let pool = self.pool.load();
        if !pool.is_waited_for() {
            return None;
        }
        let flow = Flow::new(0).retried(tried);
        let said = client.belongs_to().and_then(|place| pool.home_at(place));
        let home = said.filter(|&home| pool.keeps(&flow, home)).or_else(|| {
            let shards = self.persistence.as_ref()?;
            let (_, known) = lock(shards.of(client)).use_slot(now(), client)?;
            Some(known)
        })?;
        let backend = pool.waits_for(&flow, home)?;
        Some(Home { id: home, load: Arc::clone(backend.load()) })
    }
}
