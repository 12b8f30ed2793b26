//! What a discovery finds is what the director has: one publication for everything that is ready,
//! identities and counters for as long as a key is there, and nobody lost by an error.
#![cfg(all(feature = "service", feature = "tokio"))]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::stream;
use lb_core::backend::BackendId;
use lb_core::env::{SystemEnv, TokioEnv};
use lb_core::health::Admin;
use lb_core::pool::{Member, NoBackend};
use lb_core::quorum::QuorumRule;
use lb_core::service::{Balance, Discovery, DiscoveryError};
use lb_core::virtual_server::{
    BackendConfig, BackendState, ConfigError, Event, SorryMode, SorryServer, VirtualServerConfig,
};
use lb_core::{Algorithm, Director, Flow, Health, Lease, Pool, Scheduler, Weight};
use proptest::collection::vec;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, proptest,
};
use rand::Rng;
use tower::discover::{Change, Discover, ServiceList};
use tower::{Service, service_fn};
use tower_test::mock;

type Found = Result<Change<&'static str, u32>, &'static str>;

const fn insert(key: &'static str, endpoint: u32) -> Found {
    Ok(Change::Insert(key, endpoint))
}

const fn remove(key: &'static str) -> Found {
    Ok(Change::Remove(key))
}

fn director<E>() -> Arc<Director<(), E>> {
    Arc::new(Director::new(Pool::empty(&*Algorithm::Rr.scheduler_at(0))))
}

/// Names, weights and endpoints, in the scheduler's order.
fn members<E: Copy>(director: &Director<(), E>) -> Vec<(String, u16, E)> {
    let pool = director.pool();
    let named = pool.backends().iter().zip(pool.members());
    named
        .map(|(backend, member)| {
            (backend.name().to_owned(), member.weight.value(), *backend.endpoint())
        })
        .collect()
}

fn names<E>(director: &Director<(), E>) -> String {
    director.pool().backends().iter().map(|backend| backend.name().to_owned()).collect()
}

/// Everything that is told until it waits or ends, and whether it has ended.
fn run<D, E, F>(discovery: &mut Discovery<D, (), E, F>) -> (Vec<Result<Event, String>>, bool)
where
    D: Discover<Error = &'static str> + Unpin,
    D::Key: std::hash::Hash,
    E: Clone,
    F: FnMut(&D::Key, D::Service) -> BackendConfig<E>,
{
    let mut told = Vec::new();
    loop {
        match pin!(discovery.next()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(one)) => told.push(one.map_err(|error| error.to_string())),
            Poll::Ready(None) => return (told, true),
            Poll::Pending => return (told, false),
        }
    }
}

