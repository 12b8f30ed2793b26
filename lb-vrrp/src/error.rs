//! What is wrong with a configuration.

use std::net::IpAddr;

use crate::values::{Interval, Version};

/// Why a configuration is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Passwords and authentication headers ended with version 2.
    #[error("version {version} has neither passwords nor authentication headers")]
    AuthenticationForVersion {
        /// Which one.
        version: Version,
    },
    /// 255 and 255 say that a host gives up; nobody advertises all the time.
    #[error("a CARP host cannot advertise every {base} s and {skew}/256")]
    CarpPeriod {
        /// In seconds.
        base: u8,
        /// In 256ths of a second.
        skew: u8,
    },
    /// One lost advertisement must not be a failure, nor a hundred be none.
    #[error("a master is dead after 1 to 100 intervals, not {intervals}")]
    DownAfter {
        /// How many it should be.
        intervals: u8,
    },
    /// Two keys of one number.
    #[error("key {id} is there twice")]
    DuplicateKey {
        /// Its number.
        id: u8,
    },
    /// Neither version carries it.
    #[error("an interval of {centis} centiseconds is not from 1 to 25500")]
    Interval {
        /// In centiseconds.
        centis: u16,
    },
    /// The version cannot carry it: version 2 has whole seconds, version 3 at most 40.95 s.
    #[error("version {version} cannot advertise every {interval}")]
    IntervalForVersion {
        /// Which one.
        version: Version,
        /// What it should be.
        interval: Interval,
    },
    /// Keys are numbered from 1 to 255.
    #[error("0 is the number of no key")]
    KeyId,
    /// Shorter keys can be guessed, longer ones are hashed by some and not by others.
    #[error("a key of {length} octets is not one of 32 to 64")]
    KeyLength {
        /// In octets.
        length: usize,
    },
    /// IPv4 and IPv6 in one router.
    #[error("IPv4 and IPv6 need a virtual router each")]
    MixedFamilies,
    /// Nothing to hold.
    #[error("no virtual address")]
    NoAddresses,
    /// Unicast to nobody.
    #[error("no peers")]
    NoPeers,
    /// A group that is none.
    #[error("{group} is no multicast group")]
    NotMulticast {
        /// What it is instead.
        group: IpAddr,
    },
    /// Only who gives up says 0.
    #[error("a priority is 1 to 255")]
    Priority,
    /// An advertisement counts them in an octet.
    #[error("more than 255 virtual addresses")]
    TooManyAddresses,
    /// Version 2 is for IPv4.
    #[error("version 2 has no IPv6")]
    V2IsIpv4,
    /// 0 tells nobody from anybody.
    #[error("0 is no virtual router identifier")]
    Vrid,
}
