//! Tells health what real traffic meets with.

use lb_core::Lease;
use lb_core::backend::BackendId;
use lb_health::CheckError;
use tokio::sync::mpsc;

use super::key::ServerKey;
use super::upstream::Endpoint;

/// What became of an attempt to use a backend: real traffic's word on its health.
#[derive(Debug)]
pub struct Attempt {
    /// The virtual server.
    pub server: ServerKey,
    /// The backend.
    pub backend: BackendId,
    /// Whether it took the connection; or, where [flows are observed](Observed::Flows), whether it
    /// did anything with it.
    pub outcome: Result<(), CheckError>,
}

/// What health is told of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Observed {
    /// Whether connections are taken.
    Connections,
    /// Whether connections that are taken come to anything, too.
    Flows,
}

/// Tells health of one virtual server's connections.
#[derive(Debug)]
pub(super) struct Reporter {
    server: ServerKey,
    observed: Observed,
    attempts: mpsc::Sender<Attempt>,
}

impl Reporter {
    pub(super) const fn new(
        server: ServerKey,
        observed: Observed,
        attempts: mpsc::Sender<Attempt>,
    ) -> Self {
        Self { server, observed, attempts }
    }

    /// A connection was made, or was not. Made, it says nothing yet where flows are observed.
    pub(super) fn connected(&self, lease: &Lease<Endpoint>, outcome: Result<(), CheckError>) {
        if outcome.is_err() || self.observed == Observed::Connections {
            self.tell(lease, outcome);
        }
    }

    /// A connection that was made came to something, or did not.
    pub(super) fn flowed(&self, lease: &Lease<Endpoint>, outcome: Result<(), CheckError>) {
        if self.observed == Observed::Flows {
            self.tell(lease, outcome);
        }
    }

    /// Of failures that do not fit into its queue health has heard often enough; a success has to be
    /// told again.
    fn tell(&self, lease: &Lease<Endpoint>, outcome: Result<(), CheckError>) {
        let upstream = lease.endpoint();
        if upstream.attempted(outcome.is_ok()) {
            let attempt = Attempt { server: self.server, backend: lease.id(), outcome };
            if self.attempts.try_send(attempt).is_err() {
                upstream.untold();
            }
        } else {
            upstream.succeeded();
        }
    }
}
