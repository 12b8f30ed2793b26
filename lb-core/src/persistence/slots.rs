//! The entries themselves, each in a group of slots that its key's hash chooses.

use crate::backend::BackendId;

const SLOTS: usize = 15;
/// How many a group holds when the table is full. Every twentieth client is then beyond its group.
const MEAN: usize = 13;
/// The piece of no hash.
const EMPTY: u8 = u8::MAX;
/// Who makes room is looked for among so many at least.
const CHOICE: usize = 8;

/// In `flows`: the entry is there only for its flows, and belongs nowhere.
const HOMELESS: u32 = 1 << 31;

/// A remembered client.
pub(super) struct Entry<K> {
    key: K,
    backend: BackendId,
    stamp: u32,
    /// How many open flows hold it in its slot (for 2³¹ there is no memory), and if any do perhaps
    /// [`HOMELESS`].
    flows: u32,
}

impl<K> Entry<K> {
    #[inline]
    pub(super) const fn key(&self) -> &K {
        &self.key
    }

    #[inline]
    pub(super) const fn backend(&self) -> BackendId {
        self.backend
    }

    /// The tick in which it was last used.
    #[inline]
    pub(super) const fn stamp(&self) -> u32 {
        self.stamp
    }

    /// Whether flows hold it: it is in use all the time, and stays in its slot.
    #[inline]
    pub(super) const fn is_held(&self) -> bool {
        self.flows > 0
    }

    /// Whether it would have left if no flow held it.
    #[inline]
    pub(super) const fn is_homeless(&self) -> bool {
        self.flows & HOMELESS > 0
    }
}

/// Half a cache line if the key is an IP address (of 17 bytes) or smaller.
#[repr(align(32))]
struct Slot<K>(Option<Entry<K>>);

/// What is to be known of a group's slots before one of them is looked at: for a million clients,
/// all groups together are little more than a near cache holds.
///
/// Who finds its group full moves on to the next one, and every group that was passed counts it. A
/// look-up therefore knows where to stop without tombstones.
///
/// One number: a byte for each slot, with a piece of its key's hash so that hardly any is looked at in
/// vain, and above them how many passed on their way to another group. When that cannot be counted any
/// more, it stays.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(align(16))]
struct Group(u128);

impl Group {
    const PASSED: u32 = 8 * SLOTS as u32;
    const PIECES: u128 = (1 << Self::PASSED) - 1;
    const VACANT: Self = Self(Self::PIECES);

    /// A bit for each slot that has this piece.
    #[inline]
    const fn candidates(self, piece: u8) -> u16 {
        equal_bytes(self.0 as u64, piece) | (equal_bytes((self.0 >> 64) as u64, piece) & 0x7F) << 8
    }

    #[inline]
    fn pieces(self) -> impl Iterator<Item = u8> {
        self.0.to_le_bytes().into_iter().take(SLOTS)
    }

    const fn set(&mut self, slot: usize, piece: u8) {
        let place = 8 * slot as u32;
        self.0 = self.0 & !(0xFF << place) | (piece as u128) << place;
    }

    #[inline]
    const fn passed(self) -> u8 {
        (self.0 >> Self::PASSED) as u8
    }

    /// One more passed.
    const fn pass(&mut self) {
        if self.passed() < u8::MAX {
            self.0 += 1 << Self::PASSED;
        }
    }

    /// One less passed, if they could be counted.
    const fn take_back(&mut self) {
        if self.passed() < u8::MAX {
            self.0 -= 1 << Self::PASSED;
        }
    }
}

/// A bit for each of the eight bytes that is this one: they are compared as one number, each of them
/// below its neighbour's carry, and the bits that tell are brought together by a multiplication.
#[inline]
const fn equal_bytes(bytes: u64, one: u8) -> u16 {
    const LOW: u64 = u64::MAX / 0xFF * 0x7F;
    let differences = bytes ^ (u64::MAX / 0xFF * one as u64);
    let highest = !(((differences & LOW) + LOW) | differences | LOW);
    ((highest >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u16
}

/// The slots whose bits are set.
#[inline]
fn slots_in(mut bits: u16) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let slot = (bits != 0).then(|| bits.trailing_zeros() as usize);
        bits &= bits.wrapping_sub(1);
        slot
    })
}

/// A hash table in one allocation of fixed size, in which nothing moves.
pub(super) struct Slots<K> {
    groups: Box<[Group]>,
    slots: Box<[Slot<K>]>,
    capacity: usize,
    count: usize,
    /// The tick of the latest use of anything.
    used: u32,
}

impl<K: Eq> Slots<K> {
    pub(super) fn new(capacity: usize) -> Self {
        let groups = capacity.div_ceil(MEAN).max(1);
        Self {
            groups: vec![Group::VACANT; groups].into(),
            slots: (0..groups * SLOTS).map(|_| Slot(None)).collect(),
            capacity,
            count: 0,
            used: 0,
        }
    }

