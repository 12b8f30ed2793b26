//! The state of one check against naive oracles and against the counters of HAProxy and keepalived.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::thorough;

use lb_health::CheckSpec;
use lb_health::state::{CheckInput, CheckState, LastKnown, Thresholds, Transition};
use proptest::prelude::*;
use std::num::NonZeroU32;
use std::time::Duration;

fn inputs() -> impl Strategy<Value = Vec<CheckInput>> {
    let input = prop_oneof![
        4 => Just(CheckInput::Ok),
        4 => Just(CheckInput::Fail),
        1 => Just(CheckInput::Local),
        1 => Just(CheckInput::Off),
        1 => Just(CheckInput::On),
        4 => Just(CheckInput::Traffic),
    ];
    prop::collection::vec(input, 0..80)
}

fn results() -> impl Strategy<Value = Vec<bool>> {
    prop::collection::vec(any::<bool>(), 0..80)
}

fn thresholds() -> impl Strategy<Value = Thresholds> {
    (1_u32..5, 1_u32..5, any::<bool>()).prop_map(|(rise, fall, first_decisive)| Thresholds {
        rise: NonZeroU32::new(rise).unwrap(),
        fall: NonZeroU32::new(fall).unwrap(),
        first_decisive,
    })
}

fn input(passed: bool) -> CheckInput {
    if passed { CheckInput::Ok } else { CheckInput::Fail }
}

fn replay(inputs: &[CheckInput], thresholds: Thresholds) -> (CheckState, Vec<Option<Transition>>) {
    let mut state = CheckState::default();
    let transitions = inputs.iter().map(|&input| state.observe(input, thresholds)).collect();
    (state, transitions)
}

/// Some(up), or `None` before the first verdict.
fn verdict(state: CheckState) -> Option<bool> {
    match state {
        CheckState::Down { .. } | CheckState::Off { last_known: LastKnown::Down } => Some(false),
        CheckState::Up { .. } | CheckState::Off { last_known: LastKnown::Up } => Some(true),
        _ => None,
    }
}

/// The rule in words, over the whole history each time: no counters, no states.
fn naive(inputs: &[CheckInput], thresholds: Thresholds) -> Option<bool> {
    let mut verdict = None;
    let mut off = false;
    let mut since_verdict: Vec<bool> = Vec::new();
    let mut decisive = thresholds.first_decisive;
    for &input in inputs {
        match input {
            CheckInput::Off => off = true,
            CheckInput::On if off => {
                off = false;
                since_verdict.clear();
                decisive = verdict.is_some() || thresholds.first_decisive;
            }
            CheckInput::Ok | CheckInput::Fail if !off => {
                let passed = input == CheckInput::Ok;
                since_verdict.push(passed);
                let wanted = if passed { thresholds.rise } else { thresholds.fall }.get() as usize;
                let in_a_row = since_verdict.iter().rev().take_while(|&&p| p == passed).count();
                if decisive || in_a_row >= wanted {
                    if verdict != Some(passed) {
                        since_verdict.clear();
                    }
                    verdict = Some(passed);
                }
                decisive = false;
            }
            // It counts against who is up, but never decides alone.
            CheckInput::Traffic if !off && verdict == Some(true) && !decisive => {
                since_verdict.push(false);
                let wanted = thresholds.fall.get().max(3) as usize;
                if since_verdict.iter().rev().take_while(|&&passed| !passed).count() >= wanted {
                    since_verdict.clear();
                    verdict = Some(false);
                }
            }
            _ => {}
        }
    }
    verdict
}

