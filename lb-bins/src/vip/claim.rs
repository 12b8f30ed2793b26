//! Claiming addresses of somebody else: clouds give an address to whoever asks their API for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::spec::Spec;
use crate::config;
use crate::notify::execute;

/// After a failure it is tried again in this time, and then in twice that, up to its interval.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// What is claimed as long as this lives: until it succeeds, and then again and again, since somebody who
/// was master for a moment may have claimed it, too.
#[derive(Debug)]
pub(super) struct Claim {
    task: AbortHandle,
    again: Arc<Notify>,
    holds: Arc<AtomicBool>,
}

impl Claim {
    /// Begins to claim for an instance that has just become master; `None` if it has nothing to claim.
    pub(super) fn start(spec: &Spec) -> Option<Self> {
        let Spec::Vrrp(instance) = spec else { return None };
        let claim = instance.claim.clone()?;
        let addresses: Vec<_> = spec.addresses().iter().map(ToString::to_string).collect();
        let variables = vec![
            ("LB_INSTANCE", instance.name.clone()),
            ("LB_ADDRESSES", addresses.join(" ")),
            ("LB_GENERATION", next_generation().to_string()),
        ];
        let (again, holds) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let run = run(claim, variables, Arc::clone(&again), Arc::clone(&holds));
        Some(Self { task: tokio::spawn(run).abort_handle(), again, holds })
    }

    /// Does it again now: somebody else may have it.
    pub(super) fn assert(&self) {
        self.again.notify_one();
    }

    /// Whether the last attempt succeeded.
    pub(super) fn holds(&self) -> bool {
        self.holds.load(Ordering::Relaxed)
    }
}

/// Whoever is not master any more claims nothing: what runs is killed.
impl Drop for Claim {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A number that grows from master to master, on this host always, and between hosts as far as their
/// clocks agree: an API that remembers it can refuse who is late.
fn next_generation() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    #[allow(clippy::disallowed_methods, reason = "for others to compare, not to decide here")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let clock = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
    let grown = |last: u64| Some(clock.max(last.saturating_add(1)));
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown);
    last.map_or(clock, |last| clock.max(last.saturating_add(1)))
}

async fn run(
    claim: config::Claim,
    variables: Vec<(&'static str, String)>,
    again: Arc<Notify>,
    holds: Arc<AtomicBool>,
) {
    let script = &claim.command.program;
    let mut pause = FIRST_PAUSE;
    loop {
        let outcome = execute(&claim.command, variables.clone(), claim.timeout).await;
        let succeeded = matches!(&outcome, Ok(Some(status)) if status.success());
        let before = holds.swap(succeeded, Ordering::Relaxed);
        match outcome {
            Ok(Some(status)) if status.success() => {
                if !before {
                    info!(script, "claimed");
                }
            }
            Ok(Some(status)) => warn!(script, %status, ?pause, "not claimed"),
            Ok(None) => warn!(script, ?pause, "not claimed: it took too long"),
            Err(error) => warn!(script, %error, ?pause, "not claimed"),
        }
        let wait = if succeeded { claim.interval } else { pause };
        pause = if succeeded { FIRST_PAUSE } else { (pause * 2).min(claim.interval) };
        // However often somebody else claims it: an API is asked no more than so often.
        let soonest = wait.min(pause.max(FIRST_PAUSE));
        sleep(soonest).await;
        let _ = timeout(wait - soonest, again.notified()).await;
    }
}
