//! The bytes: one protocol a file, each a value that can be decoded and encoded.
//!
//! | file | what | by |
//! |---|---|---|
//! | `advertisement`, `packet` | [`Advertisement`]: VRRP versions 2 and 3; [`Packet`]: its fields where they are | RFC 3768, RFC 9568 |
//! | `checksum` | the internet checksum and its [disputed forms](ChecksumForm) | RFC 1071 |
//! | `ip` | [`Ipv4Header`], [`Datagram`] | RFC 791 |
//! | `ah` | the authentication header, keepalived's dialect | RFC 2402, almost |
//! | `trailer` | the HMAC-SHA256 trailer of keepalived 2.4 | its draft |
//! | `carp` | [`CarpAdvertisement`] | the practice of OpenBSD, FreeBSD and ucarp |
//!
//! # What nothing protects
//!
//! Without a key anybody on the link can say anything. A checksum is no key, but with it alone no
//! single flipped bit gets through: over IPv4 it is in the header, which has a checksum of its own, or
//! in the message. That includes the reserved bits of version 3, which mean nothing but are covered.
//! Over IPv6 the message, source and destination are covered; flow label and traffic class are not,
//! and mean nothing here; nor is the hop limit, which is looked at only where it must be 255, or
//! where a peer's distance is configured.
//!
//! CARP's digest leaves out skew, base and demotion: who can change a packet on its way can change
//! who wins, and needs no passphrase for it.

pub(crate) mod advertisement;
pub(crate) mod ah;
pub(crate) mod carp;
pub(crate) mod checksum;
pub(crate) mod ip;
pub(crate) mod packet;
pub(crate) mod trailer;

pub use advertisement::Advertisement;
pub use carp::{CarpAdvertisement, CarpKey};
pub use checksum::ChecksumForm;
pub use ip::{Datagram, Ipv4Header};
pub use packet::{AuthType, Packet};

/// The IP protocol of VRRP, and of CARP.
pub const PROTOCOL: u8 = 112;

/// A key as HMAC uses it: at most a block, padded with zeros. All digests here have blocks of 64.
fn padded(key: &[u8]) -> [u8; 64] {
    let mut padded = [0; 64];
    let length = key.len().min(padded.len());
    padded[..length].copy_from_slice(&key[..length]);
    padded
}