/// A discovery whose next finds are sent by hand.
#[expect(clippy::type_complexity, reason = "it is said once")]
fn by_hand() -> (
    UnboundedSender<Found>,
    Arc<Director<(), u32>>,
    Discovery<UnboundedReceiver<Found>, (), u32, fn(&&'static str, u32) -> BackendConfig<u32>>,
) {
    let (changes, discover) = unbounded();
    let director = director();
    let discovery = Discovery::new(discover, Arc::clone(&director));
    (changes, director, discovery)
}

fn tell(changes: &UnboundedSender<Found>, found: impl IntoIterator<Item = Found>) {
    for one in found {
        changes.unbounded_send(one).unwrap();
    }
}

#[test]
fn what_is_ready_is_published_together() {
    let (changes, director, mut discovery) = by_hand();
    assert_eq!(run(&mut discovery), (vec![], false));
    assert_eq!(director.pool().generation(), 0, "nothing was found, nothing is said");

    tell(&changes, [insert("b", 2), insert("a", 1), insert("x", 9), insert("c", 3), remove("x")]);
    let (told, ended) = run(&mut discovery);
    assert!(matches!(*told, [Ok(Event::QuorumGained { .. })]) && !ended, "{told:?}");
    assert_eq!(
        members(&director),
        [1, 2, 3].map(|n| (["a", "b", "c"][n as usize - 1].into(), 1, n))
    );
    let first = director.pool().generation();

    tell(&changes, [remove("a"), insert("d", 4)]);
    assert_eq!(run(&mut discovery), (vec![], false));
    assert_eq!((names(&director).as_str(), director.pool().generation()), ("bcd", first + 1));

    tell(&changes, [remove("nobody")]);
    run(&mut discovery);
    assert_eq!(director.pool().generation(), first + 1, "nothing changed, nothing is said");
}

#[test]
fn a_pool_that_is_there_serves_until_something_is_found() {
    let backend = lb_core::Backend::new(BackendId::new(0), "seed", 0);
    let pool = Pool::new([(Arc::new(backend), Weight::ONE)], &*Algorithm::Rr.scheduler_at(0));
    let director = Arc::new(Director::<(), u32>::new(pool));
    let found = stream::iter([Err("not yet"), insert("a", 1)]);
    let mut discovery = Discovery::new(found, Arc::clone(&director));
    let Poll::Ready(Some(Err(DiscoveryError::Discover("not yet")))) = poll(&mut discovery) else {
        panic!("the error is told");
    };
    assert_eq!(names(&director), "seed");
    run(&mut discovery);
    assert_eq!(names(&director), "a");
}

#[test]
fn a_known_key_keeps_identity_and_counters() {
    let (changes, director, mut discovery) = by_hand();
    tell(&changes, [insert("a", 1)]);
    run(&mut discovery);
    let before = Arc::clone(&director.pool().backends()[0]);
    let under_way = Lease::new(Arc::clone(&before));
    drop(Lease::new(Arc::clone(&before)));

    tell(&changes, [insert("a", 2)]);
    run(&mut discovery);
    let after = Arc::clone(&director.pool().backends()[0]);
    assert_eq!((after.id(), *after.endpoint(), *under_way.endpoint()), (before.id(), 2, 1));
    assert_eq!((after.load().active(), after.load().total()), (1, 2));
    drop(under_way);
    assert_eq!(after.load().active(), 0);

    tell(&changes, [remove("a"), insert("a", 3)]);
    run(&mut discovery);
    let again = Arc::clone(&director.pool().backends()[0]);
    assert_eq!((again.id(), *again.endpoint(), again.load().total()), (before.id(), 3, 2));
}

#[test]
fn who_was_gone_comes_back_as_somebody_new() {
    let (changes, director, mut discovery) = by_hand();
    tell(&changes, [insert("a", 1), insert("b", 2)]);
    run(&mut discovery);
    let before = Arc::clone(&director.pool().backends()[0]);
    drop(Lease::new(Arc::clone(&before)));
    tell(&changes, [remove("a")]);
    run(&mut discovery);
    assert_eq!(names(&director), "b");
    tell(&changes, [insert("a", 1)]);
    run(&mut discovery);
    let after = Arc::clone(&director.pool().backends()[0]);
    assert_ne!(after.id(), before.id());
    assert_eq!(after.load().total(), 0);
}

#[test]
fn an_error_loses_nobody() {
    let (changes, director, mut discovery) = by_hand();
    tell(&changes, [insert("a", 1), Err("unreachable"), insert("b", 2)]);
    // What came before the error is there by the time that it is told.
    let Poll::Ready(Some(Err(DiscoveryError::Discover("unreachable")))) = poll(&mut discovery)
    else {
        panic!("the error is told");
    };
    assert_eq!(names(&director), "a");
    let (told, ended) = run(&mut discovery);
    assert!(matches!(*told, [Ok(Event::QuorumGained { .. })]) && !ended, "{told:?}");
    assert_eq!(names(&director), "ab");
}

#[test]
fn it_ends_with_the_discovery_and_serves_on() {
    let (changes, director, mut discovery) = by_hand();
    tell(&changes, [insert("a", 1), insert("b", 2)]);
    drop(changes);
    assert!(run(&mut discovery).1);
    assert!(run(&mut discovery).1, "it may be asked again");
    assert_eq!(names(&director), "ab");

    // Whoever administers it still can.
    let first = discovery.server().backends().next().unwrap().id;
    assert!(discovery.server_mut().set_admin(support::start(), first, Admin::Maintenance));
    assert!(run(&mut discovery).1);
    assert_eq!(names(&director), "b");
    drop(discovery);
    assert_eq!(names(&director), "b");
}

#[test]
fn a_list_is_a_discovery() {
    let services = (0..12).map(|n| service_fn(move |_: ()| async move { Ok::<_, Infallible>(n) }));
    let director = director();
    let mut discovery = Discovery::new(ServiceList::new::<()>(services), Arc::clone(&director));
    while let Poll::Ready(Some(told)) = poll(&mut discovery) {
        assert!(told.is_ok());
    }
    assert_eq!(director.pool().backends().len(), 12);
    let mut balance = Balance::over_services(director, |(): &()| ());
    let Poll::Ready(Ok(answer)) = poll_once(balance.call(())) else { panic!("nobody answered") };
    assert!(answer < 12);
}

#[test]
fn weights_and_names_are_the_embedders() {
    let found = [
        Ok(Change::Insert(("eu", 1), 3)),
        Ok(Change::Insert(("us", 2), 0)),
        Ok(Change::Insert(("eu", 2), 5)),
        Ok::<_, &str>(Change::Insert(("eu", 1), 7)),
    ];
    let director = director();
    let mut discovery = Discovery::configured_by(
        stream::iter(found),
        Arc::clone(&director),
        |(region, number), weight: u16| {
            let backend = BackendConfig::new(format!("{region}{number}"), u64::from(weight));
            backend.weighing(weight).initially_up()
        },
    );
    run(&mut discovery);
    let expected = [("eu1", 7, 7), ("eu2", 5, 5), ("us2", 0, 0)];
    assert_eq!(members(&director), expected.map(|(name, weight, e)| (name.into(), weight, e)));
}

#[test]
fn two_keys_do_not_share_a_name() {
    let (changes, discover) = unbounded::<Found>();
    let director = director();
    // By the first letter alone.
    let mut discovery =
        Discovery::configured_by(discover, Arc::clone(&director), |key: &&str, n| {
            BackendConfig::new(&key[..1], n).initially_up()
        });
    tell(&changes, [insert("apple", 1), insert("avocado", 2), insert("banana", 3)]);
    let Poll::Ready(Some(Err(DiscoveryError::Config(refusal)))) = poll(&mut discovery) else {
        panic!("the twin is told");
    };
    assert_eq!(refusal, ConfigError::DuplicateBackend { name: "a".into() });
    run(&mut discovery);
    let expected = vec![("a".to_owned(), 1, 1), ("b".into(), 1, 3)];
    assert_eq!(members(&director), expected);

    // It was never there, and so nothing goes with it.
    tell(&changes, [remove("avocado")]);
    run(&mut discovery);
    assert_eq!(members(&director), expected);
    tell(&changes, [remove("apple"), insert("avocado", 2)]);
    run(&mut discovery);
    assert_eq!(names(&director), "ab");
}

#[test]
fn a_key_may_take_another_name() {
    let (changes, discover) = unbounded::<Found>();
    let director = director();
    let mut discovery =
        Discovery::configured_by(discover, Arc::clone(&director), |key: &&str, version| {
            BackendConfig::new(format!("{key}{version}"), version).initially_up()
        });
    tell(&changes, [insert("a", 1), insert("b", 1)]);
    run(&mut discovery);
    let first = director.pool().backends()[0].id();
    tell(&changes, [insert("a", 2)]);
    run(&mut discovery);
    assert_eq!(names(&director), "a2b1");
    assert_ne!(director.pool().backends()[0].id(), first);
    tell(&changes, [remove("a")]);
    run(&mut discovery);
    assert_eq!(names(&director), "b1");
}

#[test]
fn checked_backends_wait_for_a_verdict() {
    let (changes, discover) = unbounded::<Found>();
    let director = director();
    let mut discovery =
        Discovery::configured_by(discover, Arc::clone(&director), |key: &&str, n| {
            BackendConfig::new(*key, n)
        });
    tell(&changes, [insert("a", 1), insert("b", 2)]);
    run(&mut discovery);
    let nobody = director.assign(support::start(), &(), &[], &mut support::Zeros).unwrap_err();
    assert_eq!(nobody, NoBackend::AllDown { configured: 2 });

    let ids: Vec<_> = discovery.server().backends().map(|backend| backend.id).collect();
    discovery.server_mut().handle_health(support::start(), ids[1], Health::UP);
    let (told, _) = run(&mut discovery);
    assert!(matches!(*told, [Ok(Event::BackendUp { .. }), Ok(Event::QuorumGained { .. })]));
    assert_eq!(names(&director), "b");

    // A new endpoint is still the same backend.
    tell(&changes, [insert("b", 3)]);
    run(&mut discovery);
    assert_eq!(members(&director), [("b".to_owned(), 1, 3)]);
    let states: Vec<_> = discovery.server().backends().map(|backend| backend.state).collect();
    assert_eq!(states, [BackendState::Warming, BackendState::Up]);
}

/// Whoever is there, and the share that it has: 1, or sixteenths if anybody has less.
fn shares(director: &Director<(), u32>) -> Vec<u16> {
    director.pool().members().iter().map(|member| member.warmth.value()).collect()
}

#[tokio::test(start_paused = true)]
async fn who_is_found_beside_others_begins_slowly() {
    let (changes, discover) = unbounded();
    let director = director();
    let template = VirtualServerConfig::of([]).with_slow_start(Duration::from_secs(16));
    let mut discovery =
        Discovery::new(discover, Arc::clone(&director)).with_config(template, TokioEnv).unwrap();
    tell(&changes, [insert("a", 1), insert("b", 2)]);
    run(&mut discovery);
    assert_eq!(shares(&director), [1, 1], "nobody else is there");

    tell(&changes, [insert("c", 3)]);
    run(&mut discovery);
    assert_eq!(shares(&director), [16, 16, 1]);
    tokio::time::advance(Duration::from_secs(8)).await;
    run(&mut discovery);
    assert_eq!(shares(&director), [16, 16, 8]);
    // What is found meanwhile does not begin it again, and its end is not the discovery's.
    tell(&changes, [insert("c", 4), insert("d", 5)]);
    drop(changes);
    assert!(!run(&mut discovery).1);
    assert_eq!(shares(&director), [16, 16, 8, 1]);
    let begun = tokio::time::Instant::now();
    assert!(discovery.next().await.is_none());
    assert_eq!(begun.elapsed().as_secs(), 16);
    assert_eq!(shares(&director), [1, 1, 1, 1]);
}

#[test]
fn too_few_that_are_found_are_no_quorum() {
    let (changes, discover) = unbounded::<Found>();
    let director = director();
    let sorry = SorryServer::new(BackendConfig::new("sorry", 0), SorryMode::QuorumLost);
    let template = VirtualServerConfig::of([BackendConfig::new("of the template", 9)])
        .with_quorum(QuorumRule::new(2, 0).unwrap())
        .with_sorry(sorry);
    let mut discovery =
        Discovery::new(discover, Arc::clone(&director)).with_config(template, SystemEnv).unwrap();
    assert_eq!(run(&mut discovery), (vec![], false));
    assert_eq!(director.pool().generation(), 0, "nothing was found, nothing is said");

    tell(&changes, [insert("a", 1)]);
    assert_eq!(run(&mut discovery), (vec![], false));
    assert_eq!(names(&director), "sorry");
    tell(&changes, [insert("b", 2)]);
    let (told, _) = run(&mut discovery);
    assert!(matches!(*told, [Ok(Event::QuorumGained { .. })]), "{told:?}");
    assert_eq!(names(&director), "ab");
    tell(&changes, [remove("a")]);
    let (told, _) = run(&mut discovery);
    assert!(matches!(*told, [Ok(Event::QuorumLost { .. })]), "{told:?}");
    assert_eq!(names(&director), "sorry");
}

#[tokio::test(start_paused = true)]
async fn clients_of_who_drains_are_kept_for_as_long_as_the_template_says() {
    let (changes, discover) = unbounded::<Found>();
    let director = director();
    let template = VirtualServerConfig::of([]).with_drain_timeout(Duration::from_secs(5));
    // Found with their weight.
    let weighed = |key: &&str, weight: u32| {
        BackendConfig::new(*key, weight).weighing(weight as u16).initially_up()
    };
    let mut discovery = Discovery::configured_by(discover, Arc::clone(&director), weighed)
        .with_config(template, TokioEnv)
        .unwrap();
    tell(&changes, [insert("a", 1), insert("b", 0)]);
    run(&mut discovery);
    assert_eq!(names(&director), "ab");
    drop(changes);
    assert!(discovery.next().await.is_none());
    assert_eq!(names(&director), "a");
}

#[test]
fn few_that_live_are_not_believed_if_the_template_says_so() {
    let (changes, discover) = unbounded::<Found>();
    let director = director();
    let template = VirtualServerConfig::of([]).panicking_below(50);
    let checked = |key: &&str, endpoint| BackendConfig::new(*key, endpoint);
    let mut discovery = Discovery::configured_by(discover, Arc::clone(&director), checked)
        .with_config(template, SystemEnv)
        .unwrap();
    tell(&changes, [insert("a", 1), insert("b", 2), insert("c", 3)]);
    run(&mut discovery);
    let ids: Vec<_> = discovery.server().backends().map(|backend| backend.id).collect();
    for (id, health) in ids.into_iter().zip([Health::UP, Health::Down, Health::Down]) {
        discovery.server_mut().handle_health(support::start(), id, health);
    }
    run(&mut discovery);
    assert_eq!(names(&director), "abc");
}

#[test]
fn a_template_that_contradicts_itself_is_refused() {
    let (_changes, _, discovery) = by_hand();
    let template = VirtualServerConfig::of([]).panicking_below(101);
    let refused = discovery.with_config(template, SystemEnv).map(drop).unwrap_err();
    assert_eq!(refused, ConfigError::PanicBelow { percent: 101 });
}

/// Counts how often it is rebuilt.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Scheduler for Counted {
    fn rebuild(&self, _: &[Member]) -> Arc<dyn Scheduler> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self(Arc::clone(&self.0)))
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, _: &mut dyn Rng) -> Option<usize> {
        members.iter().position(|member| flow.may_use(member))
    }
}

struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn an_endless_discovery_neither_starves_nor_rebuilds_twice() {
    let rebuilds = Arc::new(AtomicUsize::new(0));
    let scheduler = Counted(Arc::clone(&rebuilds));
    let director = Arc::new(Director::<(), _>::new(Pool::empty(&scheduler)));
    let keys = (0_u64..).map(|n| Ok::<_, Infallible>(Change::Insert(n % 5000, n)));
    let mut discovery = Discovery::new(stream::iter(keys), Arc::clone(&director));
    let woken = Arc::new(Woken(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut found = 0;
    while found < 5000 {
        let counts = || (rebuilds.load(Ordering::Relaxed), woken.0.load(Ordering::Relaxed));
        let before = counts();
        let polled = Pin::new(&mut discovery).poll_next(&mut Context::from_waker(&waker));
        let after = counts();
        assert!(after.0 - before.0 <= 1, "one publication a round");
        assert!(polled.is_ready() || after.1 > before.1, "somebody has to poll it again");
        let now = director.pool().backends().len();
        assert!(polled.is_ready() || now > found, "every round gets on");
        found = now;
    }
}

#[test]
fn what_was_told_is_taken_before_more_is_taken_up() {
    let (changes, director, mut discovery) = by_hand();
    tell(&changes, [insert("a", 1), Err("hiccup")]);
    assert!(poll(&mut discovery).is_ready());
    tell(&changes, [insert("b", 2)]);
    // Still the events of the first round.
    assert!(poll(&mut discovery).is_ready());
    assert_eq!(names(&director), "a");
    assert!(poll(&mut discovery).is_pending());
    assert_eq!(names(&director), "ab");
}

/// A service is replaced under a flow that is under way: the flow ends where it began.
#[test]
fn flows_end_where_they_are_and_begin_where_they_should() {
    let (old, mut old_handle) = mock::pair::<&'static str, &'static str>();
    let (new, mut new_handle) = mock::pair::<&'static str, &'static str>();
    let (changes, discover) = unbounded();
    let director = director();
    let mut discovery = Discovery::new(discover, Arc::clone(&director));
    let mut balance = Balance::over_services(Arc::clone(&director), |_: &&str| ());
    let mut follow = |change| {
        changes.unbounded_send(Ok::<_, Infallible>(change)).unwrap();
        while poll(&mut discovery).is_ready() {}
    };
    let mut context = Context::from_waker(Waker::noop());

    follow(Change::Insert("a", old));
    let mut first = Box::pin(balance.call("first"));
    assert!(first.as_mut().poll(&mut context).is_pending());
    let Poll::Ready(Some((request, respond))) = poll_once(old_handle.next_request()) else {
        panic!("the old service was not asked");
    };
    assert_eq!(request, "first");

    follow(Change::Insert("a", new));
    let mut second = Box::pin(balance.call("second"));
    assert!(second.as_mut().poll(&mut context).is_pending());
    assert_eq!(director.pool().members()[0].load.active(), 2);
    let Poll::Ready(Some((request, answer))) = poll_once(new_handle.next_request()) else {
        panic!("the new service was not asked");
    };
    assert_eq!(request, "second");

    follow(Change::Remove("a"));
    assert!(director.pool().backends().is_empty());
    respond.send_response("from the old");
    answer.send_response("from the new");
    assert!(matches!(first.as_mut().poll(&mut context), Poll::Ready(Ok("from the old"))));
    assert!(matches!(second.as_mut().poll(&mut context), Poll::Ready(Ok("from the new"))));
}

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn poll<D, E, F>(
    discovery: &mut Discovery<D, (), E, F>,
) -> Poll<Option<Result<Event, DiscoveryError<D::Error>>>>
where
    D: Discover + Unpin,
    D::Key: std::hash::Hash,
    E: Clone,
    F: FnMut(&D::Key, D::Service) -> BackendConfig<E>,
{
    // `next` and not `poll_next`: what is polled once and dropped must have lost nothing.
    poll_once(discovery.next())
}

/// A step of a discovery: something found, a failure, or nothing for now.
#[derive(Clone, Copy, Debug)]
enum Step {
    Error,
    Insert(u8, u32),
    Pause,
    Remove(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(
        proptest::prop_oneof![
            1 => Just(Step::Error),
            5 => (0..6_u8, any::<u32>()).prop_map(|(key, endpoint)| Step::Insert(key, endpoint)),
            2 => Just(Step::Pause),
            3 => (0..6_u8).prop_map(Step::Remove),
        ],
        0..60,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Against a map: at each pause the pool is the map, and who stayed kept its identity. Every
    /// future of `next` is polled once and dropped.
    #[test]
    fn the_pool_is_what_was_found(steps in steps()) {
        let (changes, discover) = unbounded();
        let director = director();
        let mut discovery = Discovery::new(discover, Arc::clone(&director));
        let mut model = BTreeMap::new();
        let mut issued: HashMap<BackendId, String> = HashMap::new();
        let mut stayed: HashMap<String, BackendId> = HashMap::new();
        let mut errors = 0_usize;
        for step in steps.into_iter().chain([Step::Pause]) {
            match step {
                Step::Error => {
                    errors += 1;
                    changes.unbounded_send(Err("failed")).unwrap();
                }
                Step::Insert(key, endpoint) => {
                    model.insert(key.to_string(), endpoint);
                    changes.unbounded_send(Ok(Change::Insert(key, endpoint))).unwrap();
                }
                Step::Remove(key) => {
                    model.remove(&key.to_string());
                    stayed.remove(&key.to_string());
                    changes.unbounded_send(Ok(Change::Remove(key))).unwrap();
                }
                Step::Pause => {
                    let (told, ended) = run(&mut discovery);
                    prop_assert!(!ended);
                    let failed = told.iter().filter(|told| told.is_err()).count();
                    prop_assert_eq!(std::mem::take(&mut errors), failed, "no error is swallowed");
                    let found = members(&director).into_iter();
                    let found: BTreeMap<_, _> = found.map(|(name, _, endpoint)| (name, endpoint)).collect();
                    prop_assert_eq!(&found, &model);

                    let pool = director.pool();
                    let now: HashMap<_, _> =
                        pool.backends().iter().map(|one| (one.name().to_owned(), one.id())).collect();
                    for (name, id) in &stayed {
                        prop_assert_eq!(now.get(name), Some(id), "{} never went", name);
                    }
                    for (name, &id) in &now {
                        let owner = issued.entry(id).or_insert_with(|| name.clone());
                        prop_assert_eq!(owner, name, "no identity is issued twice");
                    }
                    stayed = now;
                }
            }
        }
    }
}
