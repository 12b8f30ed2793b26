//! The tokio loop around a [`Monitor`]: the only place in this crate that reads the clock for it.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::future;
use std::hash::Hash;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lb_core::backend::BackendId;
use rand::Rng;
use tokio::task::{self, AbortHandle, JoinError, JoinSet};
use tokio::time::{self, Instant};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

use crate::{
    Action, CheckError, CheckId, CheckSpec, Checker, Event, Failure, Monitor, Phase, Report, Run,
    Target,
};

/// How much longer than its timeout a run may take before the driver ends it. A checker keeps its
/// own deadline and names the phase it was in; this is for those that do not.
const GRACE: Duration = Duration::from_millis(100);

/// Runs checks when its [`Monitor`] asks for them, and hands out events.
///
/// A run waits until its checker is ready, for an interval and a timeout at most: then it fails with
/// [`CheckError::Overloaded`], which says nothing of the backend and leads to [`Event::Obstructed`].
///
/// Dropping it cancels every run.
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
    checks: HashMap<CheckId, Driven>,
    tasks: JoinSet<Result<Report, Failure>>,
    runs: HashMap<task::Id, Run>,
}

struct Driven {
    address: SocketAddr,
    checker: BoxCloneSyncService<Target, Report, Failure>,
    task: Option<AbortHandle>,
}

impl<K: Copy + Eq + Hash> Driver<K> {
    /// A driver of nothing. `rng` seeds the jitter of each check.
    pub fn new(rng: impl Rng + Send + Sync + 'static) -> Self {
        Self {
            monitor: Monitor::new(),
            rng: Box::new(rng),
            checks: HashMap::new(),
            tasks: JoinSet::new(),
            runs: HashMap::new(),
        }
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
        self.checks.insert(check, Driven::new(address, checker));
        check
    }

    /// Changes a check in place: see [`Monitor::replace`]. Ignored if `check` is not known.
    pub fn replace<C>(&mut self, check: CheckId, address: SocketAddr, checker: C, spec: CheckSpec)
    where
        C: Checker + Send + Sync + 'static,
        C::Future: Send + 'static,
    {
        if let Some(driven) = self.checks.get_mut(&check) {
            driven.cancel();
            *driven = Driven::new(address, checker);
            self.monitor.replace(now(), check, spec);
        }
    }

    /// Ends every check of `backend`: see [`Monitor::forget`].
    pub fn forget(&mut self, backend: K) {
        for (check, _) in self.monitor.checks_of(backend) {
            if let Some(mut driven) = self.checks.remove(&check) {
                driven.cancel();
            }
        }
        self.monitor.forget(backend);
    }

    /// Ends one check: see [`Monitor::forget_check`].
    pub fn forget_check(&mut self, check: CheckId) {
        if let Some(mut driven) = self.checks.remove(&check) {
            driven.cancel();
        }
        self.monitor.forget_check(check);
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

    /// Runs checks until there is something to tell. Pends for ever while there is nothing to check.
    ///
    /// Cancel safe: dropped at any point it loses neither an event nor a result. Checks are only
    /// started and judged while it is polled.
    pub async fn next(&mut self) -> Event<K> {
        loop {
            while let Some(action) = self.monitor.poll_action() {
                match action {
                    Action::Cancel(run) => {
                        self.checks.get_mut(&run.check()).into_iter().for_each(Driven::cancel);
                    }
                    Action::Notify(event) => return event,
                    Action::Run(run) => self.start(run),
                }
            }
            let deadline = self.monitor.next_deadline().map(Instant::from_std);
            let due = async {
                match deadline {
                    Some(deadline) => time::sleep_until(deadline).await,
                    None => future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = due => self.monitor.handle_timeout(now()),
                Some(done) = self.tasks.join_next_with_id() => self.finish(done),
            }
        }
    }

    fn start(&mut self, run: Run) {
        let (Some(driven), Some(check)) =
            (self.checks.get_mut(&run.check()), self.monitor.check(run.check()))
        else {
            return;
        };
        let (interval, timeout) = (check.spec().interval(), check.spec().timeout());
        let target = Target::new(driven.address, timeout);
        let patience = interval + timeout;
        let task = self.tasks.spawn(execute(driven.checker.clone(), target, patience));
        self.runs.insert(task.id(), run);
        driven.task = Some(task);
    }

    fn finish(&mut self, done: Result<(task::Id, Result<Report, Failure>), JoinError>) {
        let (id, result) = match done {
            Ok((id, result)) => (id, result),
            Err(error) if error.is_panic() => {
                let id = error.id();
                (id, Err(CheckError::Panicked { message: message_of(error.into_panic()) }.into()))
            }
            // Cancelled: the monitor has given the run up and expects nothing.
            Err(error) => {
                self.runs.remove(&error.id());
                return;
            }
        };
        let Some(run) = self.runs.remove(&id) else { return };
        // A handle that is kept would keep the memory of the finished task, too.
        if let Some(driven) = self.checks.get_mut(&run.check()) {
            driven.task.take_if(|task| task.id() == id);
        }
        self.monitor.handle_result(now(), run, result);
    }
}

impl<K: fmt::Debug> fmt::Debug for Driver<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("monitor", &self.monitor).finish_non_exhaustive()
    }
}

impl Driven {
    fn new<C>(address: SocketAddr, checker: C) -> Self
    where
        C: Checker + Send + Sync + 'static,
        C::Future: Send + 'static,
    {
        Self { address, checker: BoxCloneSyncService::new(checker.map_err(Into::into)), task: None }
    }

    fn cancel(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

async fn execute(
    mut checker: BoxCloneSyncService<Target, Report, Failure>,
    target: Target,
    patience: Duration,
) -> Result<Report, Failure> {
    // Waiting for a slot is not the target's fault and costs the run no time. But a run that takes
    // no turn while the next ones come up is one that does not take place.
    let ready = future::poll_fn(|context| checker.poll_ready(context));
    time::timeout(patience, ready)
        .await
        .unwrap_or(Err(CheckError::Overloaded { lag: patience }.into()))?;
    let started = clock();
    let bound = target.timeout.saturating_add(GRACE);
    let result = time::timeout(bound, checker.call(target))
        .await
        .unwrap_or(Err(CheckError::Timeout { phase: Phase::Whole }.into()));
    // Timers that fire far too late mean that this process stood still, and that an answer may
    // have come in time. Else a starved director takes every backend down (envoy#28699).
    let late = clock().saturating_duration_since(started).saturating_sub(bound);
    match result {
        Err(Failure { error: CheckError::Timeout { .. }, trace }) if late > GRACE => {
            Err(Failure::new(CheckError::Overloaded { lag: late }, trace))
        }
        result => result,
    }
}

fn message_of(panic: Box<dyn Any + Send>) -> Arc<str> {
    match panic.downcast::<String>() {
        Ok(message) => (*message).into(),
        Err(panic) => (*panic.downcast_ref::<&str>().unwrap_or(&"no message")).into(),
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
