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
    up_by(CheckSpec::default())
}

fn up_by(spec: CheckSpec) -> World {
    let mut world = World::new(9);
    world.watch(0, spec);
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

/// keepalived's `retry 0`, as its scripts have it by default, lets one run decide; one client must not.
#[test]
fn few_failures_take_nobody_down_even_where_one_run_does() {
    for (fall, wanted) in [(1, 3), (2, 3), (3, 3), (5, 5)] {
        let mut world = up_by(CheckSpec::default().with_fall(fall).unwrap());
        for failures in 1..wanted {
            passive(&mut world, Err(CheckError::Refused));
            assert_eq!(world.verdicts.len(), 1, "fall {fall}: down after {failures}");
        }
        let at_stake: Vec<_> = world.monitor.at_stake(BACKEND).collect();
        assert_eq!(at_stake, [BACKEND]);
        passive(&mut world, Err(CheckError::Refused));
        assert_eq!(world.verdicts.len(), 2, "fall {fall}: not down after {wanted}");
    }
}

#[test]
fn a_run_that_fails_beside_clients_counts_with_them() {
    let mut world = up_for_a_while();
    passive(&mut world, Err(CheckError::Refused));
    passive(&mut world, Err(CheckError::Refused));
    world.pass(millis(600), |_, _| Some(Err(CheckError::Refused)));
    assert!(matches!(world.verdicts[1].because, Because::Failed { .. }), "{:?}", world.verdicts);
}

/// What a script says, or a file, is about something else.
#[test]
fn a_check_may_heed_no_traffic() {
    let deaf = CheckSpec::default().with_fall(1).unwrap().heeding_traffic(false);
    let mut world = up_by(deaf);
    let due = world.monitor.next_deadline();
    for _ in 0..10 {
        passive(&mut world, Err(CheckError::Refused));
        world.monitor.doubt(world.now, BACKEND);
    }
    assert_eq!(world.verdicts.len(), 1);
    assert_eq!(world.monitor.at_stake(BACKEND).count(), 0);
    assert_eq!(world.monitor.next_deadline(), due);
}

#[test]
fn a_doubt_takes_nobody_down_but_lets_the_check_decide_soon() {
    let mut world = up_for_a_while();
    for _ in 0..10 {
        world.monitor.doubt(world.now, BACKEND);
        world.drain();
    }
    assert_eq!(world.verdicts.len(), 1);
    assert!(world.monitor.next_deadline().unwrap() <= world.now + millis(500));
    let (_, check) = world.monitor.checks().next().unwrap();
    assert_eq!(check.state(), CheckState::Up { failures: 0, stale: false });
}

/// After maintenance the next result decides alone, but that of a run.
#[test]
fn a_stale_belief_waits_for_a_run() {
    let mut world = up_for_a_while();
    world.monitor.suspend(BACKEND);
    world.monitor.resume(world.now, BACKEND);
    for _ in 0..10 {
        passive(&mut world, Err(CheckError::Refused));
    }
    assert_eq!(world.verdicts.len(), 1);
    world.pass(Duration::from_secs(3), |_, _| Some(Err(CheckError::Refused)));
    assert!(matches!(world.verdicts[1].because, Because::Failed { .. }), "{:?}", world.verdicts);
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

/// A check that fails as well makes it its own verdict, whoever had seen it first.
#[test]
fn who_is_down_for_traffic_is_so_until_a_check_agrees() {
    let take_down = |world: &mut World| {
        assert!(!world.monitor.is_overruled(BACKEND));
        (0..3).for_each(|_| passive(world, Err(CheckError::Refused)));
        assert!(world.monitor.is_overruled(BACKEND));
    };
    let mut world = up_by(CheckSpec::default().with_rise(1000).unwrap());
    take_down(&mut world);
    let passes = |_, _| Some(Ok(Report::ALIVE));
    world.pass(Duration::from_secs(5), passes);
    assert!(world.monitor.is_overruled(BACKEND), "its check still passes");
    world.pass(Duration::from_secs(5), |_, _| Some(Err(CheckError::Closed)));
    assert!(!world.monitor.is_overruled(BACKEND), "its check failed");
    world.pass(Duration::from_secs(5), passes);
    assert!(!world.monitor.is_overruled(BACKEND), "it is down for its check");

    // That it is up again, and that it falls for a check alone.
    let mut world = up_for_a_while();
    take_down(&mut world);
    world.pass(Duration::from_secs(10), passes);
    assert!(!world.monitor.is_overruled(BACKEND));
    world.pass(Duration::from_secs(10), |_, _| Some(Err(CheckError::Closed)));
    assert!(!world.monitor.is_overruled(BACKEND));
}