    /// The slot of the client with this hash.
    #[inline]
    pub(super) fn find(&self, hash: u64, key: &K) -> Option<usize> {
        let (home, piece) = (self.home(hash), piece(hash));
        let found = self.find_in(home, piece, key);
        if found.is_some() || self.groups[home].passed() == 0 {
            return found;
        }
        self.find_beyond(home, piece, key)
    }

    #[inline]
    fn find_in(&self, group: usize, piece: u8, key: &K) -> Option<usize> {
        let has_key =
            |&slot: &usize| self.slots[slot].0.as_ref().is_some_and(|entry| entry.key == *key);
        let candidates = slots_in(self.groups[group].candidates(piece));
        candidates.map(|slot| group * SLOTS + slot).find(has_key)
    }

    /// Apart, so that nearly every look-up is short.
    #[inline(never)]
    fn find_beyond(&self, home: usize, piece: u8, key: &K) -> Option<usize> {
        for group in self.groups_after(home) {
            let found = self.find_in(group, piece, key);
            if found.is_some() || self.groups[group].passed() == 0 {
                return found;
            }
        }
        None
    }

    /// Adds an entry that is not there yet, to a table that is not full.
    pub(super) fn insert(&mut self, hash: u64, key: K, backend: BackendId, stamp: u32) -> usize {
        let mut group = self.home(hash);
        let place = loop {
            let here = &mut self.groups[group];
            if let Some(free) = slots_in(here.candidates(EMPTY)).next() {
                here.set(free, piece(hash));
                break free;
            }
            // There are more slots than entries, so that this comes to an end.
            here.pass();
            group = self.after(group);
        };
        let slot = group * SLOTS + place;
        self.slots[slot].0 = Some(Entry { key, backend, stamp, flows: 0 });
        self.count += 1;
        self.used = stamp;
        slot
    }

    /// Takes an entry out that was added under this hash and that no flow holds.
    pub(super) fn remove(&mut self, hash: u64, slot: usize) {
        let mut group = self.home(hash);
        while group != slot / SLOTS {
            self.groups[group].take_back();
            group = self.after(group);
        }
        self.groups[group].set(slot % SLOTS, EMPTY);
        self.slots[slot].0 = None;
        self.count -= 1;
    }

    /// Notes that an entry was used, and says whose it is.
    #[inline]
    pub(super) fn touch(&mut self, slot: usize, stamp: u32) -> Option<BackendId> {
        self.used = stamp;
        let entry = self.slots[slot].0.as_mut()?;
        entry.stamp = stamp;
        Some(entry.backend)
    }

    /// One more flow holds an entry.
    pub(super) fn hold(&mut self, slot: usize) {
        if let Some(entry) = &mut self.slots[slot].0 {
            entry.flows += 1;
        }
    }

    /// One flow less holds an entry. Whether it is homeless and held by none, and so has to leave.
    pub(super) fn release(&mut self, slot: usize) -> bool {
        let Some(entry) = &mut self.slots[slot].0 else { return false };
        if entry.flows & !HOMELESS > 0 {
            entry.flows -= 1;
        }
        let is_over = entry.flows == HOMELESS;
        if is_over {
            entry.flows = 0;
        }
        is_over
    }

    /// Takes an entry's backend from it that flows hold in its slot.
    pub(super) fn evict(&mut self, slot: usize) {
        if let Some(entry) = &mut self.slots[slot].0 {
            entry.flows |= HOMELESS;
        }
    }

    /// Of those that a key with this hash meets first and that no flow holds, the one of greatest
    /// `age`, and that.
    pub(super) fn eldest(&self, hash: u64, age: impl Fn(&Entry<K>) -> u32) -> Option<(usize, u32)> {
        let home = self.home(hash);
        // The age above the slot, counted from one: the greater of two numbers is found without a branch,
        // which could only be guessed while all the slots are on their way from memory.
        let (mut met, mut eldest) = (0, 0);
        for group in std::iter::once(home).chain(self.groups_after(home)) {
            for (place, piece) in self.groups[group].pieces().enumerate() {
                let slot = group * SLOTS + place;
                if piece != EMPTY
                    && let Some(entry) = self.entry(slot)
                {
                    let this = u64::from(age(entry)) << 32 | (slot as u64 + 1);
                    eldest = eldest.max(if entry.is_held() { 0 } else { this });
                    met += 1;
                }
            }
            if met >= CHOICE {
                break;
            }
        }
        let slot = (eldest as u32).checked_sub(1)?;
        Some((slot as usize, (eldest >> 32) as u32))
    }

    /// The upper bits choose, by multiplication (Lemire 2016), as any number of groups will do.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.groups.len() as u128) >> 64) as usize
    }

    const fn after(&self, group: usize) -> usize {
        if group + 1 == self.groups.len() { 0 } else { group + 1 }
    }

    fn groups_after(&self, home: usize) -> impl Iterator<Item = usize> {
        (home + 1..self.groups.len()).chain(0..home)
    }
}

