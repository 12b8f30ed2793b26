//! Every random draw gives each backend what is due to its weight, by Pearson's chi-square over 10⁶
//! draws, or with `--ignored` over 10⁷: below what chance exceeds once in a million times.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::num::NonZeroU32;
use std::sync::Arc;

use lb_core::backend::{BackendId, Limits};
use lb_core::pool::Census;
use lb_core::scheduler::{Priorities, Zones};
use lb_core::{Algorithm, Backend, Flow, Lease, Pool, Scheduler, Weight};
use support::{index, pool, seeded};

/// The most that chi-square may be, with a probability of 10⁻⁶, by degrees of freedom.
const CRITICAL: [(usize, f64); 3] = [(9, 46.0), (99, 181.1), (999, 1_226.0)];

/// Lets `draw` give so many flows to backends, and compares with what is `due` to each.
fn follow(what: &str, draws: u64, due: &[u16], mut draw: impl FnMut(u64) -> usize) {
    let mut counts = vec![0_u64; due.len()];
    (0..draws).for_each(|number| counts[draw(number)] += 1);
    let total: f64 = due.iter().copied().map(f64::from).sum();
    let distance: f64 = counts
        .iter()
        .zip(due)
        .map(|(&count, &due)| {
            let due = draws as f64 * f64::from(due) / total;
            assert!(due > 0.0 || count == 0, "{what}: drawn, but nothing was due");
            if due > 0.0 { (count as f64 - due).powi(2) / due } else { 0.0 }
        })
        .sum();
    let freedom = due.iter().filter(|&&due| due > 0).count() - 1;
    let (_, critical) = CRITICAL.into_iter().find(|&(degrees, _)| degrees == freedom).unwrap();
    assert!(distance < critical, "{what}: {distance} with {freedom} degrees of freedom");
}

/// The scheduler's picks among idle backends.
fn idle(algorithm: Algorithm, draws: u64, weights: &[u16], due: &[u16]) {
    let (pool, mut rng) = (pool(algorithm, weights), seeded(weights.len() as u64));
    let what = format!("idle {algorithm} of {}", weights.len());
    follow(&what, draws, due, |_| index(&pool, &Flow::new(7), &mut rng).unwrap());
}

/// From 1 to 9, up and down.
fn uneven(count: usize) -> Vec<u16> {
    (0..count as u16).map(|place| 1 + place * 7 % 9).collect()
}

fn alone(draws: u64) {
    for count in [10, 100, 1_000] {
        idle(Algorithm::Random, draws, &uneven(count), &uneven(count));
        idle(Algorithm::P2c, draws, &uneven(count), &uneven(count));
    }
    // One more flow is as much for all of them only if they weigh the same.
    idle(Algorithm::PeakEwma, draws, &[3; 100], &[3; 100]);
    // So far apart that most columns have an alias.
    let steep = [1, 2, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000];
    idle(Algorithm::Random, draws, &steep, &steep);
    idle(Algorithm::P2c, draws, &steep, &steep);
}

fn equally_busy(draws: u64) {
    // Three flows for each of weight.
    let (pool, mut rng) = (pool(Algorithm::P2c, &uneven(10)), seeded(2));
    let busy = pool.backends().iter().zip(uneven(10));
    let busy = busy.flat_map(|(backend, weight)| vec![Arc::clone(backend); 3 * weight as usize]);
    let _flows: Vec<_> = busy.map(Lease::new).collect();
    let mut pick = |_| index(&pool, &Flow::new(7), &mut rng).unwrap();
    follow("busy p2c", draws, &uneven(10), &mut pick);
}

fn ties(draws: u64) {
    idle(Algorithm::Lc, draws, &uneven(10), &[1; 10]);
    idle(Algorithm::Wlc, draws, &uneven(10), &uneven(10));
    idle(Algorithm::Nq, draws, &uneven(10), &uneven(10));
    idle(Algorithm::LeastTime, draws, &[3; 10], &[1; 10]);
    // Those of the greatest weight are the first to be done.
    let (heavy, light) =
        ([[5; 10].as_slice(), &[4; 3]].concat(), [[1; 10].as_slice(), &[0; 3]].concat());
    idle(Algorithm::Sed, draws, &heavy, &light);
}

/// One backend that has refused, or is full, and ten others.
fn others(first: u16) -> (Vec<u16>, Vec<u16>) {
    ([&[first], &*uneven(10)].concat(), [&[0], &*uneven(10)].concat())
}

