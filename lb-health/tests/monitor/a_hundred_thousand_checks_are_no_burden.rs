//! Scale, in virtual time: the load stays flat, and nothing is forgotten.

#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]
use crate::world;

use std::time::Duration;

use lb_health::{CheckError, CheckSpec, Report};
use world::{World, millis};

const COUNT: u32 = 100_000;
const INTERVAL: Duration = Duration::from_secs(10);

/// E12: no ten milliseconds see twice the mean of starts; E17: nor when half of the targets die.
#[test]
fn starts_are_spread_evenly_and_stay_so() {
    let spec = CheckSpec::default()
        .with_interval(INTERVAL)
        .and_then(|spec| spec.with_warmup(INTERVAL))
        .unwrap();
    let mut world = World::new(1);
    let checks: Vec<_> = (0..COUNT).map(|backend| world.watch(backend, spec.clone())).collect();
    world.pass(2 * INTERVAL, |_, _| Some(Ok(Report::ALIVE)));
    assert_eq!(world.verdicts.len(), COUNT as usize);

    let before = world.now;
    let half = checks[checks.len() / 2];
    world.pass(2 * INTERVAL, |check, _| {
        Some(if check < half { Ok(Report::ALIVE) } else { Err(CheckError::Refused) })
    });
    assert_eq!(world.verdicts.len(), (COUNT + COUNT / 2) as usize);

    let mut bins = vec![0_u32; (2 * INTERVAL).as_millis() as usize / 10 + 1];
    let starts = world.starts.values().flatten().filter(|&&start| start > before);
    starts.for_each(|start| bins[((*start - before).as_millis() / 10) as usize] += 1);
    // 100 000 checks every ten seconds, and for a while three runs in place of one for half.
    let peak = bins.into_iter().max().unwrap();
    assert!(peak < 2 * 2 * COUNT / 1_000, "{peak} starts in ten milliseconds");
}

#[test]
fn a_stop_of_all_leaves_nothing() {
    let mut world = World::new(2);
    for backend in 0..COUNT {
        world.watch(backend, CheckSpec::default());
    }
    world.pass(millis(10), |_, _| None);
    assert_eq!(world.going.len(), COUNT as usize);
    for backend in 0..COUNT {
        world.monitor.forget(lb_core::backend::BackendId::new(backend));
    }
    world.drain();
    assert_eq!(world.cancelled.len(), COUNT as usize);
    assert_eq!(world.monitor.checks().count(), 0);
    assert_eq!(world.monitor.next_deadline(), None);
}
