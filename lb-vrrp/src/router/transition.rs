//! From state to state: who leaves one leaves none of its timers behind.

use std::time::{Duration, Instant};

use super::{Action, Backup, Because, Event, Heard, Master, Releasing, Role, State, VirtualRouter};
use crate::config::Start;
use crate::timers::Timer;
use crate::tracking::FaultCause;
use crate::values::{Interval, Priority};

impl VirtualRouter {
    /// After startup, and after the last fault.
    pub(super) fn begin(&mut self, now: Instant, because: Because) {
        if !self.faults.is_empty() {
            self.enter(State::Fault, Because::Fault);
        } else if self.tracking.is_undecided() {
            self.enter(State::Undecided, because);
        } else if self.priority == Priority::OWNER && !self.coupled {
            self.become_master(now, because);
        } else {
            self.become_backup(now, self.config.interval, None, because);
            if self.priority == Priority::OWNER {
                // The group decides, but at once.
                self.timers.set(Timer::MasterDown, now);
            } else if because == Because::Startup && self.config.start == Start::Master {
                let interval = self.config.interval;
                let least = self.config.skew(Priority::OWNER, interval);
                self.timers.set(Timer::MasterDown, now + interval.as_duration() + least);
            }
        }
    }

    /// Whoever only waited for that: for the last cause of fault to go, or for the first that is seen of
    /// what is vital.
    pub(super) fn begin_if_fit(&mut self, now: Instant) {
        if !self.faults.is_empty() || self.tracking.is_undecided() {
            return;
        }
        match self.state {
            State::Fault => self.begin(now, Because::FaultCleared),
            State::Undecided => self.begin(now, Because::Startup),
            _ => {}
        }
    }

    /// The advertisement comes first: an old master drops the addresses before we add them.
    pub(super) fn become_master(&mut self, now: Instant, because: Because) {
        self.stands_back = false;
        if self.gave_way {
            // Nobody else is there.
            self.gave_way = false;
            self.priority = self.tracking.priority(self.config.priority);
        }
        let from = self.enter_silently(State::Master(Master::new(now)));
        self.push(Action::Advertise(self.priority));
        self.push(Action::AddAddresses);
        self.start_master_timers(now);
        self.tell(from, because);
    }

    /// Timers and announcements of a master that begins, or that begins again after a switchover to
    /// nobody.
    fn start_master_timers(&mut self, now: Instant) {
        let announcements = self.config.announcements;
        self.announce(announcements.first);
        self.timers.set(Timer::Advertise, now + self.config.first_interval());
        self.timers.start_announcing(now, &announcements);
    }

    pub(super) fn become_backup(
        &mut self,
        now: Instant,
        interval: Interval,
        master: Option<Heard>,
        because: Because,
    ) {
        self.drop_addresses();
        self.enter(State::Backup(Backup::new(interval, master)), because);
        self.timers.set(Timer::MasterDown, now + self.master_down());
    }

    /// Says that it gives up, and waits for who comes; announces nothing, so as not to win clients back.
    pub(super) fn release(&mut self, now: Instant, to: Releasing) {
        self.push(Action::Advertise(Priority::RELEASE));
        self.enter_silently(State::Releasing(to));
        let mut limit = self.config.release_time();
        if to == Releasing::ToBackup {
            // Who misses the release needs the whole interval.
            limit = limit.max(self.config.master_down(Priority::RELEASE, self.config.interval));
        }
        self.timers.set_in(Timer::Release, now, limit);
    }

    /// The successor speaks.
    pub(super) fn hand_over(&mut self, now: Instant, interval: Interval, successor: Heard) {
        match self.state {
            State::Releasing(Releasing::ToInitialize) => self.end(Because::Shutdown),
            State::Releasing(Releasing::ToBackup) => {
                self.become_backup(now, interval, Some(successor), Because::Switchover);
            }
            _ => {}
        }
    }

    /// Nobody came.
    pub(super) fn release_is_over(&mut self, now: Instant) {
        match self.state {
            State::Releasing(Releasing::ToInitialize) => {
                // In case the first one was lost.
                self.push(Action::Advertise(Priority::RELEASE));
                self.end(Because::Shutdown);
            }
            State::Releasing(Releasing::ToBackup) => {
                self.stands_back = false;
                self.enter_silently(State::Master(Master::new(now)));
                self.push(Action::Advertise(self.priority));
                self.start_master_timers(now);
                self.notify(Event::SwitchoverFailed);
            }
            _ => {}
        }
    }

    /// No longer takes part.
    pub(super) fn end(&mut self, because: Because) {
        self.drop_addresses();
        self.stands_back = false;
        self.enter(State::Initialize, because);
    }

    /// Not fit any more. There is no waiting for a successor: whoever has the addresses would be
    /// better served by anybody else.
    pub(super) fn fail(&mut self, cause: FaultCause) {
        match self.state {
            State::Initialize | State::Fault | State::Waiting => {}
            State::Releasing(Releasing::ToInitialize) => self.end(Because::Shutdown),
            State::Backup(_) | State::Undecided => self.enter(State::Fault, Because::Fault),
            State::Master(_) | State::Releasing(Releasing::ToBackup) => {
                if cause.leaves_a_voice() {
                    self.push(Action::Advertise(Priority::RELEASE));
                }
                self.drop_addresses();
                self.enter(State::Fault, Because::Fault);
            }
        }
    }

    /// What is tracked changed, or the configuration: priority and fitness follow.
    pub(super) fn reconsider(&mut self, now: Instant) {
        let effective = self.tracking.priority(self.config.priority);
        let priority = if self.gave_way { Priority::MOST } else { effective };
        if priority != self.priority {
            let whole = self.master_down();
            let from = std::mem::replace(&mut self.priority, priority);
            self.notify(Event::PriorityChanged { from, to: priority });
            self.move_master_down(now, whole);
        }
        self.handle_fault(now, FaultCause::Tracker, self.tracking.is_faulty());
        self.begin_if_fit(now);
    }

    /// The remaining time of a backup moves by as much as the whole did, which was `before`; what
    /// that puts into the past is due now.
    pub(super) fn move_master_down(&mut self, now: Instant, before: Duration) {
        let Some(deadline) = self.timers.get(Timer::MasterDown) else { return };
        let after = self.master_down();
        let moved = match after.checked_sub(before) {
            Some(later) => deadline + later,
            None => deadline.checked_sub(before - after).map_or(now, |moved| moved.max(now)),
        };
        self.timers.set(Timer::MasterDown, moved);
    }

    /// Before the state is another one.
    fn drop_addresses(&mut self) {
        if self.holds_addresses() {
            self.push(Action::RemoveAddresses);
        }
    }

    fn enter(&mut self, state: State, because: Because) {
        let from = self.enter_silently(state);
        self.tell(from, because);
    }

    fn enter_silently(&mut self, state: State) -> Role {
        self.timers.clear();
        std::mem::replace(&mut self.state, state).role()
    }

    fn tell(&mut self, from: Role, because: Because) {
        let to = self.state.role();
        if from != to {
            self.notify(Event::Transition { from, to, because });
        }
    }
}
