//! The monitor through arbitrary lives, with the promises of its documentation asserted.
#![cfg_attr(feature = "fuzzer", no_main)]

use std::collections::HashMap;
use std::io;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fuzz::arbitrary::{self, Arbitrary};
use lb_core::{Health, Weight};
use lb_health::monitor::{Action, Because, Run};
use lb_health::spec::SpecError;
use lb_health::state::CheckState;
use lb_health::{Check, CheckError, CheckId, CheckSpec, Event, Monitor, Report};
use rand::SeedableRng;
use rand::rngs::StdRng;

fuzz::target!(|script: Script| script.run());

#[derive(Arbitrary, Debug)]
struct Script {
    seed: u64,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Answer { run: u8, answer: Answer },
    AnswerCancelled { run: u8 },
    Forget { backend: u8 },
    ForgetCheck { check: u8 },
    Hurry { check: u8 },
    Passive { backend: u8, answer: Answer },
    Release { check: u8, backend: u8 },
    Replace { check: u8, spec: Spec },
    Resume { backend: u8 },
    Share { check: u8, backend: u8 },
    Split { check: u8, backend: u8, spec: Spec },
    Suspend { backend: u8 },
    Wait { millis: u16 },
    WaitForDeadline { late: u8 },
    Watch { backend: u8, spec: Spec },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Answer {
    Agent,
    Alive,
    Failed,
    Local,
    Weighing(u16),
}

#[derive(Arbitrary, Debug)]
struct Spec {
    interval: u16,
    fast_interval: u16,
    down_interval: Option<u16>,
    warmup: u16,
    rise: u8,
    fall: u8,
    jitter: u8,
    first_decisive: bool,
    initially_up: bool,
    local_limit: u8,
}

const BACKENDS: u8 = 4;
const MOST_CHECKS: usize = 32;

/// What must hold, and what was seen so far.
struct Life {
    now: Instant,
    monitor: Monitor<u8>,
    rng: StdRng,
    checks: Vec<CheckId>,
    going: HashMap<CheckId, Run>,
    cancelled: Vec<Run>,
    last_start: HashMap<CheckId, Instant>,
    last_number: u64,
    told: HashMap<u8, Health>,
    /// Checks that cannot be run, as told.
    obstructed: HashMap<(u8, CheckId), ()>,
    /// Until when each backend was held before this step.
    held: HashMap<u8, Instant>,
}

impl Script {
    fn run(self) {
        let mut life = Life {
            now: Instant::now(),
            monitor: Monitor::new(),
            rng: StdRng::seed_from_u64(self.seed),
            checks: Vec::new(),
            going: HashMap::new(),
            cancelled: Vec::new(),
            last_start: HashMap::new(),
            last_number: 0,
            told: HashMap::new(),
            obstructed: HashMap::new(),
            held: HashMap::new(),
        };
        for step in self.steps {
            let (now, monitor) = (life.now, &life.monitor);
            let held = |backend| Some((backend, monitor.held_until(now, backend)?));
            life.held = (0..BACKENDS).filter_map(held).collect();
            life.step(step);
            life.drain();
            life.look();
        }
    }
}

impl Answer {
    fn result(self) -> Result<Report, CheckError> {
        match self {
            Self::Agent => Err(CheckError::Agent { source: Arc::new(CheckError::Refused) }),
            Self::Alive => Ok(Report::ALIVE),
            Self::Failed => Err(CheckError::Refused),
            Self::Local => {
                let source = Arc::new(io::ErrorKind::OutOfMemory.into());
                Err(CheckError::Local { operation: "fuzz", source })
            }
            Self::Weighing(weight) => Ok(Report::weighing(Weight::new(weight))),
        }
    }
}

impl Spec {
    fn build(&self) -> Result<CheckSpec, SpecError> {
        let millis = |count: u16| Duration::from_millis(count.into());
        let spec = CheckSpec::default()
            .with_interval(millis(self.interval))?
            .with_fast_interval(millis(self.fast_interval))?
            .with_warmup(millis(self.warmup))?
            .with_rise((self.rise % 8).into())?
            .with_fall((self.fall % 8).into())?
            .with_jitter_percent(self.jitter % (CheckSpec::LARGEST_JITTER + 2))?
            .with_first_decisive(self.first_decisive)
            .with_initially_up(self.initially_up)
            .with_local_limit(NonZeroU32::new((self.local_limit % 8).into()));
        match self.down_interval {
            Some(interval) => spec.with_down_interval(millis(interval)),
            None => Ok(spec),
        }
    }
}

impl Life {
    fn step(&mut self, step: Step) {
        match step {
            Step::Answer { run, answer } => {
                let mut going: Vec<_> = self.going.values().copied().collect();
                going.sort_unstable_by_key(|run| run.number());
                if let Some(&run) = going.get(usize::from(run) % going.len().max(1)) {
                    self.going.remove(&run.check());
                    self.monitor.handle_result(self.now, run, answer.result().map_err(Into::into));
                    self.drain();
                    self.ignores(run);
                }
            }
            Step::AnswerCancelled { run } => {
                let count = self.cancelled.len().max(1);
                if let Some(&run) = self.cancelled.get(usize::from(run) % count) {
                    self.ignores(run);
                }
            }
            Step::Forget { backend } => {
                let backend = backend % BACKENDS;
                self.monitor.forget(backend);
                self.told.remove(&backend);
                assert_eq!(self.monitor.health(backend), None);
                assert_eq!(self.monitor.checks_of(backend).count(), 0);
            }
            Step::ForgetCheck { check } => {
                if let Some(check) = self.check(check) {
                    self.monitor.forget_check(check);
                    assert!(self.monitor.check(check).is_none());
                }
            }
            Step::Hurry { check } => {
                if let Some(check) = self.check(check) {
                    self.monitor.hurry(self.now, check);
                }
            }
            Step::Passive { backend, answer } => {
                let (backend, result) = (backend % BACKENDS, answer.result().map(drop));
                let was_up = self.told.get(&backend).is_some_and(|health| health.is_up());
                self.monitor.handle_passive(self.now, backend, result);
                let held = self.monitor.held_until(self.now, backend);
                assert!(held == self.held.get(&backend).copied() || was_up, "held for no reason");
            }
            Step::Release { check, backend } => {
                if let Some(check) = self.check(check) {
                    let backend = backend % BACKENDS;
                    self.monitor.release(check, backend);
                    assert!(self.monitor.checks_of(backend).all(|(id, _)| id != check));
                    self.held.clear();
                }
            }
            Step::Share { check, backend } => {
                if let Some(check) = self.check(check) {
                    let backend = backend % BACKENDS;
                    self.monitor.share(self.now, check, backend);
                    let is_known = self.monitor.check(check).is_some();
                    let shared = self.monitor.checks_of(backend).any(|(id, _)| id == check);
                    assert_eq!(is_known, shared);
                }
            }
            Step::Split { check, backend, spec } => {
                if let (Some(check), Ok(spec)) = (self.check(check), spec.build())
                    && self.monitor.checks().count() < MOST_CHECKS
                {
                    let backend = backend % BACKENDS;
                    let own = self.monitor.split(self.now, check, backend, spec, &mut self.rng);
                    assert!(!self.checks.contains(&own), "an identity was issued twice");
                    self.checks.push(own);
                    assert!(self.monitor.checks_of(backend).all(|(id, _)| id != check));
                    self.held.clear();
                }
            }
            Step::Replace { check, spec } => {
                if let (Some(check), Ok(spec)) = (self.check(check), spec.build()) {
                    self.monitor.replace(self.now, check, spec);
                    self.held.clear();
                }
            }
            Step::Resume { backend } => {
                self.monitor.resume(self.now, backend % BACKENDS);
                self.held.clear();
            }
            Step::Suspend { backend } => {
                let backend = backend % BACKENDS;
                self.monitor.suspend(backend);
                assert!(self.monitor.is_suspended(backend));
                // Those that it shares with others may go on for them.
                let own = |check: &Check<u8>| check.backends().eq([backend]);
                let off = |check: &Check<u8>| matches!(check.state(), CheckState::Off { .. });
                let mut checks = self.monitor.checks_of(backend);
                assert!(checks.all(|(_, check)| !own(check) || off(check)));
            }
            Step::Wait { millis } => self.pass(self.now + Duration::from_millis(millis.into())),
            Step::WaitForDeadline { late } => {
                if let Some(due) = self.monitor.next_deadline() {
                    self.pass(self.now.max(due + Duration::from_millis(late.into())));
                }
            }
            Step::Watch { backend, spec } => {
                if let Ok(spec) = spec.build()
                    && self.monitor.checks().count() < MOST_CHECKS
                {
                    let backend = backend % BACKENDS;
                    let check = self.monitor.watch(self.now, backend, spec, &mut self.rng);
                    assert!(!self.checks.contains(&check), "an identity was issued twice");
                    self.checks.push(check);
                }
            }
        }
    }

