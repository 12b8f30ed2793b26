//! What it costs to choose a backend, beside pingora's `select` and tower's p2c `Balance`.
//!
//! All run in the same process, in turns, over the same addresses. Timing never fails the run;
//! an allocation in one of our picks does.

mod support;

use std::future::Future;
use std::hint::black_box;
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures::future;
use lb_core::service::{Balance, Dispatch, Undelivered};
use lb_core::{Algorithm, Director};
use pingora_load_balancing::selection::{Consistent, Random, RoundRobin};
use tower::balance::p2c;
use tower::buffer::Buffer;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, Constant, PendingRequests};
use tower::{Service, ServiceExt, service_fn};

use support::{
    Bars, Contender, Cost, assign, equal, measure, pick, pick_by, pool, print, select, uneven,
};

const SIZES: [usize; 4] = [10, 100, 1000, 10_000];
const ROUNDS: usize = 201;
/// Requests that are under way at once where the peer can profit from it.
const IN_FLIGHT: u32 = 64;

fn main() -> ExitCode {
    let mut bars = Bars::default();
    for size in SIZES {
        let costs = measure(picks(size), ROUNDS);
        print(&format!("one pick of {size} backends"), &costs);
        bars.no_allocations(&costs);
        bars.of(format!("a pick of {size}"));
        of_picks(&mut bars, size, &costs);

        let costs = measure(assignments(size), ROUNDS);
        print(&format!("one flow over {size} backends: assigned, counted, ended"), &costs);
        bars.no_allocations(&costs);
        if size == 1000 {
            bars.of(format!("a flow over {size}: assigned, counted, ended"));
            bars.faster(&costs, "p2c", "tower Balance, pending requests", 3.0);
            faster_than_buffered(&mut bars, &costs, "p2c");
        }

        let costs = measure(requests(size), ROUNDS);
        print(&format!("one tower request over {size} ready services"), &costs);
        if size == 1000 {
            bars.of(format!("a tower request over {size}"));
            bars.faster(&costs, REQUEST, "tower Balance, pending requests", 3.0);
            faster_than_buffered(&mut bars, &costs, REQUEST);
        }
    }
    bars.verdict("no pick of ours allocates")
}

/// The bars of the issue at 1000 backends, and what was wished for elsewhere.
fn of_picks(bars: &mut Bars, size: usize, costs: &[Cost]) {
    let place = SIZES.iter().position(|&one| one == size).expect("one of them");
    for (name, most) in [
        ("rr", [10.0, 10.0, 12.0, 20.0]),
        ("wrr", [10.0, 10.0, 12.0, 20.0]),
        ("p2c", [20.0, 20.0, 30.0, 60.0]),
        ("mh", [5.0, 6.0, 10.0, 20.0]),
        ("ketama", [30.0, 50.0, 100.0, 180.0]),
        ("wlc", [10.0, 50.0, 350.0, f64::INFINITY]),
        ("rendezvous", [20.0, 150.0, f64::INFINITY, f64::INFINITY]),
    ] {
        if most[place].is_finite() {
            bars.at_most(costs, name, most[place]);
        }
    }
    for name in ["rr", "wrr"] {
        bars.faster(costs, name, "pingora RoundRobin", 8.0);
    }
    bars.faster(costs, "p2c", "tower Balance, constant load", 3.0);
    faster_than_buffered(bars, costs, "p2c");
}

fn faster_than_buffered(bars: &mut Bars, costs: &[Cost], ours: &str) {
    for peer in ["one at a time", "64 at a time"] {
        bars.faster(costs, ours, &format!("tower Balance in Buffer, {peer}"), 10.0);
    }
}

/// `Pool::pick`, and the nearest thing that others have.
fn picks(size: usize) -> Vec<Contender<'static>> {
    let mut contenders: Vec<_> =
        Algorithm::ALL.map(|one| pick(one.name(), pool(size, &*one.scheduler(), equal))).into();
    let wrr = pool(size, &*Algorithm::Wrr.scheduler(), uneven);
    contenders.push(pick("wrr, weights 1 to 5", wrr));
    let p2c = pool(size, &*Algorithm::P2c.scheduler(), equal);
    contenders.push(pick_by("p2c, rand's thread generator", p2c, rand::rng(), |key| key));
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

/// `Director::assign` and the end of the lease.
fn assignments(size: usize) -> Vec<Contender<'static>> {
    let mut contenders: Vec<_> =
        Algorithm::ALL.map(|one| assign(one.name(), pool(size, &*one.scheduler(), equal))).into();
    let wrr = pool(size, &*Algorithm::Wrr.scheduler(), uneven);
    contenders.push(assign("wrr, weights 1 to 5", wrr));
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

const REQUEST: &str = "service::Balance, p2c";

/// The whole way of a request through a tower service, to a backend that answers at once.
fn requests(size: usize) -> Vec<Contender<'static>> {
    let director: Director<(), SocketAddr> =
        Director::new(pool(size, &*Algorithm::P2c.scheduler(), equal));
    let inner = service_fn(|Dispatch { lease, request }: Dispatch<SocketAddr, ()>| {
        drop(lease);
        future::ready(Ok::<_, Undelivered<()>>(request))
    });
    let ours = Balance::new(Arc::new(director), |_: &()| (), inner);
    vec![
        Contender::ours(REQUEST, calls(ours)),
        Contender::peer("tower Balance, pending requests", &[REQUEST], calls(tower_balance(size))),
        buffered("tower Balance in Buffer, one at a time", &[REQUEST], size, 1),
        buffered("tower Balance in Buffer, 64 at a time", &[REQUEST], size, IN_FLIGHT),
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
