//! Ports that nobody else takes meanwhile.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// A port that the system chose, held for as long as this lives.
///
/// Tests run side by side and kill servers whose port must still be theirs afterwards. A socket
/// that is bound, but does not listen, keeps the port: the system gives it to nobody who asks for
/// any port, connections to it are refused, and with `SO_REUSEADDR` on both sides a server may
/// still listen on it.
#[derive(Debug)]
pub(crate) struct Port {
    address: SocketAddr,
    _holder: Socket,
}

impl Port {
    pub(crate) fn free() -> Self {
        Self::free_on((Ipv4Addr::LOCALHOST, 0).into())
    }

    pub(crate) fn free_on_ipv6() -> Self {
        Self::free_on((Ipv6Addr::LOCALHOST, 0).into())
    }

    /// One that nobody has on any address of this host.
    pub(crate) fn free_everywhere() -> Self {
        Self::free_on((Ipv4Addr::UNSPECIFIED, 0).into())
    }

    /// One of a certain address of this host.
    pub(crate) fn free_on_host(host: [u8; 4]) -> Self {
        Self::free_on((host, 0).into())
    }

    /// This one, unless somebody else has it.
    pub(crate) fn try_held_at(address: SocketAddr) -> Option<Self> {
        let holder = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        holder.set_reuse_address(true).unwrap();
        holder.bind(&address.into()).ok()?;
        let address = holder.local_addr().unwrap().as_socket().unwrap();
        Some(Self { address, _holder: holder })
    }

    fn free_on(any: SocketAddr) -> Self {
        Self::try_held_at(any).unwrap()
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A listener on this port.
    pub(crate) fn listen(&self, backlog: i32) -> std::io::Result<std::net::TcpListener> {
        let socket = Socket::new(Domain::for_address(self.address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&self.address.into())?;
        socket.listen(backlog)?;
        Ok(socket.into())
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}