fn redispatch(draws: u64) {
    let tried = [BackendId::new(0)];
    let flow = Flow::new(7).retried(&tried);
    use Algorithm::{P2c, Random, Wlc, Wrr, WrrIpvs};
    for algorithm in [Random, P2c, Wlc, Wrr, WrrIpvs] {
        // With so heavy a one the draw nearly always comes to walking through the list.
        for first in [5, 60_000] {
            let (weights, due) = others(first);
            let (pool, mut rng) = (pool(algorithm, &weights), seeded(3));
            let what = format!("redispatched {algorithm} beside {first}");
            follow(&what, draws, &due, |_| index(&pool, &flow, &mut rng).unwrap());
        }
    }
}

fn beside_a_full_one(draws: u64) {
    use Algorithm::{Nq, P2c, Random, Wlc};
    for algorithm in [Random, P2c, Wlc, Nq] {
        for first in [5, 60_000] {
            let (weights, due) = others(first);
            let members = support::alphabet(&weights);
            members[0].0.set_limits(Limits::NONE.at_most(NonZeroU32::MIN));
            let (pool, mut rng) = (Pool::new(members, &*algorithm.scheduler()), seeded(4));
            let _flow = Lease::try_new(&pool.backends()[0]).unwrap();
            let what = format!("{algorithm} beside a full {first}");
            // Where the first choice was for the full one, the second is by a flow that minds it.
            let flow = Flow::new(7).minding_limits();
            follow(&what, draws, &due, |_| index(&pool, &flow, &mut rng).unwrap());
            if algorithm == Random {
                follow(&what, draws, &due, |_| {
                    pool.pick(&Flow::new(7), &mut rng).unwrap().id().number() as usize
                });
            }
        }
    }
}

/// One backend for each group, and what is due to it.
fn split(
    draws: u64,
    scheduler: &dyn Scheduler,
    members: &[Backend<()>],
    census: &Census,
    due: &[u16],
) {
    let members: Vec<_> = members.iter().map(|one| Arc::new(one.with_endpoint(()))).collect();
    let weighed = members.into_iter().zip([1; 2_000].map(Weight::new));
    let pool = Pool::out_of(census, weighed, scheduler);
    let (what, mut rng) = (format!("{:?}", pool.scheduler()), seeded(5));
    follow(&what, draws, due, |number| {
        pool.pick(&Flow::new(number), &mut rng).unwrap().id().number() as usize
    });
}

fn groups(draws: u64) {
    // All together carry a part, each of them in proportion to one of so many that are configured.
    let due: Vec<u16> = (1..=10).map(|priority| 840 / priority).collect();
    let configured = (1..=10).flat_map(|priority| vec![(1, priority - 1); 10 * priority as usize]);
    let census = Census::of(configured.map(|(weight, priority)| (weight as u16, priority)));
    let backend = |id: u32| Backend::new(BackendId::new(id), format!("backend {id}"), ());
    let prioritised: Vec<_> = (0..10).map(|id| backend(id).at_priority(id as u8)).collect();
    for algorithm in [Algorithm::Wlc, Algorithm::Rendezvous] {
        let scheduler = Priorities::around(algorithm.scheduler()).spilling_below(100);
        split(draws, &scheduler, &prioritised, &census, &due);
    }
    // Nobody is at home.
    let zoned: Vec<_> =
        (0..20).map(|id| backend(id).in_zone(Some(format!("{}", id / 2).into()))).collect();
    for algorithm in [Algorithm::Random, Algorithm::Rendezvous] {
        let zones = Zones::around("home", algorithm.scheduler());
        let pool = Pool::new(
            zoned.iter().map(|one| (Arc::new(one.with_endpoint(())), Weight::ONE)),
            &zones,
        );
        let mut rng = seeded(6);
        follow("zones", draws, &[1; 10], |number| {
            pool.pick(&Flow::new(number), &mut rng).unwrap().id().number() as usize / 2
        });
    }
}

macro_rules! draws {
    ($($name:ident),+) => {
        mod quick {
            $(#[test]
            fn $name() {
                super::$name(1_000_000);
            })+
        }
        mod thorough {
            $(#[test]
            #[ignore = "ten times as many draws"]
            fn $name() {
                super::$name(10_000_000);
            })+
        }
    };
}
draws! { alone, equally_busy, ties, redispatch, beside_a_full_one, groups }
