//! What the checks of a backend say of its weight, as its health.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::world;

use lb_core::backend::BackendId;
use lb_core::health::{Admin, ReportedLimit, ReportedWeight};
use lb_core::{Health, Weight};
use lb_health::advice::Advice;
use lb_health::{CheckSpec, Report};
use world::{World, millis};

const NONE: ReportedWeight = ReportedWeight::NONE;

fn advising(advice: Advice) -> Report {
    let mut report = Report::ALIVE;
    report.advice = advice;
    report
}

#[test]
fn an_agents_advice_holds_until_the_next_report() {
    let mut world = World::new(1);
    let spec = CheckSpec::default();
    let (script, agent) = (world.watch(1, spec.clone()), world.watch(1, spec));
    let percent = |percent| advising(Advice { percent: Some(percent), ..Advice::NONE });
    let drain = |word| {
        let advice = Advice { admin: Some(word), percent: Some(50), ..Advice::NONE };
        advising(advice)
    };
    let forty = Weight::new(40);
    for (said, expected) in [
        (Report::ALIVE, NONE.and(forty)),
        (percent(50), NONE.and(forty).and_percent(50)),
        (percent(0), NONE.and(forty).and_percent(0)),
        (drain(Admin::Drain), NONE.and(forty).and(Weight::ZERO)),
        (drain(Admin::Ready), NONE.and(forty).and_percent(50)),
        (drain(Admin::Maintenance), NONE.and(forty).and(Weight::ZERO)),
        (Report::weighing(Weight::new(7)), NONE.and(forty).and(Weight::new(7))),
        (Report::ALIVE, NONE.and(forty)),
    ] {
        world.pass(millis(5_000), |check, _| {
            assert!(check == script || check == agent);
            let report = if check == script { Report::weighing(forty) } else { said.clone() };
            Some(Ok(report))
        });
        let health = world.monitor.health(BackendId::new(1));
        assert_eq!(health, Some(Health::weighing(expected)), "{said:?}");
    }
}

#[test]
fn limits_are_reported_beside_weights() {
    let mut world = World::new(1);
    let [strict, lax] = [(); 2].map(|()| world.watch(1, CheckSpec::default()));
    let saying =
        |max_connections, percent| advising(Advice { max_connections, percent, admin: None });
    let limit = ReportedLimit::NONE;
    for (one, other, expected, weight) in [
        (None, None, limit, NONE),
        (Some(30), None, limit.and(30), NONE.and_percent(50)),
        (Some(10), Some(30), limit.and(10), NONE.and_percent(50)),
        (Some(0), Some(30), limit.and(30), NONE.and_percent(50)),
        (Some(0), Some(0), limit.and(0), NONE.and_percent(50)),
        (None, None, limit, NONE),
    ] {
        world.pass(millis(5_000), |check, _| {
            assert!(check == strict || check == lax);
            let share = one.map(|_| 50);
            let report = if check == strict { saying(one, share) } else { saying(other, None) };
            Some(Ok(report))
        });
        let health = world.monitor.health(BackendId::new(1));
        assert_eq!(health, Some(Health::Up { weight, limit: expected }), "{one:?} {other:?}");
    }
}

#[test]
fn a_drain_by_one_check_is_no_other_s_to_take_back() {
    let base = Weight::new(100);
    let drained = NONE.and(Weight::ZERO).and(Weight::new(300));
    assert_eq!(drained.over(base, base), Weight::ZERO);
    assert_eq!(NONE.and_percent(0).and_percent(200).over(base, base), Weight::ZERO);
    // Rounding drains nobody, the least share counts, and nothing overflows.
    assert_eq!(NONE.and_percent(1).over(Weight::ONE, Weight::ONE), Weight::ONE);
    assert_eq!(NONE.and_percent(50).and_percent(20).over(base, base), Weight::new(20));
    assert_eq!(NONE.and_percent(u16::MAX).over(Weight::MAX, Weight::MAX), Weight::MAX);
}
