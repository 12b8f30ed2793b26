//! That no pick allocates: every scheduler, in every wrapper, in every state that takes another way
//! through it. An allocation fails the run.

mod support;

use std::num::{NonZeroU32, NonZeroUsize};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lb_core::backend::{BackendId, Limits, Outcome};
use lb_core::scheduler::{LoadFactor, Priorities, Subset, Zones};
use lb_core::{Algorithm, Backend, Director, Flow, Lease, Pool, Scheduler};

use support::{Bars, allocations_of, pool_of, rng, uneven};

const SIZE: usize = 100;
const PICKS: u64 = 1000;
const TRIED: [BackendId; 3] = [BackendId::new(0), BackendId::new(7), BackendId::new(3)];

/// Everything around a scheduler, by name.
type Wrapper = (&'static str, fn(Algorithm) -> Option<Arc<dyn Scheduler>>);

const WRAPPERS: [Wrapper; 6] = [
    ("plain", |one| Some(one.scheduler())),
    ("bounded", |one| one.bounded(LoadFactor::default())),
    ("priorities", |one| Some(Arc::new(Priorities::around(one.scheduler())))),
    ("spilling", |one| Some(Arc::new(Priorities::around(one.scheduler()).spilling_below(100)))),
    ("zones", |one| Some(Arc::new(Zones::around("b", one.scheduler())))),
    ("subset", |one| {
        let ten = NonZeroUsize::new(10).expect("not zero");
        Some(Arc::new(Subset::around(ten, 7, one.scheduler())))
    }),
];

fn main() -> ExitCode {
    let mut bars = Bars::default();
    print!("\nallocations in {PICKS} picks: fresh, redispatched, busy, persisted\n  {:<12}", "");
    for (name, _) in WRAPPERS {
        print!(" {name:>14}");
    }
    println!();
    for algorithm in Algorithm::ALL {
        print!("  {:<12}", algorithm.name());
        for (name, wrapper) in WRAPPERS {
            let Some(scheduler) = wrapper(algorithm) else {
                print!(" {:>14}", "–");
                continue;
            };
            let counts = counts(&*scheduler);
            print!(" {:>14}", counts.map(|count| count.to_string()).join(" "));
            bars.require(counts == [0; 4], || format!("{algorithm}, {name}, allocates"));
        }
        println!();
    }
    bars.verdict("no pick allocates")
}

fn counts(scheduler: &dyn Scheduler) -> [u64; 4] {
    [
        of_picks(&pool(scheduler, Limits::NONE), &[]),
        of_picks(&pool(scheduler, Limits::NONE), &TRIED),
        of_picks(&busy(scheduler), &[]),
        of_assignments(busy(scheduler)),
    ]
}

fn pool(scheduler: &dyn Scheduler, limits: Limits) -> Pool {
    pool_of(SIZE, scheduler, uneven, |n, backend: Backend| {
        let zone = ["a", "b", "c"][n % 3];
        backend.set_limits(limits);
        backend.at_priority((n % 2) as u8).in_zone(Some(zone.into()))
    })
}

/// Somebody is full, somebody fails, and all have something to do.
fn busy(scheduler: &dyn Scheduler) -> Pool {
    let limits = Limits::NONE.at_most(NonZeroU32::new(5).expect("not zero"));
    let (pool, now) = (pool(scheduler, limits), Instant::now());
    for (n, backend) in pool.backends().iter().enumerate() {
        for flow in 0..(n % 4 + 2 * usize::from(n % 10 == 3)) {
            let lease = Lease::new(Arc::clone(backend)).since(now);
            let outcome = if n == 8 { Outcome::Failure } else { Outcome::Success };
            lease.report(now + Duration::from_millis((n + flow) as u64), outcome);
            std::mem::forget(lease);
        }
    }
    pool
}

fn of_picks(pool: &Pool, tried: &[BackendId]) -> u64 {
    let (now, mut rng) = (Instant::now(), rng());
    allocations_of(|| {
        for hash in 0..PICKS {
            let _ = pool.pick(&Flow::new(hash).retried(tried).at(now), &mut rng);
        }
    })
}

/// With a table that remembers fewer clients than there are, so that some are pushed out.
fn of_assignments(pool: Pool) -> u64 {
    let half = NonZeroUsize::new(PICKS as usize / 2).expect("not zero");
    let director: Director<u64> =
        Director::new(pool).with_persistence(Duration::from_secs(60), half);
    let (now, mut rng) = (Instant::now(), rng());
    // The first load of a pool registers the thread.
    drop(director.assign(now, &PICKS, &[], &mut rng));
    allocations_of(|| {
        for client in 0..PICKS {
            drop(director.assign(now, &client, &[], &mut rng));
        }
    })
}
