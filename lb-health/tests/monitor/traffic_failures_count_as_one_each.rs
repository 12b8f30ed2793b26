//! What real traffic sees of a backend, beside its checks.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::world;

use std::sync::Arc;
use std::time::Duration;

use lb_core::backend::BackendId;
use lb_health::monitor::Because;
use lb_health::state::CheckState;
use lb_health::{CheckError, CheckSpec, Report};
use world::{World, millis};

const BACKEND: BackendId = BackendId::new(0);

fn up_for_a_while() -> World {
    let mut world = World::new(9);
    world.watch(0, CheckSpec::default());
    world.pass(Duration::from_secs(10), |_, _| Some(Ok(Report::ALIVE)));
    world
}

fn passive(world: &mut World, result: Result<(), CheckError>) {
    world.monitor.handle_passive(world.now, BACKEND, result);
    world.drain();
}

#[test]
fn fall_failures_take_a_backend_down() {
    let mut world = up_for_a_while();
    passive(&mut world, Err(CheckError::Refused));
    passive(&mut world, Err(CheckError::Refused));
    assert_eq!(world.verdicts.len(), 1);
    passive(&mut world, Err(CheckError::Refused));
    assert!(matches!(
        world.verdicts[1].because,
        Because::Traffic { error: CheckError::Refused, .. }
    ));
}

#[test]
fn a_failure_brings_the_next_run_forward() {
    let mut world = up_for_a_while();
    passive(&mut world, Err(CheckError::Refused));
    assert!(world.monitor.next_deadline().unwrap() <= world.now + millis(500));
    // A check that still passes clears the doubt.
    world.pass(millis(500), |_, _| Some(Ok(Report::ALIVE)));
    let (_, check) = world.monitor.checks().next().unwrap();
    assert_eq!(check.state(), CheckState::Up { failures: 0, stale: false });
}

#[test]
fn a_success_ends_the_streak() {
    let mut world = up_for_a_while();
    for _ in 0..10 {
        passive(&mut world, Err(CheckError::Refused));
        passive(&mut world, Err(CheckError::Refused));
        passive(&mut world, Ok(()));
    }
    assert_eq!(world.verdicts.len(), 1);
}

#[test]
fn a_success_never_brings_a_backend_up() {
    let mut world = World::new(9);
    world.watch(0, CheckSpec::default());
    world.pass(millis(0), |_, _| Some(Err(CheckError::Refused)));
    for _ in 0..10 {
        passive(&mut world, Ok(()));
    }
    assert_eq!(world.verdicts.len(), 1);
}

#[test]
fn faults_of_this_host_do_not_count() {
    let mut world = up_for_a_while();
    for _ in 0..10 {
        let source = Arc::new(std::io::ErrorKind::AddrNotAvailable.into());
        passive(&mut world, Err(CheckError::Local { operation: "connect", source }));
    }
    assert_eq!(world.verdicts.len(), 1);
}

#[test]
fn an_unknown_backend_is_ignored() {
    let mut world = World::new(9);
    passive(&mut world, Err(CheckError::Refused));
    assert_eq!(world.monitor.health(BACKEND), None);
}
