//! While every backend is full, flows wait their turn: bounded, first come first served, for as long
//! as they may; and whoever is dropped at whatever moment leaves every count exact and nobody stuck.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::num::{NonZeroU32, NonZeroUsize};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use lb_core::backend::{BackendId, Limits};
use lb_core::director::QueueConfig;
use lb_core::env::Env;
use lb_core::flow::Sticky;
use lb_core::pool::{Census, Member, NoBackend};
use lb_core::service::{Balance, BalanceError, Dispatch, Undelivered};
use lb_core::{Algorithm, Backend, Director, Flow, Lease, Pool, Scheduler, Weight};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{ProptestConfig, Strategy, prop_assert_eq, proptest};
use proptest::prop_oneof;
use proptest::test_runner::TestCaseResult;
use rand::Rng;
use rand::rngs::Xoshiro256PlusPlus;
use tower::Service;

/// A clock that is set by hand, with alarms.
#[derive(Clone)]
struct World(Rc<WorldState>);

struct WorldState {
    now: Cell<Instant>,
    alarms: RefCell<Vec<(Instant, Waker)>>,
    rng: RefCell<Xoshiro256PlusPlus>,
}

impl World {
    fn new() -> Self {
        let (now, rng) = (Cell::new(support::start()), RefCell::new(support::seeded(1)));
        Self(Rc::new(WorldState { now, alarms: RefCell::default(), rng }))
    }

    fn advance(&self, time: Duration) {
        let now = self.0.now.get() + time;
        self.0.now.set(now);
        let due: Vec<_> = self.0.alarms.borrow_mut().extract_if(.., |(at, _)| *at <= now).collect();
        due.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

struct Alarm(Instant, World);

impl Future for Alarm {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.1.0.now.get() >= self.0 {
            return Poll::Ready(());
        }
        self.1.0.alarms.borrow_mut().push((self.0, cx.waker().clone()));
        Poll::Pending
    }
}

impl Env for World {
    type Sleep = Alarm;

    fn now(&self) -> Instant {
        self.0.now.get()
    }

    fn sleep_until(&self, deadline: Instant) -> Alarm {
        Alarm(deadline, self.clone())
    }

    fn with_rng<T>(&self, f: impl FnOnce(&mut dyn Rng) -> T) -> T {
        f(&mut *self.0.rng.borrow_mut())
    }
}

/// A flow that a backend has, until the test says what comes of it.
struct Visit {
    flow: u64,
    place: usize,
    lease: RefCell<Option<Lease<()>>>,
    end: RefCell<Option<Result<(), ()>>>,
    waker: RefCell<Option<Waker>>,
    gone: Cell<bool>,
}

impl Visit {
    fn end(&self, outcome: Result<(), ()>) {
        *self.end.borrow_mut() = Some(outcome);
        self.waker.take().into_iter().for_each(Waker::wake);
    }
}

/// Holds every flow until it is told, and is ready only while its gate is open.
#[derive(Clone, Default)]
struct Backends {
    visits: Rc<RefCell<Vec<Rc<Visit>>>>,
    is_closed: Rc<Cell<bool>>,
    readiness: Rc<Readiness>,
}

/// Of the service that one flow has: once it is ready it is until it is called.
#[derive(Default)]
struct Readiness {
    is_reserved: Cell<bool>,
    /// Whoever is to be woken when the gate opens.
    waker: RefCell<Option<Waker>>,
}

impl Backends {
    /// The same for another flow.
    fn for_another(&self) -> Self {
        Self { readiness: Rc::default(), ..self.clone() }
    }

    /// Who is there, in the order in which they came.
    fn visits(&self) -> Vec<Rc<Visit>> {
        let over = |visit: &Rc<Visit>| visit.gone.get() || visit.end.borrow().is_some();
        self.visits.borrow().iter().filter(|visit| !over(visit)).cloned().collect()
    }

    /// Who has a place, whether it has been told to go or not.
    fn holders(&self) -> Vec<BackendId> {
        let id = |visit: &Rc<Visit>| visit.lease.borrow().as_ref().map(|lease| lease.id());
        self.visits.borrow().iter().filter_map(id).collect()
    }

