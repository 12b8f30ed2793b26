//! `p2c` and `random`: the draw carries the weight, and of two drawn the less busy one is taken.

use crate::support;

use std::sync::Arc;

use lb_core::backend::BackendId;
use lb_core::{Algorithm, Flow, Lease};
use support::{index, pool, seeded, tally};

const DRAWS: u64 = 1_000_000;

/// How far counts are from shares in proportion to `weights`.
fn chi_square(counts: &[u64], weights: &[u16]) -> f64 {
    let draws: u64 = counts.iter().sum();
    let total: f64 = weights.iter().copied().map(f64::from).sum();
    let term = |(&count, &weight): (&u64, &u16)| {
        let due = draws as f64 * f64::from(weight) / total;
        if weight == 0 {
            assert_eq!(count, 0);
            return 0.0;
        }
        (count as f64 - due).powi(2) / due
    };
    counts.iter().zip(weights).map(term).sum()
}

/// Critical values of the chi-square distribution for a probability of 10⁻⁶, by degrees of freedom.
const CRITICAL: [f64; 10] = [0.0, 23.93, 27.63, 30.66, 33.38, 35.89, 38.26, 40.52, 42.70, 44.81];

#[test]
fn the_weighted_draw_passes_chi_square() {
    for (seed, weights) in
        [&[3, 1, 4, 1, 5, 9][..], &[1; 10], &[198, 1, 1], &[0, 65_535, 1_000, 0, 30_000]]
            .into_iter()
            .enumerate()
    {
        let counts = tally(&pool(Algorithm::Random, weights), 0..DRAWS, &mut seeded(seed as u64));
        let freedom = weights.iter().filter(|&&weight| weight > 0).count() - 1;
        let distance = chi_square(&counts, weights);
        assert!(distance < CRITICAL[freedom], "{distance} with {counts:?} for {weights:?}");
    }
}

#[test]
fn idle_p2c_passes_chi_square() {
    let weights = [3, 1, 0, 4, 1, 5];
    let counts = tally(&pool(Algorithm::P2c, &weights), 0..DRAWS, &mut seeded(1));
    assert!(chi_square(&counts, &weights) < CRITICAL[4], "{counts:?}");
}

/// tower issue 696: a load divided by its weight after an even draw gives 67/17/17.
#[test]
fn shares_of_99_to_a_half_to_a_half_are_kept() {
    let weights = [198, 1, 1];
    let counts = tally(&pool(Algorithm::P2c, &weights), 0..DRAWS, &mut seeded(2));
    assert!(chi_square(&counts, &weights) < CRITICAL[2], "{counts:?}");
}

/// The same while flows stay, so that the comparison takes part.
#[test]
fn shares_are_kept_when_all_are_equally_busy() {
    let weights = [198, 1, 1];
    let (pool, mut rng) = (pool(Algorithm::P2c, &weights), seeded(3));
    let leases: Vec<_> = (0..20_000)
        .map(|_| Lease::new(Arc::clone(pool.pick(&Flow::new(0), &mut rng).unwrap())))
        .collect();
    let light = leases.iter().filter(|lease| lease.id() != BackendId::new(0)).count();
    assert!(light.abs_diff(200) <= 40, "{light}");
}

#[test]
fn of_two_the_less_busy_per_weight_is_taken() {
    let pool = pool(Algorithm::P2c, &[2, 1]);
    let busy = |place: usize, count: usize| -> Vec<_> {
        (0..count).map(|_| Lease::new(Arc::clone(&pool.backends()[place]))).collect()
    };
    // With two backends both are always drawn.
    let _first = busy(0, 4);
    let second = busy(1, 1);
    assert_eq!(tally(&pool, 0..1_000, &mut seeded(4)), [0, 1_000]);
    drop(second);
    let _second = busy(1, 3);
    assert_eq!(tally(&pool, 0..1_000, &mut seeded(5)), [1_000, 0]);
}

#[test]
fn the_second_draw_is_weighted_too() {
    let pool = pool(Algorithm::P2c, &[8, 6, 1, 1]);
    // Whenever the first backend is drawn, the other one of the two is taken.
    let _busy: Vec<_> = (0..99).map(|_| Lease::new(Arc::clone(&pool.backends()[0]))).collect();
    let counts = tally(&pool, 0..DRAWS, &mut seeded(8));
    // Drawn at first, or second to the busy one; a second draw that is the busy one again goes to
    // any of the three.
    let due = |weight: f64| weight / 16.0 + 0.5 * (weight / 16.0 + 0.5 / 3.0);
    for (place, weight) in [(1, 6.0), (2, 1.0), (3, 1.0)] {
        let share = counts[place] as f64 / DRAWS as f64;
        assert!((share - due(weight)).abs() < 0.003, "{counts:?}");
    }
    assert_eq!(counts[0], 0);
}

#[test]
fn two_choices_keep_the_longest_queue_short() {
    const BACKENDS: usize = 64;
    let longest = |algorithm| {
        let (pool, mut rng) = (pool(algorithm, &[1; BACKENDS]), seeded(6));
        let _leases: Vec<_> = (0..32 * BACKENDS)
            .map(|_| Lease::new(Arc::clone(pool.pick(&Flow::new(0), &mut rng).unwrap())))
            .collect();
        pool.members().iter().map(|member| member.load.active()).max().unwrap()
    };
    let (one, two) = (longest(Algorithm::Random), longest(Algorithm::P2c));
    assert!(two <= 35 && one > 40, "{one} with one choice, {two} with two");
}

#[test]
fn redispatch_draws_by_weight_among_the_rest() {
    for algorithm in [Algorithm::P2c, Algorithm::Random] {
        let pool = pool(algorithm, &[5, 3, 1, 1]);
        let (tried, mut rng) = ([BackendId::new(0)], seeded(7));
        let mut counts = vec![0; 4];
        for _ in 0..DRAWS / 4 {
            counts[index(&pool, &Flow::new(0).retried(&tried), &mut rng).unwrap()] += 1;
        }
        assert!(chi_square(&counts, &[0, 3, 1, 1]) < CRITICAL[2], "{algorithm}: {counts:?}");
    }
}
