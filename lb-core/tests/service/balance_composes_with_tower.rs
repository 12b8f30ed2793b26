//! `Balance` among tower's own layers: what they do, it need not.
#![cfg(all(feature = "service", feature = "system"))]

use crate::support;

use std::future::{Future, pending, ready};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use lb_core::env::SystemEnv;
use lb_core::service::{Balance, BalanceError, BalanceLayer, Dispatch, Undelivered};
use lb_core::{Algorithm, Director};
use tower::hedge::Hedge;
use tower::load_shed::error::Overloaded;
use tower::retry::Policy;
use tower::timeout::error::Elapsed;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};

type Key = u64;

fn director() -> Arc<Director<Key, ()>> {
    Arc::new(Director::new(support::pool(Algorithm::Wlc, &[1, 1, 1])))
}

fn layer(director: &Arc<Director<Key, ()>>) -> BalanceLayer<Key, fn(&u64) -> Key, SystemEnv, ()> {
    BalanceLayer::new(Arc::clone(director), |request| *request)
}

fn active(director: &Director<Key, ()>) -> u32 {
    director.pool().members().iter().map(|member| member.load.active()).sum()
}

async fn never(_: Dispatch<(), u64>) -> Result<u64, Undelivered<u64>> {
    pending().await
}

async fn echo(dispatch: Dispatch<(), u64>) -> Result<u64, Undelivered<u64>> {
    Ok(dispatch.request)
}

#[test]
fn it_is_shared_freely() {
    fn assert_shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    fn assert_send<T: Send>(_: &T) {}
    let director = director();
    let mut balance = ServiceBuilder::new().layer(layer(&director)).service(service_fn(
        |dispatch: Dispatch<(), u64>| ready(Ok::<_, Undelivered<u64>>(dispatch.request)),
    ));
    assert_shared(&balance);
    assert_send(&balance.call(1));
    assert!(format!("{balance:?}").contains("retries: 2"));
    assert_shared(&BoxCloneSyncService::new(balance));
    assert_shared(&layer(&director));
    assert_shared(
        &ServiceBuilder::new()
            .load_shed()
            .concurrency_limit(100)
            .timeout(Duration::from_secs(1))
            .retry(Again(1))
            .layer(layer(&director))
            .service(service_fn(echo)),
    );
    assert_shared(&Balance::new(
        Arc::new(Director::<IpAddr, ()>::new(support::pool(Algorithm::Rr, &[1]))),
        |key: &IpAddr| *key,
        (),
    ));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_ends_the_flow() {
    let director = director();
    let mut stack = ServiceBuilder::new()
        .timeout(Duration::from_secs(5))
        .layer(layer(&director))
        .service(service_fn(never));
    let error = stack.ready().await.unwrap().call(1).await.unwrap_err();
    assert!(error.is::<Elapsed>(), "{error}");
    assert_eq!(active(&director), 0);
}

#[tokio::test]
async fn the_reason_comes_through_the_layers() {
    let director: Arc<Director<Key, ()>> =
        Arc::new(Director::new(support::pool(Algorithm::Wlc, &[])));
    let stack = ServiceBuilder::new()
        .load_shed()
        .timeout(Duration::from_secs(5))
        .layer(layer(&director))
        .service(service_fn(echo));
    let error = stack.oneshot(1).await.unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(BalanceError::NoBackend(_))), "{error}");
}

#[tokio::test]
async fn limits_and_shedding_stand_above_it() {
    let director = director();
    let mut stack = ServiceBuilder::new()
        .load_shed()
        .concurrency_limit(2)
        .layer(layer(&director))
        .service(service_fn(never));
    let mut context = Context::from_waker(Waker::noop());
    let mut flows = Vec::new();
    for _ in 0..2 {
        let mut flow = Box::pin(stack.ready().await.unwrap().call(1));
        assert!(flow.as_mut().poll(&mut context).is_pending());
        flows.push(flow);
    }
    assert_eq!(active(&director), 2);
    let error = stack.ready().await.unwrap().call(1).await.unwrap_err();
    assert!(error.is::<Overloaded>(), "{error}");
    drop(flows);
    assert_eq!(active(&director), 0);
    assert!(pin!(stack.ready().await.unwrap().call(1)).poll(&mut context).is_pending());
}

/// Asks again, a few times, whatever the failure.
#[derive(Clone)]
struct Again(usize);

impl<T> Policy<u64, T, BalanceError> for Again {
    type Future = std::future::Ready<()>;

