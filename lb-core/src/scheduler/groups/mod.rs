//! One scheduler for each of several groups of members, and who decides between the groups.
//!
//! | type | groups | a flow goes |
//! |---|---|---|
//! | [`Priorities`] | the backends of one priority | to the first group that has enough alive, in parts to the next |
//! | [`Zones`] | the backends of one zone | to the zone of this balancer, as far as that can carry it |
//! | [`Subset`] | some backends, and the rest | to the few that this instance keeps to |
//!
//! Each of them is itself a [`Scheduler`], around any other one; so they go into each other, too. A
//! group in which nobody can take a flow hands it on to the others, in their order.

mod priorities;
mod subset;
mod zones;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rand::Rng;

use super::Scheduler;
use super::draw::below;
use super::hash::stir;
use crate::flow::Flow;
use crate::pool::Member;

pub use priorities::Priorities;
pub use subset::Subset;
pub use zones::Zones;

/// The members in groups by `K`, each under a scheduler of its own.
struct Groups<K> {
    /// Another one for each kind of grouping: the hash bits that split flows between groups must not
    /// be those that split them again within one.
    salt: u64,
    /// What schedules a group that was never there before.
    prototype: Arc<dyn Scheduler>,
    /// In the order in which they are tried.
    groups: Box<[Group<K>]>,
    /// The schedulers of groups that are not there now: their rotation goes on when they are back.
    absent: BTreeMap<K, Arc<dyn Scheduler>>,
}

struct Group<K> {
    key: K,
    members: Box<[Member]>,
    /// Where each of them is among all.
    places: Box<[u32]>,
    scheduler: Arc<dyn Scheduler>,
    /// Of all flows, those drawn below this in 2³²nds, and not below the one before it, begin here.
    end: u64,
}

/// All flows.
const WHOLE: u64 = 1 << 32;

impl<K: Clone + Ord> Groups<K> {
    fn around(salt: u64, prototype: Arc<dyn Scheduler>) -> Self {
        Self { salt, prototype, groups: Box::default(), absent: BTreeMap::new() }
    }

    /// The same over other members, grouped by `key`, tried in the order of the keys. `shares` gives
    /// each group its part of all flows, in any unit below 2⁹⁶; if nobody gets any, all of them
    /// begin in the first.
    fn over(
        &self,
        members: &[Member],
        key: impl Fn(&Member) -> K,
        shares: impl FnOnce(&[(K, Vec<&Member>)]) -> Vec<u128>,
    ) -> Self {
        let mut places = BTreeMap::<K, Vec<u32>>::new();
        for (place, member) in (0..).zip(members) {
            places.entry(key(member)).or_default().push(place);
        }
        let view = |places: &[u32]| places.iter().map(|&place| &members[place as usize]).collect();
        let views: Vec<_> =
            places.iter().map(|(key, places)| (key.clone(), view(places))).collect();
        let shares = shares(&views);
        let total = shares.iter().sum::<u128>().max(1);

        let mut known = self.absent.clone();
        let present = self.groups.iter();
        known.extend(present.map(|group| (group.key.clone(), Arc::clone(&group.scheduler))));
        let mut sum = 0;
        let groups = places.into_iter().zip(shares).map(|((key, places), share)| {
            sum += share;
            let members: Box<[_]> =
                places.iter().map(|&place| members[place as usize].clone()).collect();
            let former = known.remove(&key);
            Group {
                key,
                scheduler: former.as_ref().unwrap_or(&self.prototype).rebuild(&members),
                members,
                places: places.into(),
                end: (sum * u128::from(WHOLE) / total) as u64,
            }
        });
        let groups = groups.collect();
        Self { salt: self.salt, prototype: Arc::clone(&self.prototype), groups, absent: known }
    }

    /// A member of the group that is drawn; if nobody there may take the flow, of the first other
    /// one where somebody may.
    fn pick(&self, flow: &Flow<'_>, rng: &mut dyn Rng) -> Option<usize> {
        let first = self.draw(flow, rng);
        let from = |group: &Group<K>, rng: &mut dyn Rng| {
            let chosen = group.scheduler.pick(&group.members, flow, rng)?;
            // Of a scheduler that points beyond its members nothing can be said.
            let member = group.members.get(chosen)?;
            // What was computed beforehand does not know of limits; another group may have room.
            let full = member.load.is_full();
            let chosen = match full {
                true => group.scheduler.pick(&group.members, &flow.minding_limits(), rng)?,
                false => chosen,
            };
            group.places.get(chosen).map(|&place| place as usize)
        };
        from(self.groups.get(first)?, rng).or_else(|| {
            let others = self.groups.iter().enumerate().filter(|&(place, _)| place != first);
            others.map(|(_, group)| group).find_map(|group| from(group, rng))
        })
    }

    /// The group that a flow begins with: by its hash, if that decides among members as well.
    fn draw(&self, flow: &Flow<'_>, rng: &mut dyn Rng) -> usize {
        // Usually one of them takes all: nothing is drawn then.
        match self.groups.iter().position(|group| group.end > 0) {
            Some(first) if self.groups[first].end < WHOLE => {
                let bits = match self.prototype.is_keyed() {
                    true => stir(stir(flow.hash) ^ self.salt),
                    false => rng.next_u64(),
                };
                let drawn = below(bits, WHOLE);
                self.groups.partition_point(|group| group.end <= drawn)
            }
            first => first.unwrap_or(0),
        }
    }
}

impl<K: fmt::Debug> fmt::Debug for Groups<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.groups.iter().map(|group| (&group.key, &group.scheduler)))
            .finish()
    }
}
