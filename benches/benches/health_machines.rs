//! The machines alone, without sockets: how many results they take, and how they place their runs in
//! virtual time.

#[expect(dead_code, reason = "of the counts, only that of allocations is of use here")]
#[path = "support/allocations.rs"]
mod allocations;
mod health;

use std::hint::black_box;
use std::time::{Duration, Instant};

use lb_core::backend::BackendId;
use lb_health::monitor::{Action, Run};
use lb_health::state::{CheckInput, CheckState};
use lb_health::trace::Phase;
use lb_health::{CheckError, CheckSpec, Driver, Event, Monitor, Report, Target};
use tokio::time::{advance, sleep, timeout};
use tower::service_fn;

use allocations::allocations_of;
use health::{Bars, Meter, rng};

const TARGETS: u32 = 10_000;
const SECOND: Duration = Duration::from_secs(1);
/// A driver takes some microseconds for a run where the machine takes a part of one.
const STALLED: u32 = 1_000;
const STALLED_HOURS: u32 = 24;

fn main() {
    let mut bars = Bars::default();
    println!("E19: results taken");
    results(&mut bars);
    println!("E12, E13: {TARGETS} checks, every second, jitter 10 %");
    phases(&mut bars);
    println!("E15: reload of {TARGETS} checks, unchanged");
    reload(&mut bars);
    println!(
        "E16: {STALLED} healthy targets, {STALLED_HOURS} hours, a stall of 500 ms each minute"
    );
    stalls(&mut bars);
}

fn results(bars: &mut Bars) {
    let inputs: Vec<_> = (0..1024_u32)
        .map(|number| match number.wrapping_mul(0x9E37_79B9) >> 28 {
            0..11 => CheckInput::Ok,
            11..15 => CheckInput::Fail,
            _ => CheckInput::Local,
        })
        .collect();
    let thresholds = CheckSpec::default().thresholds();
    let (meter, mut state, mut transitions) = (Meter::start(), CheckState::default(), 0_u32);
    const ROUNDS: usize = 100_000;
    let allocations = allocations_of(|| {
        for _ in 0..ROUNDS {
            for &input in black_box(&inputs) {
                transitions += u32::from(state.observe(input, thresholds).is_some());
            }
        }
    });
    black_box(transitions);
    let rate = (ROUNDS * inputs.len()) as f64 / meter.cpu();
    bars.at_least("a state", rate / 1e6, 30.0, "M/s");
    bars.at_most("allocations", allocations as f64, 0.0, "");

    for count in [100, TARGETS] {
        let mut world = World::new(count, CheckSpec::default());
        world.pass(6 * SECOND, |_, _| Ok(Report::ALIVE));
        let (meter, before) = (Meter::start(), world.monitor.runs());
        let time = SECOND * (40_000_000 / count);
        let time = time.min(SECOND * 4_000);
        let allocations = allocations_of(|| world.pass(time, |_, _| Ok(Report::ALIVE)));
        let rate = (world.monitor.runs() - before) as f64 / meter.cpu();
        let what = format!("a monitor of {count}: due, asked for, judged, planned");
        bars.at_least(&what, rate / 1e6, 30.0, "M/s");
        bars.at_most("allocations", allocations as f64, 0.0, "");
    }
}

/// A monitor in virtual time, whose runs end at once.
struct World {
    now: Instant,
    monitor: Monitor<u32>,
    verdicts: u64,
    starts: Option<Vec<Vec<Instant>>>,
}

impl World {
    fn new(count: u32, spec: CheckSpec) -> Self {
        let (now, mut monitor, mut rng) = (Instant::now(), Monitor::new(), rng());
        let spec = spec.with_warmup(SECOND).expect("a spec");
        for backend in 0..count {
            monitor.watch(now, backend, spec.clone(), &mut rng);
        }
        Self { now, monitor, verdicts: 0, starts: None }
    }

    fn pass(
        &mut self,
        time: Duration,
        answer: impl Fn(Run, Instant) -> Result<Report, CheckError>,
    ) {
        let end = self.now + time;
        while let Some(due) = self.monitor.next_deadline().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            self.monitor.handle_timeout(self.now);
            self.drain(&answer);
        }
        self.now = end;
    }

    fn drain(&mut self, answer: impl Fn(Run, Instant) -> Result<Report, CheckError>) {
        while let Some(action) = self.monitor.poll_action() {
            match action {
                Action::Run(run) => {
                    if let Some(starts) = &mut self.starts {
                        let check = self.monitor.check(run.check()).expect("known");
                        let backend = check.backends().next().expect("one");
                        starts[backend as usize].push(self.now);
                    }
                    let result = answer(run, self.now).map_err(Into::into);
                    self.monitor.handle_result(self.now, run, result);
                }
                Action::Notify(Event::Verdict(_)) => self.verdicts += 1,
                action => panic!("{action:?}"),
            }
        }
    }
}

