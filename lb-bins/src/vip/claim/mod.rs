//! Claiming addresses of somebody else: clouds give an address to whoever asks their API for it.

mod client;
mod http;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use self::http::Api;
use super::spec::Spec;
use crate::backoff::Backoff;
use crate::config::{self, ClaimBy};
use crate::notify::{Ended, execute};

/// After a failure it is tried again in this time, and then in twice that, up to its interval.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Whoever asks for more patience is not believed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// What is claimed as long as this lives: until it succeeds, and then again and again, since somebody who
/// was master for a moment may have claimed it, too.
#[derive(Debug)]
pub(super) struct Claim {
    task: AbortHandle,
    claimant: Arc<Claimant>,
}

/// Who claims, and what for.
#[derive(Debug)]
struct Claimant {
    config: config::Claim,
    /// For a claim by HTTP.
    api: Option<Api>,
    instance: String,
    addresses: Vec<String>,
    /// A number that grows from master to master.
    generation: AtomicU64,
    again: Notify,
    holds: AtomicBool,
}

/// What an attempt came to.
#[derive(Debug)]
enum Outcome {
    /// The addresses are ours.
    Held,
    /// They are not, and nobody refused: the API is at it.
    Pending,
    /// They are not.
    Failed {
        why: String,
        /// For so long the API does not want to be asked again.
        patience: Option<Duration>,
    },
}

impl Claim {
    /// Begins to claim for an instance that has just become master; `None` if it has nothing to claim.
    pub(super) fn start(spec: &Spec) -> Option<Self> {
        let Spec::Vrrp(instance) = spec else { return None };
        let config = instance.claim.clone()?;
        let api = match &config.by {
            ClaimBy::Command(_) => None,
            ClaimBy::Http(http) => Some(Api::new((**http).clone(), config.timeout)),
        };
        let claimant = Arc::new(Claimant {
            config: *config,
            api,
            instance: instance.name.clone(),
            addresses: spec.addresses().iter().map(ToString::to_string).collect(),
            generation: AtomicU64::new(next_generation()),
            again: Notify::new(),
            holds: AtomicBool::new(false),
        });
        let task = tokio::spawn(Arc::clone(&claimant).run()).abort_handle();
        Some(Self { task, claimant })
    }

    /// Does it again now: a lower master may have it, as one that came later.
    pub(super) fn assert(&self) {
        self.claimant.generation.store(next_generation(), Ordering::Relaxed);
        self.claimant.again.notify_one();
    }

    /// Whether the last attempt succeeded.
    pub(super) fn holds(&self) -> bool {
        self.claimant.holds.load(Ordering::Relaxed)
    }

    /// Whether it does something when it is [released](Self::release).
    pub(super) fn gives_back(&self) -> bool {
        self.claimant.api.as_ref().is_some_and(Api::is_to_release)
    }

    /// Stops claiming, and gives back what there is, if it is to be given back: before somebody else
    /// claims it, which this must not undo.
    pub(super) fn release(self) -> Option<impl Future<Output = ()> + Send + use<>> {
        let claimant = self.gives_back().then(|| Arc::clone(&self.claimant))?;
        Some(async move { claimant.release().await })
    }
}

/// Whoever is not master any more claims nothing, and undoes nothing: a command that runs is killed, the
/// answer to a call is not waited for.
impl Drop for Claim {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A number that grows from master to master, on this host always, and between hosts as far as their
/// clocks agree: an API that remembers it can refuse who is late.
fn next_generation() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let clock = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
    let grown = |last: u64| Some(clock.max(last.saturating_add(1)));
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown);
    last.map_or(clock, |last| clock.max(last.saturating_add(1)))
}

impl Claimant {
    async fn run(self: Arc<Self>) {
        let instance = self.instance.as_str();
        let mut pauses = Pauses::new(self.config.interval);
        loop {
            let outcome = self.attempt().await;
            let holds = matches!(outcome, Outcome::Held);
            let before = self.holds.swap(holds, Ordering::Relaxed);
            let (soonest, latest) = pauses.after(&outcome);
            match outcome {
                Outcome::Held if !before => info!(instance, "claimed"),
                Outcome::Held => {}
                Outcome::Pending => info!(instance, pause = ?latest, "asked for, but not had yet"),
                Outcome::Failed { why, .. } => {
                    warn!(instance, why, pause = ?latest, "not claimed");
                }
            }
            sleep(soonest).await;
            let _ = timeout(latest.saturating_sub(soonest), self.again.notified()).await;
        }
    }

