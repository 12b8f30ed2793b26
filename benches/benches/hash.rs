//! What it costs to choose a backend by hash, beside pingora's ketama ring on its own and inside its
//! balancer, and what it costs to lay out the tables; and whether both rings agree on every key.
//!
//! All run in the same process, in turns, over the same addresses. Timing never fails the run; an
//! allocation in one of our picks does, and so does a key on which the rings differ.

mod support;

use std::collections::BTreeSet;
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use futures::FutureExt;
use lb_core::backend::BackendId;
use lb_core::scheduler::{LoadFactor, ketama_hash};
use lb_core::{Algorithm, Backend, Flow, Pool, Scheduler, Weight};
use pingora_ketama::{Bucket, Continuum};
use pingora_load_balancing::selection::Consistent;
use pingora_load_balancing::{Backend as PingoraBackend, Backends, LoadBalancer, discovery};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use support::{Contender, Cost, allocations_of, find, measure, print};

const SIZES: [usize; 3] = [10, 100, 1000];
const ROUNDS: usize = 201;
const BUILDS: usize = 21;
/// pingora's cap on candidates per pick; the first one is always ready here.
const MOST_CANDIDATES: usize = 256;
/// What one look-up of everything is named like.
const CONTINUUM: &str = "pingora-ketama Continuum";

const HASHING: [Algorithm; 4] =
    [Algorithm::Ring, Algorithm::Ketama, Algorithm::Mh, Algorithm::Rendezvous];

type Weights = fn(usize) -> u16;

fn main() -> ExitCode {
    let mut bars = Bars::default();
    for size in SIZES {
        let costs = measure(picks(size), ROUNDS);
        print(&format!("one key among {size} backends"), &costs);
        bars.of_picks(size, &costs);

        let costs = measure(builds(size), BUILDS);
        print(&format!("{size} backends laid out anew"), &costs);
        if size == 1000 {
            bars.at_most(&costs, "mh", 5e6);
        }
    }
    bars.same_as_pingora();
    bars.no_allocations_when_tried();
    bars.verdict()
}

fn picks(size: usize) -> Vec<Contender<'static>> {
    let mut contenders: Vec<_> =
        HASHING.map(|one| pick(one.name(), pool(size, &*one.scheduler(), equal), |key| key)).into();
    let bounded = Algorithm::Mh.bounded(LoadFactor::default()).expect("it hashes");
    contenders.push(pick("mh, bounded, all idle", pool(size, &*bounded, equal), |key| key));
    contenders.push(pick(
        "rendezvous, weights 1 to 5",
        pool(size, &*Algorithm::Rendezvous.scheduler(), uneven),
        |key| key,
    ));
    // pingora hashes the key too, so ours has to in order to be compared.
    contenders.push(pick(
        "ketama, from the key's bytes",
        pool(size, &*Algorithm::Ketama.scheduler(), equal),
        |key| ketama_hash(&key.to_ne_bytes()),
    ));
    let ring = continuum(size, equal);
    let mut key = 0_u64;
    contenders.push(Contender::peer(
        CONTINUUM,
        &["ring", "ketama, from the key's bytes", "mh"],
        move |times| {
            for _ in 0..times {
                key = key.wrapping_add(GOLDEN);
                black_box(ring.node(black_box(&key.to_ne_bytes())));
            }
        },
    ));
    contenders.push(select(size));
    contenders
}

fn pick(name: &str, pool: Pool, hash: impl Fn(u64) -> u64 + 'static) -> Contender<'static> {
    let (mut key, mut rng) = (0_u64, rng());
    Contender::ours(name, move |times| {
        for _ in 0..times {
            key = key.wrapping_add(GOLDEN);
            let _ = black_box(pool.pick(black_box(&Flow::new(hash(key))), &mut rng));
        }
    })
}

fn select(size: usize) -> Contender<'static> {
    let backends: BTreeSet<PingoraBackend> = (0..size)
        .map(|n| PingoraBackend::new(&address(n).to_string()).expect("an address"))
        .collect();
    let balancer: LoadBalancer<Consistent> =
        LoadBalancer::from_backends(Backends::new(discovery::Static::new(backends)));
    let updated = balancer.update().now_or_never().expect("a static set is there at once");
    updated.expect("a static set is always found");
    let mut key = 0_u64;
    let against = &["ring", "ketama, from the key's bytes", "mh"];
    Contender::peer("pingora Consistent", against, move |times| {
        for _ in 0..times {
            key = key.wrapping_add(GOLDEN);
            let backend =
                black_box(balancer.select(black_box(&key.to_ne_bytes()), MOST_CANDIDATES));
            assert!(backend.is_some(), "every backend is ready");
        }
    })
}

