//! A place in a rotation that any number of pickers advance.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::AtomicUsize;

use rand::Rng;

use crate::sync::{AtomicU64, Ordering};

/// A place in a rotation that any number of pickers advance.
///
/// One cache line that all of them write to would make two threads slower than one. Whoever finds
/// that somebody else was at it just now therefore sets some whole rounds aside, and goes through
/// them on a lane of its own, which other threads seldom touch; meanwhile the others have the line
/// to themselves. Whole rounds leave the rotation where it is, and everybody gets the same from
/// them. Without such encounters, as on one thread, there is one sequence and no other.
///
/// Alone on its cache lines (in pairs, as some processors fetch them): its neighbours are never
/// written.
#[repr(align(128))]
pub(super) struct Cursor {
    position: AtomicU64,
    start: u64,
    lanes: [Lane; LANES],
}

/// The position of a cursor that begins anywhere, and has not yet.
const ANYWHERE: u64 = u64::MAX;
/// Lanes for as many threads at once; others share them, and lose nothing by it.
const LANES: usize = 16;
/// So many turns are set aside at least: few encounters, and a round of any pool that is no larger.
const FEWEST: u32 = 1024;

/// What was set aside: how many turns are left above 32 bits of where the next one is.
#[derive(Default)]
#[repr(align(128))]
struct Lane(AtomicU64);

impl Lane {
    /// Sets whole rounds of `turns` aside, of which the first turn is taken: `first`, unless there
    /// are others left, because another thread of this lane has just done the same. Then those are
    /// taken before; whole rounds come to the same, wherever they begin.
    fn add(&self, first: u32, turns: u32, length: u32) -> u32 {
        let next = |state: u64| match state >> 32 {
            0 => first,
            _ => state as u32,
        };
        let add = |state: u64| {
            let after = next(state) + 1;
            let after = if after == length { 0 } else { after };
            // As many as fit: with more than two billion places, of which nobody has seen any.
            let left = (state >> 32).saturating_add(u64::from(turns - 1)).min(u32::MAX.into());
            Some(left << 32 | u64::from(after))
        };
        let order = Ordering::Relaxed;
        match self.0.fetch_update(order, order, add) {
            Ok(before) | Err(before) => next(before),
        }
    }

    /// Whether nothing is set aside, as nearly always: this look is all that it costs then.
    #[inline]
    fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) >> 32 == 0
    }

    /// The next of the turns that were set aside.
    #[inline(never)]
    fn take(&self, length: u32) -> Option<u32> {
        let next = |state: u64| {
            let after = state as u32 + 1;
            let after = if after == length { 0 } else { after };
            let left = (state >> 32).checked_sub(1)?;
            Some(left << 32 | u64::from(after))
        };
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .map(|state| state as u32)
            .ok()
    }
}

impl Cursor {
    pub(super) fn at(position: u64) -> Self {
        Self { position: AtomicU64::new(position), start: position, lanes: Default::default() }
    }

    /// A cursor for a rotation that is not known yet. 31 bits are phase enough, and leave as many
    /// picks before divisions become slow.
    pub(super) fn starting_at(phase: u64) -> Self {
        Self::at(phase & (u32::MAX >> 1) as u64)
    }

    /// A cursor that begins where the first pick draws: so much phase as
    /// [`starting_at`](Self::starting_at) has.
    pub(super) fn anywhere() -> Self {
        Self::at(ANYWHERE)
    }

    /// Whether nobody was given a turn yet: then the whole phase carries over, and an instance
    /// whose backends come up one by one still has a rotation of its own.
    pub(super) fn is_untouched(&self) -> bool {
        self.position() == self.start
    }

    /// Where the next pick will be.
    pub(super) fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }

    /// The next place in a rotation of `length` places, which must be the same each time, and
    /// neither 0 nor more than 2³¹.
    #[inline]
    pub(super) fn advance(&self, length: usize, rng: &mut dyn Rng) -> usize {
        let short = length as u32;
        let lane = &self.lanes[thread_number() % LANES];
        if !lane.is_empty()
            && let Some(place) = lane.take(short)
        {
            return place as usize;
        }
        let mut position = self.position();
        if position == ANYWHERE {
            position = self.begin(rng);
        }
        let next = position.wrapping_add(1);
        let (order, otherwise) = (Ordering::Relaxed, Ordering::Relaxed);
        match self.position.compare_exchange(position, next, order, otherwise) {
            Ok(_) => place(position, short) as usize,
            Err(_) => self.set_aside(lane, short) as usize,
        }
    }

    /// Where a cursor begins that may begin anywhere, and has not yet.
    #[cold]
    fn begin(&self, rng: &mut dyn Rng) -> u64 {
        let phase = rng.next_u64() >> 33;
        let (order, otherwise) = (Ordering::Relaxed, Ordering::Relaxed);
        match self.position.compare_exchange(ANYWHERE, phase, order, otherwise) {
            Ok(_) => phase,
            Err(begun) => begun,
        }
    }

    /// Whole rounds for this lane; the first turn of them.
    #[cold]
    fn set_aside(&self, lane: &Lane, length: u32) -> u32 {
        let turns = FEWEST.next_multiple_of(length);
        let first = place(self.position.fetch_add(turns.into(), Ordering::Relaxed), length);
        lane.add(first, turns, length)
    }
}

impl Default for Cursor {
    fn default() -> Self {
        Self::at(0)
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cursor").field(&self.position()).finish()
    }
}

