//! Passes when a TCP connection can be made.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};
use tower_service::Service;

use super::attempt::Attempt;
use crate::{CheckError, Failure, Phase, Report, Target};

/// Passes when a TCP connection can be made; sends nothing.
///
/// The connection is closed by a reset, so that a director that checks ten thousand backends every
/// second does not hold 600 000 connections in `TIME_WAIT`. Servers that log resets will log it.
///
/// ```
/// use std::time::Duration;
/// use lb_health::{Phase, Target, checkers::Tcp};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let target = Target::new(listener.local_addr()?, Duration::from_secs(1));
/// let report = Tcp::new().oneshot(target).await?;
/// assert!(report.trace.spent(Phase::Connect).is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tcp {
    source: Option<IpAddr>,
}

impl Tcp {
    /// A checker that connects from whatever address the system chooses.
    pub const fn new() -> Self {
        Self { source: None }
    }

    /// This checker, connecting from `source`. If that is no address of this host the error is
    /// [`CheckError::Local`].
    #[must_use]
    pub const fn with_source(self, source: IpAddr) -> Self {
        Self { source: Some(source) }
    }

    /// Connects; the stream resets the connection when it is dropped.
    pub(super) async fn connect(
        self,
        address: SocketAddr,
        deadline: Instant,
    ) -> Result<TcpStream, CheckError> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        };
        let socket = socket.map_err(local("open a socket"))?;
        socket.set_zero_linger().map_err(local("set up a socket"))?;
        if let Some(source) = self.source {
            socket.bind(SocketAddr::new(source, 0)).map_err(local("bind the source address"))?;
        }
        let stream = match timeout_at(deadline, socket.connect(address)).await {
            Ok(connected) => connected.map_err(|e| CheckError::from_io(Phase::Connect, e))?,
            Err(_) => return Err(CheckError::Timeout { phase: Phase::Connect }),
        };
        // Towards a port of this host that nobody listens at, the system may choose that very port
        // as the source; the socket is then connected to itself.
        match stream.local_addr() {
            Ok(source) if source == address => Err(CheckError::Refused),
            _ => Ok(stream),
        }
    }
}

impl Service<Target> for Tcp {
    type Response = Report;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Report, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Target) -> Self::Future {
        let checker = *self;
        Box::pin(async move {
            let mut attempt = Attempt::begin(target);
            let connecting = checker.connect(target.address, attempt.deadline());
            let result = attempt.step(Phase::Connect, connecting).await;
            attempt.finish(result.map(drop))
        })
    }
}

fn local(operation: &'static str) -> impl FnOnce(io::Error) -> CheckError {
    move |error| CheckError::Local { operation, source: Arc::new(error) }
}
