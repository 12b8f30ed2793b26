//! The phases and jitter of checks: chance that is the same after a restart.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use rand::TryRng;

use crate::CheckSpec;
use crate::splitmix::SplitMix64;

/// What a check begins with that is aimed at `address`, on this instance. The same check has the same
/// place among all others after each restart, and another one on another director.
pub(super) fn seed(instance: u64, address: SocketAddr, spec: &CheckSpec) -> SplitMix64 {
    let mut hash = Fnv::new();
    match address.ip() {
        IpAddr::V4(ip) => hash.take(&ip.octets()),
        IpAddr::V6(ip) => hash.take(&ip.octets()),
    }
    hash.take(&address.port().to_be_bytes());
    // Several checks of one target are not to run side by side for ever.
    for time in [spec.interval(), spec.timeout(), spec.fast_interval()] {
        hash.take(&time.as_nanos().to_be_bytes());
    }
    SplitMix64::new(hash.0 ^ instance)
}

/// FNV-1a of 64 bits (Fowler, Noll, Vo): the hashes of the standard library may change with it.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

impl TryRng for SplitMix64 {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the list of test vectors of its authors.
    #[test]
    fn hashes_are_those_of_the_reference() {
        for (text, hash) in [("", 0xcbf2_9ce4_8422_2325), ("foobar", 0x8594_4171_f739_67e8)] {
            let mut fnv = Fnv::new();
            fnv.take(text.as_bytes());
            assert_eq!(fnv.0, hash, "{text:?}");
        }
    }
}
