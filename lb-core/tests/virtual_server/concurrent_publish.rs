//! Many threads assign while another publishes: each assignment sees one whole pool, and in the end
//! every counter is at 0.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use lb_core::backend::BackendId;
use lb_core::{Algorithm, Backend, Director, Lease, Pool, Scheduler, Weight};
use support::{seeded, start};

const READERS: u64 = 3;
const POOLS: u64 = 150;

/// The two sets that are published in turn: nobody is in both, and each wears its set's mark.
fn sets() -> [Vec<Arc<Backend<&'static str>>>; 2] {
    [("even", 0..5), ("odd", 10..13)].map(|(mark, ids)| {
        ids.map(|id| Arc::new(Backend::new(BackendId::new(id), id.to_string(), mark))).collect()
    })
}

fn run(algorithm: Algorithm, persistence: bool) {
    let sets = sets();
    // Room for all that readers hold with `ovf`, which refuses the rest.
    let weight = if algorithm == Algorithm::Ovf { 7 * READERS as u16 } else { 3 };
    let members = |number: u64| {
        let set = &sets[(number % 2) as usize];
        set.iter().map(|backend| (Arc::clone(backend), Weight::new(weight))).collect::<Vec<_>>()
    };
    let first = Pool::new(members(0), &*algorithm.scheduler());
    let mut scheduler: Arc<dyn Scheduler> = Arc::clone(first.scheduler());
    let director = Director::<u64, &'static str>::new(first);
    let director = match persistence {
        true => director.with_persistence(Duration::from_secs(60), 64.try_into().unwrap()),
        false => director,
    };
    let (done, published) = (AtomicBool::new(false), AtomicU64::new(0));
    // Readers only count what goes wrong: the writer waits for them, and would wait for the dead.
    let (assigned, refused, torn) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let now = start();

    thread::scope(|scope| {
        for reader in 0..READERS {
            let (director, done, published) = (&director, &done, &published);
            let (assigned, refused, torn) = (&assigned, &refused, &torn);
            scope.spawn(move || {
                let mut rng = seeded(reader);
                let mut held: Vec<Lease<&'static str>> = Vec::new();
                let mut flow = reader;
                while !done.load(Ordering::Acquire) {
                    let before = published.load(Ordering::Acquire);
                    let lease = director.assign(now, &(flow % 100), &[], &mut rng);
                    let Ok(lease) = lease else {
                        refused.fetch_add(1, Ordering::Relaxed);
                        return;
                    };
                    let after = director.pool().generation();
                    // If nothing was published meanwhile, nobody of another pool may come.
                    if before == after {
                        let mark = ["even", "odd"][(before % 2) as usize];
                        torn.fetch_add(u64::from(*lease.endpoint() != mark), Ordering::Relaxed);
                    }
                    assigned.fetch_add(1, Ordering::Relaxed);
                    held.push(lease);
                    if held.len() > 20 {
                        held.clear();
                    }
                    flow += READERS;
                }
            });
        }
        for number in 1..=POOLS {
            let pool = Pool::new(members(number), &*scheduler).numbered(number);
            scheduler = Arc::clone(pool.scheduler());
            director.publish(Arc::new(pool));
            published.store(number, Ordering::Release);
            while assigned.load(Ordering::Relaxed) < number && refused.load(Ordering::Relaxed) == 0
            {
                thread::yield_now();
            }
        }
        done.store(true, Ordering::Release);
    });

    assert_eq!(refused.into_inner(), 0, "{algorithm}: no pool on the way is empty");
    assert_eq!(torn.into_inner(), 0, "{algorithm}: nobody comes from another pool");
    let loads = || sets.iter().flatten().map(|backend| backend.load());
    assert!(loads().all(|load| load.active() == 0));
    assert_eq!(loads().map(|load| load.total()).sum::<u64>(), assigned.into_inner());
}

#[test]
fn every_assignment_sees_one_whole_pool() {
    for algorithm in Algorithm::ALL {
        run(algorithm, false);
    }
}

#[test]
fn persistence_changes_nothing_about_it() {
    run(Algorithm::Wlc, true);
}

#[test]
fn turns_are_not_lost_between_threads() {
    const READERS: u64 = 4;
    const TURNS: u64 = 2_000;
    const WEIGHTS: [u16; 3] = [5, 1, 2];
    for algorithm in [Algorithm::Wrr, Algorithm::WrrIpvs] {
        let director = Director::<u64, ()>::new(support::pool(algorithm, &WEIGHTS));
        let now = start();
        thread::scope(|scope| {
            for reader in 0..READERS {
                let director = &director;
                scope.spawn(move || {
                    let mut rng = seeded(reader);
                    for client in 0..TURNS {
                        drop(director.assign(now, &client, &[], &mut rng));
                    }
                });
            }
        });
        let totals: Vec<_> =
            director.pool().members().iter().map(|member| member.load.total()).collect();
        assert_eq!(totals.iter().sum::<u64>(), READERS * TURNS, "{algorithm}");
        // Threads that meet go through rounds of their own, and each leaves one unfinished at most.
        for (total, weight) in totals.iter().zip(WEIGHTS) {
            let weight = u64::from(weight);
            let exact = weight * READERS * TURNS / 8;
            assert!(total.abs_diff(exact) <= weight * READERS, "{algorithm}: {totals:?}");
        }
    }
}
