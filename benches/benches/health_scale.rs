//! Ten thousand targets in one process: the processor time, the lag and the memory they take.
//!
//! The targets are a process of their own.

mod health;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use lb_core::backend::BackendId;
use lb_health::checkers::Tcp;
use lb_health::state::CheckState;
use lb_health::{CheckSpec, Driver, Event};
use tokio::time::timeout;

use health::{Bars, Kind, Meter, Spread, Targets, left_in_time_wait, resident, rng, runtime};

const TARGETS: u32 = 10_000;
const SECOND: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(20);
/// How often the lag of every check's last run is read: less often than they run, so that a run may
/// be missed, but never one that is a whole interval late.
const SAMPLE: Duration = Duration::from_millis(990);

fn main() {
    health::serve();
    let mut bars = Bars::default();
    // Before anything else has left room in the heap.
    runtime().block_on(memory(&mut bars));
    runtime().block_on(steady(&mut bars));
    runtime().block_on(half_dies(&mut bars));
}

fn every_second() -> CheckSpec {
    CheckSpec::default()
        .with_interval(SECOND)
        .and_then(|spec| spec.with_warmup(SECOND))
        .expect("a spec")
}

fn watch(driver: &mut Driver, targets: &Targets, numbers: std::ops::Range<u32>, spec: &CheckSpec) {
    for number in numbers {
        let backend = BackendId::new(number);
        driver.watch(backend, targets.address(number), Tcp::new(), spec.clone());
    }
}

/// Lets `time` pass; answers the verdicts, and how late runs began that are of checks in `state`.
async fn pass(
    driver: &mut Driver,
    time: Duration,
    state: fn(&CheckState) -> bool,
) -> (u32, Spread) {
    let (end, mut verdicts, mut lags) = (Instant::now() + time, 0, Spread::default());
    let mut failures = HashMap::new();
    while Instant::now() < end {
        let _ = timeout(SAMPLE.min(end - Instant::now()), async {
            loop {
                match driver.next().await {
                    Event::Verdict(_) => verdicts += 1,
                    event => panic!("{event:?}"),
                }
            }
        })
        .await;
        let checks = || driver.monitor().checks().map(|(_, check)| check);
        let failed = checks().filter_map(|check| check.last()?.result.as_ref().err());
        failed.for_each(|failure| *failures.entry(failure.cause()).or_insert(0) += 1);
        checks().filter(|check| state(&check.state())).for_each(|check| lags.push(check.late()));
    }
    if !failures.is_empty() {
        println!(
            "         last results that are failures, at the end of each second: {failures:?}"
        );
    }
    (verdicts, lags)
}

const fn is_up(state: &CheckState) -> bool {
    matches!(state, CheckState::Up { failures: 0, .. })
}

async fn steady(bars: &mut Bars) {
    println!("E6, E18: {TARGETS} TCP targets, each once a second");
    let targets = Targets::start(Kind::Tcp);
    let mut driver = Driver::new(rng());
    watch(&mut driver, &targets, 0..TARGETS, &every_second());
    let (ups, _) = pass(&mut driver, 3 * SECOND, is_up).await;
    assert_eq!(ups, TARGETS, "all are up");
    let (meter, before) = (Meter::start(), driver.monitor().runs());
    let (verdicts, mut lags) = pass(&mut driver, MEASURED, is_up).await;
    let (cpu, wall) = (meter.cpu(), meter.wall());
    let runs = (driver.monitor().runs() - before) as f64;
    bars.at_most("processor", cpu / wall * 100.0, 18.0, "% of a core");
    println!("         {:.1} us a check", cpu / runs * 1e6);
    bars.at_most("lag of a start, p99", lags.quantile(0.99), 2.0, "ms");
    println!("         p50 {:.3} ms, most {:.3} ms", lags.quantile(0.5), lags.quantile(1.0));
    let missed = (f64::from(TARGETS) * wall - runs).max(0.0);
    // The places on the grid move by up to a twentieth of an interval either way.
    bars.at_most("runs fewer than intervals", missed, f64::from(TARGETS) * 0.01, "");
    bars.at_most("verdicts", f64::from(verdicts), 0.0, "");
    let left = left_in_time_wait(targets.port(0)) + left_in_time_wait(targets.port(1));
    bars.at_most("connections in TIME_WAIT", left as f64, 0.0, "");
}

async fn half_dies(bars: &mut Bars) {
    println!("E17: half of {TARGETS} die at once");
    let mut targets = Targets::start(Kind::Tcp);
    let mut driver = Driver::new(rng());
    let spec = every_second().with_fast_interval(SECOND / 5).expect("a spec");
    watch(&mut driver, &targets, 0..TARGETS, &spec);
    pass(&mut driver, 3 * SECOND, is_up).await;
    targets.kill_half();
    let meter = Meter::start();
    let (downs, mut lags) = pass(&mut driver, 3 * SECOND, is_up).await;
    bars.at_least("are found down", f64::from(downs), f64::from(TARGETS / 2), "");
    bars.at_most("lag of the living, p99", lags.quantile(0.99), 10.0, "ms");
    println!("         most {:.3} ms", lags.quantile(1.0));
    println!("         processor {:.1} % of a core", meter.cpu() / meter.wall() * 100.0);
}

async fn memory(bars: &mut Bars) {
    println!("E8: memory that an idle TCP target takes, from 10 k to 50 k");
    let targets = Targets::start(Kind::Tcp);
    let mut driver = Driver::new(rng());
    let mut before = 0;
    for count in [10_000, 50_000] {
        let known = driver.monitor().checks().count() as u32;
        let warmup = SECOND * (count - known) / 10_000;
        let spec = CheckSpec::default()
            .with_interval(3600 * SECOND)
            .and_then(|spec| spec.with_warmup(warmup))
            .expect("a spec");
        watch(&mut driver, &targets, known..count, &spec);
        pass(&mut driver, warmup + SECOND, is_up).await;
        assert!(driver.monitor().checks().all(|(_, check)| is_up(&check.state())), "all are up");
        let resident = resident();
        println!("         {count} targets: {:.1} MB", resident as f64 / 1e6);
        if known > 0 {
            let each = (resident - before) as f64 / f64::from(count - known);
            bars.at_most("an idle target", each, 400.0, "bytes");
        }
        before = resident;
    }
}