    fn check(&self, number: u8) -> Option<CheckId> {
        self.checks.get(usize::from(number) % self.checks.len().max(1)).copied()
    }

    fn pass(&mut self, now: Instant) {
        self.now = now;
        self.monitor.handle_timeout(now);
        assert!(self.monitor.next_deadline().is_none_or(|next| next > now), "due, and not run");
    }

    /// K4: the answer to a run that is over changes nothing.
    fn ignores(&mut self, run: Run) {
        let before = format!("{:?}", self.monitor);
        self.monitor.handle_result(self.now, run, Err(CheckError::Closed.into()));
        assert_eq!(format!("{:?}", self.monitor), before);
    }

    fn drain(&mut self) {
        while let Some(action) = self.monitor.poll_action() {
            match action {
                Action::Cancel(run) => {
                    assert_eq!(self.going.remove(&run.check()), Some(run), "cancelled, not going");
                    self.cancelled.push(run);
                }
                Action::Notify(event) => self.hear(event),
                Action::Run(run) => self.start(run),
                action => unreachable!("{action:?}"),
            }
        }
    }

    fn start(&mut self, run: Run) {
        assert_eq!(self.going.insert(run.check(), run), None, "K4: two runs at once");
        assert!(run.number() > self.last_number, "numbers grow");
        self.last_number = run.number();
        let check = self.monitor.check(run.check()).expect("a check that is run is known");
        assert!(!matches!(check.state(), CheckState::Off { .. }), "off");
        if let Some(last) = self.last_start.insert(run.check(), self.now) {
            assert!(self.now >= last + check.spec().shortest_interval(), "K6: too early");
        }
    }

