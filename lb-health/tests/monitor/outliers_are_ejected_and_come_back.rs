//! R3 to R5: how many may be out, for how long, and who decides. Any sequence of inputs against a
//! naive model.

#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::thorough;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use lb_core::backend::Outcome;
use lb_health::outliers::{Ejection, OutlierRules, Outliers};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

#[expect(clippy::disallowed_methods, reason = "any instant serves as the origin")]
fn origin() -> Instant {
    Instant::now()
}

fn outliers(now: Instant, rules: OutlierRules, count: u32) -> Outliers<u32> {
    let mut outliers = Outliers::new(rules);
    (0..count).for_each(|host| outliers.insert(now, host));
    outliers
}

fn fail(outliers: &mut Outliers<u32>, now: Instant, host: u32, times: u32) {
    (0..times).for_each(|_| outliers.handle_outcome(now, host, Outcome::Failure));
}

#[test]
fn one_of_one_is_never_out_and_one_of_two_may_be() {
    let now = origin();
    let mut one = outliers(now, OutlierRules::default(), 1);
    fail(&mut one, now, 0, 100);
    assert_eq!(one.poll_action(), None);
    let mut two = outliers(now, OutlierRules::default(), 2);
    fail(&mut two, now, 0, 5);
    fail(&mut two, now, 1, 100);
    let until = now + 30 * SECOND;
    assert_eq!(two.poll_action(), Some(Ejection::Out { host: 0, until }));
    assert_eq!(two.poll_action(), None);
    // The other one leaves: who is left is needed.
    two.remove(1);
    assert_eq!(two.poll_action(), Some(Ejection::Back { host: 0 }));
}

#[test]
fn it_takes_longer_each_time_and_decays() {
    let mut now = origin();
    let mut two = outliers(now, OutlierRules::default(), 2);
    let eject = |two: &mut Outliers<u32>, now: Instant| {
        fail(two, now, 0, 5);
        let until = two.ejected_until(0).unwrap();
        while two.poll_action().is_some() {}
        (until - now).as_secs()
    };
    for expected in [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300] {
        assert_eq!(eject(&mut two, now), expected);
        // Back, and ejected again before the next sweep has been got through.
        two.handle_check_passed(0);
    }
    // Twelve sweeps in peace, and it is as new.
    for _ in 0..12 {
        now += 10 * SECOND;
        two.handle_timeout(now);
    }
    assert_eq!(eject(&mut two, now), 30);
}

#[test]
fn who_succeeds_less_than_the_others_is_out() {
    let now = origin();
    let mut ten = outliers(now, OutlierRules::default().consecutive_failures(None), 10);
    for host in 0..10 {
        let failures = if host == 3 { 40 } else { host % 3 };
        fail(&mut ten, now, host, failures);
        (failures..200).for_each(|_| ten.handle_outcome(now, host, Outcome::Success));
    }
    ten.handle_timeout(now + 9 * SECOND);
    assert_eq!(ten.poll_action(), None);
    ten.handle_timeout(now + 10 * SECOND);
    let until = now + 40 * SECOND;
    assert_eq!(ten.poll_action(), Some(Ejection::Out { host: 3, until }));
    assert_eq!(ten.poll_action(), None);
}

#[test]
fn rates_of_few_hosts_or_few_flows_say_nothing() {
    for (hosts, flows) in [(4, 1000), (10, 99)] {
        let now = origin();
        let mut some = outliers(now, OutlierRules::default().consecutive_failures(None), hosts);
        for host in 0..hosts {
            let outcome = if host == 0 { Outcome::Failure } else { Outcome::Success };
            (0..flows).for_each(|_| some.handle_outcome(now, host, outcome));
        }
        some.handle_timeout(now + 10 * SECOND);
        assert_eq!(some.poll_action(), None);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u32),
    Remove(u32),
    Outcomes(u32, Outcome, u32),
    Passed(u32),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let host = 0_u32..12;
    let outcome = prop_oneof![3 => Just(Outcome::Success), 7 => Just(Outcome::Failure)];
    let step = prop_oneof![
        2 => host.clone().prop_map(Step::Insert),
        1 => host.clone().prop_map(Step::Remove),
        8 => (host.clone(), outcome, 1_u32..40)
            .prop_map(|(host, outcome, times)| Step::Outcomes(host, outcome, times)),
        1 => host.prop_map(Step::Passed),
        3 => (0_u64..60_000).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..80)
}

