//! What every master does, by VRRP as by CARP.

use std::time::Instant;

use crate::config::Announcements;
use crate::timers::{Timer, TimerTable};

impl TimerTable {
    /// Of a master that begins, and has announced its addresses: when it does so again.
    pub(crate) fn start_announcing(&mut self, now: Instant, announcements: &Announcements) {
        if !announcements.second_after.is_zero() {
            self.set_in(Timer::Announce, now, announcements.second_after);
        }
        if !announcements.refresh.is_zero() {
            self.set_in(Timer::Refresh, now, announcements.refresh);
        }
    }

    /// Of a master that goes on with other announcements: it begins to repeat them, or ceases to.
    pub(crate) fn change_announcing(
        &mut self,
        now: Instant,
        before: &Announcements,
        after: &Announcements,
    ) {
        if after.second_after.is_zero() {
            self.stop(Timer::Announce);
        }
        if before.refresh == after.refresh {
            return;
        }
        if after.refresh.is_zero() {
            self.stop(Timer::Refresh);
        } else {
            self.set_in(Timer::Refresh, now, after.refresh);
        }
    }
}
