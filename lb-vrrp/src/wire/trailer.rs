//! The trailer that authenticates an advertisement in keepalived 2.4 (draft-cassen-vrrp-auth-hmac).
//!
//! ```text
//! type = 1 │ key │ 0 (2) │ seconds UTC (4) │ 1/65536 s (2) │ counter (2) │ HMAC-SHA-256-128 (16)
//! ```
//!
//! It follows the message inside the IP datagram. The digest covers who speaks about what, then the
//! message with its checksum read as zero, then the trailer with its digest read as zero:
//! `family (4 or 6) │ version │ VRID │ 0 │ source (16, IPv4 left-aligned)`.

use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::refusal::Refusal;
use crate::values::Version;
use crate::wire::packet::CHECKSUM;
use crate::wire::padded;

/// The length of the trailer.
pub(crate) const LENGTH: usize = 28;
const MAC: usize = 16;
/// HMAC-SHA-256, cut to 128 bits: the only one there is.
const TYPE: u8 = 1;
const PSEUDO: usize = 20;

/// A key, ready to use.
#[derive(Clone)]
pub(crate) struct Key(Hmac<Sha256>);

impl Key {
    /// `secret` has at most 64 octets; the rest would not count.
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self(Hmac::new(&padded(secret).into()))
    }
}

/// What a trailer says, apart from its digest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Trailer {
    /// Which key, 1 to 255.
    pub(crate) key: u8,
    /// Seconds since 1970 in the upper 32 bits, 1/65536 of them in the next 16, a counter in the
    /// lowest: it grows with every packet of a sender, in serial number arithmetic (RFC 1982).
    pub(crate) sequence: u64,
}

impl Trailer {
    /// Reads what is before the digest.
    ///
    /// # Errors
    /// [`Refusal::TrailerMalformed`]: another type, or a reserved bit is set.
    pub(crate) fn parse(trailer: &[u8; LENGTH]) -> Result<Self, Refusal> {
        let &[TYPE, key, 0, 0, s0, s1, s2, s3, f0, f1, c0, c1, ..] = trailer else {
            return Err(Refusal::TrailerMalformed);
        };
        Ok(Self { key, sequence: u64::from_be_bytes([s0, s1, s2, s3, f0, f1, c0, c1]) })
    }

    /// Appends the trailer to the message that begins at `start`.
    pub(crate) fn emit(
        &self,
        key: &Key,
        version: Version,
        source: IpAddr,
        start: usize,
        out: &mut Vec<u8>,
    ) {
        out.extend([TYPE, self.key, 0, 0]);
        out.extend(self.sequence.to_be_bytes());
        let digest = digest(key, version, source, &out[start..]).finalize().into_bytes();
        out.extend(&digest[..MAC]);
    }
}

/// Whether the digest at the end of `octets` (message and trailer) holds. Takes the same time
/// wherever it differs.
pub(crate) fn verify(key: &Key, version: Version, source: IpAddr, octets: &[u8]) -> bool {
    let Some((covered, mac)) = octets.split_last_chunk::<MAC>() else { return false };
    digest(key, version, source, covered).verify_truncated_left(mac).is_ok()
}

/// Over a message and the trailer without its digest.
fn digest(key: &Key, version: Version, source: IpAddr, covered: &[u8]) -> Hmac<Sha256> {
    let mut pseudo = [0; PSEUDO];
    let vrid = covered.get(1).copied().unwrap_or_default();
    let version = match version {
        Version::V2 => 2,
        Version::V3 => 3,
    };
    match source {
        IpAddr::V4(source) => {
            pseudo[..4].copy_from_slice(&[4, version, vrid, 0]);
            pseudo[4..8].copy_from_slice(&source.octets());
        }
        IpAddr::V6(source) => {
            pseudo[..4].copy_from_slice(&[6, version, vrid, 0]);
            pseudo[4..].copy_from_slice(&source.octets());
        }
    }
    let mut mac = key.0.clone();
    mac.update(&pseudo);
    // The kernel fills in the checksum of IPv6 after the fact.
    let (before, after) = covered.split_at(CHECKSUM.start.min(covered.len()));
    mac.update(before);
    mac.update(&[0; 2]);
    mac.update(after.get(CHECKSUM.len()..).unwrap_or_default());
    mac.update(&[0; MAC]);
    mac
}
