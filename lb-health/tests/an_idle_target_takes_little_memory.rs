//! E8: what a target takes that is not being checked right now, in the memory that is asked for. The system's
//! allocator takes 8 to 24 bytes more for the checker of each.
#![cfg(feature = "driver")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::ready;
use std::net::SocketAddr;
use std::time::Duration;

use lb_core::backend::BackendId;
use lb_health::{CheckError, CheckSpec, Driver, Event, Report, Target};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tower::service_fn;

struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is left to the system's allocator; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.set(LIVE.get() + layout.size() as isize);
        // SAFETY: the caller keeps the contract of this very function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - layout.size() as isize);
        // SAFETY: the caller keeps the contract of this very function.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Where what grows by doubling is nearly full: the best for lists, which is at most twice as much.
const FEW: u32 = 14_000;
const MANY: u32 = 28_000;

#[tokio::test(start_paused = true)]
async fn an_idle_target_takes_little_memory() {
    let mut driver = Driver::new(SmallRng::seed_from_u64(1));
    let hour = Duration::from_secs(3_600);
    let spec = CheckSpec::default().with_interval(hour).unwrap();
    let spec = spec.with_warmup(Duration::from_secs(600)).unwrap();
    let (mut live, mut watched) = (0, 0);
    for count in [FEW, MANY] {
        let before = LIVE.get();
        for number in watched..count {
            let address = SocketAddr::from(([10, 0, (number >> 8) as u8, number as u8], 80));
            // As large as a checker of TCP connections.
            let large = u64::from(number);
            let passing = service_fn(move |_: Target| {
                let _ = large;
                ready(Ok::<_, CheckError>(Report::ALIVE))
            });
            driver.watch(BackendId::new(number), address, passing, spec.clone());
        }
        for _ in watched..count {
            assert!(matches!(driver.next().await, Event::Verdict(_)));
        }
        live = (LIVE.get() - before) / (count - watched) as isize;
        watched = count;
    }
    assert!(live <= 360, "an idle target takes {live} bytes");
}
