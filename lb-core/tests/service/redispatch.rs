//! A request that comes back undelivered goes to another backend, and to no one twice; one that was
//! consumed goes nowhere else. Whatever happens, no flow is left behind in the counters.
#![cfg(feature = "service")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use lb_core::backend::BackendId;
use lb_core::env::Env;
use lb_core::health::Admin;
use lb_core::pool::{Census, NoBackend};
use lb_core::service::{Balance, BalanceError, Dispatch, EachService, Undelivered};
use lb_core::virtual_server::{BackendConfig, VirtualServerConfig};
use lb_core::{Algorithm, Backend, Director, Flow, Health, Lease, Pool, VirtualServer, Weight};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, prop_assert, prop_assert_eq, proptest};
use rand::Rng;
use rand::rngs::Xoshiro256PlusPlus;
use tower::util::BoxCloneService;
use tower::{BoxError, Service, ServiceExt, service_fn};
use tower_test::mock;

/// Time stands still and chance repeats itself.
#[derive(Clone)]
struct Frozen(Instant, Rc<RefCell<Xoshiro256PlusPlus>>);

impl Frozen {
    fn new() -> Self {
        Self(support::start(), Rc::new(RefCell::new(support::seeded(1))))
    }
}

impl Env for Frozen {
    type Sleep = std::future::Pending<()>;

    fn sleep_until(&self, _: Instant) -> Self::Sleep {
        std::future::pending()
    }

    fn now(&self) -> Instant {
        self.0
    }

    fn with_rng<T>(&self, f: impl FnOnce(&mut dyn Rng) -> T) -> T {
        f(&mut *self.1.borrow_mut())
    }
}

fn director(algorithm: Algorithm, weights: &[u16]) -> Arc<Director<u64, ()>> {
    Arc::new(Director::new(support::pool(algorithm, weights)))
}

fn active<E>(director: &Director<u64, E>) -> u32 {
    director.pool().members().iter().map(|member| member.load.active()).sum()
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}

/// What left the pool meanwhile was tried as well, but is not one of those that are left to try.
#[test]
fn only_those_that_are_there_count_as_tried() {
    let pool = support::pool(Algorithm::Rr, &[1, 0, 1]);
    let tried = [0, 2, 7, 8, 1].map(BackendId::new);
    let refused = pool.pick(&Flow::new(1).retried(&tried), &mut support::Zeros);
    assert_eq!(refused.unwrap_err(), NoBackend::AllTried { tried: 2 });
}

/// A request that is dropped is not there any more when its place is given to the next.
#[test]
fn a_place_becomes_free_after_its_request() {
    /// A response that never comes, and says how busy its backend is when it is dropped.
    struct Running(Arc<lb_core::backend::Load>, Arc<AtomicUsize>);

    impl Future for Running {
        type Output = Result<u64, BoxError>;

        fn poll(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
            Poll::Pending
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            self.1.store(self.0.active() as usize, Ordering::Relaxed);
        }
    }

    #[derive(Clone)]
    struct Upstream(Arc<std::sync::OnceLock<Arc<lb_core::backend::Load>>>, Arc<AtomicUsize>);

    impl Service<u64> for Upstream {
        type Response = u64;
        type Error = BoxError;
        type Future = Running;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: u64) -> Running {
            Running(Arc::clone(self.0.get().unwrap()), Arc::clone(&self.1))
        }
    }

    let upstream = Upstream(Arc::default(), Arc::default());
    let backend = Arc::new(Backend::new(BackendId::new(0), "a", upstream.clone()));
    assert!(upstream.0.set(Arc::clone(backend.load())).is_ok());
    let pool = Pool::new([(backend, Weight::ONE)], &*Algorithm::Rr.scheduler_at(0));
    let director = Arc::new(Director::<u64, _>::new(pool));
    let mut balance =
        Balance::with_env(director, |&key: &u64| key, Frozen::new(), EachService::new());
    let mut call = Box::pin(balance.call(1));
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(call);
    assert_eq!(upstream.1.load(Ordering::Relaxed), 1, "flows when the request was dropped");
}

