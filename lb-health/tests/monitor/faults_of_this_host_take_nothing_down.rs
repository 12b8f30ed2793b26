//! A run that fails for a reason on this host says nothing of its target.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::world;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use lb_core::backend::BackendId;
use lb_health::monitor::Because;
use lb_health::state::CheckState;
use lb_health::{CheckError, CheckSpec, Report};
use world::World;

fn no_descriptors() -> Option<Result<Report, CheckError>> {
    let source = Arc::new(std::io::ErrorKind::OutOfMemory.into());
    Some(Err(CheckError::Local { operation: "open a socket", source }))
}

#[test]
fn an_up_backend_stays_up_and_the_errors_are_counted() {
    let mut world = World::new(0);
    let check = world.watch(0, CheckSpec::default());
    world.pass(Duration::from_secs(10), |_, _| Some(Ok(Report::ALIVE)));
    world.pass(Duration::from_secs(1_000), |_, _| no_descriptors());
    assert_eq!(world.verdicts.len(), 1);
    let status = world.monitor.check(check).unwrap();
    assert!(status.local_errors() > 400);
    assert_eq!(status.state(), CheckState::Up { failures: 0, stale: false });
    assert_eq!(status.last().unwrap().result.as_ref().unwrap_err().cause(), "local");

    world.pass(Duration::from_secs(10), |_, _| Some(Ok(Report::ALIVE)));
    assert_eq!(world.monitor.check(check).unwrap().local_errors(), 0);
}

#[test]
fn they_do_not_reset_a_streak() {
    let mut world = World::new(0);
    world.watch(0, CheckSpec::default());
    world.pass(Duration::from_secs(10), |_, _| Some(Ok(Report::ALIVE)));
    let mut run = 0;
    world.pass(Duration::from_secs(10), |_, _| {
        run += 1;
        if run % 2 == 0 { no_descriptors() } else { Some(Err(CheckError::Refused)) }
    });
    assert_eq!(world.verdicts.len(), 2);
}

#[test]
fn a_limit_turns_them_into_failures() {
    let mut world = World::new(0);
    let limited = CheckSpec::default().with_local_limit(NonZeroU32::new(4));
    let check = world.watch(0, limited);
    world.pass(Duration::from_secs(10), |_, _| Some(Ok(Report::ALIVE)));
    let runs = world.starts[&check].len();
    while world.verdicts.len() == 1 {
        world.pass(Duration::from_millis(100), |_, _| no_descriptors());
    }
    // Four that are forgiven, and three that lead down.
    assert_eq!(world.starts[&check].len() - runs, 7);
    let Because::Failed { error, .. } = &world.verdicts[1].because else { panic!() };
    assert!(error.is_local());
}

/// C1: after three in a row, once; and once more when it is over.
#[test]
fn a_check_that_cannot_run_is_told_and_so_is_its_recovery() {
    let mut world = World::new(0);
    let check = world.watch(0, CheckSpec::default());
    for round in 0..3 {
        world.pass(Duration::from_secs(10), |_, _| Some(Ok(Report::ALIVE)));
        assert!(world.obstructed.is_empty());
        let before = world.starts[&check].len();
        while world.obstructed.is_empty() {
            world.pass(Duration::from_millis(100), |_, _| no_descriptors());
        }
        assert_eq!(world.starts[&check].len() - before, 3);
        let told = &world.obstructed[&(BackendId::new(0), check)];
        assert_eq!((told.backend.number(), told.errors, told.error.cause()), (0, 3, "local"));
        // The world would notice a second one that has no end of its own.
        world.pass(Duration::from_secs(100), |_, _| no_descriptors());
        let failed = round == 1;
        world.pass(Duration::from_secs(3), |_, _| {
            Some(if failed { Err(CheckError::Refused) } else { Ok(Report::ALIVE) })
        });
        assert!(world.obstructed.is_empty(), "it ran, whatever came of it");
    }
}

#[test]
fn one_or_two_are_not_told() {
    let mut world = World::new(0);
    world.watch(0, CheckSpec::default());
    let mut run = 0;
    world.pass(Duration::from_secs(100), |_, _| {
        run += 1;
        if run % 3 == 0 { Some(Ok(Report::ALIVE)) } else { no_descriptors() }
    });
    assert!(world.obstructed.is_empty());
}

#[test]
fn a_replacement_that_cannot_run_either_is_told_anew() {
    let mut world = World::new(0);
    let check = world.watch(0, CheckSpec::default());
    world.pass(Duration::from_secs(10), |_, _| no_descriptors());
    assert_eq!(
        world.obstructed.remove(&(BackendId::new(0), check)).map(|told| told.errors),
        Some(3)
    );
    world.monitor.replace(world.now, check, CheckSpec::default());
    world.pass(Duration::from_secs(10), |_, _| no_descriptors());
    assert!(world.obstructed.contains_key(&(BackendId::new(0), check)));
    world.pass(Duration::from_secs(10), |_, _| Some(Ok(Report::ALIVE)));
    assert!(world.obstructed.is_empty());
}
