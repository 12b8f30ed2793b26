//! Who served which destination: a table of a fixed size that pickers read and write without a lock.

use std::sync::Arc;
use std::time::Instant;

use super::moment::Moment;
use super::servers::Servers;
use crate::epoch::Epoch;
use crate::hash::stir;
use crate::scheduler::draw::below;
use crate::sync::{AtomicU64, Ordering};

/// Sets of a few entries each. A destination belongs to one set, and within it to any entry; who is
/// new there takes the place of one that was not asked for lately.
///
/// **Everything in it is a hint.** An entry's two words are written one after the other, so that a
/// reader in between, or two writers at once, may take the servers of one destination for those of
/// another, and of two changes one may be lost. The destination is then served by others than
/// before, which anybody may be, and that is all.
#[derive(Default)]
pub(super) struct Table {
    sets: Box<[Set]>,
    epoch: Arc<Epoch>,
}

/// Two cache lines; the second one is for who is found in the first.
#[derive(Default)]
#[repr(align(128))]
struct Set {
    labels: [AtomicU64; WAYS],
    servers: [AtomicU64; WAYS],
}

const WAYS: usize = 8;

#[derive(Clone, Copy)]
struct Entry<'a> {
    /// From the top: the tag of the destination, whether it was asked for lately, and the
    /// [`Moment`] of the last change.
    label: &'a AtomicU64,
    /// [`Servers`]; 0 if the entry is nobody's.
    servers: &'a AtomicU64,
}

/// What is known of a destination.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Known {
    pub(super) servers: Servers,
    /// When they were changed.
    pub(super) changed: Moment,
}

const LATELY: u64 = 1 << 32;
const TAG_SHIFT: u32 = 33;

impl Table {
    /// Room for so many destinations, or up to seven more.
    pub(super) fn with_room_for(destinations: usize) -> Self {
        let sets = (0..destinations.div_ceil(WAYS)).map(|_| Set::default());
        Self { sets: sets.collect(), epoch: Arc::default() }
    }

    /// The moment of `now`. Unknown if that is, and while another thread sets the first one.
    pub(super) fn moment(&self, now: Option<Instant>) -> Moment {
        now.and_then(|now| self.epoch.begin(now)).map(Moment::after).unwrap_or_default()
    }

    /// What is known of `destination`, which is hereby asked for.
    #[inline]
    pub(super) fn find(&self, destination: u64) -> Option<Known> {
        let (set, tag) = self.locate(destination)?;
        let (entry, label, servers) = set.find(tag)?;
        if label & LATELY == 0 {
            entry.label.fetch_or(LATELY, Ordering::Relaxed);
        }
        Some(Known { servers, changed: Moment::from_bits(label as u32) })
    }

    /// From now on `known` is what is known of `destination`. That nobody serves it is not worth an
    /// entry.
    pub(super) fn store(&self, destination: u64, known: Known) {
        let Some((set, tag)) = self.locate(destination) else { return };
        if known.servers.is_empty() {
            return;
        }
        let found = set.find(tag).map(|(entry, ..)| entry);
        let Some(entry) = found.or_else(|| set.vacate()) else { return };
        entry.servers.store(known.servers.pack(), Ordering::Relaxed);
        let label = tag | LATELY | u64::from(known.changed.to_bits());
        entry.label.store(label, Ordering::Relaxed);
    }

    /// This table with everybody's index replaced, or forgotten where there is none.
    pub(super) fn renumbered(&self, new: impl Fn(usize) -> Option<usize>) -> Self {
        let same = |label: &AtomicU64| AtomicU64::new(label.load(Ordering::Relaxed));
        let renumber = |servers: &AtomicU64| {
            let servers = Servers::unpack(servers.load(Ordering::Relaxed));
            AtomicU64::new(servers.iter().filter_map(&new).collect::<Servers>().pack())
        };
        let sets = self.sets.iter().map(|set| Set {
            labels: set.labels.each_ref().map(same),
            servers: set.servers.each_ref().map(renumber),
        });
        Self { sets: sets.collect(), epoch: Arc::clone(&self.epoch) }
    }

    /// The set of `destination`, and its tag there, where labels have it.
    #[inline]
    fn locate(&self, destination: u64) -> Option<(&Set, u64)> {
        // Stirred: those of embedders need not be even. The set is chosen by the upper bits.
        let hash = stir(destination);
        let set = self.sets.get(below(hash, self.sets.len() as u64) as usize)?;
        Some((set, hash << TAG_SHIFT))
    }
}

