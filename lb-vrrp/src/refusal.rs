//! Why a packet was not taken: one value for every reason.

use std::net::IpAddr;

use crate::values::Interval;
use crate::wire::AuthType;

/// What is wrong with an IPv4 header.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum IpFault {
    /// Its checksum does not hold.
    Checksum,
    /// It is a fragment; the kernel puts them together before anybody sees them.
    Fragment,
    /// Header or packet are longer than what is there.
    Length,
    /// Fewer than 20 octets.
    TooShort,
    /// Not version 4.
    Version,
}

/// Why a packet was refused. The variants are in the order in which things are looked at, which is
/// keepalived's, so that the same packet is counted under the same reason.
///
/// None of them changes anything in a router: an ignored packet is no event. What to *do* about one
/// is for whoever counts them, by [`Self::reason`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The IP header cannot be read.
    #[error("bad IP header: {fault:?}")]
    IpHeader {
        /// What is wrong with it.
        fault: IpFault,
    },
    /// Another protocol.
    #[error("IP protocol {protocol}")]
    Protocol {
        /// Its number.
        protocol: u8,
    },
    /// Another family than this router's.
    #[error("{sender} speaks another IP version")]
    Family {
        /// Who.
        sender: IpAddr,
    },
    /// An authentication header is wanted, and not there.
    #[error("no authentication header")]
    AhMissing,
    /// An authentication header is there, and not wanted.
    #[error("an authentication header that is not expected")]
    AhUnexpected,
    /// The authentication header cannot be read.
    #[error("a malformed authentication header")]
    AhMalformed,
    /// Not even a header.
    #[error("{length} octets are no message")]
    TooShort {
        /// How much there is, in octets.
        length: usize,
    },
    /// Another virtual router. Not worth a word: several share a link.
    #[error("virtual router {vrid} is not ours")]
    Vrid {
        /// Which one.
        vrid: u8,
    },
    /// Multicast from beyond the link (RFC 9568 5.1.1.3).
    #[error("a hop limit of {hop_limit} instead of 255")]
    HopLimit {
        /// Time to live, or hop limit.
        hop_limit: u8,
    },
    /// Another version.
    #[error("version {version}")]
    Version {
        /// Which one.
        version: u8,
    },
    /// The trailer is enforced, and not there.
    #[error("no trailer")]
    TrailerMissing,
    /// The trailer cannot be read.
    #[error("a malformed trailer")]
    TrailerMalformed,
    /// The trailer's time is outside of the window. Clocks differ, or somebody replays.
    #[error("a trailer {skew} s from our time")]
    TrailerStale {
        /// Ours less theirs, in seconds.
        skew: i32,
    },
    /// Signed with a key that is not configured.
    #[error("unknown key {key}")]
    TrailerUnknownKey {
        /// Its number.
        key: u8,
    },
    /// The trailer's digest does not hold.
    #[error("a forged trailer")]
    TrailerForged,
    /// Seen before, or older than what was seen.
    #[error("a replayed trailer")]
    TrailerReplayed,
    /// Another kind of authentication than ours.
    #[error("authentication {theirs:?} instead of {ours:?}")]
    AuthType {
        /// What is configured here.
        ours: AuthType,
        /// What it says.
        theirs: AuthType,
    },
    /// Another password.
    #[error("another password")]
    Password,
    /// The digest of the authentication header does not hold.
    #[error("a forged authentication header")]
    AhForged,
    /// A sequence number that is not above the last one of its sender.
    #[error("sequence {sequence} after {last}")]
    AhReplayed {
        /// What it says.
        sequence: u32,
        /// The highest so far.
        last: u32,
    },
    /// Version 2 wants the same interval everywhere (RFC 3768 7.1).
    #[error("an interval of {theirs} s instead of {ours}")]
    IntervalMismatch {
        /// What is configured here.
        ours: Interval,
        /// What it says, in seconds.
        theirs: u8,
    },
    /// Not an advertisement.
    #[error("type {kind}")]
    Type {
        /// Which one.
        kind: u8,
    },
    /// VRRP, perhaps, but no CARP.
    #[error("{words} words of authentication instead of 7")]
    NotCarp {
        /// What is where CARP says how long its authentication is.
        words: u8,
    },
    /// Longer or shorter than it says.
    #[error("{length} octets instead of {expected}")]
    Length {
        /// What it should be, in octets.
        expected: usize,
        /// What it is.
        length: usize,
    },
    /// An interval of 0, which would make every backup a master.
    #[error("an interval of 0")]
    NoInterval,
    /// No known form of checksum holds.
    #[error("checksum {checksum:#06x} does not hold")]
    Checksum {
        /// What it says.
        checksum: u16,
    },
    /// CARP's digest does not hold: another passphrase, or other addresses.
    #[error("a CARP advertisement with another passphrase, or for other addresses")]
    CarpForged,
    /// Multicast to a unicast router, or the reverse.
    #[error("sent to {destination}")]
    Kind {
        /// To whom.
        destination: IpAddr,
    },
    /// Unicast from nobody we know.
    #[error("{sender} is no peer")]
    UnknownPeer {
        /// Who.
        sender: IpAddr,
    },
    /// Unicast from farther away, or nearer, than this peer is.
    #[error("{sender} has a hop limit of {hop_limit}")]
    PeerHopLimit {
        /// Who.
        sender: IpAddr,
        /// Time to live, or hop limit.
        hop_limit: u8,
    },
}

macro_rules! reasons {
    ($($variant:ident => $name:literal,)*) => {
        /// A [`Refusal`] without its data: what it is counted under.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        #[allow(missing_docs)] // those of `Refusal`
        pub enum Reason {
            $($variant,)*
        }

        impl Reason {
            /// All of them, in the order of [`Self::index`].
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name in metrics.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Where its counter is.
            pub const fn index(self) -> usize {
                self as usize
            }
        }

        impl Refusal {
            /// What to count it under.
            pub const fn reason(&self) -> Reason {
                match self {
                    $(Self::$variant { .. } => Reason::$variant,)*
                }
            }
        }
    };
}

reasons! {
    IpHeader => "ip_header",
    Protocol => "protocol",
    Family => "family",
    AhMissing => "ah_missing",
    AhUnexpected => "ah_unexpected",
    AhMalformed => "ah_malformed",
    TooShort => "too_short",
    Vrid => "vrid",
    HopLimit => "hop_limit",
    Version => "version",
    TrailerMissing => "trailer_missing",
    TrailerMalformed => "trailer_malformed",
    TrailerStale => "trailer_stale",
    TrailerUnknownKey => "trailer_unknown_key",
    TrailerForged => "trailer_forged",
    TrailerReplayed => "trailer_replayed",
    AuthType => "auth_type",
    Password => "password",
    AhForged => "ah_forged",
    AhReplayed => "ah_replayed",
    IntervalMismatch => "interval_mismatch",
    Type => "type",
    NotCarp => "not_carp",
    Length => "length",
    NoInterval => "no_interval",
    Checksum => "checksum",
    CarpForged => "carp_forged",
    Kind => "kind",
    UnknownPeer => "unknown_peer",
    PeerHopLimit => "peer_hop_limit",
}
