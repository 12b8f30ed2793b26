//! What times out because this process did not run is no failure of the target; and whoever watches
//! the driver sees that it stands still.
#![cfg(feature = "driver")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]
#![expect(clippy::disallowed_methods, reason = "measures the stopped clock")]

use std::time::Duration;

use lb_core::backend::BackendId;
use lb_health::trace::Phase;
use lb_health::{CheckError, CheckSpec, Driver, Report, Target};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::time::{Instant, advance, sleep, timeout};
use tower::service_fn;

const BACKEND: BackendId = BackendId::new(0);

fn driver() -> Driver {
    Driver::new(SmallRng::seed_from_u64(7))
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Never answers, and keeps its deadline.
async fn silent(target: Target) -> Result<Report, CheckError> {
    sleep(target.timeout).await;
    Err(CheckError::Timeout { phase: Phase::Connect })
}

/// The cause of the first run, in which this process stands still for `stall` after `at`.
async fn cause(at: Duration, stall: Duration) -> &'static str {
    let mut driver = driver();
    let check = driver.watch(
        BACKEND,
        ([192, 0, 2, 1], 80).into(),
        service_fn(silent),
        CheckSpec::default(),
    );
    let _ = timeout(at, driver.next()).await;
    advance(stall).await;
    let _ = timeout(millis(1400).saturating_sub(at + stall), driver.next()).await;
    let last = driver.monitor().check(check).unwrap().last().unwrap();
    last.result.as_ref().unwrap_err().cause()
}

#[tokio::test(start_paused = true)]
async fn a_stall_over_the_deadline_excuses_the_target() {
    assert_eq!(cause(millis(500), Duration::ZERO).await, "timeout-connect");
    assert_eq!(cause(millis(500), millis(800)).await, "overloaded");
    // A stall that ends in time: what the target sent meanwhile was read.
    assert_eq!(cause(millis(100), millis(300)).await, "timeout-connect");
}

/// Of a host that stands still for a moment in every run, dead servers are found all the same.
#[tokio::test(start_paused = true)]
async fn a_hiccup_long_before_the_deadline_excuses_nobody() {
    let mut driver = driver();
    let address = ([192, 0, 2, 1], 80).into();
    let check = driver.watch(BACKEND, address, service_fn(silent), CheckSpec::default());
    let busy = CheckSpec::default().with_interval(millis(20)).unwrap();
    let alive = service_fn(|_: Target| async { Ok::<_, CheckError>(Report::ALIVE) });
    driver.watch(BackendId::new(1), address, alive, busy);
    while timeout(millis(300), driver.next()).await.is_ok() {}
    advance(millis(60)).await;
    let cause = |driver: &Driver| {
        let last = driver.monitor().check(check).unwrap().last()?;
        Some(last.result.as_ref().unwrap_err().cause())
    };
    while cause(&driver).is_none() {
        let _ = timeout(millis(100), driver.next()).await;
    }
    assert_eq!(cause(&driver), Some("timeout-connect"));
}

/// A stall that other checks notice counts for all runs that it was part of: there may be thousands of
/// answers to read after it, and some timers fire before that is done.
#[tokio::test(start_paused = true)]
async fn a_stall_that_others_notice_excuses_as_well() {
    let mut driver = driver();
    let address = ([192, 0, 2, 1], 80).into();
    let check = driver.watch(BACKEND, address, service_fn(silent), CheckSpec::default());
    let busy = CheckSpec::default().with_interval(millis(20)).unwrap();
    let alive = service_fn(|_: Target| async { Ok::<_, CheckError>(Report::ALIVE) });
    driver.watch(BackendId::new(1), address, alive, busy);
    let run = |driver: &Driver| {
        let last = driver.monitor().check(check).unwrap().last()?;
        Some((last.repeated, last.result.as_ref().unwrap_err().cause()))
    };
    while timeout(millis(300), driver.next()).await.is_ok() {}
    advance(millis(400)).await;
    while run(&driver).is_none() {
        let _ = timeout(millis(100), driver.next()).await;
    }
    assert_eq!(run(&driver), Some((1, "overloaded")));
    while run(&driver) == Some((1, "overloaded")) {
        let _ = timeout(millis(100), driver.next()).await;
    }
    assert_eq!(run(&driver), Some((1, "timeout-connect")), "a run without a stall in it");
}

/// E16 in small: many targets, and a stall each minute that is longer than a run may take. At the worst
/// no answer is read before the clock; one failure takes a target down.
#[tokio::test(start_paused = true)]
async fn stalls_take_no_healthy_target_down() {
    for limit in [300, 450] {
        let healthy = service_fn(|target: Target| async move {
            let deadline = Instant::now() + target.timeout;
            sleep(millis(50)).await;
            if Instant::now() > deadline {
                return Err(CheckError::Timeout { phase: Phase::Connect });
            }
            Ok(Report::ALIVE)
        });
        let mut driver = driver();
        let spec = CheckSpec::default().with_timeout(millis(limit)).unwrap().with_fall(1).unwrap();
        let spec = spec.with_warmup(millis(2000)).unwrap();
        for number in 0..200_u8 {
            // Each has a phase of its own: together they would all be hit, or none.
            let address = ([192, 0, 2, number], 80).into();
            driver.watch(BackendId::new(number.into()), address, healthy, spec.clone());
        }
        let (mut verdicts, mut excused) = (0, 0);
        for _ in 0..10 {
            for time in [60_000, 100] {
                let telling = async {
                    loop {
                        driver.next().await;
                        verdicts += 1;
                    }
                };
                let _ = timeout(millis(time), telling).await;
                if time > 100 {
                    advance(millis(500)).await;
                }
            }
            let failures = driver.monitor().checks().filter_map(|(_, check)| check.last());
            let failures = failures.filter_map(|last| last.result.as_ref().err());
            excused += failures.filter(|failure| failure.cause() == "overloaded").count();
        }
        assert_eq!(verdicts, 200, "the first of each");
        assert!(excused > 20, "{excused} runs that a stall made late");
    }
}

#[tokio::test(start_paused = true)]
async fn a_watchdog_sees_a_driver_that_nobody_polls() {
    let mut driver = driver();
    let dog = driver.watchdog();
    let overdue = || dog.overdue(Instant::now().into_std());
    sleep(millis(5000)).await;
    assert_eq!(overdue(), Duration::ZERO, "nothing is to be done");
    let alive = service_fn(|_: Target| async { Ok::<_, CheckError>(Report::ALIVE) });
    driver.watch(BACKEND, ([192, 0, 2, 1], 80).into(), alive, CheckSpec::default());
    driver.next().await;
    for _ in 0..100 {
        let _ = timeout(millis(77), driver.next()).await;
        assert!(overdue() <= millis(1), "{:?}", overdue());
    }
    sleep(millis(10_000)).await;
    assert!(overdue() >= millis(7_000), "{:?}", overdue());
    assert_eq!(driver.monitor().overdue(Instant::now().into_std()), overdue());
}
