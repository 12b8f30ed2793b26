//! One announcement: told to its speaker until it has understood, and then again and again.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::voice::{SpeakerError, Turns, Voice};
use crate::backoff::Backoff;
use crate::config::Speaker;

/// After a failure it is told again in this time, and then in twice that, up to its interval.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// What is to be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) speaker: Speaker,
    interval: Duration,
    pub(super) announce: bool,
    /// Withdrawn for good.
    is_over: bool,
    /// Which order this is: each has a higher number than the one before.
    pub(super) number: u64,
}

impl Wanted {
    pub(super) const fn new(speaker: Speaker, interval: Duration) -> Self {
        Self { speaker, interval, announce: false, is_over: false, number: 1 }
    }

    /// Whether that is another order.
    pub(super) fn become_this(
        &mut self,
        announce: bool,
        speaker: &Speaker,
        interval: Duration,
    ) -> bool {
        let is_so = (self.announce, &self.speaker, self.interval) == (announce, speaker, interval);
        if !is_so {
            (self.announce, self.interval) = (announce, interval);
            self.speaker.clone_from(speaker);
            self.number += 1;
        }
        !is_so
    }

    pub(super) const fn end(&mut self) {
        self.announce = false;
        self.is_over = true;
        self.number += 1;
    }
}

/// What is known of an announcement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    Announced,
    /// The speaker cannot be asked.
    Unknown,
    Withdrawn,
}

/// What has become of the orders.
#[derive(Clone, Debug)]
pub(super) struct Report {
    /// Of the order that was carried out last, or could not be.
    pub(super) number: u64,
    pub(super) state: State,
    /// Since when it is so.
    pub(super) since: Instant,
    /// How often the speaker did not do what it was told.
    pub(super) failures: u64,
    /// Why it does not now.
    pub(super) error: Option<String>,
}

impl Report {
    pub(super) const fn new(now: Instant) -> Self {
        Self { number: 0, state: State::Unknown, since: now, failures: 0, error: None }
    }

    /// Whether a withdrawal with this number has been known to routers for long.
    pub(super) fn is_settled(&self, number: u64, delay: Duration) -> bool {
        self.number >= number && self.state == State::Withdrawn && self.since.elapsed() >= delay
    }

    fn become_this(&mut self, state: State) {
        if self.state != state {
            (self.state, self.since) = (state, Instant::now());
        }
    }
}

/// Obeys until it is told that it is over.
pub(super) async fn run(
    announcement: String,
    mut orders: watch::Receiver<Wanted>,
    reports: watch::Sender<Report>,
    turns: Turns,
) {
    let mut wanted = orders.borrow_and_update().clone();
    let mut voice = Voice::of(&wanted.speaker, &turns);
    let mut backoff = Backoff::new(FIRST_PAUSE, wanted.interval);
    loop {
        if wanted.is_over && reports.borrow().state == State::Withdrawn {
            // Somebody else may announce it by now.
            return;
        }
        let outcome = voice.set(wanted.announce).await;
        let is_done = outcome.is_ok();
        reports.send_modify(|report| note(report, &announcement, &wanted, outcome));
        if wanted.is_over {
            return;
        }
        let wait = match is_done {
            true => {
                backoff.reset();
                wanted.interval
            }
            false => backoff.pause(),
        };
        tokio::select! {
            biased;
            // Nobody is left who could want anything.
            changed = orders.changed() => if changed.is_err() { return },
            () = voice.gone() => {
                warn!(announcement, "the speaker has gone");
                reports.send_modify(|report| report.become_this(State::Unknown));
            }
            () = sleep(wait) => {}
        }
        let before = std::mem::replace(&mut wanted, orders.borrow_and_update().clone());
        backoff.limit(wanted.interval);
        if wanted.speaker != before.speaker {
            let old = std::mem::replace(&mut voice, Voice::of(&wanted.speaker, &turns));
            backoff.reset();
            if let Some(mut old) = old.without(&voice)
                && let Err(error) = old.set(false).await
            {
                warn!(announcement, %error, "what was announced before may still be");
            }
        }
    }
}

fn note(
    report: &mut Report,
    announcement: &str,
    wanted: &Wanted,
    outcome: Result<(), SpeakerError>,
) {
    report.number = wanted.number;
    let before = (report.state, report.error.take());
    match outcome {
        Ok(()) => {
            let state = if wanted.announce { State::Announced } else { State::Withdrawn };
            report.become_this(state);
            if before.0 != state {
                let what = if wanted.announce { "announced" } else { "withdrawn" };
                info!(announcement, "{what}");
            }
        }
        Err(error) => {
            report.become_this(State::Unknown);
            report.failures += 1;
            let error = error.to_string();
            if before.1.as_ref() != Some(&error) {
                let what = if wanted.announce { "announced" } else { "withdrawn" };
                warn!(announcement, error, "not {what}");
            }
            report.error = Some(error);
        }
    }
}