    /// Who ever was served, in that order, and where.
    fn places(&self) -> Vec<(u64, usize)> {
        let visits = self.visits.borrow();
        visits.iter().map(|visit| (visit.flow, visit.place)).collect()
    }

    /// Who ever was served, in that order.
    fn admitted(&self) -> Vec<u64> {
        self.visits.borrow().iter().map(|visit| visit.flow).collect()
    }
}

struct Stay(Rc<Visit>);

impl Drop for Stay {
    fn drop(&mut self) {
        self.0.gone.set(true);
        drop(self.0.lease.take());
    }
}

impl Service<Dispatch<(), u64>> for Backends {
    type Response = ();
    type Error = Undelivered<u64>;
    type Future = Pin<Box<dyn Future<Output = Result<(), Undelivered<u64>>>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let Readiness { is_reserved, waker } = &*self.readiness;
        if self.is_closed.get() && !is_reserved.get() {
            *waker.borrow_mut() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        is_reserved.set(true);
        waker.take();
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, Dispatch { lease, request }: Dispatch<(), u64>) -> Self::Future {
        assert!(self.readiness.is_reserved.take(), "called, and never ready");
        let visit = Rc::new(Visit {
            flow: request,
            place: lease.id().number() as usize,
            lease: RefCell::new(Some(lease)),
            end: RefCell::default(),
            waker: RefCell::default(),
            gone: Cell::new(false),
        });
        self.visits.borrow_mut().push(Rc::clone(&visit));
        let stay = Stay(visit);
        Box::pin(std::future::poll_fn(move |cx| {
            let Some(end) = *stay.0.end.borrow() else {
                *stay.0.waker.borrow_mut() = Some(cx.waker().clone());
                return Poll::Pending;
            };
            drop(stay.0.lease.take());
            Poll::Ready(end.map_err(|()| Undelivered::returned(request, "refused")))
        }))
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

type Outcome = Result<(), BalanceError>;

struct Task {
    flow: u64,
    future: Pin<Box<dyn Future<Output = Outcome>>>,
    woken: Arc<Flag>,
    readiness: Rc<Readiness>,
    was_polled: bool,
}

impl Task {
    /// Whether it waits for its service, and not for a backend.
    fn is_unready(&self) -> bool {
        self.readiness.waker.borrow().is_some()
    }

    fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::Relaxed)
    }
}

/// Flows, and an executor that polls a task only when it was woken: a wake-up that is lost shows.
struct Run {
    world: World,
    backends: Backends,
    director: Arc<Director<Sticky<u64>, ()>>,
    /// Of each flow, where it belongs, if anywhere.
    homes: Vec<Option<usize>>,
    /// Whether it waits there, and whether that was ever otherwise.
    waits: bool,
    has_moved: bool,
    tasks: Vec<Task>,
    done: Vec<(u64, Outcome)>,
    retries: usize,
}

const TIMEOUT: Duration = Duration::from_secs(5);

impl Run {
    fn new(limits: &[u32], room: usize) -> Self {
        let members = support::alphabet(&vec![1; limits.len()]);
        let members: Vec<_> = members.into_iter().zip(limits).map(limited).collect();
        let pool = Pool::new(members, &*Algorithm::Wlc.scheduler()).waiting_for_full(true);
        let queue = QueueConfig::new(NonZeroUsize::new(room).unwrap()).timeout(TIMEOUT);
        Self {
            world: World::new(),
            backends: Backends::default(),
            director: Arc::new(Director::new(pool).with_queue(queue)),
            homes: Vec::new(),
            waits: true,
            has_moved: false,
            tasks: Vec::new(),
            done: Vec::new(),
            retries: 3,
        }
    }

    /// One more flow, which gets as far as it can.
    fn flow(&mut self) -> u64 {
        let flow = self.call(None);
        self.run();
        flow
    }

    /// One more flow, which belongs to this backend.
    fn flow_of(&mut self, home: usize) -> u64 {
        let flow = self.call(Some(home));
        self.run();
        flow
    }

