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
use crate::wire::checksum::{ChecksumForm, Sum};
use crate::wire::packet::{ADVERTISEMENT, AuthType, CHECKSUM, PASSWORD, Packet, Password};

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
            packet.addresses().ok_or(Refusal::TooShort { length: packet.octets().len() })?;
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
        message[CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
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
