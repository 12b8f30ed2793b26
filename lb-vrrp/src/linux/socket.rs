//! Raw sockets for advertisements.

use std::io::{self, IoSliceMut, Read};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsRawFd;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, setsockopt, sockopt};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use crate::addresses::Family;
use crate::refusal::Refusal;
use crate::wire::{Datagram, Ipv4Header, PROTOCOL};

/// More than 255 addresses over IPv6 take.
const LONGEST: usize = 8192;

/// A socket that hears all advertisements to this host on one interface, not blocking; those to a
/// group when it has [joined](join) that.
pub(super) fn receiver(family: Family, protocol: u8, interface: &str) -> io::Result<Socket> {
    let socket = raw(family, protocol, interface)?;
    // Of groups that other sockets of this host have joined, nothing is heard.
    match family {
        Family::V4 => socket.set_multicast_all_v4(false)?,
        Family::V6 => {
            socket.set_multicast_all_v6(false)?;
            socket.set_recv_hoplimit_v6(true)?;
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
    }
    Ok(socket)
}

/// Has room for so many octets: what waits while this process is stopped must not be lost. Without
/// `CAP_NET_ADMIN` it is as much as the system allows anybody.
pub(super) fn make_room(socket: &Socket, octets: usize) -> io::Result<()> {
    // The kernel doubles it.
    let half = octets / 2;
    match setsockopt(socket, sockopt::RcvBufForce, &half) {
        Ok(()) => Ok(()),
        Err(_not_allowed) => socket.set_recv_buffer_size(half),
    }
}

pub(super) fn join(socket: &Socket, group: IpAddr, index: u32) -> io::Result<()> {
    match group {
        IpAddr::V4(group) => {
            socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(index))
        }
        IpAddr::V6(group) => socket.join_multicast_v6(&group, index),
    }
}

/// A socket that only sends. Over IPv4 headers are ours; over IPv6 it is bound to the source, and so
/// it has to be made anew when that changes.
pub(super) fn sender(source: IpAddr, interface: &str, index: u32) -> io::Result<Socket> {
    /// Beside nothing there is nothing to be received with.
    const NOTHING: usize = 0;
    let socket = raw(Family::of(&source), PROTOCOL, interface)?;
    socket.set_recv_buffer_size(NOTHING)?;
    match source {
        IpAddr::V4(_) => {
            socket.set_header_included_v4(true)?;
            socket.set_multicast_loop_v4(false)?;
        }
        IpAddr::V6(source) => {
            socket.set_multicast_hops_v6(255)?;
            socket.set_unicast_hops_v6(255)?;
            socket.set_tclass_v6(Ipv4Header::TOS.into())?;
            socket.set_multicast_loop_v6(false)?;
            socket.bind(&scoped(source, index).into())?;
        }
    }
    Ok(socket)
}

fn raw(family: Family, protocol: u8, interface: &str) -> io::Result<Socket> {
    let domain = match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    };
    let protocol = Some(Protocol::from(i32::from(protocol)));
    let socket = Socket::new(domain, Type::RAW.nonblocking().cloexec(), protocol)?;
    socket.bind_device(Some(interface.as_bytes()))?;
    Ok(socket)
}

pub(super) fn send(
    socket: &Socket,
    index: u32,
    destination: IpAddr,
    packet: &[u8],
) -> io::Result<()> {
    let destination = match destination {
        IpAddr::V4(_) => SocketAddr::new(destination, 0),
        IpAddr::V6(destination) => scoped(destination, index).into(),
    };
    socket.send_to(packet, &destination.into()).map(|_| ())
}

/// Link-local addresses, of one or of all, mean nothing without an interface.
fn scoped(address: Ipv6Addr, index: u32) -> SocketAddrV6 {
    let is_local = address.is_unicast_link_local() || address.is_multicast();
    SocketAddrV6::new(address, 0, 0, if is_local { index } else { 0 })
}

/// What receives, and where it puts it.
#[derive(Debug)]
pub(super) struct Buffer {
    octets: Vec<u8>,
    ancillary: Vec<u8>,
}

impl Buffer {
    pub(super) fn new() -> Self {
        Self {
            octets: vec![0; LONGEST],
            ancillary: nix::cmsg_space!(nix::libc::in6_pktinfo, nix::libc::c_int),
        }
    }

    /// Takes one datagram; `None` if none waits.
    pub(super) fn receive(
        &mut self,
        mut socket: &Socket,
        family: Family,
    ) -> io::Result<Option<Received>> {
        let received = match family {
            Family::V4 => socket.read(&mut self.octets).map(Received::V4),
            Family::V6 => self.receive_v6(socket),
        };
        match received {
            Ok(received) => Ok(Some(received)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What was received last.
    pub(super) fn datagram(&self, received: Received) -> Result<Datagram<'_>, Refusal> {
        match received {
            Received::V4(length) => Datagram::ipv4(&self.octets[..length]),
            Received::V6 { source, destination, hop_limit, length } => {
                Ok(Datagram::ipv6(source, destination, hop_limit, &self.octets[..length]))
            }
        }
    }

    fn receive_v6(&mut self, socket: &Socket) -> io::Result<Received> {
        let mut slices = [IoSliceMut::new(&mut self.octets)];
        let received = recvmsg::<SockaddrIn6>(
            socket.as_raw_fd(),
            &mut slices,
            Some(&mut self.ancillary),
            MsgFlags::empty(),
        )?;
        let length = received.bytes;
        let source = received.address.map_or(Ipv6Addr::UNSPECIFIED, |source| source.ip());
        // Without them it is refused: by its hop limit, or as sent to somebody else.
        let mut destination = Ipv6Addr::UNSPECIFIED;
        let mut hop_limit = 0;
        for message in received.cmsgs()? {
            match message {
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    destination = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                }
                ControlMessageOwned::Ipv6HopLimit(limit) => {
                    hop_limit = u8::try_from(limit).unwrap_or_default();
                }
                _ => {}
            }
        }
        Ok(Received::V6 { source, destination, hop_limit, length })
    }
}

/// A datagram in a [`Buffer`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Received {
    /// Of this length, with its header.
    V4(usize),
    /// Without.
    V6 { source: Ipv6Addr, destination: Ipv6Addr, hop_limit: u8, length: usize },
}
