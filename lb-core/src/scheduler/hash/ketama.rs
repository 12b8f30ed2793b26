//! `ketama`: nginx's ring, point by point.

use std::fmt;

use super::points::Points;
use super::ring::in_order;
use super::{Consistent, PROBES, rendezvous};
use crate::pool::Member;

/// `ketama`: the ring of nginx' `hash … consistent`, and so of Cache::Memcached::Fast. (libmemcached's
/// takes MD5 where this takes CRC-32.)
///
/// For every key it chooses whom nginx chooses (`ngx_http_upstream_hash_module.c`), so that either
/// can stand in for the other in front of the same caches. For that,
///
/// - backends are *named* as nginx lists them, `host:port`;
/// - the flow's hash is [`ketama_hash`] of the bytes that nginx hashes: only the lower 32 bits of
///   [`Flow::hash`](crate::Flow::hash) count. With other hashes it is a consistent ring as well, but
///   they have to be even ones: keys 1, 2, 3 … would all fall on one backend.
///
/// ```
/// use std::sync::Arc;
/// use lb_core::scheduler::{Ketama, ketama_hash};
/// use lb_core::backend::BackendId;
/// use lb_core::{Backend, Director, Pool, Weight};
/// # use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};
/// # let (now, mut rng) = (std::time::Instant::now(), Xoshiro256PlusPlus::seed_from_u64(1));
///
/// let members = ["127.0.0.1:7777", "127.0.0.1:7778", "127.0.0.1:7779"].into_iter().zip(0..).map(
///     |(name, id)| (Arc::new(Backend::new(BackendId::new(id), name, ())), Weight::ONE),
/// );
/// let director = Director::<u64, ()>::new(Pool::new(members, &Ketama::new()));
/// let key = ketama_hash(b"doghash");
/// assert_eq!(director.assign(now, &key, &[], &mut rng)?.name(), "127.0.0.1:7778");
/// # Ok::<(), lb_core::pool::NoBackend>(())
/// ```
///
/// A backend owns 160 points per unit of weight: the CRC-32 of host, zero byte, port and the
/// previous point. A key belongs to the first point at or after its own CRC-32, around the ring. A
/// redispatched flow goes on to the next point of another backend, as nginx does.
///
/// # Where it differs
/// - Two points of one hash are one: nginx leaves it to the server listed first, this to the one
///   whose name has the lower stable hash, so that directors with other lists agree. That is about
///   one point in 2³² ÷ points.
/// - Above 2²⁰ points in all, which is a total weight of 6,553, all numbers of points are halved
///   until they are fewer (but nobody is left with less than one), where nginx takes the memory. A
///   pool that crosses that line moves clients of other backends too, once; [`Ring`](super::Ring)
///   has no such line.
/// - nginx looks at 20 points and then takes turns; this looks at 64, and then chooses among those
///   that are left as [`Rendezvous`](super::Rendezvous) does.
/// - Weight 0 owns no points; nginx refuses it in its configuration.
/// - nginx takes turns for keys of no bytes at all.
///
/// # Cost
/// As [`Ring`](super::Ring), at 9 bytes a point and without hashing the key again.
#[derive(Clone, Default)]
pub struct Ketama {
    points: Points<u32>,
}

impl Ketama {
    /// A ring of no members yet.
    pub fn new() -> Self {
        Self::default()
    }
}

const POINTS_PER_WEIGHT: u64 = 160;
const MOST_POINTS: u64 = 1 << 20;

/// The hash that nginx' `hash … consistent` takes of a key: its CRC-32. A
/// [`ClientKey`](crate::flow::ClientKey) for [`Ketama`] is this number itself, or returns it as its
/// `flow_hash`.
///
/// ```
/// assert_eq!(lb_core::scheduler::ketama_hash(b"123456789"), 0xcbf4_3926);
/// ```
pub const fn ketama_hash(key: &[u8]) -> u64 {
    !crc32(!0, key) as u64
}

