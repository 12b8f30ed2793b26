//! Replacing, suspending, adding and forgetting checks: what a backend's health does meanwhile.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::world;

use std::time::Duration;

use lb_core::Health;
use lb_core::backend::BackendId;
use lb_health::monitor::Because;
use lb_health::state::CheckState;
use lb_health::{CheckError, CheckSpec, Report};
use rand::SeedableRng;
use rand::rngs::StdRng;
use world::{World, millis};

const BACKEND: BackendId = BackendId::new(0);

fn ok() -> Option<Result<Report, CheckError>> {
    Some(Ok(Report::ALIVE))
}

fn refused() -> Option<Result<Report, CheckError>> {
    Some(Err(CheckError::Refused))
}

fn healths(world: &World) -> Vec<bool> {
    world.verdicts.iter().map(|verdict| verdict.health.is_up()).collect()
}

#[test]
fn no_health_before_the_first_verdict() {
    let mut world = World::new(0);
    world.watch(0, CheckSpec::default());
    assert_eq!(world.monitor.health(BACKEND), None);
    world.pass(millis(0), |_, _| refused());
    assert_eq!(world.monitor.health(BACKEND), Some(Health::Down));
    let Because::Failed { error, .. } = &world.verdicts[0].because else { panic!() };
    assert_eq!(error.cause(), "refused");
}

#[test]
fn a_backend_may_be_up_before_its_first_check() {
    let mut world = World::new(0);
    world.watch(0, CheckSpec::haproxy(Duration::from_secs(2), 2, 3).unwrap());
    assert_eq!(healths(&world), [true]);
    assert!(matches!(world.verdicts[0].because, Because::Initial { .. }));
    world.pass(millis(0), |_, _| refused());
    assert_eq!(healths(&world), [true, false]);
}

#[test]
fn a_new_check_does_not_take_an_up_backend_down() {
    let mut world = World::new(0);
    world.watch(0, CheckSpec::default());
    world.pass(millis(0), |_, _| ok());
    let second = world.watch(0, CheckSpec::default());
    assert_eq!(healths(&world), [true]);
    world.pass(millis(0), |check, _| if check == second { refused() } else { ok() });
    assert_eq!(healths(&world), [true, false]);
}

#[test]
fn a_changed_check_of_an_up_backend_has_to_earn_its_verdict() {
    let mut world = World::new(0);
    let check = world.watch(0, CheckSpec::default());
    world.pass(Duration::from_secs(10), |_, _| ok());
    world.monitor.replace(world.now, check, CheckSpec::default());
    world.drain();
    let runs = world.starts[&check].len();
    while world.verdicts.len() == 1 {
        world.pass(millis(10), |_, _| refused());
    }
    assert_eq!(world.starts[&check].len(), runs + 3);

    world.monitor.replace(world.now, check, CheckSpec::default());
    world.pass(millis(500), |_, _| ok());
    assert_eq!(healths(&world), [true, false, true]);
}

#[test]
fn maintenance_keeps_the_verdict_and_the_next_result_decides() {
    let mut world = World::new(0);
    let check = world.watch(0, CheckSpec::default());
    world.pass(Duration::from_secs(10), |_, _| ok());
    // Suspended in the middle of a run, whose result comes all the same.
    world.now = world.monitor.next_deadline().unwrap();
    world.monitor.handle_timeout(world.now);
    world.drain();
    let run = world.going[&check];
    world.monitor.suspend(BACKEND);
    world.drain();
    assert_eq!(world.cancelled, [run]);
    world.monitor.handle_result(world.now, run, Err(CheckError::Refused.into()));
    assert_eq!(world.monitor.next_deadline(), None);
    assert_eq!(world.monitor.health(BACKEND), Some(Health::UP));

    world.now += Duration::from_secs(3600);
    world.monitor.resume(world.now, BACKEND);
    world.drain();
    assert_eq!(healths(&world), [true]);
    world.pass(millis(0), |_, _| refused()); // one failure, though fall is 3
    assert_eq!(healths(&world), [true, false]);
}

#[test]
fn a_check_added_in_maintenance_waits_for_its_end() {
    let mut world = World::new(0);
    world.monitor.suspend(BACKEND);
    let check = world.watch(0, CheckSpec::default());
    assert!(matches!(world.monitor.check(check).unwrap().state(), CheckState::Off { .. }));
    assert_eq!(world.monitor.next_deadline(), None);
    world.monitor.resume(world.now, BACKEND);
    world.pass(millis(0), |_, _| ok());
    assert_eq!(healths(&world), [true]);
}

#[test]
fn forgetting_the_failing_check_lets_the_others_decide() {
    let mut world = World::new(0);
    let failing = world.watch(0, CheckSpec::default());
    world.watch(0, CheckSpec::default());
    world.pass(millis(0), |check, _| if check == failing { refused() } else { ok() });
    assert_eq!(healths(&world), [false]);
    world.monitor.forget_check(failing);
    world.drain();
    assert_eq!(healths(&world), [false, true]);
}

#[test]
fn a_backend_without_checks_is_up() {
    let mut world = World::new(0);
    let check = world.watch(0, CheckSpec::default());
    world.pass(millis(0), |_, _| refused());
    world.monitor.forget_check(check);
    world.drain();
    assert_eq!(healths(&world), [false, true]);
    // Forgotten twice, and known no more.
    world.monitor.forget_check(check);
    world.monitor.forget(BACKEND);
    assert!(world.monitor.poll_action().is_none());
    assert_eq!(world.monitor.health(BACKEND), None);
}

#[test]
fn an_identity_is_not_used_again() {
    let mut world = World::new(0);
    let old = world.watch(0, CheckSpec::default());
    world.monitor.handle_timeout(world.now);
    world.drain();
    let late = world.going[&old];
    world.monitor.forget(BACKEND);
    world.drain();
    let new = world.watch(0, CheckSpec::default());
    assert_ne!(old, new);
    world.monitor.handle_timeout(world.now);
    world.drain();
    world.monitor.handle_result(world.now, late, Ok(Report::ALIVE));
    assert!(world.monitor.poll_action().is_none());
    assert!(world.monitor.check(old).is_none());
}

#[test]
fn a_changed_check_that_others_share_keeps_the_verdict_too() {
    const OTHER: BackendId = BackendId::new(1);
    let initially_up = CheckSpec::haproxy(Duration::from_secs(2), 2, 3).unwrap();
    for (answer, up) in [(refused as fn() -> _, false), (ok, true)] {
        let mut world = World::new(0);
        let check = world.watch(0, initially_up.clone());
        world.monitor.share(world.now, check, OTHER);
        world.pass(Duration::from_secs(20), |_, _| answer());
        let before = world.verdicts.len();
        assert_eq!(world.monitor.health(BACKEND).map(Health::is_up), Some(up));

        let mut rng = StdRng::seed_from_u64(1);
        let own = world.monitor.split(world.now, check, BACKEND, initially_up.clone(), &mut rng);
        world.pass(millis(0), |_, _| None);
        assert_eq!(world.verdicts.len(), before, "a change is no news");
        assert_eq!(world.monitor.check(check).unwrap().backends().collect::<Vec<_>>(), [OTHER]);
        let Some(known) = world.monitor.check(own) else { panic!() };
        assert_eq!(known.backends().collect::<Vec<_>>(), [BACKEND]);
        assert_eq!(matches!(known.state(), CheckState::Up { .. }), up);
    }
}
