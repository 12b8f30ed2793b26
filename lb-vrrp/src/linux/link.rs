//! The interface: what it is called, where it is, which addresses it has, and frames that leave it.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::{LinkAddr, MsgFlags, SockaddrLike, sendto};
use socket2::{Domain, Socket, Type};

use crate::addresses::Family;
use crate::announce::{GratuitousArp, MacAddr, UnsolicitedNa};

/// An Ethernet interface, and a socket for whole frames.
#[derive(Debug)]
pub(super) struct Link {
    name: String,
    /// Where the kernel sends frames to: the interface's own address, which says what it is.
    device: LinkAddr,
    mac: MacAddr,
    is_up: bool,
    /// Of protocol 0, so that nothing is ever received.
    frames: Socket,
    frame: Vec<u8>,
}

impl Link {
    /// `None` if there is no such interface, or if it has no Ethernet address.
    pub(super) fn open(name: &str) -> io::Result<Option<Self>> {
        let Some((device, mac, is_up)) = device(name)? else { return Ok(None) };
        let frames = Socket::new(Domain::PACKET, Type::RAW.nonblocking().cloexec(), None)?;
        Ok(Some(Self { name: name.to_owned(), device, mac, is_up, frames, frame: Vec::new() }))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn index(&self) -> u32 {
        u32::try_from(self.device.ifindex()).unwrap_or_default() // an `int` of the kernel
    }

    /// Whether it was up, with a carrier, when it was last looked at.
    pub(super) const fn is_up(&self) -> bool {
        self.is_up
    }

    /// It may have another address now, be another one of the same name, or be gone.
    pub(super) fn refresh(&mut self) -> io::Result<()> {
        self.is_up = false;
        if let Some((device, mac, is_up)) = device(&self.name)? {
            (self.device, self.mac, self.is_up) = (device, mac, is_up);
        }
        Ok(())
    }

    /// Tells everybody that `address` is here.
    pub(super) fn announce(&mut self, address: IpAddr) -> io::Result<()> {
        self.frame.clear();
        match address {
            IpAddr::V4(address) => GratuitousArp::new(self.mac, address).emit(&mut self.frame),
            IpAddr::V6(address) => {
                let router = self.forwards();
                UnsolicitedNa { mac: self.mac, address, router }.emit(&mut self.frame);
            }
        }
        sendto(self.frames.as_raw_fd(), &self.frame, &self.device, MsgFlags::empty())?;
        Ok(())
    }

    /// Hosts drop their default route to who says that it does not forward.
    fn forwards(&self) -> bool {
        let path = format!("/proc/sys/net/ipv6/conf/{}/forwarding", self.name);
        std::fs::read_to_string(path).is_ok_and(|value| value.trim() != "0")
    }
}

fn device(name: &str) -> io::Result<Option<(LinkAddr, MacAddr, bool)>> {
    let found = getifaddrs()?.find_map(|entry| {
        let address = entry.address.filter(|_| entry.interface_name == name)?;
        let link = *address.as_link_addr()?;
        // Other links have longer addresses, or none.
        (link.halen() == 6).then_some(())?;
        let is_up = entry.flags.contains(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING);
        Some((link, MacAddr(link.addr()?), is_up))
    });
    Ok(found)
}

/// Every address of this family on the interface.
pub(super) fn addresses_of(interface: &str, family: Family) -> io::Result<Vec<IpAddr>> {
    let is_on = |name: &str| {
        // IPv4 addresses with a label appear under it.
        name.strip_prefix(interface).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    };
    let addresses =
        getifaddrs()?.filter(|entry| is_on(&entry.interface_name)).filter_map(|entry| {
            let address = entry.address?;
            match (family, address.family()?) {
                (Family::V4, _) => address.as_sockaddr_in().map(|inet| IpAddr::V4(inet.ip())),
                (Family::V6, _) => address.as_sockaddr_in6().map(|inet| IpAddr::V6(inet.ip())),
            }
        });
    Ok(addresses.collect())
}

/// Where a router on this interface would speak from: its first address, for IPv6 the first
/// link-local one. `None` if it has none. Needs no privileges.
///
/// # Errors
/// The kernel cannot be asked.
pub fn primary_address(interface: &str, family: Family) -> io::Result<Option<IpAddr>> {
    Ok(addresses_of(interface, family)?.into_iter().find(can_be_source))
}

/// Multicast over IPv6 is spoken from the link itself (RFC 9568 5.1.2.1).
pub(super) fn can_be_source(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}
