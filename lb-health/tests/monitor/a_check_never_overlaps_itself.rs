//! Any sequence of inputs: one run at a time (K4), never too early (K6), late results never apply,
//! verdicts are new each time and equal to what the checks' own states say (R7).
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::thorough;
use crate::world;

use std::sync::Arc;
use std::time::Duration;

use lb_core::backend::BackendId;
use lb_core::health::{ReportedLimit, ReportedWeight};
use lb_core::{Health, Weight};
use lb_health::state::CheckState;
use lb_health::{Check, CheckError, CheckSpec, Report};
use proptest::prelude::*;
use world::{World, millis};

#[derive(Clone, Debug)]
enum Step {
    Answer { which: usize, result: u8 },
    AnswerCancelled { which: usize },
    Forget { backend: u32 },
    ForgetCheck { which: usize },
    Hurry { which: usize },
    Passive { backend: u32, result: u8 },
    Release { which: usize, backend: u32 },
    Replace { which: usize, spec: usize },
    Resume { backend: u32 },
    Share { which: usize, backend: u32 },
    Split { which: usize, backend: u32, spec: usize },
    Suspend { backend: u32 },
    Wait { time: u64 },
    WaitForDeadline { late: u64 },
    Watch { backend: u32, spec: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let backend = 0_u32..4;
    let spec = 0_usize..4;
    let which = any::<prop::sample::Index>().prop_map(|index| index.index(1_000));
    let step = prop_oneof![
        10 => (which.clone(), 0_u8..11).prop_map(|(which, result)| Step::Answer { which, result }),
        1 => which.clone().prop_map(|which| Step::AnswerCancelled { which }),
        1 => backend.clone().prop_map(|backend| Step::Forget { backend }),
        1 => which.clone().prop_map(|which| Step::ForgetCheck { which }),
        2 => which.clone().prop_map(|which| Step::Hurry { which }),
        3 => (backend.clone(), 0_u8..9)
            .prop_map(|(backend, result)| Step::Passive { backend, result }),
        1 => (which.clone(), backend.clone())
            .prop_map(|(which, backend)| Step::Release { which, backend }),
        2 => (which.clone(), backend.clone())
            .prop_map(|(which, backend)| Step::Share { which, backend }),
        1 => (which.clone(), spec.clone())
            .prop_map(|(which, spec)| Step::Replace { which, spec }),
        1 => (which, backend.clone(), spec.clone())
            .prop_map(|(which, backend, spec)| Step::Split { which, backend, spec }),
        2 => backend.clone().prop_map(|backend| Step::Resume { backend }),
        1 => backend.clone().prop_map(|backend| Step::Suspend { backend }),
        2 => (0_u64..5_000).prop_map(|time| Step::Wait { time }),
        10 => (0_u64..200).prop_map(|late| Step::WaitForDeadline { late }),
        2 => (backend, spec).prop_map(|(backend, spec)| Step::Watch { backend, spec }),
    ];
    prop::collection::vec(step, 0..120)
}

fn spec(number: usize) -> CheckSpec {
    let base = CheckSpec::default();
    match number {
        0 => base,
        1 => base.with_first_decisive(false).with_warmup(Duration::from_secs(3)).unwrap(),
        2 => CheckSpec::keepalived(millis(700), 1, millis(900), false).unwrap(),
        _ => base
            .with_down_interval(millis(100))
            .unwrap()
            .with_jitter_percent(50)
            .unwrap()
            .with_local_limit(std::num::NonZeroU32::new(2)),
    }
}

fn result(number: u8) -> Result<Report, CheckError> {
    match number {
        0 | 1 => Ok(Report::ALIVE),
        2 => Ok(Report::weighing(Weight::new(7))),
        3 => Ok(Report::weighing(Weight::ZERO)),
        4 => {
            let source = Arc::new(std::io::ErrorKind::OutOfMemory.into());
            Err(CheckError::Local { operation: "test", source })
        }
        9 => {
            let mut report = Report::weighing(Weight::new(7));
            report.advice.max_connections = Some(30);
            Ok(report)
        }
        10 => {
            let mut report = Report::ALIVE;
            report.amends = true;
            Ok(report)
        }
        5 => Err(CheckError::Agent { source: Arc::new(CheckError::Refused) }),
        _ => Err(CheckError::Refused),
    }
}

/// An agent that is of no help is no check at all, once what it said is old.
fn is_left_out(check: &Check) -> bool {
    let last = check.last().and_then(|last| last.result.as_ref().err());
    let is_agent = last.is_some_and(|failure| matches!(failure.error, CheckError::Agent { .. }));
    let is_old = match check.state() {
        CheckState::Down { stale, .. } | CheckState::Up { stale, .. } => stale,
        CheckState::Unknown { .. } => true,
        CheckState::Off { .. } => false,
    };
    is_agent && is_old
}

/// The health of a backend from the states alone, if they decide it.
fn combined(world: &World, backend: BackendId, reports: &Reports) -> Option<Health> {
    let checks = world.monitor.checks_of(backend);
    let checks: Vec<_> = checks.filter(|(_, check)| !is_left_out(check)).collect();
    if world.monitor.is_suspended(backend) {
        return None;
    }
    if checks.iter().any(|(_, check)| matches!(check.state(), CheckState::Down { .. })) {
        return Some(Health::Down);
    }
    let all = checks.iter().all(|(_, check)| match check.state() {
        CheckState::Up { stale, .. } => !stale,
        CheckState::Unknown { .. } => check.spec().initially_up(),
        _ => false,
    });
    let said = || checks.iter().filter_map(|(id, _)| reports.get(id));
    let weights = said().filter_map(|report| report.weight);
    let limits = said().filter_map(|report| report.most);
    all.then(|| Health::Up {
        weight: weights.fold(ReportedWeight::NONE, ReportedWeight::and),
        limit: limits.fold(ReportedLimit::NONE, ReportedLimit::and),
    })
}

/// What each check said last.
type Reports = std::collections::HashMap<lb_health::CheckId, Said>;

#[derive(Clone, Copy, Default)]
struct Said {
    weight: Option<Weight>,
    most: Option<u32>,
    /// Whether another check said it, whose place this one has taken.
    is_former: bool,
}

proptest! {
    #![proptest_config(thorough::config())]

    #[test]
    fn whatever_happens(steps in steps(), seed in any::<u64>()) {
        let mut world = World::new(seed);
        let mut known = Vec::new();
        let mut reports = Reports::new();
        for step in steps {
            match step {
                Step::Answer { which, result: number } => {
                    let mut going: Vec<_> = world.going.values().copied().collect();
                    going.sort_by_key(|run| run.number());
                    if let Some(&run) = going.get(which % going.len().max(1)) {
                        if let Ok(report) = result(number) {
                            let said = reports.entry(run.check()).or_default();
                            if !report.amends || said.is_former {
                                *said = Said::default();
                            }
                            said.weight = report.weight.or(said.weight);
                            said.most = report.advice.max_connections.or(said.most);
                        }
                        world.finish(run, result(number));
                        // A second answer is ignored.
                        let state = world.monitor.check(run.check()).map(Check::state);
                        world.monitor.handle_result(world.now, run, Err(CheckError::Closed.into()));
                        let after = world.monitor.check(run.check()).map(Check::state);
                        prop_assert_eq!(state, after);
                    }
                }
                Step::AnswerCancelled { which } => {
                    let count = world.cancelled.len().max(1);
                    if let Some(&run) = world.cancelled.get(which % count) {
                        let before = format!("{:?}", world.monitor);
                        world.monitor.handle_result(world.now, run, Err(CheckError::Closed.into()));
                        prop_assert_eq!(before, format!("{:?}", world.monitor));
                    }
                }
                Step::Forget { backend } => {
                    let backend = BackendId::new(backend);
                    world.monitor.forget(backend);
                    prop_assert_eq!(world.monitor.health(backend), None);
                    prop_assert_eq!(world.monitor.checks_of(backend).count(), 0);
                    world.drain();
                    world.told.remove(&backend);
                }
                Step::ForgetCheck { which } => {
                    if let Some(&check) = known.get(which % known.len().max(1)) {
                        world.monitor.forget_check(check);
                        prop_assert!(world.monitor.check(check).is_none());
                    }
                }
                Step::Hurry { which } => {
                    if let Some(&check) = known.get(which % known.len().max(1)) {
                        let before = world.monitor.next_deadline();
                        world.monitor.hurry(world.now, check);
                        // It never puts anything off.
                        let after = world.monitor.next_deadline();
                        prop_assert!(before.is_none() && after.is_none() || after <= before);
                    }
                }
                Step::Passive { backend, result: number } => {
                    let backend = BackendId::new(backend);
                    let up = |world: &World| -> Vec<_> {
                        world
                            .monitor
                            .checks_of(backend)
                            .map(|(_, check)| matches!(check.state(), CheckState::Up { .. }))
                            .collect()
                    };
                    let before = up(&world);
                    world.monitor.handle_passive(world.now, backend, result(number).map(drop));
                    prop_assert!(before.iter().zip(up(&world)).all(|(before, now)| *before || !now));
                }
                Step::Release { which, backend } => {
                    if let Some(&check) = known.get(which % known.len().max(1)) {
                        let backend = BackendId::new(backend);
                        world.monitor.release(check, backend);
                        prop_assert!(world.monitor.checks_of(backend).all(|(id, _)| id != check));
                    }
                }
                Step::Share { which, backend } => {
                    if let Some(&check) = known.get(which % known.len().max(1)) {
                        let backend = BackendId::new(backend);
                        world.monitor.share(world.now, check, backend);
                        let known = world.monitor.check(check).is_some();
                        let shared = world.monitor.checks_of(backend).any(|(id, _)| id == check);
                        prop_assert_eq!(known, shared);
                    }
                }
                Step::Split { which, backend, spec: number } => {
                    if let Some(&check) = known.get(which % known.len().max(1)) {
                        let backend = BackendId::new(backend);
                        let before = world.monitor.health(backend);
                        let (now, spec) = (world.now, spec(number));
                        let had_it = world.monitor.checks_of(backend).any(|(id, _)| id == check);
                        let former = world.monitor.check(check);
                        let is_believed = had_it && !former.is_some_and(is_left_out);
                        let own = world.monitor.split(now, check, backend, spec, &mut world.rng);
                        known.push(own);
                        if let Some(&said) = reports.get(&check).filter(|_| is_believed) {
                            reports.insert(own, Said { is_former: true, ..said });
                        }
                        let ids: Vec<_> =
                            world.monitor.checks_of(backend).map(|(id, _)| id).collect();
                        prop_assert!(ids.contains(&own) && !ids.contains(&check));
                        // What is changed for one is believed as before.
                        if had_it && ids.len() == 1 && before.is_some_and(Health::is_up) {
                            prop_assert!(world.monitor.health(backend).is_some_and(Health::is_up));
                        }
                    }
                }
                Step::Replace { which, spec: number } => {
                    if let Some(&check) = known.get(which % known.len().max(1)) {
                        world.monitor.replace(world.now, check, spec(number));
                        reports.entry(check).and_modify(|said| said.is_former = true);
                    }
                }
                Step::Resume { backend } => {
                    world.monitor.resume(world.now, BackendId::new(backend));
                }
                Step::Suspend { backend } => world.monitor.suspend(BackendId::new(backend)),
                Step::Wait { time } => {
                    world.now += millis(time);
                    world.monitor.handle_timeout(world.now);
                }
                Step::WaitForDeadline { late } => {
                    if let Some(due) = world.monitor.next_deadline() {
                        world.now = world.now.max(due + millis(late));
                    }
                    world.monitor.handle_timeout(world.now);
                    prop_assert!(world.monitor.next_deadline().is_none_or(|due| due > world.now));
                }
                Step::Watch { backend, spec: number } => known.push(world.watch(backend, spec(number))),
            }
            world.drain();
            for backend in (0..4).map(BackendId::new) {
                if let (Some(health), Some(told)) =
                    (combined(&world, backend, &reports), world.monitor.health(backend))
                {
                    prop_assert_eq!(health, told);
                }
            }
            // Who speaks for whom is known on both sides, and a check is off if nobody wants it.
            for (id, check) in world.monitor.checks() {
                prop_assert!(check.backends().count() > 0);
                for backend in check.backends() {
                    prop_assert!(world.monitor.checks_of(backend).any(|(other, _)| other == id));
                }
                let off = matches!(check.state(), CheckState::Off { .. });
                prop_assert_eq!(off, check.backends().all(|one| world.monitor.is_suspended(one)));
            }
            // Every check is going, planned, or off: none is ever lost.
            let planned = world.monitor.checks().filter(|(id, check)| {
                !world.going.contains_key(id) && !matches!(check.state(), CheckState::Off { .. })
            });
            prop_assert_eq!(planned.count() > 0, world.monitor.next_deadline().is_some());
        }
    }
}
