//! Sockets for single datagrams.

use std::net::SocketAddr;

use socket2::{Protocol, Type};
use tokio::net::UdpSocket;

use super::attempt::Attempt;
use super::origin::{Origin, local};
use crate::CheckError;
use crate::trace::Phase;

/// A UDP socket that hears `address` only: datagrams of others are dropped by the system, and its
/// ICMP errors are those of this target.
pub(in crate::checkers) fn connected(
    address: SocketAddr,
    origin: &Origin,
) -> Result<UdpSocket, CheckError> {
    let socket = origin.socket(address, Type::DGRAM, Protocol::UDP)?;
    // Without a way to the target this fails, and only then.
    socket.connect(&address.into()).map_err(|error| origin.refused_at_once(error))?;
    UdpSocket::from_std(socket.into()).map_err(local("set up a socket"))
}

/// Sends `datagram`, for `attempt`. That it cannot leave is trouble of this host: nobody has heard of it.
pub(in crate::checkers) async fn send(
    attempt: &mut Attempt,
    socket: &UdpSocket,
    datagram: &[u8],
) -> Result<(), CheckError> {
    let sending = async {
        let sent = socket.send(datagram).await;
        sent.map_err(|error| CheckError::from_io(Phase::Write, error))
    };
    attempt.step(Phase::Write, sending).await.map(drop)
}
