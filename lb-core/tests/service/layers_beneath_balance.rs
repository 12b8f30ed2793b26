//! Tower's layers around single backends, beneath `Balance`: what they bound is their backend, and
//! whether another one is asked depends on whether they took the request.
#![cfg(all(feature = "service", feature = "system"))]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::fmt;
use std::future::{Future, Ready, pending, ready};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use lb_core::backend::BackendId;
use lb_core::env::SystemEnv;
use lb_core::service::{Balance, BalanceError, BalanceLayer, Dispatch, EachService, Undelivered};
use lb_core::{Algorithm, Backend, Director, Pool, Weight};
use tower::buffer::Buffer;
use tower::load_shed::error::Overloaded;
use tower::retry::Policy;
use tower::timeout::error::Elapsed;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_test::mock;

/// A backend: says its number.
type Upstream = BoxCloneSyncService<u64, u64, BoxError>;
type Balanced = Balance<EachService, (), fn(&u64) -> (), SystemEnv, Upstream>;

/// A balancer that asks these in turn.
fn over(upstreams: impl IntoIterator<Item = Upstream>) -> Balanced {
    let backends = upstreams.into_iter().zip(0..).map(|(upstream, number)| {
        let backend = Backend::new(BackendId::new(number), number.to_string(), upstream);
        (Arc::new(backend), Weight::ONE)
    });
    let pool = Pool::new(backends, &*Algorithm::Rr.scheduler_at(0));
    Balance::over_services(Arc::new(Director::new(pool)), |_| ())
}

fn says(number: u64) -> Upstream {
    BoxCloneSyncService::new(service_fn(move |_| ready(Ok(number))))
}

fn active(balance: &Balanced) -> Vec<u32> {
    balance.director().pool().members().iter().map(|member| member.load.active()).collect()
}

/// A future that is polled by hand.
struct Task<F>(Pin<Box<F>>);

impl<F: Future> Task<F> {
    fn of(future: F) -> Self {
        Self(Box::pin(future))
    }

    fn poll(&mut self) -> Poll<F::Output> {
        self.0.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }
}

