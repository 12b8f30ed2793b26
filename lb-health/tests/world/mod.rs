//! A monitor in virtual time, with every promise of the driving contract checked on the way.
#![allow(dead_code, reason = "each test uses its own part")]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use lb_core::Health;
use lb_core::backend::BackendId;
use lb_health::monitor::{Action, Obstruction, Run};
use lb_health::{CheckError, CheckId, CheckSpec, Event, Monitor, Report, Verdict};
use rand::SeedableRng;
use rand::rngs::SmallRng;

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) monitor: Monitor,
    pub(crate) rng: SmallRng,
    /// Runs that are going, by check.
    pub(crate) going: HashMap<CheckId, Run>,
    /// Runs that were given up, whose results may still come.
    pub(crate) cancelled: Vec<Run>,
    /// Starts so far, by check.
    pub(crate) starts: HashMap<CheckId, Vec<Instant>>,
    pub(crate) verdicts: Vec<Verdict>,
    /// Checks that cannot be run, as told.
    pub(crate) obstructed: HashMap<(BackendId, CheckId), Obstruction>,
    /// The last verdict of each backend.
    pub(crate) told: HashMap<BackendId, Health>,
}

#[expect(clippy::disallowed_methods, reason = "any instant serves as the origin")]
pub(crate) fn origin() -> Instant {
    Instant::now()
}

pub(crate) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            now: origin(),
            monitor: Monitor::new(),
            rng: SmallRng::seed_from_u64(seed),
            going: HashMap::new(),
            cancelled: Vec::new(),
            starts: HashMap::new(),
            verdicts: Vec::new(),
            obstructed: HashMap::new(),
            told: HashMap::new(),
        }
    }

    pub(crate) fn watch(&mut self, backend: u32, spec: CheckSpec) -> CheckId {
        let check = self.monitor.watch(self.now, BackendId::new(backend), spec, &mut self.rng);
        self.drain();
        check
    }

    /// Drains the actions, and checks K4, K6 and that verdicts say something new.
    pub(crate) fn drain(&mut self) {
        while let Some(action) = self.monitor.poll_action() {
            match action {
                Action::Cancel(run) => {
                    assert_eq!(self.going.remove(&run.check()), Some(run), "cancelled, not going");
                    self.cancelled.push(run);
                }
                Action::Run(run) => {
                    let spec = self.monitor.check(run.check()).expect("a run of nothing").spec();
                    let starts = self.starts.entry(run.check()).or_default();
                    if let Some(&last) = starts.last() {
                        assert!(self.now >= last + spec.shortest_interval(), "too early");
                    }
                    starts.push(self.now);
                    assert_eq!(self.going.insert(run.check(), run), None, "two runs at once");
                }
                Action::Notify(Event::Obstructed(told)) => {
                    let check = self.monitor.check(told.check).expect("of nothing");
                    assert!(check.is_obstructed() && check.local_errors() == told.errors);
                    self.obstructed.insert((told.backend, told.check), told);
                }
                Action::Notify(Event::Unobstructed { backend, check }) => {
                    assert!(self.obstructed.remove(&(backend, check)).is_some(), "it never was");
                }
                Action::Notify(Event::Verdict(verdict)) => {
                    let before = self.told.insert(verdict.backend, verdict.health);
                    assert_ne!(before, Some(verdict.health), "nothing new");
                    let known = self.monitor.health(verdict.backend);
                    assert_eq!(known, Some(verdict.health), "the status tells another story");
                    self.verdicts.push(verdict);
                }
                _ => unreachable!("an action this test does not know"),
            }
        }
    }

    /// Lets time pass, stopping at every deadline; `answer` ends runs as soon as they start.
    pub(crate) fn pass(
        &mut self,
        time: Duration,
        mut answer: impl FnMut(CheckId, Instant) -> Option<Result<Report, CheckError>>,
    ) {
        let end = self.now + time;
        while let Some(due) = self.monitor.next_deadline().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            self.monitor.handle_timeout(self.now);
            assert!(self.monitor.next_deadline().is_none_or(|next| next > self.now));
            self.drain();
            let mut going: Vec<_> = self.going.values().copied().collect();
            going.sort_by_key(|run| run.number());
            for run in going {
                if let Some(result) = answer(run.check(), self.now) {
                    self.finish(run, result);
                }
            }
        }
        self.now = end;
    }

    pub(crate) fn finish(&mut self, run: Run, result: Result<Report, CheckError>) {
        self.going.remove(&run.check());
        self.monitor.handle_result(self.now, run, result.map_err(Into::into));
        self.drain();
    }
}
