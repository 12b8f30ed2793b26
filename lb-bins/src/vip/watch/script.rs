//! Scripts, run over and over.

use std::pin::pin;

use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, info, warn};

use super::Reporter;
use crate::config::{ScriptInitial, VrrpScript};
use crate::notify::{Dying, Ended, execute};

/// Runs the script until this is dropped, and reports when it comes up or goes down. Another one of its name
/// was up or not `before`.
pub(super) async fn watch(script: VrrpScript, before: Option<bool>, reporter: Reporter) {
    let mut verdict = Verdict::of(&script, before);
    let mut told = Told::default();
    let mut turns = interval(script.interval);
    // A run that takes long delays those after it, instead of having them follow at once.
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let (failure, late) = run(&script, &mut told).await;
        let news = verdict.hear(&script, failure.is_none());
        tell(&script, &reporter, news, failure.as_deref()).await;
        // Nobody waits for its end but the next run.
        let Some(mut dying) = late else { continue };
        if dying.end().await {
            continue;
        }
        // One that cannot be ended, since its file system hangs, would be joined by another at each turn. It
        // fails for all of them.
        let mut gone = pin!(async { while !dying.end().await {} });
        loop {
            tokio::select! {
                () = &mut gone => break,
                _ = turns.tick() => {
                    let news = verdict.hear(&script, false);
                    tell(&script, &reporter, news, failure.as_deref()).await;
                }
            }
        }
    }
}

/// Logs and reports a verdict, if there is one: that it is up, or down because of the last `failure`.
async fn tell(script: &VrrpScript, reporter: &Reporter, news: Option<News>, failure: Option<&str>) {
    let Some(News { is_up, is_change }) = news else { return };
    let reason = (!is_up).then(|| failure.unwrap_or("it failed"));
    match reason {
        _ if !is_change => {}
        Some(error) => warn!(script = script.name, up = is_up, error, "tracked script"),
        None => info!(script = script.name, up = is_up, "tracked script"),
    }
    reporter.report_health(reason.map(str::to_owned)).await;
}

/// A verdict that is to be told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct News {
    is_up: bool,
    /// Whether it counted as something else before, or as nothing.
    is_change: bool,
}

/// What is known of a script.
#[derive(Debug)]
struct Verdict {
    /// `None` before the first run, which then decides.
    is_up: Option<bool>,
    /// Whatever was told before this script has run was told by another one, if this one took its place by a
    /// reload, or is on its way: the first verdict is told whatever it is.
    is_told: bool,
    /// How many runs in a row say otherwise.
    others: u32,
}

impl Verdict {
    fn of(script: &VrrpScript, before: Option<bool>) -> Self {
        let initially = match script.initial {
            ScriptInitial::Down => Some(false),
            ScriptInitial::Unknown => None,
            ScriptInitial::Up => Some(true),
        };
        Self { is_up: before.or(initially), is_told: false, others: 0 }
    }

