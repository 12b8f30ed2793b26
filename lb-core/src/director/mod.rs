//! The published pool, the persistence table and the queue: where the data plane asks.

mod line;
#[cfg_attr(not(feature = "service"), expect(dead_code, reason = "waiting is the service's"))]
mod queue;
mod remembering;
#[cfg(feature = "service")]
mod waiting;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rand::Rng;

use crate::backend::{Backend, BackendId, Lease};
use crate::flow::{ClientKey, Flow};
use crate::hash::HashSeed;
use crate::persistence::{Shard, Shards, lock};
use crate::pool::{NoBackend, Pool};

pub(crate) use queue::Queue;
#[cfg(feature = "service")]
pub(crate) use queue::Ticket;

/// Gives out backends to any number of tasks at once.
///
/// One writer publishes pools, every reader sees one of them whole. Without persistence
/// [`assign`](Self::assign) is one atomic load, one pick and one atomic addition; with it, one
/// short lock on one of several shards besides.
///
/// What becomes of whom is one table:
///
/// | backend | existing flow | persisted client | new client |
/// |---|---|---|---|
/// | up | stays | stays | by the scheduler |
/// | full | stays | served elsewhere, still belongs here; or waits for it, if the pool [says so](Pool::waiting_for_full) and there is a queue | elsewhere |
/// | draining (weight 0) | stays | stays; or is moved, if the pool [says so](Pool::moving_draining) | elsewhere |
/// | drained for [long enough](crate::virtual_server::VirtualServerConfig::drain_timeout) | stays | moved, and belongs there from now on | elsewhere |
/// | down | as its owner decides | moved, and belongs there from now on; or is refused and belongs here still, if the pool [says so](Pool::refusing_clients_of) | elsewhere |
/// | in maintenance, removed | as its owner decides | moved, and belongs there from now on | elsewhere |
/// | refused this flow | – | as if it were down | elsewhere |
/// | back again | – | stays where it was moved to | by the scheduler |
///
/// If *elsewhere* there is room nowhere, a flow waits in the [queue](Self::with_queue), if there is
/// one. Who waits there for its own backend keeps nobody from any other.
///
/// Persistence decides in the middle column alone, and by these rules. A client that brings along
/// where it belongs ([`Sticky`](crate::flow::Sticky), a cookie's bearer) is a persisted client, with
/// or without a table; [`Lease::is_home`] says when what it brings is to be written anew.
///
/// - *Who is persisted*: whoever was sent to a backend, for the timeout after the last flow began; or
///   [as long as one is open](crate::persistence::PersistenceConfig::while_open), and for the timeout
///   after the last one ended. A flow counts even if no backend could be found for it: the client waits
///   for its backend to return.
/// - *A new client may stay new*: when the table is full of clients that were seen within
///   [`min_age`](crate::persistence::PersistenceConfig::min_age), it is sent where the scheduler says each time, and
///   remembered as soon as there is room. Nobody is refused for that.
/// - *A move is for good*. Had clients that were moved belonged to their old backend still, they
///   would all come back to it at the moment it does.
/// - *Existing flows* are never asked for: a lease lasts until its holder drops it.
/// - Clients that are sent to a sorry server do not belong to it: they return to their backend.
///
/// ```
/// use std::{net::IpAddr, num::NonZeroUsize, time::{Duration, Instant}};
/// use lb_core::{Algorithm, Director, Pool};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let backends = ["10.0.0.1:80", "10.0.0.2:80"].map(|name| (name, name.parse().unwrap()));
/// let director: Director = Director::new(Pool::named(backends, &*Algorithm::Rr.scheduler()))
///     .with_persistence(Duration::from_secs(60), NonZeroUsize::new(10_000).unwrap());
///
/// let client: IpAddr = "192.0.2.7".parse()?;
/// let (now, mut rng) = (Instant::now(), StdRng::seed_from_u64(1));
/// let first = director.assign(now, &client, &[], &mut rng)?;
/// let again = director.assign(now, &client, &[], &mut rng)?;
/// assert_eq!(first.id(), again.id());
/// assert_eq!(first.load().active(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Director<K = IpAddr, E = SocketAddr> {
    pool: ArcSwap<Pool<E>>,
    persistence: Option<Shards<K>>,
    queue: Arc<Queue>,
    hash_seed: Option<HashSeed>,
}

/// What a flow has to mind because of the queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn<'a> {
    /// Backends for which others wait that came before.
    pub(crate) claimed: &'a [BackendId],
    /// Whether it may wait for a backend itself.
    pub(crate) may_wait: bool,
}

