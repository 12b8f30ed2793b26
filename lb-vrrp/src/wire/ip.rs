//! The IPv4 header: what is before a message, and what the authentication header covers.

use std::net::{IpAddr, Ipv4Addr};

use crate::refusal::{IpFault, Refusal};
use crate::wire::checksum::Sum;

mod field {
    use std::ops::Range;

    pub(super) const VERSION_AND_LENGTH: usize = 0;
    pub(super) const TOS: usize = 1;
    pub(super) const TOTAL_LENGTH: Range<usize> = 2..4;
    pub(super) const IDENTIFICATION: Range<usize> = 4..6;
    pub(super) const FRAGMENT: Range<usize> = 6..8;
    pub(super) const TTL: usize = 8;
    pub(super) const PROTOCOL: usize = 9;
    pub(super) const CHECKSUM: Range<usize> = 10..12;
    pub(super) const SOURCE: Range<usize> = 12..16;
    pub(super) const DESTINATION: Range<usize> = 16..20;
}

/// The fields of a header without options.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ipv4Header {
    /// Type of service: 0xc0 for VRRP (internetwork control), 0x10 from ucarp.
    pub tos: u8,
    /// The identification; the authentication header covers it.
    pub identification: u16,
    /// Whether routers may not fragment it.
    pub dont_fragment: bool,
    /// Time to live: 255, or it came from beyond the link.
    pub ttl: u8,
    /// What follows: 112 for VRRP and CARP, 51 for an authentication header.
    pub protocol: u8,
    /// From whom.
    pub source: Ipv4Addr,
    /// To whom.
    pub destination: Ipv4Addr,
}

impl Ipv4Header {
    /// The length of a header without options.
    pub const LENGTH: usize = 20;
    /// Internetwork control, as VRRP is sent.
    pub const TOS: u8 = 0xc0;

