//! A backend that does not become ready holds a request for as long as it may, and not for ever: then
//! another one is asked.
#![cfg(all(feature = "service", feature = "tokio"))]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::future::{Future, Pending, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use lb_core::backend::BackendId;
use lb_core::env::{Env, TokioEnv};
use lb_core::service::{Balance, BalanceError, EachService, Unready};
use lb_core::{Algorithm, Backend, Director, Pool, Weight};
use rand::Rng;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tower::Service;

/// Becomes ready after a time, counted from when it is first asked, or never.
struct Upstream {
    name: &'static str,
    ready_after: Option<Duration>,
    until: Option<Pin<Box<Sleep>>>,
}

impl Clone for Upstream {
    fn clone(&self) -> Self {
        Self { until: None, ..*self }
    }
}

impl Service<u64> for Upstream {
    type Response = (&'static str, u64);
    type Error = BalanceError;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        match self.ready_after {
            None => Poll::Pending,
            Some(Duration::ZERO) => Poll::Ready(Ok(())),
            Some(after) => {
                self.until.get_or_insert_with(|| Box::pin(sleep(after))).as_mut().poll(cx).map(Ok)
            }
        }
    }

    fn call(&mut self, request: u64) -> Self::Future {
        std::future::ready(Ok((self.name, request)))
    }
}

/// Asked in this order.
fn director(ready_after: &[Option<Duration>]) -> Arc<Director<(), Upstream>> {
    let named = ["a", "b", "c"].into_iter().zip(0..).zip(ready_after);
    let backends = named.map(|((name, id), &ready_after)| {
        let upstream = Upstream { name, ready_after, until: None };
        (Arc::new(Backend::new(BackendId::new(id), name, upstream)), Weight::ONE)
    });
    Arc::new(Director::new(Pool::new(backends, &*Algorithm::First.scheduler())))
}

const PATIENCE: Duration = Duration::from_millis(250);
const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

fn patient() -> EachService {
    EachService::new().ready_within(PATIENCE, TokioEnv)
}

/// Active and failed flows of each.
fn counts(director: &Director<(), Upstream>) -> Vec<(u32, u64)> {
    let pool = director.pool();
    pool.members().iter().map(|member| (member.load.active(), member.load.failed())).collect()
}

#[tokio::test(start_paused = true)]
async fn who_never_becomes_ready_gives_the_request_back() {
    let director = director(&[None, AT_ONCE]);
    let mut balance = Balance::with_env(Arc::clone(&director), |_: &u64| (), TokioEnv, patient());
    let begun = Instant::now();
    assert_eq!(balance.call(7).await.unwrap(), ("b", 7));
    assert!((PATIENCE..2 * PATIENCE).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(counts(&director), [(0, 1), (0, 0)]);
}

#[tokio::test(start_paused = true)]
async fn as_many_are_asked_as_there_are_retries() {
    let director = director(&[None, None, AT_ONCE]);
    let balance = Balance::with_env(Arc::clone(&director), |_: &u64| (), TokioEnv, patient());
    let begun = Instant::now();
    let refused = balance.clone().retries(1).call(7).await.unwrap_err();
    let BalanceError::Exhausted { attempts: 2, last } = refused else { panic!("{refused:?}") };
    let after = last.downcast_ref::<Unready>().unwrap().after;
    assert_eq!((after, last.to_string()), (PATIENCE, "it was not ready within 250ms".into()));
    assert!((2 * PATIENCE..3 * PATIENCE).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(balance.retries(2).call(7).await.unwrap(), ("c", 7));
    assert!(counts(&director).iter().all(|&(active, _)| active == 0));
}

#[tokio::test(start_paused = true)]
async fn who_becomes_ready_in_time_has_it() {
    let director = director(&[Some(PATIENCE - Duration::from_millis(50)), AT_ONCE]);
    let mut balance = Balance::with_env(Arc::clone(&director), |_: &u64| (), TokioEnv, patient());
    assert_eq!(balance.call(7).await.unwrap(), ("a", 7));
    assert_eq!(counts(&director), [(0, 0), (0, 0)]);
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_said_it_stays() {
    let director = director(&[None, AT_ONCE]);
    for each in [EachService::new(), EachService::new().ready_within(Duration::MAX, TokioEnv)] {
        let mut balance = Balance::with_env(Arc::clone(&director), |_: &u64| (), TokioEnv, each);
        assert!(timeout(Duration::from_secs(3_600), balance.call(7)).await.is_err());
        assert_eq!(counts(&director), [(0, 0), (0, 0)]);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_dropped_meanwhile_leaves_nothing_behind() {
    let director = director(&[None, None]);
    let mut balance = Balance::with_env(Arc::clone(&director), |_: &u64| (), TokioEnv, patient());
    let mut call = Box::pin(balance.call(7));
    assert!(timeout(PATIENCE / 2, &mut call).await.is_err());
    assert_eq!(counts(&director), [(1, 0), (0, 0)]);
    // At the second by now.
    assert!(timeout(PATIENCE, &mut call).await.is_err());
    assert_eq!(counts(&director), [(0, 1), (1, 0)]);
    drop(call);
    assert_eq!(counts(&director), [(0, 1), (0, 0)]);
}

/// Nobody may ask it for the time.
#[derive(Clone)]
struct Unasked;

impl Env for Unasked {
    type Sleep = Pending<()>;

    fn now(&self) -> std::time::Instant {
        panic!("asked for the time")
    }

    fn sleep_until(&self, _: std::time::Instant) -> Self::Sleep {
        pending()
    }

    fn with_rng<T>(&self, f: impl FnOnce(&mut dyn Rng) -> T) -> T {
        f(&mut support::Zeros)
    }
}

#[test]
fn who_is_ready_costs_no_look_at_the_clock() {
    let each = EachService::new().ready_within(PATIENCE, Unasked);
    let mut balance = Balance::with_env(director(&[AT_ONCE]), |_: &u64| (), Unasked, each);
    let call = std::pin::pin!(balance.call(7));
    let answer = call.poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(answer, Poll::Ready(Ok(("a", 7)))));
}
