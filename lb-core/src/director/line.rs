//! Those who wait, in order, and whose turn it is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use crate::backend::{BackendId, Load};

/// Who waits for any backend, and beside them, who for which one alone. All have numbers in the order
/// in which they came.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiters: VecDeque<Waiter>,
    /// Nobody in it has an empty line.
    homes: Vec<HomeLine>,
    next_number: u64,
    /// Everybody who waits has passed the last call on: it is for whoever comes next.
    unanswered: bool,
}

#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) number: u64,
    pub(super) waker: Waker,
    pub(super) called: bool,
}

/// The only backend that a flow waits for.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) id: BackendId,
    pub(crate) load: Arc<Load>,
}

#[derive(Debug)]
struct HomeLine {
    home: Home,
    waiters: VecDeque<Waiter>,
}

/// Whom to wake, once the line is not locked any more.
#[derive(Debug, Default)]
#[must_use = "who is called has to be woken"]
pub(super) struct Calls {
    first: Option<Waker>,
    // Empty, and so without an allocation, unless somebody waits for one backend.
    homes: Vec<Waker>,
}

impl Calls {
    pub(super) fn wake(self) {
        self.homes.into_iter().chain(self.first).for_each(Waker::wake);
    }
}

impl Waiter {
    fn call(&mut self) -> Waker {
        self.called = true;
        self.waker.clone()
    }
}

impl HomeLine {
    fn is_called_before(&self, number: Option<u64>) -> bool {
        !self.home.load.is_full() && self.came_before(number)
    }

    /// Whether its first came before whoever has this number; everybody did, if nobody has.
    fn came_before(&self, number: Option<u64>) -> bool {
        let first = self.waiters.front().map(|waiter| waiter.number);
        first.is_some_and(|first| number.is_none_or(|number| first < number))
    }
}

