//! No pick and no assignment asks the allocator for anything, whatever the scheduler.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use lb_core::backend::BackendId;
use lb_core::{Algorithm, Director, Flow};
use support::{pool, seeded, start};

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

#[test]
fn picks() {
    let tried = [0, 3, 4].map(BackendId::new);
    for algorithm in Algorithm::ALL {
        for weights in [&[3, 1, 0, 2, 9, 1, 1][..], &[0, 0], &[]] {
            let (pool, mut rng) = (pool(algorithm, weights), seeded(1));
            let asked = requests(|| {
                for hash in 0..100 {
                    let _ = pool.pick(&Flow::new(hash), &mut rng);
                    let _ = pool.pick(&Flow::new(hash).retried(&tried), &mut rng);
                    let _ = pool.pick(&Flow::new(hash).preferring(Some(tried[1])), &mut rng);
                }
            });
            assert_eq!(asked, 0, "{algorithm} over {weights:?}");
        }
    }
}

#[test]
fn assignments() {
    let now = start();
    for algorithm in Algorithm::ALL {
        let director = Director::<u64, ()>::new(pool(algorithm, &[3, 1, 0, 2]));
        let mut rng = seeded(1);
        // arc-swap sets up its own list for a thread that loads for the first time.
        drop(director.assign(now, &0, &[], &mut rng));
        let asked = requests(|| {
            for client in 0..100 {
                drop(director.assign(now, &client, &[BackendId::new(1)], &mut rng).unwrap());
            }
        });
        assert_eq!(asked, 0, "{algorithm}");
    }
}
