//! The way of a flow to its backend under loom, from the first try to the end of its lease: the same
//! code that [`Balance`](super::Balance) runs. `crate::model` says how.

use std::future::{Future, Pending, pending, poll_fn};
use std::num::{NonZeroU32, NonZeroUsize};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;

use loom::future::block_on;
use loom::thread;
use rand::Rng;
use rand::rngs::SmallRng;

use super::admission::Admission;
use crate::backend::{Backend, BackendId, Lease, Limits};
use crate::director::{Director, QueueConfig};
use crate::env::Env;
use crate::flow::{ClientKey, Sticky};
use crate::model::explore;
use crate::pool::Pool;
use crate::scheduler::First;
use crate::weight::Weight;

/// Nobody is told the time, and nobody asks for it.
#[derive(Clone)]
struct Timeless;

impl Env for Timeless {
    type Sleep = Pending<()>;

    #[expect(clippy::disallowed_methods, reason = "there is no other way to make an Instant")]
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep_until(&self, _: Instant) -> Self::Sleep {
        pending()
    }

    fn with_rng<T>(&self, f: impl FnOnce(&mut dyn Rng) -> T) -> T {
        f(&mut <SmallRng as rand::SeedableRng>::seed_from_u64(1))
    }
}

type Gate<K = ()> = Arc<Director<K, ()>>;

/// A backend that takes one flow at once, before which two may wait.
fn gate() -> Gate {
    let backend = Backend::new(BackendId::new(0), "a", ());
    backend.set_limits(Limits::NONE.at_most(NonZeroU32::MIN));
    let pool = Pool::new([(Arc::new(backend), Weight::ONE)], &First::new());
    let queue = QueueConfig::new(NonZeroUsize::new(2).unwrap());
    Arc::new(Director::new(pool).with_queue(queue))
}

/// Room at the backend, waited for if need be.
async fn enter(gate: &Gate) -> Lease<()> {
    enter_as(gate, ()).await
}

async fn enter_as<K: ClientKey>(gate: &Gate<K>, client: K) -> Lease<()> {
    let (mut admission, mut waiting) = (pin!(Admission::new()), None);
    let admitted =
        poll_fn(|cx| admission.as_mut().poll(cx, gate, &Timeless, &client, &[], &mut waiting));
    admitted.await.ok().expect("there is room in the line")
}

/// Two backends that take one flow each, of which the first belongs to a client that waits for it.
fn gates() -> (Gate<Sticky<()>>, Sticky<()>) {
    let backends = [(0, "a"), (1, "b")].map(|(id, name)| {
        let backend = Backend::new(BackendId::new(id), name, ());
        backend.set_limits(Limits::NONE.at_most(NonZeroU32::MIN));
        (Arc::new(backend), Weight::ONE)
    });
    let place = backends[0].0.place();
    let pool = Pool::new(backends, &First::new()).waiting_for_full(true);
    let queue = QueueConfig::new(NonZeroUsize::new(2).unwrap());
    (Arc::new(Director::new(pool).with_queue(queue)), Sticky::new((), Some(place)))
}

fn counts<K: ClientKey>(gate: &Gate<K>) -> (u32, usize) {
    (gate.pool().members()[0].load.active(), gate.queued())
}

#[test]
fn nobody_waits_beside_free_room() {
    explore(|| {
        let gate = gate();
        let lease = block_on(enter(&gate));
        let leaves = thread::spawn(move || drop(lease));
        // Were the call lost, this would never end, and loom would say so.
        let next = block_on(enter(&gate));
        leaves.join().unwrap();
        assert_eq!(counts(&gate), (1, 0));
        drop(next);
        assert_eq!(counts(&gate), (0, 0));
    });
}

#[test]
fn two_who_come_at_once_are_both_served() {
    explore(|| {
        let gate = gate();
        let other = Arc::clone(&gate);
        let one = thread::spawn(move || drop(block_on(enter(&other))));
        let lease = block_on(enter(&gate));
        assert_eq!(lease.load().active(), 1);
        drop(lease);
        one.join().unwrap();
        assert_eq!(counts(&gate), (0, 0));
    });
}

/// Whoever is called and gives up at that moment passes the call on.
#[test]
fn who_gives_up_holds_nobody_up() {
    explore(|| {
        let gate = gate();
        let lease = block_on(enter(&gate));
        let (mut tired, mut next) = (Box::pin(enter(&gate)), Box::pin(enter(&gate)));
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(tired.as_mut().poll(cx).is_pending() && next.as_mut().poll(cx).is_pending());
        let leaves = thread::spawn(move || drop(lease));
        drop(tired);
        drop(block_on(next));
        leaves.join().unwrap();
        assert_eq!(counts(&gate), (0, 0));
    });
}

/// Whoever waits for one backend hears of it, however those who wait for any come and go.
#[test]
fn who_belongs_to_a_backend_does_not_miss_it() {
    explore(|| {
        let (gate, client) = gates();
        let lease = block_on(enter_as(&gate, client));
        let other = Arc::clone(&gate);
        let passes = thread::spawn(move || {
            drop(lease);
            drop(block_on(enter_as(&other, Sticky::new((), None))));
        });
        let next = block_on(enter_as(&gate, client));
        assert_eq!(next.name(), "a");
        passes.join().unwrap();
        assert_eq!(counts(&gate), (1, 0));
        drop(next);
    });
}

/// Nor when it is called behind somebody who was first, and gives up at that moment.
#[test]
fn who_gives_up_holds_nobody_up_who_waits_for_one_backend() {
    explore(|| {
        let (gate, client) = gates();
        let lease = block_on(enter_as(&gate, client));
        let kept = block_on(enter_as(&gate, Sticky::new((), None)));
        let mut tired = Box::pin(enter_as(&gate, Sticky::new((), None)));
        let mut next = Box::pin(enter_as(&gate, client));
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(tired.as_mut().poll(cx).is_pending() && next.as_mut().poll(cx).is_pending());
        let leaves = thread::spawn(move || drop(lease));
        drop(tired);
        drop(block_on(next));
        leaves.join().unwrap();
        drop(kept);
        assert_eq!(counts(&gate), (0, 0));
    });
}
