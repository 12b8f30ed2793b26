//! What it costs to choose a backend, beside pingora's `select` and tower's p2c `Balance`.
//!
//! All run in the same process, in turns, over the same addresses. Timing never fails the run;
//! an allocation in one of our picks does.

mod support;

use std::collections::BTreeSet;
use std::future::Future;
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use futures::future::{self, FutureExt};
use lb_core::backend::BackendId;
use lb_core::service::{Balance, Dispatch, Undelivered};
use lb_core::{Algorithm, Backend, Director, Flow, Pool, Weight};
use pingora_load_balancing::selection::{
    BackendIter, BackendSelection, Consistent, Random, RoundRobin,
};
use pingora_load_balancing::{Backend as PingoraBackend, Backends, LoadBalancer, discovery};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tower::balance::p2c;
use tower::buffer::Buffer;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, Constant, PendingRequests};
use tower::{Service, ServiceExt, service_fn};

use support::{Contender, Cost, allocations_of, find, measure, print};

const SIZES: [usize; 3] = [10, 100, 1000];
const ROUNDS: usize = 201;
/// Requests that are under way at once where the peer can profit from it.
const IN_FLIGHT: u32 = 64;
/// pingora's cap on candidates per pick; the first one is always ready here.
const MOST_CANDIDATES: usize = 256;

fn main() -> ExitCode {
    let mut bars = Bars::default();
    for size in SIZES {
        let costs = measure(picks(size), ROUNDS);
        print(&format!("one pick of {size} backends"), &costs);
        bars.no_allocations(&costs);
        if size == 1000 {
            bars.of_picks(&costs);
        }

        let costs = measure(assignments(size), ROUNDS);
        print(&format!("one flow over {size} backends: assigned, counted, ended"), &costs);
        bars.no_allocations(&costs);
        if size == 1000 {
            bars.of_assignments(&costs);
        }

        let costs = measure(requests(size), ROUNDS);
        print(&format!("one tower request over {size} ready services"), &costs);
        if size == 1000 {
            bars.of_requests(&costs);
        }
    }
    bars.no_allocations_when_tried();
    bars.verdict()
}

/// `Pool::pick`, and the nearest thing that others have.
fn picks(size: usize) -> Vec<Contender<'static>> {
    let mut contenders: Vec<_> =
        Algorithm::ALL.map(|one| pick(one.name(), pool(size, one, equal), rng())).into();
    contenders.push(pick("wrr, weights 1 to 5", pool(size, Algorithm::Wrr, uneven), rng()));
    contenders.push(pick(
        "p2c, rand's thread generator",
        pool(size, Algorithm::P2c, equal),
        rand::rng(),
    ));
    contenders.push(select::<RoundRobin>("pingora RoundRobin", &["rr", "wrr"], size, equal));
    contenders.push(select::<RoundRobin>(
        "pingora RoundRobin, weights 1 to 5",
        &["wrr, weights 1 to 5"],
        size,
        uneven,
    ));
    contenders.push(select::<Random>("pingora Random", &["random"], size, equal));
    contenders.push(select::<Consistent>("pingora Consistent", &["sh"], size, equal));
    let services = (0..size).map(|_| Constant::new(ready(), 0));
    contenders.push(Contender::peer(
        "tower Balance, constant load",
        &["p2c"],
        calls(p2c::Balance::new(ServiceList::new::<()>(services.collect::<Vec<_>>()))),
    ));
    contenders.push(buffered("tower Balance in Buffer, one at a time", &["p2c"], size, 1));
    contenders.push(buffered("tower Balance in Buffer, 64 at a time", &["p2c"], size, IN_FLIGHT));
    contenders
}

fn pick(name: &str, pool: Pool, mut rng: impl Rng + 'static) -> Contender<'static> {
    let mut hash = 0_u64;
    Contender::ours(name, move |times| {
        for _ in 0..times {
            hash = hash.wrapping_add(GOLDEN);
            let _ = black_box(pool.pick(black_box(&Flow::new(hash)), &mut rng));
        }
    })
}

/// `Director::assign` and the end of the lease.
fn assignments(size: usize) -> Vec<Contender<'static>> {
    let mut contenders: Vec<_> =
        Algorithm::ALL.map(|one| assign(one.name(), pool(size, one, equal))).into();
    contenders.push(assign("wrr, weights 1 to 5", pool(size, Algorithm::Wrr, uneven)));
    contenders.push(select::<RoundRobin>("pingora RoundRobin", &["rr", "wrr"], size, equal));
    contenders.push(Contender::peer(
        "tower Balance, pending requests",
        &["p2c"],
        calls(tower_balance(size)),
    ));
    contenders.push(buffered("tower Balance in Buffer, one at a time", &["p2c"], size, 1));
    contenders.push(buffered("tower Balance in Buffer, 64 at a time", &["p2c"], size, IN_FLIGHT));
    contenders
}

