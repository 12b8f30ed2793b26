//! What real traffic saw of a backend.

use std::hash::Hash;
use std::time::Instant;

use lb_core::Health;

use super::{Because, Monitor};
use crate::state::{CheckInput, CheckState, Transition};
use crate::{CheckError, CheckId};

impl<K: Copy + Eq + Hash> Monitor<K> {
    /// Takes what real traffic saw of `backend`: whether a connection to it could be made.
    ///
    /// A failure counts for every check that is up and [heeds
    /// traffic](crate::CheckSpec::heeding_traffic), and brings forward their next runs. It takes `fall`
    /// failures in a row, [and three at least](CheckState::FEWEST_OF_TRAFFIC), until it takes one down. A
    /// success ends a streak of failures, but never brings up what is down: that takes a check. What
    /// comes up to fail again is [held down](Self#when-traffic-and-checks-disagree).
    ///
    /// Whether anybody is left is not asked here: see [`Self::at_stake`].
    pub fn handle_passive(&mut self, now: Instant, backend: K, result: Result<(), CheckError>) {
        let Some(seat) = self.backends.find(backend) else { return };
        let error = match result {
            Ok(()) => None,
            Err(error) if error.is_local() => return,
            Err(error) => Some(error),
        };
        let watched = self.backends.at(seat);
        let was_up = watched.published.is_some_and(Health::is_up);
        let checks = watched.checks.clone();
        for &id in checks.as_slice() {
            let Some(check) = self.checks.get_mut(id) else { continue };
            // A stale belief waits for a check; traffic that is well has nothing to reset there.
            let CheckState::Up { failures, .. } = check.state else { continue };
            if !check.spec.heeds_traffic() {
                continue;
            }
            let input = match error {
                None if failures == 0 => continue,
                None => CheckInput::Ok,
                Some(_) => CheckInput::Traffic,
            };
            let overruled = check.state.observe(input, check.spec.thresholds());
            if overruled == Some(Transition::Down) {
                check.overruled = true;
                if was_up {
                    let hold = check.hold.get_or_insert_default();
                    hold.taken_down(now, check.spec.interval());
                }
            }
            if error.is_some() {
                self.expedite(now, id);
            }
        }
        // In two steps: a backend is told once, when all of its checks have heard.
        let Some(error) = error else { return };
        let held_until = self.held_until(now, backend);
        for &id in checks.as_slice() {
            self.publish_all(id, || Because::Traffic { error: error.clone(), held_until });
        }
    }

    /// Whom one more failure of traffic to `backend` takes down: itself, and whoever shares with it the check
    /// that falls; some of them perhaps twice. None, as long as it takes more. O(k).
    ///
    /// Only the owner of a pool knows [whether that can do without](crate::outliers::can_spare) them. If not,
    /// the failure is for [`Self::doubt`].
    pub fn at_stake(&self, backend: K) -> impl Iterator<Item = K> {
        let heeding = self.checks_of(backend).filter(|(_, check)| check.spec.heeds_traffic());
        let falling =
            heeding.filter(|(_, check)| check.state.falls_by_traffic(check.spec.thresholds()));
        falling.flat_map(|(_, check)| check.backends())
    }

    /// Whether `backend` is down on the word of traffic alone: that took it down, and none of its checks has
    /// failed since, or had before. O(k).
    pub fn is_overruled(&self, backend: K) -> bool {
        let checks = self.checks_of(backend);
        let mut down = checks.filter(|(_, check)| matches!(check.state, CheckState::Down { .. }));
        down.next().is_some_and(|(_, first)| first.overruled)
            && down.all(|(_, check)| check.overruled)
    }

    /// Takes a failure of traffic to `backend` that is not to take it down: it brings forward the next runs
    /// of the checks that are up and heed traffic, which decide.
    pub fn doubt(&mut self, now: Instant, backend: K) {
        let Some(watched) = self.backends.get(backend) else { return };
        for &id in watched.checks.clone().as_slice() {
            let is_doubted = self.checks.get(id).is_some_and(|check| {
                matches!(check.state, CheckState::Up { .. }) && check.spec.heeds_traffic()
            });
            if is_doubted {
                self.expedite(now, id);
            }
        }
    }

    fn expedite(&mut self, now: Instant, id: CheckId) {
        if let (Some(check), Some(due)) = (self.checks.get(id), self.deadlines.of(id.slot)) {
            self.deadlines.set(id.slot, due.min(check.timetable.hurry(now, &check.spec)));
        }
    }
}
