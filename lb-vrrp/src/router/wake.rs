//! What time does.

use std::time::Instant;

use super::state::Patience;
use super::{Because, State, VirtualRouter};
use crate::timers::Timer;

impl VirtualRouter {
    /// Time has come: does all that is due. Read the socket first, as the contract says.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((timer, deadline)) = self.timers.pop_due(now) {
            match timer {
                Timer::Advertise => self.advertise_on_schedule(now, deadline),
                Timer::Announce => self.announce(self.config.announcements.first),
                Timer::MasterDown => self.master_is_down(now),
                Timer::OwnerConflict => self.settle_conflict(now),
                Timer::PreemptDelay => {
                    if let State::Backup(backup) = &mut self.state {
                        backup.patience = Patience::Lost;
                    }
                }
                Timer::React => self.react(now),
                Timer::Refresh => self.refresh(now, deadline),
                Timer::Release => self.release_is_over(now),
                Timer::Startup => self.begin(now, Because::Startup),
            }
        }
    }

    /// However late it is: once, and then in the old phase.
    fn advertise_on_schedule(&mut self, now: Instant, deadline: Instant) {
        if let State::Master(master) = &mut self.state {
            master.mastery.begin_interval();
            self.advertise(now);
            self.timers.set_next(
                Timer::Advertise,
                now,
                deadline,
                self.config.interval.as_duration(),
            );
        }
    }

    fn refresh(&mut self, now: Instant, deadline: Instant) {
        self.announce(1);
        self.timers.set_next(Timer::Refresh, now, deadline, self.config.announcements.refresh);
    }

    fn master_is_down(&mut self, now: Instant) {
        if let State::Backup(backup) = &mut self.state
            && self.coupled
        {
            backup.wants_mastery = true;
            return;
        }
        self.become_master(now, Because::MasterDown);
    }

    /// The other owner had its time to give way.
    fn settle_conflict(&mut self, now: Instant) {
        let State::Master(master) = &mut self.state else { return };
        let Some(conflict) = master.conflict.take() else { return };
        let patience = self.config.interval.max(conflict.interval).as_duration() * 6 / 5;
        if now.saturating_duration_since(conflict.last) <= patience {
            self.give_way(now, conflict.other, conflict.interval);
        }
    }
}
