//! The numbers that routers agree on, each valid by construction.

use std::fmt;
use std::num::NonZeroU8;
use std::time::Duration;

use crate::error::ConfigError;

/// Which VRRP is spoken.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Version {
    /// RFC 3768: IPv4, intervals in whole seconds, passwords.
    V2,
    /// RFC 9568 (and RFC 5798): IPv4 and IPv6, intervals in centiseconds.
    V3,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V2 => "2",
            Self::V3 => "3",
        })
    }
}

/// The virtual router identifier, 1 to 255: who belongs together on a link.
///
/// ```
/// use lb_vrrp::Vrid;
///
/// assert_eq!(Vrid::new(51)?.get(), 51);
/// assert!(Vrid::new(0).is_err());
/// # Ok::<(), lb_vrrp::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Vrid(NonZeroU8);

impl Vrid {
    /// # Errors
    /// [`ConfigError::Vrid`] for 0, which RFC 9568 5.2.3 leaves out.
    pub const fn new(vrid: u8) -> Result<Self, ConfigError> {
        match NonZeroU8::new(vrid) {
            Some(vrid) => Ok(Self(vrid)),
            None => Err(ConfigError::Vrid),
        }
    }

    /// The number itself, never 0.
    pub const fn get(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who is wanted more as a master, as an advertisement says it (RFC 9568 5.2.4).
///
/// ```
/// use lb_vrrp::Priority;
///
/// assert!(Priority::OWNER > Priority::DEFAULT);
/// assert_eq!(Priority::new(0), Priority::RELEASE);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Priority(u8);

impl Priority {
    /// 0: the sender gives the addresses up. Nobody is configured with it.
    pub const RELEASE: Self = Self(0);
    /// 1: the least that can be configured.
    pub const LEAST: Self = Self(1);
    /// 100: what a router has unless it is told otherwise.
    pub const DEFAULT: Self = Self(100);
    /// 254: the most that is not [`Self::OWNER`].
    pub const MOST: Self = Self(254);
    /// 255: the owner of the addresses, master whenever it is up.
    pub const OWNER: Self = Self(255);

    /// Any octet is a priority on the wire; [`Self::RELEASE`] is none in a configuration.
    pub const fn new(priority: u8) -> Self {
        Self(priority)
    }

    /// The number itself.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How often a master advertises, in centiseconds.
///
/// Version 3 carries 1 to 4095 of them, version 2 whole seconds from 1 to 255; [`Self::fits`] says
/// what a version can carry.
///
/// ```
/// use std::time::Duration;
/// use lb_vrrp::{Interval, Version};
///
/// let interval = Interval::from_centis(10)?;
/// assert_eq!(interval.as_duration(), Duration::from_millis(100));
/// assert!(interval.fits(Version::V3) && !interval.fits(Version::V2));
/// assert!(Interval::from_centis(0).is_err());
/// # Ok::<(), lb_vrrp::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Interval(u16);

impl Interval {
    /// One second: the default of both versions.
    pub const SECOND: Self = Self(100);
    /// The most that version 3 carries: 40.95 s (12 bits).
    pub const MOST_V3: Self = Self(4095);
    /// The most that version 2 carries: 255 s.
    pub const MOST_V2: Self = Self(25_500);

    /// # Errors
    /// [`ConfigError::Interval`] unless it is 1 to 25500.
    pub const fn from_centis(centis: u16) -> Result<Self, ConfigError> {
        if centis == 0 || centis > Self::MOST_V2.0 {
            return Err(ConfigError::Interval { centis });
        }
        Ok(Self(centis))
    }

    /// # Errors
    /// [`ConfigError::Interval`] for 0.
    pub const fn from_secs(seconds: u8) -> Result<Self, ConfigError> {
        Self::from_centis(seconds as u16 * 100)
    }

    /// In centiseconds.
    pub const fn as_centis(self) -> u16 {
        self.0
    }

    /// As time.
    pub const fn as_duration(self) -> Duration {
        Duration::from_millis(self.0 as u64 * 10)
    }

    /// Whether `version` can carry it.
    pub const fn fits(self, version: Version) -> bool {
        match version {
            Version::V2 => self.0.is_multiple_of(100),
            Version::V3 => self.0 <= Self::MOST_V3.0,
        }
    }
}

impl Default for Interval {
    fn default() -> Self {
        Self::SECOND
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02} s", self.0 / 100, self.0 % 100)
    }
}
