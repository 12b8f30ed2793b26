//! Checks of what has a name.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::future::BoxFuture;
use lb_health::trace::{Phase, Trace};
use lb_health::{CheckError, Failure, Report, Target};
use tokio::time::{Instant, timeout};
use tower::Service;

use super::Name;
use crate::config::check::CheckKind;

/// Whose address it is that a check connects to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Whose {
    Backends,
    /// Without which nothing is known of the backend.
    Agents,
}

impl From<&CheckKind> for Whose {
    fn from(kind: &CheckKind) -> Self {
        if matches!(kind, CheckKind::Agent(_)) { Self::Agents } else { Self::Backends }
    }
}

/// Runs a check of whatever the name stands for then.
#[derive(Clone, Debug)]
pub(crate) struct ByName<S> {
    name: Arc<Name>,
    whose: Whose,
    inner: S,
}

impl<S> ByName<S> {
    pub(crate) const fn new(name: Arc<Name>, whose: Whose, inner: S) -> Self {
        Self { name, whose, inner }
    }
}

impl<S> Service<Target> for ByName<S>
where
    S: Service<Target, Response = Report, Error = Failure> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Report;
    type Error = Failure;
    type Future = BoxFuture<'static, Result<Report, Failure>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        ready!(self.inner.poll_ready(context))?;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Target) -> Self::Future {
        let spare = self.inner.clone();
        let (mut inner, name) = (std::mem::replace(&mut self.inner, spare), Arc::clone(&self.name));
        let whose = self.whose;
        Box::pin(async move {
            let begun = Instant::now();
            let address = match timeout(target.timeout, name.answered()).await {
                Ok(address) => address,
                Err(_) => Err(CheckError::Timeout { phase: Phase::Dns }),
            };
            let spent = begun.elapsed();
            let mut trace = Trace::EMPTY;
            trace.spend(Phase::Dns, spent);
            let address = address.map_err(|error| match whose {
                Whose::Backends => Failure::new(error, trace),
                Whose::Agents => Failure::new(CheckError::Agent { source: Arc::new(error) }, trace),
            })?;
            let address = SocketAddr::new(address, target.address.port());
            inner.call(Target::new(address, target.timeout.saturating_sub(spent))).await
        })
    }
}
