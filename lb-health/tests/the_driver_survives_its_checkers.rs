//! The tokio loop, in stopped time: checkers that panic, hang or are never ready.
#![cfg(feature = "driver")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]
#![expect(clippy::disallowed_methods, reason = "measures the stopped clock")]

use std::future;
use std::hash::Hash;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use lb_core::Health;
use lb_core::backend::BackendId;
use lb_health::monitor::Because;
use lb_health::trace::Phase;
use lb_health::{CheckError, CheckSpec, Driver, Event, Report, Target, Verdict};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::time::{Instant, timeout};
use tower::service_fn;

const BACKEND: BackendId = BackendId::new(0);
const LONG: Duration = Duration::from_secs(600);

fn driver() -> Driver {
    Driver::new(SmallRng::seed_from_u64(7))
}

fn address() -> SocketAddr {
    "192.0.2.1:80".parse().unwrap()
}

async fn next_verdict<K: Copy + Eq + Hash>(driver: &mut Driver<K>) -> Verdict<K> {
    loop {
        if let Event::Verdict(verdict) = driver.next().await {
            return verdict;
        }
    }
}

fn cause(because: &Because) -> &'static str {
    match because {
        Because::Failed { error, .. } | Because::Traffic { error, .. } => error.cause(),
        _ => "none",
    }
}

/// Counts the runs that are going.
struct Going(Arc<AtomicUsize>);

