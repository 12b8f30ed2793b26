//! Whether what is drawn is drawn as it should be: Pearson's chi-square over ten million draws beside
//! the value that chance exceeds once in a million times.
//!
//! The seed is fixed, so that the run always ends alike. Anything above the critical value fails it.

mod support;

use std::process::ExitCode;
use std::sync::Arc;

use lb_core::backend::{BackendId, Outcome};
use lb_core::pool::Census;
use lb_core::scheduler::{Priorities, Zones};
use lb_core::{Algorithm, Backend, Flow, Lease, Pool, Weight};

use support::{Bars, Weights, equal, pool, pool_of, rng, uneven};

const DRAWS: u32 = 10_000_000;

/// Some draws, and the part of all that each backend should get, in any unit.
struct Case {
    name: String,
    pool: Pool,
    tried: Vec<BackendId>,
    shares: Vec<f64>,
}

fn main() -> ExitCode {
    let mut bars = Bars::default();
    bars.of(format!("chi-square over {DRAWS} draws"));
    println!("\n{:<52} {:>8} {:>10} {:>10}", "", "df", "chi-square", "at most");
    for case in cases() {
        let (value, most) = (case.chi_square(), critical(case.freedom()));
        println!("{:<52} {:>8} {value:>10.1} {most:>10.1}", case.name, case.freedom());
        bars.require(value < most, || format!("{}: {value:.1} of {most:.1}", case.name));
    }
    bars.verdict("every draw is as it should be")
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for algorithm in [Algorithm::Random, Algorithm::P2c] {
        for size in [10, 100, 1000] {
            cases.push(by_weight(algorithm, size, "equal weights", equal));
        }
        cases.push(by_weight(algorithm, 1000, "weights 1 to 5", uneven));
    }
    // These count the flow to come as well, so that at no load they are even between equals only.
    for algorithm in [Algorithm::PeakEwma, Algorithm::LeastTime, Algorithm::Sed] {
        cases.push(by_weight(algorithm, 100, "all idle, equal weights", equal));
    }
    cases.push(by_weight(Algorithm::Wlc, 100, "all idle, weights 1 to 5", uneven));
    cases.push(one_in_three_idle());
    for algorithm in [Algorithm::Random, Algorithm::P2c, Algorithm::Wrr, Algorithm::WrrIpvs] {
        cases.push(redispatched(algorithm));
    }
    cases.push(one_fails());
    cases.push(spilling());
    cases.push(zones());
    cases
}

fn by_weight(algorithm: Algorithm, size: usize, what: &str, weight: Weights) -> Case {
    Case {
        name: format!("{algorithm}, {size} backends, {what}"),
        pool: pool(size, &*algorithm.scheduler(), weight),
        tried: Vec::new(),
        shares: (0..size).map(|n| weight(n).into()).collect(),
    }
}

/// Flows that never end are on the other two.
fn one_in_three_idle() -> Case {
    let mut case = by_weight(Algorithm::Wlc, 100, "every third idle, weights 1 to 5", uneven);
    for (n, share) in case.shares.iter_mut().enumerate().filter(|(n, _)| n % 3 > 0) {
        std::mem::forget(Lease::new(Arc::clone(&case.pool.backends()[n])));
        *share = 0.0;
    }
    case
}

fn redispatched(algorithm: Algorithm) -> Case {
    let mut case = by_weight(algorithm, 20, "two refused, weights 1 to 5", uneven);
    case.tried = [3, 11].map(BackendId::new).to_vec();
    case.shares[3] = 0.0;
    case.shares[11] = 0.0;
    case
}

/// At no load, nothing is missing at the one that fails.
fn one_fails() -> Case {
    let case = by_weight(Algorithm::P2c, 100, "one fails, no load", equal);
    let lease = Lease::new(Arc::clone(&case.pool.backends()[7]));
    lease.report(std::time::Instant::now(), Outcome::Failure);
    drop(lease);
    case
}

/// Half of ten are alive: of the share that makes 70 percent whole, the rest goes on.
fn spilling() -> Case {
    let member = |n: usize| {
        let backend = Backend::new(BackendId::new(n as u32), format!("{n}"), support::address(n));
        (Arc::new(backend.at_priority(u8::from(n >= 5))), Weight::ONE)
    };
    let configured = (0..10).map(|_| (1, 0)).chain((0..10).map(|_| (1, 1)));
    let scheduler = Priorities::around(Algorithm::Random.scheduler()).spilling_below(70);
    let pool = Pool::out_of(&Census::of(configured), (0..15).map(member), &scheduler);
    let first = 5.0 / 7.0;
    let share = |n| if n < 5 { first / 5.0 } else { (1.0 - first) / 10.0 };
    Case {
        name: "priorities around random, 5 of 10 alive, spilling at 70 %".to_owned(),
        pool,
        tried: Vec::new(),
        shares: (0..15).map(share).collect(),
    }
}

/// A zone with a quarter of all weight keeps half of its clients.
fn zones() -> Case {
    let scheduler = Zones::around("near", Algorithm::Random.scheduler());
    let pool = pool_of(20, &scheduler, equal, |n, backend| {
        backend.in_zone(Some(if n < 5 { "near" } else { "far" }.into()))
    });
    Case {
        name: "zones around random, 5 of 20 near".to_owned(),
        pool,
        tried: Vec::new(),
        shares: (0..20).map(|n| if n < 5 { 0.5 / 5.0 } else { 0.5 / 15.0 }).collect(),
    }
}

impl Case {
    fn freedom(&self) -> usize {
        self.shares.iter().filter(|share| **share > 0.0).count() - 1
    }

    fn chi_square(&self) -> f64 {
        let (mut counts, mut rng) = (vec![0_u32; self.shares.len()], rng());
        for hash in 0..DRAWS {
            let flow = Flow::new(hash.into()).retried(&self.tried);
            let backend = self.pool.pick(&flow, &mut rng).expect("there is always somebody");
            counts[backend.id().number() as usize] += 1;
        }
        let total: f64 = self.shares.iter().sum();
        let deviation = |(&count, share): (&u32, &f64)| {
            let expected = share / total * f64::from(DRAWS);
            match count {
                0 if expected == 0.0 => 0.0,
                count => (f64::from(count) - expected).powi(2) / expected,
            }
        };
        counts.iter().zip(&self.shares).map(deviation).sum()
    }
}

/// What chance exceeds once in a million times, by Wilson and Hilferty's approximation (*The
/// Distribution of Chi-Square*, 1931), good to a thousandth from 9 degrees of freedom on.
fn critical(freedom: usize) -> f64 {
    /// What a normal deviate exceeds once in a million times.
    const DEVIATE: f64 = 4.753_424;
    let spread = 2.0 / (9.0 * freedom as f64);
    freedom as f64 * (1.0 - spread + DEVIATE * spread.sqrt()).powi(3)
}
