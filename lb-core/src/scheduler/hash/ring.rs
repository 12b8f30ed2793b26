//! `sh`, `dh` and `ring`: a consistent-hashing ring.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};

use hashring::{DefaultHashBuilder, HashRing};

use super::points::Points;
use super::{Consistent, PROBES};
use crate::hash::stable_hash;
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
/// *Consistent Hashing and Random Trees*, 1997): when a backend leaves or loses weight, only its own
/// clients move, spread over all others; when one comes or gains weight, clients only move to it.
/// That holds for any weights and any number of backends, and nothing is remembered: a director that
/// was just started agrees with one that was reconfigured a hundred times.
///
/// A backend owns 160 points on the ring, whatever its weight, and a key belongs to the point ahead
/// of it that is least far away *for its weight*: one of weight 3 counts from three times as far
/// (the linear method of Schindelhauer and Schomaker, *Weighted Distributed Hash Tables*, 2005). It
/// is as if each had 160 points per unit of weight, without their number, which would have to be cut
/// down for all as soon as somebody's weight is large. Only the proportions of weights count, so
/// that 100 and 200 make the same map as 1 and 2. Among equals it is the usual ring, on which the
/// most loaded of ten backends owns about 1.2 times its share, and of a thousand 1.3 times.
///
/// A redispatched flow is hashed again together with the number of the attempt, so that the
/// clients of a backend that refuses spread over all others; where those together weigh next to
/// nothing it is drawn among them by its hash, O(n).
///
/// Whose each range of keys is, is worked out once. A pick looks up where the range of its leading
/// bits begins and goes on from there: a few steps, whatever the size. A rebuild hashes and sorts all
/// 160 n points, O(n log n); they take 17 bytes each, or twice that where weights differ.
#[derive(Clone, Default)]
pub struct Ring {
    ranges: Points<u64>,
    /// Indices of all members, in the order of their places: the same in every director.
    order: Box<[u32]>,
}

const POINTS: u32 = 160;

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
        self.ranges.owner(Point { place: key, number: attempt, index: 0 }.hash())
    }
}

/// The indices of all members, in the order of their places: canonical, so that directors also
/// agree on which of two equal points comes first.
pub(super) fn in_order(members: &[Member]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..members.len() as u32).collect();
    order.sort_by_key(|&index| members[index as usize].place);
    order
}

/// A point ahead of where a [`Walk`] is, which may own keys there.
#[derive(Clone, Copy)]
struct Ahead {
    /// Counted on over the turns.
    position: i128,
    owner: u32,
    weight: i128,
    /// From here on backwards, the next one further ahead is nearer for its weight. None if that
    /// never is.
    until: Option<i128>,
}

impl Ahead {
    /// From where on backwards `further`, which is heavier, is nearer for its weight. Where both are
    /// as near, the key is this one's.
    fn overtaken_by(&self, further: &Self) -> i128 {
        // At the distance d: (lead + d) / further.weight < d / self.weight.
        let lead = further.position - self.position;
        self.position - (lead * self.weight / (further.weight - self.weight) + 1)
    }
}

/// Whose the keys are, from the end of the ring to its beginning: the lower envelope of all points'
/// distances for their weights, in integers, and so the same everywhere.
#[derive(Default)]
struct Walk {
    /// Those that own keys now or will further back: each is heavier than the one before, overtakes
    /// it sooner or later, and is overtaken itself after that. The nearest is the last.
    ahead: Vec<Ahead>,
    /// Ends and owners of the ranges, the last one first.
    ranges: Vec<(u64, u32)>,
}

impl Walk {
    /// Goes back to a point, which owns the key that is there.
    fn meet(&mut self, position: i128, owner: u32, weight: i128) {
        self.go_back_to(position);
        let mut point = Ahead { position, owner, weight, until: None };
        while let Some(further) = self.ahead.last() {
            if further.weight > weight {
                let until = point.overtaken_by(further);
                if further.until.is_none_or(|end| end < until) {
                    point.until = Some(until);
                    break;
                }
            }
            // Never nearer for its weight than this one; or not until others are nearer than both.
            self.ahead.pop();
        }
        self.ahead.push(point);
        self.own(position, owner);
    }

    /// Goes back, handing on what is overtaken before `position`.
    fn go_back_to(&mut self, position: i128) {
        while let Some(until) = self.ahead.last().and_then(|nearest| nearest.until)
            && until > position
        {
            self.ahead.pop();
            if let Some(&Ahead { owner, .. }) = self.ahead.last() {
                self.own(until, owner);
            }
        }
    }

    /// From `end` on backwards, keys are this owner's.
    fn own(&mut self, end: i128, owner: u32) {
        // What is beyond the ring decides only who owns its last range.
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        self.ranges.pop_if(|last| last.0 == end);
        if self.ranges.last().is_none_or(|last| last.1 != owner) {
            self.ranges.push((end, owner));
        }
    }
}

