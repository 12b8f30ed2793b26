//! Passes when a TCP connection can be made.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Protocol, Socket, Type};
use tokio::net::TcpStream;

use super::connection::attempt::Attempt;
use super::connection::origin::{Origin, local};
use super::service::checker;
use crate::trace::Phase;
use crate::{CheckError, Failure, Report, Target};

/// Passes when a TCP connection can be made; sends nothing.
///
/// The connection is closed by a reset, so that a director that checks ten thousand backends every
/// second does not hold 600 000 connections in `TIME_WAIT`. On Linux the reset comes instead of the
/// last packet of the handshake (RFC 9293 section 3.5): that the target's system has answered is all that
/// is asked, and to wake the server behind it for a connection that says nothing would cost both sides
/// half as much again and fill its log. HAProxy's checks do the same. Where the server itself is to take
/// part, have it say something: see [`SendExpect`](super::SendExpect).
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
        let connected = self.connected(target.address, First::Nobody);
        let result = attempt.step(Phase::Connect, connected).await;
        attempt.finish(result.map(drop))
    }

    /// Connects, for `attempt`; the stream resets the connection when it is dropped.
    pub(super) async fn connect(
        &self,
        attempt: &mut Attempt,
        address: SocketAddr,
        first: First,
    ) -> Result<TcpStream, CheckError> {
        attempt.step(Phase::Connect, self.connected(address, first)).await
    }

    async fn connected(&self, address: SocketAddr, first: First) -> Result<TcpStream, CheckError> {
        let socket = self.origin.socket(address, Type::STREAM, Protocol::TCP)?;
        set_up(&socket, first).map_err(local("set up a socket"))?;
        match socket.connect(&address.into()) {
            Err(error) if !is_under_way(&error) => return Err(self.origin.refused_at_once(error)),
            _ => {}
        }
        let stream = TcpStream::from_std(socket.into()).map_err(local("set up a socket"))?;
        poll_fn(|context| stream.poll_write_ready(context)).await.map_err(local("wait"))?;
        match stream.take_error() {
            Ok(None) => {}
            Ok(Some(error)) => return Err(CheckError::from_network(Phase::Connect, error)),
            Err(error) => return Err(local("wait")(error)),
        }
        // Towards a port of this host that nobody listens at, the system may choose that very port
        // as the source; the socket is then connected to itself. It chooses none of the well-known.
        if address.port() >= 1024 && stream.local_addr().is_ok_and(|source| source == address) {
            return Err(CheckError::Refused);
        }
        Ok(stream)
    }
}

/// Who speaks first once there is a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(dead_code, reason = "who speaks first is up to the protocols that there are")]
pub(super) enum First {
    /// Nor later: the connection is reset.
    Nobody,
    /// The acknowledgement that ends the handshake goes with what is said: a packet less, and the
    /// server is woken once.
    We,
    /// Which it does once it has seen the end of the handshake.
    They,
}

/// Sets what is set before a socket connects; no more than is needed, since every call counts where ten
/// thousand connect in a second.
fn set_up(socket: &Socket, first: First) -> io::Result<()> {
    socket.set_linger(Some(Duration::ZERO))?;
    if first != First::They {
        put_off_acknowledging(socket)?;
    }
    if first != First::Nobody {
        // Else half a request may wait for the acknowledgement of the other half, which the target puts
        // off (RFC 9293 section 3.7.4), and the time of that counts as the target's.
        socket.set_tcp_nodelay(true)?;
    }
    Ok(())
}

/// Lets `socket` wait with the acknowledgement that ends the handshake for something to send with it
/// (`TCP_QUICKACK` in `tcp(7)`).
#[cfg(target_os = "linux")]
fn put_off_acknowledging(socket: &Socket) -> io::Result<()> {
    socket.set_tcp_quickack(false)
}

#[cfg(not(target_os = "linux"))]
fn put_off_acknowledging(_: &Socket) -> io::Result<()> {
    Ok(())
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_is_sent_waits_for_nothing() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        for first in [First::We, First::They] {
            let mut attempt = Attempt::begin(Target::new(address, Duration::from_secs(5)));
            let stream = Tcp::new().connect(&mut attempt, address, first).await.unwrap();
            assert!(stream.nodelay().unwrap(), "{first:?}");
        }
    }
}
