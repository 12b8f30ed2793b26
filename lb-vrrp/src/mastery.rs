//! What every master does, by VRRP as by CARP.

use std::time::{Duration, Instant};

use crate::config::Announcements;
use crate::timers::{Timer, TimerTable};

/// How many answers a master gives beside its scheduled advertisements, in each interval: enough for
/// every router of a link to lose an argument, and too few to make noise of replayed packets.
const ANSWERS: u8 = 8;

/// How far a master has gone in answering those who are worse.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Mastery {
    /// How many answers it gave since its last scheduled advertisement.
    answers: u8,
    /// When it last announced its addresses because of what it heard.
    reacted: Option<Instant>,
}

impl Mastery {
    /// It has advertised on schedule, and may answer again.
    pub(crate) const fn begin_interval(&mut self) {
        self.answers = 0;
    }

    /// Whether it may advertise in answer, once more.
    pub(crate) const fn may_answer(&mut self) -> bool {
        let may = self.answers < ANSWERS;
        self.answers += may as u8;
        may
    }

    /// Whether it may announce now because of what it heard: once in an interval. If not, it will be
    /// reminded.
    pub(crate) fn may_react(
        &mut self,
        now: Instant,
        interval: Duration,
        timers: &mut TimerTable,
    ) -> bool {
        match self.reacted.map(|last| last + interval).filter(|&next| now < next) {
            Some(next) => {
                timers.set_no_later(Timer::React, next);
                false
            }
            None => {
                self.reacted = Some(now);
                true
            }
        }
    }

    /// When it last announced because of what it heard.
    pub(crate) const fn reacted(&self) -> Option<Instant> {
        self.reacted
    }
}

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
