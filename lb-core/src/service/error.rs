//! How a request fails to be served.

use std::fmt;
use std::time::Duration;

use tower::BoxError;

use crate::backend::Outcome;
use crate::pool::NoBackend;

/// Why a balanced request was not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BalanceError {
    /// A backend took the request and failed with it. It may have acted on it, so nobody else is
    /// asked.
    #[error("the backend failed: {0}")]
    Backend(#[source] BoxError),
    /// Every attempt was refused before the backend saw the request.
    #[error("none of {attempts} backends took the request, the last one because: {last}")]
    Exhausted {
        /// How many backends were asked.
        attempts: usize,
        /// Why the last one refused.
        #[source]
        last: BoxError,
    },
    /// Every backend was full, or the one that the client [waits for](crate::Pool::waiting_for_full), and
    /// the queue, too.
    #[error("every backend is full, and {waiting} wait already")]
    QueueFull {
        /// How many wait.
        waiting: usize,
    },
    /// Every backend was full, or the one that the client [waits for](crate::Pool::waiting_for_full), for
    /// as long as a flow may wait.
    #[error("no backend had room for {after:?}")]
    QueueTimeout {
        /// How long the flow waited.
        after: Duration,
    },
    /// There was nobody to ask.
    #[error(transparent)]
    NoBackend(#[from] NoBackend),
    /// The inner service cannot take requests, whoever the backend is.
    #[error("the service cannot take requests: {0}")]
    NotReady(#[source] BoxError),
}

/// A backend was not [ready in time](super::EachService::ready_within).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it was not ready within {after:?}")]
#[non_exhaustive]
pub struct Unready {
    /// How long the request waited for it.
    pub after: Duration,
}

/// A dispatch that failed.
///
/// What decides whether another backend is asked is whether the request comes back: an inner
/// service must return it only if the backend cannot have seen it (a refused connection, a failed
/// handshake), and keep it once any of it was sent.
#[non_exhaustive]
pub struct Undelivered<Req> {
    /// The request, if the backend never saw it.
    pub request: Option<Req>,
    /// What went wrong.
    pub error: BoxError,
    /// What it tells of the backend: a failure, unless it is [not to blame](Self::blameless).
    pub outcome: Option<Outcome>,
}

impl<Req> Undelivered<Req> {
    /// The backend never saw `request`: another one may be asked.
    pub fn returned(request: Req, error: impl Into<BoxError>) -> Self {
        Self { request: Some(request), ..Self::consumed(error) }
    }

    /// The backend may have acted on the request.
    pub fn consumed(error: impl Into<BoxError>) -> Self {
        Self { request: None, error: error.into(), outcome: Some(Outcome::Failure) }
    }

    /// The same, through no fault of the backend's: this host has run out of something.
    #[must_use]
    pub fn blameless(self) -> Self {
        Self { outcome: None, ..self }
    }
}

impl<Req> fmt::Debug for Undelivered<Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undelivered")
            .field("returned", &self.request.is_some())
            .field("error", &self.error)
            .finish()
    }
}
