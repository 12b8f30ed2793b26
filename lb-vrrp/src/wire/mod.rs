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
//! Without a key anybody on the link can say anything. With a checksum alone, any single flipped bit
//! is noticed, except in the reserved bits of version 3, which nobody looks at but the checksum
//! covers, so that they are noticed too; and in the source address of an IPv4 packet under
//! [`ChecksumForm::Message`], which the IP header's own checksum covers. Over IPv6 flow label and
//! traffic class are covered by nothing and mean nothing here.

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