    /// Appends the header of a packet with `payload` octets after it. More than a packet holds
    /// (65515) cannot be said and is cut.
    pub fn emit(&self, payload: usize, out: &mut Vec<u8>) {
        let total = u16::try_from(Self::LENGTH + payload).unwrap_or(u16::MAX);
        let mut octets = [0; Self::LENGTH];
        octets[field::VERSION_AND_LENGTH] = 0x45;
        octets[field::TOS] = self.tos;
        octets[field::TOTAL_LENGTH].copy_from_slice(&total.to_be_bytes());
        octets[field::IDENTIFICATION].copy_from_slice(&self.identification.to_be_bytes());
        octets[field::FRAGMENT.start] = u8::from(self.dont_fragment) << 6;
        octets[field::TTL] = self.ttl;
        octets[field::PROTOCOL] = self.protocol;
        octets[field::SOURCE].copy_from_slice(&self.source.octets());
        octets[field::DESTINATION].copy_from_slice(&self.destination.octets());
        let checksum = Sum::of(&octets).checksum();
        octets[field::CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
        out.extend(octets);
    }

    /// The fields, and where the payload is. Padding behind the total length is left out.
    ///
    /// # Errors
    /// [`Refusal::IpHeader`]: cut short, another version, options that reach beyond the packet, a
    /// bad checksum, or a fragment (which a kernel puts together first).
    pub fn parse(packet: &[u8]) -> Result<(Self, std::ops::Range<usize>), Refusal> {
        let fault = |fault| Refusal::IpHeader { fault };
        let Some(header) = packet.first_chunk::<{ Self::LENGTH }>() else {
            return Err(fault(IpFault::TooShort));
        };
        if header[field::VERSION_AND_LENGTH] >> 4 != 4 {
            return Err(fault(IpFault::Version));
        }
        let length = usize::from(header[field::VERSION_AND_LENGTH] & 0x0f) * 4;
        let total = usize::from(u16_at(header, field::TOTAL_LENGTH));
        if length < Self::LENGTH || total < length || packet.len() < total {
            return Err(fault(IpFault::Length));
        }
        if !Sum::of(&packet[..length]).is_intact() {
            return Err(fault(IpFault::Checksum));
        }
        let fragment = u16_at(header, field::FRAGMENT);
        // More fragments, or not the first of them.
        if fragment & 0x3fff != 0 {
            return Err(fault(IpFault::Fragment));
        }
        let parsed = Self {
            tos: header[field::TOS],
            identification: u16_at(header, field::IDENTIFICATION),
            dont_fragment: fragment & 0x4000 != 0,
            ttl: header[field::TTL],
            protocol: header[field::PROTOCOL],
            source: address_at(header, field::SOURCE),
            destination: address_at(header, field::DESTINATION),
        };
        Ok((parsed, length..total))
    }

    /// A copy of `header` with zeros where a packet may change on its way, as keepalived sees it:
    /// type of service, flags and offset, checksum; and the time to live, but only if `unicast`.
    pub(crate) fn muted(header: &[u8; Self::LENGTH], unicast: bool) -> [u8; Self::LENGTH] {
        let mut muted = *header;
        muted[field::TOS] = 0;
        muted[field::FRAGMENT].fill(0);
        muted[field::CHECKSUM].fill(0);
        if unicast {
            muted[field::TTL] = 0;
        }
        muted
    }
}

fn u16_at(header: &[u8; Ipv4Header::LENGTH], at: std::ops::Range<usize>) -> u16 {
    u16::from_be_bytes([header[at.start], header[at.start + 1]])
}

fn address_at(header: &[u8; Ipv4Header::LENGTH], at: std::ops::Range<usize>) -> Ipv4Addr {
    let [a, b, c, d] = [0, 1, 2, 3].map(|octet| header[at.start + octet]);
    Ipv4Addr::new(a, b, c, d)
}

/// One received datagram: who sent it to whom, and what is in it.
///
/// A raw socket gives IPv4 packets with their header ([`Self::ipv4`]); for IPv6 it gives the payload
/// alone, and the rest as ancillary data ([`Self::ipv6`]).
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) hop_limit: u8,
    pub(crate) protocol: u8,
    /// IPv4 only, and only without options.
    pub(crate) header: Option<&'a [u8; Ipv4Header::LENGTH]>,
    pub(crate) payload: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// From a whole IPv4 packet; octets after its end are padding.
    ///
    /// # Errors
    /// [`Refusal::IpHeader`].
    pub fn ipv4(packet: &'a [u8]) -> Result<Self, Refusal> {
        let (header, payload) = Ipv4Header::parse(packet)?;
        let plain = payload.start == Ipv4Header::LENGTH;
        Ok(Self {
            source: header.source.into(),
            destination: header.destination.into(),
            hop_limit: header.ttl,
            protocol: header.protocol,
            header: packet.first_chunk().filter(|_| plain),
            payload: &packet[payload],
        })
    }

    /// From what came over IPv6 as protocol 112.
    pub fn ipv6(
        source: std::net::Ipv6Addr,
        destination: std::net::Ipv6Addr,
        hop_limit: u8,
        payload: &'a [u8],
    ) -> Self {
        Self {
            source: source.into(),
            destination: destination.into(),
            hop_limit,
            protocol: crate::wire::PROTOCOL,
            header: None,
            payload,
        }
    }

    /// From whom it says it is.
    pub const fn source(&self) -> IpAddr {
        self.source
    }

    /// To whom it was sent.
    pub const fn destination(&self) -> IpAddr {
        self.destination
    }

    /// The virtual router that it is about, by which a socket that serves several finds the right
    /// one. Nothing of it is verified. `None` if it is too short to say.
    pub fn vrid(&self) -> Option<u8> {
        let message = match self.protocol {
            crate::wire::ah::PROTOCOL => self.payload.get(crate::wire::ah::LENGTH..)?,
            _ => self.payload,
        };
        message.get(1).copied()
    }
}
