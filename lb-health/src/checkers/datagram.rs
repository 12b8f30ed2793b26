//! Sockets for single datagrams.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::UdpSocket;

use crate::CheckError;

/// A UDP socket that hears `address` only: datagrams of others are dropped by the system, and its
/// ICMP errors are those of this target.
pub(super) fn connected(
    address: SocketAddr,
    source: Option<IpAddr>,
) -> Result<UdpSocket, CheckError> {
    let local = |operation| move |error| CheckError::Local { operation, source: Arc::new(error) };
    let any: IpAddr = match address {
        SocketAddr::V4(_) => [0; 4].into(),
        SocketAddr::V6(_) => [0; 16].into(),
    };
    let source = SocketAddr::new(source.unwrap_or(any), 0);
    let socket = std::net::UdpSocket::bind(source).map_err(local("bind a socket"))?;
    socket.set_nonblocking(true).map_err(local("set up a socket"))?;
    // Without a way to the target this fails, and only then.
    socket.connect(address).map_err(|error| CheckError::from_io(crate::Phase::Connect, error))?;
    UdpSocket::from_std(socket).map_err(local("set up a socket"))
}