    /// One more flow, which nobody polls yet.
    fn call(&mut self, home: Option<usize>) -> u64 {
        let backends = self.backends.for_another();
        let readiness = Rc::clone(&backends.readiness);
        let (director, world) = (Arc::clone(&self.director), self.world.clone());
        let place = home.map(|home| director.pool().backends()[home].place());
        let key = move |flow: &u64| Sticky::new(*flow, place);
        let balance = Balance::with_env(director, key, world, backends);
        let flow = self.homes.len() as u64;
        self.homes.push(home);
        let future = Box::pin(balance.retries(self.retries).call(flow));
        let woken = Arc::new(Flag(AtomicBool::new(true)));
        self.tasks.push(Task { flow, future, woken, readiness, was_polled: false });
        flow
    }

    /// From now on services are ready, or not.
    fn set_closed(&self, closed: bool) {
        self.backends.is_closed.set(closed);
        let unready = self.tasks.iter().filter(|task| !closed && task.is_unready());
        let wakers = unready.map(|task| task.readiness.waker.borrow().clone());
        wakers.flatten().for_each(Waker::wake);
    }

    fn flows(&mut self, many: std::ops::Range<usize>) {
        for _ in many {
            self.flow();
        }
    }

    fn run(&mut self) {
        while let Some(place) =
            self.tasks.iter().position(|task| task.woken.0.swap(false, Ordering::Relaxed))
        {
            self.tasks[place].was_polled = true;
            let waker = Waker::from(Arc::clone(&self.tasks[place].woken));
            let polled = self.tasks[place].future.as_mut().poll(&mut Context::from_waker(&waker));
            if let Poll::Ready(outcome) = polled {
                let task = self.tasks.remove(place);
                self.done.push((task.flow, outcome));
            }
        }
    }

    fn end(&mut self, place: usize, outcome: Result<(), ()>) {
        self.backends.visits()[place].end(outcome);
        self.run();
    }

    fn advance(&mut self, time: Duration) {
        self.world.advance(time);
        self.run();
    }

    /// Whether this flow can be served at this backend.
    fn can_use(&self, flow: u64, at: usize) -> bool {
        !self.waits || self.homes[flow as usize].is_none_or(|home| home == at)
    }

    fn active(&self) -> Vec<u32> {
        self.director.pool().members().iter().map(|member| member.load.active()).collect()
    }

