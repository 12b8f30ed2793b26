//! Fifty balancers that get the same news at the same moment do not all send their next flow to the
//! same backend.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

mod support;

use std::sync::Arc;

use lb_core::{Algorithm, Backend, Flow, Lease, Pool, Weight};
use rand::Rng;
use support::{alphabet, seeded};

const INSTANCES: u64 = 50;
/// Chance makes one fleet or the other unlucky.
const FLEETS: u64 = 16;
const BACKENDS: usize = 10;

/// Those that are meant to send everything to one backend.
fn has_a_favourite(algorithm: Algorithm) -> bool {
    ["fo", "first", "ovf"].contains(&algorithm.name())
}

/// IPVS' order begins again at the head of the list whenever anything changes: so does every instance
/// of a fleet, which is what `wrr` is for.
fn begins_again(algorithm: Algorithm) -> bool {
    has_a_favourite(algorithm) || algorithm == Algorithm::WrrIpvs
}

/// Whom the first flow of each instance of a fleet after `news` goes to.
fn first_picks(
    fleet: u64,
    algorithm: Algorithm,
    before: &[u16],
    news: impl Fn(&mut Vec<(Arc<Backend<()>>, Weight)>),
    flows_before: usize,
) -> Vec<usize> {
    let mut picks = vec![0; BACKENDS + 1];
    for instance in 0..INSTANCES {
        let mut rng = seeded(fleet * INSTANCES + instance);
        let mut members = alphabet(before);
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

fn at_most_three_times_the_mean(
    algorithm: Algorithm,
    backends: usize,
    fleet: impl Fn(u64) -> Vec<usize>,
) {
    // Where the hash decides, chance has no say.
    let count = if algorithm.scheduler().is_keyed() { 2 } else { FLEETS };
    let fleets: Vec<_> = (0..count).map(fleet).collect();
    let flocks = |picks: &Vec<usize>| {
        let most = picks.iter().max().unwrap();
        *most * backends > 3 * INSTANCES as usize
    };
    let flocking = fleets.iter().filter(|picks| flocks(picks)).count() as u64;
    assert!(flocking * 4 <= count, "{algorithm}: {flocking} of {count} flock: {fleets:?}");
    let all = (0..=BACKENDS).map(|place| fleets.iter().map(|picks| picks[place]).sum::<usize>());
    let (most, mean) = (all.max().unwrap(), (count * INSTANCES) as usize / backends);
    assert!(most * 2 <= mean * 5, "{algorithm}: {most} of {mean} over all fleets");
}

#[test]
fn at_a_start() {
    for algorithm in Algorithm::ALL.into_iter().filter(|&one| !has_a_favourite(one)) {
        at_most_three_times_the_mean(algorithm, BACKENDS, |fleet| {
            first_picks(fleet, algorithm, &[1; BACKENDS], |_| {}, 0)
        });
    }
}

#[test]
fn when_a_backend_dies() {
    for algorithm in Algorithm::ALL.into_iter().filter(|&one| !begins_again(one)) {
        at_most_three_times_the_mean(algorithm, BACKENDS - 1, |fleet| {
            first_picks(fleet, algorithm, &[1; BACKENDS], |all| drop(all.remove(3)), 40)
        });
    }
}

#[test]
fn when_weights_change() {
    let double = |all: &mut Vec<(_, Weight)>| {
        all.iter_mut().for_each(|(_, weight)| *weight = Weight::new(2));
    };
    for algorithm in Algorithm::ALL.into_iter().filter(|&one| !begins_again(one)) {
        at_most_three_times_the_mean(algorithm, BACKENDS, |fleet| {
            first_picks(fleet, algorithm, &[1; BACKENDS], double, 40)
        });
    }
}

#[test]
fn when_a_backend_joins() {
    // An exact scan for the least load sends the next flow of every instance to whoever has none:
    // that is what it is for, and why fleets take `p2c`. (`slow_start` would not change it: an idle
    // backend is the least loaded at any weight.)
    let scans =
        [Algorithm::Lc, Algorithm::LeastTime, Algorithm::Nq, Algorithm::Sed, Algorithm::Wlc];
    let scans = |one: &Algorithm| scans.contains(one) || one.name().starts_with("lblc");
    let joined = |all: &mut Vec<_>| all.extend(alphabet(&[1; BACKENDS + 1]).pop());
    for algorithm in Algorithm::ALL.into_iter().filter(|one| !begins_again(*one) && !scans(one)) {
        at_most_three_times_the_mean(algorithm, BACKENDS + 1, |fleet| {
            first_picks(fleet, algorithm, &[1; BACKENDS], joined, 40)
        });
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
