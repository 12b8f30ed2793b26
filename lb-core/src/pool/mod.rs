//! One immutable snapshot of everything that a pick needs.

mod belonging;
mod census;
mod member;

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use rand::Rng;

use crate::backend::{Backend, BackendId};
use crate::flow::Flow;
use crate::scheduler::{Scheduler, hash::ketama};
use crate::weight::Weight;

pub use census::Census;
pub use member::Member;
pub(crate) use member::Seat;

/// Why no backend could be chosen.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoBackend {
    /// Backends are configured, but none is alive. One that has not been checked yet is not known to
    /// be.
    #[error("all {configured} backends are down, in maintenance or not checked yet")]
    AllDown {
        /// How many backends are configured.
        configured: usize,
    },
    /// Backends are alive, but all of them have weight 0, or were drained until nobody was left.
    #[error("all {alive} live backends are drained")]
    AllDraining {
        /// How many backends are alive.
        alive: usize,
    },
    /// Backends would take new flows, but are full: they have as many as their
    /// [limits](crate::backend::Limits) allow, or as many as the scheduler gives them.
    #[error("all {full} usable backends have as many flows as they may")]
    AllFull {
        /// How many backends are full.
        full: usize,
    },
    /// Every backend that takes new flows refused this one.
    #[error("all {tried} usable backends were tried")]
    AllTried {
        /// How many backends refused that would take new flows: all that there are.
        tried: usize,
    },
    /// The backend that the client belongs to is down or refused this flow, and its clients
    /// [go nowhere else](Pool::refusing_clients_of).
    #[error("the backend that the client belongs to is down or refused the connection")]
    HomeDown {
        /// Where the client belongs.
        home: BackendId,
    },
    /// The backend that the client belongs to is full, and is to be
    /// [waited for](Pool::waiting_for_full).
    #[error("the backend that the client belongs to has as many flows as it may")]
    HomeFull {
        /// Where the client belongs.
        home: BackendId,
    },
    /// No backend is configured.
    #[error("no backend is configured")]
    Empty,
}

/// One immutable snapshot: the live backends, their weights and the scheduler built over them.
///
/// Everything changes together or not at all: a new pool is built off the hot path and published
/// whole through a [`Director`](crate::Director). Backends that are down or in maintenance are
/// not in it; backends at weight 0 are, so that their clients can still find them.
///
/// ```
/// use std::sync::Arc;
/// use lb_core::backend::BackendId;
/// use lb_core::{Algorithm, Backend, Flow, Pool, Weight};
/// use rand::{SeedableRng, rngs::StdRng};
///
/// let member = |n, name, weight| (Arc::new(Backend::new(BackendId::new(n), name, ())), Weight::new(weight));
/// let scheduler = Algorithm::Wrr.scheduler_at(0); // `scheduler()` begins anywhere
/// let pool = Pool::new([member(0, "a", 2), member(1, "b", 1)], &*scheduler);
/// let mut rng = StdRng::seed_from_u64(1);
/// let mut pick = || pool.pick(&Flow::new(0), &mut rng).map(|backend| backend.name().to_owned());
/// assert_eq!([pick()?, pick()?, pick()?], ["a", "b", "a"]);
/// # Ok::<(), lb_core::pool::NoBackend>(())
/// ```
pub struct Pool<E = SocketAddr> {
    members: Box<[Member]>,
    backends: Box<[Arc<Backend<E>>]>,
    /// Positions by identity, sorted, for affinity's look-up.
    positions: Box<[(BackendId, u32)]>,
    /// Positions by [place](Backend::place), sorted, for clients that know their backend by that.
    places: Box<[(u64, u32)]>,
    scheduler: Arc<dyn Scheduler>,
    generation: u64,
    configured: usize,
    /// How many live beside the members, with nobody left to come.
    drained: usize,
    records_affinity: bool,
    moves_draining: bool,
    waits_for_full: bool,
    /// Whose clients are refused, with their places; `None` if clients of backends that are down are
    /// moved.
    refused: Option<Box<[(BackendId, u64)]>>,
    /// Whether any of the backends can be full.
    is_limited: bool,
    is_timed: bool,
}