proptest! {
    #![proptest_config(thorough::config())]

    #[test]
    fn equals_the_rule_in_words(inputs in inputs(), thresholds in thresholds()) {
        let (state, _) = replay(&inputs, thresholds);
        prop_assert_eq!(verdict(state), naive(&inputs, thresholds));
    }

    /// K1.
    #[test]
    fn transitions_alternate(inputs in inputs(), thresholds in thresholds()) {
        let (_, transitions) = replay(&inputs, thresholds);
        let told: Vec<_> = transitions.into_iter().flatten().collect();
        prop_assert!(told.windows(2).all(|pair| pair[0] != pair[1]), "{told:?}");
    }

    /// K2: without decisive results, the last `fall` (`rise`) results led to each transition.
    #[test]
    fn a_transition_has_its_streak(passed in results(), thresholds in thresholds()) {
        let thresholds = Thresholds { first_decisive: false, ..thresholds };
        let inputs: Vec<_> = passed.iter().copied().map(input).collect();
        let (_, transitions) = replay(&inputs, thresholds);
        for (index, transition) in transitions.iter().enumerate() {
            let (streak, wanted) = match transition {
                Some(Transition::Up) => (thresholds.rise, CheckInput::Ok),
                Some(Transition::Down) => (thresholds.fall, CheckInput::Fail),
                None => continue,
            };
            let from = (index + 1).checked_sub(streak.get() as usize);
            prop_assert!(from.is_some_and(|from| inputs[from..=index].iter().all(|&i| i == wanted)));
        }
    }

    /// Local errors change nothing, wherever they fall.
    #[test]
    fn local_errors_leave_no_trace(inputs in inputs(), thresholds in thresholds()) {
        let without: Vec<_> =
            inputs.iter().copied().filter(|&input| input != CheckInput::Local).collect();
        prop_assert_eq!(replay(&inputs, thresholds).0, replay(&without, thresholds).0);
    }

    #[test]
    fn streaks_stay_below_their_thresholds(inputs in inputs(), thresholds in thresholds()) {
        let mut state = CheckState::default();
        // Failures of traffic are no verdict of a run, and add up to three.
        let has_traffic = inputs.contains(&CheckInput::Traffic);
        let most = thresholds.fall.get().max(if has_traffic { 3 } else { 1 });
        for input in inputs {
            state.observe(input, thresholds);
            let (passes, failures) = state.streaks();
            prop_assert!(passes < thresholds.rise.get() && failures < most);
            prop_assert!(passes == 0 || failures == 0);
        }
    }

    /// K3, HAProxy (`src/check.c: check_notify_*`): one counter, up while it is at least `rise`.
    #[test]
    fn refines_the_counter_of_haproxy(passed in results(), rise in 1_u32..5, fall in 1_u32..5) {
        let spec = CheckSpec::haproxy(Duration::from_secs(2), rise, fall).unwrap();
        let mut state = CheckState::default();
        let mut health = rise;
        for passed in passed {
            if passed {
                health += 1;
                if health >= rise {
                    health = rise + fall - 1;
                }
            } else if health > rise {
                health -= 1;
            } else {
                health = 0;
            }
            state.observe(input(passed), spec.thresholds());
            prop_assert_eq!(verdict(state).unwrap_or(spec.initially_up()), health >= rise);
        }
    }

    /// K3, keepalived (`check_tcp.c: tcp_check_end`): a counter of retries, preset so that the very
    /// first failure is final; a success is final always.
    #[test]
    fn refines_the_retries_of_keepalived(
        passed in results(), retry in 0_u32..4, alpha in any::<bool>()
    ) {
        let second = Duration::from_secs(1);
        let spec = CheckSpec::keepalived(second, retry, second, alpha).unwrap();
        let mut state = CheckState::default();
        let (mut up, mut tried) = (!alpha, retry);
        for passed in passed {
            if passed {
                (up, tried) = (true, 0);
            } else if up && tried < retry {
                tried += 1;
            } else {
                (up, tried) = (false, 0);
            }
            state.observe(input(passed), spec.thresholds());
            prop_assert_eq!(verdict(state).unwrap_or(spec.initially_up()), up);
        }
    }

    /// X3: a changed check keeps an up backend up for a whole streak, and a down one needs one Ok.
    #[test]
    fn a_replacement_keeps_the_verdict(inputs in inputs(), thresholds in thresholds()) {
        let (state, _) = replay(&inputs, thresholds);
        let mut replaced = state.replaced();
        prop_assert_eq!(verdict(replaced), verdict(state));
        match replaced {
            CheckState::Up { .. } => {
                for _ in 1..thresholds.fall.get() {
                    prop_assert_eq!(replaced.observe(CheckInput::Fail, thresholds), None);
                }
                let last = replaced.observe(CheckInput::Fail, thresholds);
                prop_assert_eq!(last, Some(Transition::Down));
            }
            CheckState::Down { .. } => {
                let first = replaced.observe(CheckInput::Ok, thresholds);
                prop_assert_eq!(first, Some(Transition::Up));
            }
            _ => {}
        }
    }
}
