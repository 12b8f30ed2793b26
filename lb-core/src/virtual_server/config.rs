//! What a virtual server is configured with.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::backend::Limits;
use crate::quorum::{QuorumError, QuorumRule};
use crate::weight::Weight;

/// One backend, as configured.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BackendConfig<E = SocketAddr> {
    /// Recognises the backend over reconfigurations, and places it for hashing schedulers: the
    /// address is a good one. Unique within a virtual server.
    pub name: Arc<str>,
    /// What flows are sent to.
    pub endpoint: E,
    /// The share of new flows. Default 1.
    pub weight: Weight,
    /// How many flows it takes at once. Default as many as come.
    pub limits: Limits,
    /// The group it is in: 0, the default, is tried first.
    pub priority: u8,
    /// The zone it is in. Default none.
    pub zone: Option<Arc<str>>,
    /// Whether it takes flows before its first verdict, or if it is never checked. Default no.
    pub initially_up: bool,
    /// Whether its checks may report a weight above the configured one, so that a quorum beyond the
    /// configured weights can be reached all the same. Default no.
    pub reports_weight: bool,
    /// Whether it stays, at weight 0, when its checks fail: whoever belongs there goes on coming,
    /// as with a backend that is drained. For the quorum it is dead all the same. keepalived's
    /// `inhibit_on_failure`. Default no: it is taken out.
    pub inhibit_on_failure: bool,
}

impl<E> BackendConfig<E> {
    /// A backend of weight 1 that takes flows once its checks pass.
    pub fn new(name: impl Into<Arc<str>>, endpoint: E) -> Self {
        Self {
            name: name.into(),
            endpoint,
            weight: Weight::ONE,
            limits: Limits::NONE,
            priority: 0,
            zone: None,
            initially_up: false,
            reports_weight: false,
            inhibit_on_failure: false,
        }
    }

    /// The same at another weight.
    #[must_use]
    pub fn weighing(self, weight: impl Into<Weight>) -> Self {
        Self { weight: weight.into(), ..self }
    }

    /// The same with at most so many flows at once.
    #[must_use]
    pub fn limited(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The same in the group of this `priority`.
    #[must_use]
    pub fn at_priority(self, priority: u8) -> Self {
        Self { priority, ..self }
    }

    /// The same in this zone, or in none.
    #[must_use]
    pub fn in_zone(self, zone: impl Into<Option<Arc<str>>>) -> Self {
        Self { zone: zone.into(), ..self }
    }

    /// The same, taking flows before its first verdict, or without ever being checked.
    #[must_use]
    pub fn initially_up(self) -> Self {
        Self { initially_up: true, ..self }
    }

    /// The same, with checks that report weights of their own.
    #[must_use]
    pub fn reporting_weight(self) -> Self {
        Self { reports_weight: true, ..self }
    }

    /// The same, staying at weight 0 when its checks fail.
    #[must_use]
    pub fn inhibited_on_failure(self) -> Self {
        Self { inhibit_on_failure: true, ..self }
    }
}

impl<'a> BackendConfig<&'a str> {
    /// A backend that is nothing but its name.
    pub fn named(name: &'a str) -> Self {
        Self::new(name, name)
    }
}

/// A backend named by its address.
impl From<SocketAddr> for BackendConfig {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.to_string(), address)
    }
}

/// When the sorry server takes over.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum SorryMode {
    /// When no backend takes new flows any more: none lives, or all that do are drained.
    NoneAlive,
    /// As soon as quorum is lost, even if some backends still live: keepalived's behaviour.
    #[default]
    QuorumLost,
}

/// Where flows go when there are not enough backends. It never counts for the quorum and never keeps a
/// client; it is taken to live, unless [checks](crate::VirtualServer::handle_health) of it say otherwise.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SorryServer<E = SocketAddr> {
    /// The server. Its weight has no meaning.
    pub backend: BackendConfig<E>,
    /// When it takes over.
    pub mode: SorryMode,
}

impl<E> SorryServer<E> {
    /// This backend takes over when `mode` says so.
    pub const fn new(backend: BackendConfig<E>, mode: SorryMode) -> Self {
        Self { backend, mode }
    }
}

/// What becomes of persisted clients whose backend is being drained.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum DrainingClients {
    /// They still come, until it has drained for [so long](VirtualServerConfig::drain_timeout) or the
    /// administrator says that [draining is over](crate::health::Admin::Drained). Without either it
    /// is IPVS' behaviour for a backend of weight 0.
    #[default]
    Keep,
    /// They are moved at once, and belong elsewhere from then on: IPVS with
    /// `expire_quiescent_template`.
    Move,
}

/// What becomes of persisted clients whose backend is full. Either way they belong there still.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum WhenFull {
    /// They are served elsewhere meanwhile.
    #[default]
    Move,
    /// They wait for it in the director's [queue](crate::Director::with_queue), if there is one, as
    /// persistent clients do in HAProxy.
    Wait,
}

/// What becomes of persisted clients whose backend is down.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum WhenDown {
    /// They are moved, and belong elsewhere from then on.
    #[default]
    Move,
    /// They are refused, and belong there still when it is back: for sessions that are of no use
    /// anywhere else. Envoy's `strict` stateful session. Clients of a backend that was drained, put
    /// into maintenance or removed, and so is not expected back, are moved all the same.
    Refuse,
}