/// What a backend failed with.
fn failure<T: fmt::Debug>(outcome: Result<T, BalanceError>) -> BoxError {
    match outcome {
        Err(BalanceError::Backend(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_final_for_the_request_alone() {
    let slow = ServiceBuilder::new()
        .timeout(Duration::from_secs(5))
        .service_fn(|_| pending::<Result<u64, BoxError>>());
    let mut balance = over([BoxCloneSyncService::new(slow), says(1)]);
    assert!(failure(balance.call(0).await).is::<Elapsed>());
    assert_eq!(balance.call(0).await.unwrap(), 1);
    assert_eq!(active(&balance), [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_begins_when_its_backend_is_ready() {
    let (upstream, mut handle) = mock::pair::<u64, u64>();
    handle.allow(0);
    let upstream = ServiceBuilder::new().timeout(Duration::from_secs(5)).service(upstream);
    let mut balance = over([BoxCloneSyncService::new(upstream)]);
    let mut response = Task::of(balance.call(0));
    assert!(response.poll().is_pending());
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(response.poll().is_pending(), "only a timeout above the balancer would end this");
    assert_eq!(active(&balance), [1]);

    handle.allow(1);
    assert!(response.poll().is_pending());
    tokio::time::advance(Duration::from_secs(6)).await;
    let Poll::Ready(outcome) = response.poll() else { panic!("it goes on for ever") };
    assert!(failure(outcome).is::<Elapsed>());
}

#[test]
fn a_concurrency_limit_lets_requests_wait_for_their_backend() {
    let (upstream, mut handle) = mock::pair::<u64, u64>();
    let limited = ServiceBuilder::new().concurrency_limit(1).service(upstream);
    let mut balance = over([BoxCloneSyncService::new(limited)]);
    let (mut first, mut second) = (Task::of(balance.call(1)), Task::of(balance.call(2)));
    assert!(first.poll().is_pending());
    assert!(second.poll().is_pending());
    assert_eq!(active(&balance), [2], "who waits counts, so that others are sent elsewhere");

    let Poll::Ready(Some((1, respond))) = Task::of(handle.next_request()).poll() else {
        panic!("the first was not asked");
    };
    assert!(Task::of(handle.next_request()).poll().is_pending());
    respond.send_response(10);
    assert!(matches!(first.poll(), Poll::Ready(Ok(10))));
    drop(first);
    assert!(second.poll().is_pending());
    let Poll::Ready(Some((2, respond))) = Task::of(handle.next_request()).poll() else {
        panic!("the second was not asked");
    };
    // Whoever gives up leaves its place.
    drop((respond, second));
    assert_eq!(active(&balance), [0]);
}

#[tokio::test]
async fn what_is_shed_at_a_backend_is_not_given_to_another() {
    let full = ServiceBuilder::new()
        .load_shed()
        .concurrency_limit(1)
        .service_fn(|_| pending::<Result<u64, BoxError>>());
    let mut balance = over([BoxCloneSyncService::new(full), says(1)]);
    let mut first = Task::of(balance.call(0));
    assert!(first.poll().is_pending());
    assert_eq!(balance.call(0).await.unwrap(), 1);
    assert!(failure(balance.call(0).await).is::<Overloaded>());
    assert_eq!(active(&balance), [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_stands_behind_a_buffer() {
    let limited = ServiceBuilder::new()
        .rate_limit(1, Duration::from_secs(1))
        .service_fn(|number: u64| ready(Ok::<_, BoxError>(number)));
    let mut balance = over([BoxCloneSyncService::new(Buffer::new(limited, 8))]);
    let start = tokio::time::Instant::now();
    for number in 0..3 {
        assert_eq!(balance.call(number).await.unwrap(), number);
    }
    assert_eq!(start.elapsed().as_secs(), 2);
}

#[tokio::test]
async fn a_buffer_whose_worker_died_is_passed_over() {
    let (dead, worker) = Buffer::pair(says(0), 8);
    drop(worker);
    let mut balance = over([BoxCloneSyncService::new(dead), says(1)]);
    for _ in 0..3 {
        assert_eq!(balance.call(0).await.unwrap(), 1);
    }
}

/// Asks again for ever.
#[derive(Clone)]
struct Again;

impl Policy<u64, u64, BoxError> for Again {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut u64, result: &mut Result<u64, BoxError>) -> Option<Ready<()>> {
        result.is_err().then(|| ready(()))
    }

    fn clone_request(&mut self, request: &u64) -> Option<u64> {
        Some(*request)
    }
}

#[tokio::test]
async fn a_retry_at_a_backend_asks_that_backend() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let flaky = ServiceBuilder::new().retry(Again).service_fn(move |number: u64| {
        let failed = count.fetch_add(1, Ordering::Relaxed) < 3;
        ready(if failed { Err(BoxError::from("reset")) } else { Ok(number) })
    });
    let mut balance = over([BoxCloneSyncService::new(flaky), says(1)]);
    assert_eq!(balance.call(7).await.unwrap(), 7);
    assert_eq!((asked.load(Ordering::Relaxed), active(&balance)), (4, vec![0, 0]));
}

/// One inner service for all backends: a limit on it is a limit for all of them together, and
/// nobody is chosen, and counted as busy, before there is room.
#[tokio::test]
async fn a_limit_on_the_connector_bounds_all_backends() {
    let director = Arc::new(Director::<(), ()>::new(support::pool(Algorithm::Lc, &[1, 1])));
    let released = Arc::new(Mutex::new(Vec::new()));
    let release = Arc::clone(&released);
    let connect = service_fn(move |dispatch: Dispatch<(), u64>| {
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        release.lock().unwrap().push(sender);
        async move {
            receiver.await.map_err(Undelivered::<u64>::consumed)?;
            Ok::<_, Undelivered<u64>>(dispatch.lease.name().to_owned())
        }
    });
    let balance = BalanceLayer::new(Arc::clone(&director), |_: &u64| ());
    let mut stack = ServiceBuilder::new().layer(balance).concurrency_limit(1).service(connect);
    let active =
        || director.pool().members().iter().map(|member| member.load.active()).sum::<u32>();
    let mut first = Task::of(stack.call(1));
    let mut second = Task::of(stack.call(2));
    assert!(first.poll().is_pending() && second.poll().is_pending());
    assert_eq!(active(), 1);
    released.lock().unwrap().pop().unwrap().send(()).unwrap();
    assert!(matches!(first.poll(), Poll::Ready(Ok(_))));
    drop(first);
    assert!(second.poll().is_pending());
    assert_eq!(active(), 1);
    released.lock().unwrap().pop().unwrap().send(()).unwrap();
    assert!(pin!(second.0).await.is_ok());
    assert_eq!(active(), 0);
}

/// The connection is made ready in the response, so a stack without `Clone` beneath is refused by
/// the compiler, and one with it is shared by as many tasks as there are.
#[tokio::test]
async fn many_tasks_share_one_without_a_buffer() {
    let balance = over((0..3).map(says));
    let tasks = (0..30).map(|_| tokio::spawn(balance.clone().oneshot(0))).collect::<Vec<_>>();
    let mut answers = [0; 3];
    for task in tasks {
        answers[task.await.unwrap().unwrap() as usize] += 1;
    }
    assert_eq!(answers, [10; 3]);
}
