//! The tokio loop around a [`Monitor`]: the only place in this crate that reads the clock for it.

mod crew;
mod hurry;
mod lag;
mod mailbox;
mod outbox;
mod pace;
mod run;
mod runner;
mod runs;
mod seed;
mod sharing;
mod threads;
mod turns;

use std::fmt;
use std::hash::Hash;
use std::io;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::NonZeroUsize;
use std::task::Waker;
use std::time::Instant;

use lb_core::backend::BackendId;
use rand::Rng;

use crate::monitor::chunks::Chunks;
use crate::monitor::{Action, Run};
use crate::{CheckError, CheckId, CheckSpec, Checker, Event, Monitor, Target};
use crew::Crew;
use hurry::Nudges;
use lag::Due;
use pace::{Pace, Work};
use run::Start;
use runs::{Finished, Job, Limits, Spot, guarded};
use threads::Threads;

pub use hurry::Hurry;
pub use lag::Watchdog;

/// Runs checks when its [`Monitor`] asks for them, and hands out events.
///
/// A run waits until its checker is ready, for an interval and a timeout at most: then it fails with
/// [`CheckError::NoTurn`], which says nothing of the backend and leads to [`Event::Obstructed`].
///
/// Every run is part of the task that calls [`next`](Self::next), which is all that it takes for some
/// thousand connections a second; or, [told so](Self::with_threads), of one of some threads: what
/// computes for long (TLS handshakes, digests, a database's proof of a password) and what stands still
/// for long (a fork) then takes nothing from whoever asks. Checkers must not block.
///
/// Dropping it cancels every run.
///
/// # Local trouble is not the target's trouble
///
/// A run that times out after this process was not scheduled in time, at any moment since the run
/// began, fails with [`CheckError::Overloaded`], which leaves what is believed as it was: the answer
/// may have been there. [`Self::watchdog`] tells when nothing runs at all.
///
/// ```
/// use lb_core::backend::BackendId;
/// use lb_core::Health;
/// use lb_health::{CheckError, CheckSpec, Driver, Event, Report, Target};
/// use rand::{SeedableRng, rngs::SmallRng};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut driver = Driver::new(SmallRng::seed_from_u64(1)); // a real one is seeded by the system
/// let checker = tower::service_fn(|_: Target| async { Ok::<_, CheckError>(Report::ALIVE) });
/// let address = "192.0.2.1:80".parse().unwrap();
/// driver.watch(BackendId::new(0), address, checker, CheckSpec::default());
///
/// // Beside other branches of a `select!`:
/// match driver.next().await {
///     Event::Verdict(verdict) => assert_eq!(verdict.health, Health::UP),
///     event => println!("worth a line in the log: {event:?}"),
/// }
/// # }
/// ```
pub struct Driver<K = BackendId> {
    monitor: Monitor<K>,
    /// What tells the phases of its checks from those of other directors.
    instance: u64,
    /// By the slot of the check.
    checks: Chunks<Option<Driven>>,
    crew: Crew,
    nudges: Nudges,
    due: Due,
    pace: Pace,
    most_at_once: Option<NonZeroUsize>,
}

struct Driven {
    address: Address,
    checker: Box<dyn Start>,
    /// The run that is going in this task.
    run: Option<Spot>,
}

impl Driven {
    fn new(address: SocketAddr, checker: impl Start + 'static, run: Option<Spot>) -> Self {
        Self { address: address.into(), checker: Box::new(checker), run }
    }
}

/// Half as large as a [`SocketAddr`] for the many that are of IPv4.
#[derive(Clone, Debug)]
enum Address {
    V4(SocketAddrV4),
    V6(Box<SocketAddrV6>),
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(address) => Self::V4(address),
            SocketAddr::V6(address) => Self::V6(Box::new(address)),
        }
    }
}

impl Address {
    fn get(&self) -> SocketAddr {
        match self {
            Self::V4(address) => SocketAddr::V4(*address),
            Self::V6(address) => SocketAddr::V6(**address),
        }
    }
}

impl<K: Copy + Eq + Hash> Driver<K> {
    /// A driver of nothing. `rng` draws the [instance](Self::with_instance).
    pub fn new(mut rng: impl Rng) -> Self {
        Self {
            monitor: Monitor::new(),
            instance: rng.next_u64(),
            checks: Chunks::default(),
            crew: Crew::default(),
            nudges: Nudges::default(),
            due: Due::new(now()),
            pace: Pace::default(),
            most_at_once: None,
        }
    }

