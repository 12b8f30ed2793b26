//! When to run which check, and what the results mean for a backend.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Instant;

use lb_core::Health;
use lb_core::backend::BackendId;
use rand::Rng;

use crate::deadlines::Deadlines;
use crate::hold::Hold;
use crate::timetable::Timetable;
use crate::verdict::Combined;
use crate::watched::Checks;
use crate::{
    Because, Check, CheckError, CheckId, CheckInput, CheckSpec, CheckState, Event, Failure, Report,
    Run, Transition, Verdict,
};

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
/// Every event costs O(log n) in the number of checks and O(k) in those of its backend.
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
/// use lb_health::{Action, CheckSpec, Event, Monitor, Report};
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
    backends: HashMap<K, Watched>,
    deadlines: Deadlines,
    /// Told before any other action: traffic waits for the verdicts.
    events: VecDeque<Event<K>>,
    /// What to start and what to give up, in order.
    orders: VecDeque<Action<K>>,
    /// The runs asked for so far.
    runs: u64,
}

#[derive(Debug, Default)]
struct Watched {
    checks: Vec<CheckId>,
    published: Option<Health>,
    suspended: bool,
    hold: Hold,
}

impl<K> Default for Monitor<K> {
    /// A monitor of nothing.
    fn default() -> Self {
        Self {
            checks: Checks::default(),
            backends: HashMap::new(),
            deadlines: Deadlines::default(),
            events: VecDeque::new(),
            orders: VecDeque::new(),
            runs: 0,
        }
    }
}

impl<K: Copy + Eq + Hash> Monitor<K> {
    /// A monitor of nothing.
    pub fn new() -> Self {
        Self::default()
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
        let (timetable, first) = Timetable::new(now, &spec, rng);
        let watched = self.backends.entry(backend).or_default();
        let mut state = CheckState::default();
        if watched.suspended {
            state.observe(CheckInput::Off, spec.thresholds());
        }
        let id = self.checks.insert(Check {
            backend,
            spec,
            state,
            timetable,
            running: None,
            weight: None,
            local_errors: 0,
            obstructed: false,
            last: None,
        });
        watched.checks.push(id);
        if !watched.suspended {
            self.deadlines.set(id.slot, first);
        }
        self.publish(backend, || Because::Initial { check: id });
        id
    }

    /// Puts a changed check in the place of `check`: at the same backend, under the same identity.
    ///
    /// The backend stays up, if it is, until the new check's own verdict; if it is down, a single
    /// success suffices. A run that is going is cancelled. If the old check was obstructed, so is the
    /// new one until a run says otherwise. Do not call it for an unchanged check:
    /// that would lose its streak and its phase.
    pub fn replace(&mut self, now: Instant, check: CheckId, spec: CheckSpec) {
        self.cancel(check);
        let Some(known) = self.checks.get_mut(check) else { return };
        known.spec = spec;
        known.state = known.state.replaced();
        known.local_errors = 0;
        if !matches!(known.state, CheckState::Off { .. }) {
            self.deadlines.set(check.slot, known.timetable.restart(now, &known.spec));
        }
        let backend = known.backend;
        if let Some(watched) = self.backends.get_mut(&backend) {
            watched.hold = Hold::default();
        }
        self.publish(backend, || Because::Initial { check });
    }

    /// Ends every check of `backend`, and with them its health. It gets no further verdict.
    pub fn forget(&mut self, backend: K) {
        let Some(watched) = self.backends.remove(&backend) else { return };
        for check in watched.checks {
            self.cancel(check);
            self.checks.remove(check);
        }
        // Nor one that was decided already, but not yet fetched.
        self.events.retain(|event| event.backend() != backend);
    }

    /// Ends one check. The others decide on; a backend without any is up.
    pub fn forget_check(&mut self, check: CheckId) {
        self.cancel(check);
        let Some(known) = self.checks.remove(check) else { return };
        // Verdicts are the backend's; what was to be told of the check alone is of no use now.
        self.events.retain(|event| event.check() != Some(check));
        if let Some(watched) = self.backends.get_mut(&known.backend) {
            watched.checks.retain(|&other| other != check);
        }
        self.publish(known.backend, || Because::Forgotten { check });
    }

    /// Stops checking `backend`, for maintenance. Its health stays as it is; runs that are going
    /// are cancelled. Holds for checks that are added later too, until [`Self::resume`] or
    /// [`Self::forget`].
    pub fn suspend(&mut self, backend: K) {
        let watched = self.backends.entry(backend).or_default();
        watched.suspended = true;
        for check in watched.checks.clone() {
            self.cancel(check);
            if let Some(known) = self.checks.get_mut(check) {
                known.state.observe(CheckInput::Off, known.spec.thresholds());
            }
        }
    }

    /// Checks `backend` again after [`Self::suspend`]. Its old health is stale: the next result of
    /// each check decides alone, whatever rise and fall say.
    pub fn resume(&mut self, now: Instant, backend: K) {
        let Some(watched) = self.backends.get_mut(&backend) else { return };
        if !std::mem::take(&mut watched.suspended) {
            return;
        }
        watched.hold = Hold::default();
        for &check in &watched.checks {
            if let Some(known) = self.checks.get_mut(check) {
                known.state.observe(CheckInput::On, known.spec.thresholds());
                self.deadlines.set(check.slot, known.timetable.restart(now, &known.spec));
            }
        }
        self.publish(backend, || Because::Resumed);
    }