    fn retry(&mut self, _: &mut u64, result: &mut Result<T, BalanceError>) -> Option<Self::Future> {
        let left = result.as_ref().err().and_then(|_| self.0.checked_sub(1))?;
        self.0 = left;
        Some(ready(()))
    }

    fn clone_request(&mut self, request: &u64) -> Option<u64> {
        Some(*request)
    }
}

#[tokio::test]
async fn towers_retry_repeats_what_redispatch_may_not() {
    let director = director();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    // The third attempt is served; the first two may have acted on the request.
    let mut stack = ServiceBuilder::new().retry(Again(5)).layer(layer(&director)).service(
        service_fn(move |dispatch: Dispatch<(), u64>| {
            let attempt = count.fetch_add(1, Ordering::Relaxed);
            async move {
                match attempt {
                    0 | 1 => Err(Undelivered::consumed(BoxError::from("reset"))),
                    _ => Ok(dispatch.request),
                }
            }
        }),
    );
    assert_eq!(stack.ready().await.unwrap().call(7).await.unwrap(), 7);
    assert_eq!((asked.load(Ordering::Relaxed), active(&director)), (3, 0));
}

/// Waits a second and asks again, as long as nobody is there.
#[derive(Clone)]
struct UntilSomebodyComes;

impl<T> Policy<u64, T, BalanceError> for UntilSomebodyComes {
    type Future = tokio::time::Sleep;

    fn retry(&mut self, _: &mut u64, result: &mut Result<T, BalanceError>) -> Option<Self::Future> {
        let nobody = matches!(result, Err(BalanceError::NoBackend(_)));
        nobody.then(|| tokio::time::sleep(Duration::from_secs(1)))
    }

    fn clone_request(&mut self, request: &u64) -> Option<u64> {
        Some(*request)
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_waits_for_a_backend_to_come() {
    let director: Arc<Director<Key, ()>> =
        Arc::new(Director::new(support::pool(Algorithm::Wlc, &[])));
    let stack = ServiceBuilder::new()
        .retry(UntilSomebodyComes)
        .layer(layer(&director))
        .service(service_fn(echo));
    let answer = tokio::spawn(stack.oneshot(7));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!answer.is_finished());
    director.publish(Arc::new(support::pool(Algorithm::Wlc, &[1])));
    assert_eq!(answer.await.unwrap().unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_stands_above_it() {
    let director = director();
    let mut stack = ServiceBuilder::new()
        .rate_limit(2, Duration::from_secs(1))
        .layer(layer(&director))
        .service(service_fn(echo));
    let start = tokio::time::Instant::now();
    for request in 0..6 {
        assert_eq!(stack.ready().await.unwrap().call(request).await.unwrap(), request);
    }
    assert_eq!(start.elapsed().as_secs(), 2);
}

/// Every request may be sent twice.
#[derive(Clone)]
struct Anything;

impl tower::hedge::Policy<u64> for Anything {
    fn clone_request(&self, request: &u64) -> Option<u64> {
        Some(*request)
    }

    fn can_retry(&self, _: &u64) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn a_hedged_request_goes_to_another_backend() {
    let director = director();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let names = Arc::clone(&asked);
    // The first to be asked never answers.
    let balance = Balance::new(
        Arc::clone(&director),
        |key: &u64| *key,
        service_fn(move |dispatch: Dispatch<(), u64>| {
            let mut asked = names.lock().unwrap();
            asked.push(dispatch.lease.id());
            let stuck = asked.len() == 1;
            async move { if stuck { never(dispatch).await } else { echo(dispatch).await } }
        }),
    );
    let (policy, period) = (Anything, Duration::from_secs(60));
    let latencies = [10; 10];
    let mut hedged = Hedge::new_with_mock_latencies(balance, policy, 10, 0.9, period, &latencies);
    assert_eq!(hedged.ready().await.unwrap().call(7).await.unwrap(), 7);
    let asked = asked.lock().unwrap();
    assert!(matches!(**asked, [first, second] if first != second), "{asked:?}");
    assert_eq!(active(&director), 0);
}

#[test]
fn it_is_always_ready() {
    let mut balance = Balance::new(director(), |key: &u64| *key, service_fn(never));
    let ready = Service::<u64>::poll_ready(&mut balance, &mut Context::from_waker(Waker::noop()));
    assert!(matches!(ready, Poll::Ready(Ok(()))));
}
