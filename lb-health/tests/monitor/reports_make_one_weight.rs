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

/// What HAProxy's agents rely on: each line may say one thing of several, and says nothing of the others.
#[test]
fn what_an_agent_does_not_say_again_is_as_it_was() {
    let mut world = World::new(1);
    let agent = world.watch(1, CheckSpec::default());
    let none = Advice::NONE;
    let percent = |percent| Advice { percent: Some(percent), ..none };
    let admin = |admin| Advice { admin: Some(admin), ..none };
    let limit = ReportedLimit::NONE;
    let (half, drained) = (NONE.and_percent(50), NONE.and(Weight::ZERO));
    let seven = NONE.and(Weight::new(7));
    let mut say = |weight: Option<Weight>, advice: Advice| {
        world.pass(millis(5_000), |_, _| {
            let mut report = Report::ALIVE;
            (report.weight, report.advice, report.amends) = (weight, advice, true);
            Some(Ok(report))
        });
        world.monitor.health(BackendId::new(1)).unwrap()
    };
    let up = |weight, limit| Health::Up { weight, limit };
    assert_eq!(say(None, percent(50)), up(half, limit));
    assert_eq!(say(None, none), up(half, limit), "a plain up");
    let most = Advice { max_connections: Some(30), ..none };
    assert_eq!(say(None, most), up(half, limit.and(30)));
    assert_eq!(say(None, admin(Admin::Drain)), up(drained, limit.and(30)));
    assert_eq!(say(None, none), up(drained, limit.and(30)), "only ready ends it");
    assert_eq!(say(Some(Weight::new(7)), none), up(drained, limit.and(30)));
    assert_eq!(say(None, admin(Admin::Ready)), up(seven, limit.and(30)));
    assert_eq!(say(None, admin(Admin::Maintenance)), up(drained, limit.and(30)));
    let all = Advice { admin: Some(Admin::Ready), percent: Some(50), max_connections: Some(0) };
    assert_eq!(say(None, all), up(half, limit.and(0)));

    // Once it is another one, what the former said holds until that has said anything.
    let now = world.now;
    world.monitor.replace(now, agent, CheckSpec::default().with_fall(7).unwrap());
    world.drain();
    assert_eq!(world.monitor.health(BackendId::new(1)), Some(up(half, limit.and(0))));
    world.pass(millis(5_000), |_, _| {
        let mut report = Report::ALIVE;
        report.amends = true;
        Some(Ok(report))
    });
    assert_eq!(world.monitor.health(BackendId::new(1)), Some(Health::UP));
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