/// The line in which flows wait while every backend is full.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct QueueConfig {
    /// How many flows may wait. Whoever comes then is refused.
    pub length: NonZeroUsize,
    /// How long each of them waits, all attempts together. Without it, until there is room.
    pub timeout: Option<Duration>,
}

impl QueueConfig {
    /// A line of at most `length` flows, each of which waits until there is room. One that has waited
    /// and is refused by its backend has its position again, even if the line is full by then.
    pub const fn new(length: NonZeroUsize) -> Self {
        Self { length, timeout: None }
    }

    /// The same, where a flow waits no longer than `timeout`.
    #[must_use]
    pub const fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }
}

impl<K: ClientKey, E> Director<K, E> {
    /// A director over a first pool.
    pub fn new(pool: impl Into<Arc<Pool<E>>>) -> Self {
        Self {
            pool: ArcSwap::new(pool.into()),
            persistence: None,
            queue: Arc::default(),
            hash_seed: None,
        }
    }

    /// Gives every flow another hash for another `seed`, so that nobody outside knows which keys go
    /// to the same backend and could send them all there. Directors with the same seed, as
    /// [`HashSeed::of`] makes of a secret, agree on every key.
    ///
    /// Not for [`Ketama`](crate::scheduler::Ketama), if it is to agree with nginx.
    #[must_use]
    pub fn with_hash_seed(self, seed: HashSeed) -> Self {
        Self { hash_seed: Some(seed), ..self }
    }

