//! Hashes that only those who know the seed can foresee.

use std::fmt;
use std::hash::{BuildHasher, Hasher};

use super::stable_hash;

/// The key of a hash function that nobody can foresee without it: that of a persistence table, and of a
/// director [that has one](crate::Director::with_hash_seed).
///
/// Clients choose their keys, or at least many of them can (a /64 of IPv6 addresses, a header).
/// Whoever knows the hash function can make keys that all meet in one place of the table, where
/// each operation then takes as long as there are such keys. A seed that nobody outside knows
/// prevents that. Machines draw no random numbers, so draw it where the process starts:
///
/// ```
/// use std::time::Duration;
/// use lb_core::hash::HashSeed;
/// use lb_core::PersistenceTable;
/// # let mut system = <rand::rngs::Xoshiro256PlusPlus as rand::SeedableRng>::seed_from_u64(1);
/// use rand::Rng;
///
/// let seed = HashSeed::new([system.next_u64(), system.next_u64()]);
/// let table = PersistenceTable::<String, _>::with_hasher(Duration::from_secs(60), 1_000.try_into()?, seed);
/// assert!(table.is_empty());
/// # Ok::<(), std::num::TryFromIntError>(())
/// ```
///
/// The default is the seed of zeros, which everybody knows: for tests, and for keys that no client
/// has a say in.
///
/// # How
///
/// A key is read as a polynomial, with four to seven bytes of it to a coefficient, and evaluated at
/// a secret point modulo 2⁶¹ − 1; a secret multiplication and addition spread the value over 64
/// bits (Carter and Wegman 1979, Dietzfelbinger 1996). Two keys of *n* coefficients, chosen by
/// somebody who does not know the seed, have the same value for less than *n* of the 2⁶⁰ points.
/// Keys in a row, such as the addresses of a network, would still have values in a row, and with
/// one seed in a hundred these would crowd; a fixed mixing of bits ends that, and takes nothing
/// from what is known of any two keys. That is all that a table needs, and takes a fraction of the
/// time of a hash function that may show its values to the attacker, as the standard library's.
/// Those who want that one can have it: a table takes any [`BuildHasher`].
#[derive(Clone, Copy)]
pub struct HashSeed {
    point: u64,
    factor: u128,
    addend: u128,
}

/// A Mersenne prime, so that a remainder takes a shift and an addition.
const PRIME: u64 = (1 << 61) - 1;

impl HashSeed {
    /// This seed: 128 bits, best drawn at random and told to nobody.
    pub fn new(seed: [u64; 2]) -> Self {
        let derived = |number: u64| {
            let parts = [seed[0], seed[1], number].map(u64::to_le_bytes);
            stable_hash(parts.as_flattened())
        };
        let wide = |number| u128::from(derived(number)) << 64 | u128::from(derived(number + 1));
        // Neither 0 nor 1, for which coefficients would be ignored or merely added up; below half
        // of the prime, so that values stay below twice the prime without being reduced entirely.
        let point = (derived(0) >> 4).max(2);
        Self { point, factor: wide(1) | 1, addend: wide(3) }
    }

    /// The seed that a `secret` comes to, the same on every platform and in every release: for directors
    /// that are to agree. As good as the secret, up to 128 bits of it.
    pub fn of(secret: &[u8]) -> Self {
        Self::new([0, 1].map(|half| stable_hash(&[secret, &[half]].concat())))
    }

    /// Another hash for each hash, which differs from seed to seed.
    #[inline]
    pub(crate) const fn mix(&self, hash: u64) -> u64 {
        let product = self.factor.wrapping_mul(hash as u128).wrapping_add(self.addend);
        let spread = (product >> 64) as u64;
        // No two become one, but equal distances become unequal.
        (spread ^ spread >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

impl Default for HashSeed {
    fn default() -> Self {
        Self::new([0; 2])
    }
}

impl BuildHasher for HashSeed {
    type Hasher = SeededHasher;

    #[inline]
    fn build_hasher(&self) -> SeededHasher {
        SeededHasher { seed: *self, value: 0, pending: 0, count: 0 }
    }
}

/// The seed itself stays secret.
impl fmt::Debug for HashSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashSeed").finish_non_exhaustive()
    }
}

/// The hash function of a [`HashSeed`].
#[derive(Clone, Debug)]
pub struct SeededHasher {
    seed: HashSeed,
    value: u64,
    /// The bytes of the next coefficient, of which there are less than four between two calls.
    pending: u64,
    count: u32,
}

impl Hasher for SeededHasher {
    #[inline]
    fn finish(&self) -> u64 {
        let value = if self.count == 0 { self.value } else { self.next() };
        self.seed.mix(value)
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<4>();
        for word in words {
            self.write_u32(u32::from_le_bytes(*word));
        }
        for byte in rest {
            self.write_u8(*byte);
        }
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.push(value.into(), 1);
    }

