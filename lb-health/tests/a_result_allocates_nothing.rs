//! E19: once it has grown, and remembers as much as it may, the monitor takes results without asking
//! for memory.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

use lb_health::monitor::Action;
use lb_health::{CheckError, CheckSpec, Event, Monitor, Report};
use rand::SeedableRng;
use rand::rngs::SmallRng;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is left to the system's allocator; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of this very function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of this very function.
        unsafe { System.dealloc(pointer, layout) }
    }
}

const CHECKS: u32 = 1_000;

/// Lets `time` pass; `dead` says who fails. Answers the results taken and the verdicts given.
fn pass(
    monitor: &mut Monitor<u32>,
    now: &mut Instant,
    time: Duration,
    dead: impl Fn(u32) -> bool,
) -> (u64, u64) {
    let end = *now + time;
    let (mut results, mut verdicts) = (0, 0);
    while let Some(due) = monitor.next_deadline().filter(|&due| due <= end) {
        *now = due;
        monitor.handle_timeout(due);
        while let Some(action) = monitor.poll_action() {
            match action {
                Action::Run(run) => {
                    let backend = monitor.check(run.check()).unwrap().backends().next().unwrap();
                    let fails = dead(backend);
                    let result =
                        if fails { Err(CheckError::Refused.into()) } else { Ok(Report::ALIVE) };
                    monitor.handle_result(due, run, result);
                    results += 1;
                }
                Action::Notify(Event::Verdict(_)) => verdicts += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    (results, verdicts)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "any instant serves as the origin")]
fn a_result_allocates_nothing() {
    let mut now = Instant::now();
    let mut rng = SmallRng::seed_from_u64(1);
    let mut monitor = Monitor::new().with_history(3.try_into().unwrap());
    let spec = CheckSpec::default().with_warmup(Duration::from_secs(2)).unwrap();
    for backend in 0..CHECKS {
        monitor.watch(now, backend, spec.clone(), &mut rng);
    }
    let minute = Duration::from_secs(60);
    // What each check remembers takes memory the first time that it changes.
    pass(&mut monitor, &mut now, minute, |_| false);
    pass(&mut monitor, &mut now, minute, |backend| backend % 2 == 0);
    pass(&mut monitor, &mut now, minute, |_| false);
    let before = ALLOCATIONS.get();
    // A steady state, the death of half, and the way back.
    let (steady, none) = pass(&mut monitor, &mut now, minute, |_| false);
    let (falling, downs) = pass(&mut monitor, &mut now, minute, |backend| backend % 2 == 0);
    let (rising, ups) = pass(&mut monitor, &mut now, minute, |_| false);
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert_eq!((none, downs, ups), (0, CHECKS as u64 / 2, CHECKS as u64 / 2));
    let results = steady + falling + rising;
    assert!(results >= 3 * 30 * CHECKS as u64 * 9 / 10, "{results}");
}