fn assign(name: &str, pool: Pool) -> Contender<'static> {
    let director: Director<u64> = Director::new(pool);
    let (now, mut rng, mut client) = (Instant::now(), rng(), 0_u64);
    Contender::ours(name, move |times| {
        for _ in 0..times {
            client = client.wrapping_add(GOLDEN);
            drop(black_box(director.assign(now, black_box(&client), &[], &mut rng)));
        }
    })
}

/// The whole way of a request through a tower service, to a backend that answers at once.
fn requests(size: usize) -> Vec<Contender<'static>> {
    let director: Director<(), SocketAddr> = Director::new(pool(size, Algorithm::P2c, equal));
    let inner = service_fn(|Dispatch { lease, request }: Dispatch<SocketAddr, ()>| {
        drop(lease);
        future::ready(Ok::<_, Undelivered<()>>(request))
    });
    let ours = Balance::new(Arc::new(director), |_: &()| (), inner);
    vec![
        Contender::ours("service::Balance, p2c", calls(ours)),
        Contender::peer(
            "tower Balance, pending requests",
            &["service::Balance, p2c"],
            calls(tower_balance(size)),
        ),
        buffered("tower Balance in Buffer, one at a time", &["service::Balance, p2c"], size, 1),
        buffered(
            "tower Balance in Buffer, 64 at a time",
            &["service::Balance, p2c"],
            size,
            IN_FLIGHT,
        ),
    ]
}

/// A service that is called when it is ready and answers at once.
fn calls<S: Service<()> + 'static>(mut service: S) -> impl FnMut(u32) {
    move |times| {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..times {
            assert!(service.poll_ready(&mut cx).is_ready(), "every service is always ready");
            let answer = pin!(service.call(())).poll(&mut cx);
            assert!(matches!(black_box(answer), Poll::Ready(Ok(_))), "every service answers");
        }
    }
}

/// Behind a `Buffer`, as it takes to share tower's `Balance` between tasks, on one thread.
fn buffered(
    name: &str,
    against: &'static [&'static str],
    size: usize,
    in_flight: u32,
) -> Contender<'static> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("no I/O to fail");
    let mut service = {
        let _entered = runtime.enter();
        Buffer::new(tower_balance(size), IN_FLIGHT as usize)
    };
    let mut answers = Vec::with_capacity(in_flight as usize);
    Contender::peer(name, against, move |times| {
        runtime.block_on(async {
            for _ in 0..times.div_ceil(in_flight) {
                for _ in 0..in_flight {
                    let service = service.ready().await.expect("the worker lives");
                    answers.push(service.call(()));
                }
                for answer in answers.drain(..) {
                    answer.await.expect("every service answers");
                }
            }
        });
    })
}

fn tower_balance(
    size: usize,
) -> impl Service<(), Response = (), Error = tower::BoxError, Future: Send> + Send {
    let service = || PendingRequests::new(ready(), CompleteOnResponse::default());
    let services: Vec<_> = (0..size).map(|_| service()).collect();
    p2c::Balance::new(ServiceList::new::<()>(services))
}

fn ready() -> impl Service<(), Response = (), Error = tower::BoxError, Future: Send> + Send {
    service_fn(|()| future::ready(Ok(())))
}

fn select<S>(
    name: &str,
    against: &'static [&'static str],
    size: usize,
    weight: fn(usize) -> u16,
) -> Contender<'static>
where
    S: BackendSelection + Send + Sync + 'static,
    S::Iter: BackendIter,
{
    let backends: BTreeSet<PingoraBackend> = (0..size)
        .map(|n| PingoraBackend::new_with_weight(&address(n).to_string(), weight(n).into()))
        .map(|backend| backend.expect("an address"))
        .collect();
    let balancer: LoadBalancer<S> =
        LoadBalancer::from_backends(Backends::new(discovery::Static::new(backends)));
    let updated = balancer.update().now_or_never().expect("a static set is there at once");
    updated.expect("a static set is always found");
    let mut hash = 0_u64;
    Contender::peer(name, against, move |times| {
        for _ in 0..times {
            hash = hash.wrapping_add(GOLDEN);
            let key = hash.to_ne_bytes();
            let backend = black_box(balancer.select(black_box(&key), MOST_CANDIDATES));
            assert!(backend.is_some(), "every backend is ready");
        }
    })
}

