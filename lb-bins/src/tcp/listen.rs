//! Listening sockets: one per worker on the same address.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

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
    /// [`BindError`] if anybody else listens there, also if they would share. Only with a socket in
    /// `ours` it may be shared: with `0.0.0.0:80`, for instance, that takes over from `10.0.0.1:80`.
    pub fn bind(address: SocketAddr, count: usize, ours: &[SocketAddr]) -> Result<Self, BindError> {
        Self::bind_perhaps_early(address, count, ours, false)
    }

    /// The same. If the address `comes_and_goes`, it may be one that this host does not have yet
    /// (`IP_FREEBIND`, `ip(7)`).
    ///
    /// # Errors
    /// As of [`bind`](Self::bind).
    pub fn bind_perhaps_early(
        address: SocketAddr,
        count: usize,
        ours: &[SocketAddr],
        comes_and_goes: bool,
    ) -> Result<Self, BindError> {
        let failed = |source| BindError { address, source };
        let overlaps = |other: &SocketAddr| {
            other.port() == address.port()
                && (other.ip().is_unspecified() || address.ip().is_unspecified())
        };
        if address.port() != 0 && !ours.iter().any(overlaps) {
            // With SO_REUSEPORT a second instance would be let in and take half the clients. A
            // socket without it cannot even be bound while another one listens.
            socket(address, false, comes_and_goes).map_err(failed)?;
        }
        let mut bound = Self { address, sockets: Vec::with_capacity(count) };
        for _ in 0..count {
            let socket = socket(bound.address, true, comes_and_goes).map_err(failed)?;
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

/// No waiting for more small writes, and a probe now and then to find peers that vanished.
pub(super) fn prepare(socket: &SockRef<'_>) {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15))
        .with_retries(4);
    // Neither is worth a connection.
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_keepalive(&keepalive);
}

fn socket(address: SocketAddr, shared: bool, comes_and_goes: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // `[::]` means IPv6, so that it can stand beside `0.0.0.0`.
        socket.set_only_v6(true)?;
    }
    if comes_and_goes {
        match address {
            SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
            SocketAddr::V6(_) => socket.set_freebind_v6(true)?,
        }
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if shared {
        // Accepted sockets inherit these (`tcp(7)`).
        prepare(&SockRef::from(&socket));
        socket.listen(BACKLOG)?;
    }
    Ok(socket.into())
}
