//! `Priorities` spill over as Envoy's priority levels do, `Zones` keep near what the near ones can
//! carry; and a group that cannot take a flow hands it on.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::Arc;

use lb_core::backend::{BackendId, Limits};
use lb_core::pool::Census;
use lb_core::scheduler::{Priorities, Zones};
use lb_core::{Algorithm, Backend, Flow, Lease, Pool, Scheduler, Weight};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, prop_assert, proptest};
use proptest::prop_oneof;
use rand::TryRng;
use support::{Zeros, seeded};

/// Draws that lie evenly between nothing and everything.
struct Sweep(u64);

const DRAWS: u64 = 2_000;

impl TryRng for Sweep {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.try_next_u64()? >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(u64::MAX / DRAWS);
        Ok(self.0)
    }

    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Infallible> {
        unreachable!("nobody fills bytes")
    }
}

/// What part of all flows each of the groups gets, where one draw decides.
fn swept(pool: &Pool<()>, group: impl Fn(&Backend<()>) -> usize, groups: usize) -> Vec<f64> {
    let (mut counts, mut draws) = (vec![0.0; groups], Sweep(0));
    for _ in 0..DRAWS {
        counts[group(pool.pick(&Flow::new(7), &mut draws).unwrap())] += 1.0 / DRAWS as f64;
    }
    counts
}

fn are_close(ones: &[f64], others: &[f64]) -> bool {
    // A draw at each of the borders.
    ones.iter().zip(others).all(|(one, other)| (one - other).abs() < 2.5 / DRAWS as f64)
}

fn backend(id: usize, priority: u8, zone: Option<&str>) -> Backend<()> {
    Backend::new(BackendId::new(id as u32), format!("backend {id}"), ())
        .at_priority(priority)
        .in_zone(zone.map(Arc::from))
}

/// Of each priority so many alive, so many drained, and so many more configured.
fn prioritised(levels: &[(usize, usize, usize)], scheduler: &dyn Scheduler) -> Pool<()> {
    let mut members = Vec::new();
    let mut configured = Vec::new();
    for (priority, &(alive, drained, down)) in (0..).zip(levels) {
        for place in 0..alive + drained {
            let one = Arc::new(backend(members.len(), priority, None));
            members.push((one, Weight::new(u16::from(place < alive))));
        }
        configured.extend(vec![(1, priority); alive + drained + down]);
    }
    Pool::out_of(&Census::of(configured), members, scheduler)
}