    /// Runs checks on `count` threads, each with a runtime of its own, from now on: to be called before
    /// there is anything to check. `begin` is called on each of them first, and may give it a priority.
    ///
    /// It takes two ways between threads for each run, some microseconds each where there are few.
    /// Dropping the driver then waits for the threads to end what runs, for a second at most.
    ///
    /// # Errors
    ///
    /// If the system gives no thread, or no descriptors for its runtime.
    pub fn with_threads(
        self,
        count: NonZeroUsize,
        begin: impl Fn() + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let mut crew = Crew::Threads(Threads::new(count, &begin)?);
        if let Some(most) = self.most_at_once {
            crew.limit(most.get());
        }
        Ok(Self { crew, ..self })
    }

    /// Lets no more checks be under way at once; by default there is no bound. Of several
    /// [threads](Self::with_threads), each has its part, and one at least.
    ///
    /// Ten thousand targets that time out together hold ten thousand descriptors. With a bound, the others
    /// wait for their turn in the order that they were due, as they do for a free slot of scripts: a run that
    /// waits has not started its clock, and one that waits for an interval and a timeout is given up as
    /// [`CheckError::NoTurn`], which is no failure of the target. A bound below the checks that are due
    /// in a timeout is therefore one on how often they can run.
    #[must_use]
    pub fn with_most_at_once(mut self, most: NonZeroUsize) -> Self {
        self.crew.limit(most.get());
        Self { most_at_once: Some(most), ..self }
    }

    /// Lets the phases and the jitter of checks follow from this number, and from what each is aimed at:
    /// the same after every restart, and other ones on another director, whose number is another one.
    #[must_use]
    pub fn with_instance(self, instance: u64) -> Self {
        Self { instance, ..self }
    }

    /// Lets each check remember as many outcomes: see [`Monitor::with_history`].
    #[must_use]
    pub fn with_history(self, outcomes: NonZeroUsize) -> Self {
        Self { monitor: self.monitor.with_history(outcomes), ..self }
    }

    /// Starts to check `backend` at `address`: see [`Monitor::watch`].
    pub fn watch<C>(
        &mut self,
        backend: K,
        address: SocketAddr,
        checker: C,
        spec: CheckSpec,
    ) -> CheckId
    where
        C: Checker + Send + Sync + 'static,
        C::Future: Send + 'static,
    {
        let mut seed = seed::seed(self.instance, address, &spec);
        let check = self.monitor.watch(now(), backend, spec, &mut seed);
        self.drive(check, Driven::new(address, checker, None));
        check
    }

    /// Changes a check in place: see [`Monitor::replace`]. Ignored if `check` is not known.
    pub fn replace<C>(&mut self, check: CheckId, address: SocketAddr, checker: C, spec: CheckSpec)
    where
        C: Checker + Send + Sync + 'static,
        C::Future: Send + 'static,
    {
        if self.monitor.check(check).is_some() {
            // The run that is going is given up when the monitor says so.
            let former = self.checks[check.slot as usize].take();
            let run = former.and_then(|driven| driven.run);
            self.checks[check.slot as usize] = Some(Driven::new(address, checker, run));
            self.monitor.replace(now(), check, spec);
        }
    }

    /// Ends every check of `backend` that is not shared: see [`Monitor::forget`].
    pub fn forget(&mut self, backend: K) {
        let checks: Vec<_> = self.monitor.checks_of(backend).map(|(check, _)| check).collect();
        self.monitor.forget(backend);
        self.tidy(&checks);
    }

    /// Ends one check, whomever it speaks for: see [`Monitor::forget_check`].
    pub fn forget_check(&mut self, check: CheckId) {
        if self.monitor.check(check).is_some() {
            self.monitor.forget_check(check);
            self.tidy(&[check]);
        }
    }

    /// Stops checking `backend`, for maintenance: see [`Monitor::suspend`].
    pub fn suspend(&mut self, backend: K) {
        self.monitor.suspend(backend);
    }

    /// Checks `backend` again: see [`Monitor::resume`].
    pub fn resume(&mut self, backend: K) {
        self.monitor.resume(now(), backend);
    }

    /// Takes what real traffic saw of `backend`: see [`Monitor::handle_passive`].
    pub fn handle_passive(&mut self, backend: K, result: Result<(), CheckError>) {
        self.monitor.handle_passive(now(), backend, result);
    }

