//! When runs start: spread, jittered, and on average exactly the interval apart.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::world;

use std::time::Duration;

use lb_health::{CheckError, CheckSpec, Report};
use world::{World, millis};

fn spec() -> CheckSpec {
    CheckSpec::default()
}

#[test]
fn gaps_stay_within_the_jitter_and_their_mean_is_the_interval() {
    let mut world = World::new(1);
    let check = world.watch(0, spec());
    world.pass(Duration::from_secs(20_000), |_, _| Some(Ok(Report::ALIVE)));
    let starts = &world.starts[&check][1..];
    let gaps: Vec<_> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| (millis(1800)..=millis(2200)).contains(gap)), "{gaps:?}");
    let mean = (starts[starts.len() - 1] - starts[0]).as_secs_f64() / gaps.len() as f64;
    assert!((mean - 2.0).abs() < 2.0 * 0.001, "{mean}");
    // And they do differ.
    assert!(gaps.iter().max() > gaps.iter().min().map(|least| *least + millis(200)).as_ref());
}

#[test]
fn late_wakes_and_slow_runs_do_not_add_up() {
    let mut world = World::new(2);
    let check = world.watch(0, spec().with_jitter_percent(0).unwrap());
    let mut first = None;
    for round in 0..5_000_u64 {
        // The host is late by up to 90 ms, and the run takes up to 400 ms.
        world.now = world.monitor.next_deadline().unwrap() + millis(round * 7 % 90);
        world.monitor.handle_timeout(world.now);
        world.drain();
        if round == 1 {
            first = Some(world.now);
        }
        let run = world.going[&check];
        world.now += millis(round * 13 % 400);
        world.finish(run, Ok(Report::ALIVE));
    }
    let last = *world.starts[&check].last().unwrap();
    let error = (last - first.unwrap()).as_secs_f64() - 4_998.0 * 2.0;
    assert!(error.abs() < 0.1, "{error}");
}

/// E12: a Kolmogorov-Smirnov test against the uniform distribution, at p = 0.01.
#[test]
fn checks_that_start_together_spread_over_the_interval() {
    let mut world = World::new(3);
    let begin = world.now;
    let checks: Vec<_> = (0..2_000).map(|backend| world.watch(backend, spec())).collect();
    world.pass(Duration::from_secs(10), |_, _| Some(Ok(Report::ALIVE)));
    // All of them ran at once, for a quick first verdict, and then at their own places.
    assert!(checks.iter().all(|check| world.starts[check][0] == begin));
    let mut phases: Vec<_> = checks
        .iter()
        .map(|check| (world.starts[check][2] - begin).as_secs_f64() / 2.0 % 1.0)
        .collect();
    phases.sort_by(f64::total_cmp);
    let count = phases.len() as f64;
    let distance = phases.iter().enumerate().map(|(index, phase)| {
        let (below, above) = (index as f64 / count, (index + 1) as f64 / count);
        (phase - below).abs().max((above - phase).abs())
    });
    assert!(distance.fold(0.0, f64::max) < 1.63 / count.sqrt());
}

#[test]
fn the_first_run_is_within_the_warmup() {
    let mut world = World::new(4);
    let begin = world.now;
    let warm = spec().with_warmup(Duration::from_secs(10)).unwrap();
    let checks: Vec<_> = (0..200).map(|backend| world.watch(backend, warm.clone())).collect();
    world.pass(Duration::from_secs(10), |_, _| Some(Ok(Report::ALIVE)));
    let firsts: Vec<_> = checks.iter().map(|check| world.starts[check][0] - begin).collect();
    assert!(firsts.iter().any(|first| *first < Duration::from_secs(2)));
    assert!(firsts.iter().any(|first| *first > Duration::from_secs(8)));
}

/// E9: one interval to notice, then the fast interval.
#[test]
fn a_dead_backend_is_found_out_in_time() {
    for seed in 0..50 {
        let mut world = World::new(seed);
        world.watch(0, spec());
        world.pass(Duration::from_secs(60) + millis(seed * 40), |_, _| Some(Ok(Report::ALIVE)));
        let died = world.now;
        let mut told = None;
        while told.is_none() {
            world.pass(millis(10), |_, _| Some(Err(CheckError::Refused)));
            told = (world.verdicts.len() == 2).then_some(world.now);
        }
        // The interval with its jitter, and two runs more with theirs.
        assert!(told.unwrap() - died <= millis(2200 + 2 * 550 + 10));
    }
}

/// Thousands of backends that die at once are not asked in step ever after.
#[test]
fn runs_near_an_edge_stray_as_well() {
    let mut gaps = Vec::new();
    for seed in 0..200 {
        let mut world = World::new(seed);
        let check = world.watch(0, spec());
        world.pass(Duration::from_secs(10), |_, _| Some(Ok(Report::ALIVE)));
        world.pass(Duration::from_secs(5), |_, _| Some(Err(CheckError::Refused)));
        let starts = &world.starts[&check];
        gaps.extend(
            starts.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap < millis(700)),
        );
    }
    assert!(gaps.len() >= 300, "{}", gaps.len());
    assert!(gaps.iter().all(|gap| (millis(500)..=millis(550)).contains(gap)), "{gaps:?}");
    for part in 0..5 {
        let bin = millis(500 + 10 * part)..millis(510 + 10 * part);
        assert!(gaps.iter().filter(|&&gap| bin.contains(&gap)).count() > gaps.len() / 10, "{part}");
    }
}

#[test]
fn a_backend_that_is_down_is_asked_at_its_own_interval() {
    let slow = spec().with_down_interval(Duration::from_secs(10)).unwrap();
    let mut world = World::new(5);
    let check = world.watch(0, slow);
    world.pass(Duration::from_secs(1_000), |_, _| Some(Err(CheckError::Refused)));
    assert!((98..=102).contains(&world.starts[&check].len()));
}

#[test]
fn a_run_that_outlasts_the_interval_is_not_doubled() {
    let mut world = World::new(6);
    let check = world.watch(0, spec());
    world.pass(Duration::from_secs(60), |_, _| None);
    assert_eq!(world.starts[&check].len(), 1);
    assert_eq!(world.monitor.next_deadline(), None);
    assert_eq!(
        world.monitor.check(check).unwrap().running_since(),
        Some(world.now - Duration::from_secs(60))
    );
}

#[test]
fn a_stall_of_the_host_costs_one_run_and_keeps_the_places() {
    let mut world = World::new(7);
    let still = spec().with_jitter_percent(0).unwrap();
    let checks: Vec<_> = (0..500).map(|backend| world.watch(backend, still.clone())).collect();
    world.pass(Duration::from_secs(20), |_, _| Some(Ok(Report::ALIVE)));
    let before: Vec<_> = checks.iter().map(|check| *world.starts[check].last().unwrap()).collect();
    world.now += Duration::from_secs(9);
    world.pass(Duration::from_secs(20), |_, _| Some(Ok(Report::ALIVE)));
    for (check, before) in checks.iter().zip(before) {
        let after = *world.starts[check].last().unwrap();
        let off = (after - before).as_nanos() % still.interval().as_nanos();
        assert_eq!(off, 0, "moved to another place");
    }
}