/// Envoy's load levels, in floating point: what each priority can carry, of what is left; and what
/// nobody can, over all of them.
fn envoys(levels: &[(usize, usize, usize)], spill_below: u8) -> Vec<f64> {
    let mut left = 1.0;
    let mut loads = Vec::new();
    for &(alive, drained, down) in levels {
        let all = (alive + drained + down) as f64;
        let health = match (alive, spill_below) {
            (0, _) => 0.0,
            (_, 0) => 1.0,
            (alive, percent) => (alive as f64 / all * 100.0 / f64::from(percent)).min(1.0),
        };
        let load = health.min(left);
        left -= load;
        loads.push(load);
    }
    let total: f64 = loads.iter().sum();
    loads.iter().map(|load| load / total).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn priorities_carry_what_envoys_do(
        levels in vec((0..6_usize, 0..3_usize, 0..6_usize), 1..5),
        spill_below in prop_oneof![Just(0), Just(71), Just(100), 1..100_u8],
    ) {
        let scheduler = Priorities::around(Algorithm::First.scheduler()).spilling_below(spill_below);
        let pool = prioritised(&levels, &scheduler);
        if levels.iter().all(|&(alive, ..)| alive == 0) {
            prop_assert!(pool.pick(&Flow::new(7), &mut Sweep(0)).is_err());
        } else {
            let got = swept(&pool, |backend| backend.priority().into(), levels.len());
            let due = envoys(&levels, spill_below);
            prop_assert!(are_close(&got, &due), "{got:?} rather than {due:?}");
        }
    }

    #[test]
    fn zones_keep_what_they_can_carry(
        near in vec(0..9_u16, 0..4),
        far in vec(vec(0..9_u16, 1..4), 0..4),
        nowhere in vec(0..9_u16, 0..3),
    ) {
        let names = ["b", "c", "d", "e"];
        let mut zones = vec![(Some("home"), near)];
        zones.extend(far.into_iter().zip(names).map(|(weights, name)| (Some(name), weights)));
        zones.push((None, nowhere));
        let mut members = Vec::new();
        for (zone, weights) in &zones {
            for &weight in weights {
                members.push((Arc::new(backend(members.len(), 0, *zone)), Weight::new(weight)));
            }
        }
        let weights: Vec<u32> =
            zones.iter().map(|(_, weights)| weights.iter().copied().map(u32::from).sum()).collect();
        let total = f64::from(weights.iter().sum::<u32>());
        let pool = Pool::new(members, &Zones::around("home", Algorithm::First.scheduler()));
        if total == 0.0 {
            prop_assert!(pool.pick(&Flow::new(7), &mut Sweep(0)).is_err());
            return Ok(());
        }
        // Of as many zones as there are, this one included.
        let even = 1.0 / (1 + weights[1..].iter().filter(|&&weight| weight > 0).count()) as f64;
        let share: Vec<f64> = weights.iter().map(|&weight| f64::from(weight) / total).collect();
        let stays = (share[0] / even).min(1.0);
        let room: Vec<f64> = share.iter().map(|share| (share - even).max(0.0)).collect();
        let rooms: f64 = room[1..].iter().sum();
        let due: Vec<f64> = (0..share.len())
            .map(|zone| if zone == 0 { stays } else if stays > 1.0 - 1e-9 { 0.0 } else { (1.0 - stays) * room[zone] / rooms })
            .collect();
        let place = |backend: &Backend<()>| {
            zones.iter().position(|(zone, _)| *zone == backend.zone().map(|name| &**name)).unwrap()
        };
        let got = swept(&pool, place, zones.len());
        prop_assert!(are_close(&got, &due), "{got:?} rather than {due:?}");
    }
}

/// Two priorities, the first of which carries half of all flows.
fn half_and_half(algorithm: Algorithm) -> Pool<()> {
    let scheduler = Priorities::around(algorithm.scheduler()).spilling_below(100);
    prioritised(&[(2, 0, 2), (3, 0, 0)], &scheduler)
}

#[test]
fn keys_stay_in_their_group_while_nothing_changes() {
    for algorithm in Algorithm::ALL.into_iter().filter(|one| one.scheduler().is_keyed()) {
        let (pool, mut rng) = (half_and_half(algorithm), seeded(1));
        let again = half_and_half(algorithm);
        let mut first = 0;
        for key in 0..4_000 {
            let flow = Flow::new(key);
            let group = pool.pick(&flow, &mut rng).unwrap().priority();
            for other in [&pool, &again] {
                assert_eq!(other.pick(&flow, &mut rng).unwrap().priority(), group, "{algorithm}");
            }
            first += u32::from(group == 0);
        }
        // Six standard deviations of a fair coin.
        assert!(first.abs_diff(2_000) < 190, "{algorithm}: {first}");
    }
}

/// Who is drawn by a key's hash in one grouping is not by that drawn in the grouping inside.
#[test]
fn keys_are_split_in_groups_inside_of_groups() {
    let rendezvous = Algorithm::Rendezvous.scheduler();
    let zones = Zones::around("a", rendezvous);
    let scheduler = Priorities::around(Arc::new(zones)).spilling_below(100);
    // Half of all flows to the first priority, and of those half to each of two zones.
    let zoned = [(0, "a"), (0, "b"), (0, "b"), (0, "b"), (1, "a")].into_iter().enumerate();
    let members: Vec<_> = zoned
        .map(|(id, (priority, zone))| (Arc::new(backend(id, priority, Some(zone))), Weight::ONE))
        .collect();
    let configured = Census::of([(1, 0); 8].into_iter().chain([(1, 1)]));
    let pool = Pool::out_of(&configured, members, &scheduler);
    let counts = support::tally(&pool, 0..40_000, &mut Zeros);
    for (place, due) in [10_000, 3_333, 3_333, 3_333, 20_000].into_iter().enumerate() {
        assert!(counts[place].abs_diff(due) < 600, "{counts:?}");
    }
}