    fn outcome(&self, flow: u64) -> &Outcome {
        &self.done.iter().find(|(done, _)| *done == flow).unwrap().1
    }
}

fn limited((member, limit): ((Arc<Backend<()>>, Weight), &u32)) -> (Arc<Backend<()>>, Weight) {
    let (backend, weight) = member;
    let limits = NonZeroU32::new(*limit).map_or(Limits::NONE, |max| Limits::NONE.at_most(max));
    backend.set_limits(limits);
    (backend, weight)
}

#[test]
fn they_are_served_in_the_order_they_came() {
    let mut run = Run::new(&[1, 1], 10);
    run.flows(0..6);
    assert_eq!((run.active(), run.director.queued()), (vec![1, 1], 4));
    for served in 2..6 {
        run.end(0, Ok(()));
        assert_eq!(run.backends.admitted().len(), served + 1);
    }
    assert_eq!(run.backends.admitted(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(run.director.queued(), 0);
}

#[test]
fn whoever_asks_without_waiting_does_not_overtake() {
    let mut run = Run::new(&[1], 10);
    run.flow();
    run.flow();
    let now = run.world.now();
    let asked = run.director.assign(now, &Sticky::new(9, None), &[], &mut support::seeded(1));
    assert_eq!(asked.unwrap_err(), NoBackend::AllFull { full: 1 });
}

#[test]
fn a_full_queue_refuses_and_a_long_wait_ends() {
    let mut run = Run::new(&[1], 2);
    run.flows(0..4);
    assert!(matches!(run.outcome(3), Err(BalanceError::QueueFull { waiting: 2 })));
    run.advance(TIMEOUT - Duration::from_millis(1));
    assert_eq!(run.director.queued(), 2);
    run.advance(Duration::from_millis(1));
    for flow in [1, 2] {
        assert!(matches!(run.outcome(flow), Err(BalanceError::QueueTimeout { after: TIMEOUT })));
    }
    assert_eq!((run.director.queued(), run.active()), (0, vec![1]));
}

/// Who comes is told how many wait, and not how many may; and that it is full rather than that the
/// queue is, where there is none any more.
#[test]
fn a_queue_that_is_shortened_or_closed_says_so() {
    let mut run = Run::new(&[1], 3);
    run.flows(0..4);
    run.director.set_queue(Some(QueueConfig::new(NonZeroUsize::MIN)));
    let shortened = run.flow();
    assert!(matches!(run.outcome(shortened), Err(BalanceError::QueueFull { waiting: 3 })));
    run.director.set_queue(None);
    let closed = run.flow();
    let full = NoBackend::AllFull { full: 1 };
    assert!(matches!(run.outcome(closed), Err(BalanceError::NoBackend(why)) if *why == full));
    // Whoever waited already goes on.
    run.end(0, Ok(()));
    assert_eq!(run.backends.admitted(), [0, 1]);
}

#[test]
fn nobody_waits_for_backends_that_are_gone() {
    let mut run = Run::new(&[1], 2);
    run.flow();
    let waiting = run.flow();
    let nobody = Pool::out_of(&Census::of([(1, 0)]), [], &*Algorithm::Wlc.scheduler());
    run.director.publish(Arc::new(nobody));
    run.run();
    assert!(matches!(
        run.outcome(waiting),
        Err(BalanceError::NoBackend(NoBackend::AllDown { configured: 1 }))
    ));
}

#[test]
fn a_new_pool_lets_them_in() {
    let mut run = Run::new(&[1], 5);
    run.flows(0..4);
    let members = support::alphabet(&[1; 3]);
    let members = members[1..].iter().cloned().zip([&1, &1]).map(limited);
    let known = Arc::clone(&run.director.pool().backends()[0]);
    let members = members.chain([(known, Weight::ONE)]).collect::<Vec<_>>();
    run.director.publish(Arc::new(Pool::new(members, &*Algorithm::Wlc.scheduler())));
    run.run();
    assert_eq!((run.backends.admitted(), run.director.queued()), (vec![0, 1, 2], 1));
}

#[test]
fn who_cannot_use_a_place_lets_the_next_one_have_it() {
    let mut run = Run::new(&[1, 1], 5);
    let (first, second) = (run.flow(), run.flow());
    // The first one's backend refuses it; the other one is full.
    run.end(0, Err(()));
    assert_eq!((run.director.queued(), run.active().iter().sum::<u32>()), (1, 1));
    // The place that it left is of no use to it, but to whoever comes now.
    let third = run.flow();
    assert_eq!(run.backends.admitted(), [first, second, third]);
    run.end(0, Ok(()));
    assert_eq!(run.backends.admitted(), [first, second, third, first]);
}

#[test]
fn a_flow_that_was_refused_waits_no_longer_in_all() {
    let mut run = Run::new(&[1], 5);
    let (_first, second) = (run.flow(), run.flow());
    run.advance(TIMEOUT / 2);
    // Its turn comes, its backend refuses it, and it has tried everybody.
    let members = support::alphabet(&[1, 1]).into_iter().zip([&1, &1]).map(limited);
    let pool = Pool::new(members.collect::<Vec<_>>(), &*Algorithm::First.scheduler());
    let other = Arc::clone(&pool.backends()[1]);
    let kept = Lease::new(other);
    run.director.publish(Arc::new(pool));
    run.run();
    assert_eq!(run.backends.admitted(), [0, 1]);
    run.backends.visits().last().unwrap().end(Err(()));
    run.run();
    assert_eq!(run.director.queued(), 1, "the other one is full");
    run.advance(TIMEOUT / 2);
    assert!(matches!(run.outcome(second), Err(BalanceError::Exhausted { attempts: 1, .. })));
    drop(kept);
}

#[test]
fn a_flow_that_was_refused_has_its_place_again() {
    for full in [false, true] {
        let mut run = Run::new(&[1], if full { 3 } else { 5 });
        // The second has the first one's place and is refused; others came meanwhile.
        run.flows(0..4);
        let members = support::alphabet(&[1, 1]).into_iter().zip([&1, &1]).map(limited);
        let pool = Pool::new(members.collect::<Vec<_>>(), &*Algorithm::First.scheduler());
        let kept = Lease::new(Arc::clone(&pool.backends()[1]));
        run.director.publish(Arc::new(pool));
        run.run();
        assert_eq!((run.backends.admitted(), run.director.queued()), (vec![0, 1], 2));
        // Whoever comes takes the room that it left, if there is no other.
        run.flow();
        assert_eq!(run.director.queued(), 3);
        run.backends.visits().last().unwrap().end(Err(()));
        run.run();
        // The place that it left is of no use to it: the third has that.
        assert_eq!((run.backends.admitted(), run.director.queued()), (vec![0, 1, 2], 3));
        drop(kept);
        run.director.publish(run.director.pool());
        run.run();
        assert_eq!(run.backends.admitted(), [0, 1, 2, 1], "before the fourth");
        assert!(run.done.iter().all(|(_, outcome)| outcome.is_ok()));
    }
}

#[test]
fn a_wait_without_end_does_not_overflow() {
    let mut run = Run::new(&[1], 5);
    let for_ever = QueueConfig::new(NonZeroUsize::MIN).timeout(Duration::MAX);
    run.director.set_queue(Some(for_ever));
    run.flows(0..2);
    run.advance(Duration::from_secs(1_000_000));
    assert_eq!(run.director.queued(), 1);
}

#[test]
fn limits_that_a_pool_does_not_know_yet_hold_all_the_same() {
    for algorithm in Algorithm::ALL {
        let members = support::alphabet(&[1, 1]);
        let pool = Pool::new(members.clone(), &*algorithm.scheduler());
        // A new configuration limits the same backends before its pool is published.
        let kept: Vec<_> = members.iter().map(|(one, _)| Lease::new(Arc::clone(one))).collect();
        let [first, second] = [0, 1].map(|at: usize| Arc::clone(&members[at].0));
        first.set_limits(Limits::NONE.at_most(NonZeroU32::MIN));
        let director = Director::<u64, ()>::new(pool);
        let mut rng = support::seeded(1);
        for flow in 0..20 {
            let lease = director.assign(support::start(), &flow, &[], &mut rng).unwrap();
            assert_eq!(lease.name(), second.name(), "{algorithm}");
        }
        second.set_limits(Limits::NONE.at_most(NonZeroU32::MIN));
        let refused = director.assign(support::start(), &0, &[], &mut rng).unwrap_err();
        assert_eq!(refused, NoBackend::AllFull { full: 2 }, "{algorithm}");
        drop(kept);
    }
}

/// Chooses the first, whatever anybody says.
#[derive(Debug)]
struct Stubborn;

impl Scheduler for Stubborn {
    fn rebuild(&self, _: &[Member]) -> Arc<dyn Scheduler> {
        Arc::new(Self)
    }

    fn pick(&self, _: &[Member], _: &Flow<'_>, _: &mut dyn Rng) -> Option<usize> {
        Some(0)
    }
}

#[test]
fn a_scheduler_that_minds_no_limits_is_not_asked_for_ever() {
    let members = support::alphabet(&[1, 1]).into_iter().zip([&1, &1]).map(limited);
    let director = Director::<u64, ()>::new(Pool::new(members.collect::<Vec<_>>(), &Stubborn));
    let assign = || director.assign(support::start(), &0, &[], &mut support::seeded(1));
    let _kept = assign().unwrap();
    assert_eq!(assign().unwrap_err(), NoBackend::AllFull { full: 2 });
}

/// Who comes while services are not ready holds no place, neither at a backend nor in the line.
#[test]
fn a_service_that_becomes_ready_late_keeps_nobody_else() {
    let mut run = Run::new(&[1], 5);
    run.flow();
    run.set_closed(true);
    let late = run.flow();
    assert_eq!((run.active(), run.director.queued()), (vec![1], 0));
    run.set_closed(false);
    run.run();
    assert_eq!((run.active(), run.director.queued()), (vec![1], 1));
    run.end(0, Ok(()));
    assert_eq!(run.backends.admitted(), [0, late]);
}

/// Publishes the same backends, but for some, with clients of full ones waiting or served elsewhere.
fn publish(run: &Run, but: &[usize], waits: bool) {
    let pool = run.director.pool();
    let stays = |(at, backend): (usize, &Arc<Backend<()>>)| {
        (!but.contains(&at)).then(|| (Arc::clone(backend), Weight::ONE))
    };
    let members: Vec<_> = pool.backends().iter().enumerate().filter_map(stays).collect();
    let pool = Pool::new(members, &**pool.scheduler()).waiting_for_full(waits);
    run.director.publish(Arc::new(pool));
}

#[test]
fn who_waits_for_its_own_backend_keeps_nobody_from_any_other() {
    let mut run = Run::new(&[1, 2], 2);
    let there = run.flow_of(0);
    let waiting = run.flow_of(0);
    let (first, second) = (run.flow(), run.flow());
    assert_eq!(run.backends.admitted(), [there, first, second]);
    // Nor whoever asks without waiting, who is not to have what is claimed.
    run.end(1, Ok(()));
    let now = run.world.now();
    let asked = run.director.assign(now, &Sticky::new(9, None), &[], &mut support::seeded(1));
    assert_eq!(asked.as_ref().unwrap().id(), BackendId::new(1));
    // There is room for one more in the line, and it is first come, first served.
    let [any, own] = [run.flow(), run.flow_of(0)];
    assert!(matches!(run.outcome(own), Err(BalanceError::QueueFull { waiting: 2 })));
    drop(asked);
    run.run();
    run.end(0, Ok(()));
    assert_eq!(run.backends.admitted(), [there, first, second, any, waiting]);
    assert_eq!((run.active(), run.director.queued()), (vec![1, 2], 0));
}

#[test]
fn what_is_waited_for_is_not_taken_by_whoever_comes_later() {
    let mut run = Run::new(&[1, 1], 5);
    let there = run.flow_of(0);
    let other = run.flow_of(1);
    let (own, any) = (run.flow_of(0), run.flow());
    // Its place is free, and nobody has heard of it yet.
    run.backends.visits()[0].end(Ok(()));
    run.tasks[0].woken.0.store(false, Ordering::Relaxed);
    drop(run.tasks.remove(0));
    let later = run.call(None);
    // Whoever came last is first to try.
    run.tasks.reverse();
    run.run();
    assert_eq!(run.backends.admitted(), [there, other, own]);
    run.end(0, Ok(()));
    assert_eq!(run.backends.admitted(), [there, other, own, any]);
    run.end(0, Ok(()));
    assert_eq!(run.backends.admitted(), [there, other, own, any, later]);
}

#[test]
fn whoever_was_there_first_has_the_place_that_both_can_use() {
    let mut run = Run::new(&[1], 5);
    let there = run.flow_of(0);
    let (any, own, last) = (run.flow(), run.flow_of(0), run.flow());
    for _ in 0..3 {
        run.end(0, Ok(()));
    }
    assert_eq!(run.backends.admitted(), [there, any, own, last]);
}

#[test]
fn who_comes_for_its_own_backend_does_not_overtake_either() {
    let mut run = Run::new(&[1], 5);
    let there = run.flow();
    let any = run.flow();
    // The place is free, and whoever waits for it has not heard of it yet.
    drop(run.tasks.remove(0));
    let own = run.call(Some(0));
    run.tasks.reverse();
    run.run();
    assert_eq!(run.backends.admitted(), [there, any]);
    run.end(0, Ok(()));
    assert_eq!(run.backends.admitted(), [there, any, own]);
}

#[test]
fn a_wait_for_its_own_backend_ends_like_any_other() {
    let mut run = Run::new(&[1, 1], 5);
    run.flow_of(0);
    let waiting = run.flow_of(0);
    run.advance(TIMEOUT);
    assert!(matches!(run.outcome(waiting), Err(BalanceError::QueueTimeout { after: TIMEOUT })));
    // Refused by the backend that it has waited for, it is served elsewhere.
    let again = run.flow_of(0);
    run.end(0, Ok(()));
    run.end(0, Err(()));
    let places = run.backends.visits();
    assert_eq!(places[0].flow, again);
    assert_eq!(run.active(), [0, 1]);
}

#[test]
fn whose_backend_is_not_one_to_wait_for_any_more_goes_elsewhere() {
    // One after the other, and whoever finds no room there waits in the order in which it came.
    for (gone, waits) in [(&[0][..], true), (&[][..], false)] {
        let mut run = Run::new(&[1, 1], 5);
        run.flow_of(0);
        let own = [run.flow_of(0), run.flow_of(0), run.flow_of(0)];
        publish(&run, gone, waits);
        run.run();
        assert_eq!(run.backends.admitted(), [0, own[0]]);
        let last = run.flow();
        run.end(1, Ok(()));
        assert_eq!(run.backends.admitted(), [0, own[0], own[1]]);
        run.end(1, Ok(()));
        run.end(1, Ok(()));
        assert_eq!(run.backends.admitted(), [0, own[0], own[1], own[2], last]);
    }
}

/// Nobody has to wait for its own backend in a line that is closed.
#[test]
fn whoever_may_not_wait_is_served_elsewhere() {
    let mut run = Run::new(&[1, 1], 5);
    run.flow_of(0);
    let waiting = run.flow_of(0);
    run.director.set_queue(None);
    let moved = run.flow_of(0);
    assert_eq!((run.backends.admitted(), run.active()), (vec![0, moved], vec![1, 1]));
    let full = run.flow_of(0);
    let all = NoBackend::AllFull { full: 2 };
    assert!(matches!(run.outcome(full), Err(BalanceError::NoBackend(why)) if *why == all));
    run.end(0, Ok(()));
    assert_eq!(run.backends.admitted(), [0, moved, waiting]);
}

/// Its backend drains, so that nobody but its clients can use the place; those who wait for any other
/// are first in line all the same.
#[test]
fn whose_backend_is_of_no_use_to_those_before_is_called_past_them() {
    let mut run = Run::new(&[1, 1], 5);
    let weights = [Weight::ZERO, Weight::ONE];
    let members = run.director.pool().backends().iter().cloned().zip(weights).collect::<Vec<_>>();
    let pool = Pool::new(members, &*Algorithm::Wlc.scheduler()).waiting_for_full(true);
    run.director.publish(Arc::new(pool));
    let there = run.flow_of(0);
    let other = run.flow();
    let (any, own) = (run.flow(), run.flow_of(0));
    run.end(0, Ok(()));
    assert_eq!(run.backends.admitted(), [there, other, own]);
    // And one for which there is room when it comes.
    run.end(1, Ok(()));
    let next = run.flow_of(0);
    assert_eq!(run.backends.admitted(), [there, other, own, next]);
    run.end(0, Ok(()));
    assert_eq!(run.backends.admitted(), [there, other, own, next, any]);
}

#[derive(Clone, Debug)]
enum Step {
    /// Of a client that belongs somewhere, or nowhere.
    Flow(Option<usize>),
    /// Called, and not polled before something else wakes everybody.
    Call(Option<usize>),
    End {
        place: usize,
        refuses: bool,
    },
    Drop {
        place: usize,
    },
    Wait {
        millis: u64,
    },
    /// Services are ready, or not.
    Close(bool),
    /// Clients of full backends wait for them from now on, or not.
    Publish(bool),
    /// What this wakes has not run when the next step comes.
    Unheard(Box<Self>),
}

fn step() -> impl Strategy<Value = Step> {
    let heard = heard().boxed();
    let unheard = heard.clone().prop_map(|step| Step::Unheard(Box::new(step)));
    prop_oneof![3 => heard, 1 => unheard]
}

fn home() -> impl Strategy<Value = Option<usize>> {
    option::weighted(0.4, 0..3_usize)
}

fn heard() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => home().prop_map(Step::Flow),
        1 => home().prop_map(Step::Call),
        1 => proptest::bool::weighted(0.4).prop_map(Step::Close),
        1 => proptest::bool::weighted(0.7).prop_map(Step::Publish),
        3 => (0..64_usize, proptest::bool::weighted(0.3))
            .prop_map(|(place, refuses)| Step::End { place, refuses }),
        2 => (0..64_usize).prop_map(|place| Step::Drop { place }),
        1 => (0..6_000_u64).prop_map(|millis| Step::Wait { millis }),
    ]
}

impl Run {
    fn take(&mut self, step: &Step) {
        self.take_unheard(step);
        if !matches!(step, Step::Call(_) | Step::Unheard(_)) {
            self.run();
        }
    }