impl<K> Slots<K> {
    /// How many clients there is room for.
    pub(super) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many slots there are: more, so that nearly everybody finds one in the first group.
    pub(super) const fn slots(&self) -> usize {
        self.slots.len()
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }

    pub(super) const fn is_full(&self) -> bool {
        self.count == self.capacity
    }

    /// The tick in which anything was used last; `None` when there is nothing.
    pub(super) fn used(&self) -> Option<u32> {
        (self.count > 0).then_some(self.used)
    }

    #[inline]
    pub(super) fn entry(&self, slot: usize) -> Option<&Entry<K>> {
        self.slots[slot].0.as_ref()
    }

    /// Gives an entry to another backend.
    pub(super) fn assign(&mut self, slot: usize, backend: BackendId) {
        if let Some(entry) = &mut self.slots[slot].0 {
            entry.backend = backend;
            entry.flows &= !HOMELESS;
        }
    }
}

/// The lower bits tell neighbours apart.
const fn piece(hash: u64) -> u8 {
    match hash as u8 {
        EMPTY => 0,
        piece => piece,
    }
}

#[cfg(test)]
impl<K> Slots<K> {
    /// How many groups clients have passed on their way to theirs, all together.
    pub(super) fn passed(&self) -> usize {
        self.groups.iter().map(|group| usize::from(group.passed())).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;
    use std::net::{IpAddr, SocketAddr};
    use std::sync::Arc;

    use super::*;

    /// Hashes that all want the same group.
    const CROWD: u64 = u64::MAX << 8;
    const HOME: BackendId = BackendId::new(0);

    #[test]
    fn a_crowd_spills_over_and_leaves_nothing_behind() {
        let mut slots = Slots::new(120);
        let hash = |key: u32| CROWD | u64::from(key % 3);
        for round in 0..3 {
            for key in 0..120 {
                slots.insert(hash(key), key, HOME, 0);
            }
            assert!(slots.is_full());
            for key in 0..120 {
                let slot = slots.find(hash(key), &key).expect("it was added");
                assert_eq!(slots.entry(slot).map(|entry| entry.key), Some(key));
                assert_eq!(slots.find(CROWD | 7, &key), None);
            }
            // In another order than they came.
            for key in (round..120).chain(0..round) {
                let slot = slots.find(hash(key), &key).expect("it was added");
                slots.remove(hash(key), slot);
                assert_eq!(slots.find(hash(key), &key), None);
            }
            assert!(slots.groups.iter().all(|&group| group == Group::VACANT));
            assert!(slots.slots.iter().all(|slot| slot.0.is_none()) && slots.len() == 0);
        }
    }

    #[test]
    fn so_many_pass_that_they_cannot_be_counted() {
        let mut slots = Slots::new(1000);
        for key in 0..1000_u32 {
            slots.insert(CROWD, key, HOME, 0);
        }
        assert!(slots.groups.iter().any(|group| group.passed() == u8::MAX));
        for key in 0..1000 {
            let slot = slots.find(CROWD, &key).expect("it was added");
            slots.remove(CROWD, slot);
        }
        assert_eq!((slots.len(), slots.find(CROWD, &0)), (0, None));
    }

    #[test]
    fn a_piece_is_never_that_of_an_empty_slot() {
        let mut slots = Slots::new(1);
        assert_eq!(slots.find(0xFF, &1), None);
        let slot = slots.insert(0xFF, 1, HOME, 0);
        assert_eq!(slots.find(0xFF, &1), Some(slot));
        assert!((0..=u8::MAX).all(|piece| Group::VACANT.candidates(piece) == 0 || piece == EMPTY));
    }

    #[test]
    fn the_eldest_is_looked_for_where_there_is_anybody() {
        let mut slots = Slots::new(1000);
        let age = |entry: &Entry<u64>| 100 - entry.stamp();
        assert_eq!(slots.eldest(0, age), None);
        let [young, old] = [(60, 9), (40, 3)].map(|(number, stamp)| {
            let hash = number << 58;
            slots.insert(hash, number, HOME, stamp)
        });
        assert!(young != old);
        assert_eq!(
            [0, 50 << 58, u64::MAX].map(|hash| slots.eldest(hash, age)),
            [Some((old, 97)); 3]
        );
    }

    #[test]
    fn entries_are_as_small_as_the_documentation_says() {
        assert_eq!(size_of::<Group>(), 16);
        assert_eq!(size_of::<Slot<IpAddr>>(), 32);
        assert_eq!(size_of::<Slot<u64>>(), 32);
        assert_eq!(size_of::<Slot<Arc<str>>>(), 32);
        assert_eq!(size_of::<Slot<SocketAddr>>(), 64);
    }
}
