//! A driver with threads: what runs on one of them takes nothing from whoever drives, nor from others.
#![cfg(feature = "driver")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use lb_core::Health;
use lb_core::backend::BackendId;
use lb_health::trace::Phase;
use lb_health::{CheckError, CheckSpec, Driver, Event, Report, Target};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::time::{sleep, timeout};
use tower::service_fn;

/// Nothing here takes so long.
const LONG: Duration = Duration::from_secs(60);

fn driver(threads: usize) -> Driver {
    Driver::new(SmallRng::seed_from_u64(7))
        .with_threads(NonZeroUsize::new(threads).unwrap(), || {})
        .unwrap()
}

fn address(port: u16) -> SocketAddr {
    ([192, 0, 2, 1], port).into()
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

async fn next(driver: &mut Driver) -> Event {
    timeout(LONG, driver.next()).await.expect("an event")
}

async fn alive(_: Target) -> Result<Report, CheckError> {
    Ok(Report::ALIVE)
}

#[tokio::test]
async fn each_check_is_always_run_by_the_same_thread() {
    let threads = Arc::new(Mutex::new(HashMap::<u16, HashSet<String>>::new()));
    let begun = Arc::new(Mutex::new(0));
    let begin = Arc::clone(&begun);
    let mut driver = Driver::new(SmallRng::seed_from_u64(7))
        .with_threads(NonZeroUsize::new(3).unwrap(), move || *begin.lock().unwrap() += 1)
        .unwrap();
    let spec = CheckSpec::default().with_interval(millis(5)).unwrap();
    for number in 0..12 {
        let threads = Arc::clone(&threads);
        let checker = service_fn(move |target: Target| {
            let threads = Arc::clone(&threads);
            async move {
                // What needs the runtime finds one there.
                tokio::time::sleep(millis(1)).await;
                let name = std::thread::current().name().unwrap_or_default().to_owned();
                threads.lock().unwrap().entry(target.address.port()).or_default().insert(name);
                Ok::<_, CheckError>(Report::ALIVE)
            }
        });
        driver.watch(BackendId::new(number), address(number as u16), checker, spec.clone());
    }
    for _ in 0..12 {
        let Event::Verdict(verdict) = next(&mut driver).await else { panic!("another event") };
        assert_eq!(verdict.health, Health::UP);
    }
    while driver.monitor().runs() < 200 {
        let _ = timeout(millis(10), driver.next()).await;
    }
    assert_eq!(*begun.lock().unwrap(), 3);
    let threads = threads.lock().unwrap();
    assert!(threads.values().all(|names| names.len() == 1), "{threads:?}");
    let used: HashSet<_> = threads.values().flatten().map(String::as_str).collect();
    assert_eq!(used, ["checks-0", "checks-1", "checks-2"].into());
}

/// As a fork, or a long proof of a password, or a bug would.
#[tokio::test]
async fn a_thread_that_is_held_up_holds_up_nobody_else() {
    let (release, held) = mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let blocking = service_fn(move |_: Target| {
        let held = Arc::clone(&held);
        async move {
            let _ = held.lock().unwrap().recv();
            Ok::<_, CheckError>(Report::ALIVE)
        }
    });
    let mut driver = driver(2);
    driver.watch(BackendId::new(0), address(0), blocking, CheckSpec::default());
    driver.watch(BackendId::new(1), address(1), service_fn(alive), CheckSpec::default());
    let Event::Verdict(first) = next(&mut driver).await else { panic!("another event") };
    assert_eq!(first.backend, BackendId::new(1));
    drop(release);
    let Event::Verdict(second) = next(&mut driver).await else { panic!("another event") };
    assert_eq!((second.backend, second.health), (BackendId::new(0), Health::UP));
}

/// It was not there to hear an answer.
#[tokio::test]
async fn what_times_out_on_a_thread_that_was_held_up_is_excused() {
    let (release, held) = mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let silent = service_fn(|target: Target| async move {
        sleep(target.timeout).await;
        Err::<Report, _>(CheckError::Timeout { phase: Phase::Connect })
    });
    let blocking = service_fn(move |_: Target| {
        let held = Arc::clone(&held);
        async move {
            let _ = held.lock().unwrap().recv();
            Ok::<_, CheckError>(Report::ALIVE)
        }
    });
    let mut driver = driver(1);
    let spec = CheckSpec::default().with_timeout(millis(100)).unwrap();
    let check = driver.watch(BackendId::new(0), address(0), silent, spec.clone());
    driver.watch(BackendId::new(1), address(1), blocking, spec);
    assert!(timeout(millis(800), driver.next()).await.is_err(), "whoever drives goes on");
    #[expect(clippy::disallowed_methods, reason = "measures a thread")]
    let overdue = driver.watchdog().overdue(std::time::Instant::now());
    assert!(overdue > millis(300), "the watchdog sees it: {overdue:?}");
    drop(release);
    // The other passes.
    assert!(matches!(next(&mut driver).await, Event::Verdict(verdict) if verdict.health.is_up()));
    let cause = |driver: &Driver| {
        let last = driver.monitor().check(check).unwrap().last()?;
        Some(last.result.as_ref().unwrap_err().cause())
    };
    while cause(&driver).is_none() {
        let _ = timeout(millis(1), driver.next()).await;
    }
    assert_eq!(cause(&driver), Some("overloaded"));
}

/// Told when it is dropped.
struct Going(mpsc::Sender<()>);

impl Drop for Going {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[tokio::test]
async fn what_is_given_up_is_ended_wherever_it_runs() {
    for way in 0..4 {
        let (dropped, drops) = mpsc::channel();
        let (begun, begins) = mpsc::channel();
        let hanging = service_fn(move |_: Target| {
            let (going, begun) = (Going(dropped.clone()), begun.clone());
            async move {
                let _going = going;
                let _ = begun.send(());
                std::future::pending::<Result<Report, CheckError>>().await
            }
        });
        let mut driver = driver(2);
        let backend = BackendId::new(0);
        let spec = CheckSpec::default().with_timeout(LONG).unwrap();
        let check = driver.watch(backend, address(0), hanging, spec.clone());
        while begins.try_recv().is_err() {
            assert!(timeout(millis(1), driver.next()).await.is_err());
        }
        match way {
            0 => driver.forget(backend),
            1 => driver.suspend(backend),
            2 => driver.replace(check, address(0), service_fn(alive), spec),
            _ => {
                drop(driver);
                drops.recv_timeout(LONG).expect("it is dropped with the driver");
                continue;
            }
        }
        while drops.try_recv().is_err() {
            let _ = timeout(millis(1), driver.next()).await;
        }
    }
}
