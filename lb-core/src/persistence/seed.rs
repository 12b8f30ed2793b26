//! How a table hashes its keys.

use std::fmt;
use std::hash::{BuildHasher, DefaultHasher, Hasher};

/// The key of a table's hash function.
///
/// Clients choose their keys, or at least many of them can (a /64 of IPv6 addresses, a header).
/// Whoever knows the hash function can make keys that all meet in one place of the table, where
/// each operation then takes as long as there are such keys. A seed that nobody outside knows
/// prevents that. Machines draw no random numbers, so draw it where the process starts:
///
/// ```
/// use std::time::Duration;
/// use lb_core::persistence::HashSeed;
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
/// A key is read as a polynomial, with 32 bits of it to a coefficient, and evaluated at a secret
/// point modulo 2⁶¹ − 1; a secret multiplication and addition spread the value over 64 bits
/// (Carter and Wegman 1979, Dietzfelbinger 1996). Two keys of *n* coefficients, chosen by somebody
/// who does not know the seed, have the same value for at most *n* of the 2⁶¹ points. That is all
/// that a table needs, and takes a fraction of the time of a hash function that may show its values
/// to the attacker, as the standard library's. Those who want that one can have it: a table takes
/// any [`BuildHasher`].
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
            let mut hasher = DefaultHasher::new();
            for part in [seed[0], seed[1], number] {
                hasher.write_u64(part);
            }
            hasher.finish()
        };
        let wide = |number| u128::from(derived(number)) << 64 | u128::from(derived(number + 1));
        // Neither 0 nor 1, for which coefficients would be ignored or merely added up.
        let point = derived(0) % (PRIME - 2) + 2;
        Self { point, factor: wide(1) | 1, addend: wide(3) }
    }

    /// Another hash for each hash, which differs from seed to seed.
    pub(crate) const fn mix(&self, hash: u64) -> u64 {
        let product = self.factor.wrapping_mul(hash as u128).wrapping_add(self.addend);
        (product >> 64) as u64
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
        // Not 0, so that leading zeros count.
        SeededHasher { seed: *self, value: 1 }
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
}

impl Hasher for SeededHasher {
    #[inline]
    fn finish(&self) -> u64 {
        self.seed.mix(self.value)
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<4>();
        for word in words {
            self.write_u32(u32::from_le_bytes(*word));
        }
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        // With a 33rd bit and the number of bytes, so that it differs from every whole word.
        self.add(1 << 32 | (rest.len() as u64) << 33 | u64::from(u32::from_le_bytes(last)));
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.add(value.into());
    }

    #[inline]
    fn write_u16(&mut self, value: u16) {
        self.add(value.into());
    }

    #[inline]
    fn write_u32(&mut self, value: u32) {
        self.add(value.into());
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.add(value >> 32);
        self.add(value & 0xFFFF_FFFF);
    }

    #[inline]
    fn write_u128(&mut self, value: u128) {
        self.write_u64((value >> 64) as u64);
        self.write_u64(value as u64);
    }

    #[inline]
    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    /// A discriminant, which is small: in one step, unless it is not.
    #[inline]
    fn write_isize(&mut self, value: isize) {
        match u32::try_from(value) {
            Ok(value) => self.add(value.into()),
            Err(_) => self.write_u64(value as u64),
        }
    }
}

impl SeededHasher {
    /// The next coefficient, below 2³⁶.
    #[inline]
    fn add(&mut self, coefficient: u64) {
        let value = u128::from(self.value) * u128::from(self.seed.point) + u128::from(coefficient);
        let folded = (value as u64 & PRIME) + (value >> 61) as u64;
        self.value = if folded >= PRIME { folded - PRIME } else { folded };
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
