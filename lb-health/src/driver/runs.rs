//! The runs that are going, polled by hand: one task for all of them, in places that are used again.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use super::mailbox::Mailbox;
use super::run::Going;
use super::turns::{Turn, Turns};
use crate::monitor::Run;
use crate::monitor::deadlines::Deadlines;
use crate::trace::Phase;
use crate::{CheckError, Failure, Report};

/// How much longer than its timeout a run may take before it is ended. A checker keeps its own
/// deadline and names the phase it was in; this is for those that do not.
pub(super) const GRACE: Duration = Duration::from_millis(100);

/// What a run of a check and the next one cost together is mostly what the system takes for its
/// sockets. So there is no task, timer or map entry for each: a run is a place in a list, which
/// keeps its waker for the next run, and an entry in one heap of deadlines.
#[derive(Default)]
pub(super) struct Runs {
    places: Vec<Place>,
    free: Vec<Spot>,
    /// When each run is ended, whatever it does.
    bounds: Deadlines,
    /// The runs that can go on.
    ready: Arc<Mailbox<Spot>>,
    /// What `ready` was emptied into, the next one last.
    batch: Vec<Spot>,
    turns: Turns,
}

/// A run to be begun.
pub(super) struct Job {
    pub(super) run: Run,
    pub(super) future: Pin<Box<dyn Going>>,
    pub(super) limits: Limits,
}

/// How long a run may take.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Once its checker is called.
    pub(super) timeout: Duration,
    /// Until then.
    pub(super) patience: Duration,
}

/// A run that is over.
pub(super) struct Finished {
    pub(super) run: Run,
    /// When its checker was called; none if that never came.
    pub(super) called: Option<Instant>,
    /// When it was over, however long after that this is heard of.
    pub(super) ended: Instant,
    pub(super) limits: Limits,
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
    turn: Turn,
    limits: Limits,
    /// Locked by nobody: it makes a future that is not `Sync` part of a driver that is.
    future: Mutex<Pin<Box<dyn Going>>>,
}

impl Occupant {
    fn poll(&mut self, waker: &Waker) -> Result<Poll<Result<Report, Failure>>, Failure> {
        let future = self.future.get_mut().unwrap_or_else(PoisonError::into_inner);
        guarded(|| future.as_mut().poll(&mut Context::from_waker(waker)))
    }

    fn is_called(&mut self) -> bool {
        self.future.get_mut().unwrap_or_else(PoisonError::into_inner).is_called()
    }

    fn ended(self, ended: Instant, result: Result<Report, Failure>) -> Finished {
        let Self { run, called, limits, future, .. } = self;
        // A checker that panics here as well has nothing to add.
        let _ = guarded(|| drop(future));
        Finished { run, called, ended, limits, result }
    }
}

impl Runs {
    /// Calls no more checkers than so many at once.
    pub(super) const fn limit(&mut self, most: usize) {
        self.turns.limit(most);
    }

    /// Takes a run in, to be polled by [`Self::poll_next`].
    pub(super) fn start(&mut self, now: Instant, job: Job) -> Spot {
        let Job { run, future, limits } = job;
        let spot = self.free.pop().unwrap_or_else(|| {
            let spot = self.places.len() as u32;
            let flag =
                Arc::new(Flag { spot, up: AtomicBool::new(false), ready: self.ready.clone() });
            self.places.push(Place { going: None, waker: Arc::clone(&flag).into(), flag });
            spot
        });
        let place = &mut self.places[spot as usize];
        let (turn, future) = (Turn::Unasked, Mutex::new(future));
        place.going = Some(Occupant { run, called: None, turn, limits, future });
        self.bounds.set(spot, now + limits.patience);
        place.waker.wake_by_ref();
        spot
    }

    /// Ends the run at `spot`: nothing of it is left behind.
    pub(super) fn stop(&mut self, spot: Spot) {
        if let Some(occupant) = self.vacate(spot) {
            let _ = guarded(|| drop(occupant));
        }
    }

    /// Whom to wake when a run can go on.
    pub(super) fn listen(&self, waker: &Waker) {
        self.ready.listen(waker);
    }

    /// Polls one run that can go on; `None` if there is none.
    pub(super) fn poll_next(&mut self, now: impl Fn() -> Instant) -> Option<Poll<Finished>> {
        if self.batch.is_empty() {
            self.ready.take(&mut self.batch);
        }
        let spot = self.batch.pop()?;
        let place = &mut self.places[spot as usize];
        place.flag.up.store(false, Ordering::Release);
        let Some(occupant) = &mut place.going else { return Some(Poll::Pending) };
        if !self.turns.ask(&mut occupant.turn, spot) {
            return Some(Poll::Pending);
        }
        let before = occupant.called.is_none().then(&now);
        let polled = occupant.poll(&place.waker);
        if let Some(now) = before.filter(|_| occupant.is_called()) {
            occupant.called = Some(now);
            self.bounds.set(spot, now + occupant.limits.timeout + GRACE);
        }
        let result = match polled {
            Ok(Poll::Pending) => {
                // It waits for something else, such as a slot for scripts, and takes no turn meanwhile.
                if occupant.called.is_none() {
                    self.turns.pass(&mut occupant.turn);
                    self.pass_turn_on();
                }
                return Some(Poll::Pending);
            }
            Ok(Poll::Ready(result)) => result,
            Err(panic) => Err(panic),
        };
        Some(Poll::Ready(self.vacate(spot)?.ended(now(), result)))
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
        let occupant = place.going.as_mut()?;
        let last = occupant.called.is_some().then(|| occupant.poll(&place.waker));
        let result = match last {
            Some(Ok(Poll::Ready(result))) => result,
            Some(Err(panic)) => Err(panic),
            None | Some(Ok(Poll::Pending)) => {
                Err(CheckError::Timeout { phase: Phase::Whole }.into())
            }
        };
        Some(self.vacate(spot)?.ended(now, result))
    }

    fn vacate(&mut self, spot: Spot) -> Option<Occupant> {
        let occupant = self.places.get_mut(spot as usize)?.going.take()?;
        self.bounds.clear(spot);
        self.free.push(spot);
        self.turns.leave(occupant.turn);
        self.pass_turn_on();
        Some(occupant)
    }

    /// Wakes who is next, if somebody waits and may begin.
    fn pass_turn_on(&mut self) {
        while let Some((spot, turn)) = self.turns.pass_on() {
            // Whoever waits is there: who goes leaves the line.
            let Some(place) = self.places.get_mut(spot as usize) else { continue };
            if let Some(occupant) = &mut place.going {
                occupant.turn = turn;
            }
            place.waker.wake_by_ref();
        }
    }
}

/// Raised while a spot is among those that can go on, so that it is there once.
struct Flag {
    spot: Spot,
    up: AtomicBool,
    ready: Arc<Mailbox<Spot>>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.up.swap(true, Ordering::AcqRel) {
            self.ready.post(self.spot);
        }
    }
}

/// Does `work` of a checker, whose panics are its own.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|panic| CheckError::Panicked { message: message_of(panic) }.into())
}

fn message_of(panic: Box<dyn Any + Send>) -> Arc<str> {
    match panic.downcast::<String>() {
        Ok(message) => (*message).into(),
        Err(panic) => (*panic.downcast_ref::<&str>().unwrap_or(&"no message")).into(),
    }
}
