//! When to run which check, and what the results mean for a backend.

mod backends;
mod check;
pub(crate) mod chunks;
pub(crate) mod deadlines;
mod event;
mod few;
mod history;
mod hold;
mod maintenance;
mod said;
mod sharing;
mod specs;
mod timetable;
mod traffic;

use std::collections::VecDeque;
use std::hash::Hash;
use std::mem;
use std::num::{NonZeroU64, NonZeroUsize};
use std::time::{Duration, Instant};

use lb_core::Health;
use lb_core::backend::BackendId;
use rand::Rng;

use crate::state::{CheckInput, CheckState};
use crate::{CheckError, CheckSpec, Failure, Report};
use backends::Backends;
use check::{Checks, Seat};
use deadlines::Deadlines;
use event::Combined;
use few::Few;
use history::History;
use said::Said;
use specs::Specs;
use timetable::Timetable;

pub use check::{Check, CheckId, Run};
pub use event::{Because, Event, Obstruction, Verdict};
pub use history::PastRun;

/// What the owner of a [`Monitor`] is to do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Action<K = BackendId> {
    /// Give this run up: its check was forgotten, replaced or suspended. A result that comes all
    /// the same is ignored.
    Cancel(Run),
    /// Tell whoever balances, and whoever watches.
    Notify(Event<K>),
    /// Run this check now, and answer with [`Monitor::handle_result`].
    Run(Run),
}

/// Schedules checks and turns their results into the health of backends.
///
/// A pure machine, driven as the [crate page](crate) says. What it promises:
///
/// - never two runs of one check at once, and no start earlier than
///   [`CheckSpec::shortest_interval`] after the previous one;
/// - a backend is up while all of its checks are, down as soon as one is, and keeps its last
///   health while nothing is decided; before the first verdict it has none;
/// - a [`Verdict`] says something new each time;
/// - a check that cannot be run changes nothing but is [told](Event::Obstructed), and so is its
///   recovery.
///
/// Names that are not known (any more) are ignored: a late call is doing nothing.
/// Every event costs O(log n) in the number of checks and O(k) in those of its backends.
///
/// Backends are told apart by a key of type `K`. A [`BackendId`] will do where there is one virtual
/// server; each issues its own, so a monitor of several needs a key that names both.
///
/// # When traffic and checks disagree
///
/// A check may pass while clients fail: it looks at another port, or at less than they need. Traffic
/// then takes the backend down ([`Self::handle_passive`]), the check brings it up, and so on. So a
/// backend that traffic takes down again is held down: for the check's interval at the second time,
/// and twice as long at each further one, up to a minute (or one interval, if that is longer). While
/// it is held, runs that pass are recorded but do not count; the streak that brings it up begins
/// after. A quiet time of twice the last hold and the interval, at least a minute, starts the
/// count over; so do [`Self::replace`] and [`Self::resume`]. A single incident is never held, nor is
/// what a check took down.
///
/// # Example
///
/// ```
/// use std::time::Instant;
/// use lb_core::backend::BackendId;
/// use lb_core::Health;
/// use lb_health::monitor::Action;
/// use lb_health::{CheckSpec, Event, Monitor, Report};
/// use rand::{SeedableRng, rngs::SmallRng};
///
/// let now = Instant::now();
/// let mut rng = SmallRng::seed_from_u64(1);
/// let mut monitor = Monitor::new();
/// monitor.watch(now, BackendId::new(7), CheckSpec::default(), &mut rng);
///
/// monitor.handle_timeout(now); // no warm-up: the first run is due at once
/// let Some(Action::Run(run)) = monitor.poll_action() else { panic!("nothing to run") };
/// monitor.handle_result(now, run, Ok(Report::ALIVE));
/// let Some(Action::Notify(Event::Verdict(verdict))) = monitor.poll_action() else {
///     panic!("no verdict")
/// };
/// assert_eq!((verdict.backend, verdict.health), (BackendId::new(7), Health::UP));
///
/// // A result applies once.
/// monitor.handle_result(now, run, Ok(Report::ALIVE));
/// assert!(monitor.poll_action().is_none());
/// ```
#[derive(Debug)]
pub struct Monitor<K = BackendId> {
    checks: Checks<K>,
    backends: Backends<K>,
    specs: Specs,
    deadlines: Deadlines,
    /// Told before any other action: traffic waits for the verdicts.
    events: VecDeque<Event<K>>,
    /// What to start and what to give up, in order.
    orders: VecDeque<Action<K>>,
    /// The runs asked for so far.
    runs: u64,
    /// How many outcomes each check remembers.
    remembered: usize,
}

impl<K> Default for Monitor<K> {
    /// A monitor of nothing.
    fn default() -> Self {
        Self {
            checks: Checks::default(),
            backends: Backends::default(),
            specs: Specs::default(),
            deadlines: Deadlines::default(),
            events: VecDeque::new(),
            orders: VecDeque::new(),
            runs: 0,
            remembered: Self::REMEMBERED,
        }
    }
}

