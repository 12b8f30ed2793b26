//! What a [`Channel`](crate::Channel) is made of.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use crate::addresses::{AddressList, Family};
use crate::authentication::Authentication;
use crate::error::ConfigError;
use crate::values::{Interval, Priority, Version, Vrid};
use crate::wire::Advertisement;

/// Which form of checksum is sent in version 3 over IPv4. All of them are accepted, always.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ChecksumPolicy {
    /// The form that the last heard router used; until then, [`Self::Pseudo`].
    Auto,
    /// With a pseudo-header, as keepalived and FRR do. The default.
    #[default]
    Pseudo,
    /// The message alone, as RFC 9568 5.2.8 has it.
    Rfc9568,
}

/// A router that is spoken to alone.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Peer {
    /// Where it is.
    pub address: IpAddr,
    /// Which time to live, or hop limit, its packets arrive with. Default: any.
    pub hop_limits: RangeInclusive<u8>,
}

impl Peer {
    /// One at any distance.
    pub const fn new(address: IpAddr) -> Self {
        Self { address, hop_limits: 0..=255 }
    }

    /// One whose packets arrive with these hop limits: `255..=255` on the same link.
    #[must_use]
    pub fn hop_limits(self, hop_limits: RangeInclusive<u8>) -> Self {
        Self { hop_limits, ..self }
    }
}

/// Whom a router speaks to.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reach {
    /// Everybody on the link who listens to `group`.
    Multicast {
        /// Usually [`Family::group`].
        group: IpAddr,
    },
    /// These and nobody else.
    Unicast {
        /// At least one.
        peers: Vec<Peer>,
        /// Whether packets must come from one of them. On by default: anybody could demote a master
        /// otherwise.
        check_source: bool,
    },
}

impl Reach {
    /// These peers and nobody else, with their sources checked.
    pub const fn unicast(peers: Vec<Peer>) -> Self {
        Self::Unicast { peers, check_source: true }
    }

    /// To whom an advertisement is sent.
    pub fn destinations(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let (group, peers) = match self {
            Self::Multicast { group } => (Some(*group), &[][..]),
            Self::Unicast { peers, .. } => (None, &peers[..]),
        };
        group.into_iter().chain(peers.iter().map(|peer| peer.address))
    }
}

/// What a [`Channel`](crate::Channel) is made of. Valid by construction: setters that could make it
/// invalid refuse.
#[derive(Clone, Debug)]
pub struct ChannelConfig {
    pub(crate) version: Version,
    pub(crate) vrid: Vrid,
    pub(crate) interval: Interval,
    pub(crate) source: IpAddr,
    pub(crate) addresses: AddressList,
    pub(crate) authentication: Authentication,
    pub(crate) reach: Reach,
    pub(crate) checksum: ChecksumPolicy,
}

impl ChannelConfig {
    /// Version 3, an interval of a second, multicast, no authentication.
    ///
    /// `source` is the primary address of the interface, for IPv6 its link-local one.
    ///
    /// # Errors
    /// [`ConfigError::MixedFamilies`] if `source` is of another family than `addresses`.
    pub fn new(vrid: Vrid, source: IpAddr, addresses: AddressList) -> Result<Self, ConfigError> {
        let mut config = Self {
            version: Version::V3,
            vrid,
            interval: Interval::SECOND,
            source,
            reach: Reach::Multicast { group: addresses.family().group() },
            addresses,
            authentication: Authentication::NONE,
            checksum: ChecksumPolicy::default(),
        };
        config.source(source)?;
        Ok(config)
    }

    /// Speaks from this address from now on.
    ///
    /// # Errors
    /// [`ConfigError::MixedFamilies`].
    pub fn source(&mut self, source: IpAddr) -> Result<&mut Self, ConfigError> {
        if Family::of(&source) != self.addresses.family() {
            return Err(ConfigError::MixedFamilies);
        }
        self.source = source;
        Ok(self)
    }

    /// Speaks this version, every so often. Default: version 3, every second.
    ///
    /// # Errors
    /// [`ConfigError::V2IsIpv4`], [`ConfigError::IntervalForVersion`],
    /// [`ConfigError::AuthenticationForVersion`].
    pub fn version(
        &mut self,
        version: Version,
        interval: Interval,
    ) -> Result<&mut Self, ConfigError> {
        let addresses = self.addresses.as_addresses();
        Advertisement::new(version, self.vrid, Priority::DEFAULT, interval, addresses)?;
        check_authentication(version, &self.authentication)?;
        self.version = version;
        self.interval = interval;
        Ok(self)
    }

    /// How routers know each other. Default: not at all.
    ///
    /// # Errors
    /// [`ConfigError::AuthenticationForVersion`]: passwords and authentication headers are of
    /// version 2, so set that first.
    pub fn authentication(
        &mut self,
        authentication: Authentication,
    ) -> Result<&mut Self, ConfigError> {
        check_authentication(self.version, &authentication)?;
        self.authentication = authentication;
        Ok(self)
    }

    /// Whom it speaks to. Default: the group of its family.
    ///
    /// # Errors
    /// [`ConfigError::NoPeers`], [`ConfigError::MixedFamilies`], [`ConfigError::NotMulticast`].
    pub fn reach(&mut self, reach: Reach) -> Result<&mut Self, ConfigError> {
        match &reach {
            Reach::Multicast { group } if !group.is_multicast() => {
                return Err(ConfigError::NotMulticast { group: *group });
            }
            Reach::Unicast { peers, .. } if peers.is_empty() => return Err(ConfigError::NoPeers),
            _ => {}
        }
        let family = self.addresses.family();
        if reach.destinations().any(|destination| Family::of(&destination) != family) {
            return Err(ConfigError::MixedFamilies);
        }
        self.reach = reach;
        Ok(self)
    }

    /// Which form of checksum it sends. Default: [`ChecksumPolicy::Pseudo`].
    pub const fn checksum(&mut self, checksum: ChecksumPolicy) -> &mut Self {
        self.checksum = checksum;
        self
    }

    /// The identifier.
    pub const fn vrid(&self) -> Vrid {
        self.vrid
    }

    /// The virtual addresses.
    pub const fn addresses(&self) -> &AddressList {
        &self.addresses
    }

    /// What this router says with `priority`.
    pub fn advertisement(&self, priority: Priority) -> Advertisement<'_> {
        let addresses = self.addresses.as_addresses();
        Advertisement::new(self.version, self.vrid, priority, self.interval, addresses)
            .unwrap_or_else(|_| unreachable!("the setters refuse what cannot be advertised"))
            .with_auth_type(self.authentication.auth_type())
    }
}

fn check_authentication(
    version: Version,
    authentication: &Authentication,
) -> Result<(), ConfigError> {
    if version != Version::V2 && authentication.is_v2_only() {
        return Err(ConfigError::AuthenticationForVersion { version });
    }
    Ok(())
}
