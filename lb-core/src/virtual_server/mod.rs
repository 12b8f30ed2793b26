//! The control machine of one service: who is configured, who lives, what is published.

mod config;
mod status;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::backend::{Backend, BackendId};
use crate::health::{Admin, Health, Weight};
use crate::pool::Pool;
use crate::quorum::{Quorum, QuorumChange, Strength};
use crate::scheduler::Scheduler;

pub use config::{BackendConfig, ConfigError, SorryMode, SorryServer, VirtualServerConfig};
pub use status::{BackendState, BackendStatus};

use status::Slot;

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
/// It has no timers and needs no clock: feed it one input, then drain
/// [`poll_action`](Self::poll_action) until `None`. However many inputs come before the drain, it
/// publishes at most one pool, and none if nothing changed for the data plane; quorum is judged
/// once per drain, so that servers failing together lose it once.
///
/// What is published ("live" is: checks pass, not in maintenance; at weight 0 if drained):
///
/// | quorum | sorry server | pool |
/// |---|---|---|
/// | gained | any | the live backends |
/// | lost | none | the live backends: quorum only tells |
/// | lost | [`SorryMode::QuorumLost`] | the sorry server alone |
/// | lost | [`SorryMode::NoneAlive`] | the live backends if one takes new flows, else the sorry server |
///
/// Between the two there is no moment with an empty pool.
///
/// ```
/// use lb_core::{Action, Algorithm, BackendConfig, Event, Health, VirtualServer, VirtualServerConfig};
///
/// let backends = ["10.0.0.1:80", "10.0.0.2:80"].map(BackendConfig::named);
/// let mut server = VirtualServer::new(VirtualServerConfig::of(backends), Algorithm::Rr.scheduler())?;
/// let first = server.backends().next().unwrap().id;
/// while server.poll_action().is_some() {} // a pool without members: nobody was checked yet
///
/// server.handle_health(first, Health::UP);
/// let Some(Action::Publish(pool)) = server.poll_action() else { panic!() };
/// assert_eq!(pool.backends().len(), 1);
/// let Some(Action::Notify(Event::BackendUp { name, .. })) = server.poll_action() else { panic!() };
/// assert_eq!(name, "10.0.0.1:80");
/// assert!(matches!(server.poll_action(), Some(Action::Notify(Event::QuorumGained { .. }))));
/// assert!(server.poll_action().is_none());
/// # Ok::<(), lb_core::ConfigError>(())
/// ```
pub struct VirtualServer<E = SocketAddr> {
    slots: Vec<Slot<E>>,
    sorry: Option<(Arc<Backend<E>>, SorryMode)>,
    /// Places in `slots`.
    places: HashMap<BackendId, usize>,
    /// What all configured weights have in common.
    unit: Weight,
    quorum: Quorum,
    scheduler: Arc<dyn Scheduler>,
    published: Arc<Pool<E>>,
    /// The next identity to issue; none is issued twice.
    next_id: u32,
    /// Whether an input came since the last drain.
    unsettled: bool,
    /// Whether endpoints or the scheduler changed, so that equal members do not mean an equal pool.
    replaced: bool,
    events: Vec<Event>,
    actions: VecDeque<Action<E>>,
}

