//! The control machine of one service: who is configured, who lives, what is published.

mod config;
mod draining;
mod former;
mod publication;
mod reconfiguration;
mod slot;
mod slow_start;
mod sorry;
mod status;
mod view;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backend::{Backend, BackendId};
use crate::health::{Admin, Health};
use crate::pool::{Census, Pool};
use crate::quorum::{Quorum, Strength};
use crate::scheduler::Scheduler;
use crate::weight::Weight;

pub use config::{
    BackendConfig, ConfigError, DrainingClients, SorryMode, SorryServer, VirtualServerConfig,
    WhenDown, WhenFull,
};
pub use status::{BackendState, BackendStatus};

use slot::Slot;
use sorry::Sorry;

/// What to do, in this order.
#[derive(Debug)]
pub enum Action<E = SocketAddr> {
    /// Something happened that users want to know: log it, run a script, count it.
    Notify(Event),
    /// Hand this pool to the [`Director`](crate::Director).
    Publish(Arc<Pool<E>>),
}

/// A change worth telling.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A backend's checks fail: new flows go elsewhere.
    BackendDown {
        /// The backend.
        backend: BackendId,
        /// The name it is configured under.
        name: String,
    },
    /// A backend's checks pass.
    BackendUp {
        /// The backend.
        backend: BackendId,
        /// The name it is configured under.
        name: String,
    },
    /// So few backends live that their checks are not believed any more: those that are down get
    /// flows as well. See [`VirtualServerConfig::panic_below`].
    PanicBegan {
        /// What lives.
        strength: Strength,
    },
    /// Checks are believed again.
    PanicEnded {
        /// What lives.
        strength: Strength,
    },
    /// Enough backends live.
    QuorumGained {
        /// What lives.
        strength: Strength,
    },
    /// Too few backends live.
    QuorumLost {
        /// What lives.
        strength: Strength,
    },
}

/// The control machine of one service (LVS' `virtual_server`): turns verdicts, administrators'
/// words and new configurations into published pools and events.
///
/// Feed it one input, then drain [`poll_action`](Self::poll_action) until `None`. However many inputs
/// come before the drain, it publishes at most one pool, and none if nothing changed for the data
/// plane; quorum is judged once per drain, so that servers failing together lose it once. It has a
/// [deadline](Self::next_deadline) only while a backend [drains](VirtualServerConfig::drain_timeout),
/// or [starts slowly](VirtualServerConfig::slow_start): when it comes into service while others serve,
/// because its checks pass again, the administrator lets it, or a new configuration has added it.
///
/// What is published ("live" is: checks pass, not in maintenance; at weight 0 while drained, until its
/// time is over. Who is [inhibited](BackendConfig::inhibit_on_failure) is beside them at weight 0):
///
/// | quorum | sorry server | pool |
/// |---|---|---|
/// | gained | any | the live backends |
/// | lost | none | the live backends: quorum only tells |
/// | lost | [`SorryMode::QuorumLost`] | the sorry server alone |
/// | lost | [`SorryMode::NoneAlive`] | the live backends if one takes new flows, else the sorry server |
///
/// Between the two there is no moment with an empty pool. In a
/// [panic](VirtualServerConfig::panic_below) the backends that are down are taken to be live.
///
/// ```
/// use lb_core::virtual_server::{Action, BackendConfig, Event, VirtualServerConfig};
/// use lb_core::{Algorithm, Health, VirtualServer};
///
/// let backends = ["10.0.0.1:80", "10.0.0.2:80"].map(BackendConfig::named);
/// let mut server = VirtualServer::new(VirtualServerConfig::of(backends), Algorithm::Rr.scheduler())?;
/// let first = server.backends().next().unwrap().id;
/// let now = std::time::Instant::now();
/// while server.poll_action().is_some() {} // a pool without members: nobody was checked yet
///
/// server.handle_health(now, first, Health::UP);
/// let Some(Action::Publish(pool)) = server.poll_action() else { panic!() };
/// assert_eq!(pool.backends().len(), 1);
/// let Some(Action::Notify(Event::BackendUp { name, .. })) = server.poll_action() else { panic!() };
/// assert_eq!(name, "10.0.0.1:80");
/// assert!(matches!(server.poll_action(), Some(Action::Notify(Event::QuorumGained { .. }))));
/// assert!(server.poll_action().is_none());
/// # Ok::<(), lb_core::virtual_server::ConfigError>(())
/// ```
pub struct VirtualServer<E = SocketAddr> {
    slots: Vec<Slot<E>>,
    sorry: Option<Sorry<E>>,
    /// Who was removed while flows were there: whoever comes back under the name is the same, with
    /// the same limits to keep.
    departed: Vec<Arc<Backend<E>>>,
    /// Where in `slots` each is.
    positions: HashMap<BackendId, usize>,
    census: Census,
    quorum: Quorum,
    policy: Policy,
    panics: bool,
    scheduler: Arc<dyn Scheduler>,
    published: Arc<Pool<E>>,
    /// The next identity to issue; none is issued twice.
    next_id: u32,
    /// When the last input came.
    now: Option<Instant>,
    due: Due,
    events: Vec<Event>,
    actions: VecDeque<Action<E>>,
}

