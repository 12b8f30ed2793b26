//! Who may run a script now: whoever has waited for longest.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::available_parallelism;

/// The number of scripts that may run at once; clones share it.
///
/// A process is a thousand times dearer than a connection: without a bound a slow hour turns into a
/// storm of forks (keepalived #429). A run that waits for a slot has not started its clock.
///
/// Slots go to whoever has waited for longest. A run that gives up keeps its place for the next one of
/// the same checker, so that scripts that hang, however many, keep nobody from having a turn.
#[derive(Clone, Debug)]
pub struct ScriptSlots(Arc<Mutex<Queue>>);

impl ScriptSlots {
    /// This many slots.
    pub fn new(count: NonZeroUsize) -> Self {
        let count = count.get();
        Self(Arc::new(Mutex::new(Queue { count, free: count, ..Queue::default() })))
    }

    /// How many there are by default: two for each core.
    pub fn default_count() -> NonZeroUsize {
        let cores = available_parallelism().unwrap_or(NonZeroUsize::MIN);
        cores.saturating_mul(NonZeroUsize::MIN.saturating_add(1))
    }

    /// This many slots from now on, for all clones: more of them at once, fewer as scripts end. O(n) in the
    /// difference.
    pub fn resize(&self, count: NonZeroUsize) {
        let wakers = self.lock().resize(count.get());
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The slots that are free now.
    pub fn free(&self) -> usize {
        self.lock().free
    }

    /// Waits for a slot, in the oldest of `places` that a run has left, or else behind all others.
    /// Cancel safe: the place is left in `places`.
    pub(super) fn wait(&self, places: Places) -> Wait {
        Wait { slots: self.clone(), places, place: None }
    }

    /// Gives a slot to whoever is next.
    fn release(&self) {
        let waker = self.lock().release();
        waker.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ScriptSlots {
    /// [Two for each core](Self::default_count).
    fn default() -> Self {
        Self::new(Self::default_count())
    }
}

/// When somebody began to wait: the smaller, the longer ago.
type Place = u64;

/// The places that runs of one checker have left without a turn.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(Arc<Mutex<BTreeSet<Place>>>);

impl Places {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Slots and who waits for them. While somebody waits, no slot is free.
#[derive(Debug, Default)]
struct Queue {
    count: usize,
    free: usize,
    /// Those that are to be had no more once they are given back.
    surplus: usize,
    next: Place,
    waiting: BTreeMap<Place, Waker>,
    /// Those who have a slot and do not know it yet.
    served: HashSet<Place>,
}

impl Queue {
    fn enter(&mut self, places: &Places) -> Place {
        places.lock().pop_first().unwrap_or_else(|| {
            self.next += 1;
            self.next
        })
    }

    /// Has `count` slots; answers whom to wake.
    fn resize(&mut self, count: usize) -> Vec<Waker> {
        let former = std::mem::replace(&mut self.count, count);
        let fewer = former.saturating_sub(count);
        let free = fewer.min(self.free);
        self.free -= free;
        self.surplus += fewer - free;
        (former..count).filter_map(|_| self.release()).collect()
    }

    /// Whom to wake: the next one, who has the slot from now on.
    fn release(&mut self) -> Option<Waker> {
        if self.surplus > 0 {
            self.surplus -= 1;
            return None;
        }
        match self.waiting.pop_first() {
            Some((place, waker)) => {
                self.served.insert(place);
                Some(waker)
            }
            None => {
                self.free += 1;
                None
            }
        }
    }
}

/// The wait for a slot.
pub(super) struct Wait {
    slots: ScriptSlots,
    places: Places,
    place: Option<Place>,
}

impl Future for Wait {
    type Output = ScriptSlot;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<ScriptSlot> {
        let Self { slots, places, place } = &mut *self;
        let mut queue = slots.lock();
        let at = *place.get_or_insert_with(|| queue.enter(places));
        if !queue.served.remove(&at) {
            if queue.free == 0 {
                queue.waiting.insert(at, context.waker().clone());
                return Poll::Pending;
            }
            queue.free -= 1;
        }
        drop(queue);
        *place = None;
        Poll::Ready(ScriptSlot(slots.clone()))
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let was_served = {
            let mut queue = self.slots.lock();
            queue.waiting.remove(&place);
            queue.served.remove(&place)
        };
        self.places.lock().insert(place);
        if was_served {
            self.slots.release();
        }
    }
}

/// One slot, given back when dropped.
#[derive(Debug)]
pub(super) struct ScriptSlot(ScriptSlots);

impl Drop for ScriptSlot {
    fn drop(&mut self) {
        self.0.release();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn poll(wait: &mut Wait) -> Option<ScriptSlot> {
        match Pin::new(wait).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(slot) => Some(slot),
            Poll::Pending => None,
        }
    }

    /// One checker: it asks, looks, gives up, or is done.
    #[derive(Default)]
    struct Checker {
        places: Places,
        wait: Option<Wait>,
        slot: Option<ScriptSlot>,
        /// When it began to wait without having had a turn since.
        since: Option<usize>,
    }

    proptest! {
        /// Whatever is asked, given up and dropped: no more than there are slots are taken but for those
        /// that were before there were fewer, none is lost, and whoever is served has waited for at least as long as all others who wait.
        #[test]
        fn who_has_waited_for_longest_is_served(
            count in 1_usize..4,
            steps in vec((0_usize..6, 0_u8..5), 1..200),
        ) {
            let mut count = count;
            let slots = ScriptSlots::new(NonZeroUsize::new(count).expect("some"));
            let mut checkers: [Checker; 6] = Default::default();
            for (now, (which, what)) in steps.into_iter().enumerate() {
                match what {
                    0 if checkers[which].slot.is_none() && checkers[which].wait.is_none() => {
                        let places = checkers[which].places.clone();
                        checkers[which].since.get_or_insert(now);
                        checkers[which].wait = Some(slots.wait(places));
                    }
                    1 => checkers[which].wait = None,
                    2 => checkers[which].slot = None,
                    3 => {
                        count = which + 1;
                        slots.resize(NonZeroUsize::new(count).expect("some"));
                    }
                    _ => {}
                }
                // Whoever was woken looks, and whoever has just asked.
                loop {
                    let before = checkers.iter().filter(|checker| checker.slot.is_some()).count();
                    let waited: Vec<_> = checkers
                        .iter()
                        .filter(|checker| checker.wait.is_some())
                        .filter_map(|checker| checker.since)
                        .collect();
                    // More slots may have come to several at once.
                    let mut in_turn: Vec<_> = checkers.iter_mut().collect();
                    in_turn.sort_by_key(|checker| checker.since);
                    for checker in in_turn {
                        let Some(slot) = checker.wait.as_mut().and_then(poll) else { continue };
                        prop_assert!(before < count, "nobody is served while all slots are taken");
                        prop_assert_eq!(checker.since, waited.iter().min().copied());
                        (checker.slot, checker.wait, checker.since) = (Some(slot), None, None);
                        break;
                    }
                    let after = checkers.iter().filter(|checker| checker.slot.is_some()).count();
                    if after == before {
                        prop_assert!(after >= count || waited.is_empty(), "no slot is lost");
                        prop_assert_eq!(slots.free(), count.saturating_sub(after));
                        break;
                    }
                }
            }
        }
    }
}
