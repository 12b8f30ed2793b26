//! The authentication header, in keepalived's dialect (version 2 over IPv4 only).
//!
//! ```text
//! next = 112 │ length = 4 │ 0 (2) │ SPI = source address (4) │ sequence (4) │ HMAC-MD5-96 (12)
//! ```
//!
//! RFC 2402 zeroes the time to live of every packet before it computes the digest. keepalived keeps
//! it for multicast, so a header by the book does not interoperate with it; this one does.

use std::net::Ipv4Addr;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

use crate::refusal::Refusal;
use crate::wire::ip::Ipv4Header;
use crate::wire::packet::Password;
use crate::wire::padded;

/// The IP protocol of an authentication header.
pub(crate) const PROTOCOL: u8 = 51;
/// Its length with a digest of 96 bits.
pub(crate) const LENGTH: usize = 24;
const ICV: usize = 12;
/// Without the digest.
const COVERED: usize = LENGTH - ICV;

/// What it says, apart from the digest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Header {
    /// The security parameters index, for which keepalived takes the sender's address.
    pub(crate) spi: u32,
    /// Grows with every packet of a sender.
    pub(crate) sequence: u32,
}

impl Header {
    /// For a sender.
    pub(crate) fn of(source: Ipv4Addr, sequence: u32) -> Self {
        Self { spi: source.to_bits(), sequence }
    }

    /// Splits a payload into header and message.
    ///
    /// # Errors
    /// [`Refusal::AhMalformed`]: cut short, not before protocol 112, or with a digest of another
    /// length.
    pub(crate) fn parse(payload: &[u8]) -> Result<(Self, &[u8]), Refusal> {
        let Some((header, message)) = payload.split_first_chunk::<LENGTH>() else {
            return Err(Refusal::AhMalformed);
        };
        let &[next, length, 0, 0, s0, s1, s2, s3, q0, q1, q2, q3, ..] = header else {
            return Err(Refusal::AhMalformed);
        };
        if next != crate::wire::PROTOCOL || length != LENGTH_FIELD {
            return Err(Refusal::AhMalformed);
        }
        let spi = u32::from_be_bytes([s0, s1, s2, s3]);
        let sequence = u32::from_be_bytes([q0, q1, q2, q3]);
        Ok((Self { spi, sequence }, message))
    }

    fn to_octets(self) -> [u8; COVERED] {
        let [s0, s1, s2, s3] = self.spi.to_be_bytes();
        let [q0, q1, q2, q3] = self.sequence.to_be_bytes();
        [crate::wire::PROTOCOL, LENGTH_FIELD, 0, 0, s0, s1, s2, s3, q0, q1, q2, q3]
    }

    /// Appends the header, its digest zero, to be filled by [`seal`].
    pub(crate) fn emit(self, out: &mut Vec<u8>) {
        out.extend(self.to_octets());
        out.extend([0; ICV]);
    }
}

/// In words of 32 bits, less two (RFC 2402 2.2).
const LENGTH_FIELD: u8 = (LENGTH / 4 - 2) as u8;

/// A key, ready to use.
#[derive(Clone)]
pub(crate) struct Key(Hmac<Md5>);

impl Key {
    pub(crate) fn new(password: &Password) -> Self {
        Self(Hmac::new(&padded(password).into()))
    }
}

/// Writes the digest into a whole packet: IP header, authentication header, message.
pub(crate) fn seal(key: &Key, unicast: bool, packet: &mut [u8]) {
    let Some((header, rest)) = packet.split_first_chunk_mut::<{ Ipv4Header::LENGTH }>() else {
        return;
    };
    let Some((ah, message)) = rest.split_first_chunk_mut::<LENGTH>() else { return };
    let digest = digest(key, unicast, header, &ah[..COVERED], message).finalize().into_bytes();
    ah[COVERED..].copy_from_slice(&digest[..ICV]);
}

/// Whether the digest in `payload` is that of its packet. Takes the same time wherever it differs.
pub(crate) fn verify(
    key: &Key,
    unicast: bool,
    header: &[u8; Ipv4Header::LENGTH],
    payload: &[u8],
) -> bool {
    let Some((ah, message)) = payload.split_first_chunk::<LENGTH>() else { return false };
    let (covered, icv) = ah.split_at(COVERED);
    digest(key, unicast, header, covered, message).verify_truncated_left(icv).is_ok()
}

fn digest(
    key: &Key,
    unicast: bool,
    header: &[u8; Ipv4Header::LENGTH],
    covered: &[u8],
    message: &[u8],
) -> Hmac<Md5> {
    let mut mac = key.0.clone();
    mac.update(&Ipv4Header::muted(header, unicast));
    mac.update(covered);
    mac.update(&[0; ICV]);
    mac.update(message);
    mac
}