#[test]
fn a_group_that_cannot_take_a_flow_hands_it_on() {
    let one = NonZeroU32::MIN;
    for algorithm in Algorithm::ALL {
        let scheduler = Priorities::around(algorithm.scheduler());
        let limited = |id: usize| {
            let backend = backend(id, id as u8 / 2, None);
            backend.set_limits(Limits::NONE.at_most(one));
            (Arc::new(backend), Weight::ONE)
        };
        let pool = Pool::new((0..4).map(limited), &scheduler);
        let mut rng = seeded(1);
        let tried = [0, 1].map(BackendId::new);
        let flow = Flow::new(7).retried(&tried);
        assert_eq!(pool.pick(&flow, &mut rng).unwrap().priority(), 1, "{algorithm}");
        let priorities: Vec<_> = (0..4)
            .map(|_| Lease::try_new(pool.pick(&Flow::new(7), &mut rng).unwrap()).unwrap())
            .collect();
        let priorities: Vec<_> = priorities.iter().map(|lease| lease.priority()).collect();
        assert_eq!(priorities, [0, 0, 1, 1], "{algorithm}");
    }
}

#[test]
fn the_share_of_a_full_backend_stays_in_its_group() {
    for algorithm in [Algorithm::Random, Algorithm::Rr, Algorithm::Wrr, Algorithm::Mh] {
        let pool = half_and_half(algorithm);
        pool.backends()[0].set_limits(Limits::NONE.at_most(NonZeroU32::MIN));
        let _flow = Lease::new(Arc::clone(&pool.backends()[0]));
        let again = Pool::out_of(
            &Census::of([(1, 0); 4]),
            pool.backends().iter().map(|one| (Arc::clone(one), Weight::ONE)),
            &**pool.scheduler(),
        );
        let mut rng = seeded(1);
        let mut pick = |hash| again.pick(&Flow::new(hash), &mut rng).unwrap().id().number();
        let counts = (0..4_000).map(&mut pick).fold([0_u32; 5], |mut counts, id| {
            counts[id as usize] += 1;
            counts
        });
        assert!(counts[0] == 0 && counts[1].abs_diff(2_000) < 190, "{algorithm}: {counts:?}");
    }
}

#[test]
fn the_rotation_of_a_group_that_returns_goes_on() {
    let standby = (Arc::new(backend(3, 1, None)), Weight::ONE);
    let primaries: Vec<_> =
        (0..3).map(|id| (Arc::new(backend(id, 0, None)), Weight::ONE)).collect();
    let all = || primaries.iter().cloned().chain([standby.clone()]);
    let mut pool = Pool::new(all(), &Priorities::around(Algorithm::Rr.scheduler()));
    let pick = |pool: &Pool<()>| pool.pick(&Flow::new(7), &mut Zeros).unwrap().id().number();
    for next in 0..7 {
        assert_eq!(pick(&pool), next % 3);
        // All primaries go, and come back.
        let alone = Pool::new([standby.clone()], &**pool.scheduler());
        assert_eq!(pick(&alone), 3);
        pool = Pool::new(all(), &**alone.scheduler());
    }
}

/// Without a spill-over, a group that has anybody left takes everything.
#[test]
fn the_last_of_a_priority_carries_all() {
    let scheduler = Priorities::around(Algorithm::Wlc.scheduler());
    let pool = prioritised(&[(0, 2, 1), (1, 0, 9), (5, 0, 0)], &scheduler);
    assert_eq!(swept(&pool, |backend| backend.priority().into(), 3)[1].round(), 1.0);
}
