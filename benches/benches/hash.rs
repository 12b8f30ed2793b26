//! What it costs to choose a backend by hash, beside pingora's ketama ring on its own and inside its
//! balancer, and what it costs to lay out the tables; and whether both rings agree on every key.
//!
//! All run in the same process, in turns, over the same addresses. Timing never fails the run; an
//! allocation in one of our picks does, and so does a key on which the rings differ.

mod support;

use std::hint::black_box;
use std::process::ExitCode;

use lb_core::scheduler::{LoadFactor, ketama_hash};
use lb_core::{Algorithm, Flow};
use pingora_ketama::{Bucket, Continuum};
use pingora_load_balancing::selection::Consistent;

use support::{
    Bars, Contender, Cost, GOLDEN, Weights, address, equal, measure, pick, pick_by, pool, print,
    rng, select, uneven,
};

const SIZES: [usize; 4] = [10, 100, 1000, 10_000];
const ROUNDS: usize = 201;
const BUILDS: usize = 21;
/// What one look-up of everything is named like.
const CONTINUUM: &str = "pingora-ketama Continuum";
/// pingora hashes the key too, so ours has to in order to be compared.
const FROM_BYTES: &str = "ketama, from the key's bytes";
const AGAINST: &[&str] = &["ring", FROM_BYTES, "mh"];

const HASHING: [Algorithm; 4] =
    [Algorithm::Ring, Algorithm::Ketama, Algorithm::Mh, Algorithm::Rendezvous];

fn main() -> ExitCode {
    let mut bars = Bars::default();
    for size in SIZES {
        let costs = measure(picks(size), ROUNDS);
        print(&format!("one key among {size} backends"), &costs);
        bars.no_allocations(&costs);
        bars.of(format!("a key among {size}"));
        of_picks(&mut bars, size, &costs);

        let costs = measure(builds(size), BUILDS);
        print(&format!("{size} backends laid out anew"), &costs);
        if size == 1000 {
            bars.of(format!("{size} laid out anew"));
            bars.at_most(&costs, "mh", 5e6);
        }
    }
    same_as_pingora(&mut bars);
    bars.verdict("no pick of ours allocates; the rings agree")
}

fn of_picks(bars: &mut Bars, size: usize, costs: &[Cost]) {
    match size {
        10 => bars.at_most(costs, "mh", 5.0),
        1000 => {
            bars.at_most(costs, "mh", 10.0);
            for ours in ["ring", FROM_BYTES] {
                bars.at_most(costs, ours, 100.0);
            }
        }
        _ => {}
    }
    for ours in ["ring", FROM_BYTES] {
        bars.faster(costs, ours, CONTINUUM, 1.0);
    }
}

fn picks(size: usize) -> Vec<Contender<'static>> {
    let mut contenders: Vec<_> =
        HASHING.map(|one| pick(one.name(), pool(size, &*one.scheduler(), equal))).into();
    let bounded = Algorithm::Mh.bounded(LoadFactor::default()).expect("it hashes");
    contenders.push(pick("mh, bounded, all idle", pool(size, &*bounded, equal)));
    contenders.push(pick(
        "rendezvous, weights 1 to 5",
        pool(size, &*Algorithm::Rendezvous.scheduler(), uneven),
    ));
    let ketama = pool(size, &*Algorithm::Ketama.scheduler(), equal);
    contenders.push(pick_by(FROM_BYTES, ketama, rng(), |key| ketama_hash(&key.to_ne_bytes())));
    let ring = continuum(size, equal);
    let mut key = 0_u64;
    contenders.push(Contender::peer(CONTINUUM, AGAINST, move |times| {
        for _ in 0..times {
            key = key.wrapping_add(GOLDEN);
            black_box(ring.node(black_box(&key.to_ne_bytes())));
        }
    }));
    contenders.push(select::<Consistent>("pingora Consistent", AGAINST, size, equal));
    contenders
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

/// Both are to be nginx' ring. Where points of two backends have one hash, they may keep different
/// ones: that is a point or two, and a key in 2³² for each.
fn same_as_pingora(bars: &mut Bars) {
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
        println!("\n{size} backends: {different} of {KEYS} keys differ from {CONTINUUM}'s");
        // One point of 160 each in a million.
        bars.require(different <= size / 100 * 10, || {
            format!("{size} backends: {different} of {KEYS} keys differ from {CONTINUUM}'s")
        });
    }
}
