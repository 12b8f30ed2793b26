//! Listening sockets: one per worker on the same address.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// How many connections may wait to be accepted, per worker; the kernel cuts it to
/// `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Sockets that listen already, though nobody accepts from them yet: clients that come before
/// the first verdict wait instead of being refused.
#[derive(Debug)]
pub struct Bound {
    address: SocketAddr,
    sockets: Vec<TcpListener>,
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {reason}", reason = describe(.source))]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What the system says.
    #[source]
    pub source: io::Error,
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there already (`ss -ltnp` shows which)".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this host does not have the address (`ip address` shows which it has)".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need root or CAP_NET_BIND_SERVICE".to_owned()
        }
        _ => error.to_string(),
    }
}

impl Bound {
    /// `count` sockets on `address`. The kernel spreads connections over them (`SO_REUSEPORT`,
    /// `socket(7)`), so that workers share nothing when they accept. For port 0 it chooses one.
    ///
    /// # Errors
    /// [`BindError`] if anybody else listens there, also if they would share.
    pub fn bind(address: SocketAddr, count: usize) -> Result<Self, BindError> {
        let failed = |source| BindError { address, source };
        if address.port() != 0 {
            // With SO_REUSEPORT a second instance would be let in and take half the clients. A
            // socket without it cannot even be bound while another one listens.
            socket(address, false).map_err(failed)?;
        }
        let mut bound = Self { address, sockets: Vec::with_capacity(count) };
        for _ in 0..count {
            let socket = socket(bound.address, true).map_err(failed)?;
            bound.address = socket.local_addr().map_err(failed)?;
            bound.sockets.push(socket);
        }
        Ok(bound)
    }

    /// Where the sockets listen.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The sockets, to accept from.
    pub fn into_sockets(self) -> Vec<TcpListener> {
        self.sockets
    }
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // `[::]` means IPv6, so that it can stand beside `0.0.0.0`.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if shared {
        socket.listen(BACKLOG)?;
    }
    Ok(socket.into())
}
