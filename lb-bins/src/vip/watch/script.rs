//! Scripts, run over and over.

use lb_vrrp::Signal;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, info, warn};

use super::Reporter;
use crate::config::VrrpScript;
use crate::config::check::Initial;
use crate::notify::execute;

/// Runs the script until this is dropped, and reports when it comes up or goes down.
pub(super) async fn watch(script: VrrpScript, reporter: Reporter) {
    let mut is_up = script.initial == Initial::Up;
    // What was told may be of another script, if this one took its place by a reload: the first
    // verdict is told whatever it is.
    let mut is_told = false;
    // How many runs in a row say otherwise.
    let mut others = 0;
    let mut told = Told::default();
    let mut turns = interval(script.interval);
    // A run that takes long delays those after it, instead of having them follow at once.
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let succeeded = run(&script, &mut told).await == Ending::Said(true);
        if succeeded == is_up {
            others = 0;
            if !is_told {
                is_told = true;
                reporter.report(if is_up { Signal::Up } else { Signal::Down }).await;
            }
            continue;
        }
        others += 1;
        if others < (if succeeded { script.rise } else { script.fall }) {
            continue;
        }
        (is_up, is_told, others) = (succeeded, true, 0);
        info!(script = script.name, up = is_up, "tracked script");
        reporter.report(if is_up { Signal::Up } else { Signal::Down }).await;
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ending {
    CannotRun,
    Killed,
    Said(bool),
}

/// What is wrong with a script itself and was told since it last succeeded: one that fails in several ways
/// by turns is not news at each of them.
#[derive(Debug, Default)]
struct Told {
    cannot_run: bool,
    killed: bool,
}

impl Told {
    /// Whether this is to be told now; then it counts as told.
    fn is_news(&mut self, ending: Ending) -> bool {
        match ending {
            Ending::CannotRun => !std::mem::replace(&mut self.cannot_run, true),
            Ending::Killed => !std::mem::replace(&mut self.killed, true),
            Ending::Said(true) => {
                *self = Self::default();
                false
            }
            Ending::Said(false) => false,
        }
    }
}

async fn run(script: &VrrpScript, told: &mut Told) -> Ending {
    let outcome = execute(&script.command, Vec::new(), script.timeout).await;
    let ending = match &outcome {
        Ok(Some(status)) => Ending::Said(status.success()),
        Ok(None) => Ending::Killed,
        Err(_) => Ending::CannotRun,
    };
    let is_news = told.is_news(ending);
    match outcome {
        Ok(Some(status)) => debug!(script = script.name, %status, "tracked script ran"),
        Ok(None) if is_news => {
            warn!(script = script.name, "tracked script killed: it took too long");
        }
        Err(error) if is_news => {
            warn!(script = script.name, %error, "tracked script cannot be run");
        }
        Ok(None) | Err(_) => {}
    }
    ending
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_script_is_told_once_until_it_succeeds() {
        let mut told = Told::default();
        let by_turns = [Ending::Killed, Ending::Said(false), Ending::CannotRun];
        for is_first in [true, false, false] {
            let news = by_turns.map(|ending| told.is_news(ending));
            assert_eq!(news, [is_first, false, is_first]);
        }
        assert!(!told.is_news(Ending::Said(true)));
        assert!(told.is_news(Ending::Killed), "it had got over that");
    }
}
