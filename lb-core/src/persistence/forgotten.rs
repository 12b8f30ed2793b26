//! Which backends' clients were forgotten, while some of their entries are still there.

use super::clock::Clock;
use crate::backend::BackendId;

#[derive(Clone, Copy)]
struct Record {
    backend: BackendId,
    /// What was last used no later than in this tick is stale.
    stamp: u32,
}

/// Backends that were forgotten, and when.
///
/// Whatever was last used no later than that is stale; looking at an entry never refreshes a stale
/// one, so that its last use is all one has to know. Backends that nobody forgets cost nothing
/// here, and identities that are never issued again leave nothing behind: once the hand has been
/// at every slot, no record is needed any more.
pub(super) struct Forgotten {
    /// Open addressing, half of it empty. Only ever cleared as a whole.
    records: Box<[Option<Record>]>,
    count: usize,
    /// The stamp of the first record.
    since: u32,
    hand: usize,
    /// How many slots the hand must still visit until nothing stale is left.
    to_visit: usize,
}

/// With fewer slots to a record, memory would go to records; with more, each costs more visits when
/// they have run out.
const SLOTS_PER_RECORD: usize = 32;

impl Forgotten {
    /// For a table of so many slots.
    pub(super) fn new(capacity: usize) -> Self {
        let most = (capacity / SLOTS_PER_RECORD).max(16).next_power_of_two();
        let records = vec![None; 2 * most].into();
        Self { records, count: 0, since: 0, hand: 0, to_visit: 0 }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether an entry of `backend` that was last used at `used` has been forgotten since.
    pub(super) fn covers(&self, clock: &Clock, backend: BackendId, used: u32) -> bool {
        let record = self.records[self.place(backend)];
        record.is_some_and(|record| clock.age(used) >= clock.age(record.stamp))
    }

    /// Whether there is room to remember that `backend` was forgotten.
    pub(super) fn has_room_for(&self, backend: BackendId) -> bool {
        self.count < self.records.len() / 2 || self.records[self.place(backend)].is_some()
    }

    /// Everything of `backend` that was last used no later than `stamp` is stale from now on, in
    /// `slots` slots.
    pub(super) fn record(&mut self, backend: BackendId, stamp: u32, slots: usize) {
        let record = &mut self.records[self.place(backend)];
        if record.replace(Record { backend, stamp }).is_none() {
            self.count += 1;
        }
        if self.count == 1 {
            self.since = stamp;
        }
        self.to_visit = slots;
    }

    /// How long ago the first of the records was made; 0 if there is none.
    pub(super) const fn age(&self, clock: &Clock) -> u32 {
        if self.count == 0 { 0 } else { clock.age(self.since) }
    }

    /// The next of so many slots that may hold something stale; `None` when all have been visited,
    /// after which nothing is recorded.
    pub(super) fn visit(&mut self, slots: usize) -> Option<usize> {
        if self.to_visit == 0 {
            self.clear();
            return None;
        }
        self.to_visit -= 1;
        let slot = self.hand;
        self.hand = if slot + 1 >= slots { 0 } else { slot + 1 };
        Some(slot)
    }

    /// Nothing stale is left.
    pub(super) fn clear(&mut self) {
        if self.count > 0 {
            self.records.fill(None);
            self.count = 0;
            self.to_visit = 0;
        }
    }

    /// Where the record of `backend` is or would be. Identities are counted up, which Fibonacci
    /// hashing (Knuth, TAOCP 6.4) spreads well.
    fn place(&self, backend: BackendId) -> usize {
        let mask = self.records.len() - 1;
        let spread = u64::from(backend.number()).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut place = (spread >> 32) as usize & mask;
        while self.records[place].is_some_and(|record| record.backend != backend) {
            place = (place + 1) & mask;
        }
        place
    }
}
