//! Which check is due next: one deadline per slot, in a heap that knows where each slot is.

use std::time::{Duration, Instant};

/// At most one deadline for each of the slots 0, 1, 2, …
///
/// A heap with the position of every slot beside it, so that a deadline can be moved or
/// taken back at once and nothing stale is left to sort out. No allocation once it has grown.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    /// The first deadline ever set, which the others count from: half as wide as an [`Instant`].
    origin: Option<Instant>,
    /// Nanoseconds from the origin.
    heap: Vec<(i64, u32)>,
    /// Where in the heap each slot is; [`ABSENT`] if it has no deadline.
    positions: Vec<u32>,
}

const ABSENT: u32 = u32::MAX;
/// The entries below one: as many as a cache line holds, which makes the heap half as high.
const CHILDREN: usize = 4;

impl Deadlines {
    /// The earliest deadline. O(1).
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.first().map(|&(at, _)| self.instant(at))
    }

    /// The deadline of `slot`. O(1).
    pub(crate) fn of(&self, slot: u32) -> Option<Instant> {
        let position = self.position(slot)?;
        Some(self.instant(self.heap[position].0))
    }

    /// Gives `slot` this deadline in place of any it had. O(log n).
    pub(crate) fn set(&mut self, slot: u32, at: Instant) {
        self.clear(slot);
        let index = slot as usize;
        if index >= self.positions.len() {
            self.positions.resize(index + 1, ABSENT);
        }
        let at = self.nanos(at);
        self.heap.push((at, slot));
        self.rise(self.heap.len() - 1);
    }

    /// Takes the deadline of `slot` back. O(log n).
    pub(crate) fn clear(&mut self, slot: u32) {
        if let Some(position) = self.position(slot) {
            self.remove(position);
        }
    }

    /// Takes out the earliest deadline if `now` has reached it, and its slot. O(log n).
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Instant, u32)> {
        let &(at, slot) = self.heap.first()?;
        let at = self.instant(at);
        if at > now {
            return None;
        }
        self.remove(0);
        Some((at, slot))
    }

    fn nanos(&mut self, at: Instant) -> i64 {
        let origin = *self.origin.get_or_insert(at);
        // Deadlines are at most some years ahead, and 63 bits hold 292 years.
        let ahead = at.saturating_duration_since(origin).as_nanos() as i64;
        ahead - origin.saturating_duration_since(at).as_nanos() as i64
    }

    fn instant(&self, nanos: i64) -> Instant {
        let distance = Duration::from_nanos(nanos.unsigned_abs());
        let origin = self.origin.expect("there is a deadline, so there was a first one");
        if nanos < 0 { origin - distance } else { origin + distance }
    }

    fn position(&self, slot: u32) -> Option<usize> {
        let position = *self.positions.get(slot as usize)?;
        (position != ABSENT).then_some(position as usize)
    }

    fn remove(&mut self, position: usize) {
        let (_, slot) = self.heap.swap_remove(position);
        self.positions[slot as usize] = ABSENT;
        if position < self.heap.len() {
            // What came from the end may belong further up or further down.
            self.sink(position);
            self.rise(position);
        }
    }

    fn rise(&mut self, mut position: usize) {
        let rising = self.heap[position];
        while position > 0 {
            let parent = (position - 1) / CHILDREN;
            if self.heap[parent] <= rising {
                break;
            }
            self.put(position, self.heap[parent]);
            position = parent;
        }
        self.put(position, rising);
    }

    fn sink(&mut self, mut position: usize) {
        let sinking = self.heap[position];
        loop {
            let first = CHILDREN * position + 1;
            let children = first..(first + CHILDREN).min(self.heap.len());
            match children.min_by_key(|&child| self.heap[child]) {
                Some(child) if self.heap[child] < sinking => {
                    self.put(position, self.heap[child]);
                    position = child;
                }
                _ => break,
            }
        }
        self.put(position, sinking);
    }

    fn put(&mut self, position: usize, entry: (i64, u32)) {
        self.heap[position] = entry;
        self.positions[entry.1 as usize] = position as u32;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        #[expect(clippy::disallowed_methods, reason = "any instant serves as the origin")]
        fn equals_a_sorted_map(steps in prop::collection::vec((0_u8..3, 0_u32..20, 0_u64..50), 0..200)) {
            let origin = Instant::now();
            let mut deadlines = Deadlines::default();
            let mut naive = BTreeMap::new();
            for (kind, slot, millis) in steps {
                let at = origin + Duration::from_millis(millis);
                match kind {
                    0 => {
                        deadlines.set(slot, at);
                        naive.insert(slot, at);
                    }
                    1 => {
                        deadlines.clear(slot);
                        naive.remove(&slot);
                    }
                    _ => {
                        let expected = naive
                            .iter()
                            .map(|(&slot, &at)| (at, slot))
                            .min()
                            .filter(|&(due, _)| due <= at);
                        prop_assert_eq!(deadlines.pop_due(at), expected);
                        expected.map(|(_, slot)| naive.remove(&slot));
                    }
                }
                prop_assert_eq!(deadlines.next(), naive.values().min().copied());
                for slot in 0..20 {
                    prop_assert_eq!(deadlines.of(slot), naive.get(&slot).copied());
                }
            }
        }
    }
}
