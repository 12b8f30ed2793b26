//! A backend that fails at once is always idle and always fast. Schedulers that look at load or at
//! time must not take that for a virtue.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use lb_core::backend::Outcome;
use lb_core::{Algorithm, Director, Lease};
use rand::{Rng, RngExt};
use support::{pool, seeded, start};

const LOOK_AT_LOAD: [Algorithm; 7] = [
    Algorithm::Lc,
    Algorithm::LeastTime,
    Algorithm::Nq,
    Algorithm::P2c,
    Algorithm::PeakEwma,
    Algorithm::Sed,
    Algorithm::Wlc,
];

/// How a backend behaves: how long it takes, and what comes of it.
type Backend = (Duration, Outcome);

const FLOWS: usize = 20_000;

/// In a world of its own time, lets flows come every `pause` on average, and reports what becomes of
/// them: how many each backend got.
fn simulate(
    algorithm: Algorithm,
    backends: &[Backend],
    pause: Duration,
    reports: bool,
) -> Vec<usize> {
    let director = Director::<u64, ()>::new(pool(algorithm, &vec![1; backends.len()]));
    let (start, mut rng) = (start(), seeded(7));
    let mut now = start;
    let mut open: BinaryHeap<Reverse<(Instant, usize)>> = BinaryHeap::new();
    let mut leases: Vec<Option<Lease<()>>> = Vec::new();
    let mut counts = vec![0; backends.len()];
    for _ in 0..FLOWS {
        now += vary(pause, &mut rng);
        while open.peek().is_some_and(|Reverse((end, _))| *end <= now) {
            let Reverse((end, number)) = open.pop().unwrap();
            let lease = leases[number].take().unwrap();
            if reports {
                lease.report(end, backends[lease.id().number() as usize].1);
            }
        }
        let lease = director.assign(now, &0, &[], &mut rng).unwrap();
        let backend = lease.id().number() as usize;
        counts[backend] += 1;
        open.push(Reverse((now + vary(backends[backend].0, &mut rng), leases.len())));
        leases.push(Some(lease));
    }
    counts
}

/// Between half and one and a half of it.
fn vary(duration: Duration, rng: &mut dyn Rng) -> Duration {
    duration.mul_f64(rng.random_range(0.5..1.5))
}

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// One of ten fails in 1 ms, the others answer in 20 ms.
fn a_black_hole() -> Vec<Backend> {
    let mut backends = vec![(millis(20), Outcome::Success); 10];
    backends[4] = (millis(1), Outcome::Failure);
    backends
}

/// From hardly ever two flows at once to hundreds.
const PAUSES: [Duration; 5] = [
    Duration::from_micros(20_000),
    Duration::from_micros(5_000),
    Duration::from_micros(1_000),
    Duration::from_micros(200),
    Duration::from_micros(50),
];

#[test]
fn one_of_ten_that_fails_in_1_ms_gets_at_most_twice_its_share() {
    for algorithm in LOOK_AT_LOAD {
        for pause in PAUSES {
            let failed = simulate(algorithm, &a_black_hole(), pause, true)[4];
            assert!(failed <= 2 * FLOWS / 10, "{algorithm}, every {pause:?}: {failed}");
            // It is for health checks to give up on it: it is still asked.
            assert!(failed > 0, "{algorithm}, every {pause:?}");
        }
    }
}

#[test]
fn without_reports_it_gets_nearly_everything() {
    // What the test above would show if outcomes did not count.
    for algorithm in [Algorithm::Lc, Algorithm::Wlc] {
        let failed = simulate(algorithm, &a_black_hole(), millis(1), false)[4];
        assert!(failed > FLOWS / 2, "{algorithm}: {failed}");
    }
}

#[test]
fn where_all_fail_alike_all_are_alike() {
    for algorithm in LOOK_AT_LOAD {
        let counts = simulate(algorithm, &[(millis(1), Outcome::Failure); 10], millis(1), true);
        for count in &counts {
            assert!((FLOWS / 20..FLOWS / 5).contains(count), "{algorithm}: {counts:?}");
        }
    }
}

#[test]
fn a_backend_that_recovers_gets_its_share_again() {
    for algorithm in LOOK_AT_LOAD {
        let director = Director::<u64, ()>::new(pool(algorithm, &[1, 1]));
        let (mut now, mut rng) = (start(), seeded(1));
        let mut share = |outcome| {
            let mut of_first = 0;
            for _ in 0..2_000 {
                now += millis(10);
                let lease = director.assign(now, &0, &[], &mut rng).unwrap();
                let first = lease.id().number() == 0;
                of_first += usize::from(first);
                now += millis(10);
                lease.report(now, if first { outcome } else { Outcome::Success });
            }
            of_first
        };
        let failing = share(Outcome::Failure);
        assert!((1..=1_100).contains(&failing), "{algorithm}: {failing} of 2000");
        share(Outcome::Success);
        let recovered = share(Outcome::Success);
        assert!((600..=1_400).contains(&recovered), "{algorithm}: {recovered} of 2000");
    }
}

#[test]
fn slower_backends_get_less() {
    // Three take 10 ms, one takes 40 ms.
    let mut backends = vec![(millis(10), Outcome::Success); 4];
    backends[0] = (millis(40), Outcome::Success);
    for algorithm in [Algorithm::LeastTime, Algorithm::PeakEwma] {
        let counts = simulate(algorithm, &backends, millis(2), true);
        assert!(counts[0] * 2 < counts[1], "{algorithm}: {counts:?}");
        assert!(counts[0] > 0, "{algorithm} tries it again: {counts:?}");
    }
}

#[test]
fn a_new_backend_is_not_taken_to_be_the_fastest() {
    for algorithm in [Algorithm::LeastTime, Algorithm::PeakEwma] {
        let members = support::alphabet(&[1; 5]);
        let scheduler = algorithm.scheduler();
        let mut director =
            Director::<u64, ()>::new(lb_core::Pool::new(members[..4].to_vec(), &*scheduler));
        let (mut now, mut rng) = (start(), seeded(1));
        for round in 0..2 {
            let mut counts = [0; 5];
            for _ in 0..200 {
                let leases: Vec<_> =
                    (0..8).map(|_| director.assign(now, &0, &[], &mut rng).unwrap()).collect();
                now += millis(300);
                for lease in leases {
                    counts[lease.id().number() as usize] += 1;
                    lease.report(now, Outcome::Success);
                }
            }
            assert!(counts.iter().all(|&count| count <= 2 * 1_600 / 4), "{algorithm}: {counts:?}");
            assert_eq!(counts[4] > 0, round == 1);
            director = Director::new(lb_core::Pool::new(members.clone(), &*scheduler));
        }
    }
}
