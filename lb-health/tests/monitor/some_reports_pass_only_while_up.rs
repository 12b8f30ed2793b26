//! A server that asks for no new clients goes on as long as it is up; it does not come up to leave.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::world;

use std::sync::Arc;
use std::time::Duration;

use lb_core::backend::BackendId;
use lb_core::health::{Admin, ReportedWeight};
use lb_core::{Health, Weight};
use lb_health::monitor::Because;
use lb_health::{CheckError, CheckSpec, Report};
use world::World;

const BACKEND: BackendId = BackendId::new(0);
const WHILE: Duration = Duration::from_secs(20);

/// Passes while up, and wants no new clients; fails else.
fn leaving() -> Report {
    let mut report = Report::ALIVE;
    report.advice.admin = Some(Admin::Drain);
    report.unless_up = Some(Arc::new(CheckError::rejected("it is leaving")));
    report
}

fn answer(world: &mut World, report: impl Fn() -> Result<Report, CheckError>) -> Option<Health> {
    world.pass(WHILE, |_, _| Some(report()));
    world.monitor.health(BACKEND)
}

#[test]
fn who_is_up_is_drained_and_stays_so() {
    let mut world = World::new(1);
    world.watch(0, CheckSpec::default());
    let drained = Health::weighing(ReportedWeight::NONE.and(Weight::ZERO));
    assert_eq!(answer(&mut world, || Ok(Report::ALIVE)), Some(Health::UP));
    assert_eq!(answer(&mut world, || Ok(leaving())), Some(drained));
    assert_eq!(answer(&mut world, || Ok(Report::ALIVE)), Some(Health::UP));
    assert_eq!(world.verdicts.len(), 3);
}

#[test]
fn who_is_down_stays_down() {
    for first_decisive in [false, true] {
        let mut world = World::new(2);
        world.watch(0, CheckSpec::default().with_first_decisive(first_decisive));
        assert_eq!(answer(&mut world, || Err(CheckError::Refused)), Some(Health::Down));
        assert_eq!(answer(&mut world, || Ok(leaving())), Some(Health::Down));
        // It is remembered as the failure that it was.
        let last = world.monitor.checks_of(BACKEND).next().unwrap().1.last().unwrap();
        assert_eq!(last.result.as_ref().unwrap_err().cause(), "rejected");
        assert_eq!(answer(&mut world, || Ok(Report::ALIVE)), Some(Health::UP));
    }
}

/// Nor does it rise half way: successes in a row are of one kind.
#[test]
fn it_ends_a_streak_that_leads_up() {
    let mut world = World::new(3);
    world.watch(0, CheckSpec::default());
    answer(&mut world, || Err(CheckError::Refused));
    let mut count = 0;
    world.pass(WHILE, |_, _| {
        count += 1;
        Some(Ok(if count % 2 == 0 { leaving() } else { Report::ALIVE }))
    });
    assert!(count > 4);
    assert_eq!(world.monitor.health(BACKEND), Some(Health::Down));
}

#[test]
fn who_was_never_seen_is_not_up() {
    for initially_up in [false, true] {
        let mut world = World::new(4);
        world.watch(0, CheckSpec::default().with_initially_up(initially_up));
        assert_eq!(answer(&mut world, || Ok(leaving())), Some(Health::Down));
        assert!(matches!(world.verdicts.last().unwrap().because, Because::Failed { .. }));
    }
}

/// After maintenance, and of a check that was changed, the former verdict is what counts.
#[test]
fn who_was_up_before_a_pause_still_is() {
    let mut world = World::new(5);
    let check = world.watch(0, CheckSpec::default());
    let drained = Health::weighing(ReportedWeight::NONE.and(Weight::ZERO));
    answer(&mut world, || Ok(Report::ALIVE));
    world.monitor.suspend(BACKEND);
    world.drain();
    world.monitor.resume(world.now, BACKEND);
    assert_eq!(answer(&mut world, || Ok(leaving())), Some(drained));
    world.monitor.replace(world.now, check, CheckSpec::default().with_fall(1).unwrap());
    world.drain();
    assert_eq!(answer(&mut world, || Ok(leaving())), Some(drained));

    assert_eq!(answer(&mut world, || Err(CheckError::Refused)), Some(Health::Down));
    world.monitor.suspend(BACKEND);
    world.drain();
    world.monitor.resume(world.now, BACKEND);
    assert_eq!(answer(&mut world, || Ok(leaving())), Some(Health::Down));
}