/// Where in a rotation a position is.
#[inline]
fn place(position: u64, length: u32) -> u32 {
    // A 32-bit division takes half the time of a 64-bit one, and a cursor is only that far after
    // four billion picks.
    match u32::try_from(position) {
        Ok(position) => position % length,
        Err(_) => (position % u64::from(length)) as u32,
    }
}

/// A small number that few other threads have: of no influence but on who waits for whom, so that
/// nothing that can be observed on one thread depends on it.
#[inline]
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    // Counted up at the first pick of a thread; 0 before.
    thread_local!(static NUMBER: Cell<usize> = const { Cell::new(0) });
    NUMBER.with(|number| {
        if number.get() == 0 {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed).max(1));
        }
        number.get()
    })
}

#[cfg(all(test, lb_loom))]
pub(crate) mod model {
    use std::sync::Arc;

    use loom::thread;

    use super::*;

    /// Two threads of one lane (loom's are all of one to [`thread_number`]), each of which sets whole
    /// rounds aside and takes a turn of what there is.
    #[test]
    fn what_two_threads_set_aside_in_one_lane_is_all_there() {
        const LENGTH: u32 = 3;
        crate::model::explore(|| {
            let lane = Arc::new(Lane::default());
            let act =
                |lane: &Lane, first| [Some(lane.add(first, LENGTH, LENGTH)), lane.take(LENGTH)];
            let other = Arc::clone(&lane);
            let thread = thread::spawn(move || act(&other, 0));
            let here = act(&lane, 2);
            let there = thread.join().unwrap();
            let rest = std::iter::from_fn(|| lane.take(LENGTH));
            let mut counts = [0; LENGTH as usize];
            let all = here.into_iter().chain(there).flatten().chain(rest);
            all.for_each(|place| counts[place as usize] += 1);
            assert_eq!(counts, [2; LENGTH as usize]);
        });
    }
}

#[cfg(all(test, not(lb_loom)))]
mod tests {
    use std::convert::Infallible;

    use rand::TryRng;

    use super::*;

    /// A generator of the greatest numbers.
    struct Greatest;

    impl TryRng for Greatest {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            Ok(u32::MAX)
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            Ok(u64::MAX)
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
            bytes.fill(u8::MAX);
            Ok(())
        }
    }

    #[test]
    fn what_begins_anywhere_begins_once() {
        let cursor = Cursor::anywhere();
        assert!(cursor.is_untouched() && Cursor::at(cursor.position()).is_untouched());
        let drawn = u64::MAX >> 33;
        assert_eq!(cursor.advance(1000, &mut Greatest), (drawn % 1000) as usize);
        assert_eq!((cursor.position(), cursor.is_untouched()), (drawn + 1, false));
        assert_eq!(cursor.advance(1000, &mut Greatest), ((drawn + 1) % 1000) as usize);
    }

    #[test]
    fn a_cursor_goes_on_past_32_bits() {
        let cursor = Cursor::at(u64::from(u32::MAX) - 1);
        let places: Vec<_> = (0..4).map(|_| cursor.advance(3, &mut Greatest)).collect();
        // 2³² − 1 is divisible by three.
        assert_eq!(places, [2, 0, 1, 2]);
    }

    #[test]
    fn what_is_set_aside_is_whole_rounds() {
        for length in [1, 2, 3, 10, 1000, 1024, 1025, 70_000] {
            let cursor = Cursor::at(7);
            let lane = &cursor.lanes[thread_number() % LANES];
            let first = cursor.set_aside(lane, length);
            let places: Vec<_> = (1..FEWEST.next_multiple_of(length))
                .map(|_| lane.take(length).expect("it is left"))
                .collect();
            assert_eq!(lane.take(length), None);
            // As if it had been one sequence, and as if nothing had been taken from it.
            let all: Vec<_> = std::iter::once(first).chain(places).collect();
            assert!(all.iter().zip(7..).all(|(&one, position)| one == position % length));
            assert_eq!(cursor.advance(length as usize, &mut Greatest) as u32, 7 % length);
        }
    }

    #[test]
    fn two_threads_of_one_lane_lose_nothing() {
        const LENGTH: u32 = 5;
        let turns = FEWEST.next_multiple_of(LENGTH);
        let cursor = Cursor::at(3);
        let lane = &cursor.lanes[0];
        // Both found the common rotation contended, and the lane empty.
        let mut counts = [0; LENGTH as usize];
        let both = [cursor.set_aside(lane, LENGTH), cursor.set_aside(lane, LENGTH)];
        let rest = std::iter::from_fn(|| lane.take(LENGTH));
        both.into_iter().chain(rest).for_each(|place| counts[place as usize] += 1);
        assert_eq!(counts, [2 * turns / LENGTH; LENGTH as usize]);
        assert_eq!(cursor.position(), 3 + 2 * u64::from(turns));
    }

    #[test]
    fn threads_that_meet_share_alike() {
        const LENGTH: usize = 7;
        let cursor = Cursor::default();
        let counts: Vec<[u32; LENGTH]> = std::thread::scope(|scope| {
            let run = || {
                let mut counts = [0; LENGTH];
                (0..200_000).for_each(|_| counts[cursor.advance(LENGTH, &mut Greatest)] += 1);
                counts
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
            threads.into_iter().map(|thread| thread.join().expect("it counts")).collect()
        });
        let sums: Vec<u32> =
            (0..LENGTH).map(|place| counts.iter().map(|one| one[place]).sum()).collect();
        assert_eq!(sums.iter().sum::<u32>(), 800_000);
        let (least, most) = (sums.iter().min(), sums.iter().max());
        assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 5), "{sums:?}");
    }
}
