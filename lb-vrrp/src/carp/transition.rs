//! From state to state, and what is said on the way.

use std::time::{Duration, Instant};

use super::config;
use super::{CarpHost, Demotion, State};
use crate::mastery::Mastery;
use crate::router::{Action, Because, Event, Releasing, Role};
use crate::timers::Timer;
use crate::tracking::FaultCause;
use crate::wire::CarpAdvertisement;

impl CarpHost {
    /// After startup, and after the last fault.
    pub(super) fn begin(&mut self, now: Instant, because: Because) {
        if !self.faults.is_empty() {
            self.enter(State::Fault, Because::Fault);
        } else if self.tracking.is_undecided() {
            self.enter(State::Undecided, because);
        } else {
            self.become_backup(now, because);
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

    pub(super) fn become_backup(&mut self, now: Instant, because: Because) {
        self.drop_addresses();
        self.enter(State::Backup, because);
        self.timers.set(Timer::MasterDown, now + self.master_down());
    }

    /// Also after a switchover to nobody, with the addresses never gone.
    pub(super) fn become_master(&mut self, now: Instant, because: Because) {
        self.stands_back = false;
        let from = self.enter_silently(State::Master(Mastery::default()));
        self.advertise();
        if from != Role::Master {
            self.actions.push_back(Action::AddAddresses);
        }
        let announcements = self.config.announcements;
        self.announce(announcements.first);
        self.timers.set(Timer::Advertise, now + self.period());
        self.timers.start_announcing(now, &announcements);
        self.tell(from, because);
    }

    /// Says that it gives up, and waits for who comes.
    pub(super) fn release(&mut self, now: Instant, to: Releasing) {
        const ROOM: Duration = Duration::from_millis(100);
        self.give_up();
        self.enter_silently(State::Releasing(to));
        let limit = match to {
            Releasing::ToInitialize => self.period() + ROOM,
            // Who misses it needs the whole interval, and has any skew.
            Releasing::ToBackup => config::period(self.dead_base() + 1, 0) + ROOM,
        };
        self.timers.set(Timer::Release, now + limit);
    }

    /// The successor speaks.
    pub(super) fn hand_over(&mut self, now: Instant, to: Releasing) {
        match to {
            Releasing::ToBackup => self.become_backup(now, Because::Switchover),
            Releasing::ToInitialize => self.end(Because::Shutdown),
        }
    }

    /// Nobody came.
    pub(super) fn release_is_over(&mut self, now: Instant) {
        match self.state {
            State::Releasing(Releasing::ToBackup) => {
                self.become_master(now, Because::MasterDown);
                self.notify(Event::SwitchoverFailed);
            }
            State::Releasing(Releasing::ToInitialize) => {
                // In case the first one was lost.
                self.give_up();
                self.end(Because::Shutdown);
            }
            _ => {}
        }
    }

    /// Not fit any more; there is no waiting for a successor.
    pub(super) fn fail(&mut self, cause: FaultCause) {
        match self.state {
            State::Initialize | State::Fault => {}
            State::Releasing(Releasing::ToInitialize) => self.end(Because::Shutdown),
            State::Backup | State::Undecided => self.enter(State::Fault, Because::Fault),
            State::Master(_) | State::Releasing(Releasing::ToBackup) => {
                if cause.leaves_a_voice() {
                    self.give_up();
                }
                self.drop_addresses();
                self.enter(State::Fault, Because::Fault);
            }
        }
    }

    pub(super) fn end(&mut self, because: Because) {
        self.stands_back = false;
        self.drop_addresses();
        self.enter(State::Initialize, because);
    }

    /// Before the state is another one.
    fn drop_addresses(&mut self) {
        if self.holds_addresses() {
            self.actions.push_back(Action::RemoveAddresses);
        }
    }

    fn enter(&mut self, state: State, because: Because) {
        let from = self.enter_silently(state);
        self.tell(from, because);
    }

    /// Who leaves a state leaves none of its timers behind.
    fn enter_silently(&mut self, state: State) -> Role {
        let from = self.role();
        self.timers.clear();
        self.state = state;
        from
    }

    fn tell(&mut self, from: Role, because: Because) {
        let to = self.role();
        if from != to {
            self.notify(Event::Transition { from, to, because });
        }
    }

    pub(super) fn notify(&mut self, event: Event) {
        self.actions.push_back(Action::Notify(event));
    }

    pub(super) fn advertise(&mut self) {
        let demotion = match self.config.demotion {
            Demotion::AddedToSkew => 0,
            Demotion::Said => self.demotion(),
        };
        self.say(self.config.base, self.config.skew(self.demotion()), demotion);
    }

    /// Both at their most.
    pub(super) fn give_up(&mut self) {
        self.say(u8::MAX, u8::MAX, 0);
    }

    pub(super) fn say(&mut self, base: u8, skew: u8, demotion: u8) {
        let said = CarpAdvertisement { skew, demotion, base, counter: self.counter };
        self.counter = self.counter.wrapping_add(1);
        self.actions.push_back(Action::Advertise(said));
    }

    pub(super) fn announce(&mut self, times: u8) {
        if times > 0 {
            self.actions.push_back(Action::Announce { times });
        }
    }

    /// Says at once who is master, and tells those who believed otherwise.
    pub(super) fn answer(&mut self, now: Instant) {
        let State::Master(mastery) = &mut self.state else { return };
        if mastery.may_answer() {
            self.advertise();
            self.timers.set(Timer::Advertise, now + self.period());
        }
        self.react(now);
    }

    pub(super) fn react(&mut self, now: Instant) {
        let period = self.period();
        let State::Master(mastery) = &mut self.state else { return };
        if mastery.may_react(now, period, &mut self.timers) {
            self.announce(self.config.announcements.reaction);
        }
    }

    pub(super) fn period(&self) -> Duration {
        config::period(self.config.base.into(), self.config.skew(self.demotion()))
    }

    pub(super) fn master_down(&self) -> Duration {
        config::period(self.dead_base(), self.config.skew(self.demotion()))
    }

    /// In seconds.
    fn dead_base(&self) -> u32 {
        u32::from(self.config.base) * u32::from(self.config.dead_ratio)
    }
}
