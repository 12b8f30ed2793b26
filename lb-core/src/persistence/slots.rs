//! The entries themselves, in a fixed number of slots, and about the order in which they were used.

use crate::backend::BackendId;

/// What a link leads to if it leads nowhere.
const NONE: u32 = 0xFF_FFFF;
/// In place of a link to the older neighbour: the slot holds nothing now.
const FREE: u32 = NONE - 1;

/// A remembered client, in half a cache line if the key is an IP address (of 17 bytes) or smaller.
///
/// Links have 24 bits to make that fit. Each has bytes of its own, so that a neighbour is relinked
/// by writing alone: a look-up then waits for no neighbour to arrive from memory.
#[repr(align(32))]
pub(super) struct Entry<K> {
    key: K,
    backend: BackendId,
    stamp: u32,
    older: [u8; 3],
    newer: [u8; 3],
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

    pub(super) const fn assign(&mut self, backend: BackendId) {
        self.backend = backend;
    }

    /// The tick in which it was last used.
    #[inline]
    pub(super) const fn stamp(&self) -> u32 {
        self.stamp
    }

    #[inline]
    const fn older(&self) -> u32 {
        unpacked(self.older)
    }

    #[inline]
    const fn newer(&self) -> u32 {
        unpacked(self.newer)
    }
}

#[inline]
const fn packed(slot: u32) -> [u8; 3] {
    let [a, b, c, _] = slot.to_le_bytes();
    [a, b, c]
}

#[inline]
const fn unpacked([a, b, c]: [u8; 3]) -> u32 {
    u32::from_le_bytes([a, b, c, 0])
}

/// Slots in one allocation, and a list through those that hold something, by last use to within a
/// grain.
///
/// Moving an entry to the end of the list writes to two others, anywhere in memory: most of what a
/// use would cost. An entry is therefore moved once a grain at most, and used less than a grain
/// after it was moved. Whoever is behind it was moved later, and so was last used less than a grain
/// before it, if before it at all.
pub(super) struct Slots<K> {
    entries: Vec<Entry<K>>,
    capacity: usize,
    count: usize,
    /// In ticks, a power of two.
    grain: u32,
    /// The tick of the latest use of anything.
    used: u32,
    /// The list of those that held something once, through their `newer`.
    free: u32,
    oldest: u32,
    newest: u32,
}

impl<K> Slots<K> {
    /// What 24 bits can number, without the two numbers that mean something else.
    pub(super) const MOST: usize = FREE as usize;

    pub(super) fn new(capacity: usize, grain: u32) -> Self {
        debug_assert!(grain.is_power_of_two());
        let entries = Vec::with_capacity(capacity);
        let (free, oldest, newest) = (NONE, NONE, NONE);
        Self { entries, capacity, count: 0, grain, used: 0, free, oldest, newest }
    }

    pub(super) const fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }

    pub(super) const fn is_full(&self) -> bool {
        self.count == self.capacity
    }

    /// How many slots have ever held something: the others need not be looked at.
    pub(super) const fn filled(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    pub(super) fn entry(&self, slot: u32) -> &Entry<K> {
        &self.entries[slot as usize]
    }

    #[inline]
    pub(super) fn entry_mut(&mut self, slot: u32) -> &mut Entry<K> {
        &mut self.entries[slot as usize]
    }

    pub(super) fn is_free(&self, slot: u32) -> bool {
        self.entry(slot).older() == FREE
    }

    pub(super) fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// The tick in which anything was used last; `None` when there is nothing.
    pub(super) fn used(&self) -> Option<u32> {
        (self.count > 0).then_some(self.used)
    }

    /// The next in the list.
    pub(super) fn after(&self, slot: u32) -> Option<u32> {
        Some(self.entry(slot).newer()).filter(|&newer| newer != NONE)
    }

    /// Adds an entry as the latest used. The table must not be full.
    pub(super) fn push(&mut self, key: K, backend: BackendId, stamp: u32) -> u32 {
        let mut slot = self.free;
        let link = packed(NONE);
        let entry = Entry { key, backend, stamp, older: link, newer: link };
        if slot == NONE {
            slot = self.entries.len() as u32;
            self.entries.push(entry);
        } else {
            self.free = self.entry(slot).newer();
            *self.entry_mut(slot) = entry;
        }
        self.count += 1;
        self.used = stamp;
        self.append(slot);
        slot
    }

    /// Takes an entry out. Its key stays where it is until the slot is used again.
    pub(super) fn remove(&mut self, slot: u32) {
        self.unlink(slot);
        self.count -= 1;
        let free = std::mem::replace(&mut self.free, slot);
        let entry = self.entry_mut(slot);
        entry.older = packed(FREE);
        entry.newer = packed(free);
    }

    /// Notes that an entry was used, and says whose it is.
    #[inline]
    pub(super) fn touch(&mut self, slot: u32, stamp: u32) -> BackendId {
        self.used = stamp;
        // Each slot's grains begin at another tick, lest all entries be moved at the same time.
        let phase = slot.wrapping_mul(0x9E37_79B1);
        let entry = &mut self.entries[slot as usize];
        let before = std::mem::replace(&mut entry.stamp, stamp).wrapping_add(phase);
        let backend = entry.backend;
        if before ^ stamp.wrapping_add(phase) >= self.grain {
            self.move_to_end(slot);
        }
        backend
    }

    /// Apart, as most uses get by without.
    #[inline(never)]
    fn move_to_end(&mut self, slot: u32) {
        if self.newest != slot {
            self.unlink(slot);
            self.append(slot);
        }
    }

    #[inline]
    fn unlink(&mut self, slot: u32) {
        let entry = self.entry(slot);
        let (older, newer) = (entry.older(), entry.newer());
        if older == NONE {
            self.oldest = newer;
        } else {
            self.entry_mut(older).newer = packed(newer);
        }
        if newer == NONE {
            self.newest = older;
        } else {
            self.entry_mut(newer).older = packed(older);
        }
    }

    #[inline]
    fn append(&mut self, slot: u32) {
        let newest = std::mem::replace(&mut self.newest, slot);
        let entry = self.entry_mut(slot);
        entry.older = packed(newest);
        entry.newer = packed(NONE);
        if newest == NONE {
            self.oldest = slot;
        } else {
            self.entry_mut(newest).newer = packed(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;
    use std::net::{IpAddr, SocketAddr};

    use super::*;

    #[test]
    fn links_lead_where_they_were_set_to() {
        for slot in [0, 1, 0x12_3456, FREE, NONE] {
            assert_eq!(unpacked(packed(slot)), slot);
        }
    }

    #[test]
    fn entries_are_as_small_as_the_documentation_says() {
        assert_eq!(size_of::<Entry<IpAddr>>(), 32);
        assert_eq!(size_of::<Entry<u64>>(), 32);
        assert_eq!(size_of::<Entry<SocketAddr>>(), 64);
        assert_eq!(size_of::<Entry<String>>(), 64);
    }
}