impl<E> Pool<E> {
    /// A snapshot of `members` in their configured order, scheduled by `previous` rebuilt over
    /// them: of a configuration that has no other backends. O(n log n), or what the scheduler's
    /// `rebuild` costs.
    ///
    /// Of two members with one identity only the first is kept.
    pub fn new(
        members: impl IntoIterator<Item = (Arc<Backend<E>>, Weight)>,
        previous: &dyn Scheduler,
    ) -> Self {
        let members: Vec<_> = members.into_iter().collect();
        let census = members.iter().map(|(backend, weight)| (*weight, backend.priority()));
        Self::out_of(&Census::of(census), members, previous)
    }

    /// The same, where `members` are what lives of a configuration.
    pub fn out_of(
        census: &Census,
        members: impl IntoIterator<Item = (Arc<Backend<E>>, Weight)>,
        previous: &dyn Scheduler,
    ) -> Self {
        Self::seating(census, members.into_iter().map(Seat::from), previous)
    }

    /// The same, where members may be on their way to their whole share.
    pub(crate) fn seating(
        census: &Census,
        seats: impl IntoIterator<Item = Seat<E>>,
        previous: &dyn Scheduler,
    ) -> Self {
        let mut seen = HashSet::new();
        let seats = seats.into_iter().filter(|seat| seen.insert(seat.backend.id()));
        let (views, backends): (Vec<_>, Vec<_>) = seats
            .map(|Seat { backend, weight, whole, warmth }| {
                let view = Member {
                    id: backend.id(),
                    weight,
                    whole,
                    warmth,
                    parts: census.parts(),
                    place: backend.place(),
                    ketama_seed: ketama::seed(backend.name()),
                    priority: backend.priority(),
                    peers: census.at(backend.priority()),
                    zone: backend.zone().cloned(),
                    load: Arc::clone(backend.load()),
                };
                (view, backend)
            })
            .unzip();
        let mut positions: Vec<_> = views.iter().map(|view| view.id).zip(0..).collect();
        positions.sort_unstable();
        let mut places: Vec<_> = views.iter().map(|view| view.place).zip(0..).collect();
        places.sort_unstable();
        let scheduler = previous.rebuild(&views);
        Self {
            configured: census.total().max(views.len()),
            is_limited: views.iter().any(|view| !view.load.limits().is_none()),
            is_timed: scheduler.is_timed(),
            members: views.into(),
            backends: backends.into(),
            positions: positions.into(),
            places: places.into(),
            scheduler,
            generation: 0,
            drained: 0,
            records_affinity: true,
            moves_draining: false,
            waits_for_full: false,
            refused: None,
        }
    }

    /// These endpoints by name, each of weight 1 and with its place in the list for a number: for
    /// whoever has no more than that to say of them. Costs what [`new`](Self::new) does.
    ///
    /// ```
    /// use lb_core::{Algorithm, Pool};
    ///
    /// let pool = Pool::named([("a", 8080), ("b", 8081)], &*Algorithm::Rr.scheduler());
    /// assert_eq!(pool.backends()[1].endpoint(), &8081);
    /// ```
    pub fn named<N: Into<Arc<str>>>(
        endpoints: impl IntoIterator<Item = (N, E)>,
        previous: &dyn Scheduler,
    ) -> Self {
        let backends = endpoints.into_iter().zip(0..).map(|((name, endpoint), number)| {
            (Arc::new(Backend::new(BackendId::new(number), name, endpoint)), Weight::ONE)
        });
        Self::new(backends, previous)
    }

    /// A pool without members.
    pub fn empty(previous: &dyn Scheduler) -> Self {
        Self::new([], previous)
    }

    /// The snapshot's number: grows by one with every publication.
    #[must_use]
    pub fn numbered(mut self, generation: u64) -> Self {
        self.generation = generation;
        self
    }

    /// The same beside so many backends that live, but that even their clients do not come to any
    /// more: if there is nobody else, that is the reason.
    #[must_use]
    pub(crate) fn beside_drained(mut self, drained: usize) -> Self {
        self.drained = drained;
        self
    }

    /// A pool whose picks are not remembered as affinity: the sorry server's, so that clients
    /// return to their backend on recovery.
    #[must_use]
    pub fn without_affinity(mut self) -> Self {
        self.records_affinity = false;
        self
    }

