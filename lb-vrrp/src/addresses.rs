//! The virtual addresses, as the octets that go on the wire.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::ConfigError;

/// IPv4 or IPv6. One virtual router speaks one of them (RFC 9568 5.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of `address`.
    pub const fn of(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The group that VRRP and CARP speak to: 224.0.0.18 or ff02::12.
    pub const fn group(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18)),
            Self::V6 => IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12)),
        }
    }

    /// The length of an address, in octets.
    pub(crate) const fn octets(self) -> usize {
        match self {
            Self::V4 => 4,
            Self::V6 => 16,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// Up to 255 addresses of one family, borrowed from a packet or from an [`AddressList`].
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Addresses<'a> {
    family: Family,
    /// A whole number of addresses, at most 255.
    octets: &'a [u8],
}

impl<'a> Addresses<'a> {
    /// `None` unless `octets` are a whole number of addresses, at most 255.
    pub(crate) fn from_octets(family: Family, octets: &'a [u8]) -> Option<Self> {
        let size = family.octets();
        let whole = octets.len().is_multiple_of(size) && octets.len() / size <= MOST;
        whole.then_some(Self { family, octets })
    }

    /// Their family.
    pub const fn family(&self) -> Family {
        self.family
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.octets.len() / self.family.octets()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Each of them, in the order of the wire.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> + use<'a> {
        let family = self.family;
        self.octets.chunks_exact(family.octets()).map(move |octets| match family {
            Family::V4 => IpAddr::from(octets.try_into().unwrap_or([0; 4])),
            Family::V6 => IpAddr::from(octets.try_into().unwrap_or([0; 16])),
        })
    }

    /// As they are on the wire.
    pub const fn as_octets(&self) -> &'a [u8] {
        self.octets
    }

    /// Whether both hold the same addresses, in whichever order. O(n log n).
    pub fn same_set(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        let sorted = |addresses: &Self| {
            let mut sorted: Vec<_> = addresses.iter().collect();
            sorted.sort_unstable();
            sorted
        };
        self.octets.len() == other.octets.len() && sorted(self) == sorted(other)
    }
}

impl fmt::Debug for Addresses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

const MOST: usize = u8::MAX as usize;

/// Up to 255 addresses of one family, laid out once as they are advertised.
///
/// ```
/// use lb_vrrp::{AddressList, ConfigError};
///
/// let list = AddressList::new(["10.0.0.1".parse()?, "10.0.0.2".parse()?])?;
/// assert_eq!(list.as_addresses().len(), 2);
///
/// let mixed = AddressList::new(["10.0.0.1".parse()?, "fd00::1".parse()?]);
/// assert_eq!(mixed, Err(ConfigError::MixedFamilies));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct AddressList {
    family: Family,
    octets: Box<[u8]>,
}

impl AddressList {
    /// The addresses in this order, which is that of the wire.
    ///
    /// # Errors
    /// [`ConfigError::NoAddresses`], [`ConfigError::TooManyAddresses`] beyond 255,
    /// [`ConfigError::MixedFamilies`].
    pub fn new(addresses: impl IntoIterator<Item = IpAddr>) -> Result<Self, ConfigError> {
        let mut octets = Vec::new();
        let mut count = 0;
        let mut family = None;
        for address in addresses {
            if *family.get_or_insert(Family::of(&address)) != Family::of(&address) {
                return Err(ConfigError::MixedFamilies);
            }
            count += 1;
            if count > MOST {
                return Err(ConfigError::TooManyAddresses);
            }
            match address {
                IpAddr::V4(address) => octets.extend(address.octets()),
                IpAddr::V6(address) => octets.extend(address.octets()),
            }
        }
        let family = family.ok_or(ConfigError::NoAddresses)?;
        Ok(Self { family, octets: octets.into() })
    }

    /// None at all, for a virtual router whose addresses are not advertised, or are given to it by
    /// others. The RFCs want at least one; keepalived speaks of none as well.
    pub fn empty(family: Family) -> Self {
        Self { family, octets: Box::default() }
    }

    /// Borrowed.
    pub const fn as_addresses(&self) -> Addresses<'_> {
        Addresses { family: self.family, octets: &self.octets }
    }

    /// Their family.
    pub const fn family(&self) -> Family {
        self.family
    }

    /// Each of them, in the order of the wire.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.as_addresses().iter()
    }
}

impl fmt::Debug for AddressList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_addresses().fmt(f)
    }
}
