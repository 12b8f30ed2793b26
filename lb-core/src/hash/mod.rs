//! Hash functions: one that everybody agrees on, and one that only those with the seed know.

mod seed;

use std::hash::{BuildHasher, Hasher};

pub use seed::{HashSeed, SeededHasher};

/// The stable hash of some bytes: SipHash-2-4 under the all-zero key, as the `hashring` crate uses.
///
/// Good enough to spread clients, public by design, and therefore **not** a defence against a
/// client that chooses its own key to land on a given backend; such a client could as well pick
/// its source address.
pub fn stable_hash(bytes: &[u8]) -> u64 {
    let mut hasher = hashring::DefaultHashBuilder.build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

/// Both halves of the product, folded: one multiplication that spreads every bit of both factors
/// (as wyhash and its kin do).
#[inline]
pub(crate) const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    (product >> 64) as u64 ^ product as u64
}

/// All 64 bits of `x`, stirred: for keys and places, whose bits need not be even. (The finalizer of
/// SplitMix64; Steele, Lea and Flood, *Fast Splittable Pseudorandom Number Generators*, 2014.)
#[inline]
pub(crate) const fn stir(x: u64) -> u64 {
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stable_hash_never_changes() {
        // A change here moves every client of every `sh` pool at the next upgrade.
        assert_eq!(stable_hash(b""), 0x1e92_4b9d_7377_00d7);
        // Computed by another implementation of SipHash-2-4.
        assert_eq!(stable_hash(b"load"), 0x3f50_4c6d_cf83_24a5);
    }
}
