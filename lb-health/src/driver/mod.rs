//! The tokio loop around a [`Monitor`]: the only place in this crate that reads the clock for it.

mod lag;
mod runs;
mod sharing;
mod stage;

use std::fmt;
use std::future::poll_fn;
use std::hash::Hash;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use lb_core::backend::BackendId;
use rand::Rng;
use tokio::task;
use tokio::task::coop::has_budget_remaining;
use tokio::time::{self, Instant, Sleep};

use crate::chunks::Chunks;
use crate::{
    Action, Check, CheckError, CheckId, CheckSpec, Checker, Event, Failure, Monitor, Run, Target,
};
use lag::Stalls;
use runs::{Finished, Runs, Spot};
use stage::Start;

pub use lag::Watchdog;

/// How much longer than its timeout a run may take before the driver ends it. A checker keeps its
/// own deadline and names the phase it was in; this is for those that do not.
const GRACE: Duration = Duration::from_millis(100);
/// The runs that are polled before the clock and the sockets are looked at again, and others get
/// their turn.
const TURN: u32 = 64;

/// Runs checks when its [`Monitor`] asks for them, and hands out events.
///
/// A run waits until its checker is ready, for an interval and a timeout at most: then it fails with
/// [`CheckError::Overloaded`], which says nothing of the backend and leads to [`Event::Obstructed`].
///
/// Every run is part of the task that calls [`next`](Self::next): none is spawned. Checkers must not
/// block; one that computes for long, such as many TLS handshakes at once, is better spawned by a
/// layer of its own, or shared out among several drivers with some of the backends each.
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
    rng: Box<dyn Rng + Send + Sync>,
    /// By the slot of the check.
    checks: Chunks<Option<Driven>>,
    runs: Runs,
    /// The runs that were polled since the clock was looked at.
    polled: u32,
    stalls: Stalls,
    watchdog: Watchdog,
}