    /// Takes a failure of traffic that is to take nobody down: see [`Monitor::doubt`].
    pub fn doubt(&mut self, backend: K) {
        self.monitor.doubt(now(), backend);
    }

    /// The machine inside, for reading.
    pub const fn monitor(&self) -> &Monitor<K> {
        &self.monitor
    }

    /// To be asked from any thread whether this driver still does its work.
    pub fn watchdog(&self) -> Watchdog {
        Watchdog::new(self.crew.dues().into_iter().chain([self.due.clone()]))
    }

    /// Runs checks until there is something to tell. Pends for ever while there is nothing to check.
    ///
    /// Cancel safe: dropped at any point it loses neither an event nor a result. Checks are only
    /// started, run and judged while it is polled.
    pub async fn next(&mut self) -> Event<K> {
        // A verdict does not wait for what comes after it.
        pace::until(self, Self::obey).await
    }

    /// Does what the monitor asks for, up to the next event.
    fn obey(&mut self) -> Option<Event<K>> {
        while let Some(action) = self.monitor.poll_action() {
            match action {
                Action::Cancel(run) => {
                    self.stop(run.check());
                    self.crew.cancel(run);
                }
                Action::Notify(event) => return Some(event),
                Action::Run(run) => self.start(run),
            }
        }
        None
    }

    fn start(&mut self, run: Run) {
        let place = self.checks.get_mut(run.check().slot as usize);
        let (Some(Some(driven)), Some(check)) = (place, self.monitor.check(run.check())) else {
            return;
        };
        let (interval, timeout) = (check.spec().interval(), check.spec().timeout());
        let target = Target::new(driven.address.get(), timeout);
        let limits = Limits { timeout, patience: interval + timeout };
        match guarded(|| driven.checker.start(target)) {
            Ok(future) => {
                driven.run = self.crew.start(now(), Job { run, future, limits });
            }
            Err(failure) => self.monitor.handle_result(now(), run, Err(failure)),
        }
    }

    fn stop(&mut self, check: CheckId) {
        let driven = self.checks.get_mut(check.slot as usize).and_then(Option::as_mut);
        if let Some(spot) = driven.and_then(|driven| driven.run.take()) {
            self.crew.stop(spot);
        }
    }

    fn drive(&mut self, check: CheckId, driven: Driven) {
        let slot = check.slot as usize;
        while slot >= self.checks.len() {
            self.checks.push(None);
        }
        self.checks[slot] = Some(driven);
    }

    /// Ends what runs for those of `checks` that are no more, but were a moment ago.
    fn tidy(&mut self, checks: &[CheckId]) {
        for &check in checks {
            if self.monitor.check(check).is_none() {
                self.stop(check);
                self.checks[check.slot as usize] = None;
            }
        }
    }

    fn finish(&mut self, Finished { run, ended, result, .. }: Finished) {
        if let Some(Some(driven)) = self.checks.get_mut(run.check().slot as usize) {
            driven.run = None;
        }
        self.monitor.handle_result(ended, run, result);
    }
}

impl<K: Copy + Eq + Hash> Work for Driver<K> {
    fn step(&mut self) -> bool {
        match self.crew.poll_next() {
            Some(finished) => {
                finished.into_iter().for_each(|finished| self.finish(finished));
                true
            }
            None => self.take_nudges(),
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [self.monitor.next_deadline(), self.crew.next_deadline()];
        deadlines.into_iter().flatten().min()
    }

    fn waits_for(&self, due: Option<Instant>) {
        self.due.set(due);
    }

    fn handle_timeout(&mut self, due: Instant, now: Instant) {
        self.crew.woken(due, now);
        self.take_nudges();
        self.monitor.handle_timeout(now);
        while let Some(finished) = self.crew.end_overdue(now) {
            self.finish(finished);
        }
    }

    fn listen(&self, waker: &Waker) {
        self.crew.listen(waker);
        self.nudges.listen(waker);
    }

    fn pace(&mut self) -> &mut Pace {
        &mut self.pace
    }
}

impl<K: fmt::Debug> fmt::Debug for Driver<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("monitor", &self.monitor).finish_non_exhaustive()
    }
}

/// The time of the runtime, which tests can stop.
#[expect(clippy::disallowed_methods, reason = "the door through which time comes in")]
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
