//! The interface: what it is called, where it is, which addresses it has, and frames that leave it.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::{LinkAddr, MsgFlags, sendto};
use socket2::{Domain, Socket, Type};

use crate::addresses::Family;
use crate::announce::{GratuitousArp, MacAddr, UnsolicitedNa};
use crate::wire::{Ipv4Header, PROTOCOL};

/// An interface that may come and go, and a socket for whole frames.
#[derive(Debug)]
pub(super) struct Link {
    name: String,
    device: Option<Device>,
    /// Of protocol 0, so that nothing is ever received.
    frames: Socket,
    frame: Vec<u8>,
    /// Whether it forwards IPv6. Hosts drop their default route to who says that it does not.
    forwards: bool,
}

/// An Ethernet interface that is there.
#[derive(Clone, Copy, Debug)]
struct Device {
    /// Where the kernel sends frames to: the interface's own address, which says what it is.
    link: LinkAddr,
    mac: MacAddr,
    /// Whether it is meant to be up, with a carrier or without.
    is_set_up: bool,
    is_up: bool,
}

impl Link {
    /// It need not be there yet.
    pub(super) fn open(name: &str) -> io::Result<Self> {
        let frames = Socket::new(Domain::PACKET, Type::RAW.nonblocking().cloexec(), None)?;
        let (name, device) = (name.to_owned(), device(name)?);
        let mut link = Self { name, device, frames, frame: Vec::new(), forwards: false };
        link.look_at_forwarding();
        Ok(link)
    }

    /// 0 if it is not there.
    pub(super) fn index(&self) -> u32 {
        let index = self.device.map_or(0, |device| device.link.ifindex());
        u32::try_from(index).unwrap_or_default() // an `int` of the kernel
    }

    /// Whether it was up, with a carrier, when it was last looked at.
    pub(super) fn is_up(&self) -> bool {
        self.device.is_some_and(|device| device.is_up)
    }

    /// Whether somebody has set it up and nobody has set it down again.
    pub(super) fn is_set_up(&self) -> bool {
        self.device.is_some_and(|device| device.is_set_up)
    }

    /// It may have another address now, be another one of the same name, or be gone.
    pub(super) fn refresh(&mut self) -> io::Result<()> {
        self.device = device(&self.name)?;
        self.look_at_forwarding();
        Ok(())
    }

    /// It may forward now, or no more.
    pub(super) fn look_at_forwarding(&mut self) {
        let path = format!("/proc/sys/net/ipv6/conf/{}/forwarding", self.name);
        self.forwards = std::fs::read_to_string(path).is_ok_and(|value| value.trim() != "0");
    }

    /// Tells everybody that `address` is here.
    pub(super) fn announce(&mut self, address: IpAddr) -> io::Result<()> {
        let Device { mac, .. } = self.device()?;
        self.frame.clear();
        match address {
            IpAddr::V4(address) => GratuitousArp::new(mac, address).emit(&mut self.frame),
            IpAddr::V6(address) => {
                let router = self.forwards;
                UnsolicitedNa { mac, address, router }.emit(&mut self.frame);
            }
        }
        self.emit()
    }

    /// Sends an advertisement to a group as if from `mac` (RFC 9568 7.3): over IPv4 with its header,
    /// over IPv6 without.
    pub(super) fn send_as(
        &mut self,
        mac: MacAddr,
        source: IpAddr,
        group: IpAddr,
        packet: &[u8],
    ) -> io::Result<()> {
        const IPV4: [u8; 2] = [0x08, 0x00];
        const IPV6: [u8; 2] = [0x86, 0xdd];
        self.frame.clear();
        self.frame.extend(MacAddr::of_group(group).0);
        self.frame.extend(mac.0);
        match (source, group) {
            (IpAddr::V6(source), IpAddr::V6(group)) => {
                let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
                self.frame.extend(IPV6);
                // Version 6 and the same traffic class as over IPv4.
                let tos = Ipv4Header::TOS;
                self.frame.extend([0x60 | tos >> 4, tos << 4, 0, 0]);
                self.frame.extend(length.to_be_bytes());
                self.frame.extend([PROTOCOL, 255]);
                self.frame.extend(source.octets());
                self.frame.extend(group.octets());
            }
            _ => self.frame.extend(IPV4),
        }
        self.frame.extend(packet);
        self.emit()
    }

    fn emit(&self) -> io::Result<()> {
        let Device { link, .. } = self.device()?;
        sendto(self.frames.as_raw_fd(), &self.frame, &link, MsgFlags::empty())?;
        Ok(())
    }

    fn device(&self) -> io::Result<Device> {
        self.device.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn device(name: &str) -> io::Result<Option<Device>> {
    let found = getifaddrs()?.find_map(|entry| {
        let address = entry.address.filter(|_| entry.interface_name == name)?;
        let link = *address.as_link_addr()?;
        // Other links have longer addresses, or none.
        (link.halen() == 6).then_some(())?;
        let is_up = entry.flags.contains(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING);
        let is_set_up = entry.flags.contains(InterfaceFlags::IFF_UP);
        Some(Device { link, mac: MacAddr(link.addr()?), is_set_up, is_up })
    });
    Ok(found)
}

/// All addresses of this host, each with the interface that it is on.
#[derive(Debug, Default)]
pub(super) struct Snapshot(Vec<(String, IpAddr)>);

impl Snapshot {
    pub(super) fn take() -> io::Result<Self> {
        let addresses = getifaddrs()?.filter_map(|entry| {
            let address = entry.address?;
            let v4 = address.as_sockaddr_in().map(|inet| IpAddr::V4(inet.ip()));
            let v6 = || address.as_sockaddr_in6().map(|inet| IpAddr::V6(inet.ip()));
            Some((entry.interface_name, v4.or_else(v6)?))
        });
        Ok(Self(addresses.collect()))
    }

    /// Those on one interface.
    pub(super) fn on(&self, interface: &str) -> impl Iterator<Item = IpAddr> {
        self.0.iter().filter(move |(name, _)| is_on(name, interface)).map(|(_, address)| *address)
    }
}

/// IPv4 addresses with a label appear under it.
fn is_on(name: &str, interface: &str) -> bool {
    name.strip_prefix(interface).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

/// Where a router on this interface would speak from: its first address, for IPv6 the first
/// link-local one. `None` if it has none. Needs no privileges.
///
/// # Errors
/// The kernel cannot be asked.
pub fn primary_address(interface: &str, family: Family) -> io::Result<Option<IpAddr>> {
    let snapshot = Snapshot::take()?;
    Ok(snapshot.on(interface).find(|address| can_be_source(address, family)))
}

/// Multicast over IPv6 is spoken from the link itself (RFC 9568 5.1.2.1).
pub(super) fn can_be_source(address: &IpAddr, family: Family) -> bool {
    match address {
        IpAddr::V4(_) => family == Family::V4,
        IpAddr::V6(address) => family == Family::V6 && address.is_unicast_link_local(),
    }
}
