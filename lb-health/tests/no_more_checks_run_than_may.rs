//! A bound on how many checks are under way at once: who waits for a turn is late, and no target is blamed.
#![cfg(feature = "driver")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lb_core::Health;
use lb_core::backend::BackendId;
use lb_health::trace::Phase;
use lb_health::{CheckError, CheckSpec, Driver, Event, Report, Target};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::time::{sleep, timeout};
use tower::service_fn;

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// How many run now, and how many ran at most.
#[derive(Clone, Default)]
struct Meter(Arc<(AtomicUsize, AtomicUsize)>);

/// One that runs, until it is dropped.
struct Running(Meter);

impl Meter {
    fn begin(&self) -> Running {
        let (now, most) = &*self.0;
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        Running(self.clone())
    }

    fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Checks of so many targets of which each takes so long; a run may take a second.
fn watch(driver: &mut Driver, count: u32, takes: Duration) -> Meter {
    let meter = Meter::default();
    let spec = CheckSpec::default().with_interval(millis(2_000)).unwrap();
    let spec = spec.with_timeout(millis(1_000)).unwrap();
    for number in 0..count {
        let (meter, address) = (meter.clone(), ([10, 0, 0, number as u8], 80).into());
        let checker = service_fn(move |target: Target| {
            let meter = meter.clone();
            async move {
                let _running = meter.begin();
                match timeout(target.timeout, sleep(takes)).await {
                    Ok(()) => Ok(Report::ALIVE),
                    Err(_) => Err(CheckError::Timeout { phase: Phase::Connect }),
                }
            }
        });
        driver.watch(BackendId::new(number), address, checker, spec.clone());
    }
    meter
}

/// What is heard in this time.
async fn pass(driver: &mut Driver, time: Duration) -> Vec<Event> {
    let mut heard = Vec::new();
    let _ = timeout(time, async {
        loop {
            heard.push(driver.next().await);
        }
    })
    .await;
    heard
}

fn driver(most: usize) -> Driver {
    Driver::new(SmallRng::seed_from_u64(1)).with_most_at_once(NonZeroUsize::new(most).unwrap())
}

fn healths(heard: &[Event]) -> Vec<bool> {
    let verdicts = heard.iter().filter_map(|event| match event {
        Event::Verdict(verdict) => Some(verdict.health.is_up()),
        _ => None,
    });
    verdicts.collect()
}

/// All are due at once. Each takes nearly all of its time, and has it from when it is its turn.
#[tokio::test(start_paused = true)]
async fn who_waits_has_all_of_its_time() {
    let mut driver = driver(40);
    let meter = watch(&mut driver, 100, millis(900));
    let heard = pass(&mut driver, millis(60_000)).await;
    assert_eq!(healths(&heard), [true; 100]);
    assert_eq!(meter.most(), 40);
    // Nobody is forgotten: each has run about every other second.
    let runs = driver.monitor().runs();
    assert!(runs > 100 * 20, "{runs} runs");
}

/// Those that hang hold their turns for all of their time, and are found out all the same; whoever comes to
/// no turn before it is due again could not be checked.
#[tokio::test(start_paused = true)]
async fn who_comes_to_no_turn_is_not_blamed() {
    let mut all = driver(50);
    watch(&mut all, 100, millis(60_000));
    let heard = pass(&mut all, millis(60_000)).await;
    assert_eq!(healths(&heard), [false; 100]);

    let mut few = driver(5);
    let meter = watch(&mut few, 100, millis(60_000));
    let heard = pass(&mut few, millis(60_000)).await;
    assert_eq!(meter.most(), 5);
    assert!(healths(&heard).iter().all(|is_up| !is_up));
    let causes: Vec<_> = few
        .monitor()
        .checks()
        .filter_map(|(_, check)| Some(check.last()?.result.as_ref().err()?.cause()))
        .collect();
    assert!(causes.contains(&"timeout-connect") && causes.contains(&"no-turn"), "{causes:?}");
    for (_, check) in few.monitor().checks() {
        let backend = check.backends().next().unwrap();
        let was_run =
            check.recent().any(|run| run.result.as_ref().is_err_and(|error| !error.is_local()));
        assert!(was_run || few.monitor().health(backend) != Some(Health::Down), "{check:?}");
    }
}

/// A turn comes back however a run ends: by its result, its time, or because nobody wants it any more.
#[tokio::test(start_paused = true)]
async fn no_turn_is_lost() {
    let mut driver = driver(1);
    watch(&mut driver, 3, millis(60_000));
    pass(&mut driver, millis(100)).await;
    // The one that runs, and one that waits.
    driver.forget(BackendId::new(0));
    driver.forget(BackendId::new(1));
    let meter = watch(&mut driver, 1, millis(10));
    driver.forget(BackendId::new(2));
    let heard = pass(&mut driver, millis(5_000)).await;
    assert_eq!(healths(&heard), [true]);
    assert_eq!(meter.most(), 1);
}

/// The bound holds on threads as well, whichever is said first.
#[tokio::test]
async fn threads_share_the_bound() {
    let two = NonZeroUsize::new(2).unwrap();
    let first = driver(4).with_threads(two, || ()).unwrap();
    let threads = Driver::new(SmallRng::seed_from_u64(1)).with_threads(two, || ()).unwrap();
    for mut driver in [first, threads.with_most_at_once(NonZeroUsize::new(4).unwrap())] {
        let meter = watch(&mut driver, 20, millis(20));
        let mut ups = 0;
        while ups < 20 {
            let Event::Verdict(verdict) = driver.next().await else { continue };
            assert!(verdict.health.is_up());
            ups += 1;
        }
        assert!(meter.most() <= 4, "{}", meter.most());
    }
}
