//! Keeps the running checks in step with the configured ones.

mod findings;
mod identity;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lb_core::Weight;
use lb_core::backend::BackendId;
use lb_health::checkers::{FileWatch, ScriptSlots};
use lb_health::{CheckError, CheckId, CheckSpec, Driver, Event};
use rand::rngs::SmallRng;
use tracing::warn;

use crate::checkers::{AnyChecker, CheckConfigError, Files, Shared, checker, spec};
use crate::config::{Address, Check};
use crate::control::bounds::Bounds;
use crate::control::changes::Changes;
use crate::control::instance::instance;
use crate::names::{Names, nominal};
use crate::privileges::hand_on_nothing;
use crate::tcp::ServerKey;
use identity::Identity;

/// A backend of a certain virtual server: each virtual server issues identities of its own, and one
/// driver serves them all.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Place {
    pub(super) server: ServerKey,
    pub(super) backend: BackendId,
}

/// All checks of all virtual servers.
pub(super) struct Checks {
    driver: Driver<Place>,
    /// As configured when it was started.
    bounds: Bounds,
    shared: Shared,
    changes: Changes,
    /// What each running check was made from.
    watched: HashMap<Place, Vec<Watched>>,
    /// The same checks by what they do: whoever is to be checked just so shares them.
    running: HashMap<Arc<Identity>, Watched>,
}

/// A check that runs.
#[derive(Clone)]
struct Watched {
    check: Arc<Check>,
    identity: Arc<Identity>,
    id: CheckId,
    /// What it is begun by, if its target has a name: anew whenever that stands for something else.
    by_name: Option<(AnyChecker, CheckSpec)>,
    /// Kept, so that it is told of changes to the file that it looks at.
    #[expect(dead_code, reason = "it does something until it is dropped")]
    file: Option<Arc<FileWatch>>,
}

/// A check that only has to be started.
pub(super) struct Prepared {
    check: Arc<Check>,
    identity: Arc<Identity>,
    spec: CheckSpec,
    checker: AnyChecker,
}

impl Checks {
    /// None yet; they will run beside the caller.
    pub(super) fn new() -> Self {
        Self::driven_by(driver(), Bounds::default())
    }

    /// None yet; they will run on a thread of their own, so that what computes for long, as a TLS
    /// handshake does, holds up neither orders nor pools. Where there is no thread, beside the caller.
    pub(super) fn aside(bounds: Bounds) -> Self {
        let aside = driver().with_threads(NonZeroUsize::MIN, hand_on_nothing);
        let aside = aside.unwrap_or_else(|error| {
            warn!(%error, "checks have no thread of their own");
            driver()
        });
        Self::driven_by(aside, bounds)
    }

    fn driven_by(driver: Driver<Place>, bounds: Bounds) -> Self {
        Self {
            driver: match bounds.checks() {
                Some(most) => driver.with_most_at_once(most),
                None => driver,
            },
            bounds,
            shared: Shared { slots: ScriptSlots::new(bounds.scripts()), ..Shared::default() },
            changes: Changes::default(),
            watched: HashMap::new(),
            running: HashMap::new(),
        }
    }

    /// Runs as many at once from now on, as far as that takes no restart.
    pub(super) fn bound_by(&self, bounds: Bounds) {
        self.bounds.warn_of(bounds);
        self.shared.slots.resize(bounds.scripts());
    }

    /// What happens next. Cancel safe.
    pub(super) async fn next(&mut self) -> Event<Place> {
        self.driver.next().await
    }

    /// What real traffic saw of a backend.
    pub(super) fn passive(&mut self, place: Place, outcome: Result<(), CheckError>) {
        self.driver.handle_passive(place, outcome);
    }

    /// Whom one more failure of traffic to `place` takes down.
    pub(super) fn at_stake(&self, place: Place) -> impl Iterator<Item = Place> {
        self.driver.monitor().at_stake(place)
    }

    /// Traffic failed at a backend that nobody can do without: its checks are to look soon.
    pub(super) fn doubt(&mut self, place: Place) {
        self.driver.doubt(place);
    }

    /// Builds these checks of the server at this address; there are `total` in all.
    ///
    /// # Errors
    /// [`CheckConfigError`], if the checkers refuse what the configuration allowed.
    pub(super) fn prepare(
        &self,
        address: &Address,
        weight: Weight,
        checks: &[Check],
        total: u32,
        names: &mut Names,
        files: &mut Files,
    ) -> Result<Vec<Prepared>, CheckConfigError> {
        let prepare = |check: &Check| {
            let target = check.target(address);
            let checker = checker(check, &target, weight, &self.shared, files)?;
            let checker = names.checker(&target, &check.kind, checker);
            let (spec, stamp) = (spec(check, total)?, files.of(check));
            let check = Arc::new(check.clone());
            let identity = Arc::new(Identity::new(address, weight, &check, stamp));
            Ok(Prepared { check, identity, spec, checker })
        };
        checks.iter().map(prepare).collect()
    }

