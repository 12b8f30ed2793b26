//! Fifty balancers that get the same news at the same moment do not all send their next flow to the
//! same backend.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::sync::Arc;

use lb_core::{Algorithm, Backend, Flow, Lease, Pool, Weight};
use rand::Rng;
use support::{alphabet, seeded};

const INSTANCES: u64 = 50;
const FLEETS: u64 = 16;
const BACKENDS: usize = 10;

/// Those that are meant to send everything to one backend.
fn has_a_favourite(algorithm: Algorithm) -> bool {
    ["fo", "first", "ovf"].contains(&algorithm.name())
}

/// Whom the first flow of each instance of a fleet after `news` goes to.
fn first_picks(
    fleet: u64,
    algorithm: Algorithm,
    news: impl Fn(&mut Vec<(Arc<Backend<()>>, Weight)>),
    flows_before: usize,
) -> Vec<usize> {
    let mut picks = vec![0; BACKENDS + 1];
    for instance in 0..INSTANCES {
        let mut rng = seeded(fleet * INSTANCES + instance);
        let mut members = alphabet(&[1; BACKENDS]);
        let pool = Pool::new(members.clone(), &*algorithm.scheduler_at(rng.next_u64()));
        let _staying: Vec<_> = (0..flows_before)
            .map(|_| {
                Lease::new(Arc::clone(pool.pick(&Flow::new(rng.next_u64()), &mut rng).unwrap()))
            })
            .collect();
        news(&mut members);
        let pool = Pool::new(members, &**pool.scheduler());
        let picked = pool.pick(&Flow::new(rng.next_u64()), &mut rng).unwrap();
        picks[picked.id().number() as usize] += 1;
    }
    picks
}

/// Nobody is the first choice of more than three times the mean, or, of whoever weighs more than
/// others, three times its part by weight. Over all fleets nobody has even two and a half times its part
/// by weight.
///
/// Instances know nothing of each other, so that what they choose is independent at best, wherever
/// rotations begin: of ten or eleven equal backends one then has more than three times the mean in up to
/// 1 of 1000 fleets, and more than four times in none. So two may, of the three hundred fleets of a kind
/// of news.
fn at_most_three_times_the_mean<F: Fn(u64) -> Vec<usize>>(
    fleets: impl Iterator<Item = (Algorithm, [u16; BACKENDS + 1], F)>,
) {
    let mut flocking = Vec::new();
    for (algorithm, weights, fleet) in fleets {
        // Where the hash decides, chance has no say.
        let count = if algorithm.scheduler().is_keyed() { 2 } else { FLEETS };
        let total: f64 = weights.iter().copied().map(f64::from).sum();
        let parts = weights.map(|weight| f64::from(weight) / total);
        let mean = 1.0 / weights.iter().filter(|&&weight| weight > 0).count() as f64;
        let exceed = |picks: &[usize], due: &dyn Fn(f64) -> f64| {
            let picked: usize = picks.iter().sum();
            let mut shares = picks.iter().map(|&one| one as f64 / picked as f64).zip(parts);
            shares.any(|(share, part)| share > due(part))
        };
        let fleets: Vec<_> = (0..count).map(fleet).collect();
        for picks in &fleets {
            assert!(!exceed(picks, &|part| 4.0 * part.max(mean)), "{algorithm}: {picks:?}");
            if exceed(picks, &|part| 3.0 * part.max(mean)) {
                flocking.push(format!("{algorithm}: {picks:?}"));
            }
        }
        let all: Vec<usize> =
            (0..=BACKENDS).map(|index| fleets.iter().map(|picks| picks[index]).sum()).collect();
        assert!(!exceed(&all, &|part| 2.5 * part), "{algorithm}: {all:?} over all fleets");
    }
    assert!(flocking.len() <= 2, "{flocking:?}");
}

/// Ten equal backends, and one of this weight that may join.
const fn ten_and(eleventh: u16) -> [u16; BACKENDS + 1] {
    let mut weights = [1; BACKENDS + 1];
    weights[BACKENDS] = eleventh;
    weights
}

fn all_but_those_with_a_favourite() -> impl Iterator<Item = Algorithm> {
    Algorithm::ALL.into_iter().filter(|&one| !has_a_favourite(one))
}

#[test]
fn at_a_start() {
    at_most_three_times_the_mean(all_but_those_with_a_favourite().map(|algorithm| {
        let fleet = move |fleet| first_picks(fleet, algorithm, |_| {}, 0);
        (algorithm, ten_and(0), fleet)
    }));
}

#[test]
fn when_a_backend_dies() {
    let mut weights = ten_and(0);
    weights[3] = 0;
    at_most_three_times_the_mean(all_but_those_with_a_favourite().map(|algorithm| {
        let fleet = move |fleet| first_picks(fleet, algorithm, |all| drop(all.remove(3)), 40);
        (algorithm, weights, fleet)
    }));
}

#[test]
fn when_all_weights_change() {
    let double = |all: &mut Vec<(_, Weight)>| {
        all.iter_mut().for_each(|(_, weight)| *weight = Weight::new(2));
    };
    at_most_three_times_the_mean(all_but_those_with_a_favourite().map(|algorithm| {
        (algorithm, ten_and(0), move |fleet| first_picks(fleet, algorithm, double, 40))
    }));
}