impl Going {
    fn enter(count: &Arc<AtomicUsize>) -> Self {
        assert_eq!(count.fetch_add(1, Ordering::SeqCst), 0, "two runs at once");
        Self(Arc::clone(count))
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn verdicts_follow_the_checker() {
    let alive = Arc::new(AtomicUsize::new(1));
    let state = Arc::clone(&alive);
    let checker = service_fn(move |target: Target| {
        assert_eq!((target.address, target.timeout), (address(), Duration::from_secs(1)));
        let alive = state.load(Ordering::SeqCst) == 1;
        future::ready(if alive { Ok(Report::ALIVE) } else { Err(CheckError::Refused) })
    });
    let mut driver = driver();
    driver.watch(BACKEND, address(), checker, CheckSpec::default());
    assert_eq!(next_verdict(&mut driver).await.health, Health::UP);
    assert!(timeout(LONG, driver.next()).await.is_err());
    alive.store(0, Ordering::SeqCst);
    let died = Instant::now();
    assert_eq!(next_verdict(&mut driver).await.health, Health::Down);
    assert!(died.elapsed() <= Duration::from_millis(2200 + 1000 + 10));
    assert_eq!(driver.monitor().health(BACKEND), Some(Health::Down));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure_and_no_more() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let checker = service_fn(move |_: Target| {
        let count = Arc::clone(&count);
        async move {
            let call = count.fetch_add(1, Ordering::SeqCst);
            assert!(call > 0, "call {call} went wrong");
            Ok::<_, CheckError>(Report::ALIVE)
        }
    });
    let mut driver = driver();
    driver.watch(BACKEND, address(), checker, CheckSpec::default());
    let verdict = next_verdict(&mut driver).await;
    let Because::Failed { error: CheckError::Panicked { message }, .. } = verdict.because else {
        panic!("{verdict:?}")
    };
    assert_eq!(&*message, "call 0 went wrong");
    assert_eq!(next_verdict(&mut driver).await.health, Health::UP);
}

#[tokio::test(start_paused = true)]
async fn a_checker_that_forgets_its_deadline_is_ended() {
    let going = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&going);
    let checker = service_fn(move |_: Target| {
        let going = Going::enter(&count);
        async move {
            let _going = going;
            future::pending::<Result<Report, CheckError>>().await
        }
    });
    let mut driver = driver();
    driver.watch(BACKEND, address(), checker, CheckSpec::default());
    let begin = Instant::now();
    let verdict = next_verdict(&mut driver).await;
    assert_eq!(cause(&verdict.because), "timeout");
    assert!(begin.elapsed() < Duration::from_millis(1200));
    assert!(timeout(LONG, driver.next()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_stall_of_this_host_is_not_the_targets_fault() {
    let checker = service_fn(|_: Target| async {
        // As if the process had not run for ten seconds.
        tokio::time::advance(Duration::from_secs(10)).await;
        Err(CheckError::Timeout { phase: Phase::Connect })
    });
    let mut driver = driver();
    let check = driver.watch(BACKEND, address(), checker, CheckSpec::default());
    // Nothing is said of the target, and all of this host.
    let Event::Obstructed(told) = driver.next().await else { panic!() };
    assert_eq!((told.backend, told.check, told.error.cause()), (BACKEND, check, "overloaded"));
    assert!(timeout(LONG, driver.next()).await.is_err());
    let check = driver.monitor().check(check).unwrap();
    assert!(check.local_errors() > 0);
    let last = check.last().unwrap().result.as_ref().unwrap_err();
    assert_eq!(last.error.cause(), "overloaded");
}

#[tokio::test(start_paused = true)]
async fn forgetting_and_suspending_cancel_the_run() {
    for way in 0..4 {
        let going = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&going);
        let hang = service_fn(move |_: Target| {
            let going = Going::enter(&count);
            async move {
                let _going = going;
                future::pending::<Result<Report, CheckError>>().await
            }
        });
        let alive = service_fn(|_: Target| async { Ok::<_, CheckError>(Report::ALIVE) });
        let mut driver = driver();
        let check = driver.watch(BACKEND, address(), hang, CheckSpec::default());
        assert!(timeout(Duration::from_millis(300), driver.next()).await.is_err());
        assert_eq!(going.load(Ordering::SeqCst), 1);
        match way {
            0 => driver.forget(BACKEND),
            1 => driver.forget_check(check),
            2 => driver.suspend(BACKEND),
            _ => driver.replace(check, address(), alive, CheckSpec::default()),
        }
        let next = timeout(LONG, driver.next()).await;
        // The runtime drops the future when its task comes up.
        tokio::task::yield_now().await;
        assert_eq!(going.load(Ordering::SeqCst), 0, "way {way}");
        // A backend that has lost its last check is up; a replaced check passes.
        assert_eq!(next.is_ok(), way == 1 || way == 3, "way {way}");
    }
}

#[tokio::test(start_paused = true)]
async fn next_may_be_dropped_at_any_point() {
    let checker = service_fn(|_: Target| async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        Ok::<_, CheckError>(Report::ALIVE)
    });
    let mut driver = driver();
    let check = driver.watch(BACKEND, address(), checker, CheckSpec::default());
    let mut verdicts = 0;
    for _ in 0..20_000 {
        if timeout(Duration::from_millis(3), driver.next()).await.is_ok() {
            verdicts += 1;
        }
    }
    assert_eq!(verdicts, 1);
    let last = driver.monitor().check(check).unwrap().last().unwrap();
    assert!(last.took >= Duration::from_millis(700) && last.took <= Duration::from_millis(710));
    assert!(last.at.elapsed() < Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn traffic_reaches_the_machine() {
    let alive = service_fn(|_: Target| async { Ok::<_, CheckError>(Report::ALIVE) });
    let mut driver = driver();
    driver.watch(BACKEND, address(), alive, CheckSpec::default());
    driver.next().await;
    for _ in 0..3 {
        driver.handle_passive(BACKEND, Err(CheckError::Refused));
    }
    assert_eq!(cause(&next_verdict(&mut driver).await.because), "refused");
    assert_eq!(next_verdict(&mut driver).await.health, Health::UP);
}

/// Ready after a minute, like a checker in a long queue.
#[derive(Clone)]
struct Queued {
    ready: Option<Arc<std::sync::Mutex<std::pin::Pin<Box<tokio::time::Sleep>>>>>,
}

impl tower::Service<Target> for Queued {
    type Response = Report;
    type Error = CheckError;
    type Future = future::Ready<Result<Report, CheckError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), CheckError>> {
        let minute = || Box::pin(tokio::time::sleep(Duration::from_secs(60)));
        let ready = self.ready.get_or_insert_with(|| Arc::new(std::sync::Mutex::new(minute())));
        ready.lock().unwrap().as_mut().poll(context).map(Ok)
    }

    fn call(&mut self, _: Target) -> Self::Future {
        future::ready(Ok(Report::ALIVE))
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_to_be_ready_costs_no_time() {
    let mut driver = driver();
    let patient = CheckSpec::default().with_interval(Duration::from_secs(60)).unwrap();
    driver.watch(BACKEND, address(), Queued { ready: None }, patient);
    let begin = Instant::now();
    assert_eq!(next_verdict(&mut driver).await.health, Health::UP);
    assert!(begin.elapsed() >= Duration::from_secs(60));
}

/// Two virtual servers issue the same identity: it takes a key that names both.
#[tokio::test(start_paused = true)]
async fn one_driver_serves_several_virtual_servers() {
    let mut driver = Driver::new(SmallRng::seed_from_u64(7));
    let alive = service_fn(|_: Target| async { Ok::<_, CheckError>(Report::ALIVE) });
    let dead = service_fn(|_: Target| async { Err(CheckError::Refused) });
    driver.watch(("www", BACKEND), address(), alive, CheckSpec::default());
    driver.watch(("mail", BACKEND), address(), dead, CheckSpec::default());
    let (one, other) = (next_verdict(&mut driver).await, next_verdict(&mut driver).await);
    assert_ne!(one.backend, other.backend);
    assert_eq!(driver.monitor().health(("www", BACKEND)), Some(Health::UP));
    assert_eq!(driver.monitor().health(("mail", BACKEND)), Some(Health::Down));
    driver.forget(("mail", BACKEND));
    assert_eq!(driver.monitor().health(("www", BACKEND)), Some(Health::UP));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_never_gets_its_turn_is_told() {
    let mut driver = driver();
    let check = driver.watch(BACKEND, address(), Queued { ready: None }, CheckSpec::default());
    let begin = Instant::now();
    let Event::Obstructed(told) = driver.next().await else { panic!() };
    assert_eq!((told.check, told.error.cause()), (check, "no-turn"));
    // Three runs that each wait for an interval and a timeout, and the way from one to the next.
    assert!(begin.elapsed() >= Duration::from_secs(9) && begin.elapsed() < Duration::from_secs(12));
    let waits_since = driver.monitor().check(check).unwrap().running_since();
    assert_eq!(waits_since, None, "between two runs");
    assert!(timeout(Duration::from_secs(2), driver.next()).await.is_err());
    assert!(driver.monitor().check(check).unwrap().running_since().is_some());
    assert_eq!(driver.monitor().health(BACKEND), None);
}
