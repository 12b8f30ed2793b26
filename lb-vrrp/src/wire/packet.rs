//! The fields of a VRRP advertisement, read where they are.

use std::net::IpAddr;

use crate::addresses::{Addresses, Family};
use crate::refusal::Refusal;
use crate::values::{Priority, Version};
use crate::wire::PROTOCOL;
use crate::wire::checksum::{self, ChecksumForm, Sum};

/// A password as version 2 carries it: padded with zeros, cut at eight octets.
pub(crate) type Password = [u8; PASSWORD];

/// How many octets version 2 has for a password, used or not.
pub(crate) const PASSWORD: usize = 8;

/// What version 2 says of its authentication (RFC 2338 5.3.6); version 3 has only [`Self::None`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum AuthType {
    /// 0: nothing.
    None,
    /// 1: a password in clear, after the addresses.
    Password,
    /// 2: an authentication header before the message.
    Ah,
    /// A number without a meaning.
    Unknown(u8),
}

impl AuthType {
    /// From its number.
    pub const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::None,
            1 => Self::Password,
            2 => Self::Ah,
            other => Self::Unknown(other),
        }
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Password => 1,
            Self::Ah => 2,
            Self::Unknown(other) => other,
        }
    }
}

pub(super) mod field {
    use std::ops::Range;

    pub(in crate::wire) const VERSION_AND_TYPE: usize = 0;
    pub(in crate::wire) const VRID: usize = 1;
    pub(in crate::wire) const PRIORITY: usize = 2;
    pub(in crate::wire) const COUNT: usize = 3;
    /// Version 2.
    pub(in crate::wire) const AUTH_TYPE: usize = 4;
    /// Version 2.
    pub(in crate::wire) const SECONDS: usize = 5;
    /// Version 3; the upper four bits are reserved.
    pub(in crate::wire) const CENTIS: Range<usize> = 4..6;
    pub(in crate::wire) const CHECKSUM: Range<usize> = 6..8;
    pub(in crate::wire) const ADDRESSES: usize = 8;
}

/// Where the checksum is, for those who read around it.
pub(crate) const CHECKSUM: std::ops::Range<usize> = field::CHECKSUM;

/// The only type there is.
pub(super) const ADVERTISEMENT: u8 = 1;

/// A view of octets that hold at least a header.
///
/// Every getter is safe on any octets; what depends on other fields is an `Option`.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    octets: &'a [u8],
    family: Family,
}

impl<'a> Packet<'a> {
    /// The length of the part before the addresses.
    pub const HEADER: usize = field::ADDRESSES;

    /// # Errors
    /// [`Refusal::TooShort`] unless there is a header.
    pub const fn new_checked(octets: &'a [u8], family: Family) -> Result<Self, Refusal> {
        if octets.len() < Self::HEADER {
            return Err(Refusal::TooShort { length: octets.len() });
        }
        Ok(Self { octets, family })
    }

    /// The upper half of the first octet.
    pub const fn version_number(&self) -> u8 {
        self.octets[field::VERSION_AND_TYPE] >> 4
    }

    /// The version, if it is known.
    pub const fn version(&self) -> Option<Version> {
        match self.version_number() {
            2 => Some(Version::V2),
            3 => Some(Version::V3),
            _ => None,
        }
    }

    /// The lower half of the first octet.
    pub const fn kind(&self) -> u8 {
        self.octets[field::VERSION_AND_TYPE] & 0x0f
    }

    /// The identifier of the virtual router, 0 included.
    pub const fn vrid(&self) -> u8 {
        self.octets[field::VRID]
    }

    /// The priority.
    pub const fn priority(&self) -> Priority {
        Priority::new(self.octets[field::PRIORITY])
    }

    /// How many addresses follow, it says.
    pub const fn count(&self) -> u8 {
        self.octets[field::COUNT]
    }

    /// Version 2: the type of authentication.
    pub const fn auth_type(&self) -> AuthType {
        AuthType::from_number(self.octets[field::AUTH_TYPE])
    }

    /// The interval in centiseconds as `version` has it, 0 included.
    pub const fn centis(&self, version: Version) -> u16 {
        match version {
            Version::V2 => self.octets[field::SECONDS] as u16 * 100,
            Version::V3 => {
                let [high, low] =
                    [self.octets[field::CENTIS.start], self.octets[field::CENTIS.start + 1]];
                u16::from_be_bytes([high & 0x0f, low])
            }
        }
    }

    /// How long the message is by what it says of itself, without a trailer.
    pub const fn message_length(&self, version: Version) -> usize {
        let addresses = self.count() as usize * self.family.octets();
        let password = match version {
            Version::V2 => PASSWORD,
            Version::V3 => 0,
        };
        Self::HEADER + addresses + password
    }

    /// The octets from the first to the end of the datagram.
    pub const fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// The addresses, if they are all there.
    pub fn addresses(&self) -> Option<Addresses<'a>> {
        let length = usize::from(self.count()) * self.family.octets();
        let octets = self.octets.get(field::ADDRESSES..)?.get(..length)?;
        Addresses::from_octets(self.family, octets)
    }

    /// Version 2: the eight octets after the addresses, if they are there.
    pub(crate) fn password(&self) -> Option<&'a Password> {
        let end = self.message_length(Version::V2);
        self.octets.get(end - PASSWORD..end)?.try_into().ok()
    }

    /// Refuses what is no advertisement, or not as long as it says (3.5: type, then length).
    pub(crate) fn check_type_and_length(
        &self,
        version: Version,
        trailer: usize,
    ) -> Result<(), Refusal> {
        if self.kind() != ADVERTISEMENT {
            return Err(Refusal::Type { kind: self.kind() });
        }
        let expected = self.message_length(version) + trailer;
        if self.octets.len() != expected {
            return Err(Refusal::Length { expected, length: self.octets.len() });
        }
        Ok(())
    }

    /// Which form of checksum holds.
    ///
    /// A trailer of `trailer` octets is covered over IPv6, where the kernel sums up all that it is
    /// given, and is not over IPv4.
    pub(crate) fn check_checksum(
        &self,
        version: Version,
        trailer: usize,
        source: IpAddr,
        destination: IpAddr,
    ) -> Result<ChecksumForm, Refusal> {
        let end = self.octets.len() - trailer.min(self.octets.len());
        let refusal = || Refusal::Checksum {
            checksum: u16::from_be_bytes([
                self.octets[CHECKSUM.start],
                self.octets[CHECKSUM.end - 1],
            ]),
        };
        match (version, self.family) {
            (Version::V2, _) => Sum::of(&self.octets[..end])
                .is_intact()
                .then_some(ChecksumForm::Message)
                .ok_or_else(refusal),
            (Version::V3, Family::V4) => {
                checksum::recognize(&self.octets[..end], PROTOCOL, source, destination)
                    .ok_or_else(refusal)
            }
            (Version::V3, Family::V6) => {
                checksum::recognize(self.octets, PROTOCOL, source, destination).ok_or_else(refusal)
            }
        }
    }
}
