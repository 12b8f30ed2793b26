//! Where a key's slot is: a hash table of slot numbers and nothing else.

const SLOTS: usize = 15;
/// What a bucket holds when the table is full. Once many keys have come and gone, every twentieth
/// is then beyond its bucket; with twelve to a bucket, it would be every fifth.
const MEAN: usize = 10;
/// The piece of no hash.
const EMPTY: u8 = u8::MAX;

/// One cache line: a look-up reads one of them nearly always.
///
/// Who finds its bucket full moves on to the next one, and every bucket that was passed counts it.
/// A look-up therefore knows where to stop without tombstones, and a removal needs to know nobody
/// else's hash.
#[derive(Clone)]
#[repr(align(64))]
struct Bucket {
    /// A piece of each key's hash, so that hardly any slot is visited in vain; the last is unused.
    pieces: [u8; SLOTS + 1],
    slots: [[u8; 3]; SLOTS],
    /// How many passed on their way to another bucket. When it cannot count any more, it stays.
    passed: u16,
}

impl Bucket {
    const VACANT: Self = Self { pieces: [EMPTY; SLOTS + 1], slots: [[0; 3]; SLOTS], passed: 0 };

    #[inline]
    fn slot(&self, place: usize) -> u32 {
        let [a, b, c] = self.slots[place];
        u32::from_le_bytes([a, b, c, 0])
    }

    /// A bit for each place that has this piece: eight bytes are compared as one number, each of
    /// them below its neighbour's carry.
    #[inline]
    fn candidates(&self, piece: u8) -> u128 {
        const LOW: u64 = u64::MAX / 0xFF * 0x7F;
        let (halves, _) = self.pieces.as_chunks::<8>();
        let equal = |half: [u8; 8]| {
            let differences = u64::from_le_bytes(half) ^ (u64::MAX / 0xFF * u64::from(piece));
            !(((differences & LOW) + LOW) | differences | LOW)
        };
        u128::from(equal(halves[1])) << 64 | u128::from(equal(halves[0]))
    }

    /// The slot with this piece that `is_it` recognises.
    #[inline]
    fn find(&self, piece: u8, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mut candidates = self.candidates(piece);
        while candidates != 0 {
            let slot = self.slot(candidates.trailing_zeros() as usize / 8);
            if is_it(slot) {
                return Some(slot);
            }
            candidates &= candidates - 1;
        }
        None
    }
}

/// A hash table from a key's hash to the number of its slot; whoever holds the slots compares keys.
pub(super) struct Index(Box<[Bucket]>);

impl Index {
    /// Room for so many slots: 64 bytes for each ten.
    pub(super) fn new(capacity: usize) -> Self {
        Self(vec![Bucket::VACANT; capacity.div_ceil(MEAN).max(1)].into())
    }

    /// The slot of this hash that `is_it` recognises.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let (home, piece) = (self.home(hash), piece(hash));
        let bucket = &self.0[home];
        let found = bucket.find(piece, &is_it);
        if found.is_some() || bucket.passed == 0 {
            return found;
        }
        self.find_beyond(home, piece, is_it)
    }

    /// Apart, so that nearly every look-up is short.
    #[inline(never)]
    fn find_beyond(&self, home: usize, piece: u8, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mut place = home;
        for _ in 1..self.0.len() {
            place = self.after(place);
            let bucket = &self.0[place];
            let found = bucket.find(piece, &is_it);
            if found.is_some() || bucket.passed == 0 {
                return found;
            }
        }
        None
    }

    /// Adds a slot that is not there yet, to a table that is not full.
    pub(super) fn insert(&mut self, hash: u64, slot: u32) {
        let mut place = self.home(hash);
        for _ in 0..self.0.len() {
            let bucket = &mut self.0[place];
            if let Some(free) = bucket.pieces[..SLOTS].iter().position(|&piece| piece == EMPTY) {
                let [a, b, c, _] = slot.to_le_bytes();
                (bucket.pieces[free], bucket.slots[free]) = (piece(hash), [a, b, c]);
                return;
            }
            bucket.passed = bucket.passed.saturating_add(1);
            place = self.after(place);
        }
        unreachable!("there are more places than slots");
    }

    /// Takes a slot out that was added under this hash.
    pub(super) fn remove(&mut self, hash: u64, slot: u32) {
        let piece = piece(hash);
        let mut place = self.home(hash);
        for _ in 0..self.0.len() {
            let bucket = &mut self.0[place];
            let is_it =
                |&number: &usize| bucket.pieces[number] == piece && bucket.slot(number) == slot;
            if let Some(found) = (0..SLOTS).find(is_it) {
                bucket.pieces[found] = EMPTY;
                return;
            }
            if bucket.passed < u16::MAX {
                bucket.passed -= 1;
            }
            place = self.after(place);
        }
    }

    /// The upper bits choose, by multiplication (Lemire 2016), as any number of buckets will do.
    fn home(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.0.len() as u128) >> 64) as usize
    }

    fn after(&self, place: usize) -> usize {
        if place + 1 == self.0.len() { 0 } else { place + 1 }
    }
}

/// The lower bits tell neighbours apart.
fn piece(hash: u64) -> u8 {
    (hash as u8).min(EMPTY - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes that all want the same bucket.
    const CROWD: u64 = u64::MAX << 8;

    #[test]
    fn a_crowd_spills_over_and_leaves_nothing_behind() {
        let mut index = Index::new(120);
        let hash = |slot: u32| CROWD | u64::from(slot % 3);
        for round in 0..3 {
            for slot in 0..120 {
                index.insert(hash(slot), slot);
            }
            for slot in 0..120 {
                assert_eq!(index.find(hash(slot), |found| found == slot), Some(slot));
                assert_eq!(index.find(CROWD | 7, |_| true), None);
            }
            // In another order than they came.
            for slot in (round..120).chain(0..round) {
                index.remove(hash(slot), slot);
                assert_eq!(index.find(hash(slot), |found| found == slot), None);
            }
            assert!(index.0.iter().all(|bucket| bucket.passed == 0));
            assert!(index.0.iter().all(|bucket| bucket.pieces == [EMPTY; SLOTS + 1]));
        }
    }

    #[test]
    fn a_piece_is_never_that_of_an_empty_word() {
        let mut index = Index::new(1);
        assert_eq!(index.find(0xFF, |_| true), None);
        index.insert(0xFF, 0);
        assert_eq!(index.find(0xFF, |_| true), Some(0));
    }
}