impl Line {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiters.len() + self.homes.iter().map(|line| line.waiters.len()).sum::<usize>()
    }

    /// The number of whoever comes now, unless it had one before.
    pub(super) fn number(&mut self, before: Option<u64>) -> u64 {
        let number = before.unwrap_or(self.next_number);
        self.next_number = self.next_number.max(number + 1);
        number
    }

    /// Whether there is a call left for whoever comes now and waits for any backend.
    pub(super) fn take_unanswered(&mut self) -> bool {
        std::mem::take(&mut self.unanswered)
    }

    /// Puts a waiter where its number says, among those who wait for the same.
    pub(super) fn insert(&mut self, waiter: Waiter, home: Option<Home>) {
        let waiters = match home {
            None => &mut self.waiters,
            Some(home) => {
                let load = Arc::clone(&home.load);
                let at = self.homes.iter().position(|line| line.home.id == home.id);
                let at = at.unwrap_or_else(|| {
                    self.homes.push(HomeLine { home, waiters: VecDeque::new() });
                    self.homes.len() - 1
                });
                // Of what counts now, should it be another one of the same identity.
                self.homes[at].home.load = load;
                &mut self.homes[at].waiters
            }
        };
        let position = waiters.partition_point(|other| other.number < waiter.number);
        waiters.insert(position, waiter);
    }

    /// Takes a waiter out.
    pub(super) fn remove(&mut self, number: u64, home: Option<BackendId>) -> Option<Waiter> {
        let waiters = self.waiters_for(home)?;
        let position = position(waiters, number)?;
        let waiter = waiters.remove(position);
        self.homes.retain(|line| !line.waiters.is_empty());
        waiter
    }

    /// Whether it is the turn of this waiter, whose task is `waker`'s from now on: it is called, or
    /// nobody came before it that waits for the same.
    pub(super) fn answers(&mut self, number: u64, home: Option<BackendId>, waker: &Waker) -> bool {
        let first = self.waiters.front().map_or(u64::MAX, |waiter| waiter.number);
        let Some(waiters) = self.waiters_for(home) else { return true };
        let Some(position) = position(waiters, number) else { return true };
        let waiter = &mut waiters[position];
        waiter.waker.clone_from(waker);
        std::mem::take(&mut waiter.called) || (position == 0 && number <= first)
    }

    /// The backends for which somebody waits who came before `number`.
    pub(super) fn claimed_before(&self, number: u64) -> Vec<BackendId> {
        let claimed = self.homes.iter().filter(|line| line.came_before(Some(number)));
        claimed.map(|line| line.home.id).collect()
    }

    /// The backends for which somebody waits, unless others wait for any.
    pub(super) fn claimed(&self) -> Option<Vec<BackendId>> {
        self.waiters.is_empty().then(|| self.claimed_before(u64::MAX))
    }

    /// Calls the first waiter, or the first after `number`, and before it those who came earlier and
    /// whose backends have room. Whoever is called calls those behind it.
    pub(super) fn call_after(&mut self, number: Option<u64>) -> Calls {
        let next = match number {
            Some(number) => self.waiters.partition_point(|waiter| waiter.number <= number),
            None => 0,
        };
        let next_number = self.waiters.get(next).map(|waiter| waiter.number);
        let calls = self.call_homes(next_number);
        self.unanswered = next_number.is_none();
        Calls { first: self.waiters.get_mut(next).map(Waiter::call), ..calls }
    }

    /// Calls who is first for each backend that has room, if it came before `number`.
    pub(super) fn call_homes(&mut self, number: Option<u64>) -> Calls {
        self.call_lines(|line| line.is_called_before(number))
    }

    /// Calls everybody who is first for anything.
    pub(super) fn call_all(&mut self) -> Calls {
        let calls = self.call_lines(|_| true);
        self.unanswered = self.waiters.is_empty();
        Calls { first: self.waiters.front_mut().map(Waiter::call), ..calls }
    }

    /// If `home` has room, calls whoever it is for.
    pub(super) fn call_if_free(&mut self, home: Option<BackendId>) -> Calls {
        let mine = self.homes.iter().find(|line| Some(line.home.id) == home);
        match mine.is_some_and(|line| !line.home.load.is_full()) {
            true => self.call_after(None),
            false => Calls::default(),
        }
    }

    /// Whoever has this number waits for another backend than `home` now: calls who may have to do the
    /// same, or can use what it could not.
    pub(super) fn call_behind(&mut self, number: u64, home: Option<BackendId>) -> Calls {
        let calls = match home {
            None => self.call_after(Some(number)),
            Some(_) => self.call_homes(None),
        };
        self.with_next_of(home, calls)
    }

    /// Whoever waited for `home` alone, or for any backend, has left: calls who is next.
    pub(super) fn call_left(&mut self, home: Option<BackendId>) -> Calls {
        let calls = self.call_after(None);
        self.with_next_of(home, calls)
    }

    /// Calls who is next for `home` beside, however full that is: it may not be one to wait for any
    /// more.
    fn with_next_of(&mut self, home: Option<BackendId>, mut calls: Calls) -> Calls {
        let next = self.call_lines(|line| Some(line.home.id) == home);
        calls.homes.extend(next.homes);
        calls
    }

    fn call_lines(&mut self, which: impl Fn(&HomeLine) -> bool) -> Calls {
        let lines = self.homes.iter_mut().filter(|line| which(line));
        let homes = lines.filter_map(|line| line.waiters.front_mut()).map(Waiter::call).collect();
        Calls { first: None, homes }
    }

    fn waiters_for(&mut self, home: Option<BackendId>) -> Option<&mut VecDeque<Waiter>> {
        match home {
            None => Some(&mut self.waiters),
            Some(id) => {
                let line = self.homes.iter_mut().find(|line| line.home.id == id)?;
                Some(&mut line.waiters)
            }
        }
    }
}

fn position(waiters: &VecDeque<Waiter>, number: u64) -> Option<usize> {
    waiters.binary_search_by_key(&number, |waiter| waiter.number).ok()
}
