//! Who waits for a place: first come, first served.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use super::QueueConfig;
use crate::sync::{AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering, fence};

/// A bounded line of flows for which every backend was full.
///
/// Nobody overtakes: whoever comes while somebody waits goes to the end of the line, and only the
/// first in it may try. It is called when a flow ends or a pool is published; once served, it calls
/// the next. A ticket that is dropped leaves the line, and passes a call on that it had not used.
///
/// A flow that comes back, because the backend that it waited for refused it, has its place again.
///
/// One flow may be unable to take the place that there is, because that very backend refused it
/// before: it passes the call on as well, and keeps its place.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    line: Mutex<Line>,
    /// As many as there are in the line: whoever sees none need not lock.
    waiting: AtomicUsize,
    /// 0 if nobody may wait.
    room: AtomicUsize,
    /// In nanoseconds, 0 if there is no end to it.
    timeout: AtomicU64,
}

#[derive(Debug, Default)]
struct Line {
    places: VecDeque<Place>,
    next_number: u64,
    /// Everybody who waits has passed the last call on: it is for whoever comes next.
    unanswered: bool,
}

#[derive(Debug)]
struct Place {
    number: u64,
    waker: Waker,
    called: bool,
}

impl Queue {
    /// Lets as many wait from now on, for as long.
    pub(crate) fn set(&self, config: Option<QueueConfig>) {
        let nanoseconds =
            |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1);
        let timeout = config.and_then(|config| config.timeout).map_or(0, nanoseconds);
        self.timeout.store(timeout, Ordering::Relaxed);
        self.room.store(config.map_or(0, |config| config.length.get()), Ordering::Relaxed);
    }

    /// Whether anybody may wait, or does.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.room() > 0 || self.len() > 0
    }

    /// How long whoever comes now waits.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        let timeout = self.timeout.load(Ordering::Relaxed);
        (timeout > 0).then(|| Duration::from_nanos(timeout))
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How many may wait.
    pub(crate) fn room(&self) -> usize {
        self.room.load(Ordering::Relaxed)
    }

    /// Takes the last place, or the one that a flow had `before`. If the line is full, how many wait.
    pub(crate) fn join(
        self: &Arc<Self>,
        waker: &Waker,
        before: Option<u64>,
    ) -> Result<Ticket, usize> {
        let mut line = self.lock();
        // Who has waited is not refused for somebody who came later: there are at most as many of them
        // as are under way.
        let has_waited = before.is_some() && self.room() > 0;
        if !has_waited && line.places.len() >= self.room() {
            return Err(line.places.len());
        }
        let number = before.unwrap_or(line.next_number);
        line.next_number = line.next_number.max(number + 1);
        let called = std::mem::take(&mut line.unanswered);
        let position = line.places.partition_point(|place| place.number < number);
        line.places.insert(position, Place { number, waker: waker.clone(), called });
        self.waiting.store(line.places.len(), Ordering::Relaxed);
        // Before the first try: whichever flow that try does not see ended sees this one waiting.
        fence(Ordering::SeqCst);
        Ok(Ticket { queue: Arc::clone(self), number })
    }

    /// There may be a place now: calls the first in line.
    pub(crate) fn call(&self) {
        // After the flow's end: whoever is not seen waiting here sees that end when trying.
        fence(Ordering::SeqCst);
        if self.len() > 0 {
            let waker = self.lock().call_after(None);
            waker.into_iter().for_each(Waker::wake);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        // A line is consistent between any two calls, so that a panic elsewhere does not taint it.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Marks the first place, or the first after `number`, as called: its waker.
    fn call_after(&mut self, number: Option<u64>) -> Option<Waker> {
        let next = match number {
            Some(number) => self.places.partition_point(|place| place.number <= number),
            None => 0,
        };
        let place = self.places.get_mut(next);
        self.unanswered = place.is_none();
        let place = place?;
        place.called = true;
        Some(place.waker.clone())
    }

    fn position(&self, number: u64) -> Option<usize> {
        self.places.binary_search_by_key(&number, |place| place.number).ok()
    }
}

/// A place in the line, for as long as this lives.
#[derive(Debug)]
#[must_use = "the place in the line is given up when the ticket is dropped"]
pub(crate) struct Ticket {
    queue: Arc<Queue>,
    number: u64,
}

impl Ticket {
    /// Where in the line this is.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// Whether it is this one's turn to try. If not, or if trying fails, the task is woken for the
    /// next chance.
    pub(crate) fn is_called(&self, cx: &Context<'_>) -> bool {
        let mut line = self.queue.lock();
        let Some(position) = line.position(self.number) else { return true };
        let place = &mut line.places[position];
        place.waker.clone_from(cx.waker());
        std::mem::take(&mut place.called) || position == 0
    }

    /// This one cannot use the place that there may be: lets the next one try.
    pub(crate) fn pass_on(&self) {
        let waker = self.queue.lock().call_after(Some(self.number));
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Ticket {
    /// Served, or tired of waiting: either way there may be room for the first of the others.
    fn drop(&mut self) {
        let mut line = self.queue.lock();
        if let Some(position) = line.position(self.number) {
            line.places.remove(position);
        }
        self.queue.waiting.store(line.places.len(), Ordering::Relaxed);
        let waker = line.call_after(None);
        drop(line);
        waker.into_iter().for_each(Waker::wake);
    }
}