impl<E> VirtualServer<E> {
    /// A virtual server none of whose backends was checked yet. Its first drain publishes.
    ///
    /// # Errors
    /// [`ConfigError`], if the configuration contradicts itself.
    pub fn new(
        config: VirtualServerConfig<E>,
        scheduler: Arc<dyn Scheduler>,
    ) -> Result<Self, ConfigError> {
        let mut server = Self {
            slots: Vec::new(),
            sorry: None,
            places: HashMap::new(),
            unit: Weight::ONE,
            quorum: Quorum::new(config.quorum),
            published: Arc::new(Pool::empty(&*scheduler)),
            scheduler,
            next_id: 0,
            unsettled: true,
            replaced: true,
            events: Vec::new(),
            actions: VecDeque::new(),
        };
        server.reconfigure(config)?;
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
    pub fn reconfigure(&mut self, config: VirtualServerConfig<E>) -> Result<(), ConfigError> {
        config.validate()?;
        let weights = config.backends.iter().map(|backend| backend.weight);
        self.unit = weights.fold(Weight::ZERO, Weight::gcd);
        let mut known: HashMap<String, Slot<E>> =
            self.slots.drain(..).map(|slot| (slot.backend.name().to_owned(), slot)).collect();
        let former_sorry = self.sorry.take().map(|(backend, _)| backend);
        let sorry_named = |name: &str| former_sorry.as_ref().filter(|sorry| sorry.name() == name);
        for backend in config.backends {
            let slot = match known.remove(&*backend.name) {
                Some(slot) => slot.reconfigured(backend),
                None => {
                    let BackendConfig { name, endpoint, weight, initially_up, .. } = backend;
                    let backend = self.known_or_new(sorry_named(&name), &name, endpoint);
                    Slot::new(backend, weight, initially_up)
                }
            };
            self.slots.push(slot);
        }
        if let Some(SorryServer { backend: BackendConfig { name, endpoint, .. }, mode }) =
            config.sorry
        {
            // A sorry server that is also a backend is one and the same.
            let twin = self.slots.iter().find(|slot| slot.backend.name() == &*name);
            let former = || known.get(&*name).map(|slot| &slot.backend).or(sorry_named(&name));
            let sorry = match twin {
                Some(twin) => Arc::clone(&twin.backend),
                None => self.known_or_new(former(), &name, endpoint),
            };
            self.sorry = Some((sorry, mode));
        }
        let ids = self.slots.iter().map(|slot| slot.backend.id());
        self.places = ids.zip(0..).collect();
        self.quorum.set_rule(config.quorum);
        self.unsettled = true;
        self.replaced = true;
        Ok(())
    }

    /// Schedules by another algorithm from the next drain on.
    pub fn set_scheduler(&mut self, scheduler: Arc<dyn Scheduler>) {
        self.scheduler = scheduler;
        self.unsettled = true;
        self.replaced = true;
    }

    /// The verdict of a backend's checks. Ignored for a backend that is not configured any more.
    /// O(1); what follows from it is worked out when it is drained.
    pub fn handle_health(&mut self, backend: BackendId, health: Health) {
        let Some(slot) = self.slot(backend) else {
            return;
        };
        let before = slot.health();
        slot.health = Some(health);
        if before.map(Health::is_up) != Some(health.is_up()) {
            let name = slot.backend.name().to_owned();
            self.events.push(match health {
                Health::Up { .. } => Event::BackendUp { backend, name },
                Health::Down => Event::BackendDown { backend, name },
            });
        }
        self.unsettled = true;
    }

    /// The administrator's weight, in place of the configured one; 0 drains. Whether the backend
    /// is configured.
    pub fn set_weight(&mut self, backend: BackendId, weight: Weight) -> bool {
        self.administer(backend, |slot| slot.weight = weight)
    }

    /// The administrator's word: in service, draining or in maintenance. Whether the backend is
    /// configured.
    pub fn set_admin(&mut self, backend: BackendId, admin: Admin) -> bool {
        self.administer(backend, |slot| slot.admin = admin)
    }

    /// The next thing to do; `None` when there is nothing more until the next input.
    pub fn poll_action(&mut self) -> Option<Action<E>> {
        if self.unsettled {
            self.settle();
        }
        self.actions.pop_front()
    }

    /// Every configured backend, in order.
    pub fn backends(&self) -> impl ExactSizeIterator<Item = BackendStatus<'_, E>> {
        self.slots.iter().map(Slot::status)
    }