    /// The backend for `flow`: the preferred one if it is here, has room and is untried, else the
    /// scheduler's choice.
    ///
    /// Takes no lock, allocates nothing, never blocks. What it costs is the scheduler's pick.
    ///
    /// # Errors
    /// [`NoBackend`] says why nobody can take the flow.
    #[inline]
    pub fn pick(&self, flow: &Flow<'_>, rng: &mut dyn Rng) -> Result<&Arc<Backend<E>>, NoBackend> {
        if let Some(preferred) = flow.prefer
            && let Some(home) = self.home(preferred, flow)?
        {
            return Ok(home);
        }
        let mut chosen = self.scheduler.pick(&self.members, flow, rng);
        // Where nobody is full, looking at every choice's counters would double its cost.
        if self.is_limited {
            chosen = self.with_room(chosen, flow, rng);
        }
        // A scheduler of somebody else's may point beyond the members: then it chose nobody.
        match chosen.and_then(|index| self.backends.get(index)) {
            Some(backend) => Ok(backend),
            None => Err(self.refusal(flow)),
        }
    }

    /// The scheduler's choice, or another one if that was made without looking for room and found
    /// none. A call, so that a pick that needs it not is small enough to become part of its caller.
    #[inline(never)]
    fn with_room(
        &self,
        chosen: Option<usize>,
        flow: &Flow<'_>,
        rng: &mut dyn Rng,
    ) -> Option<usize> {
        let has_room =
            |index: usize| self.members.get(index).is_some_and(|one| !one.load.is_full());
        if !flow.any_will_do() || chosen.is_some_and(has_room) {
            return chosen;
        }
        self.scheduler.pick(&self.members, &flow.minding_limits(), rng)
    }

    #[cold]
    fn refusal(&self, flow: &Flow<'_>) -> NoBackend {
        let takes_flows = || self.members.iter().filter(|member| !member.weight.is_zero());
        if self.configured == 0 {
            NoBackend::Empty
        } else if self.members.len() + self.drained == 0 {
            NoBackend::AllDown { configured: self.configured }
        } else if takes_flows().next().is_none() {
            NoBackend::AllDraining { alive: self.members.len() + self.drained }
        } else {
            match takes_flows().filter(|member| !flow.has_tried(member.id)).count() {
                0 => NoBackend::AllTried { tried: takes_flows().count() },
                full => NoBackend::AllFull { full },
            }
        }
    }

    /// What to say to whoever comes while others wait for room.
    #[cold]
    pub(crate) fn all_full(&self) -> NoBackend {
        let full = self.members.iter().filter(|member| !member.weight.is_zero()).count();
        NoBackend::AllFull { full }
    }

    /// Whether choosing, or what comes of it, takes the time into account.
    #[inline]
    pub(crate) const fn is_timed(&self) -> bool {
        self.is_timed
    }

    /// The backend with this identity. O(log n).
    pub fn backend(&self, id: BackendId) -> Option<&Arc<Backend<E>>> {
        self.backends.get(self.position(id)?)
    }

    /// The backend of this [place](Backend::place), by which a client knows it on any balancer.
    /// O(log n).
    pub fn backend_at(&self, place: u64) -> Option<&Arc<Backend<E>>> {
        let slot = self.places.partition_point(|&(other, _)| other < place);
        let &(found, position) = self.places.get(slot)?;
        (found == place).then(|| &self.backends[position as usize])
    }

    fn position(&self, id: BackendId) -> Option<usize> {
        let slot = self.positions.binary_search_by_key(&id, |&(id, _)| id).ok()?;
        Some(self.positions[slot].1 as usize)
    }

    /// What the scheduler sees, in configured order.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The backends, in configured order.
    pub fn backends(&self) -> &[Arc<Backend<E>>] {
        &self.backends
    }

    /// The scheduler over these members.
    pub const fn scheduler(&self) -> &Arc<dyn Scheduler> {
        &self.scheduler
    }

    /// The snapshot's number.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// How many live beside the members, but were drained to the end.
    pub(crate) const fn drained(&self) -> usize {
        self.drained
    }

    /// Whether a client that is sent here belongs here from now on.
    pub const fn records_affinity(&self) -> bool {
        self.records_affinity
    }
}

impl<E> fmt::Debug for Pool<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.backends.iter().zip(&self.members);
        f.debug_struct("Pool")
            .field("generation", &self.generation)
            .field("scheduler", &self.scheduler)
            .field(
                "members",
                &members
                    .map(|(backend, member)| (backend.name(), member.weight.value()))
                    .collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}
