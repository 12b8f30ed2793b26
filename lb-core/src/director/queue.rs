//! Who waits for room: first come, first served.

use std::sync::{Arc, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use super::QueueConfig;
use super::line::{Calls, Home, Line, Waiter};
use crate::backend::BackendId;
use crate::sync::{AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering, fence};

/// A bounded line of flows for which every backend was full, or the one that they belong to.
///
/// Nobody overtakes: whoever comes while somebody waits goes to the end of the line, and only the
/// first in it may try. It is called when a flow ends or a pool is published; once served, it calls
/// the next. A ticket that is dropped leaves the line, and passes a call on that it had not used.
///
/// A flow that comes back, because the backend that it waited for refused it, has its position again.
///
/// One flow may be unable to take the room that there is, because that very backend refused it
/// before: it passes the call on as well, and keeps its position.
///
/// Who waits for one backend alone stands aside, in a line for that backend, and keeps nobody else
/// from any other. To whoever comes after it that backend is as good as full: it is *claimed*.
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

    /// What whoever comes now must leave to those who wait, or `None` if it has to wait with them.
    pub(crate) fn claimed(&self) -> Option<Vec<BackendId>> {
        match self.len() {
            0 => Some(Vec::new()),
            _ => self.lock().claimed(),
        }
    }

    /// Takes the last position, or the one that a flow had `before`, for any backend or for its `home`
    /// alone. If the line is full, how many wait.
    pub(crate) fn join(
        self: &Arc<Self>,
        waker: &Waker,
        before: Option<u64>,
        home: Option<Home>,
    ) -> Result<Ticket, usize> {
        let mut line = self.lock();
        // Who has waited is not refused for somebody who came later: there are at most as many of them
        // as are under way.
        let has_waited = before.is_some() && self.room() > 0;
        if !has_waited && line.len() >= self.room() {
            return Err(line.len());
        }
        let number = line.number(before);
        let called = home.is_none() && line.take_unanswered();
        let id = home.as_ref().map(|home| home.id);
        line.insert(Waiter { number, waker: waker.clone(), called }, home);
        self.waiting.store(line.len(), Ordering::Relaxed);
        // Before the first try: whichever flow that try does not see ended sees this one waiting.
        fence(Ordering::SeqCst);
        // Others may be first, and of no use to them what is free for this one.
        let calls = line.call_if_free(id);
        drop(line);
        calls.wake();
        Ok(Ticket { queue: Arc::clone(self), number, home: id })
    }

    /// There may be room now: calls the first in line, and who is first for each backend that has
    /// room.
    pub(crate) fn call(&self) {
        self.call_by(|line| line.call_after(None));
    }

    /// Nothing is as it was: calls the first in line, and who is first for each backend, which may not
    /// be one to wait for any more.
    pub(crate) fn call_all(&self) {
        self.call_by(Line::call_all);
    }

    fn call_by(&self, call: impl FnOnce(&mut Line) -> Calls) {
        // After the flow's end: whoever is not seen waiting here sees that end when trying.
        fence(Ordering::SeqCst);
        if self.len() > 0 {
            let calls = call(&mut self.lock());
            calls.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        // A line is consistent between any two calls, so that a panic elsewhere does not taint it.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A position in the line, for as long as this lives.
#[derive(Debug)]
#[must_use = "the position in the line is given up when the ticket is dropped"]
pub(crate) struct Ticket {
    queue: Arc<Queue>,
    number: u64,
    /// The only backend that it waits for.
    home: Option<BackendId>,
}

impl Ticket {
    /// Where in the line this is.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// If it is this one's turn to try, the backends that it must leave to others. If not, or if trying
    /// fails, the task is woken for the next chance.
    pub(crate) fn turn(&self, cx: &Context<'_>) -> Option<Vec<BackendId>> {
        let mut line = self.queue.lock();
        line.answers(self.number, self.home, cx.waker()).then(|| line.claimed_before(self.number))
    }

    /// Waits for `home` alone from now on, or for any backend: whether that is new. Then it is worth
    /// another try, as who has made room meanwhile may have called somebody else.
    pub(crate) fn wait_for(&mut self, home: Option<Home>) -> bool {
        let id = home.as_ref().map(|home| home.id);
        if id == self.home {
            return false;
        }
        let mut line = self.queue.lock();
        let Some(waiter) = line.remove(self.number, self.home) else { return false };
        line.insert(Waiter { called: true, ..waiter }, home);
        let calls = line.call_behind(self.number, self.home);
        drop(line);
        self.home = id;
        calls.wake();
        true
    }

    /// This one cannot use the room that there may be: lets those try that wait for backends of their
    /// own, and if `any` could use it, whoever is next.
    pub(crate) fn pass_on(&self, any: bool) {
        if self.home.is_some() {
            // Who waits for others is called beside it.
            return;
        }
        let mut line = self.queue.lock();
        let calls = match any {
            true => line.call_after(Some(self.number)),
            false => line.call_homes(None),
        };
        drop(line);
        calls.wake();
    }
}

impl Drop for Ticket {
    /// Served, or tired of waiting: either way there may be room for the first of the others.
    fn drop(&mut self) {
        let mut line = self.queue.lock();
        line.remove(self.number, self.home);
        self.queue.waiting.store(line.len(), Ordering::Relaxed);
        let calls = line.call_left(self.home);
        drop(line);
        calls.wake();
    }
}
