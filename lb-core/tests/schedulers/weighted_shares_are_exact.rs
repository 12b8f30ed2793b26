//! `wrr` and `wrr-ipvs`: shares are those of the weights, exactly as far as the period is laid out
//! whole and within the documented error beyond; and with `wrr` every prefix is nearly as fair as
//! the whole.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use lb_core::{Algorithm, Flow, Pool};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};
use support::{Zeros, index, pool, rebuilt, tally};

const BOTH: [Algorithm; 2] = [Algorithm::Wrr, Algorithm::WrrIpvs];
const LONGEST_PERIOD: f64 = 65_536.0;

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The length of a whole period, however it is scaled.
fn period(pool: &Pool<()>) -> u64 {
    let text = format!("{:?}", pool.scheduler());
    let number = text.split("length: ").nth(1).unwrap().split(',').next().unwrap();
    number.parse().unwrap()
}

fn furthest_off(algorithm: Algorithm, weights: &[u16]) -> f64 {
    let pool = pool(algorithm, weights);
    let period = period(&pool);
    let counts = tally(&pool, 0..period, &mut Zeros);
    let total: f64 = weights.iter().copied().map(f64::from).sum();
    let share = |(&count, &weight): (&u64, &u16)| {
        assert_eq!(count == 0, weight == 0, "nobody is rounded away");
        (count as f64 / period as f64 - f64::from(weight) / total).abs()
    };
    counts.iter().zip(weights).map(share).fold(0.0, f64::max)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_period_is_exact(weights in vec(0..60_u16, 1..9), factor in 1..50_u16, phase: u64) {
        let scaled: Vec<u16> = weights.iter().map(|weight| weight * factor).collect();
        let common = weights.iter().fold(0, |common, &weight| gcd(common, weight.into()));
        for algorithm in BOTH {
            let pool = Pool::new(support::alphabet(&scaled), &*algorithm.scheduler_at(phase));
            if common > 0 {
                let due: Vec<u64> = weights.iter().map(|&weight| u64::from(weight) / common).collect();
                prop_assert_eq!(tally(&pool, 0..due.iter().sum(), &mut Zeros), due);
            } else {
                prop_assert_eq!(index(&pool, &Flow::new(0), &mut Zeros), None);
            }
        }
    }

    #[test]
    fn a_prefix_is_within_two_of_its_due(weights in vec(1..100_u16, 1..12)) {
        let pool = pool(Algorithm::Wrr, &weights);
        let total: i64 = weights.iter().copied().map(i64::from).sum();
        let mut counts = vec![0_i64; weights.len()];
        for length in 1..=total {
            counts[index(&pool, &Flow::new(0), &mut Zeros).unwrap()] += 1;
            for (count, &weight) in counts.iter().zip(&weights) {
                prop_assert!((count * total - length * i64::from(weight)).abs() <= 2 * total);
            }
        }
    }

    /// Reading weights from a flapping check must not send everybody to the first backend.
    #[test]
    fn rebuilding_the_same_loses_no_place(weights in vec(1..20_u16, 2..6)) {
        let total: u64 = weights.iter().copied().map(u64::from).sum();
        for algorithm in BOTH {
            let mut current = pool(algorithm, &weights);
            let whole = support::letters(&current, total as usize, &mut Zeros);
            let pieces: String = (0..total)
                .map(|_| {
                    current = rebuilt(&**current.scheduler(), &weights);
                    support::letters(&current, 1, &mut Zeros)
                })
                .collect();
            prop_assert_eq!(whole, pieces);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn long_periods_are_scaled_within_the_stated_error(weights in vec(proptest::num::u16::ANY, 2..6)) {
        let stated = (weights.len() + 1) as f64 / LONGEST_PERIOD;
        for algorithm in BOTH {
            prop_assert!(furthest_off(algorithm, &weights) <= stated);
        }
    }
}

#[test]
fn a_crowd_of_light_ones_stays_within_the_stated_error() {
    // Each of the light ones is due less than one entry, and gets one.
    let weights: Vec<u16> = [65_535].into_iter().chain([1; 40]).chain([65_535; 2]).collect();
    for algorithm in BOTH {
        let off = furthest_off(algorithm, &weights);
        assert!(off <= (weights.len() + 1) as f64 / LONGEST_PERIOD, "{off}");
    }
}

#[test]
fn an_empty_pool_on_the_way_loses_no_place() {
    let before = pool(Algorithm::Wrr, &[2, 2, 1]);
    assert_eq!(support::letters(&before, 2, &mut Zeros), "AB");
    let empty = rebuilt(&**before.scheduler(), &[]);
    let after = rebuilt(&**empty.scheduler(), &[2, 2, 1]);
    assert_eq!(support::letters(&after, 3, &mut Zeros), "CAB");
}

#[test]
fn huge_sums_are_nothing_special() {
    for algorithm in BOTH {
        let pool = pool(algorithm, &[u16::MAX; 700]);
        assert_eq!(tally(&pool, 0..1400, &mut Zeros), [2; 700]);
    }
}

#[test]
fn who_refuses_leaves_its_share_to_all_by_weight() {
    for algorithm in BOTH {
        let pool = pool(algorithm, &[50, 30, 20]);
        let (tried, mut rng) = ([pool.members()[0].id], support::seeded(1));
        let mut served = [0_u32; 3];
        for _ in 0..100_000 {
            let mut chosen = index(&pool, &Flow::new(0), &mut rng).unwrap();
            if chosen == 0 {
                chosen = index(&pool, &Flow::new(0).retried(&tried), &mut rng).unwrap();
            }
            served[chosen] += 1;
        }
        assert!(served[1].abs_diff(60_000) < 800, "{served:?}");
    }
}