    #[inline]
    fn write_u16(&mut self, value: u16) {
        self.push(value.into(), 2);
    }

    #[inline]
    fn write_u32(&mut self, value: u32) {
        self.push(value.into(), 4);
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.write_u32(value as u32);
        self.write_u32((value >> 32) as u32);
    }

    #[inline]
    fn write_u128(&mut self, value: u128) {
        self.write_u64(value as u64);
        self.write_u64((value >> 64) as u64);
    }

    /// A length or a discriminant, which is small: in one byte, unless it is not.
    #[inline]
    fn write_usize(&mut self, value: usize) {
        if value < 0xFF {
            self.write_u8(value as u8);
        } else {
            self.write_u8(0xFF);
            self.write_u64(value as u64);
        }
    }

    #[inline]
    fn write_isize(&mut self, value: isize) {
        self.write_usize(value as usize);
    }
}

impl SeededHasher {
    /// The key's next bytes, four at most.
    #[inline]
    const fn push(&mut self, bytes: u64, count: u32) {
        self.pending |= bytes << (8 * self.count);
        self.count += count;
        if self.count >= 4 {
            self.value = self.next();
            self.pending = 0;
            self.count = 0;
        }
    }

    /// The value with the pending bytes as one more coefficient. A bit above them tells them from
    /// fewer bytes and zeros; no coefficient is zero, so that none can lead unnoticed.
    #[inline]
    const fn next(&self) -> u64 {
        let coefficient = self.pending | 1 << (8 * self.count);
        let value = self.value as u128 * self.seed.point as u128 + coefficient as u128;
        (value as u64 & PRIME) + (value >> 61) as u64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn keys_differ_and_so_do_seeds() {
        let [one, other] = [[1, 2], [2, 1]].map(HashSeed::new);
        let mut hashes = HashSet::new();
        for number in 0..50_000_u32 {
            for address in [
                IpAddr::from(Ipv4Addr::from_bits(number)),
                Ipv6Addr::from_bits(number.into()).into(),
                Ipv6Addr::from_bits(u128::from(number) << 96 | 0xFFFF_FFFF).into(),
            ] {
                assert!(
                    hashes.insert(one.hash_one(address)) && hashes.insert(other.hash_one(address))
                );
            }
        }
        let strings = ["", "\0", "\0\0", "a", "aa", "abcd", "abcd\0", "abcdabcd", "abce"];
        assert!(strings.iter().all(|text| hashes.insert(one.hash_one(text))));
    }

    #[test]
    fn networks_crowd_with_no_seed() {
        // A bucket of 833 expects 12 of them, and the fullest 26 or so.
        let fullest = |seed: u64, stride: u32| {
            let seed = HashSeed::new([1, seed]);
            let mut buckets = [0_u32; 833];
            for number in 0..10_000_u32 {
                let address = Ipv4Addr::from_bits(0x0a00_0000 + number * stride);
                let hash = u128::from(seed.hash_one(IpAddr::from(address)));
                buckets[((hash * 833) >> 64) as usize] += 1;
            }
            buckets.into_iter().max()
        };
        for seed in 0..100 {
            assert!([1, 256].into_iter().all(|stride| fullest(seed, stride) < Some(34)), "{seed}");
        }
    }

    #[test]
    fn neighbours_spread_evenly() {
        // A bucket of 64 expects 1562 of them, with a standard deviation below 40.
        let seed = HashSeed::default();
        let (mut upper, mut lower) = ([0_u32; 64], [0_u32; 64]);
        for number in 0..100_000_u32 {
            let hash = seed.hash_one(IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + number)));
            upper[(hash >> 58) as usize] += 1;
            lower[hash as usize % 64] += 1;
        }
        for count in upper.into_iter().chain(lower) {
            assert!((1_300..1_820).contains(&count), "{upper:?} {lower:?}");
        }
    }
}
