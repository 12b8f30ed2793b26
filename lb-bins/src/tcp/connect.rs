//! Opens the connection to the backend that was assigned.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use lb_core::Lease;
use lb_core::backend::Outcome;
use lb_core::service::{Dispatch, Undelivered};
use lb_health::CheckError;
use lb_health::trace::Phase;
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use tower::Service;

use super::client::Client;
use super::reporter::Reporter;
use super::upstream::Endpoint;

/// How long an attempt waits for this host when that has run out of descriptors or ports.
const REST: Duration = Duration::from_millis(50);

/// A client that wants a connection.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) client: Client,
    /// A descriptor that is kept for the connection: whoever waits in a queue needs one when its
    /// turn comes.
    pub(super) spare: Option<OwnedFd>,
}

/// An open connection to a backend, counted there for as long as it is held.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) lease: Lease<Endpoint>,
    /// Changes when the connection has to end.
    pub(super) cuts: watch::Receiver<u64>,
}

/// The inner service of the balancer: a client in, a connection out.
#[derive(Clone, Debug)]
pub(super) struct Connector(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    timeout: Duration,
    reporter: Arc<Reporter>,
}

impl Connector {
    /// Gives a backend that long to accept, and tells health by `reporter`.
    pub(super) fn new(timeout: Duration, reporter: Arc<Reporter>) -> Self {
        Self(Arc::new(Settings { timeout, reporter }))
    }

    /// Connects to `address`. While this host has run out of descriptors, waits for some.
    async fn connect(&self, address: SocketAddr) -> Result<TcpStream, Refusal> {
        let deadline = Instant::now() + self.0.timeout;
        loop {
            match timeout_at(deadline, attempt(address)).await {
                Ok(Ok(stream)) if is_connected_to_itself(&stream) => {
                    return Err(Refusal::Backend(CheckError::Refused));
                }
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(unmade)) => match unmade.refusal() {
                    // Somebody else was quicker to take the last descriptor.
                    Refusal::Host(_) if Instant::now() + REST < deadline => sleep(REST).await,
                    refusal => return Err(refusal),
                },
                Err(_) => {
                    return Err(Refusal::Backend(CheckError::Timeout { phase: Phase::Connect }));
                }
            }
        }
    }
}

/// A connection that was not made, and who says so: some errors have one number for both.
enum Unmade {
    /// This host, which sent nothing.
    AtOnce(io::Error),
    /// The network, or the backend.
    Later(io::Error),
}

impl Unmade {
    fn refusal(self) -> Refusal {
        match self {
            // No message of ICMP is one of these (`icmp_err_convert`): they are this host's at any time.
            Self::AtOnce(error) | Self::Later(error) if is_local(&error) => Refusal::Host(error),
            // No port is left towards this backend (`ip(7)`): towards others there may be.
            Self::AtOnce(error) if is_out_of_ports(&error) => Refusal::Ports(error),
            Self::AtOnce(error) => Refusal::Backend(CheckError::from_io(Phase::Connect, error)),
            Self::Later(error) => Refusal::Backend(CheckError::from_network(Phase::Connect, error)),
        }
    }
}

/// Tries to connect once.
async fn attempt(address: SocketAddr) -> Result<TcpStream, Unmade> {
    let begin = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None)?;
        match socket.connect(&address.into()) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::INPROGRESS) => {}
            result => result?,
        }
        TcpStream::from_std(socket.into())
    };
    let stream = begin().map_err(Unmade::AtOnce)?;
    stream.writable().await.map_err(Unmade::AtOnce)?;
    match stream.take_error().map_err(Unmade::AtOnce)? {
        Some(error) => Err(Unmade::Later(error)),
        None => Ok(stream),
    }
}

/// Why there is no connection.
#[derive(Debug)]
enum Refusal {
    /// The backend does not want it, or does not answer.
    Backend(CheckError),
    /// This host has run out of something: no backend can be reached, and none is to blame.
    Host(io::Error),
    /// This host has no port left towards this backend.
    Ports(io::Error),
}

/// A connection that was made says nothing yet: whoever carries it will tell.
pub(super) const fn judged_later(_: &Connection) -> Option<Outcome> {
    None
}

impl Service<Dispatch<Endpoint, Request>> for Connector {
    type Response = Connection;
    type Error = Undelivered<Request>;
    type Future = Pin<Box<dyn Future<Output = Result<Connection, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, dispatch: Dispatch<Endpoint, Request>) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let Dispatch { lease, request: Request { client, spare } } = dispatch;
            drop(spare);
            let again = || Request { client, spare: None };
            let cuts = lease.endpoint().cuts();
            let connected = match lease.endpoint().current() {
                Ok(address) => connector.connect(address).await,
                Err(error) => Err(Refusal::Backend(error)),
            };
            match connected {
                Ok(stream) => {
                    connector.0.reporter.connected(&lease, Ok(()));
                    Ok(Connection { stream, lease, cuts })
                }
                Err(Refusal::Backend(error)) => {
                    connector.0.reporter.connected(&lease, Err(error.clone()));
                    Err(Undelivered::returned(again(), error))
                }
                Err(Refusal::Ports(error)) => {
                    Err(Undelivered::returned(again(), error).blameless())
                }
                Err(Refusal::Host(error)) => Err(Undelivered::consumed(error).blameless()),
            }
        })
    }
}

/// A connection to a port of this host from which nobody listens, if it happens to be made from
/// that very port, meets itself (RFC 9293, simultaneous open).
fn is_connected_to_itself(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(here), Ok(there)) if here == there)
}

fn is_out_of_ports(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::ADDRNOTAVAIL | Errno::AGAIN))
}

/// Whether this host ran out of descriptors or memory.
pub(super) fn is_local(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_host_ran_out_of_is_held_against_no_backend_whenever_it_is_told() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            for unmade in [Unmade::AtOnce, Unmade::Later] {
                let refusal = unmade(errno.into()).refusal();
                assert!(matches!(refusal, Refusal::Host(_)), "{errno:?}: {refusal:?}");
            }
        }
    }

    #[test]
    fn some_errors_are_the_network_s_only_if_packets_had_left() {
        let local = |refusal| matches!(refusal, Refusal::Backend(error) if error.is_local());
        assert!(local(Unmade::AtOnce(Errno::ACCESS.into()).refusal()));
        assert!(!local(Unmade::Later(Errno::ACCESS.into()).refusal()));
        let no_port = Unmade::AtOnce(Errno::ADDRNOTAVAIL.into()).refusal();
        assert!(matches!(no_port, Refusal::Ports(_)), "{no_port:?}");
    }
}
