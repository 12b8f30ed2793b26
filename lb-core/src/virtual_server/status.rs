//! What a backend looks like from outside.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::backend::{Backend, BackendId};
use crate::health::Admin;
use crate::weight::Weight;

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
    /// Real traffic finds it wanting: it is out [for a time](crate::VirtualServer::set_ejected).
    Ejected,
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
            Self::Ejected => "ejected",
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
    /// While it starts slowly, how many percent of its weight it has.
    pub slow_start: Option<u8>,
    /// While it drains, until when its clients are kept, or were: see
    /// [`VirtualServerConfig::drain_timeout`](super::VirtualServerConfig::drain_timeout). `None` if
    /// that does not end.
    pub draining_until: Option<Instant>,
    /// The administrator's word.
    pub admin: Admin,
}
