//! One configured backend: what was said about it, and what that comes to.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::BackendConfig;
use crate::backend::{Backend, BackendId};
use crate::health::{Admin, Health, Weight};

/// What everybody said about one backend.
pub(super) struct Slot<E> {
    pub(super) backend: Arc<Backend<E>>,
    configured: Weight,
    /// The configured weight, or the administrator's in its place.
    pub(super) weight: Weight,
    pub(super) admin: Admin,
    initially_up: bool,
    /// `None` until the first verdict.
    pub(super) health: Option<Health>,
}

impl<E> Slot<E> {
    pub(super) fn new(backend: Arc<Backend<E>>, weight: Weight, initially_up: bool) -> Self {
        let (configured, admin, health) = (weight, Admin::Ready, None);
        Self { backend, configured, weight, admin, initially_up, health }
    }

    pub(super) fn reconfigured(self, config: BackendConfig<E>) -> Self {
        let weight = if config.weight == self.configured { self.weight } else { config.weight };
        Self {
            backend: Arc::new(self.backend.with_endpoint(config.endpoint)),
            configured: config.weight,
            weight,
            initially_up: config.initially_up,
            // Whoever was up without being checked stays up until the first check has a verdict.
            health: self.health(),
            ..self
        }
    }

    /// The verdict, or what holds before there is one.
    pub(super) fn health(&self) -> Option<Health> {
        self.health.or(self.initially_up.then_some(Health::UP))
    }

    /// The weight to be published with: `None` keeps it out of the pool. Always computed anew from
    /// everything that was said.
    pub(super) fn live_weight(&self) -> Option<Weight> {
        match (self.admin, self.health()?) {
            (Admin::Drained | Admin::Maintenance, _) | (_, Health::Down) => None,
            (Admin::Drain, Health::Up { .. }) => Some(Weight::ZERO),
            (Admin::Ready, Health::Up { weight }) => Some(weight.over(self.weight)),
        }
    }

    pub(super) fn status(&self) -> BackendStatus<'_, E> {
        let state = match (self.admin, self.health()) {
            (Admin::Maintenance, _) => BackendState::Maintenance,
            (Admin::Drain | Admin::Drained, _) => BackendState::Drain,
            (Admin::Ready, None) => BackendState::Warming,
            (Admin::Ready, Some(Health::Down)) => BackendState::Down,
            (Admin::Ready, Some(Health::Up { .. })) => match self.live_weight() {
                Some(Weight::ZERO) => BackendState::Drain,
                _ => BackendState::Up,
            },
        };
        BackendStatus {
            id: self.backend.id(),
            name: self.backend.name(),
            backend: &self.backend,
            state,
            weight: self.live_weight().unwrap_or(Weight::ZERO),
            admin: self.admin,
        }
    }
}

/// The state of a backend: of those that apply, the first.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum BackendState {
    /// The administrator took it out of service.
    Maintenance,
    /// Keeps what it has and takes no new client: the administrator's word, or weight 0.
    Drain,
    /// Not checked yet.
    Warming,
    /// A check fails.
    Down,
    /// Takes flows.
    Up,
}

impl BackendState {
    /// The state in one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Maintenance => "maintenance",
            Self::Drain => "drain",
            Self::Warming => "warming",
            Self::Down => "down",
            Self::Up => "up",
        }
    }
}

impl fmt::Display for BackendState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One configured backend, as seen from outside.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct BackendStatus<'a, E = SocketAddr> {
    /// The identity.
    pub id: BackendId,
    /// The name it is configured under.
    pub name: &'a str,
    /// The backend with its counters.
    pub backend: &'a Arc<Backend<E>>,
    /// The state.
    pub state: BackendState,
    /// The effective weight: 0 for one that takes no new flow.
    pub weight: Weight,
    /// The administrator's word.
    pub admin: Admin,
}
