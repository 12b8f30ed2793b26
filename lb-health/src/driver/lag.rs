//! How far the driver is behind: what excuses its targets, and what barks when it stands still.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Knows when this process last stood still. Pure.
///
/// A run that times out has waited in vain only if somebody was there to hear the answer. After a
/// stall with thousands of answers waiting, some timers fire before all answers are read; a starved
/// director must not take every backend down for that (envoy#28699).
#[derive(Debug, Default)]
pub(crate) struct Stalls {
    /// When the last one ended, and how long it was.
    last: Option<(Instant, Duration)>,
}

impl Stalls {
    /// To be late by less proves nothing: schedulers are.
    pub(crate) const SHORTEST: Duration = Duration::from_millis(50);

    /// What was due at `due` is done `now`.
    pub(crate) fn woken(&mut self, due: Instant, now: Instant) {
        let late = now.saturating_duration_since(due);
        if late >= Self::SHORTEST {
            self.last = Some((now, late));
        }
    }

    /// The stall, if there was one, that a run from `began` to `deadline` may have timed out by.
    ///
    /// To catch up is given as long as the stall was. What had not come by then had not been sent:
    /// else a host with one hiccup in every run would never find a dead server.
    pub(crate) fn excusing(&self, began: Instant, deadline: Instant) -> Option<Duration> {
        let (ended, late) = self.last?;
        (ended > began && ended + late > deadline).then_some(late)
    }
}

/// Tells from any thread whether a driver still runs: see [`Driver::watchdog`](super::Driver).
#[derive(Clone, Debug)]
pub struct Watchdog(Arc<[Due]>);

impl Watchdog {
    pub(super) fn new(dues: impl IntoIterator<Item = Due>) -> Self {
        Self(dues.into_iter().collect())
    }

    /// For how long the driver, or one of its threads, has not done what was to be done: the age of
    /// the oldest check that is due and not started, or has had its time and is not ended. Zero if
    /// all keep up.
    pub fn overdue(&self, now: Instant) -> Duration {
        self.0.iter().map(|due| due.overdue(now)).max().unwrap_or_default()
    }
}

/// When a thread has to do something next.
#[derive(Clone, Debug)]
pub(super) struct Due {
    origin: Instant,
    /// In nanoseconds from the origin.
    nanos: Arc<AtomicU64>,
}

impl Due {
    const NEVER: u64 = u64::MAX;

    pub(super) fn new(origin: Instant) -> Self {
        Self { origin, nanos: Arc::new(AtomicU64::new(Self::NEVER)) }
    }

    pub(super) fn set(&self, due: Option<Instant>) {
        let nanos = due.map(|due| due.saturating_duration_since(self.origin).as_nanos() as u64);
        self.nanos.store(nanos.unwrap_or(Self::NEVER), Ordering::Relaxed);
    }

    /// There is something to do at `due`, too: for whoever gives orders. The thread itself then
    /// [sets](Self::set) what is left.
    pub(super) fn advance(&self, due: Instant) {
        let nanos = due.saturating_duration_since(self.origin).as_nanos() as u64;
        self.nanos.fetch_min(nanos, Ordering::Relaxed);
    }

    fn overdue(&self, now: Instant) -> Duration {
        match self.nanos.load(Ordering::Relaxed) {
            Self::NEVER => Duration::ZERO,
            due => now.saturating_duration_since(self.origin + Duration::from_nanos(due)),
        }
    }
}