impl Set {
    fn entries(&self) -> impl Iterator<Item = Entry<'_>> + Clone {
        self.labels.iter().zip(&self.servers).map(|(label, servers)| Entry { label, servers })
    }

    #[inline]
    fn find(&self, tag: u64) -> Option<(Entry<'_>, u64, Servers)> {
        self.entries().find_map(|entry| {
            let label = entry.label.load(Ordering::Relaxed);
            if (label ^ tag) >> TAG_SHIFT != 0 {
                return None;
            }
            let servers = Servers::unpack(entry.servers.load(Ordering::Relaxed));
            (!servers.is_empty()).then_some((entry, label, servers))
        })
    }

    /// An entry for somebody new: a free one, else the first that was not asked for lately. If all
    /// were, that is from now on too long ago for all of them.
    fn vacate(&self) -> Option<Entry<'_>> {
        let free = |entry: &Entry<'_>| entry.servers.load(Ordering::Relaxed) == 0;
        let stale = |entry: &Entry<'_>| entry.label.load(Ordering::Relaxed) & LATELY == 0;
        let found = self.entries().find(free).or_else(|| self.entries().find(stale));
        found.or_else(|| {
            for label in &self.labels {
                label.fetch_and(!LATELY, Ordering::Relaxed);
            }
            self.entries().next()
        })
    }
}

#[cfg(all(test, lb_loom))]
pub(crate) mod model {
    use loom::thread;

    use super::*;

    fn served_by(index: usize) -> Known {
        Known { servers: Servers::default().with(index), changed: Moment::default() }
    }

    /// Which of the two comes first in the end loom leaves open, as it lets a store come between the
    /// two halves of a `fetch_or`.
    #[test]
    fn who_is_asked_for_while_it_makes_room_is_served_by_the_old_or_the_new() {
        crate::model::explore(|| {
            let table = Arc::new(Table::with_room_for(WAYS));
            // The ninth finds that all were asked for lately, and takes the place of the first.
            (0..9)
                .for_each(|destination| table.store(destination, served_by(destination as usize)));
            let other = Arc::clone(&table);
            let thread = thread::spawn(move || other.find(1));
            table.store(9, served_by(9));
            for known in [thread.join().unwrap(), table.find(1), table.find(9)] {
                assert!(
                    [None, Some(served_by(1)), Some(served_by(9))].contains(&known),
                    "{known:?}"
                );
            }
            for destination in 2..9 {
                let known = table.find(destination);
                assert!(known.is_none_or(|known| known == served_by(destination as usize)));
            }
        });
    }

    #[test]
    fn of_two_that_are_new_one_is_known_at_least() {
        crate::model::explore(|| {
            let table = Arc::new(Table::with_room_for(WAYS));
            let other = Arc::clone(&table);
            let thread = thread::spawn(move || other.store(1, served_by(1)));
            table.store(2, served_by(2));
            thread.join().unwrap();
            let known = [1, 2].map(|destination| table.find(destination));
            assert!(known.iter().any(Option::is_some));
            // Of both, the one may have got the other's servers; never anybody else's.
            let stored = [served_by(1), served_by(2)];
            assert!(known.iter().flatten().all(|known| stored.contains(known)), "{known:?}");
            for destination in [1, 2] {
                table.store(destination, served_by(3));
                assert_eq!(table.find(destination), Some(served_by(3)));
            }
        });
    }
}

#[cfg(all(test, not(lb_loom)))]
mod tests {
    use super::*;

    fn served_by(index: usize) -> Known {
        Known { servers: Servers::default().with(index), changed: Moment::default() }
    }

    #[test]
    fn a_set_is_two_cache_lines() {
        assert_eq!(size_of::<Set>(), 128);
    }

    #[test]
    fn what_fits_is_known() {
        let table = Table::with_room_for(16_384);
        for destination in 0..4_096 {
            assert_eq!(table.find(destination), None);
            table.store(destination, served_by(destination as usize % 7));
        }
        let kept = |&key: &u64| table.find(key) == Some(served_by(key as usize % 7));
        // A quarter of the room is taken: nearly no eight places have more than eight to serve.
        assert!((0..4_096).filter(kept).count() > 4_090);
    }

    #[test]
    fn who_is_new_takes_the_place_of_one_not_asked_for_lately() {
        let table = Table::with_room_for(WAYS);
        for destination in 0..8 {
            table.store(destination, served_by(destination as usize));
        }
        // All were asked for lately: one goes, and nobody was from now on.
        table.store(8, served_by(8));
        assert_eq!(table.find(0), None);
        assert_eq!(table.find(1), Some(served_by(1)));
        // So it is the turn of the one after the one that was asked for.
        table.store(9, served_by(9));
        assert_eq!(table.find(2), None);
        for destination in [1, 3, 4, 5, 6, 7, 8, 9] {
            assert_eq!(table.find(destination), Some(served_by(destination as usize)));
        }
    }

    #[test]
    fn without_room_nothing_is_known() {
        let table = Table::with_room_for(0);
        table.store(1, served_by(1));
        assert_eq!(table.find(1), None);
    }

    #[test]
    fn members_change_their_numbers_or_die() {
        let table = Table::with_room_for(64);
        table.store(1, served_by(0));
        table.store(2, Known { servers: [0, 1, 2].into_iter().collect(), ..Known::default() });
        let renumbered = table.renumbered(|index| [None, Some(5), Some(0)][index]);
        assert_eq!(renumbered.find(1), None);
        let known = renumbered.find(2).unwrap();
        assert_eq!(known.servers.iter().collect::<Vec<_>>(), [5, 0]);
        assert_eq!(table.find(1), Some(served_by(0)), "the old one stays as it was");
    }
}
