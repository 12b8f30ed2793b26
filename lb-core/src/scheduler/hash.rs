//! `sh`: the same client to the same backend, without remembering anything.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hashring::HashRing;
use rand::Rng;

use super::Scheduler;
use crate::flow::Flow;
use crate::pool::Member;

/// `sh`: by the hash of the client, on a consistent-hashing ring.
///
/// IPVS' `sh` fills 256 buckets anew at every change, so that nearly every client moves when one
/// backend leaves. This one is consistent (Karger et al., *Consistent Hashing and Random Trees*,
/// 1997): when a backend leaves, only its own clients move, spread over all others; when one comes,
/// clients only move to it. Two directors with the same backends by name, in any order, agree on
/// every client. Within a pool of equals the most loaded backend owns about 1.25 times its share.
///
/// A backend owns 160 points per unit of weight on the ring. Where that would come to more than
/// 2²⁰ points for the whole pool, the number per unit is halved until it does not; a pool that
/// crosses that line moves clients of other backends too, once. A pick is a binary search,
/// O(log points). A redispatched flow is hashed again together with the number of the attempt, so
/// that the clients of a backend that refuses spread over all others.
#[derive(Clone)]
pub struct SourceHash {
    ring: Arc<HashRing<Point>>,
}

const POINTS_PER_WEIGHT: u64 = 160;
const MOST_POINTS: u64 = 1 << 20;
/// Beyond this many refusals in a row by luck of the hash, any usable member will do.
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
        Self { ring: Arc::default() }
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
        let mut per_weight = POINTS_PER_WEIGHT;
        while per_weight > 1 && total * per_weight > MOST_POINTS {
            per_weight /= 2;
        }
        let mut order: Vec<usize> = (0..members.len()).collect();
        // Canonical, so that directors also agree on which of two equal points comes first.
        order.sort_by_key(|&index| members[index].place);
        let points = order.into_iter().flat_map(|index| {
            let Member { weight, place, .. } = members[index];
            let numbers = 0..(u64::from(weight) * per_weight) as u32;
            numbers.map(move |number| Point { place, number, index: index as u32 })
        });
        let mut ring = HashRing::new();
        ring.batch_add(points.collect());
        Arc::new(Self { ring: Arc::new(ring) })
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, _: &mut dyn Rng) -> Option<usize> {
        let owner = |attempt| {
            let key = Point { place: flow.hash, number: attempt, index: 0 };
            self.ring.get(&key).map(|point| point.index as usize)
        };
        let usable = |index: &usize| members.get(*index).is_some_and(|one| flow.may_use(one));
        let mut owners = (0..REHASHES).map_while(owner);
        owners.find(usable).or_else(|| (0..members.len()).find(usable))
    }
}

impl fmt::Debug for SourceHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceHash").field("points", &self.ring.len()).finish()
    }
}
