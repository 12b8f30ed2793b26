//! `sh`: the same client to the same backend, without remembering anything.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hashring::HashRing;
use rand::Rng;

use super::{Scheduler, draw};
use crate::flow::{Flow, stable_hash};
use crate::member::Member;

/// `sh`: by the hash of the client, on a consistent-hashing ring.
///
/// IPVS' `sh` fills 256 buckets anew at every change, so that nearly every client moves when one
/// backend leaves. This one is consistent (Karger et al., *Consistent Hashing and Random Trees*,
/// 1997): when a backend leaves, only its own clients move, spread over all others; when one comes,
/// clients only move to it. Two directors with the same backends by name, in any order, agree on
/// every client. Within a pool of equals the most loaded backend owns about 1.25 times its share.
///
/// A backend owns 160 points per unit of weight on the ring. Where that would come to more than
/// 2²⁰ points for the whole pool, all numbers of points are halved until it does not (but nobody
/// is left with less than one); a pool that crosses that line moves clients of other backends too,
/// once. A pick is a binary search, O(log points). A redispatched flow is hashed again together
/// with the number of the attempt, so that the clients of a backend that refuses spread over all
/// others; where those together weigh next to nothing it is drawn among them by its hash, O(n).
#[derive(Clone)]
pub struct SourceHash {
    ring: Arc<HashRing<Point>>,
    /// Indices of all members, in the order of their places: the same in every director.
    order: Arc<[u32]>,
}

const POINTS_PER_WEIGHT: u64 = 160;
const MOST_POINTS: u64 = 1 << 20;
/// After this many hashes that all fell on members that are no use, the ring is given up.
const REHASHES: u32 = 64;

/// A backend's place on the ring. Only what must agree between directors is hashed.
#[derive(Clone, Copy, Debug)]
struct Point {
    place: u64,
    number: u32,
    index: u32,
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

impl SourceHash {
    /// A ring of no members yet.
    pub fn new() -> Self {
        Self { ring: Arc::default(), order: Arc::default() }
    }
}

impl Default for SourceHash {
    fn default() -> Self {
        Self::new()
    }
}

impl Scheduler for SourceHash {
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        let total: u64 = members.iter().map(|member| u64::from(member.weight)).sum();
        let mut halvings = 0;
        while (total * POINTS_PER_WEIGHT) >> halvings > MOST_POINTS {
            halvings += 1;
        }
        let mut order: Vec<u32> = (0..members.len() as u32).collect();
        // Canonical, so that directors also agree on which of two equal points comes first.
        order.sort_by_key(|&index| members[index as usize].place);
        let points = order.iter().flat_map(|&index| {
            let Member { weight, place, .. } = members[index as usize];
            let least = u64::from(!weight.is_zero());
            let count = ((u64::from(weight) * POINTS_PER_WEIGHT) >> halvings).max(least);
            (0..count as u32).map(move |number| Point { place, number, index })
        });
        let mut ring = HashRing::new();
        ring.batch_add(points.collect());
        Arc::new(Self { ring: Arc::new(ring), order: order.into() })
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, _: &mut dyn Rng) -> Option<usize> {
        let owner = |attempt| {
            let key = Point { place: flow.hash, number: attempt, index: 0 };
            self.ring.get(&key).map(|point| point.index as usize)
        };
        let usable = |index: &usize| members.get(*index).is_some_and(|one| flow.may_use(one));
        let mut owners = (0..REHASHES).map_while(owner);
        owners.find(usable).or_else(|| {
            let all = self.order.iter().map(|&index| index as usize).filter(usable);
            draw(all, members, stable_hash(&flow.hash.to_be_bytes()))
        })
    }
}

impl fmt::Debug for SourceHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceHash").field("points", &self.ring.len()).finish()
    }
}
