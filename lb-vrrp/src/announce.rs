//! Telling the link where an address is now: gratuitous ARP and unsolicited neighbour
//! advertisements, as whole Ethernet frames.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::addresses::Family;
use crate::values::Vrid;
use crate::wire::checksum::Sum;

/// An Ethernet address.
///
/// ```
/// use lb_vrrp::{Family, MacAddr, Vrid};
///
/// let mac = MacAddr::of_virtual_router(Family::V4, Vrid::new(51)?);
/// assert_eq!(mac.to_string(), "00:00:5e:00:01:33");
/// # Ok::<(), lb_vrrp::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// Everybody on the link.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// The address that goes with a virtual router, and not with a host (RFC 9568 7.3).
    pub const fn of_virtual_router(family: Family, vrid: Vrid) -> Self {
        let family = match family {
            Family::V4 => 1,
            Family::V6 => 2,
        };
        Self([0x00, 0x00, 0x5e, 0x00, family, vrid.get()])
    }

    /// Where frames for the multicast `group` go (RFC 1112 6.4, RFC 2464 7).
    pub const fn of_group(group: IpAddr) -> Self {
        match group {
            IpAddr::V4(group) => {
                let [_, b, c, d] = group.octets();
                Self([0x01, 0x00, 0x5e, b & 0x7f, c, d])
            }
            IpAddr::V6(group) => {
                let [.., a, b, c, d] = group.octets();
                Self([0x33, 0x33, a, b, c, d])
            }
        }
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// What a gratuitous ARP says in the field that nobody needs.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ArpTarget {
    /// Everybody, as keepalived does. The default.
    #[default]
    Broadcast,
    /// The sender, as ucarp does.
    Sender,
}

/// "Who has this address? I have": a request for one's own address (RFC 5227 3, RFC 9568 8.1.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GratuitousArp {
    /// Where the address is now.
    pub mac: MacAddr,
    /// The address.
    pub address: Ipv4Addr,
    /// What is in the target's hardware address.
    pub target: ArpTarget,
}

impl GratuitousArp {
    /// The length of its frame, in octets, before the link pads it.
    pub const LENGTH: usize = 42;

    /// As keepalived sends it.
    pub const fn new(mac: MacAddr, address: Ipv4Addr) -> Self {
        Self { mac, address, target: ArpTarget::Broadcast }
    }

    /// Appends the frame.
    pub fn emit(&self, out: &mut Vec<u8>) {
        /// Ethernet, IPv4, six and four octets, a request (RFC 826).
        const REQUEST: [u8; 8] = [0, 1, 0x08, 0x00, 6, 4, 0, 1];
        let target = match self.target {
            ArpTarget::Broadcast => MacAddr::BROADCAST,
            ArpTarget::Sender => self.mac,
        };
        emit_ethernet(MacAddr::BROADCAST, self.mac, 0x0806, out);
        out.extend(REQUEST);
        out.extend(self.mac.0);
        out.extend(self.address.octets());
        out.extend(target.0);
        out.extend(self.address.octets());
    }
}

/// A neighbour advertisement that nobody asked for (RFC 4861 7.2.6, RFC 9568 8.2.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnsolicitedNa {
    /// Where the address is now.
    pub mac: MacAddr,
    /// The address.
    pub address: Ipv6Addr,
    /// Whether the host forwards. Hosts drop their default route to who says it does not.
    pub router: bool,
}

impl UnsolicitedNa {
    /// The length of its frame, in octets.
    pub const LENGTH: usize = 86;

    /// Appends the frame.
    pub fn emit(&self, out: &mut Vec<u8>) {
        const ICMPV6: u8 = 58;
        const ADVERTISEMENT: u8 = 136;
        const MESSAGE: usize = 32;
        const ROUTER: u8 = 0x80;
        const OVERRIDE: u8 = 0x20;
        /// The target's link-layer address, one unit of eight octets.
        const OPTION: [u8; 2] = [2, 1];
        const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

        let flags = OVERRIDE | if self.router { ROUTER } else { 0 };
        emit_ethernet(MacAddr::of_group(ALL_NODES.into()), self.mac, 0x86dd, out);
        out.extend([0x60, 0, 0, 0, 0, MESSAGE as u8, ICMPV6, 255]);
        out.extend(self.address.octets());
        out.extend(ALL_NODES.octets());
        let start = out.len();
        out.extend([ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0]);
        out.extend(self.address.octets());
        out.extend(OPTION);
        out.extend(self.mac.0);
        let pseudo = Sum::of_pseudo_header(self.address.into(), ALL_NODES.into(), ICMPV6, MESSAGE);
        let checksum = (Sum::of(&out[start..]) + pseudo).checksum();
        out[start + 2..start + 4].copy_from_slice(&checksum.to_be_bytes());
    }
}

fn emit_ethernet(destination: MacAddr, source: MacAddr, kind: u16, out: &mut Vec<u8>) {
    out.extend(destination.0);
    out.extend(source.0);
    out.extend(kind.to_be_bytes());
}
