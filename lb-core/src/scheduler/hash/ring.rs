//! `sh`, `dh` and `ring`: a consistent-hashing ring.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};

use hashring::{DefaultHashBuilder, HashRing};

use super::points::Points;
use super::{Consistent, PROBES};
use crate::flow::stable_hash;
use crate::pool::Member;
use crate::scheduler::draw::draw;

/// `sh`, `dh` and `ring`: by the hash of the key, on a consistent-hashing ring.
///
/// Three names for one mapping, which say what the embedder hashes: the client's address, the
/// destination's, or anything. Only the caller knows what [`Flow::hash`](crate::Flow::hash) is the
/// hash of. (To a proxy the destination is the virtual server's own address, so that `dh` has all
/// of its flows on one backend; it is of use where many destinations share one pool, as in front of
/// transparent caches.)
///
/// IPVS' `sh` and `dh` (`ip_vs_sh.c`, `ip_vs_dh.c`) fill 256 buckets anew at every change, so that
/// nearly every client moves when one backend leaves. This one is consistent (Karger et al.,
/// *Consistent Hashing and Random Trees*, 1997): when a backend leaves, only its own clients move,
/// spread over all others; when one comes, clients only move to it. Within a pool of equals the
/// most loaded backend owns about 1.25 times its share.
///
/// A backend owns 160 points per unit of weight on the ring, where a unit is what the configured
/// weights have in common ([`Member::unit`]). Where that would come to more than
/// 2²⁰ points for the whole pool, all numbers of points are halved until it does not (but nobody
/// is left with less than one); a pool that crosses that line moves clients of other backends too,
/// once. A redispatched flow is hashed again together with the number of the attempt, so that the
/// clients of a backend that refuses spread over all others; where those together weigh next to
/// nothing it is drawn among them by its hash, O(n).
///
/// A pick looks up where the range of its leading bits begins on the ring and goes on from there: a
/// few steps, whatever the size. A rebuild hashes and sorts all p points, O(p log p); they take
/// 17 bytes each.
#[derive(Clone, Default)]
pub struct Ring {
    points: Points<u64>,
    /// Indices of all members, in the order of their places: the same in every director.
    order: Box<[u32]>,
}

const POINTS_PER_WEIGHT: u64 = 160;
const MOST_POINTS: u64 = 1 << 20;

/// A backend's place on the ring. Only what must agree between directors is hashed.
#[derive(Clone, Copy, Debug)]
struct Point {
    place: u64,
    number: u32,
    index: u32,
}

impl Point {
    fn hash(&self) -> u64 {
        DefaultHashBuilder.hash_one(self)
    }
}

impl Hash for Point {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Explicit big-endian bytes: integers hash in native order by themselves.
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.place.to_be_bytes());
        bytes[8..].copy_from_slice(&self.number.to_be_bytes());
        state.write(&bytes);
    }
}

impl Ring {
    /// A ring of no members yet.
    pub fn new() -> Self {
        Self::default()
    }

    #[inline]
    fn owner_at(&self, key: u64, attempt: u32) -> Option<usize> {
        self.points.owner(Point { place: key, number: attempt, index: 0 }.hash())
    }
}

/// How many points each of the members owns: 160 for each `whole` in its weight; or half as many,
/// and so on, so that all together are not too many; but at least one.
pub(super) fn counts(members: &[Member], whole: impl Fn(&Member) -> u64) -> Vec<u32> {
    let points =
        |member: &Member| u64::from(member.weight) * POINTS_PER_WEIGHT / whole(member).max(1);
    let total: u64 = members.iter().map(points).sum();
    let mut halvings = 0;
    while total >> halvings > MOST_POINTS {
        halvings += 1;
    }
    let least = |member: &Member| u64::from(member.weight).min(1);
    members.iter().map(|one| (points(one) >> halvings).max(least(one)) as u32).collect()
}

/// The indices of all members, in the order of their places: canonical, so that directors also
/// agree on which of two equal points comes first.
pub(super) fn in_order(members: &[Member]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..members.len() as u32).collect();
    order.sort_by_key(|&index| members[index as usize].place);
    order
}

impl Consistent for Ring {
    fn over(&self, members: &[Member]) -> Self {
        let order = in_order(members);
        let counts = counts(members, |one| u64::from(one.unit) * u64::from(one.parts));
        let points = order.iter().flat_map(|&index| {
            let member = &members[index as usize];
            let point = move |number| Point { place: member.place, number, index };
            (0..counts[index as usize]).map(point)
        });
        let mut ring = HashRing::new();
        ring.batch_add(points.collect());
        let points = ring.into_iter().map(|point| (point.hash(), point.index));
        Self { points: Points::new(points.collect()), order: order.into() }
    }

    #[inline]
    fn owner(&self, key: u64) -> Option<usize> {
        self.owner_at(key, 0)
    }

    fn first(
        &self,
        members: &[Member],
        key: u64,
        usable: impl Fn(&Member) -> bool,
    ) -> Option<usize> {
        let usable = |index: &usize| members.get(*index).is_some_and(&usable);
        let mut owners = (0..PROBES).map_while(|attempt| self.owner_at(key, attempt));
        owners.find(usable).or_else(|| {
            let all = self.order.iter().map(|&index| index as usize).filter(usable);
            draw(all, members, stable_hash(&key.to_be_bytes()))
        })
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("points", &self.points.len()).finish()
    }
}