/// Where the points of the backend of this name begin: the unfinished CRC-32 of `host`, zero byte,
/// `port`. The port is what digits there are behind the last colon; without one, and for
/// `unix:` paths, all is host.
pub(crate) fn seed(name: &str) -> u32 {
    let local = name.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("unix:"));
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (host, port) = match (local, name.rsplit_once(':')) {
        (Some(scheme), _) => (&name[scheme.len()..], ""),
        (None, Some((host, port))) if is_port(port) => (host, port),
        (None, _) => (name, ""),
    };
    [host.as_bytes(), &[0], port.as_bytes()].into_iter().fold(!0, crc32)
}

/// One table entry for each value of a byte: CRC-32 of IEEE 802.3, reflected, as in zlib.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// Goes on with an unfinished CRC-32.
const fn crc32(mut crc: u32, bytes: &[u8]) -> u32 {
    let mut next = 0;
    while next < bytes.len() {
        crc = (crc >> 8) ^ TABLE[((crc ^ bytes[next] as u32) & 0xff) as usize];
        next += 1;
    }
    crc
}

/// How many points each of the members owns: 160 for each unit of its weight; or half as many, and
/// so on, so that all together are not too many; but at least one.
fn counts(members: &[Member]) -> Vec<u32> {
    let points = |member: &Member| {
        u64::from(member.weight) * POINTS_PER_WEIGHT / u64::from(member.parts).max(1)
    };
    let total: u64 = members.iter().map(points).sum();
    let mut halvings = 0;
    while total >> halvings > MOST_POINTS {
        halvings += 1;
    }
    let least = |member: &Member| u64::from(member.weight).min(1);
    members.iter().map(|one| (points(one) >> halvings).max(least(one)) as u32).collect()
}

impl Consistent for Ketama {
    fn over(&self, members: &[Member]) -> Self {
        let counts = counts(members);
        let mut points = Vec::new();
        for index in in_order(members) {
            let member = &members[index as usize];
            let mut point = 0_u32;
            for _ in 0..counts[index as usize] {
                point = !crc32(member.ketama_seed, &point.to_le_bytes());
                points.push((point, index));
            }
        }
        // Stable: of equal points the first in the canonical order comes first, and stays.
        points.sort_by_key(|&(point, _)| point);
        points.dedup_by_key(|&mut (point, _)| point);
        Self { points: Points::new(points) }
    }

    #[inline]
    fn owner(&self, key: u64) -> Option<usize> {
        self.points.owner(key as u32)
    }

    fn first(
        &self,
        members: &[Member],
        key: u64,
        usable: impl Fn(&Member) -> bool,
    ) -> Option<usize> {
        let mut next = self.points.owners(key as u32).take(PROBES as usize);
        next.find(|&index| members.get(index).is_some_and(&usable))
            .or_else(|| rendezvous::first(members, key, usable))
    }
}

impl fmt::Debug for Ketama {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ketama").field("points", &self.points.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(host: &str, port: &str) -> u32 {
        let text = format!("{host}\0{port}");
        !(ketama_hash(text.as_bytes()) as u32)
    }

    #[test]
    fn hosts_and_ports_part_where_nginx_parts_them() {
        assert_eq!(seed("10.0.0.1:443"), of("10.0.0.1", "443"));
        assert_eq!(seed("[2001:db8::1]:80"), of("[2001:db8::1]", "80"));
        assert_eq!(seed("[2001:db8::1]"), of("[2001:db8::1]", ""));
        assert_eq!(seed("cache:http"), of("cache:http", ""));
        assert_eq!(seed("cache:"), of("cache", ""));
        assert_eq!(seed("cache"), of("cache", ""));
        assert_eq!(seed("unix:/run/cache:1"), of("/run/cache:1", ""));
        assert_eq!(seed("UNIX:/run/cache"), of("/run/cache", ""));
        assert_eq!(seed("8080"), of("8080", ""));
        assert_eq!(seed(""), of("", ""));
    }

    #[test]
    fn crc32_is_the_one_of_zlib() {
        assert_eq!(ketama_hash(b""), 0);
        assert_eq!(ketama_hash(b"The quick brown fox jumps over the lazy dog"), 0x414f_a339);
    }
}
