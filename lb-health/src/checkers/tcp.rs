//! Passes when a TCP connection can be made.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Protocol, Type};
use tokio::net::TcpStream;

use super::connection::attempt::Attempt;
use super::connection::origin::{Origin, local, refused_at_once};
use super::service::checker;
use crate::trace::Phase;
use crate::{CheckError, Failure, Report, Target};

/// Passes when a TCP connection can be made; sends nothing.
///
/// The connection is closed by a reset, so that a director that checks ten thousand backends every
/// second does not hold 600 000 connections in `TIME_WAIT`. Servers that log resets will log it.
///
/// ```
/// use std::time::Duration;
/// use lb_health::trace::Phase;
/// use lb_health::{Target, checkers::Tcp};
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
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tcp {
    origin: Origin,
}

impl Tcp {
    /// A checker that connects from whatever address the system chooses.
    pub const fn new() -> Self {
        Self { origin: Origin::new() }
    }

    /// This checker, connecting from `origin`; an address of this host may stand for one.
    #[must_use]
    pub fn with_origin(self, origin: impl Into<Origin>) -> Self {
        Self { origin: origin.into() }
    }

    async fn run(self, target: Target) -> Result<Report, Failure> {
        let mut attempt = Attempt::begin(target);
        let result = self.connect(&mut attempt, target.address).await;
        attempt.finish(result.map(drop))
    }

    /// Connects, for `attempt`; the stream resets the connection when it is dropped.
    pub(super) async fn connect(
        &self,
        attempt: &mut Attempt,
        address: SocketAddr,
    ) -> Result<TcpStream, CheckError> {
        attempt.step(Phase::Connect, self.connected(address)).await
    }

    async fn connected(&self, address: SocketAddr) -> Result<TcpStream, CheckError> {
        let socket = self.origin.socket(address, Type::STREAM, Protocol::TCP)?;
        socket.set_linger(Some(Duration::ZERO)).map_err(local("set up a socket"))?;
        match socket.connect(&address.into()) {
            Err(error) if !is_under_way(&error) => return Err(refused_at_once(error)),
            _ => {}
        }
        let stream = TcpStream::from_std(socket.into()).map_err(local("set up a socket"))?;
        poll_fn(|context| stream.poll_write_ready(context)).await.map_err(local("wait"))?;
        match stream.take_error() {
            Ok(None) => {}
            Ok(Some(error)) | Err(error) => return Err(CheckError::from_io(Phase::Connect, error)),
        }
        // Towards a port of this host that nobody listens at, the system may choose that very port
        // as the source; the socket is then connected to itself. It chooses none of the well-known.
        if address.port() >= 1024 && stream.local_addr().is_ok_and(|source| source == address) {
            return Err(CheckError::Refused);
        }
        Ok(stream)
    }
}

/// The system goes on to connect by itself (`connect(2)`).
fn is_under_way(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) {
        return true;
    }
    error.kind() == io::ErrorKind::WouldBlock
}

checker!(Tcp);
