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
    let mut ending = None;
    let mut turns = interval(script.interval);
    // A run that takes long delays those after it, instead of having them follow at once.
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let ended = run(&script, ending).await;
        ending = Some(ended);
        let succeeded = ended == Ending::Said(true);
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

/// What is wrong with the script itself is logged unless it was wrong `before`.
async fn run(script: &VrrpScript, before: Option<Ending>) -> Ending {
    let is_news = |ending| before != Some(ending);
    match execute(&script.command, Vec::new(), script.timeout).await {
        Ok(Some(status)) => {
            debug!(script = script.name, %status, "tracked script ran");
            Ending::Said(status.success())
        }
        Ok(None) => {
            if is_news(Ending::Killed) {
                warn!(script = script.name, "tracked script killed: it took too long");
            }
            Ending::Killed
        }
        Err(error) => {
            if is_news(Ending::CannotRun) {
                warn!(script = script.name, %error, "tracked script cannot be run");
            }
            Ending::CannotRun
        }
    }
}