impl<K> Monitor<K> {
    /// How many outcomes each check remembers, unless [told otherwise](Self::with_history).
    pub const REMEMBERED: usize = 10;
}

impl<K: Copy + Eq + Hash> Monitor<K> {
    /// A monitor of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets each check remember as many [outcomes](Check::recent). Default: [`Self::REMEMBERED`].
    #[must_use]
    pub fn with_history(self, outcomes: NonZeroUsize) -> Self {
        Self { remembered: outcomes.get(), ..self }
    }

    /// Starts to check `backend` by one more check. `rng` seeds its jitter.
    ///
    /// The first run is within the warm-up; after it the check keeps a random phase of its own. A
    /// backend that is up already stays so until the new check's first verdict.
    pub fn watch(
        &mut self,
        now: Instant,
        backend: K,
        spec: CheckSpec,
        rng: &mut dyn Rng,
    ) -> CheckId {
        let spec = self.specs.share(now, spec);
        let (timetable, first) = Timetable::new(now, &spec, rng);
        let seat = self.backends.seat(backend);
        let suspended = self.backends.is_suspended(seat);
        let mut state = CheckState::default();
        if suspended {
            state.observe(CheckInput::Off, spec.thresholds());
        }
        let id = self.checks.insert(Check {
            backends: Few::One(seat),
            spec,
            state,
            timetable,
            running: None,
            said: Said::default(),
            local_errors: 0,
            obstructed: false,
            hurried: false,
            overruled: false,
            history: History::default(),
            hold: None,
        });
        self.backends.at(seat).checks.push(id);
        if !suspended {
            self.deadlines.set(id.slot, first);
        }
        self.publish(seat, || Because::Initial { check: id });
        id
    }

    /// Puts a changed check in the place of `check`: at the same backends, under the same identity.
    ///
    /// A backend stays up, if it is, until the new check's own verdict; if it is down, a single
    /// success suffices. What it reported of weight and limits holds until the new one reports. A run that
    /// is going is cancelled. If the old check was obstructed, so is the
    /// new one until a run says otherwise. Do not call it for an unchanged check:
    /// that would lose its streak and its phase.
    pub fn replace(&mut self, now: Instant, check: CheckId, spec: CheckSpec) {
        self.cancel(check);
        let Some(known) = self.checks.get_mut(check) else { return };
        known.spec = self.specs.share(now, spec);
        known.state = known.state.replaced();
        known.said = known.said.of_former();
        known.local_errors = 0;
        known.hold = None;
        if !matches!(known.state, CheckState::Off { .. }) {
            self.deadlines.set(check.slot, known.timetable.restart(now, &known.spec));
        }
        self.publish_all(check, || Because::Initial { check });
    }

    /// Brings the next run of `check` forward, because there is reason to think that it will say
    /// something new: to now, or as soon after the last start as the shortest interval allows. If a
    /// run is going it may have looked already, and there is another one after it.
    pub fn hurry(&mut self, now: Instant, check: CheckId) {
        let Some(known) = self.checks.get_mut(check) else { return };
        if known.running.is_some() {
            known.hurried = true;
        } else if let Some(due) = self.deadlines.of(check.slot) {
            let soonest = known.timetable.soonest(now, &known.spec);
            self.deadlines.set(check.slot, due.min(soonest));
        }
    }

