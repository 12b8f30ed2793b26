//! `Subset`: of many instances about equally many keep to each backend, and a change of one backend
//! changes one backend of theirs at most.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

use lb_core::backend::{BackendId, Limits};
use lb_core::scheduler::Subset;
use lb_core::{Algorithm, Backend, Flow, Lease, Pool, Weight};
use rand::Rng;
use support::{Zeros, seeded};

const BACKENDS: u32 = 100;
const SIZE: usize = 10;

fn member(id: u32, weight: u16) -> (Arc<Backend<()>>, Weight) {
    let backend = Backend::new(BackendId::new(id), format!("10.0.0.{id}:80"), ());
    (Arc::new(backend), Weight::new(weight))
}

/// Whom this instance keeps to, of backends with these numbers and weights.
fn few(instance: u64, backends: impl IntoIterator<Item = (u32, u16)>) -> BTreeSet<u32> {
    let subset =
        Subset::around(NonZeroUsize::new(SIZE).unwrap(), instance, Algorithm::Rr.scheduler());
    let pool = Pool::new(backends.into_iter().map(|(id, weight)| member(id, weight)), &subset);
    let pick = |_| pool.pick(&Flow::new(7), &mut Zeros).unwrap().id().number();
    // Two times around.
    (0..2 * SIZE).map(pick).collect()
}

fn all() -> impl Iterator<Item = (u32, u16)> {
    (0..BACKENDS).map(|id| (id, 1))
}

/// Numbered one by one, by powers of two, and by chance.
fn fleets() -> [Vec<u64>; 3] {
    let mut rng = seeded(1);
    let by_chance = (0..1_000).map(|_| rng.next_u64()).collect();
    [(0..1_000).collect(), (0..1_000).map(|number| number << 40).collect(), by_chance]
}

#[test]
fn about_equally_many_keep_to_each() {
    for fleet in fleets() {
        let mut counts = vec![0_u32; BACKENDS as usize];
        for &instance in &fleet {
            let few = few(instance, all());
            assert_eq!(few.len(), SIZE);
            few.into_iter().for_each(|one| counts[one as usize] += 1);
        }
        // 1,000 instances keep to ten of a hundred each.
        let distance: f64 =
            counts.iter().map(|&count| (f64::from(count) - 100.0).powi(2) / 100.0).sum();
        assert!(distance < 181.1, "{distance}: {counts:?}");
    }
}

#[test]
fn who_leaves_or_is_drained_is_replaced_by_one_other() {
    for instance in 0..200 {
        let before = few(instance, all());
        for gone in [3, 50, *before.first().unwrap()] {
            for drained in [None, Some((gone, 0))] {
                let others = all().filter(|&(id, _)| id != gone);
                let after = few(instance, others.chain(drained));
                let lost: Vec<_> = before.difference(&after).copied().collect();
                let gained = after.difference(&before).count();
                match before.contains(&gone) {
                    true => assert_eq!((lost, gained), (vec![gone], 1)),
                    false => assert_eq!((lost, gained), (vec![], 0)),
                }
            }
        }
    }
}

#[test]
fn who_comes_takes_one_place_at_most_and_its_part_of_places() {
    let mut taken = 0;
    for instance in 0..1_000 {
        let (before, after) = (few(instance, all()), few(instance, all().chain([(BACKENDS, 1)])));
        let gained: Vec<_> = after.difference(&before).copied().collect();
        assert!(gained.is_empty() || gained == [BACKENDS], "{gained:?}");
        assert_eq!(before.difference(&after).count(), gained.len());
        taken += gained.len();
    }
    // 99 of 1,000, give or take five standard deviations.
    assert!(taken.abs_diff(99) < 48, "{taken}");
}

#[test]
fn the_order_of_backends_and_their_weights_are_of_no_matter() {
    for instance in 0..50 {
        let mut backwards: Vec<_> = all().map(|(id, _)| (id, 1 + id as u16 % 7)).collect();
        backwards.reverse();
        assert_eq!(few(instance, all()), few(instance, backwards));
    }
}

#[test]
fn the_rest_are_there_when_the_few_are_not() {
    let kept = few(7, all());
    let ids: Vec<_> = kept.iter().copied().map(BackendId::new).collect();
    for algorithm in Algorithm::ALL {
        let subset = Subset::around(NonZeroUsize::new(SIZE).unwrap(), 7, algorithm.scheduler());
        let limited = |(id, weight)| {
            let (backend, weight) = member(id, weight);
            let limits = Limits::NONE.at_most(NonZeroU32::MIN);
            backend.set_limits(limits);
            (backend, weight)
        };
        let (pool, mut rng) = (Pool::new(all().map(limited), &subset), seeded(1));
        let tried = Flow::new(7).retried(&ids);
        assert!(!kept.contains(&pool.pick(&tried, &mut rng).unwrap().id().number()), "{algorithm}");
        let enter = |hash| Lease::try_new(pool.pick(&Flow::new(hash), &mut seeded(hash)).unwrap());
        let leases: Vec<_> = (0..SIZE as u64 + 1).map(|hash| enter(hash).unwrap()).collect();
        let inside = |lease: &Lease<()>| kept.contains(&lease.id().number());
        assert_eq!(leases.iter().take_while(|lease| inside(lease)).count(), SIZE, "{algorithm}");
    }
}
