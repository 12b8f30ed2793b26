//! What real traffic saw of a backend.

use std::hash::Hash;
use std::time::Instant;

use lb_core::Health;

use super::{Because, Monitor};
use crate::CheckError;
use crate::state::{CheckInput, CheckState, Transition};

impl<K: Copy + Eq + Hash> Monitor<K> {
    /// Takes what real traffic saw of `backend`: whether a connection to it could be made.
    ///
    /// A failure counts as one of every check that is up, and brings forward their next runs. A
    /// success ends a streak of failures, but never brings up what is down: that takes a check. What
    /// comes up to fail again is [held down](Self#when-traffic-and-checks-disagree).
    pub fn handle_passive(&mut self, now: Instant, backend: K, result: Result<(), CheckError>) {
        let Some(seat) = self.backends.find(backend) else { return };
        let (input, error) = match result {
            Ok(()) => (CheckInput::Ok, None),
            Err(error) if error.is_local() => return,
            Err(error) => (CheckInput::Fail, Some(error)),
        };
        let watched = self.backends.at(seat);
        let was_up = watched.published.is_some_and(Health::is_up);
        let checks = watched.checks.clone();
        for &id in checks.as_slice() {
            let Some(check) = self.checks.get_mut(id) else { continue };
            // A stale belief waits for a check; traffic that is well has nothing to reset there.
            let CheckState::Up { failures, .. } = check.state else { continue };
            if input == CheckInput::Ok && failures == 0 {
                continue;
            }
            let overruled = check.state.observe(input, check.spec.thresholds());
            if overruled == Some(Transition::Down) && was_up {
                let hold = check.hold.get_or_insert_default();
                hold.taken_down(now, check.spec.interval());
            }
            if let (CheckInput::Fail, Some(due)) = (input, self.deadlines.of(id.slot)) {
                self.deadlines.set(id.slot, due.min(check.timetable.hurry(now, &check.spec)));
            }
        }
        // In two steps: a backend is told once, when all of its checks have heard.
        let Some(error) = error else { return };
        let held_until = self.held_until(now, backend);
        for &id in checks.as_slice() {
            self.publish_all(id, || Because::Traffic { error: error.clone(), held_until });
        }
    }
}
