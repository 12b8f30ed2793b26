//! An agent that cannot be reached is neutral: when it never was, after maintenance, and after a reload.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::world;

use std::sync::Arc;
use std::time::Duration;

use lb_core::Health;
use lb_core::backend::BackendId;
use lb_health::{CheckError, CheckId, CheckSpec, Report};
use world::World;

const BACKEND: BackendId = BackendId::new(0);
const LONG: Duration = Duration::from_secs(60);

fn no_help() -> Result<Report, CheckError> {
    Err(CheckError::Agent { source: Arc::new(CheckError::Refused) })
}

/// A backend with a check that answers, and an agent.
struct Watched {
    world: World,
    check: CheckId,
}

impl Watched {
    fn new() -> Self {
        let mut world = World::new(7);
        let check = world.watch(0, CheckSpec::default());
        world.watch(0, CheckSpec::default());
        Self { world, check }
    }

    /// Lets both answer like this for a long time; answers what is believed then.
    fn pass(
        &mut self,
        check: fn() -> Result<Report, CheckError>,
        agent: fn() -> Result<Report, CheckError>,
    ) -> Option<Health> {
        let known = self.check;
        self.world.pass(LONG, |id, _| Some(if id == known { check() } else { agent() }));
        self.world.monitor.health(BACKEND)
    }
}

fn alive() -> Result<Report, CheckError> {
    Ok(Report::ALIVE)
}

fn dead() -> Result<Report, CheckError> {
    Err(CheckError::Refused)
}

fn down() -> Result<Report, CheckError> {
    Err(CheckError::rejected("the agent says that it is down"))
}

#[test]
fn one_that_never_was_reached_is_left_out() {
    let mut watched = Watched::new();
    assert_eq!(watched.pass(alive, no_help), Some(Health::UP));
    assert_eq!(watched.pass(dead, no_help), Some(Health::Down));
    assert_eq!(watched.pass(alive, no_help), Some(Health::UP));
    // Once it says something, that counts, and for as long as it says nothing else.
    assert_eq!(watched.pass(alive, down), Some(Health::Down));
    assert_eq!(watched.pass(alive, no_help), Some(Health::Down));
    assert_eq!(watched.pass(alive, alive), Some(Health::UP));
}

/// Before anybody has asked it nothing is known of it.
#[test]
fn one_that_was_not_asked_is_waited_for() {
    let mut watched = Watched::new();
    watched.world.monitor.handle_timeout(watched.world.now);
    watched.world.drain();
    let run = watched.world.going[&watched.check];
    watched.world.finish(run, alive());
    assert_eq!(watched.world.monitor.health(BACKEND), None);
}

#[test]
fn what_it_said_before_maintenance_is_old() {
    for said in [alive, down] {
        let mut watched = Watched::new();
        watched.pass(alive, said);
        watched.world.monitor.suspend(BACKEND);
        watched.world.drain();
        watched.world.now += LONG;
        watched.world.monitor.resume(watched.world.now, BACKEND);
        watched.world.drain();
        assert_eq!(watched.pass(alive, no_help), Some(Health::UP));
        assert_eq!(watched.pass(dead, no_help), Some(Health::Down));
    }
}

#[test]
fn a_changed_agent_that_cannot_be_reached_takes_nothing_back() {
    for (said, after) in [(alive as fn() -> _, Health::UP), (down, Health::UP)] {
        let mut watched = Watched::new();
        watched.pass(alive, said);
        let agent = watched.world.monitor.checks_of(BACKEND).last().unwrap().0;
        watched.world.monitor.replace(watched.world.now, agent, CheckSpec::default());
        watched.world.drain();
        assert_eq!(watched.pass(alive, no_help), Some(after));
    }
}

/// Trouble of this host is another thing: then nothing is known.
#[test]
fn an_agent_that_could_not_be_asked_is_waited_for() {
    let local = || {
        let source = Arc::new(std::io::ErrorKind::OutOfMemory.into());
        Err(CheckError::Local { operation: "test", source })
    };
    assert_eq!(Watched::new().pass(alive, local), None);
}
