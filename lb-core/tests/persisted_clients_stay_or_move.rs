//! The table of `Director`: what becomes of a client that belongs to a backend.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use lb_core::backend::BackendId;
use lb_core::{Algorithm, Backend, Director, Pool, Weight};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert_eq, proptest};
use support::{Zeros, after, start};

const TIMEOUT: u64 = 1_000;

type Backends = Vec<(Arc<Backend<()>>, Weight)>;

/// `None` for those that are down.
fn publish(director: &Director<u64, ()>, backends: &Backends, weights: &[Option<u16>]) {
    let members = backends.iter().zip(weights);
    let members = members
        .filter_map(|((backend, _), weight)| Some((Arc::clone(backend), Weight::new((*weight)?))));
    let pool = director.pool();
    director.publish(Arc::new(Pool::new(members.collect::<Vec<_>>(), &**pool.scheduler())));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_the_table(
        steps in vec(
            (vec(proptest::option::of(0..3_u16), 4), 0..3_u64, vec(0..4_u32, 0..3), 0..1_500_u64),
            1..40,
        ),
        algorithm in (0..Algorithm::ALL.len()).prop_map(|place| Algorithm::ALL[place]),
        seed in any::<u64>(),
    ) {
        let backends = support::alphabet(&[1; 4]);
        let pool = Pool::new(backends.clone(), &*algorithm.scheduler());
        let director = Director::new(pool)
            .with_persistence(Duration::from_millis(TIMEOUT), 100.try_into().unwrap());
        let (start, mut rng) = (start(), support::seeded(seed));
        let (mut elapsed, mut homes) = (0, [None; 3]);
        for (weights, client, tried, pause) in steps {
            elapsed += pause;
            publish(&director, &backends, &weights);
            let tried: Vec<_> = tried.into_iter().map(BackendId::new).collect();
            let taken =
                director.assign(after(start, elapsed), &client, &tried, &mut rng).map(|lease| lease.id());

            let usable = |id: BackendId, least: u16| {
                weights[id.number() as usize].is_some_and(|weight| weight >= least) && !tried.contains(&id)
            };
            let home = &mut homes[client as usize];
            // Forgotten by time alone. Looking refreshes, even if nobody is found.
            let known = home.filter(|&(_, last)| elapsed < last + TIMEOUT).map(|(id, _)| id);
            match known.filter(|&id| usable(id, 0)) {
                Some(id) => prop_assert_eq!(taken, Ok(id), "stays, even with a drained one"),
                None => prop_assert_eq!(
                    taken.map(|id| usable(id, 1)).unwrap_or(true),
                    true,
                    "moves to one that takes new clients"
                ),
            }
            *home = taken.ok().or(known).map(|id| (id, elapsed));
        }
    }
}

#[test]
fn who_comes_back_gets_nobody_back() {
    let backends = support::alphabet(&[1; 2]);
    let director = Director::new(Pool::new(backends.clone(), &*Algorithm::Fo.scheduler()))
        .with_persistence(Duration::from_secs(60), 10.try_into().unwrap());
    let now = start();
    let assign = || director.assign(now, &7, &[], &mut Zeros).unwrap().name().to_owned();
    assert_eq!(assign(), "A");
    publish(&director, &backends, &[None, Some(1)]);
    assert_eq!(assign(), "B");
    publish(&director, &backends, &[Some(1), Some(1)]);
    assert_eq!(assign(), "B");
}

#[test]
fn no_more_are_remembered_than_there_is_room_for() {
    for capacity in [1, 7, 1_024, 2_049, 4_095, 70_001] {
        let director = Director::<u64, ()>::new(support::pool(Algorithm::Rr, &[1; 2]))
            .with_persistence(Duration::from_secs(60), capacity.try_into().unwrap());
        let now = start();
        for client in 0..2 * capacity as u64 {
            // Spread over all bits, as a hash would be.
            let client = client.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            drop(director.assign(now, &client, &[], &mut Zeros));
        }
        assert!(director.persisted() <= capacity, "{} of {capacity}", director.persisted());
        assert!(
            director.persisted() * 10 >= capacity * 9,
            "{} of {capacity}",
            director.persisted()
        );
        director.expire(after(now, 60_000));
        assert_eq!(director.persisted(), 0);
    }
}