/// What the next drain has to do.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Due {
    /// Nothing: no input came since the last one.
    Nothing,
    /// To see what the inputs come to, and to publish if that is another pool.
    Settling,
    /// To publish in any case: endpoints or the scheduler changed, so that equal members do not mean an
    /// equal pool.
    Publishing,
}

/// What is done with those that live, and those that do not.
#[derive(Clone, Copy, Debug, Default)]
struct Policy {
    slow_start: Option<Duration>,
    panic_below: u8,
    draining_clients: DrainingClients,
    drain_timeout: Option<Duration>,
    when_full: WhenFull,
    when_down: WhenDown,
}

impl<E> VirtualServer<E> {
    /// A virtual server none of whose backends was checked yet (keepalived's `alpha` mode, unless a
    /// backend is [initially up](BackendConfig::initially_up)). Its first drain publishes. O(n).
    ///
    /// # Errors
    /// [`ConfigError`], if the configuration contradicts itself.
    pub fn new(
        config: VirtualServerConfig<E>,
        scheduler: Arc<dyn Scheduler>,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let mut server = Self {
            slots: Vec::new(),
            sorry: None,
            departed: Vec::new(),
            positions: HashMap::new(),
            census: Census::default(),
            quorum: Quorum::new(config.quorum),
            policy: Policy::default(),
            panics: false,
            published: Arc::new(Pool::empty(&*scheduler)),
            scheduler,
            next_id: 0,
            now: None,
            due: Due::Publishing,
            events: Vec::new(),
            actions: VecDeque::new(),
        };
        server.take_over(config);
        Ok(server)
    }

    /// Takes over a new configuration. Backends are recognised by name: those that stay keep their
    /// identity, counters and health, and the administrator's word (a weight that the administrator
    /// set gives way only to a change of the configured one). A backend that becomes the sorry
    /// server, or was it, keeps its identity and counters. O(n).
    ///
    /// The next drain always publishes: whether an endpoint changed cannot be told.
    ///
    /// # Errors
    /// [`ConfigError`], if the configuration contradicts itself; nothing changes then.
    pub fn reconfigure(
        &mut self,
        now: Instant,
        config: VirtualServerConfig<E>,
    ) -> Result<(), ConfigError> {
        config.validate()?;
        self.take_over(config);
        self.now = Some(now);
        Ok(())
    }

    /// Schedules by another algorithm from the next drain on. O(1); the drain costs what the
    /// scheduler's `rebuild` does.
    pub fn set_scheduler(&mut self, scheduler: Arc<dyn Scheduler>) {
        self.scheduler = scheduler;
        self.due = Due::Publishing;
    }

