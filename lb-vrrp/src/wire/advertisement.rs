//! The VRRP advertisement, versions 2 and 3 (RFC 3768 5, RFC 9568 5).
//!
//! ```text
//! v2   0x21 │ VRID │ priority │ count │ auth type │ interval, s │ checksum │ addresses │ 8 octets
//! v3   0x31 │ VRID │ priority │ count │ 0 (4 bits), interval, cs │ checksum │ addresses
//! ```

use std::net::IpAddr;

use crate::addresses::{Addresses, Family};
use crate::refusal::Refusal;
use crate::values::{Interval, Priority, Version, Vrid};
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

mod field {
    use std::ops::Range;

    pub(super) const VERSION_AND_TYPE: usize = 0;
    pub(super) const VRID: usize = 1;
    pub(super) const PRIORITY: usize = 2;
    pub(super) const COUNT: usize = 3;
    /// Version 2.
    pub(super) const AUTH_TYPE: usize = 4;
    /// Version 2.
    pub(super) const SECONDS: usize = 5;
    /// Version 3; the upper four bits are reserved.
    pub(super) const CENTIS: Range<usize> = 4..6;
    pub(super) const CHECKSUM: Range<usize> = 6..8;
    pub(super) const ADDRESSES: usize = 8;
}

/// Where the checksum is, for those who read around it.
pub(crate) const CHECKSUM: std::ops::Range<usize> = field::CHECKSUM;

/// The only type there is.
const ADVERTISEMENT: u8 = 1;

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

/// What a router says of itself. Whatever can be constructed can be encoded.
///
/// ```
/// use std::net::IpAddr;
/// use lb_vrrp::{AddressList, Interval, Priority, Version, Vrid};
/// use lb_vrrp::wire::{Advertisement, ChecksumForm};
///
/// let addresses = AddressList::new(["10.99.0.200".parse()?])?;
/// let advertisement = Advertisement::new(
///     Version::V3,
///     Vrid::new(51)?,
///     Priority::new(200),
///     Interval::from_centis(10)?,
///     addresses.as_addresses(),
/// )?;
/// let [source, group]: [IpAddr; 2] = ["10.99.0.11".parse()?, "224.0.0.18".parse()?];
/// let mut octets = Vec::new();
/// advertisement.encode(ChecksumForm::Pseudo, source, group, &mut octets);
/// assert_eq!(octets, b"\x31\x33\xc8\x01\x00\x0a\x10\x99\x0a\x63\x00\xc8"); // as keepalived 2.2.7
///
/// let (decoded, form) = Advertisement::decode(&octets, source, group)?;
/// assert_eq!((decoded, form), (advertisement, ChecksumForm::Pseudo));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Advertisement<'a> {
    version: Version,
    vrid: Vrid,
    priority: Priority,
    interval: Interval,
    auth_type: AuthType,
    addresses: Addresses<'a>,
}

impl<'a> Advertisement<'a> {
    /// One without authentication.
    ///
    /// # Errors
    /// [`ConfigError::IntervalForVersion`](crate::ConfigError::IntervalForVersion) if `version`
    /// cannot carry the interval, [`ConfigError::V2IsIpv4`](crate::ConfigError::V2IsIpv4).
    pub const fn new(
        version: Version,
        vrid: Vrid,
        priority: Priority,
        interval: Interval,
        addresses: Addresses<'a>,
    ) -> Result<Self, crate::ConfigError> {
        if !interval.fits(version) {
            return Err(crate::ConfigError::IntervalForVersion { version, interval });
        }
        if matches!((version, addresses.family()), (Version::V2, Family::V6)) {
            return Err(crate::ConfigError::V2IsIpv4);
        }
        Ok(Self { version, vrid, priority, interval, auth_type: AuthType::None, addresses })
    }

    /// Reads what is no longer in doubt, once length, type and version were checked.
    pub(crate) fn parse(packet: &Packet<'a>, version: Version) -> Result<Self, Refusal> {
        let vrid = Vrid::new(packet.vrid()).map_err(|_| Refusal::Vrid { vrid: packet.vrid() })?;
        // Zero would make everybody master at once.
        let interval =
            Interval::from_centis(packet.centis(version)).map_err(|_| Refusal::NoInterval)?;
        let addresses =
            packet.addresses().ok_or(Refusal::TooShort { length: packet.octets.len() })?;
        let auth_type = match version {
            Version::V2 => packet.auth_type(),
            Version::V3 => AuthType::None,
        };
        Ok(Self { version, vrid, priority: packet.priority(), interval, auth_type, addresses })
    }

