//! What a director remembers of its clients, and what it tells other nodes of it.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use super::Director;
use crate::backend::BackendId;
use crate::flow::ClientKey;
use crate::persistence::{PersistenceConfig, Shards, Update};

impl<K: ClientKey, E> Director<K, E> {
    /// Remembers which backend a client was sent to, for `timeout` after its last flow began. At most
    /// `capacity` clients are remembered; one of those unseen for longest is forgotten first, as
    /// [`PersistenceTable`](crate::PersistenceTable) says.
    ///
    /// Wherever clients can choose among many keys, use
    /// [`with_persistence_config`](Self::with_persistence_config) and give it a seed.
    #[must_use]
    pub fn with_persistence(self, timeout: Duration, capacity: NonZeroUsize) -> Self {
        self.with_persistence_config(&PersistenceConfig::new(timeout, capacity))
    }

    /// Remembers which backend a client was sent to, as `config` says.
    ///
    /// All memory is asked for here: about 40 bytes for each of the `capacity` clients if they are
    /// addresses.
    #[must_use]
    pub fn with_persistence_config(self, config: &PersistenceConfig) -> Self {
        Self { persistence: Some(Shards::new(config)), ..self }
    }

    /// How many clients are remembered; 0 without persistence. O(shards).
    pub fn persisted(&self) -> usize {
        self.persistence.as_ref().map_or(0, Shards::len)
    }

    /// Forgets every client of `backend`, which are scheduled anew, as
    /// [`PersistenceTable::forget`](crate::PersistenceTable::forget) does. O(shards), 64 at most.
    ///
    /// A backend that leaves the pool needs no such word: its clients are moved as they come.
    pub fn forget(&self, backend: BackendId) {
        if let Some(shards) = &self.persistence {
            shards.forget(backend);
        }
    }

    /// What this director has learnt of its clients since the last call, at most `most` of it, each
    /// client once: to be told to every other node. Nothing, unless persistence is
    /// [replicated](PersistenceConfig::replicated). O(shards + updates); one shard at a time is
    /// locked.
    ///
    /// ```
    /// use std::{num::NonZeroUsize, sync::Arc, time::{Duration, Instant}};
    /// use lb_core::backend::BackendId;
    /// use lb_core::persistence::{PersistenceConfig, Update};
    /// use lb_core::{Algorithm, Backend, Director, Pool, Weight};
    /// # use rand::{SeedableRng, rngs::StdRng};
    /// # let (now, mut rng) = (Instant::now(), StdRng::seed_from_u64(1));
    ///
    /// // Two nodes, which have issued different identities to the same backends.
    /// let node = |number: u32, first_id: u32| {
    ///     let backends = ["a", "b"].into_iter().zip(first_id..).map(|(name, id)| {
    ///         (Arc::new(Backend::new(BackendId::new(id), name, ())), Weight::ONE)
    ///     });
    ///     let config = PersistenceConfig::new(Duration::from_secs(60), NonZeroUsize::new(1_000).unwrap())
    ///         .replicated(number, now, 1_700_000_000_000);
    ///     Director::<u64, ()>::new(Pool::new(backends, &*Algorithm::Rr.scheduler_at(0)))
    ///         .with_persistence_config(&config)
    /// };
    /// let (one, two) = (node(1, 0), node(2, 100));
    /// two.assign(now, &9, &[], &mut rng)?; // so that it is not at `a` by chance
    ///
    /// let first = one.assign(now, &7, &[], &mut rng)?;
    /// for update in one.drain_updates(500) {
    ///     // On the way it is the backend's place that says which it is.
    ///     let place = one.pool().backend(update.backend).map(|backend| backend.place());
    ///     let Some(backend) = place.and_then(|place| two.pool().backend_at(place).cloned()) else { continue };
    ///     two.apply(now, Update { backend: backend.id(), ..update });
    /// }
    /// assert_eq!(two.assign(now, &7, &[], &mut rng)?.name(), first.name());
    /// # Ok::<(), lb_core::pool::NoBackend>(())
    /// ```
    pub fn drain_updates(&self, most: usize) -> Vec<Update<K>> {
        self.persistence.as_ref().map_or_else(Vec::new, |shards| shards.drain_updates(most))
    }

    /// Takes over what another node has learnt, unless something later is known, as
    /// [`Replicated::apply`](crate::persistence::Replicated::apply) does: in any order, any number of
    /// times. Whether it was news. O(1).
    pub fn apply(&self, now: Instant, update: Update<K>) -> bool {
        self.persistence.as_ref().is_some_and(|shards| shards.apply(now, update))
    }

    /// All that this director knows, whoever learnt it, for a node that joins. O(capacity); one shard
    /// at a time is locked.
    pub fn snapshot(&self) -> Vec<Update<K>> {
        self.persistence.as_ref().map_or_else(Vec::new, Shards::snapshot)
    }

    /// At `now`, the clock that all nodes share shows `millis`: to be said now and then, as two
    /// machines' clocks drift apart, and one that was suspended stood still. O(shards).
    pub fn set_shared_clock(&self, now: Instant, millis: u64) {
        if let Some(shards) = &self.persistence {
            shards.set_clock(now, millis);
        }
    }

    /// Takes back the room of clients that were not seen for the timeout. Call it now and then
    /// (each second will do); only memory depends on it, whoever waits for room that was taken
    /// before there was a [queue](Self::set_queue), and, where clients are remembered
    /// [while flows are open](PersistenceConfig::while_open), when flows count as ended.
    pub fn expire(&self, now: Instant) {
        self.queue.call();
        if let Some(shards) = &self.persistence {
            shards.handle_timeout(now);
        }
    }
}
