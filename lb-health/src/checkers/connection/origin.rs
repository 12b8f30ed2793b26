//! Where checks come from: address, port, interface and mark.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};

use crate::CheckError;
use crate::trace::Phase;

/// Where the packets of a check come from. Default: wherever the system chooses, and unmarked.
///
/// What this host does not have, or will not let this user have, is [`CheckError::Local`]: no failure
/// of a target. So is a network that this host has no way to.
///
/// ```
/// use lb_health::checkers::{Http, Origin, Tcp};
///
/// let uplink = Origin::new().with_interface("eth1").with_mark(0x10);
/// let http = Http::new("/health")?.with_origin(uplink.clone());
/// let tcp = Tcp::new().with_origin(uplink.with_address([192, 0, 2, 7].into()));
/// # Ok::<(), lb_health::checkers::HttpError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Origin(Option<Arc<Settings>>);

#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
struct Settings {
    address: Option<IpAddr>,
    port: u16,
    interface: Option<Box<str>>,
    mark: Option<u32>,
}

impl Origin {
    /// Wherever the system chooses.
    pub const fn new() -> Self {
        Self(None)
    }

    /// This address of this host.
    #[must_use]
    pub fn with_address(self, address: IpAddr) -> Self {
        self.with(|settings| settings.address = Some(address))
    }

    /// This port; 0, the default, is any. Where it counts: ICMP knows none.
    ///
    /// Checks of several targets may come from it at once, but only one of each: what finds it taken, by
    /// such a one, by a connection in `TIME_WAIT` or by another program, is [`CheckError::Local`].
    #[must_use]
    pub fn with_port(self, port: u16) -> Self {
        self.with(|settings| settings.port = port)
    }

    /// This interface, whatever the routes say (`SO_BINDTODEVICE`; Linux only). With it, an address of
    /// IPv6 that is of one link only needs no scope.
    #[must_use]
    pub fn with_interface(self, name: &str) -> Self {
        self.with(|settings| settings.interface = Some(name.into()))
    }

    /// This mark, by which rules of routing and of the packet filter may know the packets: the
    /// `fwmark` of keepalived (`SO_MARK`; Linux only, and needs `CAP_NET_ADMIN`).
    #[must_use]
    pub fn with_mark(self, mark: u32) -> Self {
        self.with(|settings| settings.mark = Some(mark))
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(self.0.get_or_insert_default()));
        self
    }

    /// A socket to reach `address` by, which does not block, bound to all this.
    pub(in crate::checkers) fn socket(
        &self,
        address: SocketAddr,
        kind: Type,
        protocol: Protocol,
    ) -> Result<Socket, CheckError> {
        let socket = open(address, kind, protocol).map_err(local("open a socket"))?;
        self.bind(&socket, address)?;
        Ok(socket)
    }

    /// Binds a socket to all this that is to reach `address`.
    pub(in crate::checkers) fn bind(
        &self,
        socket: &Socket,
        address: SocketAddr,
    ) -> Result<(), CheckError> {
        let Some(settings) = &self.0 else { return Ok(()) };
        let Settings { address: source, port, interface, mark } = &**settings;
        if let Some(mark) = mark {
            set_mark(socket, *mark).map_err(local("mark a connection"))?;
        }
        if let Some(interface) = interface {
            bind_to_interface(socket, interface).map_err(local("bind to the interface"))?;
        }
        if source.is_none() && *port == 0 {
            return Ok(());
        }
        if *port != 0 {
            // Checks of several targets may be under way from it.
            socket.set_reuse_address(true).map_err(local("set up a socket"))?;
        }
        let any = match address {
            SocketAddr::V4(_) => [0; 4].into(),
            SocketAddr::V6(_) => [0; 16].into(),
        };
        let source = SocketAddr::new(source.unwrap_or(any), *port);
        socket.bind(&source.into()).map_err(local("bind the source address"))
    }
}

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        Self::new().with_address(address)
    }
}

/// A socket that does not block.
pub(in crate::checkers) fn open(
    address: SocketAddr,
    kind: Type,
    protocol: Protocol,
) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    return Socket::new(domain, kind.nonblocking(), Some(protocol));
    #[cfg(not(any(target_os = "android", target_os = "fuchsia", target_os = "linux")))]
    {
        let socket = Socket::new(domain, kind, Some(protocol))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }
}

/// The cause of a `connect` that the system refused at once: it did not even try.
///
/// A network that this host has no way to is this host's trouble: when its uplink is down, all
/// backends are beyond it, and to take them all down helps nobody. What a router says of a network
/// comes later, and is the target's (keepalived counts both: `tcp_socket_state`).
pub(in crate::checkers) fn refused_at_once(error: io::Error) -> CheckError {
    CheckError::from_io(Phase::Connect, error)
}

#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
fn set_mark(socket: &Socket, mark: u32) -> io::Result<()> {
    socket.set_mark(mark)
}

#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
fn bind_to_interface(socket: &Socket, name: &str) -> io::Result<()> {
    socket.bind_device(Some(name.as_bytes()))
}

#[cfg(not(any(target_os = "android", target_os = "fuchsia", target_os = "linux")))]
fn set_mark(_: &Socket, _: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(any(target_os = "android", target_os = "fuchsia", target_os = "linux")))]
fn bind_to_interface(_: &Socket, _: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(in crate::checkers) fn local(operation: &'static str) -> impl FnOnce(io::Error) -> CheckError {
    move |error| CheckError::Local { operation, source: Arc::new(error) }
}
