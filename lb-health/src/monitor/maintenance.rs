//! Backends that are not to be checked for a time.

use std::hash::Hash;
use std::time::Instant;

use super::{Because, Monitor};
use crate::CheckId;
use crate::state::{CheckInput, CheckState};

impl<K: Copy + Eq + Hash> Monitor<K> {
    /// Stops checking `backend`, for maintenance. Its health stays as it is; runs that are going
    /// for it alone are cancelled. Holds for checks that are added later too, until [`Self::resume`]
    /// or [`Self::forget`].
    pub fn suspend(&mut self, backend: K) {
        let seat = self.backends.seat(backend);
        self.backends.at(seat).suspended = true;
        for check in self.backends.at(seat).checks.clone().as_slice() {
            self.doze(*check);
        }
    }

    /// Checks `backend` again after [`Self::suspend`]. Its old health is stale: the next result of
    /// each check decides alone, whatever rise and fall say, unless the check went on for others.
    pub fn resume(&mut self, now: Instant, backend: K) {
        let Some(seat) = self.backends.find(backend) else { return };
        if !std::mem::take(&mut self.backends.at(seat).suspended) {
            return;
        }
        for &check in self.backends.at(seat).checks.clone().as_slice() {
            self.wake(now, check);
            if let Some(known) = self.checks.get_mut(check) {
                known.hold = None;
            }
        }
        self.publish(seat, || Because::Resumed);
    }

    /// Stops `check` if all of its backends are suspended.
    pub(super) fn doze(&mut self, check: CheckId) {
        let Some(known) = self.checks.get_mut(check) else { return };
        if known.backends.as_slice().iter().all(|&seat| self.backends.is_suspended(seat)) {
            known.state.observe(CheckInput::Off, known.spec.thresholds());
            self.cancel(check);
        }
    }

    /// Starts `check` again if it was stopped and one of its backends is not suspended.
    pub(super) fn wake(&mut self, now: Instant, check: CheckId) {
        let Some(known) = self.checks.get_mut(check) else { return };
        let wanted =
            known.backends.as_slice().iter().any(|&seat| !self.backends.is_suspended(seat));
        if wanted && matches!(known.state, CheckState::Off { .. }) {
            known.state.observe(CheckInput::On, known.spec.thresholds());
            self.deadlines.set(check.slot, known.timetable.restart(now, &known.spec));
        }
    }
}
