//! `least_time` and `peak_ewma` against an oracle that looks at every backend: times, flows and weights
//! of any kind.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lb_core::backend::{BackendId, Outcome};
use lb_core::{Algorithm, Backend, Flow, Lease, Pool};
use proptest::collection::vec;
use proptest::prelude::{
    ProptestConfig, Strategy, prop_assert, prop_assert_eq, prop_assume, proptest,
};
use support::{Zeros, after, index, pool, seeded, start};

/// What is known of a backend: its weight, its active flows, and in how many milliseconds the only one
/// so far was served.
#[derive(Clone, Copy, Debug)]
struct Known {
    weight: u16,
    active: u32,
    took: Option<u64>,
}

const fn known(weight: u16, active: u32, took: u64) -> Known {
    Known { weight, active, took: Some(took) }
}

fn crowd(weight: impl Strategy<Value = u16>) -> impl Strategy<Value = Vec<Known>> {
    // Around the steps, and beyond the cap; close to each other, and far.
    let took = proptest::prop_oneof![6 => 0..130_u64, 2 => 4_900..9_000_u64];
    let one = (weight, 0..8_u32, proptest::option::weighted(0.8, took));
    vec(one.prop_map(|(weight, active, took)| Known { weight, active, took }), 1..9)
}

fn a_weight() -> impl Strategy<Value = u16> {
    proptest::prop_oneof![8 => 1..6_u16, 2 => 0..1_u16, 1 => 65_000..=u16::MAX]
}

/// A flow to `backend` that went well, from then until `end`.
fn serve(backend: &Arc<Backend<()>>, took: u64, end: Instant) {
    let lease = Lease::new(Arc::clone(backend)).since(end - Duration::from_millis(took));
    lease.report(end, Outcome::Success);
}

/// A pool of these at `now`, with the flows that are there.
fn busy(algorithm: Algorithm, crowd: &[Known], now: Instant) -> (Pool<()>, Vec<Lease<()>>) {
    let weights: Vec<_> = crowd.iter().map(|one| one.weight).collect();
    let pool = pool(algorithm, &weights);
    for (one, backend) in crowd.iter().zip(pool.backends()) {
        one.took.into_iter().for_each(|took| serve(backend, took, now));
    }
    let all = crowd.iter().zip(pool.backends());
    let leases = all
        .flat_map(|(one, backend)| (0..one.active).map(|_| Lease::new(Arc::clone(backend))))
        .collect();
    (pool, leases)
}

/// The next step above, as all times are told apart only by these.
fn stepped(millis: u64) -> u64 {
    (1..=250).map(|step| step * 20).find(|&step| step > millis).unwrap_or(5_000)
}