fn builds(size: usize) -> Vec<Contender<'static>> {
    let mut contenders: Vec<_> = HASHING
        .map(|one| {
            let pool = pool(size, &*one.scheduler(), equal);
            Contender::ours(one.name(), move |times| {
                for _ in 0..times {
                    drop(black_box(pool.scheduler().rebuild(black_box(pool.members()))));
                }
            })
        })
        .into();
    contenders.push(Contender::peer(CONTINUUM, &["ring", "ketama", "mh"], move |times| {
        for _ in 0..times {
            drop(black_box(continuum(size, equal)));
        }
    }));
    contenders
}

fn continuum(size: usize, weight: Weights) -> Continuum {
    let buckets = (0..size).map(|n| Bucket::new(address(n), weight(n).into()));
    Continuum::new(&buckets.collect::<Vec<_>>())
}

fn pool(size: usize, scheduler: &dyn Scheduler, weight: Weights) -> Pool {
    let members = (0..size).map(|n| {
        let backend = Backend::new(BackendId::new(n as u32), address(n).to_string(), address(n));
        (Arc::new(backend), Weight::new(weight(n)))
    });
    Pool::new(members, scheduler)
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
    failures: Vec<String>,
}

impl Bars {
    fn of_picks(&mut self, size: usize, costs: &[Cost]) {
        for cost in costs.iter().filter(|cost| cost.against.is_empty() && cost.allocations > 0.0) {
            self.failures.push(format!("{} allocates", cost.name));
        }
        match size {
            10 => self.at_most(costs, "mh", 5.0),
            1000 => self.at_most(costs, "mh", 10.0),
            _ => {}
        }
        if size == 1000 {
            for ours in ["ring", "ketama, from the key's bytes"] {
                self.at_most(costs, ours, 100.0);
                let ratio = find(costs, CONTINUUM).median / find(costs, ours).median;
                self.judge(
                    ratio >= 1.0,
                    format!("{ours}: {CONTINUUM} takes {ratio:.1} x, at least 1 x"),
                );
            }
        }
    }

    fn at_most(&mut self, costs: &[Cost], name: &str, bar: f64) {
        let median = find(costs, name).median;
        self.judge(median <= bar, format!("{name}: {median:.1} ns, at most {bar} ns"));
    }

    fn judge(&mut self, met: bool, bar: String) {
        self.timings.push(format!("  {} {bar}", if met { "met   " } else { "MISSED" }));
    }

    /// Both are to be nginx' ring. Where points of two backends have one hash, they may keep
    /// different ones: that is a point or two, and a key in 2³² for each.
    fn same_as_pingora(&mut self) {
        const KEYS: u64 = 1_000_000;
        for (size, weight) in [(10, equal as Weights), (9, uneven), (100, uneven), (1000, equal)] {
            let (ours, theirs) =
                (pool(size, &*Algorithm::Ketama.scheduler(), weight), continuum(size, weight));
            let differs = |number: &u64| {
                let key = format!("/{number}");
                let flow = Flow::new(ketama_hash(key.as_bytes()));
                let ours = ours.pick(&flow, &mut rng()).ok().map(|backend| *backend.endpoint());
                ours != theirs.node(key.as_bytes())
            };
            let different = (0..KEYS).filter(differs).count();
            let said =
                format!("{size} backends: {different} of {KEYS} keys differ from {CONTINUUM}'s");
            // One point of 160 each in a million.
            if different > size / 100 * 10 {
                self.failures.push(said);
            } else {
                println!("\n{said}");
            }
        }
    }

    /// Redispatch takes other ways through the schedulers; they must not allocate either.
    fn no_allocations_when_tried(&mut self) {
        let tried = [0, 7, 3].map(BackendId::new);
        for algorithm in HASHING {
            let bounded = algorithm.bounded(LoadFactor::default()).expect("they hash");
            for (name, scheduler) in [("plain", algorithm.scheduler()), ("bounded", bounded)] {
                let (pool, mut rng) = (pool(100, &*scheduler, uneven), rng());
                let allocations = allocations_of(|| {
                    for hash in 0..1000 {
                        let _ = black_box(pool.pick(&Flow::new(hash).retried(&tried), &mut rng));
                    }
                });
                if allocations > 0 {
                    self.failures.push(format!("{algorithm}, {name}, redispatched, allocates"));
                }
            }
        }
    }

    fn verdict(self) -> ExitCode {
        println!("\nbars: `mh` at 10 backends, then all at 1000");
        for bar in &self.timings {
            println!("  {bar}");
        }
        if self.failures.is_empty() {
            println!("    met    no pick of ours allocates; the rings agree");
            return ExitCode::SUCCESS;
        }
        println!("    MISSED {}", self.failures.join("; "));
        ExitCode::FAILURE
    }
}
