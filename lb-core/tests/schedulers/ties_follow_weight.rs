//! Backends that cost the same are drawn in proportion to weight, so that a light load is not all
//! sent to the first in the list.

use crate::support;

use std::sync::Arc;

use lb_core::backend::BackendId;
use lb_core::{Algorithm, Lease};
use support::{pool, seeded, tally};

const FLOWS: u64 = 100_000;

/// Every count within five standard deviations of its due.
fn assert_shares(counts: &[u64], weights: &[u16], what: Algorithm) {
    let total: f64 = weights.iter().copied().map(f64::from).sum();
    for (&count, &weight) in counts.iter().zip(weights) {
        let share = f64::from(weight) / total;
        let (due, spread) = (FLOWS as f64 * share, (FLOWS as f64 * share * (1.0 - share)).sqrt());
        assert!((count as f64 - due).abs() <= 5.0 * spread, "{what}: {counts:?} for {weights:?}");
    }
}

#[test]
fn idle_backends_share_by_weight() {
    let weights = [7, 0, 2, 1];
    for algorithm in [Algorithm::Wlc, Algorithm::Nq] {
        let counts = tally(&pool(algorithm, &weights), 0..FLOWS, &mut seeded(1));
        assert_shares(&counts, &weights, algorithm);
    }
}

#[test]
fn lc_draws_evenly() {
    let counts = tally(&pool(Algorithm::Lc, &[7, 0, 2, 1]), 0..FLOWS, &mut seeded(2));
    assert_shares(&counts, &[1, 0, 1, 1], Algorithm::Lc);
}

#[test]
fn sed_draws_among_the_heaviest() {
    let counts = tally(&pool(Algorithm::Sed, &[4, 4, 2, 4]), 0..FLOWS, &mut seeded(3));
    assert_shares(&counts, &[1, 1, 0, 1], Algorithm::Sed);
}

#[test]
fn busy_backends_with_equal_cost_share_by_weight() {
    // Two thirds of a flow per weight each, but for the last, which is busier.
    let pool = pool(Algorithm::Wlc, &[3, 6, 3, 9]);
    let leases: Vec<_> = [2, 4, 2, 9].into_iter().zip(pool.backends()).collect();
    let _leases: Vec<_> = leases
        .into_iter()
        .flat_map(|(count, backend)| (0..count).map(|_| Lease::new(Arc::clone(backend))))
        .collect();
    let counts = tally(&pool, 0..FLOWS, &mut seeded(4));
    assert_shares(&counts, &[3, 6, 3, 0], Algorithm::Wlc);
}

#[test]
fn those_tried_take_no_part_in_the_draw() {
    let pool = pool(Algorithm::Wlc, &[7, 5, 2, 1]);
    let (tried, mut rng) = ([BackendId::new(0)], seeded(5));
    let mut counts = [0; 4];
    for _ in 0..FLOWS {
        let flow = lb_core::Flow::new(0).retried(&tried);
        counts[support::index(&pool, &flow, &mut rng).unwrap()] += 1;
    }
    assert_shares(&counts, &[0, 5, 2, 1], Algorithm::Wlc);
}