proptest! {
    #![proptest_config(thorough::config())]

    #[test]
    fn whatever_happens(steps in steps(), cap in 0_u8..=100, failures in 1_u32..8, rates in any::<bool>()) {
        let mut now = origin();
        let rules = OutlierRules::default()
            .most_ejected_percent(cap)
            .consecutive_failures(failures.try_into().ok())
            .failure_percent(rates.then_some(85))
            .comparing(3, 20);
        let mut outliers = Outliers::new(rules);
        // Who is there; since when out, and until when.
        let mut known: BTreeMap<u32, Option<(Instant, Instant)>> = BTreeMap::new();
        for step in steps {
            let before = known.clone();
            match step {
                Step::Insert(host) => {
                    outliers.insert(now, host);
                    known.entry(host).or_default();
                }
                Step::Remove(host) => {
                    outliers.remove(host);
                    known.remove(&host);
                }
                Step::Outcomes(host, outcome, times) => {
                    (0..times).for_each(|_| outliers.handle_outcome(now, host, outcome));
                }
                Step::Passed(host) => {
                    outliers.handle_check_passed(host);
                    prop_assert_eq!(outliers.ejected_until(host), None);
                }
                Step::Wait(millis) => {
                    now += Duration::from_millis(millis);
                    outliers.handle_timeout(now);
                    prop_assert!(outliers.next_deadline().is_none_or(|due| due > now));
                }
            }
            while let Some(ejection) = outliers.poll_action() {
                match ejection {
                    Ejection::Out { host, until } => {
                        let was = known.get_mut(&host).expect("of nobody").replace((now, until));
                        prop_assert_eq!(was, None, "out already");
                        let time = until - now;
                        prop_assert!(time >= 30 * SECOND && time <= 300 * SECOND);
                        prop_assert_eq!(time.as_millis() % 30_000, 0);
                    }
                    Ejection::Back { host } => {
                        let was = known.get_mut(&host).expect("of nobody").take();
                        let (_, until) = was.expect("back, and never out");
                        let word = matches!(step, Step::Passed(other) if other == host);
                        let removed = matches!(step, Step::Remove(_));
                        prop_assert!(until <= now || word || removed, "back too early");
                    }
                }
            }
            let out = known.values().flatten().count();
            prop_assert_eq!(outliers.ejected(), out);
            for (&host, ejection) in &known {
                prop_assert_eq!(outliers.ejected_until(host), ejection.map(|(_, until)| until));
            }
            // R3, whenever somebody new is out or somebody left.
            if before.values().flatten().count() < out || known.len() < before.len() {
                let within = out * 100 <= known.len() * usize::from(cap);
                prop_assert!(out < known.len().max(1) && (within || out <= 1), "{} of {}", out, known.len());
            }
        }
    }
}

/// R4: those that went together do not come back together.
#[test]
fn ejections_differ_in_length_if_told_so() {
    let now = origin();
    let jitter = Duration::from_secs(10);
    let rules = OutlierRules::default()
        .consecutive_failures(NonZeroU32::new(1))
        .most_ejected_percent(100)
        .ejection_jitter(jitter);
    let ends = |seed| {
        let mut outliers = Outliers::new(rules.clone()).with_seed(seed);
        (0..101).for_each(|host: u32| outliers.insert(now, host));
        (0..100).for_each(|host| outliers.handle_outcome(now, host, Outcome::Failure));
        let ends = (0..100).map(|host| outliers.ejected_until(host).unwrap() - now);
        ends.collect::<std::collections::BTreeSet<_>>()
    };
    let least = Duration::from_secs(30);
    assert!(ends(1).iter().all(|end| (least..least + jitter).contains(end)));
    assert!(ends(1).len() > 90);
    assert!(ends(1) == ends(1) && ends(1) != ends(2));
}
