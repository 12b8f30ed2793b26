//! The counters under loom, which tries every way in which threads can get into each other's way:
//! `RUSTFLAGS='--cfg lb_loom' cargo test -p lb-core --lib --release model`. The queue, the lanes of
//! rotations, the tables of `lblc` and where time is counted from have models beside them.

use std::num::NonZeroU32;
use std::sync::Arc;

use loom::thread;

use crate::backend::{Limits, Load};

fn limits(max: u32) -> Limits {
    Limits::NONE.at_most(NonZeroU32::new(max).unwrap())
}

fn thresholds(upper: u32, lower: u32) -> Limits {
    let [upper, lower] = [upper, lower].map(|limit| NonZeroU32::new(limit).unwrap());
    Limits::NONE.overloaded_at(upper, Some(lower)).unwrap()
}

fn load(limits: Limits) -> Arc<Load> {
    let load = Load::default();
    load.limit(limits);
    Arc::new(load)
}

/// Tries every way with up to three switches that nobody asked for. With any number of them it takes
/// hours; that few switches show nearly all faults is what makes such checkers useful (Musuvathi and
/// Qadeer, *Iterative Context Bounding for Systematic Testing of Multithreaded Programs*, 2007).
pub(crate) fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// Lets three threads do the same.
fn three(load: &Arc<Load>, act: fn(&Load)) {
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let load = Arc::clone(load);
            thread::spawn(move || act(&load))
        })
        .collect();
    act(load);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn never_more_flows_than_the_limit() {
    explore(|| {
        let load = load(limits(2));
        three(&load, |load| {
            if load.try_enter() {
                assert!(load.active() <= 2);
                load.leave();
            }
        });
        assert_eq!((load.active(), load.is_full()), (0, false));
    });
}

#[test]
fn an_overload_ends_with_the_last_flow() {
    explore(|| {
        let load = load(thresholds(2, 1));
        three(&load, |load| {
            if load.try_enter() {
                load.leave();
            }
        });
        assert_eq!((load.active(), load.is_full()), (0, false));
    });
}

#[test]
fn limits_that_change_meanwhile_leave_nothing_behind() {
    explore(|| {
        let load = load(Limits::NONE);
        load.enter();
        let other = Arc::clone(&load);
        let leaves = thread::spawn(move || other.leave());
        load.limit(thresholds(1, 1));
        leaves.join().unwrap();
        assert_eq!((load.active(), load.is_full()), (0, false));
    });
    explore(|| {
        let load = load(thresholds(1, 1));
        let other = Arc::clone(&load);
        let enters = thread::spawn(move || other.try_enter());
        load.limit(Limits::NONE);
        assert!(enters.join().unwrap());
        assert!(!load.is_full(), "by limits that there are no more");
    });
}