    /// One configured backend. O(1).
    pub fn backend(&self, backend: BackendId) -> Option<BackendStatus<'_, E>> {
        self.slots.get(*self.places.get(&backend)?).map(Slot::status)
    }

    /// The quorum as of the last drain.
    pub const fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    /// The sorry server.
    pub fn sorry(&self) -> Option<&Arc<Backend<E>>> {
        self.sorry.as_ref().map(|(backend, _)| backend)
    }

    /// The pool published last. Whether it is the sorry server is whether it
    /// [records affinity](Pool::records_affinity).
    pub const fn published(&self) -> &Arc<Pool<E>> {
        &self.published
    }

    /// What lives now.
    pub fn strength(&self) -> Strength {
        let weights = || self.slots.iter().filter_map(Slot::live_weight).map(u64::from);
        Strength {
            weight: weights().sum(),
            alive: weights().filter(|&weight| weight > 0).count(),
            configured: self.slots.iter().filter(|slot| slot.admin != Admin::Maintenance).count(),
        }
    }

    fn slot(&mut self, backend: BackendId) -> Option<&mut Slot<E>> {
        self.slots.get_mut(*self.places.get(&backend)?)
    }

    fn administer(&mut self, backend: BackendId, change: impl FnOnce(&mut Slot<E>)) -> bool {
        let known = self.slot(backend).map(change).is_some();
        self.unsettled |= known;
        known
    }

    /// The backend that was there before, with its endpoint replaced, or a new one.
    fn known_or_new(
        &mut self,
        former: Option<&Arc<Backend<E>>>,
        name: &Arc<str>,
        endpoint: E,
    ) -> Arc<Backend<E>> {
        Arc::new(match former {
            Some(former) => former.with_endpoint(endpoint),
            None => {
                let id = BackendId::new(self.next_id);
                self.next_id += 1;
                Backend::new(id, Arc::clone(name), endpoint)
            }
        })
    }

    /// Judges the quorum and lays out what is to be done: first publish, so that no script delays
    /// the data plane, then tell.
    fn settle(&mut self) {
        let strength = self.strength();
        let change = self.quorum.observe(strength);
        self.publish(strength);
        self.actions.extend(self.events.drain(..).map(Action::Notify));
        self.actions.extend(change.map(|change| {
            Action::Notify(match change {
                QuorumChange::Gained => Event::QuorumGained { strength },
                QuorumChange::Lost => Event::QuorumLost { strength },
            })
        }));
        self.unsettled = false;
        self.replaced = false;
    }

    fn publish(&mut self, strength: Strength) {
        let sorry = self.sorry.as_ref().filter(|(_, mode)| match mode {
            SorryMode::NoneAlive => strength.weight == 0,
            SorryMode::QuorumLost => !self.quorum.is_up(),
        });
        let members: Vec<(Arc<Backend<E>>, Weight)> = match sorry {
            Some((sorry, _)) => vec![(Arc::clone(sorry), Weight::ONE)],
            None => self
                .slots
                .iter()
                .filter_map(|slot| Some((Arc::clone(&slot.backend), slot.live_weight()?)))
                .collect(),
        };
        if !self.replaced && self.is_published(&members, sorry.is_none()) {
            return;
        }
        let mut pool = Pool::in_units(self.unit, members, &*self.scheduler)
            .out_of(self.slots.len())
            .numbered(self.published.generation() + 1);
        if sorry.is_some() {
            // The rotation is not the sorry server's: it goes on where it was afterwards.
            pool = pool.without_affinity();
        } else {
            self.scheduler = Arc::clone(pool.scheduler());
        }
        self.published = Arc::new(pool);
        self.actions.push_back(Action::Publish(Arc::clone(&self.published)));
    }

    fn is_published(&self, members: &[(Arc<Backend<E>>, Weight)], affinity: bool) -> bool {
        let published = self.published.members().iter().map(|member| (member.id, member.weight));
        self.published.records_affinity() == affinity
            && published.eq(members.iter().map(|(backend, weight)| (backend.id(), *weight)))
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