fn phases(bars: &mut Bars) {
    const INTERVALS: u32 = 60;
    let starts = |jitter| {
        let spec = CheckSpec::default().with_interval(SECOND);
        let spec = spec.and_then(|spec| spec.with_jitter_percent(jitter)).expect("a spec");
        let mut world = World::new(TARGETS, spec);
        world.pass(5 * SECOND, |_, _| Ok(Report::ALIVE));
        world.starts = Some(vec![Vec::new(); TARGETS as usize]);
        let begin = world.now;
        world.pass(SECOND * INTERVALS, |_, _| Ok(Report::ALIVE));
        (begin, world.starts.take().expect("kept"))
    };
    // The places on the grid: with jitter, the first start after any moment is no fair sample.
    let (begin, starts_on_grid) = starts(0);
    let mut phases: Vec<f64> =
        starts_on_grid.iter().map(|starts| (starts[0] - begin).as_secs_f64().fract()).collect();
    phases.sort_by(f64::total_cmp);
    let n = phases.len() as f64;
    let distance = phases.iter().enumerate().map(|(rank, phase)| {
        (phase - rank as f64 / n).abs().max((phase - (rank + 1) as f64 / n).abs())
    });
    // Kolmogorov and Smirnov: 1.628 is the critical value for p = 0.01.
    bars.at_most("KS statistic", distance.fold(0.0, f64::max) * n.sqrt(), 1.628, "");

    let (begin, starts) = starts(10);
    let mut bins = vec![0_u32; INTERVALS as usize * 100 + 1];
    for start in starts.iter().flatten() {
        bins[((*start - begin).as_millis() / 10) as usize] += 1;
    }
    let peak = f64::from(bins.into_iter().max().expect("bins"));
    bars.at_most("busiest 10 ms, over the mean", peak / (f64::from(TARGETS) / 100.0), 2.0, "x");

    let gaps = || starts.iter().flat_map(|starts| starts.windows(2).map(|two| two[1] - two[0]));
    let widest = gaps().map(|gap| gap.abs_diff(SECOND)).max().expect("gaps");
    bars.at_most("a gap strays by", widest.as_secs_f64() * 100.0, 10.0, "% of an interval");
    let drift = starts.iter().map(|starts| {
        // From first to last the jitter counts once, not once an interval.
        let runs = (starts.len() - 1) as f64;
        (starts[starts.len() - 1] - starts[0]).as_secs_f64() / runs - 1.0
    });
    let mean = drift.sum::<f64>().abs() / n;
    bars.at_most("the mean of all strays by", mean * 100.0, 0.1, "% of an interval");
}

/// The real driver, in stopped time. Every target answers after 50 ms; every minute this process stands
/// still for 500 ms, longer than a run may take. What is going then has timed out when it goes on, as at
/// the worst: no answer is read before the clock. One failure would do to take a target down, so that a
/// single timeout that is not excused is a verdict.
fn stalls(bars: &mut Bars) {
    const STALL: Duration = Duration::from_millis(500);
    const MINUTE: Duration = Duration::from_secs(60);
    let healthy = service_fn(|target: Target| async move {
        let deadline = tokio::time::Instant::now() + target.timeout;
        sleep(Duration::from_millis(50)).await;
        if tokio::time::Instant::now() > deadline {
            return Err(CheckError::Timeout { phase: Phase::Connect });
        }
        Ok(Report::ALIVE)
    });
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    let meter = Meter::start();
    let (verdicts, excused, runs) = runtime.block_on(async {
        let mut driver = Driver::new(rng());
        let spec = CheckSpec::default().with_fall(1).and_then(|spec| spec.with_warmup(2 * SECOND));
        let spec = spec.and_then(|spec| spec.with_timeout(Duration::from_millis(450)));
        let spec = spec.expect("a spec");
        for number in 0..STALLED {
            let address = ([192, 0, 2, 1], 80).into();
            driver.watch(BackendId::new(number), address, healthy, spec.clone());
        }
        let (mut verdicts, mut excused) = (0, 0);
        for _ in 0..STALLED_HOURS * 60 {
            for time in [MINUTE, SECOND / 10] {
                let telling = async {
                    loop {
                        driver.next().await;
                        verdicts += 1;
                    }
                };
                let _ = timeout(time, telling).await;
                if time == MINUTE {
                    advance(STALL).await;
                }
            }
            let failures = driver.monitor().checks().filter_map(|(_, check)| check.last());
            let failures = failures.filter_map(|last| last.result.as_ref().err());
            excused += failures.filter(|failure| failure.cause() == "overloaded").count();
        }
        (verdicts, excused, driver.monitor().runs())
    });
    // Without any this would show nothing.
    let fewest = f64::from(STALLED_HOURS * 60);
    bars.at_least("runs that a stall made late", excused as f64, fewest, "");
    bars.at_most("verdicts beside the first", f64::from(verdicts) - f64::from(STALLED), 0.0, "");
    println!(
        "         {:.1} M runs, {:.2} M/s",
        runs as f64 / 1e6,
        runs as f64 / 1e6 / meter.cpu()
    );
}

/// What a reload asks of the machine where nothing has changed: what is there, for each backend.
fn reload(bars: &mut Bars) {
    let spec = CheckSpec::default();
    let mut world = World::new(TARGETS, spec.clone());
    world.pass(6 * SECOND, |_, _| Ok(Report::ALIVE));
    let wanted = spec.with_warmup(SECOND).expect("a spec");
    let (meter, verdicts) = (Meter::start(), world.verdicts);
    for backend in 0..TARGETS {
        let known: Vec<_> = world.monitor.checks_of(backend).collect();
        assert!(matches!(known[..], [(_, check)] if *check.spec() == wanted), "unchanged");
    }
    let took = meter.wall();
    world.drain(|_, _| Ok(Report::ALIVE));
    bars.at_most("time", took * 1e3, 20.0, "ms");
    bars.at_most("verdicts", (world.verdicts - verdicts) as f64, 0.0, "");
}