#[test]
fn when_one_weight_changes() {
    for weight in [2, 4] {
        let mut weights = ten_and(0);
        weights[3] = weight;
        let change = move |all: &mut Vec<(_, Weight)>| all[3].1 = Weight::new(weight);
        at_most_three_times_the_mean(all_but_those_with_a_favourite().map(|algorithm| {
            // Those that do not look at weights are to be even.
            let is_even = matches!(algorithm, Algorithm::Rr | Algorithm::Lc);
            let weights = if is_even { ten_and(0) } else { weights };
            (algorithm, weights, move |fleet| first_picks(fleet, algorithm, change, 40))
        }));
    }
}

#[test]
fn when_a_backend_joins() {
    let joined = |all: &mut Vec<_>| all.extend(alphabet(&[1; BACKENDS + 1]).pop());
    // Never to leave anybody idle is what `nq` is for.
    let algorithms = all_but_those_with_a_favourite().filter(|&one| one != Algorithm::Nq);
    at_most_three_times_the_mean(algorithms.map(|algorithm| {
        (algorithm, ten_and(1), move |fleet| first_picks(fleet, algorithm, joined, 40))
    }));
}

/// Who has just come is not passed over either: with as many flows as there were it has its part of
/// them and of the new ones, and was never far ahead of it.
#[test]
fn whoever_joins_comes_to_have_as_much_as_the_others() {
    use Algorithm::{Lblc, Lc, LeastTime, Sed, Wlc};
    for algorithm in [Lc, Wlc, Sed, LeastTime, Lblc] {
        let mut rng = seeded(1);
        let mut members = alphabet(&[60; BACKENDS]);
        let pool = Pool::new(members.clone(), &*algorithm.scheduler());
        let mut flow = |pool: &Pool<()>| {
            Lease::new(Arc::clone(pool.pick(&Flow::new(rng.next_u64()), &mut rng).unwrap()))
        };
        let mut flows: Vec<_> = (0..200).map(|_| flow(&pool)).collect();
        members.extend(alphabet(&[60; BACKENDS + 1]).pop());
        let pool = Pool::new(members, &**pool.scheduler());
        let newcomer = pool.backends()[BACKENDS].load();
        for more in 1..=240 {
            flows.push(flow(&pool));
            let fair = more / (BACKENDS as u32 + 1);
            assert!(newcomer.active() <= 3 * (fair + 1), "{algorithm}: {newcomer:?} of {more}");
        }
        let mean = flows.len() as u32 / (BACKENDS as u32 + 1);
        assert!(newcomer.active().abs_diff(mean) <= 2, "{algorithm}: {newcomer:?} for {mean}");
    }
}

#[test]
fn the_share_of_a_dead_backend_goes_to_all_others() {
    const FLOWS: u64 = 90_000;
    for algorithm in Algorithm::ALL.into_iter().filter(|&one| !has_a_favourite(one)) {
        let mut rng = seeded(1);
        let members = alphabet(&[1; BACKENDS]);
        let whole = Pool::new(members.clone(), &*algorithm.scheduler());
        let dead = Pool::new(members[1..].to_vec(), &**whole.scheduler());
        let hashes: Vec<u64> = (0..FLOWS).map(|_| rng.next_u64()).collect();
        let before = support::tally(&whole, hashes.iter().copied(), &mut rng);
        let after = support::tally(&dead, hashes.iter().copied(), &mut rng);
        let lost = before[0] as f64;
        for (place, (had, has)) in before[1..].iter().zip(&after).enumerate() {
            // Even with the uneven rings: nobody inherits as much as a third of it.
            let gained = *has as f64 - *had as f64;
            assert!(gained < lost / 3.0, "{algorithm}: {place} gained {gained} of {lost}");
        }
    }
}

/// Nobody has to know of phases for that: what is not told where to begin begins anywhere.
#[test]
fn who_is_told_nothing_begins_anywhere() {
    type News<'a> = &'a dyn Fn(&mut Pool<()>);
    for algorithm in [Algorithm::Rr, Algorithm::Wrr, Algorithm::WrrIpvs] {
        let begin = |_: &mut Pool<()>| {};
        let change = |pool: &mut Pool<()>| {
            let mut rest = alphabet(&[1; BACKENDS]);
            rest.remove(3);
            *pool = Pool::new(rest, &**pool.scheduler());
        };
        let news: [News<'_>; 2] = [&begin, &change];
        for (news, earlier) in news.into_iter().zip([0, 40]) {
            let mut picks = vec![0; BACKENDS];
            for instance in 0..INSTANCES * FLEETS {
                let mut rng = seeded(instance);
                let mut pool = Pool::new(alphabet(&[1; BACKENDS]), &*algorithm.scheduler());
                for _ in 0..earlier {
                    let _ = pool.pick(&Flow::new(0), &mut rng).unwrap();
                }
                news(&mut pool);
                let picked = pool.pick(&Flow::new(0), &mut rng).unwrap();
                picks[picked.id().number() as usize] += 1;
            }
            let mean = (INSTANCES * FLEETS) as usize / BACKENDS;
            assert!(picks.iter().all(|&one| one * 2 <= 5 * mean), "{algorithm}: {picks:?}");
        }
    }
}