/// The ends of the ranges of keys, in order, and whose they are. O(points).
fn ranges(points: &[(u64, u32)], members: &[Member]) -> Vec<(u64, u32)> {
    const TURN: i128 = 1 << 64;
    let mut walk = Walk::default();
    // Twice around: after a whole turn, everybody who is ahead has been met.
    for turn in [TURN, 0] {
        for &(position, owner) in points.iter().rev() {
            let weight = members[owner as usize].weight.value();
            walk.meet(i128::from(position) + turn, owner, weight.into());
        }
    }
    walk.go_back_to(-1);
    walk.ranges.reverse();
    walk.ranges
}

impl Consistent for Ring {
    fn over(&self, members: &[Member]) -> Self {
        let order = in_order(members);
        let takes_flows = |index: &&u32| !members[**index as usize].weight.is_zero();
        let points = order.iter().filter(takes_flows).flat_map(|&index| {
            let place = members[index as usize].place;
            (0..POINTS).map(move |number| Point { place, number, index })
        });
        let mut ring = HashRing::new();
        ring.batch_add(points.collect());
        let points: Vec<_> = ring.into_iter().map(|point| (point.hash(), point.index)).collect();
        Self { ranges: Points::new(ranges(&points, members)), order: order.into() }
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
        f.debug_struct("Ring").field("ranges", &self.ranges.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{prop_assert_eq, prop_oneof, proptest};

    use super::*;
    use crate::backend::{Backend, BackendId};
    use crate::pool::Pool;
    use crate::scheduler::First;
    use crate::weight::Weight;

    /// Whose a key is: asked of every point.
    fn nearest(points: &[(u64, u32)], weights: &[u16], key: u64) -> Option<u32> {
        let distance = |position: u64| u128::from(position.wrapping_sub(key));
        let weight = |owner: u32| u128::from(weights[owner as usize]);
        let order = |one: &&(u64, u32), other: &&(u64, u32)| {
            let (here, there) = (distance(one.0), distance(other.0));
            let costs = (here * weight(other.1)).cmp(&(there * weight(one.1)));
            costs.then(here.cmp(&there)).then(one.1.cmp(&other.1))
        };
        points.iter().min_by(order).map(|&(_, owner)| owner)
    }

    proptest! {
        #[test]
        fn keys_belong_to_the_nearest_for_its_weight(
            points in vec((prop_oneof![0..40_u64, 0..=u64::MAX, u64::MAX - 9..=u64::MAX], 0..5_u32), 1..40),
            weights in vec(prop_oneof![1..4_u16, 1..=u16::MAX], 5),
            keys in vec(prop_oneof![0..=u64::MAX, 0..50_u64], 30),
        ) {
            let mut points = points;
            points.sort_unstable();
            let backends = weights.iter().zip(0..).map(|(&weight, id)| {
                (Backend::new(BackendId::new(id), id.to_string(), ()).into(), Weight::new(weight))
            });
            let pool = Pool::new(backends.collect::<Vec<_>>(), &First::new());
            let ranges = Points::new(ranges(&points, pool.members()));
            let near = points.iter().flat_map(|&(position, _)| {
                [position.wrapping_sub(1), position, position.wrapping_add(1)]
            });
            for key in keys.into_iter().chain(near) {
                let owner = nearest(&points, &weights, key).map(|owner| owner as usize);
                prop_assert_eq!(ranges.owner(key), owner, "{}", key);
            }
        }
    }

    /// The greatest share of the ring, in shares of a fair one.
    fn greatest_share(backends: u32) -> f64 {
        let members = (0..backends).map(|id| {
            let backend = Backend::new(BackendId::new(id), format!("10.0.0.{id}:80"), ());
            (backend.into(), Weight::ONE)
        });
        let pool = Pool::new(members.collect::<Vec<_>>(), &First::new());
        let points = (0..backends).flat_map(|index| {
            let place = pool.members()[index as usize].place;
            (0..POINTS).map(move |number| Point { place, number, index })
        });
        let mut points: Vec<_> = points.map(|point| (point.hash(), point.index)).collect();
        points.sort_unstable();
        let mut owned = vec![0; backends as usize];
        let mut begin = points.last().map(|last| last.0).unwrap();
        for (end, owner) in points {
            owned[owner as usize] += u128::from(end.wrapping_sub(begin));
            begin = end;
        }
        let most = owned.into_iter().max().unwrap() as f64;
        most * f64::from(backends) / 2_f64.powi(64)
    }

    #[test]
    fn nobody_owns_much_more_than_a_fair_share() {
        for (backends, most) in [(10, 1.25), (100, 1.3), (1000, 1.35)] {
            let share = greatest_share(backends);
            assert!((1.0..most).contains(&share), "{share} of {backends}");
        }
    }
}
