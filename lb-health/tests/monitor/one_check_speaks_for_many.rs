//! The same server behind several virtual servers is checked once, and each of them is told.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::world;

use std::time::Duration;

use lb_core::backend::BackendId;
use lb_core::health::ReportedWeight;
use lb_core::{Health, Weight};
use lb_health::state::CheckState;
use lb_health::{CheckError, CheckSpec, Report};
use world::{World, millis};

const FIRST: BackendId = BackendId::new(0);
const SECOND: BackendId = BackendId::new(1);
const THIRD: BackendId = BackendId::new(2);
const MINUTE: Duration = Duration::from_secs(60);

fn alive(world: &mut World, time: Duration) {
    world.pass(time, |_, _| Some(Ok(Report::ALIVE)));
}

fn dead(world: &mut World, time: Duration) {
    world.pass(time, |_, _| Some(Err(CheckError::Refused)));
}

fn healths(world: &World) -> [Option<Health>; 3] {
    [FIRST, SECOND, THIRD].map(|backend| world.monitor.health(backend))
}

#[test]
fn one_run_decides_for_all() {
    let mut world = World::new(0);
    let check = world.watch(0, CheckSpec::default());
    world.monitor.share(world.now, check, SECOND);
    alive(&mut world, MINUTE);
    // Whoever joins later is told what is known.
    world.monitor.share(world.now, check, THIRD);
    world.drain();
    assert_eq!(healths(&world), [Some(Health::UP); 3]);
    assert!(world.starts[&check].len() <= 31, "once each interval, not once for each");
    dead(&mut world, MINUTE);
    assert_eq!(healths(&world), [Some(Health::Down); 3]);
    assert_eq!(world.verdicts.len(), 6);
    assert_eq!(world.monitor.checks().count(), 1);
}

#[test]
fn each_backend_has_its_own_other_checks() {
    let mut world = World::new(0);
    let shared = world.watch(0, CheckSpec::default());
    let own = world.watch(1, CheckSpec::default());
    world.monitor.share(world.now, shared, SECOND);
    alive(&mut world, MINUTE);
    world.pass(MINUTE, |check, _| {
        Some(if check == own { Err(CheckError::Refused) } else { Ok(Report::ALIVE) })
    });
    assert_eq!(healths(&world), [Some(Health::UP), Some(Health::Down), None]);
    world.monitor.release(own, SECOND);
    world.drain();
    assert_eq!(healths(&world), [Some(Health::UP), Some(Health::UP), None]);
    assert!(world.monitor.check(own).is_none());
}

#[test]
fn it_ends_with_the_last_one() {
    let mut world = World::new(0);
    let check = world.watch(0, CheckSpec::default());
    world.monitor.share(world.now, check, SECOND);
    world.monitor.share(world.now, check, SECOND);
    alive(&mut world, MINUTE);
    world.monitor.forget(FIRST);
    world.told.remove(&FIRST);
    world.drain();
    dead(&mut world, MINUTE);
    assert_eq!(healths(&world), [None, Some(Health::Down), None]);
    // One who is not there releases nothing.
    world.monitor.release(check, FIRST);
    assert!(world.monitor.check(check).is_some());
    world.monitor.release(check, SECOND);
    assert!(world.monitor.check(check).is_none());
    assert_eq!(world.monitor.next_deadline(), None);
}

#[test]
fn maintenance_of_one_does_not_blind_the_others() {
    let mut world = World::new(0);
    let check = world.watch(0, CheckSpec::default());
    world.monitor.share(world.now, check, SECOND);
    alive(&mut world, MINUTE);
    world.monitor.suspend(FIRST);
    dead(&mut world, MINUTE);
    assert_eq!(healths(&world), [Some(Health::UP), Some(Health::Down), None]);
    // What the check has learned meanwhile is not stale.
    world.monitor.resume(world.now, FIRST);
    world.drain();
    assert_eq!(healths(&world), [Some(Health::Down), Some(Health::Down), None]);

    let off = |world: &World| {
        matches!(world.monitor.check(check).unwrap().state(), CheckState::Off { .. })
    };
    world.monitor.suspend(FIRST);
    assert!(!off(&world));
    world.monitor.suspend(SECOND);
    world.drain();
    assert!(off(&world) && world.monitor.next_deadline().is_none());
    // A third one wakes it.
    world.monitor.share(world.now, check, THIRD);
    assert!(!off(&world));
    alive(&mut world, MINUTE);
    assert_eq!(healths(&world), [Some(Health::Down), Some(Health::Down), Some(Health::UP)]);
    world.monitor.forget(THIRD);
    world.told.remove(&THIRD);
    world.drain();
    assert!(off(&world));
}

/// The weight that a shared check reported is the backend's still when it gets a check of its own (X3), and
/// nobody is told anything (X4).
#[test]
fn who_gets_a_check_of_its_own_keeps_its_weight() {
    let mut world = World::new(0);
    let shared = world.watch(0, CheckSpec::default());
    world.monitor.share(world.now, shared, SECOND);
    let drained = Health::weighing(ReportedWeight::NONE.and(Weight::ZERO));
    let thirty = Health::weighing(ReportedWeight::NONE.and(Weight::new(30)));
    for (weight, health) in [(30, thirty), (0, drained)] {
        world.pass(MINUTE, |_, _| Some(Ok(Report::weighing(Weight::new(weight)))));
        assert_eq!(healths(&world), [Some(health), Some(health), None]);
        let told = world.verdicts.len();
        let current = world.monitor.checks_of(SECOND).next().unwrap().0;
        let spec = CheckSpec::default().with_fall(u32::from(weight) + 1).unwrap();
        let own = world.monitor.split(world.now, current, SECOND, spec, &mut world.rng);
        world.drain();
        assert_ne!(own, shared);
        assert_eq!(healths(&world), [Some(health), Some(health), None]);
        assert_eq!(world.verdicts.len(), told, "{:?}", world.verdicts);
    }
    // Its first result says anew.
    alive(&mut world, MINUTE);
    assert_eq!(healths(&world), [Some(Health::UP), Some(Health::UP), None]);
}

#[test]
fn traffic_of_one_is_news_for_all() {
    let mut world = World::new(0);
    let check = world.watch(0, CheckSpec::default());
    world.monitor.share(world.now, check, SECOND);
    alive(&mut world, MINUTE);
    for _ in 0..3 {
        world.now += millis(1);
        world.monitor.handle_passive(world.now, FIRST, Err(CheckError::Refused));
    }
    world.drain();
    assert_eq!(healths(&world), [Some(Health::Down), Some(Health::Down), None]);
}