    /// The verdict of a backend's checks. Ignored for a backend that is not configured any more.
    /// O(1); what follows from it is worked out when it is drained, but for limits, which hold at once.
    ///
    /// A sorry server need not be checked; one that was found to be down is as good as none.
    pub fn handle_health(&mut self, now: Instant, backend: BackendId, health: Health) {
        let Some(slot) = self.slot(backend) else {
            let sorry = self.sorry.as_mut().filter(|sorry| sorry.backend.id() == backend);
            if let Some(sorry) = sorry {
                sorry.is_down = !health.is_up();
                self.note_input(now);
            }
            return;
        };
        let before = slot.health();
        slot.health = Some(health);
        let is_limited_anew = slot.hold_to_limits();
        if before.map(Health::is_up) != Some(health.is_up()) {
            let name = slot.backend.name().to_owned();
            self.events.push(match health {
                Health::Up { .. } => Event::BackendUp { backend, name },
                Health::Down => Event::BackendDown { backend, name },
            });
        }
        self.note_input(now);
        if is_limited_anew {
            // Whoever waits for room is called by the pool that comes with it.
            self.due = Due::Publishing;
        }
    }

    /// The administrator's weight, in place of the configured one: what checks [report] counts on
    /// from there. 0 drains, whatever they report, as IPVS' quiescing does. It holds until it is set
    /// again, or the configured one changes. Whether the backend is configured. O(1).
    ///
    /// [report]: crate::health::ReportedWeight
    pub fn set_weight(&mut self, now: Instant, backend: BackendId, weight: Weight) -> bool {
        self.administer(now, backend, |slot| slot.ordered = Some(weight))
    }

    /// The administrator's word: in service, draining or in maintenance (HAProxy's `set server …
    /// state`). It stands above every check and survives reconfigurations. Whether the backend is
    /// configured. O(1).
    pub fn set_admin(&mut self, now: Instant, backend: BackendId, admin: Admin) -> bool {
        self.administer(now, backend, |slot| slot.admin = admin)
    }

    /// What is found of it under real traffic: ejected, it gets no new flow and nobody who belongs
    /// there, until this is taken back. That does not count while nobody else serves, nor in a
    /// [panic](VirtualServerConfig::panic_below), and says nothing of a backend that is down. Whether
    /// the backend is configured. O(n).
    pub fn set_ejected(&mut self, now: Instant, backend: BackendId, ejected: bool) -> bool {
        let known = self.administer(now, backend, |slot| slot.note_ejection(ejected));
        self.heed_ejections();
        known
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if nothing else comes: while a
    /// backend starts slowly, or drains for no longer than so long. O(n).
    pub fn next_deadline(&self) -> Option<Instant> {
        let now = self.now?;
        let lasts = self.policy.drain_timeout;
        let steps = |slot: &Slot<E>| slot.slow_start(now)?.next_step(now);
        let ends = |slot: &Slot<E>| slot.draining_until(lasts).filter(|&end| end > now);
        self.slots.iter().flat_map(|slot| [steps(slot), ends(slot)]).flatten().min()
    }

    /// Time has passed: whoever starts slowly takes on the next part of its share, and the clients of
    /// whoever has drained for long enough are moved. O(n).
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.due = self.due.max(Due::Settling);
        }
        self.now = self.now.max(Some(now));
    }

    /// The next thing to do; `None` when there is nothing more until the next input. The first call
    /// after an input settles what all inputs since the last drain come to, in O(n) and the cost of
    /// the scheduler's `rebuild` if a pool is to be published; every other one is O(1).
    pub fn poll_action(&mut self) -> Option<Action<E>> {
        if self.due != Due::Nothing {
            self.settle();
        }
        self.actions.pop_front()
    }

    fn slot(&mut self, backend: BackendId) -> Option<&mut Slot<E>> {
        self.slots.get_mut(*self.positions.get(&backend)?)
    }

    fn administer(
        &mut self,
        now: Instant,
        backend: BackendId,
        change: impl FnOnce(&mut Slot<E>),
    ) -> bool {
        let known = self.slot(backend).map(change).is_some();
        if known {
            self.note_input(now);
        }
        known
    }

    fn note_input(&mut self, now: Instant) {
        self.now = Some(now);
        self.due = self.due.max(Due::Settling);
    }
}
