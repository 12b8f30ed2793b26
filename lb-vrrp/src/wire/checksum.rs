//! The internet checksum, and the three things that people cover with it.

use std::net::IpAddr;

use crate::addresses::Family;

/// What a checksum covers besides the message.
///
/// Version 2 covers the message, IPv6 the message and a pseudo-header; nobody disputes either.
/// About version 3 over IPv4 they do: RFC 5798 5.2.8 was read both ways, RFC 9568 5.2.8 says the
/// message alone, and keepalived and FRR send the pseudo-header unless told otherwise.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ChecksumForm {
    /// The message alone: version 2, and version 3 over IPv4 by RFC 9568.
    Message,
    /// With source and destination: IPv6, and IPv4 by keepalived's and FRR's reading of RFC 5798.
    Pseudo,
    /// With the source and the multicast group, although it was sent to one peer: keepalived up to
    /// 1.3.6.
    PseudoGroup,
}

impl ChecksumForm {
    /// All of them, in the order of [`Self::index`].
    pub const ALL: [Self; 3] = [Self::Message, Self::Pseudo, Self::PseudoGroup];

    /// Where its counter is.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its name in configurations and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Message => "rfc9568",
            Self::Pseudo => "pseudo",
            Self::PseudoGroup => "pseudo-group",
        }
    }
}

/// One's complement sum, not yet folded.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum(u64);

impl Sum {
    /// Of `octets`; an odd one at the end counts as if a zero followed.
    pub(crate) fn of(octets: &[u8]) -> Self {
        let pairs = octets.chunks_exact(2);
        let odd = pairs.remainder().first().map_or(0, |&last| u64::from(last) << 8);
        let even: u64 = pairs.map(|pair| u64::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
        Self(even + odd)
    }

    /// Of the pseudo-header before a payload of `length` octets (RFC 8200 8.1, RFC 793).
    pub(crate) fn of_pseudo_header(
        source: IpAddr,
        destination: IpAddr,
        protocol: u8,
        length: usize,
    ) -> Self {
        let address = |address: IpAddr| match address {
            IpAddr::V4(address) => Self::of(&address.octets()),
            IpAddr::V6(address) => Self::of(&address.octets()),
        };
        // A length in 32 bits sums up like its two halves.
        let length = length as u64;
        let rest = Self((length >> 16) + (length & 0xffff) + u64::from(protocol));
        address(source) + address(destination) + rest
    }

    /// What goes into the field, if the field was zero in the sum.
    pub(crate) const fn checksum(self) -> u16 {
        !self.folded()
    }

    /// Whether a sum that includes the field is that of an intact message.
    pub(crate) const fn is_intact(self) -> bool {
        self.folded() == 0xffff
    }

    const fn folded(self) -> u16 {
        let mut sum = self.0;
        while sum >> 16 != 0 {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        sum as u16
    }
}

impl std::ops::Add for Sum {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

/// Which form `message`, checksum included, is intact under; tried in the order of likelihood.
pub(crate) fn recognize(
    message: &[u8],
    protocol: u8,
    source: IpAddr,
    destination: IpAddr,
) -> Option<ChecksumForm> {
    let family = Family::of(&destination);
    let sum = Sum::of(message);
    let with = |destination| {
        let pseudo = Sum::of_pseudo_header(source, destination, protocol, message.len());
        (sum + pseudo).is_intact()
    };
    if with(destination) {
        Some(ChecksumForm::Pseudo)
    } else if family == Family::V6 {
        None
    } else if sum.is_intact() {
        Some(ChecksumForm::Message)
    } else {
        with(family.group()).then_some(ChecksumForm::PseudoGroup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_rfc_1071() {
        let octets = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::of(&octets).folded(), 0xddf2);
        assert_eq!(Sum::of(&octets).checksum(), 0x220d);
    }

    #[test]
    fn an_odd_octet_is_padded_behind() {
        assert_eq!(Sum::of(&[0x12, 0x34, 0x56]).folded(), 0x1234 + 0x5600);
    }

    #[test]
    fn with_its_checksum_it_is_intact() {
        let mut octets =
            [0x45, 0xc0, 0x00, 0x28, 0x00, 0x01, 0, 0, 0xff, 0x70, 0, 0, 10, 99, 0, 11];
        let checksum = Sum::of(&octets).checksum();
        octets[10..12].copy_from_slice(&checksum.to_be_bytes());
        assert!(Sum::of(&octets).is_intact());
    }
}
