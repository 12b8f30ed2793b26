//! Passes when an echo request is answered.

mod echo;

use std::io;
use std::net::SocketAddr;

use socket2::{Protocol, Type};
use tokio::net::UdpSocket;

pub use self::echo::{Echo, EchoError, EchoFamily};
use super::connection::attempt::Attempt;
use super::connection::datagram;
use super::connection::origin::{Origin, local, open};
use super::service::checker;
use crate::trace::Phase;
use crate::{CheckError, Failure, Report, Target};

/// Passes when an ICMP or ICMPv6 echo request is answered: keepalived's `PING_CHECK`.
///
/// Takes a datagram socket where the system lets this user have one (on Linux,
/// `net.ipv4.ping_group_range`, which holds for IPv6 too), else a raw one, for which Linux wants
/// `CAP_NET_RAW`. Where neither is allowed the error is [`CheckError::Local`]. Unlike keepalived it
/// changes no setting of the system.
///
/// ```
/// use lb_health::checkers::Ping;
///
/// let checker = Ping::new().with_size(1472); // as large as an Ethernet frame holds over IPv4
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ping {
    size: u16,
    origin: Origin,
}

impl Ping {
    /// The payload by default, in bytes: that of iputils.
    pub const SIZE: u16 = 56;
    /// The largest payload, in bytes.
    pub const LARGEST: u16 = 65_507;

    /// A checker that sends a payload of [`Self::SIZE`].
    pub const fn new() -> Self {
        Self { size: Self::SIZE, origin: Origin::new() }
    }

    /// The size of the payload, in bytes; at most [`Self::LARGEST`]. A fresh number fills it, so
    /// that no reply to another request is taken for the one that is awaited.
    #[must_use]
    pub fn with_size(self, size: u16) -> Self {
        let size = if size > Self::LARGEST { Self::LARGEST } else { size };
        Self { size, ..self }
    }

    /// Where to send from; an address of this host may stand for an [`Origin`].
    #[must_use]
    pub fn with_origin(self, origin: impl Into<Origin>) -> Self {
        Self { origin: origin.into(), ..self }
    }

    async fn run(self, target: Target) -> Result<Report, Failure> {
        let mut attempt = Attempt::begin(target);
        let result = self.ask(&mut attempt, target).await;
        attempt.finish(result)
    }

    async fn ask(&self, attempt: &mut Attempt, target: Target) -> Result<(), CheckError> {
        let family = match target.address {
            SocketAddr::V4(_) => EchoFamily::V4,
            SocketAddr::V6(_) => EchoFamily::V6,
        };
        let (socket, is_raw) = self.socket(target.address)?;
        let (id, sequence, token) = draw();
        let payload = token.iter().copied().cycle().take(self.size.into()).collect();
        let mut awaited = Echo { is_reply: false, id, sequence, payload };
        datagram::send(attempt, &socket, &awaited.emit(family)).await?;
        awaited.is_reply = true;
        if !is_raw {
            // The system chose the number: on Linux it is shown as the port.
            let chosen = socket.local_addr().map_err(local("read a ping socket's number"))?;
            awaited.id = chosen.port();
        }
        let mut buffer = Vec::with_capacity(LONGEST_HEADERS + usize::from(self.size));
        loop {
            buffer.clear();
            attempt.step(Phase::Response, socket.recv_buf(&mut buffer)).await?;
            let message = match (is_raw, family) {
                (true, EchoFamily::V4) => echo::after_header(&buffer),
                _ => Some(&*buffer),
            };
            // A raw socket hears whatever the target sends, and on loopback what we sent.
            if message.and_then(|bytes| Echo::parse(family, bytes).ok()).as_ref() == Some(&awaited)
            {
                return Ok(());
            }
        }
    }

    /// A socket that hears the target only, and whether it is a raw one.
    fn socket(&self, address: SocketAddr) -> Result<(UdpSocket, bool), CheckError> {
        let protocol = match address {
            SocketAddr::V4(_) => Protocol::ICMPV4,
            SocketAddr::V6(_) => Protocol::ICMPV6,
        };
        let (socket, is_raw) = match open(address, Type::DGRAM, protocol) {
            Ok(socket) => (socket, false),
            Err(first) => {
                let raw = open(address, Type::RAW, protocol);
                (raw.map_err(|error| neither(first, error))?, true)
            }
        };
        // Ping knows no ports.
        self.origin.clone().with_port(0).bind(&socket, address)?;
        let address = SocketAddr::new(address.ip(), 0);
        let connected = socket.connect(&address.into());
        connected.map_err(|error| self.origin.refused_at_once(error))?;
        let socket = UdpSocket::from_std(socket.into());
        Ok((socket.map_err(local("set up a ping socket"))?, is_raw))
    }
}

/// The cause where neither a ping socket nor a raw one is to be had.
fn neither(ping: io::Error, raw: io::Error) -> CheckError {
    const OPEN: &str = "open a ping socket";
    const FORBIDDEN: &str = "open a ping socket: net.ipv4.ping_group_range does not hold this group, and \
                             there is no CAP_NET_RAW;";
    let is_forbidden = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    match (is_forbidden(&ping), is_forbidden(&raw)) {
        (true, true) => local(FORBIDDEN)(raw),
        (true, false) => local(OPEN)(raw),
        (false, _) => local(OPEN)(ping),
    }
}

/// The headers of IPv4, with all options, and of ICMP.
const LONGEST_HEADERS: usize = 60 + 8;

impl Default for Ping {
    fn default() -> Self {
        Self::new()
    }
}

checker!(Ping);

/// The numbers of a request: who can guess them can pretend to be alive.
#[expect(clippy::disallowed_methods, reason = "a checker is a driver of its own")]
fn draw() -> (u16, u16, [u8; 16]) {
    rand::random()
}
