//! No pick and no assignment asks the allocator for anything, whatever the scheduler, what is around
//! it, and whoever is full.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use lb_core::backend::{BackendId, Limits, Outcome};
use lb_core::director::QueueConfig;
use lb_core::persistence::PersistenceConfig;
use lb_core::scheduler::{LoadFactor, Priorities, Subset, Zones};
use lb_core::{Algorithm, Backend, Director, Flow, Lease, Pool, Scheduler, Weight};
use support::{after, seeded, start};

/// The system's allocator, counting what this thread asks for.
struct Counting;

thread_local! {
    static REQUESTS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // Gone while a thread ends: nobody counts then.
    let _ = REQUESTS.try_with(|requests| requests.set(requests.get() + 1));
}

// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `alloc`'s contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `realloc`'s contract, which is the same.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract, which is the same.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn requests<T>(f: impl FnOnce() -> T) -> u64 {
    let before = REQUESTS.get();
    let kept = f();
    let after = REQUESTS.get();
    drop(kept);
    after - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(requests(|| Box::new(1)), 1);
    assert_eq!(requests(|| 1), 0);
}

/// Every scheduler by its name, alone, bounded where that can be, and in groups of every kind.
fn schedulers() -> Vec<(String, Arc<dyn Scheduler>)> {
    let mut all = Vec::new();
    for algorithm in Algorithm::ALL {
        let two = 2.try_into().unwrap();
        let plain = || algorithm.scheduler();
        let zones: Arc<dyn Scheduler> = Arc::new(Zones::around("a", plain()));
        let priorities = Priorities::around(plain()).spilling_below(80);
        let nested = Priorities::around(Arc::clone(&zones)).spilling_below(80);
        all.push((algorithm.to_string(), plain()));
        all.push((format!("zones of {algorithm}"), zones));
        all.push((format!("priorities of {algorithm}"), Arc::new(priorities)));
        all.push((format!("a subset of {algorithm}"), Arc::new(Subset::around(two, 7, plain()))));
        all.push((format!("priorities of zones of {algorithm}"), Arc::new(nested)));
        let bounded = algorithm.bounded(LoadFactor::default());
        all.extend(bounded.map(|bounded| (format!("bounded {algorithm}"), bounded)));
    }
    all
}

/// Backends in two zones and of two priorities. One of them fails, two have a limit.
fn pool(scheduler: &dyn Scheduler, weights: &[u16]) -> Pool<()> {
    let members = (0..).zip(weights).map(|(id, &weight)| {
        let zone = if id % 3 == 0 { "b" } else { "a" };
        let limits = match id {
            1 => Limits::NONE.at_most(NonZeroU32::MIN),
            4 => Limits::NONE.overloaded_at(NonZeroU32::MIN, None).unwrap(),
            _ => Limits::NONE,
        };
        let backend = Backend::new(BackendId::new(id), format!("backend {id}"), ())
            .at_priority(u8::from(id > 4))
            .in_zone(Some(zone.into()));
        backend.set_limits(limits);
        (Arc::new(backend), Weight::new(weight))
    });
    let pool = Pool::new(members, scheduler);
    for backend in pool.backends().iter().skip(3).take(1) {
        Lease::new(Arc::clone(backend)).report(start(), Outcome::Failure);
    }
    pool
}

#[test]
fn picks() {
    let tried = [0, 3, 4].map(BackendId::new);
    let now = start();
    for (name, scheduler) in schedulers() {
        for weights in [&[3, 1, 0, 2, 9, 1, 1][..], &[0, 0], &[]] {
            let (pool, mut rng) = (pool(&*scheduler, weights), seeded(1));
            // Both that have a limit are full, in the second round.
            for busy in [false, true] {
                let full = pool.backends().iter().filter(|_| busy).filter_map(Lease::try_new);
                let _full: Vec<_> = full.collect();
                let asked = requests(|| {
                    for hash in 0..100 {
                        let flow = Flow::new(hash).at(after(now, hash));
                        let _ = pool.pick(&flow, &mut rng);
                        let _ = pool.pick(&flow.retried(&tried), &mut rng);
                        let _ = pool.pick(&flow.preferring(Some(tried[1])), &mut rng);
                        let _ = pool.pick(&flow.minding_limits(), &mut rng);
                    }
                });
                assert_eq!(asked, 0, "{name} over {weights:?}, busy: {busy}");
            }
        }
    }
}

#[test]
fn assignments() {
    let now = start();
    let queue = QueueConfig::new(5.try_into().unwrap()).timeout(Duration::from_secs(1));
    for (name, scheduler) in schedulers() {
        for (persists, while_open) in [(false, false), (true, false), (true, true)] {
            let director = Director::<u64, ()>::new(pool(&*scheduler, &[3, 1, 0, 2, 9, 1, 1]));
            let mut director = director.with_queue(queue);
            if persists {
                let table = PersistenceConfig::new(Duration::from_secs(9), 50.try_into().unwrap());
                director = director.with_persistence_config(&table.while_open(while_open));
            }
            let mut rng = seeded(1);
            // arc-swap sets up its own list for a thread that loads for the first time.
            drop(director.assign(now, &0, &[], &mut rng));
            let asked = requests(|| {
                for client in 0..100 {
                    let now = after(now, client);
                    let one = director.assign(now, &client, &[BackendId::new(0)], &mut rng);
                    let other = director.assign(now, &client, &[], &mut rng).unwrap();
                    other.report(now, Outcome::Success);
                    drop(one);
                    other.end(now);
                }
            });
            assert_eq!(asked, 0, "{name}, with persistence: {persists}, while open: {while_open}");
        }
    }
}