/// What a [`VirtualServer`](crate::VirtualServer) is configured with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VirtualServerConfig<E = SocketAddr> {
    /// The backends, in the order that schedulers see.
    pub backends: Vec<BackendConfig<E>>,
    /// How much must live.
    pub quorum: QuorumRule,
    /// Where flows go otherwise.
    pub sorry: Option<SorryServer<E>>,
    /// Over how long a backend that comes back takes on its share, from a sixteenth of it to the
    /// whole, by whatever scheduler: of its weight, or for those that do not look at weights (`rr`,
    /// `lc`) of an even share. To `first` and `fo`, which send everything to one backend, a part of a
    /// share means nothing: there it has all of it at once, as has who is alone in its
    /// [priority](BackendConfig::priority). One that is on its way when this changes goes on as it
    /// began. Default: it has it at once.
    pub slow_start: Option<Duration>,
    /// The share of live backends, in percent, below which checks are no longer believed: when
    /// there are fewer of every [priority](BackendConfig::priority), those that are down get flows
    /// as well, as it is likelier that the checks are wrong than that so many are dead, and the few
    /// that are left would not survive the load. Backends that are drained, in maintenance or not
    /// checked yet do not count, and get nothing. At most 100. Default 0: never.
    pub panic_below: u8,
    /// What becomes of the clients of backends that are being drained.
    pub draining_clients: DrainingClients,
    /// How long the clients of a backend are kept from when it began to drain: because its weight is
    /// 0 by configuration, by order or by a check's report, or because the administrator said so.
    /// Then they are moved. One that is [inhibited](BackendConfig::inhibit_on_failure) does not drain:
    /// it is expected back. Where a backend drains already when this changes, it counts from when that
    /// began. Default: as long as it drains.
    pub drain_timeout: Option<Duration>,
    /// What becomes of the clients of a backend that is full.
    pub when_full: WhenFull,
    /// What becomes of the clients of a backend that is down, ejected, or refuses a flow.
    pub when_down: WhenDown,
}

impl<E> VirtualServerConfig<E> {
    /// These backends, up while any of them is, without a sorry server.
    pub fn of(backends: impl IntoIterator<Item = BackendConfig<E>>) -> Self {
        Self {
            backends: backends.into_iter().collect(),
            quorum: QuorumRule::ANY,
            sorry: None,
            slow_start: None,
            panic_below: 0,
            draining_clients: DrainingClients::Keep,
            drain_timeout: None,
            when_full: WhenFull::Move,
            when_down: WhenDown::Move,
        }
    }

    /// The same with another quorum.
    #[must_use]
    pub fn with_quorum(self, quorum: QuorumRule) -> Self {
        Self { quorum, ..self }
    }

    /// The same with a sorry server, or without.
    #[must_use]
    pub fn with_sorry(self, sorry: impl Into<Option<SorryServer<E>>>) -> Self {
        Self { sorry: sorry.into(), ..self }
    }

    /// The same, where a backend that comes back takes so long to take on its share.
    #[must_use]
    pub fn with_slow_start(self, time: impl Into<Option<Duration>>) -> Self {
        Self { slow_start: time.into(), ..self }
    }

    /// The same, not believing its checks when fewer than so many percent live.
    #[must_use]
    pub fn panicking_below(self, percent: u8) -> Self {
        Self { panic_below: percent, ..self }
    }

    /// The same, with clients of draining backends kept or moved.
    #[must_use]
    pub fn with_draining_clients(self, draining_clients: DrainingClients) -> Self {
        Self { draining_clients, ..self }
    }

    /// The same, where clients of draining backends are kept for no longer than so long.
    #[must_use]
    pub fn with_drain_timeout(self, time: impl Into<Option<Duration>>) -> Self {
        Self { drain_timeout: time.into(), ..self }
    }

    /// The same, with clients of full backends served elsewhere, or waiting.
    #[must_use]
    pub fn with_clients_when_full(self, when_full: WhenFull) -> Self {
        Self { when_full, ..self }
    }

    /// The same, with clients of backends that are down moved or refused.
    #[must_use]
    pub fn with_clients_when_down(self, when_down: WhenDown) -> Self {
        Self { when_down, ..self }
    }

    /// Whether the configuration can ever work. No backends at all is fine: they may be found later;
    /// so is a weight of 0 for all of them: they are out of service on purpose.
    ///
    /// # Errors
    /// [`ConfigError`] names the contradiction.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut names = HashSet::new();
        if let Some(twin) = self.backends.iter().find(|one| !names.insert(&one.name)) {
            return Err(ConfigError::DuplicateBackend { name: twin.name.to_string() });
        }
        if self.panic_below > 100 {
            return Err(ConfigError::PanicBelow { percent: self.panic_below });
        }
        let most = |backend: &BackendConfig<E>| match backend.reports_weight {
            true => Weight::MAX,
            false => backend.weight,
        };
        match self.backends.iter().map(|backend| u64::from(most(backend))).sum() {
            0 => Ok(()),
            total => Ok(self.quorum.reachable_with(total)?),
        }
    }
}

/// A configuration that contradicts itself.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Two backends of one name.
    #[error("backend `{name}` is configured twice")]
    DuplicateBackend {
        /// The name.
        name: String,
    },
    /// No share of backends is that large.
    #[error("checks cannot be disbelieved below {percent} percent of live backends: at most 100")]
    PanicBelow {
        /// What was given.
        percent: u8,
    },
    /// The quorum could never be gained.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
}
