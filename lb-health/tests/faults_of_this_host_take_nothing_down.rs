//! A run that fails for a reason on this host says nothing of its target.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

mod world;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use lb_health::{Because, CheckError, CheckSpec, CheckState, Report};
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
