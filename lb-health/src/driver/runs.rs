//! The runs that are going, polled by hand: one task for all of them, in places that are used again.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use super::stage::{Going, Start};
use crate::deadlines::Deadlines;
use crate::{CheckError, Failure, Phase, Report, Run, Target};

/// What a run of a check and the next one cost together is mostly what the system takes for its
/// sockets. So there is no task, timer or map entry for each: a run is a place in a list, which
/// keeps its waker for the next run, and an entry in one heap of deadlines.
#[derive(Default)]
pub(super) struct Runs {
    places: Vec<Place>,
    free: Vec<u32>,
    /// When each run is ended, whatever it does.
    bounds: Deadlines,
    ready: Arc<Ready>,
    /// What `ready` was emptied into, the next one last.
    batch: Vec<u32>,
}

/// A run that is over.
pub(super) struct Finished {
    pub(super) run: Run,
    /// When its checker was called; none if that never came.
    pub(super) called: Option<Instant>,
    pub(super) result: Result<Report, Failure>,
}

/// Where a run is, as long as it goes.
pub(super) type Spot = u32;

struct Place {
    going: Option<Occupant>,
    waker: Waker,
    flag: Arc<Flag>,
}

struct Occupant {
    run: Run,
    called: Option<Instant>,
    /// Locked by nobody: it makes a future that is not `Sync` part of a driver that is.
    future: Mutex<Pin<Box<dyn Going>>>,
}

impl Runs {
    /// Takes a run in, to be polled by [`Self::poll_next`]. It is ended if its checker is not ready
    /// by `patience`.
    pub(super) fn start(
        &mut self,
        run: Run,
        checker: &dyn Start,
        target: Target,
        patience: Instant,
    ) -> Result<Spot, Failure> {
        let future = guarded(|| checker.start(target))?;
        let spot = self.free.pop().unwrap_or_else(|| {
            let spot = self.places.len() as u32;
            let flag =
                Arc::new(Flag { spot, up: AtomicBool::new(false), ready: self.ready.clone() });
            self.places.push(Place { going: None, waker: Arc::clone(&flag).into(), flag });
            spot
        });
        let place = &mut self.places[spot as usize];
        place.going = Some(Occupant { run, called: None, future: Mutex::new(future) });
        self.bounds.set(spot, patience);
        place.waker.wake_by_ref();
        Ok(spot)
    }

    /// Ends the run at `spot`: nothing of it is left behind.
    pub(super) fn stop(&mut self, spot: Spot) {
        if let Some(occupant) = self.vacate(spot) {
            // A checker that panics here as well has nothing to add.
            let _ = guarded(|| drop(occupant));
        }
    }

    /// Whom to wake when a run can go on.
    pub(super) fn listen(&self, waker: &Waker) {
        let mut queue = self.ready.lock();
        match &mut queue.listener {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Polls one run that can go on; `None` if there is none. `bound` says until when a run may go
    /// whose checker is called `now`.
    pub(super) fn poll_next(
        &mut self,
        now: impl FnOnce() -> Instant,
        bound: impl FnOnce(Run, Instant) -> Instant,
    ) -> Option<Poll<Finished>> {
        if self.batch.is_empty() {
            mem::swap(&mut self.batch, &mut self.ready.lock().spots);
            self.batch.reverse();
        }
        let spot = self.batch.pop()?;
        let place = &mut self.places[spot as usize];
        place.flag.up.store(false, Ordering::Release);
        let Some(occupant) = &mut place.going else { return Some(Poll::Pending) };
        let future = occupant.future.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut context = Context::from_waker(&place.waker);
        let before = occupant.called.is_none().then(now);
        let polled = guarded(|| future.as_mut().poll(&mut context));
        if let Some(now) = before.filter(|_| future.is_called()) {
            occupant.called = Some(now);
            self.bounds.set(spot, bound(occupant.run, now));
        }
        let result = match polled {
            Ok(Poll::Pending) => return Some(Poll::Pending),
            Ok(Poll::Ready(result)) => result,
            Err(panic) => Err(panic),
        };
        let Occupant { run, called, .. } = self.vacate(spot)?;
        Some(Poll::Ready(Finished { run, called, result }))
    }

    /// When a run is to be ended next. O(1).
    pub(super) fn next_bound(&self) -> Option<Instant> {
        self.bounds.next()
    }

    /// Ends a run whose time is over at `now`, if there is one. It may say a last word: its answer
    /// may be there, behind those of many others.
    pub(super) fn end_overdue(&mut self, now: Instant) -> Option<Finished> {
        let (_, spot) = self.bounds.pop_due(now)?;
        let place = self.places.get_mut(spot as usize)?;
        let Occupant { called, future, .. } = place.going.as_mut()?;
        let future = future.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut context = Context::from_waker(&place.waker);
        let last = called.map(|_| guarded(|| future.as_mut().poll(&mut context)));
        let result = match last {
            Some(Ok(Poll::Ready(result))) => result,
            Some(Err(panic)) => Err(panic),
            None | Some(Ok(Poll::Pending)) => {
                Err(CheckError::Timeout { phase: Phase::Whole }.into())
            }
        };
        let Occupant { run, called, future } = self.vacate(spot)?;
        let _ = guarded(|| drop(future));
        Some(Finished { run, called, result })
    }

    fn vacate(&mut self, spot: Spot) -> Option<Occupant> {
        let occupant = self.places.get_mut(spot as usize)?.going.take()?;
        self.bounds.clear(spot);
        self.free.push(spot);
        Some(occupant)
    }
}

/// The runs that can go on.
#[derive(Default)]
struct Ready(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    spots: Vec<Spot>,
    listener: Option<Waker>,
}

impl Ready {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Raised while a spot is in the queue, so that it is there once.
struct Flag {
    spot: Spot,
    up: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.up.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut queue = self.ready.lock();
        queue.spots.push(self.spot);
        // The driver looks at all of them when it comes up: one call is enough.
        let listener = queue.listener.take();
        drop(queue);
        listener.into_iter().for_each(Waker::wake);
    }
}

/// Does `work` of a checker, whose panics are its own.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|panic| CheckError::Panicked { message: message_of(panic) }.into())
}

fn message_of(panic: Box<dyn Any + Send>) -> Arc<str> {
    match panic.downcast::<String>() {
        Ok(message) => (*message).into(),
        Err(panic) => (*panic.downcast_ref::<&str>().unwrap_or(&"no message")).into(),
    }
}
