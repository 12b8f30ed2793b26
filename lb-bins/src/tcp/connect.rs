//! Opens the connection to the backend that was assigned.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use lb_core::service::{Dispatch, Undelivered};
use lb_core::{BackendId, Lease};
use lb_health::{CheckError, Phase};
use rustix::io::Errno;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};
use tower::Service;

use super::upstream::Endpoint;
use crate::control::ServerKey;

/// How long an attempt waits for this host when that has run out of descriptors or ports.
const REST: Duration = Duration::from_millis(50);

/// What became of an attempt to connect to a backend: real traffic's word on its health.
#[derive(Debug)]
pub struct Attempt {
    /// The virtual server.
    pub server: ServerKey,
    /// The backend.
    pub backend: BackendId,
    /// Whether it took the connection.
    pub outcome: Result<(), CheckError>,
}

/// An open connection to a backend, counted there for as long as it is held.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) lease: Lease<Endpoint>,
}

/// The inner service of the balancer: a client's address in, a connection out.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    pub(super) server: ServerKey,
    pub(super) timeout: Duration,
    pub(super) attempts: mpsc::Sender<Attempt>,
}

impl Connector {
    /// Tells health. If control is so far behind that its queue is full, this attempt is one of
    /// many that it has still to hear of.
    fn report(&self, lease: &Lease<Endpoint>, outcome: Result<(), CheckError>) {
        if lease.endpoint().attempted(outcome.is_ok()) {
            let attempt = Attempt { server: self.server, backend: lease.id(), outcome };
            let _ = self.attempts.try_send(attempt);
        }
    }
}

impl Service<Dispatch<Endpoint, IpAddr>> for Connector {
    type Response = Connection;
    type Error = Undelivered<IpAddr>;
    type Future = Pin<Box<dyn Future<Output = Result<Connection, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, dispatch: Dispatch<Endpoint, IpAddr>) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let Dispatch { lease, request: client } = dispatch;
            let address = lease.endpoint().address();
            let deadline = Instant::now() + connector.timeout;
            let connected = loop {
                match timeout_at(deadline, TcpStream::connect(address)).await {
                    // Somebody else was quicker to take the last descriptor.
                    Ok(Err(error)) if is_local(&error) && Instant::now() + REST < deadline => {
                        sleep(REST).await;
                    }
                    outcome => break outcome,
                }
            };
            let refusal = match connected {
                Ok(Ok(stream)) => {
                    connector.report(&lease, Ok(()));
                    return Ok(Connection { stream, lease });
                }
                // No backend can be reached then, and none is to blame.
                Ok(Err(error)) if is_local(&error) => return Err(Undelivered::consumed(error)),
                Ok(Err(error)) => CheckError::from_io(Phase::Connect, error),
                Err(_) => CheckError::Timeout { phase: Phase::Connect },
            };
            connector.report(&lease, Err(refusal.clone()));
            Err(Undelivered::returned(client, refusal))
        })
    }
}

/// Whether this host ran out of something, rather than the backend refusing.
pub(super) fn is_local(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::MFILE
                | Errno::NFILE
                | Errno::NOBUFS
                | Errno::NOMEM
                | Errno::ADDRNOTAVAIL
                | Errno::AGAIN
        )
    )
}
