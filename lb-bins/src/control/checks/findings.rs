//! What running checks have found, for the status, explanations and the log.

use std::time::Instant;

use lb_health::state::CheckState;
use lb_health::{CheckError, CheckId, monitor};

use super::{Checks, Place, Watched};
use crate::status::{CheckReport, ChecksStatus, LastCheck, PastRun, RunReport, in_full, outcome};

impl Checks {
    /// Whether a backend is checked, and every check of it has passed since then.
    pub(in crate::control) fn passed_since(&self, place: Place, since: Instant) -> bool {
        let mut checks = self.driver.monitor().checks_of(place).peekable();
        checks.peek().is_some()
            && checks.all(|(_, check)| {
                check.last().is_some_and(|last| last.result.is_ok() && last.at > since)
            })
    }

    /// Whether a backend is down for what clients met with there, and not for a check of it.
    pub(in crate::control) fn is_overruled(&self, place: Place) -> bool {
        self.driver.monitor().is_overruled(place)
    }

    /// What one check has found so far, if it has.
    pub(in crate::control) fn has_found(&self, check: CheckId) -> Option<&'static str> {
        match self.driver.monitor().check(check)?.state() {
            CheckState::Down { .. } => Some("failed"),
            CheckState::Up { .. } => Some("passed"),
            CheckState::Off { .. } | CheckState::Unknown { .. } => None,
        }
    }

    /// The last run of a backend's checks: the failing one, else the latest.
    pub(in crate::control) fn last(&self, now: Instant, place: Place) -> Option<LastCheck> {
        let checks = self.driver.monitor().checks_of(place);
        let outcomes = checks.filter_map(|(_, check)| check.last());
        let last = outcomes.max_by_key(|outcome| (outcome.result.is_err(), outcome.at))?;
        let error = last.result.as_ref().err().map(|failure| &failure.error);
        Some(LastCheck {
            outcome: outcome(error),
            cause: error.map(CheckError::cause),
            detail: error.map(in_full),
            age_ms: now.saturating_duration_since(last.at).as_millis() as u64,
        })
    }

    /// Every check of a backend, in the order of the configuration, each with as many of its last
    /// runs.
    pub(in crate::control) fn describe(
        &self,
        now: Instant,
        place: Place,
        runs: usize,
    ) -> Vec<CheckReport> {
        let watched = self.watched.get(&place).into_iter().flatten();
        let monitor = self.driver.monitor();
        let known = watched.filter_map(|Watched { check: config, identity, id, .. }| {
            let check = monitor.check(*id)?;
            let (passes, failures) = check.state().streaks();
            let held = monitor.held_until(now, place).filter(|_| is_down(check.state()));
            let held = held.map(|until| until.saturating_duration_since(now).as_millis() as u64);
            Some(CheckReport {
                kind: config.kind.name(),
                target: identity.target.clone(),
                state: match check.state() {
                    CheckState::Down { .. } => "down",
                    CheckState::Off { .. } => "off",
                    CheckState::Unknown { .. } => "unknown",
                    CheckState::Up { .. } => "up",
                },
                passes,
                rise: config.rise,
                failures,
                fall: config.fall,
                local_errors: check.local_errors(),
                obstructed: check.is_obstructed(),
                late_ms: check.late().as_millis() as u64,
                held_ms: held,
                runs: check.recent().take(runs).map(|outcome| past(now, outcome)).collect(),
            })
        });
        known.collect()
    }

    /// How all of them fare.
    pub(in crate::control) fn totals(&self, now: Instant) -> ChecksStatus {
        let monitor = self.driver.monitor();
        let late = monitor.checks().map(|(_, check)| check.late()).max().unwrap_or_default();
        ChecksStatus {
            running: monitor.checks().count(),
            runs_total: monitor.runs(),
            overdue_ms: self.overdue(now).as_millis() as u64,
            late_ms: late.as_millis() as u64,
        }
    }

    /// That a check passed, and that its target asks for no new clients if it does, in words.
    pub(in crate::control) fn passed(&self, place: Place, check: CheckId) -> String {
        let name = self.name(place, check);
        let last = self.driver.monitor().check(check).and_then(monitor::Check::last);
        let report = last.and_then(|last| last.result.as_ref().ok());
        match report.filter(|report| report.advice.drains()) {
            None => format!("{name} check passed"),
            Some(report) => match report.trace.evidence().status {
                Some(status) => {
                    format!("{name} check passed: status {status} asks for no new clients")
                }
                None => format!("{name} check passed: it asks for no new clients"),
            },
        }
    }

    /// How a check is called in logs.
    pub(in crate::control) fn name(&self, place: Place, check: CheckId) -> &'static str {
        let known = self.watched.get(&place).into_iter().flatten().find(|one| one.id == check);
        known.map_or("former", |known| known.check.kind.name())
    }
}

const fn is_down(state: CheckState) -> bool {
    matches!(state, CheckState::Down { .. })
}

fn past(now: Instant, past: &monitor::PastRun) -> PastRun {
    let age = now.saturating_duration_since(past.at);
    let run = RunReport::new(past.took, &past.result);
    PastRun { age_ms: age.as_millis() as u64, repeated: past.repeated, run }
}