    fn hear(&mut self, event: Event<u8>) {
        match event {
            Event::Obstructed(told) => {
                let check = self.monitor.check(told.check).expect("nothing obstructed");
                assert!(check.is_obstructed() && told.error.is_local());
                assert_eq!(check.local_errors(), told.errors);
                self.obstructed.insert((told.backend, told.check), ());
            }
            Event::Unobstructed { backend, check } => {
                assert!(self.obstructed.remove(&(backend, check)).is_some(), "it never was");
            }
            Event::Verdict(told) => {
                let before = self.told.insert(told.backend, told.health);
                assert_ne!(before, Some(told.health), "K1: nothing new");
                if let Because::Passed { .. } = told.because
                    && before == Some(Health::Down)
                {
                    let held = self.held.get(&told.backend);
                    assert!(held.is_none_or(|&until| until <= self.now), "up while held");
                }
            }
            event => unreachable!("{event:?}"),
        }
    }

    /// What holds between any two steps.
    fn look(&self) {
        for backend in 0..BACKENDS {
            assert_eq!(self.monitor.health(backend), self.told.get(&backend).copied());
        }
        let mut idle = 0;
        for (id, check) in self.monitor.checks() {
            let going = self.going.contains_key(&id);
            assert_eq!(check.running_since().is_some(), going);
            let off = matches!(check.state(), CheckState::Off { .. });
            let suspended = |backend| self.monitor.is_suspended(backend);
            assert_eq!(off, check.backends().all(suspended));
            assert!(!(going && off), "a check that is off still runs");
            idle += usize::from(!going && !off);
        }
        // Every check is going, planned, or off: none is ever lost.
        assert_eq!(idle > 0, self.monitor.next_deadline().is_some());
        let known = |check: &CheckId| self.monitor.check(*check).is_some();
        assert!(self.going.keys().all(known), "a run of nothing");
    }
}
