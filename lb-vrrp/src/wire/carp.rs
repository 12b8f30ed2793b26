//! The CARP advertisement, version 2, as OpenBSD, FreeBSD and ucarp speak it.
//!
//! ```text
//! 0x21 │ vhid │ advskew │ 7 │ demotion │ advbase │ checksum │ counter (8) │ HMAC-SHA1 (20)
//! ```
//!
//! It shares protocol number, group and first octet with VRRP version 2; 7 where VRRP counts its
//! addresses, and a length of 36 octets, tell it apart. The digest covers `0x21`'s two halves as two
//! octets, the vhid, the addresses in ascending order and the counter; nothing of skew, base and
//! demotion, which only the checksum protects.

use std::fmt;
use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::addresses::Addresses;
use crate::refusal::Refusal;
use crate::values::Vrid;
use crate::wire::checksum::Sum;
use crate::wire::padded;

/// The length of an advertisement.
const LENGTH: usize = 36;
const VERSION: u8 = 2;
const ADVERTISEMENT: u8 = 1;
/// Counter and digest, in words of 32 bits.
const AUTH_WORDS: u8 = 7;
const CHECKSUM: std::ops::Range<usize> = 6..8;
const MAC: usize = 20;

/// The passphrase of a virtual host, with what every digest begins with already in it.
#[derive(Clone)]
pub struct CarpKey {
    vhid: Vrid,
    mac: Hmac<Sha1>,
}

impl fmt::Debug for CarpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CarpKey").field("vhid", &self.vhid).finish_non_exhaustive()
    }
}

impl CarpKey {
    /// At most 20 octets of `passphrase` count, as with every CARP. The order of the addresses does
    /// not matter.
    pub fn new(passphrase: &[u8], vhid: Vrid, addresses: Addresses<'_>) -> Self {
        let passphrase = &passphrase[..passphrase.len().min(MAC)];
        let mut mac = Hmac::<Sha1>::new(&padded(passphrase).into());
        mac.update(&[VERSION, ADVERTISEMENT, vhid.get()]);
        let mut sorted: Vec<_> = addresses.iter().collect();
        sorted.sort_unstable();
        for address in sorted {
            match address {
                IpAddr::V4(address) => mac.update(&address.octets()),
                IpAddr::V6(address) => mac.update(&address.octets()),
            }
        }
        Self { vhid, mac }
    }

    fn digest(&self, counter: u64) -> Hmac<Sha1> {
        let mut mac = self.mac.clone();
        mac.update(&counter.to_be_bytes());
        mac
    }
}

/// What a CARP host says of itself, apart from the digest.
///
/// ```
/// use lb_vrrp::{AddressList, Vrid};
/// use lb_vrrp::wire::{CarpAdvertisement, CarpKey};
///
/// let vhid = Vrid::new(51)?;
/// let addresses = AddressList::new(["10.99.0.200".parse()?])?;
/// let key = CarpKey::new(b"passphrase", vhid, addresses.as_addresses());
/// let said = CarpAdvertisement { skew: 100, demotion: 0, base: 1, counter: 7 };
/// let mut octets = Vec::new();
/// said.encode(&key, &mut octets);
/// assert_eq!(CarpAdvertisement::decode(&octets, &key), Ok(said));
///
/// let other = CarpKey::new(b"another", vhid, addresses.as_addresses());
/// assert!(CarpAdvertisement::decode(&octets, &other).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CarpAdvertisement {
    /// How much later than its base it advertises, in 256ths of a second: less wins.
    pub skew: u8,
    /// How unfit the sender is (OpenBSD); 0 from those who do not know of it.
    pub demotion: u8,
    /// How often it advertises, in seconds. With 255 for both, it gives up.
    pub base: u8,
    /// Differs from packet to packet.
    pub counter: u64,
}

impl CarpAdvertisement {
    /// How long every advertisement is, in octets.
    pub const LENGTH: usize = LENGTH;

    /// Appends the advertisement, checksum and digest included.
    pub fn encode(&self, key: &CarpKey, out: &mut Vec<u8>) {
        let start = out.len();
        let first = VERSION << 4 | ADVERTISEMENT;
        out.extend([first, key.vhid.get(), self.skew, AUTH_WORDS, self.demotion, self.base, 0, 0]);
        out.extend(self.counter.to_be_bytes());
        out.extend(key.digest(self.counter).finalize().into_bytes());
        let checksum = Sum::of(&out[start..]).checksum();
        out[start..][CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
    }

    /// Reads and verifies one: what follows the IP header.
    ///
    /// # Errors
    /// What is wrong with it first, in the order of [`Refusal`].
    pub fn decode(message: &[u8], key: &CarpKey) -> Result<Self, Refusal> {
        let vhid = key.vhid;
        let Some((&first, _)) = message.split_first() else {
            return Err(Refusal::TooShort { length: 0 });
        };
        let Ok(octets) = <&[u8; LENGTH]>::try_from(message) else {
            return Err(match message.len() {
                length @ ..8 => Refusal::TooShort { length },
                length => Refusal::Length { expected: LENGTH, length },
            });
        };
        let &[_, theirs, skew, words, demotion, base, c0, c1, rest @ ..] = octets;
        if theirs != vhid.get() {
            return Err(Refusal::Vrid { vrid: theirs });
        }
        if first >> 4 != VERSION {
            return Err(Refusal::Version { version: first >> 4 });
        }
        if first & 0x0f != ADVERTISEMENT {
            return Err(Refusal::Type { kind: first & 0x0f });
        }
        if words != AUTH_WORDS {
            return Err(Refusal::NotCarp { words });
        }
        if !Sum::of(octets).is_intact() {
            return Err(Refusal::Checksum { checksum: u16::from_be_bytes([c0, c1]) });
        }
        let (counter, mac) = rest.split_at(size_of::<u64>());
        let counter = u64::from_be_bytes(counter.try_into().unwrap_or_default());
        if key.digest(counter).verify_slice(mac).is_err() {
            return Err(Refusal::CarpForged);
        }
        Ok(Self { skew, demotion, base, counter })
    }
}