    async fn attempt(&self) -> Outcome {
        match (&self.config.by, &self.api) {
            (ClaimBy::Command(command), _) => self.run_command(command).await,
            (_, Some(api)) => api.claim(&self.instance, &self.addresses, self.generation()).await,
            _ => Outcome::Held,
        }
    }

    async fn run_command(&self, command: &config::Command) -> Outcome {
        let variables = vec![
            ("LB_INSTANCE", self.instance.clone()),
            ("LB_ADDRESSES", self.addresses.join(" ")),
            ("LB_GENERATION", self.generation().to_string()),
        ];
        let limit = self.config.timeout;
        let why = match execute(&self.instance, command, variables, limit).await {
            Ok(Ended::Said(status)) if status.success() => return Outcome::Held,
            Ok(Ended::Said(status)) => format!("{}: {status}", command.program),
            Ok(Ended::Late(mut dying)) => {
                // One that hangs for good may claim at last what another one has by then: it is not joined.
                while !dying.end().await {}
                format!("{}: it took too long", command.program)
            }
            Err(error) => format!("{}: {error}", command.program),
        };
        Outcome::Failed { why, patience: None }
    }

    async fn release(&self) {
        let Some(api) = &self.api else { return };
        let instance = self.instance.as_str();
        let release = api.release(&self.instance, &self.addresses, self.generation());
        match timeout(self.config.timeout, release).await {
            Ok(Ok(())) => info!(instance, "given back"),
            Ok(Err(why)) => warn!(instance, why, "not given back"),
            Err(_) => warn!(instance, "not given back: it took too long"),
        }
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }
}

/// How long it waits from one attempt to the next.
#[derive(Clone, Copy, Debug)]
struct Pauses {
    interval: Duration,
    /// After failures.
    backoff: Backoff,
    /// After what was accepted: however long nothing was before, it may be had soon.
    looks: Backoff,
}

impl Pauses {
    const fn new(interval: Duration) -> Self {
        let backoff = Backoff::new(FIRST_PAUSE, interval);
        Self { interval, backoff, looks: backoff }
    }

    /// How long it waits at least, whatever happens, and at most. However often somebody else claims
    /// it, an API is not asked more often.
    fn after(&mut self, outcome: &Outcome) -> (Duration, Duration) {
        let pause = match outcome {
            Outcome::Held => {
                self.backoff.reset();
                self.looks.reset();
                return (FIRST_PAUSE.min(self.interval), self.interval);
            }
            Outcome::Pending => self.looks.pause(),
            Outcome::Failed { patience, .. } => {
                self.looks.reset();
                self.backoff.pause().max(patience.unwrap_or_default().min(LONGEST_PAUSE))
            }
        };
        (pause, pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(patience: Option<Duration>) -> Outcome {
        Outcome::Failed { why: String::new(), patience }
    }

    #[test]
    fn pauses_grow_until_it_succeeds() {
        let seconds = Duration::from_secs;
        let mut pauses = Pauses::new(seconds(3));
        let mut said = |outcome| pauses.after(&outcome).1;
        let grown: Vec<_> = (0..5).map(|_| said(failed(None)).as_millis()).collect();
        assert_eq!(grown, [500, 1000, 2000, 3000, 3000]);
        assert_eq!(said(Outcome::Held), seconds(3));
        assert_eq!(said(Outcome::Pending), FIRST_PAUSE);
        // Who asks for patience has it, but not for ever, and it does not count as a failure more.
        assert_eq!(said(failed(Some(seconds(60)))), seconds(60));
        assert_eq!(said(failed(Some(Duration::MAX))), LONGEST_PAUSE);
        assert_eq!(said(failed(Some(Duration::ZERO))), seconds(2));
        // An API that is back, and has accepted it, is asked soon whether it is had; and not too often.
        let looked: Vec<_> = (0..4).map(|_| said(Outcome::Pending).as_millis()).collect();
        assert_eq!(looked, [500, 1000, 2000, 3000]);
        assert_eq!(said(failed(None)), seconds(3), "by turns it is no better");
        assert_eq!(said(Outcome::Pending), FIRST_PAUSE);
    }

    #[test]
    fn generations_grow() {
        let generations: Vec<_> = (0..1000).map(|_| next_generation()).collect();
        assert!(generations.is_sorted_by(|one, next| one < next));
    }
}
