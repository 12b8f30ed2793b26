//! What the checks of a backend say of its weight, as its health.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::world;

use lb_core::backend::BackendId;
use lb_core::health::{Admin, ReportedWeight};
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
        assert_eq!(health, Some(Health::Up { weight: expected }), "{said:?}");
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