    fn take_unheard(&mut self, step: &Step) {
        match step {
            Step::Flow(home) | Step::Call(home) => {
                let backends = self.active().len();
                self.call(home.map(|home| home % backends));
            }
            Step::End { place, refuses } => {
                let visits = self.backends.visits();
                if let Some(visit) = visits.get(place % visits.len().max(1)) {
                    visit.end(if *refuses { Err(()) } else { Ok(()) });
                }
            }
            Step::Drop { place } => {
                if !self.tasks.is_empty() {
                    drop(self.tasks.remove(place % self.tasks.len()));
                }
            }
            Step::Wait { millis } => self.world.advance(Duration::from_millis(*millis)),
            Step::Close(closed) => self.set_closed(*closed),
            Step::Publish(waits) => {
                self.waits = *waits;
                self.has_moved |= !*waits;
                publish(self, &[], *waits);
            }
            Step::Unheard(step) => self.take_unheard(step),
        }
    }
}

/// What holds between any two steps.
fn exact(run: &Run, limits: &[u32], room: usize) -> TestCaseResult {
    let holders = run.backends.holders();
    let mut counted = vec![0; limits.len()];
    holders.iter().for_each(|holder| counted[holder.number() as usize] += 1);
    prop_assert_eq!(&run.active(), &counted, "who is there is counted, nobody else");
    let too_many = counted.iter().zip(limits).any(|(count, limit)| count > limit);
    prop_assert_eq!(too_many, false, "{:?} of {:?}", counted, limits);
    let ready = run.tasks.iter().filter(|task| task.was_polled && !task.is_unready());
    let waiting = ready.clone().count() - holders.len();
    prop_assert_eq!(run.director.queued(), waiting, "who waits is in the queue, nobody else");
    // Those who have their places again beside.
    let admitted = run.backends.admitted();
    let newcomers = ready.filter(|task| !admitted.contains(&task.flow)).count();
    prop_assert_eq!(newcomers > room, false);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn dropped_at_any_moment_counts_stay_exact_and_nobody_is_stuck(
        limits in vec(1..4_u32, 1..4),
        room in 1..6_usize,
        steps in vec(step(), 1..80),
    ) {
        let mut run = Run::new(&limits, room);
        for step in steps {
            run.take(&step);
            exact(&run, &limits, room)?;
            // Nobody but those that were refused themselves waits while there is room, once all that
            // were woken have run.
            let refused: Vec<u64> = run.backends.admitted();
            let fresh = |task: &&Task| !refused.contains(&task.flow) && !task.is_unready();
            if run.tasks.iter().any(Task::is_woken) {
                continue;
            }
            for waiting in run.tasks.iter().filter(fresh) {
                let free = |&at: &usize| run.active()[at] < limits[at];
                let place = (0..limits.len()).filter(free).find(|&at| run.can_use(waiting.flow, at));
                prop_assert_eq!(place, None, "{} waits beside a free place", waiting.flow);
            }
        }
        // First come, first served: nobody is served where somebody could be who came before. What was
        // once for some of them may have been for all since.
        let mut seen = Vec::<(u64, usize)>::new();
        for (flow, place) in run.backends.places() {
            if !run.has_moved && !seen.iter().any(|&(other, _)| other == flow) {
                let before = |&&(other, at): &&(u64, usize)| other > flow && run.can_use(flow, at);
                prop_assert_eq!(seen.iter().find(before), None, "{} was overtaken", flow);
                seen.push((flow, place));
            }
        }
        run.tasks.clear();
        prop_assert_eq!((run.active(), run.director.queued()), (vec![0; limits.len()], 0));
        // And after all that the queue still works.
        run.set_closed(false);
        let flow = run.flow();
        prop_assert_eq!(run.backends.admitted().pop(), Some(flow));
    }
}

#[test]
fn threads_never_exceed_a_limit() {
    let backend = limited((support::alphabet(&[1]).remove(0), &3));
    let director =
        Arc::new(Director::<u64, ()>::new(Pool::new([backend], &*Algorithm::Rr.scheduler())));
    let now = support::start();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let director = &director;
            scope.spawn(move || {
                let mut rng = support::seeded(thread);
                for _ in 0..20_000 {
                    if let Ok(lease) = director.assign(now, &thread, &[], &mut rng) {
                        assert!(lease.load().active() <= 3);
                    }
                }
            });
        }
    });
    assert_eq!(director.pool().backend(BackendId::new(0)).unwrap().load().active(), 0);
}