fn pool(size: usize, algorithm: Algorithm, weight: fn(usize) -> u16) -> Pool {
    let members = (0..size).map(|n| {
        let backend = Backend::new(BackendId::new(n as u32), address(n).to_string(), address(n));
        (Arc::new(backend), Weight::new(weight(n)))
    });
    Pool::new(members, &*algorithm.scheduler())
}

fn address(n: usize) -> SocketAddr {
    (Ipv4Addr::from_bits(0x0a00_0001 + n as u32), 80).into()
}

fn equal(_: usize) -> u16 {
    1
}

fn uneven(n: usize) -> u16 {
    n as u16 % 5 + 1
}

fn rng() -> SmallRng {
    SmallRng::seed_from_u64(1)
}

/// Steps by this visit all of 64 bits evenly.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// What is demanded, and what became of it.
#[derive(Default)]
struct Bars {
    timings: Vec<String>,
    allocating: Vec<String>,
}

impl Bars {
    fn of_picks(&mut self, costs: &[Cost]) {
        self.timings.push("a pick".to_owned());
        for name in ["rr", "wrr"] {
            self.at_most(costs, name, 12.0);
            self.faster(costs, name, "pingora RoundRobin", 8.0);
        }
        self.at_most(costs, "p2c", 30.0);
        self.faster(costs, "p2c", "tower Balance, constant load", 3.0);
        self.faster_than_buffered(costs, "p2c");
    }

    fn of_assignments(&mut self, costs: &[Cost]) {
        self.timings.push("a flow: assigned, counted, ended".to_owned());
        self.faster(costs, "p2c", "tower Balance, pending requests", 3.0);
        self.faster_than_buffered(costs, "p2c");
    }

    fn of_requests(&mut self, costs: &[Cost]) {
        self.timings.push("a tower request".to_owned());
        let ours = "service::Balance, p2c";
        self.faster(costs, ours, "tower Balance, pending requests", 3.0);
        self.faster_than_buffered(costs, ours);
    }

    fn faster_than_buffered(&mut self, costs: &[Cost], ours: &str) {
        for peer in ["one at a time", "64 at a time"] {
            self.faster(costs, ours, &format!("tower Balance in Buffer, {peer}"), 10.0);
        }
    }

    fn at_most(&mut self, costs: &[Cost], name: &str, bar: f64) {
        let median = find(costs, name).median;
        self.judge(median <= bar, format!("{name}: {median:.1} ns, at most {bar} ns"));
    }

    fn faster(&mut self, costs: &[Cost], ours: &str, peer: &str, bar: f64) {
        let ratio = find(costs, peer).median / find(costs, ours).median;
        self.judge(ratio >= bar, format!("{ours}: {peer} takes {ratio:.1} x, at least {bar} x"));
    }

    fn judge(&mut self, met: bool, bar: String) {
        self.timings.push(format!("  {} {bar}", if met { "met   " } else { "MISSED" }));
    }

    fn no_allocations(&mut self, costs: &[Cost]) {
        let ours = costs.iter().filter(|cost| cost.against.is_empty());
        for cost in ours.filter(|cost| cost.allocations > 0.0) {
            self.allocating.push(cost.name.clone());
        }
    }

    /// Redispatch takes other ways through the schedulers; they must not allocate either.
    fn no_allocations_when_tried(&mut self) {
        let tried = [0, 7, 3].map(BackendId::new);
        for algorithm in Algorithm::ALL {
            let (pool, mut rng) = (pool(100, algorithm, uneven), rng());
            let allocations = allocations_of(|| {
                for hash in 0..1000 {
                    let _ = black_box(pool.pick(&Flow::new(hash).retried(&tried), &mut rng));
                }
            });
            if allocations > 0 {
                self.allocating.push(format!("{algorithm}, redispatched"));
            }
        }
    }

    fn verdict(self) -> ExitCode {
        println!("\nbars, at 1000 backends");
        for bar in &self.timings {
            println!("  {bar}");
        }
        let allocating = self.allocating;
        if allocating.is_empty() {
            println!("    met    no pick of ours allocates");
            return ExitCode::SUCCESS;
        }
        println!("    MISSED these allocate: {}", allocating.join("; "));
        ExitCode::FAILURE
    }
}
