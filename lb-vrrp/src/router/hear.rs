//! What an advertisement does.

use std::net::IpAddr;
use std::time::Instant;

use super::state::{Conflict, Patience};
use super::{Action, Because, Discard, Event, Heard, State, VirtualRouter};
use crate::config::Preempt;
use crate::timers::Timer;
use crate::values::{Interval, Priority, Version};
use crate::wire::Advertisement;

impl VirtualRouter {
    /// An advertisement of our virtual router was received, and is what it says: a
    /// [`Channel`](crate::Channel) sees to that.
    ///
    /// # Errors
    /// Why it was discarded; then no deadline has moved, and there is nothing to do.
    pub fn handle_packet(
        &mut self,
        now: Instant,
        source: IpAddr,
        advertisement: &Advertisement<'_>,
    ) -> Result<(), Discard> {
        match self.state {
            State::Initialize => return Err(Discard::NotRunning),
            State::Undecided => return Err(Discard::Undecided),
            State::Waiting => return Err(Discard::StartupDelay),
            State::Fault => return Err(Discard::Fault),
            State::Backup(_) | State::Master(_) | State::Releasing(_) => {}
        }
        if source == self.config.source {
            return Err(Discard::OwnSource);
        }
        self.last_heard = Some(now);
        let heard = Heard { source, priority: advertisement.priority() };
        // Version 2 has one interval for all, and the channel refuses any other.
        let interval = match self.config.version {
            Version::V2 => self.config.interval,
            Version::V3 => advertisement.interval(),
        };
        match self.state {
            State::Backup(_) => self.hear_as_backup(now, heard, interval),
            State::Master(_) => {
                self.hear_as_master(now, heard, interval);
                Ok(())
            }
            _ => {
                if heard.priority != Priority::RELEASE {
                    self.hand_over(now, interval, heard);
                }
                Ok(())
            }
        }
    }

    fn hear_as_backup(
        &mut self,
        now: Instant,
        heard: Heard,
        interval: Interval,
    ) -> Result<(), Discard> {
        if heard.priority == Priority::RELEASE {
            let skew = self.config.skew(self.priority, self.master_interval());
            self.timers.set_no_later(Timer::MasterDown, now + skew);
            return Ok(());
        }
        let is_lower = heard.priority < self.priority;
        if is_lower && !self.tolerates(now) {
            return Err(Discard::LowerPriority);
        }
        if !is_lower {
            self.timers.stop(Timer::PreemptDelay);
        }
        let State::Backup(backup) = &mut self.state else { return Ok(()) };
        if !is_lower {
            backup.patience = Patience::Untouched;
        }
        backup.interval = interval;
        backup.master = Some(heard);
        backup.wants_mastery = false;
        self.timers.set(Timer::MasterDown, now + self.master_down());
        Ok(())
    }

    /// Whether a lower master may go on for now.
    fn tolerates(&mut self, now: Instant) -> bool {
        if self.is_patient() {
            return true;
        }
        let (Preempt::After(delay), State::Backup(backup)) = (self.config.preempt, &mut self.state)
        else {
            return false;
        };
        match backup.patience {
            Patience::Untouched if delay.is_zero() => false,
            Patience::Untouched => {
                backup.patience = Patience::Counting;
                self.timers.set_in(Timer::PreemptDelay, now, delay);
                true
            }
            Patience::Counting => true,
            Patience::Lost => false,
        }
    }

    fn hear_as_master(&mut self, now: Instant, heard: Heard, interval: Interval) {
        let Heard { source, priority } = heard;
        if priority == Priority::RELEASE {
            self.answer(now);
            return;
        }
        let both_own = self.priority == Priority::OWNER && priority == Priority::OWNER;
        if both_own && source > self.config.source {
            self.give_way(now, heard, interval);
        } else if (priority, source) > (self.priority, self.config.source) {
            let because = Because::Outranked { source, priority };
            self.step_down(now, heard, interval, self.priority, because);
        } else if self.is_patient() && self.overslept(now) {
            // Whatever our own priority is: nobody must step down for one who steps down.
            let because = Because::Overslept { source };
            self.step_down(now, heard, interval, Priority::LEAST, because);
        } else {
            if both_own {
                self.dispute(now, heard, interval);
            }
            self.answer(now);
            self.notify(Event::LowerMaster { source, priority });
        }
    }

    /// The last word has a lower priority than the winner's, who therefore says at once who is master.
    fn step_down(
        &mut self,
        now: Instant,
        master: Heard,
        interval: Interval,
        last_word: Priority,
        because: Because,
    ) {
        if self.config.parting_advertisement {
            self.push(Action::Advertise(last_word));
        }
        self.become_backup(now, interval, Some(master), because);
    }

    /// Whether it said nothing for so long that a backup must have taken it for dead.
    fn overslept(&self, now: Instant) -> bool {
        let State::Master(master) = &self.state else { return false };
        let silence = now.saturating_duration_since(master.advertised);
        silence >= self.config.interval.as_duration() * u32::from(self.config.down_after)
    }

    /// Says at once who is master, and tells those who believed otherwise.
    fn answer(&mut self, now: Instant) {
        if let State::Master(master) = &mut self.state
            && master.mastery.may_answer()
        {
            self.advertise(now);
            self.timers.set(Timer::Advertise, now + self.config.interval.as_duration());
        }
        self.react(now);
    }

    /// Announces the addresses, or sees to it that they are once the budget allows.
    pub(super) fn react(&mut self, now: Instant) {
        let State::Master(master) = &mut self.state else { return };
        let interval = self.config.interval.as_duration();
        if master.mastery.may_react(now, interval, &mut self.timers) {
            self.announce(self.config.announcements.reaction);
        }
    }

    pub(super) fn announce(&mut self, times: u8) {
        if times > 0 {
            self.push(Action::Announce { times });
        }
    }

    pub(super) fn advertise(&mut self, now: Instant) {
        self.push(Action::Advertise(self.priority));
        if let State::Master(master) = &mut self.state {
            master.advertised = now;
        }
    }

    /// One of two owners must not be what it is configured to be. The release makes the other one say
    /// at once that it is there; if it is not, or gives way as well, somebody else is not far.
    pub(super) fn give_way(&mut self, now: Instant, other: Heard, interval: Interval) {
        let source = other.source;
        self.gave_way = true;
        self.notify(Event::OwnerConflict { source, yielded: true });
        let from = std::mem::replace(&mut self.priority, Priority::MOST);
        self.notify(Event::PriorityChanged { from, to: self.priority });
        self.push(Action::Advertise(Priority::RELEASE));
        self.become_backup(now, interval, Some(other), Because::OwnerConflict { source });
    }

    /// Another owner with a lower address: it should give way. If after two of our advertisements
    /// and a little more than an interval it still speaks, it will not.
    fn dispute(&mut self, now: Instant, other: Heard, interval: Interval) {
        let State::Master(master) = &mut self.state else { return };
        let conflict = Conflict { last: now, other, interval };
        if master.conflict.replace(conflict).is_none() {
            let ours = self.config.interval;
            let patience = ours.as_duration() * 2 + ours.max(interval).as_duration() * 6 / 5;
            self.timers.set(Timer::OwnerConflict, now + patience);
            self.notify(Event::OwnerConflict { source: other.source, yielded: false });
        }
    }
}