    /// Counts a run. What it is now, if that is to be told.
    fn hear(&mut self, script: &VrrpScript, succeeded: bool) -> Option<News> {
        let is_up = succeeded;
        if self.is_up == Some(succeeded) {
            self.others = 0;
            let is_news = !std::mem::replace(&mut self.is_told, true);
            return is_news.then_some(News { is_up, is_change: false });
        }
        self.others += 1;
        let enough = if succeeded { script.rise } else { script.fall };
        if self.is_up.is_some() && self.others < enough {
            return None;
        }
        *self = Self { is_up: Some(succeeded), is_told: true, others: 0 };
        Some(News { is_up, is_change: true })
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ending {
    CannotRun,
    Late,
    Said(bool),
}

/// What is wrong with a script itself and was told since it last succeeded: one that fails in several ways
/// by turns is not news at each of them.
#[derive(Debug, Default)]
struct Told {
    cannot_run: bool,
    late: bool,
}

impl Told {
    /// Whether this is to be told now; then it counts as told.
    fn is_news(&mut self, ending: Ending) -> bool {
        match ending {
            Ending::CannotRun => !std::mem::replace(&mut self.cannot_run, true),
            Ending::Late => !std::mem::replace(&mut self.late, true),
            Ending::Said(true) => {
                *self = Self::default();
                false
            }
            Ending::Said(false) => false,
        }
    }
}

/// Why it failed, unless it succeeded; if it has not ended, it is to be seen to its end.
async fn run(script: &VrrpScript, told: &mut Told) -> (Option<String>, Option<Dying>) {
    let outcome = execute(&script.name, &script.command, Vec::new(), script.timeout).await;
    let ending = match &outcome {
        Ok(Ended::Said(status)) => Ending::Said(status.success()),
        Ok(Ended::Late(_)) => Ending::Late,
        Err(_) => Ending::CannotRun,
    };
    let is_news = told.is_news(ending);
    match outcome {
        Ok(Ended::Said(status)) => {
            debug!(script = script.name, %status, "tracked script ran");
            ((!status.success()).then(|| status.to_string()), None)
        }
        Ok(Ended::Late(late)) => {
            if is_news {
                warn!(script = script.name, "tracked script ended: it took too long");
            }
            (Some(format!("it took too long, after {:?}", script.timeout)), Some(late))
        }
        Err(error) => {
            if is_news {
                warn!(script = script.name, %error, "tracked script cannot be run");
            }
            (Some(format!("it cannot be run: {error}")), None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Command;

    /// What is told of each run in turn.
    fn told(initial: ScriptInitial, before: Option<bool>, runs: &[bool]) -> Vec<Option<bool>> {
        let second = std::time::Duration::from_secs(1);
        let script = VrrpScript {
            name: "it".to_owned(),
            command: Command::new("/bin/true", Vec::new()),
            interval: second,
            timeout: second,
            rise: 2,
            fall: 3,
            weight: 0,
            initial,
        };
        let mut verdict = Verdict::of(&script, before);
        let verdict = |succeeded: &bool| Some(verdict.hear(&script, *succeeded)?.is_up);
        runs.iter().map(verdict).collect()
    }

    /// As in keepalived (`vrrp_script_child_thread`), unless it is said what it counts as.
    #[test]
    fn the_first_run_decides() {
        use ScriptInitial::{Down, Unknown, Up};
        let (up, down) = (Some(true), Some(false));
        assert_eq!(told(Unknown, None, &[false, true, true]), [down, None, up]);
        assert_eq!(told(Unknown, None, &[true, false, false, false]), [up, None, None, down]);
        assert_eq!(told(Up, None, &[false, false, false]), [None, None, down]);
        assert_eq!(told(Up, None, &[true, true]), [up, None]);
        assert_eq!(told(Down, None, &[true, true]), [None, up]);
        assert_eq!(told(Down, None, &[false, false]), [down, None]);
    }

    #[test]
    fn a_script_goes_on_from_the_verdict_of_the_one_before() {
        use ScriptInitial::{Down, Unknown, Up};
        let (up, down) = (Some(true), Some(false));
        for initial in [Down, Unknown, Up] {
            assert_eq!(told(initial, up, &[false, false, false]), [None, None, down]);
            assert_eq!(told(initial, down, &[true, true]), [None, up]);
            // What was told of that one may be on its way still.
            assert_eq!(told(initial, up, &[true, true]), [up, None]);
            assert_eq!(told(initial, down, &[false, false]), [down, None]);
        }
    }

    #[test]
    fn what_is_wrong_with_a_script_is_told_once_until_it_succeeds() {
        let mut told = Told::default();
        let by_turns = [Ending::Late, Ending::Said(false), Ending::CannotRun];
        for is_first in [true, false, false] {
            let news = by_turns.map(|ending| told.is_news(ending));
            assert_eq!(news, [is_first, false, is_first]);
        }
        assert!(!told.is_news(Ending::Said(true)));
        assert!(told.is_news(Ending::Late), "it had got over that");
    }
}
