//! What a checker is asked, and what it may answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lb_core::Weight;
use tower_service::Service;

use crate::CheckError;
use crate::advice::Advice;
use crate::trace::Trace;

/// What one run of a check is aimed at.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Target {
    /// Where the backend answers checks; need not be where it takes traffic.
    pub address: SocketAddr,
    /// The time the whole run may take, from the first packet to the last byte of the answer.
    ///
    /// It is one deadline over all phases. keepalived starts its timeout anew at every read
    /// (`check_http.c: http_read_thread`), so that a server which drips bytes is never found out.
    pub timeout: Duration,
}

impl Target {
    /// A run against `address` that may take `timeout` in all.
    pub const fn new(address: SocketAddr, timeout: Duration) -> Self {
        Self { address, timeout }
    }
}

/// What a backend that passed a check said about itself.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The weight the backend asks for; `None` keeps the configured one.
    pub weight: Option<Weight>,
    /// What else it asks for.
    pub advice: Advice,
    /// Whether what this does not say, of the weight and of each part of the advice, is as it was said
    /// last: so it is with agents. Else that is over.
    pub amends: bool,
    /// What this is where the target is not up already: a failure of that cause. `None`, the usual case: it
    /// passes there as well. So may a server that is leaving keep what clients it has, but one that was gone
    /// does not come back to leave (HAProxy's `disable-on-404` holds for servers that run).
    pub unless_up: Option<Arc<CheckError>>,
    /// What was seen on the way.
    pub trace: Trace,
}

impl Report {
    /// Alive, at the configured weight.
    pub const ALIVE: Self = Self {
        weight: None,
        advice: Advice::NONE,
        amends: false,
        unless_up: None,
        trace: Trace::EMPTY,
    };

    /// Alive, and asking for `weight`.
    pub const fn weighing(weight: Weight) -> Self {
        Self { weight: Some(weight), ..Self::ALIVE }
    }
}

/// A run that did not pass: its one cause, and what was seen on the way.
///
/// A checker that measures nothing fails with a [`CheckError`] alone, which becomes this by `into`.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}")]
#[non_exhaustive]
pub struct Failure {
    /// The cause.
    #[source]
    pub error: CheckError,
    /// What was seen on the way.
    pub trace: Trace,
}

impl Failure {
    /// A failure after what `trace` tells.
    pub const fn new(error: CheckError, trace: Trace) -> Self {
        Self { error, trace }
    }

    /// See [`CheckError::cause`].
    pub fn cause(&self) -> &'static str {
        self.error.cause()
    }

    /// See [`CheckError::is_local`].
    pub fn is_local(&self) -> bool {
        self.error.is_local()
    }
}

impl From<CheckError> for Failure {
    fn from(error: CheckError) -> Self {
        Self::new(error, Trace::EMPTY)
    }
}

/// Any cloneable service from [`Target`] to [`Report`] is a checker: there is nothing to implement
/// but [`tower_service::Service`]. It fails with a [`Failure`], or with a [`CheckError`] alone.
///
/// A checker keeps [`Target::timeout`], answers [`CheckError::is_local`] errors when this host, not
/// the target, is at fault, and leaves nothing behind when its future is dropped: a check that is
/// forgotten or suspended is cancelled that way. Waiting for a free slot belongs in `poll_ready`,
/// where it costs the run none of its time; the `Driver` waits an interval and a timeout for it.
pub trait Checker: Service<Target, Response = Report, Error: Into<Failure>> + Clone {}

impl<S> Checker for S where S: Service<Target, Response = Report, Error: Into<Failure>> + Clone {}
