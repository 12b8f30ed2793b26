//! A check on another port passes while every client fails, and the like.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::world;

use std::time::{Duration, Instant};

use lb_core::backend::BackendId;
use lb_health::monitor::Because;
use lb_health::{CheckError, CheckSpec, Report};
use proptest::prelude::*;
use world::{World, millis};

const BACKEND: BackendId = BackendId::new(0);

fn every(interval: Duration) -> CheckSpec {
    CheckSpec::default().with_interval(interval).unwrap()
}

/// Lets time pass with a connection every `gap` while the backend is up; all of them fail. `check`
/// answers the runs.
fn pass_with_traffic(
    world: &mut World,
    time: Duration,
    gap: Duration,
    mut check: impl FnMut(Instant) -> Result<Report, CheckError>,
) {
    let end = world.now + time;
    while world.now < end {
        world.pass(gap, |_, now| Some(check(now)));
        if world.told.get(&BACKEND).is_some_and(|health| health.is_up()) {
            world.monitor.handle_passive(world.now, BACKEND, Err(CheckError::Refused));
            world.drain();
        }
    }
}

fn downs(world: &World) -> usize {
    world.verdicts.iter().filter(|verdict| !verdict.health.is_up()).count()
}

#[test]
fn a_dead_port_beside_a_live_check_goes_down_ever_more_rarely() {
    for interval in [millis(200), millis(1_000), millis(2_000), millis(10_000)] {
        for rise in [1, 2, 5] {
            let spec = every(interval).with_rise(rise).unwrap();
            let mut world = World::new(3);
            world.watch(0, spec);
            let time = Duration::from_secs(120);
            pass_with_traffic(&mut world, time, millis(50), |_| Ok(Report::ALIVE));
            let logarithm = (time.as_secs_f64() / interval.as_secs_f64()).log2().ceil() as usize;
            assert!(downs(&world) <= 2 + logarithm, "{interval:?}: {} times", downs(&world));
            // In the long run once a minute, and not never: somebody may have repaired it.
            let before = downs(&world);
            let hour = Duration::from_secs(3_600);
            pass_with_traffic(&mut world, hour, millis(50), |_| Ok(Report::ALIVE));
            assert!((40..=70).contains(&(downs(&world) - before)), "{}", downs(&world) - before);
        }
    }
}

/// The time from the last verdict, which is down, to the next one.
fn recovery(world: &mut World) -> Duration {
    let (count, begin) = (world.verdicts.len(), world.now);
    assert!(!world.verdicts[count - 1].health.is_up());
    while world.verdicts.len() == count {
        world.pass(millis(1), |_, _| Some(Ok(Report::ALIVE)));
    }
    world.now - begin
}

fn fail(world: &mut World) {
    while world.told[&BACKEND].is_up() {
        world.monitor.handle_passive(world.now, BACKEND, Err(CheckError::Refused));
        world.drain();
    }
}

#[test]
fn a_single_incident_is_not_held() {
    let spec = every(millis(2_000)).with_jitter_percent(0).unwrap();
    let mut world = World::new(4);
    world.watch(0, spec);
    for _ in 0..20 {
        world.pass(Duration::from_secs(70), |_, _| Some(Ok(Report::ALIVE)));
        fail(&mut world);
        let last = world.verdicts.last().unwrap();
        assert!(matches!(last.because, Because::Traffic { held_until: None, .. }));
        // Rise 2: a run within the interval, and a fast one.
        assert!(recovery(&mut world) <= millis(2_500));
    }
}

#[test]
fn the_streak_begins_after_the_hold() {
    let spec = every(millis(2_000)).with_rise(3).unwrap();
    let mut world = World::new(5);
    world.watch(0, spec);
    world.pass(Duration::from_secs(10), |_, _| Some(Ok(Report::ALIVE)));
    for hold in [0, 2, 4, 8, 16, 32, 60, 60].map(Duration::from_secs) {
        fail(&mut world);
        let told = world.verdicts.last().unwrap().because.clone();
        let until = world.monitor.held_until(world.now, BACKEND);
        assert!(matches!(told, Because::Traffic { held_until, .. } if held_until == until));
        assert_eq!(until.map_or(Duration::ZERO, |until| until - world.now), hold);
        let took = recovery(&mut world);
        assert!(took > hold + millis(900) && took < hold + millis(3_500), "{took:?} for {hold:?}");
    }
}

#[test]
fn what_a_check_took_down_is_not_held() {
    let mut world = World::new(6);
    world.watch(0, every(millis(1_000)));
    for _ in 0..50 {
        world.pass(Duration::from_secs(5), |_, _| Some(Ok(Report::ALIVE)));
        assert!(world.told[&BACKEND].is_up());
        world.pass(Duration::from_secs(5), |_, _| Some(Err(CheckError::Refused)));
        assert!(!world.told[&BACKEND].is_up());
        assert_eq!(world.monitor.held_until(world.now, BACKEND), None);
    }
}

/// Whoever changes a check or ends a maintenance wants to know at once what came of it.
#[test]
fn a_change_by_hand_ends_the_hold() {
    for by_replacement in [false, true] {
        let mut world = World::new(7);
        let check = world.watch(0, every(millis(1_000)));
        pass_with_traffic(&mut world, Duration::from_secs(60), millis(50), |_| Ok(Report::ALIVE));
        assert!(world.monitor.held_until(world.now, BACKEND).is_some());
        if by_replacement {
            world.monitor.replace(world.now, check, every(millis(1_000)));
        } else {
            world.monitor.suspend(BACKEND);
            world.monitor.resume(world.now, BACKEND);
        }
        world.drain();
        assert_eq!(world.monitor.held_until(world.now, BACKEND), None);
        world.pass(millis(1_000), |_, _| Some(Ok(Report::ALIVE)));
        assert!(world.told[&BACKEND].is_up());
    }
}

proptest! {
    /// Whatever checks and traffic say, nothing comes up while it is held, and only traffic holds.
    #[test]
    fn nothing_comes_up_while_it_is_held(
        steps in prop::collection::vec((0_u64..4_000, any::<bool>(), 0_usize..5), 1..200),
        rise in 1_u32..4,
        fall in 1_u32..4,
    ) {
        let spec = every(millis(1_000)).with_rise(rise).unwrap().with_fall(fall).unwrap();
        let mut world = World::new(8);
        world.watch(0, spec);
        let mut held_before = None;
        for (gap, passes, failures) in steps {
            let ups = world.verdicts.len();
            let result = || if passes { Ok(Report::ALIVE) } else { Err(CheckError::Refused) };
            world.pass(millis(gap), |_, _| Some(result()));
            let came_up = world.verdicts[ups..].iter().any(|verdict| verdict.health.is_up());
            prop_assert!(!came_up || held_before.is_none_or(|until| until < world.now));
            // Runs never begin a hold.
            let held = world.monitor.held_until(world.now, BACKEND);
            prop_assert_eq!(held, held_before.filter(|&until| until > world.now));
            let was_up = world.told.get(&BACKEND).is_some_and(|health| health.is_up());
            for _ in 0..failures {
                world.monitor.handle_passive(world.now, BACKEND, Err(CheckError::Refused));
                world.drain();
            }
            held_before = world.monitor.held_until(world.now, BACKEND);
            if held_before != held {
                prop_assert!(was_up && !world.told[&BACKEND].is_up());
            }
        }
    }
}