    /// Begins, replaces and ends checks so that exactly these run. Those that are the same keep
    /// their state, streaks and phase; those that run already for the same server behind another
    /// virtual server are shared with it. O(k²) in those of the backend, however many run.
    pub(super) fn set(&mut self, place: Place, checks: Vec<Prepared>) {
        let mut former = self.watched.remove(&place).unwrap_or_default();
        let mut watched: Vec<(Prepared, Option<Watched>)> = Vec::new();
        // A check is what it does: whatever place it had in the list, it is the same one.
        for prepared in checks {
            let is_same = |one: &Watched| one.identity == prepared.identity;
            let same = former.iter().position(is_same).map(|at| former.remove(at));
            let twice = watched.iter().any(|(other, _)| other.identity == prepared.identity);
            if !twice {
                watched.push((prepared, same));
            }
        }
        let begin = |(prepared, same): (Prepared, Option<Watched>)| {
            same.unwrap_or_else(|| self.begin(place, prepared, &mut former))
        };
        let watched = watched.into_iter().map(begin).collect();
        self.watched.insert(place, watched);
        former.iter().for_each(|surplus| self.end(place, surplus));
    }

    /// Begins a check that `place` did not have: by one that runs elsewhere, else in the place of a
    /// former one that nobody else needs.
    fn begin(&mut self, place: Place, prepared: Prepared, former: &mut Vec<Watched>) -> Watched {
        if let Some(known) = self.running.get(&prepared.identity) {
            self.driver.share(known.id, place);
            return known.clone();
        }
        let Prepared { check, identity, spec, checker } = prepared;
        let by_name = identity.target.host().map(|_| (checker.clone(), spec.clone()));
        let nominal = nominal(&identity.target);
        let monitor = self.driver.monitor();
        let alone = |id| monitor.check(id).is_some_and(|check| check.backends().count() == 1);
        let id = match former.iter().position(|former| alone(former.id)) {
            Some(at) => {
                let former = former.remove(at);
                self.forget_running(&former);
                self.driver.replace(former.id, nominal, checker, spec);
                former.id
            }
            None => match former.pop() {
                // Others go on with it.
                Some(shared) => self.driver.split(shared.id, place, nominal, checker, spec),
                None => self.driver.watch(place, nominal, checker, spec),
            },
        };
        let file = self.changes.watch(&check.kind, self.driver.hurry(id));
        let watched = Watched { check, identity, id, by_name, file };
        self.running.insert(Arc::clone(&watched.identity), watched.clone());
        watched
    }

    /// Ends a check for `place`, and altogether if it runs for nobody else.
    fn end(&mut self, place: Place, watched: &Watched) {
        self.driver.release(watched.id, place);
        if self.driver.monitor().check(watched.id).is_none() {
            self.forget_running(watched);
        }
    }

    fn forget_running(&mut self, watched: &Watched) {
        if self.running.get(&watched.identity).is_some_and(|known| known.id == watched.id) {
            self.running.remove(&watched.identity);
        }
    }

    /// Checks anew what `host` stands for now. As with a check that has changed, whoever was up is until
    /// that has a verdict, and who was down is up by a single success (X3).
    pub(super) fn moved(&mut self, host: &str) {
        for watched in self.running.values() {
            if let Some((checker, spec)) = &watched.by_name
                && watched.identity.target.host().is_some_and(|known| **known == *host)
            {
                let target = nominal(&watched.identity.target);
                self.driver.replace(watched.id, target, checker.clone(), spec.clone());
            }
        }
    }

    /// Stops or resumes the checks of a backend, for maintenance.
    pub(super) fn pause(&mut self, place: Place, paused: bool) {
        if paused {
            self.driver.suspend(place);
        } else if self.driver.monitor().is_suspended(place) {
            self.driver.resume(place);
        }
    }

    /// Ends every check of a backend that is gone.
    pub(super) fn forget(&mut self, place: Place) {
        let watched = self.watched.remove(&place).unwrap_or_default();
        self.driver.forget(place);
        for one in watched {
            if self.driver.monitor().check(one.id).is_none() {
                self.forget_running(&one);
            }
        }
    }

    /// How far they are behind.
    pub(super) fn overdue(&self, now: Instant) -> Duration {
        self.driver.watchdog().overdue(now)
    }
}

fn driver() -> Driver<Place> {
    let driver = Driver::new(rand::make_rng::<SmallRng>());
    match instance() {
        Some(instance) => driver.with_instance(instance),
        None => driver,
    }
}
