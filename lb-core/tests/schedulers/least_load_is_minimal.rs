//! `lc`, `wlc`, `sed`, `nq` against an oracle that looks at every backend, over counters of any kind.

use crate::support;

use std::sync::Arc;

use lb_core::backend::BackendId;
use lb_core::pool::Member;
use lb_core::{Algorithm, Flow, Lease, Pool};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, prop_assert, prop_assert_eq, proptest};
use support::{Zeros, index, pool};

/// Weight and active flows of each.
fn crowd() -> impl Strategy<Value = Vec<(u16, u32)>> {
    let weight = proptest::prop_oneof![8 => 1..6_u16, 2 => 0..1_u16, 1 => 65_000..=u16::MAX];
    vec((weight, 0..8_u32), 1..9)
}

fn busy(algorithm: Algorithm, crowd: &[(u16, u32)]) -> (Pool<()>, Vec<Lease<()>>) {
    let weights: Vec<u16> = crowd.iter().map(|&(weight, _)| weight).collect();
    let pool = pool(algorithm, &weights);
    let leases = crowd
        .iter()
        .zip(pool.backends())
        .flat_map(|(&(_, active), backend)| (0..active).map(|_| Lease::new(Arc::clone(backend))));
    let leases = leases.collect();
    (pool, leases)
}

/// What the next flow costs at `member`, in units that are whole for every weight.
fn cost(algorithm: Algorithm, member: &Member, scale: u128) -> u128 {
    let active = u128::from(member.load.active());
    let weight = u128::from(member.weight.value());
    match algorithm {
        Algorithm::Lc => active,
        Algorithm::Nq if active == 0 => 0,
        Algorithm::Nq | Algorithm::Sed => (active + 1) * (scale / weight),
        Algorithm::Wlc => active * (scale / weight),
        other => panic!("{other} does not count"),
    }
}

/// All usable members of least cost.
fn best(algorithm: Algorithm, pool: &Pool<()>, flow: &Flow<'_>) -> Vec<usize> {
    let usable = || (0..pool.members().len()).filter(|&place| flow.may_use(&pool.members()[place]));
    let scale: u128 = usable()
        .map(|place| u128::from(pool.members()[place].weight.value()))
        .fold(1, |all, weight| if all % weight == 0 { all } else { all * weight });
    let cost = |place: usize| cost(algorithm, &pool.members()[place], scale);
    let least = usable().map(cost).min();
    usable().filter(|&place| Some(cost(place)) == least).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_choice_is_among_the_best(crowd in crowd(), tried in vec(0..9_u32, 0..4), seed: u64) {
        let tried: Vec<_> = tried.into_iter().map(BackendId::new).collect();
        let flow = Flow::new(0).retried(&tried);
        for algorithm in [Algorithm::Lc, Algorithm::Nq, Algorithm::Sed, Algorithm::Wlc] {
            let (pool, _leases) = busy(algorithm, &crowd);
            let best = best(algorithm, &pool, &flow);
            let drawn = index(&pool, &flow, &mut support::seeded(seed));
            prop_assert_eq!(drawn.is_some(), !best.is_empty());
            prop_assert!(drawn.is_none_or(|drawn| best.contains(&drawn)), "{} took {:?} of {:?}", algorithm, drawn, best);
            // The kernel's order.
            prop_assert_eq!(index(&pool, &flow, &mut Zeros), best.first().copied());
        }
    }

    #[test]
    fn nq_leaves_nobody_idle(crowd in crowd(), seed: u64) {
        let (pool, _leases) = busy(Algorithm::Nq, &crowd);
        let idle = |member: &Member| !member.weight.is_zero() && member.load.active() == 0;
        if pool.members().iter().any(idle) {
            let chosen = index(&pool, &Flow::new(0), &mut support::seeded(seed)).unwrap();
            prop_assert!(idle(&pool.members()[chosen]));
        }
    }

    #[test]
    fn nq_is_sed_when_all_are_busy(crowd in vec((1..9_u16, 1..9_u32), 1..9), seed: u64) {
        let choice = |algorithm| {
            let (pool, _leases) = busy(algorithm, &crowd);
            index(&pool, &Flow::new(0), &mut support::seeded(seed))
        };
        prop_assert_eq!(choice(Algorithm::Nq), choice(Algorithm::Sed));
    }
}

/// Flows times weight is far beyond 32 bits here.
#[test]
fn great_crowds_and_great_weights_are_compared_exactly() {
    for algorithm in [Algorithm::Nq, Algorithm::Sed, Algorithm::Wlc] {
        let (pool, _leases) = busy(algorithm, &[(1, 65_538), (65_535, 70_000)]);
        assert_eq!(index(&pool, &Flow::new(0), &mut Zeros), Some(1), "{algorithm}");
    }
}