    /// Lets flows wait, first come, first served, while every backend that could take them is full:
    #[cfg_attr(
        feature = "service",
        doc = "see [`Balance`](crate::service::Balance), which does the waiting."
    )]
    #[cfg_attr(not(feature = "service"), doc = "see `service::Balance`, which does the waiting.")]
    ///
    /// Nobody overtakes: while flows wait, [`assign`](Self::assign) says that all backends are full. Flows
    /// that wait [for their own backend](Pool::waiting_for_full) have a claim to that one alone.
    ///
    /// **The timeout is as good as the [`Env`](crate::env::Env) of whoever waits**: `SystemEnv` cannot
    /// wake anybody, `TokioEnv` can.
    #[must_use]
    pub fn with_queue(self, config: QueueConfig) -> Self {
        self.set_queue(Some(config));
        self
    }

    /// The same for a director that is in use: who waits already goes on waiting, as long as was said
    /// then. Without a queue, nobody else begins to.
    pub fn set_queue(&self, config: Option<QueueConfig>) {
        self.queue.set(config);
        self.queue.call();
    }

    /// Lets flows wait in the line of another director, which this one is to replace: room that
    /// becomes free at either is for whoever is first in it.
    #[must_use]
    pub fn sharing_queue(self, other: &Self) -> Self {
        Self { queue: Arc::clone(&other.queue), ..self }
    }

    /// Replaces the pool: every assignment that begins from now on sees the new one, those that have
    /// begun go on with the old one, and flows stay where they are. O(1) and wait-free for whoever
    /// assigns; the old pool is freed when nobody uses it any more. Of those that wait in the queue the
    /// first is called, and the first for each backend that is waited for.
    pub fn publish(&self, pool: Arc<Pool<E>>) {
        self.pool.store(pool);
        self.queue.call_all();
    }

    /// The pool that is published now. O(1): one atomic load and one count of references.
    pub fn pool(&self) -> Arc<Pool<E>> {
        self.pool.load_full()
    }

    /// A backend for one flow of `client`, not one of `tried`, counted as active there until the
    /// lease is dropped. A client that [says where it belongs](ClientKey::belongs_to) is sent there
    /// as one that is remembered.
    ///
    /// Never blocks and never allocates, and waits for no lock but, with persistence, that of the
    /// client's shard, as does the end of the lease if clients are remembered
    /// [while flows are open](crate::persistence::PersistenceConfig::while_open). It costs what the scheduler's pick does, and O(log n) to find where a client
    /// belongs.
    ///
    /// # Errors
    /// [`NoBackend`] says why there is none.
    #[inline]
    pub fn assign(
        &self,
        now: Instant,
        client: &K,
        tried: &[BackendId],
        rng: &mut dyn Rng,
    ) -> Result<Lease<E>, NoBackend> {
        match self.queue.len() {
            0 => self.assign_at(|| now, client, tried, self.turn_of_newcomer(&[]), rng),
            _ => self.assign_beside_waiting(now, client, tried, rng),
        }
    }

    /// As [`assign`](Self::assign), while others wait.
    #[cold]
    fn assign_beside_waiting(
        &self,
        now: Instant,
        client: &K,
        tried: &[BackendId],
        rng: &mut dyn Rng,
    ) -> Result<Lease<E>, NoBackend> {
        match self.queue.claimed() {
            Some(claimed) => {
                self.assign_at(|| now, client, tried, self.turn_of_newcomer(&claimed), rng)
            }
            None => Err(self.pool.load().all_full()),
        }
    }

    /// What somebody has to mind who comes now, where others wait for the `claimed` backends.
    #[inline]
    pub(crate) fn turn_of_newcomer<'a>(&self, claimed: &'a [BackendId]) -> Turn<'a> {
        Turn { claimed, may_wait: self.queue.room() > 0 }
    }

    /// As [`assign`](Self::assign), but for whoever's turn it is; and asks for the time
    /// only if somebody has to know it: reading a clock costs more than a pick.
    #[inline]
    pub(crate) fn assign_at(
        &self,
        now: impl FnOnce() -> Instant,
        client: &K,
        tried: &[BackendId],
        turn: Turn<'_>,
        rng: &mut dyn Rng,
    ) -> Result<Lease<E>, NoBackend> {
        let pool = self.pool.load();
        let home = client.belongs_to().and_then(|place| pool.home_at(place));
        let mut flow = Flow::new(self.hash(client)).retried(tried).preferring(home);
        flow = flow.minding(turn.claimed, turn.may_wait);
        let shards = self.persistence.as_ref().filter(|_| pool.records_affinity());
        let now = (shards.is_some() || pool.is_timed()).then(now);
        flow.now = now.filter(|_| pool.is_timed());
        match (shards, now) {
            (Some(shards), Some(now)) => {
                self.assign_persisted(shards, now, &pool, client, &flow, rng)
            }
            _ => self.enter(&pool, &flow, rng),
        }
    }

    /// A backend for a client that is remembered, or will be. Apart, so that without persistence an
    /// assignment is small enough to become part of its caller.
    #[inline(never)]
    fn assign_persisted(
        &self,
        shards: &Shards<K>,
        now: Instant,
        pool: &Pool<E>,
        client: &K,
        flow: &Flow<'_>,
        rng: &mut dyn Rng,
    ) -> Result<Lease<E>, NoBackend> {
        let shard = shards.of(client);
        // Over the pick, so that two first flows of one client agree.
        let mut table = lock(shard);
        let (mut slot, known) = table.use_slot(now, client).unzip();
        // What the client says counts for more, unless nothing can come of it.
        let said = flow.prefer.filter(|&home| pool.keeps(flow, home));
        let mut lease = self.enter(pool, &flow.preferring(said.or(known)), rng)?;
        // Where it would have been sent but for want of room, there will be room again.
        if known != Some(lease.id()) && lease.is_home() {
            slot = table.insert_slot(now, client.clone(), lease.id());
        }
        if let Some(slot) = slot.filter(|_| shards.while_open()) {
            table.hold(slot);
            let shard: Shard<K> = Arc::clone(shard);
            lease.hold(shard, slot as u32);
        }
        Ok(lease)
    }

    #[inline]
    fn hash(&self, client: &K) -> u64 {
        match &self.hash_seed {
            Some(seed) => seed.mix(client.flow_hash()),
            None => client.flow_hash(),
        }
    }

    /// Room at a backend of the pool's choice.
    // A call would hand over the lease in memory, in pieces: that costs as much as the pick.
    #[inline(always)]
    fn enter(
        &self,
        pool: &Pool<E>,
        flow: &Flow<'_>,
        rng: &mut dyn Rng,
    ) -> Result<Lease<E>, NoBackend> {
        let mut again: Flow<'_>;
        let mut flow = flow;
        // Every round but the first is room that somebody else took, or limits that are newer than
        // the pool; a scheduler that minds none is not asked for ever.
        for _ in 0..=pool.members().len() {
            let backend: &Arc<Backend<E>> = pool.pick(flow, rng)?;
            let queue = self.queue.is_open().then_some(&self.queue);
            let is_home = pool.is_home_of(flow, backend.id());
            if let Some(lease) = Lease::try_begun(backend, flow.now, queue, is_home) {
                return Ok(lease);
            }
            again = flow.minding_limits();
            flow = &again;
        }
        Err(pool.all_full())
    }

    /// How many flows wait in the queue. O(1).
    pub fn queued(&self) -> usize {
        self.queue.len()
    }
}

impl<K, E> fmt::Debug for Director<K, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Director")
            .field("pool", &*self.pool.load())
            .field("persistence", &self.persistence.is_some())
            .field("queue", &self.queue)
            .finish()
    }
}