    /// Time has come: asks for every run that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((due, slot)) = self.deadlines.pop_due(now) {
            // A deadline is only ever set for a check that is there and has no run going.
            let Some((id, check)) = self.checks.at(slot) else { continue };
            self.runs += 1;
            let run = Run { check: id, number: NonZeroU64::MIN.saturating_add(self.runs - 1) };
            check.timetable.start(now, due, &check.spec);
            check.running = Some(run.number);
            self.orders.push_back(Action::Run(run));
        }
    }

    /// Takes the result of a run. That of a cancelled run, or a second one, is ignored.
    pub fn handle_result(&mut self, now: Instant, run: Run, result: Result<Report, Failure>) {
        let Some(check) = self.checks.get_mut(run.check) else { return };
        if check.running != Some(run.number) {
            return;
        }
        let before = Combined::NONE.and(check);
        let input = check.finish(now, result, self.remembered);
        let passes_in_vain = input == CheckInput::Ok
            && matches!(check.state, CheckState::Down { .. })
            && check.held_until(now).is_some();
        if !passes_in_vain {
            check.state.observe(input, check.spec.thresholds());
        }
        let mut next = check.timetable.next(now, &check.spec, check.state);
        if mem::take(&mut check.hurried) {
            next = next.min(check.timetable.soonest(now, &check.spec));
        }
        self.deadlines.set(run.check.slot, next);
        let changed = Combined::NONE.and(check) != before;
        if let Some(news) = check.obstruction() {
            let errors = check.local_errors;
            self.tell_obstruction(run.check, errors, news);
        }
        // What says the same as before cannot change what all say together.
        if changed {
            let last = self.checks.get(run.check).and_then(Check::last);
            let failure = last.and_then(|last| last.result.as_ref().err());
            let error = failure.map(|failure| failure.error.clone());
            self.publish_all(run.check, || match &error {
                Some(_) if input == CheckInput::Local => Because::Initial { check: run.check },
                Some(error) => Because::Failed { check: run.check, error: error.clone() },
                None => Because::Passed { check: run.check },
            });
        }
    }

    /// For how long the check has been due that is due for longest and was not asked for: how far
    /// the owner is behind. Zero if it keeps up; a watchdog should bark at some seconds.
    pub fn overdue(&self, now: Instant) -> Duration {
        self.next_deadline().map_or(Duration::ZERO, |due| now.saturating_duration_since(due))
    }

    /// When [`Self::handle_timeout`] is to be called next, if no other input comes first. O(1).
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// The next thing to do; to be called until `None` after each input.
    pub fn poll_action(&mut self) -> Option<Action<K>> {
        self.events.pop_front().map(Action::Notify).or_else(|| self.orders.pop_front())
    }

    /// One check, if it is known. O(1).
    pub fn check(&self, check: CheckId) -> Option<&Check<K>> {
        self.checks.get(check)
    }

    /// Every check, in no particular order.
    pub fn checks(&self) -> impl Iterator<Item = (CheckId, &Check<K>)> {
        self.checks.iter()
    }

    /// The checks of `backend`, in the order they were added.
    pub fn checks_of(&self, backend: K) -> impl Iterator<Item = (CheckId, &Check<K>)> {
        let ids = self.backends.get(backend).map_or(&[][..], |watched| watched.checks.as_slice());
        ids.iter().filter_map(|&id| Some((id, self.checks.get(id)?)))
    }

    /// The last verdict on `backend`, if there was one. O(1).
    pub fn health(&self, backend: K) -> Option<Health> {
        self.backends.get(backend)?.published
    }

    /// Until when checks that pass do not bring `backend` up, if that is so at `now`: see [when
    /// traffic and checks disagree](Self#when-traffic-and-checks-disagree).
    pub fn held_until(&self, now: Instant, backend: K) -> Option<Instant> {
        self.checks_of(backend).filter_map(|(_, check)| check.held_until(now)).max()
    }

    /// Whether `backend` is [suspended](Self::suspend). O(1).
    pub fn is_suspended(&self, backend: K) -> bool {
        self.backends.get(backend).is_some_and(|watched| watched.suspended)
    }

    /// The runs asked for so far.
    pub const fn runs(&self) -> u64 {
        self.runs
    }

    /// Takes back what is planned or going for `check`.
    fn cancel(&mut self, check: CheckId) {
        let Some(known) = self.checks.get_mut(check) else { return };
        self.deadlines.clear(check.slot);
        known.hurried = false;
        let given_up = known.running.take().map(|number| Action::Cancel(Run { check, number }));
        self.orders.extend(given_up);
    }

    fn tell_obstruction(&mut self, check: CheckId, errors: u32, news: Option<CheckError>) {
        let backends = self.checks.get(check).into_iter().flat_map(Check::backends);
        self.events.extend(backends.map(|backend| match &news {
            None => Event::Unobstructed { backend, check },
            Some(error) => {
                let error = error.clone();
                Event::Obstructed(Obstruction { backend, check, errors, error })
            }
        }));
    }

    /// [Tells](Self::publish) what has changed for every backend of `check`.
    fn publish_all(&mut self, check: CheckId, because: impl Fn() -> Because) {
        let seat_of = |monitor: &Self, place| {
            let known = monitor.checks.get(check)?;
            known.backends.as_slice().get(place).copied()
        };
        for place in 0.. {
            let Some(seat) = seat_of(self, place) else { return };
            self.publish(seat, &because);
        }
    }

    /// Tells the combined health of a backend if it is decided and not what was told last.
    ///
    /// Always from the checks' own states: a count kept beside them goes wrong sooner or later
    /// (keepalived lost its over reload: #381, #608, #1163, #1720).
    fn publish(&mut self, seat: Seat<K>, because: impl FnOnce() -> Because) {
        let watched = self.backends.at(seat);
        if watched.suspended {
            return;
        }
        let checks = watched.checks.as_slice().iter().filter_map(|&id| self.checks.get(id));
        let Some(health) = checks.fold(Combined::NONE, Combined::and).health() else { return };
        if watched.published.replace(health) != Some(health) {
            let (backend, because) = (seat.key, because());
            self.events.push_back(Event::Verdict(Verdict { backend, health, because }));
        }
    }
}
