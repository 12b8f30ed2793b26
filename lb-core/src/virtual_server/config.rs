//! What a virtual server is configured with.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::health::Weight;
use crate::quorum::{QuorumError, QuorumRule};

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
    /// Whether it takes flows before its first verdict, or if it is never checked. Default no.
    pub initially_up: bool,
    /// Whether its checks may report a weight above the configured one, so that a quorum beyond the
    /// configured weights can be reached all the same. Default no.
    pub reports_weight: bool,
}

impl<E> BackendConfig<E> {
    /// A backend of weight 1 that takes flows once its checks pass.
    pub fn new(name: impl Into<Arc<str>>, endpoint: E) -> Self {
        Self {
            name: name.into(),
            endpoint,
            weight: Weight::ONE,
            initially_up: false,
            reports_weight: false,
        }
    }

    /// The same at another weight.
    #[must_use]
    pub fn weighing(self, weight: impl Into<Weight>) -> Self {
        Self { weight: weight.into(), ..self }
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

/// Where flows go when there are not enough backends. It is never checked, never counts for the
/// quorum, and never keeps a client.
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
}

impl<E> VirtualServerConfig<E> {
    /// These backends, up while any of them is, without a sorry server.
    pub fn of(backends: impl IntoIterator<Item = BackendConfig<E>>) -> Self {
        Self { backends: backends.into_iter().collect(), quorum: QuorumRule::ANY, sorry: None }
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
    /// The quorum could never be gained.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
}