    /// Reads a message without authentication: what follows the IP header, between these addresses.
    /// A [`Channel`](crate::Channel) does more than that, and is what a router listens with.
    ///
    /// # Errors
    /// What is wrong with it first, in the order of [`Refusal`].
    pub fn decode(
        message: &'a [u8],
        source: IpAddr,
        destination: IpAddr,
    ) -> Result<(Self, ChecksumForm), Refusal> {
        let family = Family::of(&destination);
        let packet = Packet::new_checked(message, family)?;
        let version = packet
            .version()
            .filter(|&version| !matches!((version, family), (Version::V2, Family::V6)))
            .ok_or(Refusal::Version { version: packet.version_number() })?;
        packet.check_type_and_length(version, 0)?;
        let advertisement = Self::parse(&packet, version)?;
        let form = packet.check_checksum(version, 0, source, destination)?;
        Ok((advertisement, form))
    }

    /// Appends the message to `out`. Version 2 has only one form of checksum, and so has IPv6: then
    /// `form` does not matter. It allocates only if `out` has to grow.
    pub fn encode(
        &self,
        form: ChecksumForm,
        source: IpAddr,
        destination: IpAddr,
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        self.emit(&[0; PASSWORD], out);
        self.fill_checksum(form, source, destination, start, out.len(), out);
    }

    /// Appends the message, its checksum zero.
    pub(crate) fn emit(&self, password: &Password, out: &mut Vec<u8>) {
        let (version, timing) = match self.version {
            // Whole seconds, at most 255: constructors and decoder see to it.
            Version::V2 => (2, [self.auth_type.number(), (self.interval.as_centis() / 100) as u8]),
            Version::V3 => (3, self.interval.as_centis().to_be_bytes()),
        };
        let first = version << 4 | ADVERTISEMENT;
        out.extend([first, self.vrid.get(), self.priority.get(), self.addresses.len() as u8]);
        out.extend(timing);
        out.extend([0; 2]);
        out.extend_from_slice(self.addresses.as_octets());
        if self.version == Version::V2 {
            out.extend_from_slice(password);
        }
    }

    /// Writes the checksum of `out[start..end]`, in which it is still zero.
    pub(crate) fn fill_checksum(
        &self,
        form: ChecksumForm,
        source: IpAddr,
        destination: IpAddr,
        start: usize,
        end: usize,
        out: &mut [u8],
    ) {
        let message = &mut out[start..end];
        let pseudo =
            |destination| Sum::of_pseudo_header(source, destination, PROTOCOL, end - start);
        let pseudo = match (self.version, self.addresses.family(), form) {
            (Version::V3, Family::V6, _) | (Version::V3, _, ChecksumForm::Pseudo) => {
                pseudo(destination)
            }
            (Version::V3, Family::V4, ChecksumForm::PseudoGroup) => pseudo(Family::V4.group()),
            (Version::V2, ..) | (Version::V3, _, ChecksumForm::Message) => Sum::default(),
        };
        let checksum = (Sum::of(message) + pseudo).checksum();
        message[field::CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
    }

    pub(crate) const fn with_auth_type(self, auth_type: AuthType) -> Self {
        Self { auth_type, ..self }
    }

    /// The version.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The identifier of the virtual router.
    pub const fn vrid(&self) -> Vrid {
        self.vrid
    }

    /// The priority of the sender; [`Priority::RELEASE`] if it gives up.
    pub const fn priority(&self) -> Priority {
        self.priority
    }

    /// How often the sender advertises.
    pub const fn interval(&self) -> Interval {
        self.interval
    }

    /// Version 2: what kind of authentication it says it has.
    pub const fn auth_type(&self) -> AuthType {
        self.auth_type
    }

    /// The virtual addresses.
    pub const fn addresses(&self) -> Addresses<'a> {
        self.addresses
    }
}