struct Driven {
    address: Address,
    checker: Box<dyn Start>,
    /// The run that is going.
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
    /// A driver of nothing. `rng` seeds the jitter of each check.
    pub fn new(rng: impl Rng + Send + Sync + 'static) -> Self {
        Self {
            monitor: Monitor::new(),
            rng: Box::new(rng),
            checks: Chunks::default(),
            runs: Runs::default(),
            polled: 0,
            stalls: Stalls::default(),
            watchdog: Watchdog::new(now()),
        }
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
        let check = self.monitor.watch(now(), backend, spec, &mut self.rng);
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
    pub fn passive(&mut self, backend: K, result: Result<(), CheckError>) {
        self.monitor.handle_passive(now(), backend, result);
    }

    /// The machine inside, for reading.
    pub const fn monitor(&self) -> &Monitor<K> {
        &self.monitor
    }

    /// To be asked from any thread whether this driver still does its work.
    pub fn watchdog(&self) -> Watchdog {
        self.watchdog.clone()
    }

    /// Runs checks until there is something to tell. Pends for ever while there is nothing to check.
    ///
    /// Cancel safe: dropped at any point it loses neither an event nor a result. Checks are only
    /// started, run and judged while it is polled.
    pub async fn next(&mut self) -> Event<K> {
        let mut alarm = pin!(None);
        loop {
            for _ in 0..TURN {
                // A verdict does not wait for what comes after it.
                if let Some(event) = self.obey() {
                    return event;
                }
                // Without tokio's budget a target that sends for ever would be read for ever; and
                // once that is used up, nobody is told what has arrived.
                if !has_budget_remaining() {
                    break;
                }
                poll_fn(|context| self.poll(context, alarm.as_mut())).await;
            }
            task::yield_now().await;
        }
    }

    /// Does what the monitor asks for, up to the next event.
    fn obey(&mut self) -> Option<Event<K>> {
        while let Some(action) = self.monitor.poll_action() {
            match action {
                Action::Cancel(run) => self.stop(run.check()),
                Action::Notify(event) => return Some(event),
                Action::Run(run) => self.start(run),
            }
        }
        None
    }

    /// Takes one step, or waits for the next one that can be taken.
    fn poll(&mut self, context: &mut Context<'_>, alarm: Pin<&mut Option<Sleep>>) -> Poll<()> {
        // Answers before deadlines: what is there in time counts, however late this is. But there may
        // be no end of them.
        if self.polled < TURN && self.poll_run() {
            self.polled += 1;
            return Poll::Ready(());
        }
        self.polled = 0;
        let monitors = self.monitor.next_deadline();
        let next = [monitors, self.runs.next_bound()].into_iter().flatten().min();
        self.watchdog.due_at(next);
        if let Some(due) = next {
            let now = now();
            if due <= now {
                self.stalls.woken(due, now);
                self.monitor.handle_timeout(now);
                while let Some(finished) = self.runs.end_overdue(now) {
                    self.finish(finished);
                }
                return Poll::Ready(());
            }
        }
        self.runs.listen(context.waker());
        if self.poll_run() {
            return Poll::Ready(());
        }
        match next {
            Some(due) => wait_until(due.into(), alarm, context),
            None => Poll::Pending,
        }
    }

    /// Lets one run go on; answers whether there was one.
    fn poll_run(&mut self) -> bool {
        let monitor = &self.monitor;
        let bound = |run: Run, now| {
            let timeout = monitor.check(run.check()).map(|check| check.spec().timeout());
            now + timeout.unwrap_or_default() + GRACE
        };
        let polled = self.runs.poll_next(now, bound);
        if let Some(Poll::Ready(finished)) = polled {
            self.finish(finished);
            return true;
        }
        polled.is_some()
    }

    fn start(&mut self, run: Run) {
        let place = self.checks.get_mut(run.check().slot as usize);
        let (Some(Some(driven)), Some(check)) = (place, self.monitor.check(run.check())) else {
            return;
        };
        let (interval, timeout) = (check.spec().interval(), check.spec().timeout());
        let target = Target::new(driven.address.get(), timeout);
        let patience = now() + interval + timeout;
        match self.runs.start(run, &*driven.checker, target, patience) {
            Ok(spot) => driven.run = Some(spot),
            Err(failure) => self.monitor.handle_result(now(), run, Err(failure)),
        }
    }

    fn stop(&mut self, check: CheckId) {
        let driven = self.checks.get_mut(check.slot as usize).and_then(Option::as_mut);
        if let Some(spot) = driven.and_then(|driven| driven.run.take()) {
            self.runs.stop(spot);
        }
    }

    /// Ends what runs for those of `checks` that are no more, but were a moment ago.
    fn drive(&mut self, check: CheckId, driven: Driven) {
        let slot = check.slot as usize;
        while slot >= self.checks.len() {
            self.checks.push(None);
        }
        self.checks[slot] = Some(driven);
    }

    fn tidy(&mut self, checks: &[CheckId]) {
        for &check in checks {
            if self.monitor.check(check).is_none() {
                self.stop(check);
                self.checks[check.slot as usize] = None;
            }
        }
    }

    fn finish(&mut self, finished: Finished) {
        let (now, Finished { run, called, mut result }) = (now(), finished);
        if let Some(Some(driven)) = self.checks.get_mut(run.check().slot as usize) {
            driven.run = None;
        }
        if let Err(Failure { error: error @ CheckError::Timeout { .. }, .. }) = &mut result {
            let spec = self.monitor.check(run.check()).map(Check::spec);
            let (interval, timeout) = spec.map(|s| (s.interval(), s.timeout())).unwrap_or_default();
            let local = match called {
                // It takes no turn while the next ones come up: one that does not take place.
                None => Some(interval + timeout),
                Some(called) => {
                    let late = now.saturating_duration_since(called + timeout + GRACE);
                    self.stalls
                        .excusing(called, called + timeout)
                        .or(Some(late).filter(|&late| late > GRACE))
                }
            };
            if let Some(lag) = local {
                *error = CheckError::Overloaded { lag };
            }
        }
        self.monitor.handle_result(now, run, result);
    }
}

/// Sets `alarm` to `due`, unless it is, and polls it.
fn wait_until(
    due: Instant,
    mut alarm: Pin<&mut Option<Sleep>>,
    context: &mut Context<'_>,
) -> Poll<()> {
    if alarm.is_none() {
        alarm.set(Some(time::sleep_until(due)));
    }
    let Some(mut alarm) = alarm.as_pin_mut() else { return Poll::Pending };
    if alarm.deadline() != due {
        alarm.as_mut().reset(due);
    }
    alarm.poll(context)
}

impl<K: fmt::Debug> fmt::Debug for Driver<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("monitor", &self.monitor).finish_non_exhaustive()
    }
}

fn now() -> std::time::Instant {
    clock().into_std()
}

/// The time of the runtime, which tests can stop.
#[expect(clippy::disallowed_methods, reason = "the door through which time comes in")]
fn clock() -> Instant {
    Instant::now()
}
