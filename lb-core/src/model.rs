//! The counters and the queue under loom, which tries every way in which threads can get into each
//! other's way: `RUSTFLAGS='--cfg lb_loom' cargo test -p lb-core --lib --release model`.

use std::future::poll_fn;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::task::Poll;

use loom::future::block_on;
use loom::thread;

use crate::backend::{Limits, Load};
use crate::director::{Queue, QueueConfig};

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

fn line_of_two() -> Arc<Queue> {
    let queue = Queue::default();
    queue.set(Some(QueueConfig::new(NonZeroUsize::new(2).unwrap())));
    Arc::new(queue)
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

/// Waits in line for a place, as `Admission` does.
async fn wait(load: &Load, queue: &Arc<Queue>) {
    let mut ticket = None;
    poll_fn(|cx| {
        if ticket.is_none() {
            if queue.len() == 0 && load.try_enter() {
                return Poll::Ready(());
            }
            ticket = queue.join(cx.waker(), None);
        }
        let called = ticket.as_ref().expect("there is room in the line").is_called(cx);
        if called && load.try_enter() {
            ticket = None;
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

#[test]
fn nobody_waits_beside_a_free_place() {
    explore(|| {
        let load = load(limits(1));
        let queue = line_of_two();
        load.enter();
        let (other_load, other_queue) = (Arc::clone(&load), Arc::clone(&queue));
        let leaves = thread::spawn(move || {
            other_load.leave();
            other_queue.call();
        });
        // Were the call lost, this would never end, and loom would say so.
        block_on(wait(&load, &queue));
        leaves.join().unwrap();
        assert_eq!((load.active(), queue.len()), (1, 0));
    });
}

#[test]
fn two_who_wait_are_both_served() {
    explore(|| {
        let load = load(limits(1));
        let queue = line_of_two();
        let waiter = |load: Arc<Load>, queue: Arc<Queue>| {
            move || {
                block_on(wait(&load, &queue));
                load.leave();
                queue.call();
            }
        };
        let one = thread::spawn(waiter(Arc::clone(&load), Arc::clone(&queue)));
        waiter(Arc::clone(&load), Arc::clone(&queue))();
        one.join().unwrap();
        assert_eq!((load.active(), queue.len()), (0, 0));
    });
}