    /// Time has come: asks for every run that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(slot) = self.deadlines.pop_due(now) {
            // A deadline is only ever set for a check that is there and has no run going.
            let Some((id, check)) = self.checks.at(slot) else { continue };
            self.runs += 1;
            let run = Run { check: id, number: self.runs };
            check.timetable.start(now);
            check.running = Some(run);
            self.orders.push_back(Action::Run(run));
        }
    }

    /// Takes the result of a run. That of a cancelled run, or a second one, is ignored.
    pub fn handle_result(&mut self, now: Instant, run: Run, result: Result<Report, Failure>) {
        let Some(check) = self.checks.get_mut(run.check) else { return };
        if check.running != Some(run) {
            return;
        }
        let error = result.as_ref().err().map(|failure| failure.error.clone());
        let input = check.finish(now, result);
        let held = self.backends.get(&check.backend).and_then(|watched| watched.hold.until(now));
        let passes_in_vain =
            input == CheckInput::Ok && matches!(check.state, CheckState::Down { .. });
        if held.is_none() || !passes_in_vain {
            check.state.observe(input, check.spec.thresholds());
        }
        self.deadlines.set(run.check.slot, check.timetable.next(now, &check.spec, check.state));
        let backend = check.backend;
        self.events.extend(check.obstruction(run.check));
        self.publish(backend, || match error {
            Some(error) => Because::Failed { check: run.check, error },
            None => Because::Passed { check: run.check },
        });
    }

    /// Takes what real traffic saw of `backend`: whether a connection to it could be made.
    ///
    /// A failure counts as one of every check that is up, and brings forward their next runs. A
    /// success ends a streak of failures, but never brings up what is down: that takes a check. What
    /// comes up to fail again is [held down](Self#when-traffic-and-checks-disagree).
    pub fn handle_passive(&mut self, now: Instant, backend: K, result: Result<(), CheckError>) {
        let Some(watched) = self.backends.get_mut(&backend) else { return };
        let input = match &result {
            Ok(()) => CheckInput::Ok,
            Err(error) if error.is_local() => return,
            Err(_) => CheckInput::Fail,
        };
        // Of the checks whose word is now worth nothing, the slowest.
        let mut overruled = None;
        for &id in &watched.checks {
            let Some(check) = self.checks.get_mut(id) else { continue };
            // A stale belief waits for a check; traffic that is well has nothing to reset there.
            let CheckState::Up { failures, .. } = check.state else { continue };
            if input == CheckInput::Ok && failures == 0 {
                continue;
            }
            if check.state.observe(input, check.spec.thresholds()) == Some(Transition::Down) {
                overruled = overruled.max(Some(check.spec.interval()));
            }
            if let (CheckInput::Fail, Some(due)) = (input, self.deadlines.of(id.slot)) {
                self.deadlines.set(id.slot, due.min(check.timetable.hurry(now, &check.spec)));
            }
        }
        if let (Some(interval), true) = (overruled, watched.published.is_some_and(Health::is_up)) {
            watched.hold.taken_down(now, interval);
        }
        let held_until = watched.hold.until(now);
        if let Err(error) = result {
            self.publish(backend, || Because::Traffic { error, held_until });
        }
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
        let watched = self.backends.get(&backend);
        let ids = watched.into_iter().flat_map(|watched| &watched.checks);
        ids.filter_map(|&id| Some((id, self.checks.get(id)?)))
    }

    /// The last verdict on `backend`, if there was one. O(1).
    pub fn health(&self, backend: K) -> Option<Health> {
        self.backends.get(&backend)?.published
    }

    /// Until when checks that pass do not bring `backend` up, if that is so at `now`: see [when
    /// traffic and checks disagree](Self#when-traffic-and-checks-disagree). O(1).
    pub fn held_until(&self, now: Instant, backend: K) -> Option<Instant> {
        self.backends.get(&backend)?.hold.until(now)
    }

    /// Whether `backend` is [suspended](Self::suspend). O(1).
    pub fn is_suspended(&self, backend: K) -> bool {
        self.backends.get(&backend).is_some_and(|watched| watched.suspended)
    }

    /// Takes back what is planned or going for `check`.
    fn cancel(&mut self, check: CheckId) {
        let Some(known) = self.checks.get_mut(check) else { return };
        self.deadlines.clear(check.slot);
        self.orders.extend(known.running.take().map(Action::Cancel));
    }

    /// Tells the combined health of `backend` if it is decided and not what was told last.
    ///
    /// Always from the checks' own states: a count kept beside them goes wrong sooner or later
    /// (keepalived lost its over reload: #381, #608, #1163, #1720).
    fn publish(&mut self, backend: K, because: impl FnOnce() -> Because) {
        let Some(watched) = self.backends.get_mut(&backend) else { return };
        if watched.suspended {
            return;
        }
        let checks = watched.checks.iter().filter_map(|&id| self.checks.get(id));
        let combined = checks.fold(Combined::NONE, |combined, check| {
            combined.and(check.state, check.spec.initially_up(), check.weight)
        });
        let Some(health) = combined.health() else { return };
        if watched.published.replace(health) != Some(health) {
            let because = because();
            self.events.push_back(Event::Verdict(Verdict { backend, health, because }));
        }
    }
}