/// Pending once, so that there is a place to be dropped at.
async fn pause() {
    let mut polled = false;
    std::future::poll_fn(|_| {
        if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// What a backend does with a request, by its place.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Conduct {
    Consumes,
    Refuses,
    Serves,
}

fn conducts() -> impl Strategy<Value = Vec<Conduct>> {
    vec(
        proptest::prop_oneof![
            1 => proptest::prelude::Just(Conduct::Consumes),
            3 => proptest::prelude::Just(Conduct::Refuses),
            1 => proptest::prelude::Just(Conduct::Serves),
        ],
        1..6,
    )
}

/// The places asked, in order.
type Asked = Arc<Mutex<Vec<usize>>>;

type Connection = (Lease<()>, u64);
type Connector = BoxCloneService<Dispatch<(), u64>, Connection, Undelivered<u64>>;

/// A connector to backends of these conducts, that writes down whom it asked.
fn connector(conducts: Vec<Conduct>, asked: Asked) -> Connector {
    BoxCloneService::new(service_fn(move |Dispatch { lease, request }: Dispatch<(), u64>| {
        let place = lease.id().number() as usize;
        asked.lock().unwrap().push(place);
        let conduct = conducts[place];
        async move {
            pause().await;
            let outcome = match conduct {
                Conduct::Consumes => Err(Undelivered::consumed("reset")),
                Conduct::Refuses => Err(Undelivered::returned(request, format!("{place} refused"))),
                Conduct::Serves => Ok((lease, request)),
            };
            pause().await;
            outcome
        }
    }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_goes_on_until_somebody_takes_it(
        conducts in conducts(),
        retries in 0..7_usize,
        algorithm in (0..Algorithm::ALL.len()).prop_map(|place| Algorithm::ALL[place]),
        client: u64,
    ) {
        let director = director(algorithm, &vec![1; conducts.len()]);
        let asked = Asked::default();
        let connector = connector(conducts.clone(), Arc::clone(&asked));
        let mut balance =
            Balance::with_env(Arc::clone(&director), |key: &u64| *key, Frozen::new(), connector).retries(retries);
        let outcome = block_on(balance.call(client));
        let asked = asked.lock().unwrap().clone();

        let mut once = asked.clone();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), asked.len(), "nobody is asked twice");
        prop_assert!(asked.len() <= retries + 1);
        let (&last, before) = asked.split_last().unwrap();
        prop_assert!(before.iter().all(|&place| conducts[place] == Conduct::Refuses));
        match outcome {
            Ok((lease, request)) => {
                prop_assert_eq!(conducts[last], Conduct::Serves);
                prop_assert_eq!((lease.id().number() as usize, request), (last, client));
                prop_assert_eq!(active(&director), 1);
            }
            Err(BalanceError::Backend(error)) => {
                prop_assert_eq!(conducts[last], Conduct::Consumes);
                prop_assert_eq!(error.to_string(), "reset");
            }
            Err(BalanceError::Exhausted { attempts, last: error }) => {
                prop_assert_eq!(attempts, asked.len());
                prop_assert_eq!(attempts, conducts.len().min(retries + 1));
                prop_assert_eq!(error.to_string(), format!("{last} refused"));
            }
            Err(other) => panic!("{other}"),
        }
        prop_assert_eq!(active(&director), 0);
    }

    #[test]
    fn dropping_it_anywhere_leaves_no_flow_behind(conducts in conducts(), polls in 0..12_usize) {
        let director = director(Algorithm::Rr, &vec![1; conducts.len()]);
        let connector = connector(conducts.clone(), Asked::default());
        let mut balance =
            Balance::with_env(Arc::clone(&director), |key: &u64| *key, Frozen::new(), connector);
        {
            let mut future = pin!(balance.call(1));
            let mut context = Context::from_waker(Waker::noop());
            for _ in 0..polls {
                prop_assert!(active(&director) <= 1);
                if future.as_mut().poll(&mut context).is_ready() {
                    break;
                }
            }
        }
        prop_assert_eq!(active(&director), 0);
    }
}

/// What is not in the pool may be missing for more than one reason.
#[test]
fn who_was_drained_to_the_end_is_not_down() {
    let config = VirtualServerConfig::of(["A", "B"].map(BackendConfig::named));
    let mut server = VirtualServer::new(config, Algorithm::Rr.scheduler_at(0)).unwrap();
    let now = support::start();
    let [a, b] = [0, 1].map(BackendId::new);
    let reason = |server: &mut VirtualServer<&str>| {
        while server.poll_action().is_some() {}
        let flow = lb_core::Flow::new(0);
        server.published().pick(&flow, &mut support::Zeros).map(|one| one.id()).unwrap_err()
    };
    assert_eq!(reason(&mut server), NoBackend::AllDown { configured: 2 }, "not checked yet");
    server.handle_health(now, a, Health::UP);
    server.set_admin(now, a, Admin::Drain);
    assert_eq!(reason(&mut server), NoBackend::AllDraining { alive: 1 });
    server.set_admin(now, a, Admin::Drained);
    assert_eq!(reason(&mut server), NoBackend::AllDraining { alive: 1 }, "nobody is left");
    server.handle_health(now, b, Health::Down);
    assert_eq!(reason(&mut server), NoBackend::AllDraining { alive: 1 });
    server.handle_health(now, a, Health::Down);
    assert_eq!(reason(&mut server), NoBackend::AllDown { configured: 2 });
    server.handle_health(now, a, Health::UP);
    server.set_admin(now, a, Admin::Maintenance);
    assert_eq!(reason(&mut server), NoBackend::AllDown { configured: 2 });
}

#[test]
fn there_is_a_reason_when_nobody_is_there() {
    let ask = |pool: Pool<()>| {
        let connect = service_fn(|_: Dispatch<(), u64>| async { Ok::<(), _>(()) });
        let connect = connect.map_err(|never: Infallible| match never {});
        let director = Arc::new(Director::new(pool));
        let mut balance = Balance::with_env(director, |key: &u64| *key, Frozen::new(), connect);
        match block_on(balance.call(1)) {
            Err(BalanceError::NoBackend(reason)) => reason,
            other => panic!("{other:?}"),
        }
    };
    let scheduler = Algorithm::Wlc.scheduler();
    assert_eq!(ask(Pool::empty(&*scheduler)), NoBackend::Empty);
    let three = Census::of([(1, 0); 3]);
    let nobody = Pool::out_of(&three, [], &*scheduler);
    assert_eq!(ask(nobody), NoBackend::AllDown { configured: 3 });
    assert_eq!(
        ask(Pool::out_of(&three, support::alphabet(&[0, 0]), &*scheduler)),
        NoBackend::AllDraining { alive: 2 }
    );
    let pool = support::pool(Algorithm::Wlc, &[0, 1]);
    let tried = [BackendId::new(1)];
    let flow = lb_core::Flow::new(0).retried(&tried);
    let refusal = pool.pick(&flow, &mut support::Zeros).unwrap_err();
    assert_eq!(refusal, NoBackend::AllTried { tried: 1 });
}

#[test]
fn a_persisted_client_moves_with_its_request() {
    let director = Director::new(support::pool(Algorithm::Rr, &[1, 1, 1]))
        .with_persistence(Duration::from_secs(60), 10.try_into().unwrap());
    let director = Arc::new(director);
    let asked = Asked::default();
    let connector =
        connector(vec![Conduct::Refuses, Conduct::Serves, Conduct::Serves], Arc::clone(&asked));
    let mut balance =
        Balance::with_env(Arc::clone(&director), |key: &u64| *key, Frozen::new(), connector);
    for _ in 0..3 {
        drop(block_on(balance.call(7)).unwrap());
    }
    assert_eq!(*asked.lock().unwrap(), [0, 1, 1, 1]);
    assert_eq!(director.persisted(), 1);
}

/// One service per backend, made of mocks that are told what to do.
#[test]
fn an_upstream_that_never_gets_ready_is_passed_over() {
    type Upstream = mock::Mock<&'static str, &'static str>;
    let ((first, mut first_handle), (second, mut second_handle)) =
        (mock::pair::<&'static str, &'static str>(), mock::pair::<&'static str, &'static str>());
    let upstreams = [first, second].into_iter().zip(0..).map(|(upstream, id)| {
        let backend: Backend<Upstream> = Backend::new(BackendId::new(id), id.to_string(), upstream);
        (Arc::new(backend), Weight::ONE)
    });
    let pool = Pool::new(upstreams.collect::<Vec<_>>(), &*Algorithm::Rr.scheduler_at(0));
    let director = Arc::new(Director::<u64, Upstream>::new(pool));
    let mut balance =
        Balance::with_env(Arc::clone(&director), |_: &&str| 0, Frozen::new(), EachService::new());

    let mut response = by_hand(balance.call("hello"));
    first_handle.allow(0);
    assert!(response.poll().is_pending());
    assert_eq!(director.pool().members()[0].load.active(), 1);
    first_handle.send_error("shut down");
    second_handle.allow(1);
    assert!(response.poll().is_pending());
    assert_eq!(director.pool().members()[0].load.active(), 0);
    let Poll::Ready(Some((request, respond))) =
        pin!(second_handle.next_request()).poll(&mut Context::from_waker(Waker::noop()))
    else {
        panic!("the second upstream was not asked");
    };
    assert_eq!((request, director.pool().members()[1].load.active()), ("hello", 1));
    respond.send_response("world");
    let Poll::Ready(Ok(answer)) = response.poll() else { panic!("no answer") };
    assert_eq!(answer, "world");
    drop(response);
    assert_eq!(active(&director), 0);
}

#[test]
fn an_upstream_that_fails_is_not_replaced() {
    let asked = Arc::new(AtomicUsize::new(0));
    let upstreams = (0..3).map(|id| {
        let asked = Arc::clone(&asked);
        let service = service_fn(move |_: u64| {
            asked.fetch_add(1, Ordering::Relaxed);
            async { Err::<(), BoxError>("half way".into()) }
        });
        (Arc::new(Backend::new(BackendId::new(id), id.to_string(), service)), Weight::ONE)
    });
    let pool = Pool::new(upstreams.collect::<Vec<_>>(), &*Algorithm::Rr.scheduler_at(0));
    let director = Arc::new(Director::<u64, _>::new(pool));
    let mut balance =
        Balance::with_env(Arc::clone(&director), |_: &u64| 0, Frozen::new(), EachService::new());
    assert!(matches!(block_on(balance.call(1)), Err(BalanceError::Backend(_))));
    assert_eq!((asked.load(Ordering::Relaxed), active(&director)), (1, 0));
}

/// A future that is polled by hand.
struct Task<F>(std::pin::Pin<Box<F>>);

fn by_hand<F: Future>(future: F) -> Task<F> {
    Task(Box::pin(future))
}

impl<F: Future> Task<F> {
    fn poll(&mut self) -> Poll<F::Output> {
        self.0.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }
}
