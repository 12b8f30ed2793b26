//! The entries themselves, in a fixed number of slots, and the order in which they were used.

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

/// Slots in one allocation, and a list through those that hold something, by last use.
pub(super) struct Slots<K> {
    entries: Vec<Entry<K>>,
    capacity: usize,
    count: usize,
    /// The list of those that held something once, through their `newer`.
    free: u32,
    oldest: u32,
    newest: u32,
}

impl<K> Slots<K> {
    /// What 24 bits can number, without the two numbers that mean something else.
    pub(super) const MOST: usize = FREE as usize;

    pub(super) fn new(capacity: usize) -> Self {
        let entries = Vec::with_capacity(capacity);
        Self { entries, capacity, count: 0, free: NONE, oldest: NONE, newest: NONE }
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

    pub(super) fn newest(&self) -> Option<u32> {
        (self.newest != NONE).then_some(self.newest)
    }

    /// The one that was used next after this one.
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
        self.append(slot, stamp);
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

    /// Makes an entry the latest used.
    #[inline]
    pub(super) fn touch(&mut self, slot: u32, stamp: u32) {
        if self.newest == slot {
            self.entry_mut(slot).stamp = stamp;
        } else {
            self.unlink(slot);
            self.append(slot, stamp);
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
    fn append(&mut self, slot: u32, stamp: u32) {
        let newest = std::mem::replace(&mut self.newest, slot);
        let entry = self.entry_mut(slot);
        entry.stamp = stamp;
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