/// All usable backends that would be done first, for their weight.
fn first_done(crowd: &[Known], usable: impl Fn(usize) -> bool) -> Vec<usize> {
    let told: Vec<u64> = crowd.iter().filter_map(|one| one.took.map(stepped)).collect();
    let mean = told.iter().sum::<u64>().checked_div(told.len() as u64).unwrap_or(0);
    let cost = |one: &Known| {
        u128::from(one.took.map_or(mean, stepped).max(20)) * u128::from(one.active + 1)
    };
    let weight = |one: &Known| u128::from(one.weight);
    let usable: Vec<usize> =
        (0..crowd.len()).filter(|&place| crowd[place].weight > 0 && usable(place)).collect();
    let is_least = |&place: &usize| {
        let one = &crowd[place];
        let mut others = usable.iter().map(|&other| &crowd[other]);
        others.all(|other| cost(one) * weight(other) <= cost(other) * weight(one))
    };
    usable.iter().copied().filter(is_least).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn least_time_takes_who_would_be_done_first(
        crowd in crowd(a_weight()),
        tried in vec(0..9_u32, 0..3),
        seed: u64,
    ) {
        let now = start();
        let (pool, _leases) = busy(Algorithm::LeastTime, &crowd, now);
        let tried: Vec<_> = tried.into_iter().map(BackendId::new).collect();
        let best = first_done(&crowd, |place| !tried.contains(&BackendId::new(place as u32)));
        for flow in [Flow::new(0), Flow::new(0).at(now)] {
            let flow = flow.retried(&tried);
            let drawn = index(&pool, &flow, &mut seeded(seed));
            prop_assert_eq!(drawn.is_some(), !best.is_empty());
            prop_assert!(drawn.is_none_or(|drawn| best.contains(&drawn)), "{:?} of {:?}", drawn, best);
            prop_assert_eq!(index(&pool, &flow, &mut Zeros), best.first().copied());
        }
    }

    /// With two backends both are drawn, whatever the weights, and the better one is chosen.
    #[test]
    fn peak_ewma_takes_the_better_of_two(
        crowd in crowd(proptest::prop_oneof![8 => 1..6_u16, 1 => 65_000..=u16::MAX]),
        seed: u64,
    ) {
        prop_assume!(crowd.len() > 1);
        let crowd = &crowd[..2];
        let (pool, _leases) = busy(Algorithm::PeakEwma, crowd, start());
        let micros = |one: &Known| one.took.map(|millis| u128::from(millis * 1_000).max(1));
        let [a, b] = [&crowd[0], &crowd[1]];
        // Of whom nothing is known is as fast as the other one.
        let times = [micros(a).or(micros(b)), micros(b).or(micros(a))];
        let [a_cost, b_cost] = [(a, times[0]), (b, times[1])].map(|(one, time)| {
            time.unwrap_or(1) * (u128::from(one.weight) + u128::from(one.active))
        });
        let (a_side, b_side) = (a_cost * u128::from(b.weight), b_cost * u128::from(a.weight));
        let chosen = index(&pool, &Flow::new(0), &mut seeded(seed)).unwrap();
        match a_side.cmp(&b_side) {
            Ordering::Less => prop_assert_eq!(chosen, 0),
            Ordering::Greater => prop_assert_eq!(chosen, 1),
            Ordering::Equal => {}
        }
    }
}

/// Which of the two in a pool `least_time` takes at `now`; both, if it draws.
fn taken(pool: &Pool<()>, now: Instant) -> Vec<usize> {
    let pick = |seed| index(pool, &Flow::new(0).at(now), &mut seeded(seed)).unwrap();
    let chosen: BTreeSet<_> = (0..64).map(pick).collect();
    chosen.into_iter().collect()
}

fn of_two(one: Known, other: Known) -> Vec<usize> {
    let now = start();
    let (pool, _leases) = busy(Algorithm::LeastTime, &[one, other], now);
    taken(&pool, now)
}

#[test]
fn times_count_in_steps_of_20_ms_up_to_5_s() {
    let two = |one, other| of_two(known(1, 0, one), known(1, 0, other));
    assert_eq!(two(0, 19), [0, 1]);
    assert_eq!(two(19, 20), [0]);
    assert_eq!(two(39, 20), [0, 1]);
    assert_eq!(two(40, 39), [1]);
    assert_eq!(two(4_979, 4_980), [0]);
    assert_eq!(two(4_980, 9_000), [0, 1]);
}

#[test]
fn a_heavier_one_may_be_slower_for_its_weight() {
    // Steps of 40 and 100 ms.
    assert_eq!(of_two(known(2, 0, 20), known(5, 0, 80)), [0, 1]);
    assert_eq!(of_two(known(2, 0, 20), known(6, 0, 80)), [1]);
    assert_eq!(of_two(known(2, 0, 20), known(4, 0, 80)), [0]);
    // 40 ms each, for one flow more than there are.
    assert_eq!(of_two(known(1, 0, 20), known(3, 2, 20)), [0, 1]);
    assert_eq!(of_two(known(1, 0, 20), known(4, 2, 20)), [1]);
}

#[test]
fn who_was_slow_is_taken_to_be_half_as_slow_after_10_s() {
    let pool = pool(Algorithm::LeastTime, &[1, 1]);
    let [slow, fast] = [0, 1].map(|place| &pool.backends()[place]);
    let start = start();
    serve(slow, 200, start);
    serve(fast, 120, after(start, 9_000));
    assert_eq!(taken(&pool, after(start, 10_000)), [1]);
    assert_eq!(taken(&pool, after(start, 10_001)), [0]);
}
