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
//!
//! [`Subset`] belongs inside the others: around them it may keep to backends of which none is of
//! the first priority, or of the own zone.

/// All of a [`Scheduler`] but `rebuild`, for one that has its members in `groups`.
macro_rules! ask_groups {
    () => {
        fn pick(
            &self,
            _: &[$crate::pool::Member],
            flow: &$crate::flow::Flow<'_>,
            rng: &mut dyn rand::Rng,
        ) -> Option<usize> {
            self.groups.pick(flow, rng)
        }

        fn is_timed(&self) -> bool {
            self.groups.prototype.is_timed()
        }

        fn is_keyed(&self) -> bool {
            self.groups.prototype.is_keyed()
        }
    };
}

mod priorities;
mod subset;
mod zones;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rand::Rng;

use super::Scheduler;
use super::draw::below;
use crate::flow::Flow;
use crate::hash::stir;
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
    /// If there are more than [`MOST_ABSENT`], those of the groups that have just gone.
    absent: BTreeMap<K, Arc<dyn Scheduler>>,
}

struct Group<K> {
    key: K,
    members: Box<[Member]>,
    /// Where each of them is among all.
    indices: Box<[u32]>,
    scheduler: Arc<dyn Scheduler>,
    /// Of all flows, those drawn below this in 2³²nds, and not below the one before it, begin here.
    end: u64,
}

/// Zones may be named anew for ever; there are no more priorities than this.
const MOST_ABSENT: usize = 256;

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
        let mut indices = BTreeMap::<K, Vec<u32>>::new();
        for (index, member) in (0..).zip(members) {
            indices.entry(key(member)).or_default().push(index);
        }
        let view =
            |indices: &[u32]| indices.iter().map(|&index| &members[index as usize]).collect();
        let views: Vec<_> =
            indices.iter().map(|(key, indices)| (key.clone(), view(indices))).collect();
        let shares = shares(&views);
        let total = shares.iter().sum::<u128>().max(1);

        let mut known = self.absent.clone();
        let present =
            self.groups.iter().map(|group| (group.key.clone(), Arc::clone(&group.scheduler)));
        known.extend(present.clone());
        let mut sum = 0;
        let groups = indices.into_iter().zip(shares).map(|((key, indices), share)| {
            sum += share;
            let members: Box<[_]> =
                indices.iter().map(|&index| members[index as usize].clone()).collect();
            let former = known.remove(&key);
            Group {
                key,
                scheduler: former.as_ref().unwrap_or(&self.prototype).rebuild(&members),
                members,
                indices: indices.into(),
                end: (sum * u128::from(WHOLE) / total) as u64,
            }
        });
        let groups: Box<[_]> = groups.collect();
        let mut absent = known;
        if absent.len() > MOST_ABSENT {
            absent =
                present.filter(|(key, _)| !groups.iter().any(|group| group.key == *key)).collect();
        }
        Self { salt: self.salt, prototype: Arc::clone(&self.prototype), groups, absent }
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
            group.indices.get(chosen).map(|&index| index as usize)
        };
        from(self.groups.get(first)?, rng).or_else(|| {
            let others = self.groups.iter().enumerate().filter(|&(index, _)| index != first);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Algorithm;
    use crate::backend::{Backend, BackendId};
    use crate::{Pool, Weight};

    #[test]
    fn names_that_never_come_back_are_not_kept_for_ever() {
        let members = |number: usize| {
            let backend = Backend::new(BackendId::new(0), "a", ());
            let pool = Pool::new([(Arc::new(backend), Weight::ONE)], &Priorities::around(rr()));
            (pool.members().to_vec(), format!("zone {number}"))
        };
        let mut groups = Groups::around(0, rr());
        for number in 0..2 * MOST_ABSENT {
            let (members, name) = members(number);
            groups = groups.over(&members, |_| name.clone(), |_| vec![1]);
            assert!(groups.absent.len() <= MOST_ABSENT);
            // Whoever was here just now is known.
            assert!(number == 0 || groups.absent.contains_key(&format!("zone {}", number - 1)));
        }
    }

    fn rr() -> Arc<dyn Scheduler> {
        Algorithm::Rr.scheduler()
    }
}
