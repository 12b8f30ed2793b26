//! How a table's time goes on, and what is over makes room.

use std::hash::{BuildHasher, Hash};
use std::time::Instant;

use super::PersistenceTable;

/// All slots are looked at for what has expired so often in a timeout at most.
const CLEARINGS: u32 = 16;
/// No age may come near the 2³² ticks at which it would wrap around.
const HIGHEST_AGE: u64 = 1 << 31;

impl<K: Eq + Hash, S: BuildHasher> PersistenceTable<K, S> {
    /// The table's time goes on to `now`.
    #[inline]
    pub(super) fn advance(&mut self, now: Instant) {
        let ticks = self.clock.ahead(now);
        if ticks > 0 {
            self.go_on(ticks);
        }
    }

    #[cold]
    fn go_on(&mut self, ticks: u64) {
        // What nobody touched for so long (with milliseconds, for 24 days) could not be told from
        // what was used lately.
        let since = self.due.saturating_sub(u64::from(self.timeout + self.pause()));
        let oldest = self.clock.latest().saturating_sub(since);
        let oldest = oldest.max(self.forgotten.age(&self.clock).into());
        if oldest.saturating_add(ticks) > HIGHEST_AGE {
            self.clear_out(ticks);
        }
        self.clock.advance(ticks);
    }

    /// Takes back the room of everything that will be over in so many ticks.
    pub(super) fn clear_out(&mut self, ticks: u64) {
        let timeout = u64::from(self.timeout);
        let mut oldest = 0;
        for slot in 0..self.slots.slots() {
            let Some(entry) = self.slots.entry(slot) else { continue };
            let age = u64::from(self.clock.age(entry.stamp())).saturating_add(ticks);
            if age >= timeout && !entry.is_held() || self.is_forgotten(entry) {
                self.remove(slot);
            } else if entry.is_held() {
                // However long it is, no age comes near the point where it would wrap around.
                self.slots.touch(slot, self.clock.stamp().wrapping_add(ticks as u32));
            } else {
                oldest = oldest.max(age);
            }
        }
        self.forgotten.clear();
        let rest = (timeout - oldest).max(self.pause().into());
        self.due = self.clock.latest().saturating_add(ticks).saturating_add(rest);
    }

    /// How long it is at least until all slots are looked at again, in ticks.
    fn pause(&self) -> u32 {
        (self.timeout / CLEARINGS).max(1)
    }

    /// Looks at so many slots for stale entries, if there can be any.
    pub(super) fn sweep(&mut self, slots: usize) {
        if self.forgotten.is_empty() {
            return;
        }
        for _ in 0..slots {
            let Some(slot) = self.forgotten.visit(self.slots.slots()) else { return };
            if self.slots.entry(slot).is_some_and(|entry| self.is_over(entry)) {
                self.remove(slot);
            }
        }
    }
}
