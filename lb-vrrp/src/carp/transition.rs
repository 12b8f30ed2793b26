//! From state to state, and what is said on the way.

use std::time::{Duration, Instant};

use super::config;
use super::{CarpAction, CarpHost, Demotion, State};
use crate::router::Releasing;
use crate::timers::Timer;
use crate::wire::CarpAdvertisement;

/// How many answers a master gives beside its scheduled advertisements, in each period.
const ANSWERS: u8 = 8;

impl CarpHost {
    pub(super) fn begin(&mut self, now: Instant) {
        if self.is_faulty() {
            self.enter(State::Fault);
        } else {
            self.become_backup(now);
        }
    }

    pub(super) fn become_backup(&mut self, now: Instant) {
        self.drop_addresses();
        self.enter(State::Backup);
        self.timers.set(Timer::MasterDown, now + self.master_down());
    }

    /// Also after a switchover to nobody, with the addresses never gone.
    pub(super) fn become_master(&mut self, now: Instant) {
        let announcements = self.config.announcements;
        self.stands_back = false;
        self.advertise();
        if !std::mem::replace(&mut self.holds, true) {
            self.actions.push_back(CarpAction::AddAddresses);
        }
        self.announce(announcements.first);
        self.enter(State::Master { reacted: None, answers: 0 });
        self.timers.set(Timer::Advertise, now + self.period());
        self.timers.start_announcing(now, &announcements);
    }

    /// Says that it gives up, and waits for who comes.
    pub(super) fn release(&mut self, now: Instant, to: Releasing) {
        const ROOM: Duration = Duration::from_millis(100);
        self.give_up();
        self.enter(State::Releasing(to));
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
            Releasing::ToBackup => self.become_backup(now),
            Releasing::ToInitialize => self.end(),
        }
    }

    /// Nobody came.
    pub(super) fn release_is_over(&mut self, now: Instant) {
        match self.state {
            State::Releasing(Releasing::ToBackup) => self.become_master(now),
            State::Releasing(Releasing::ToInitialize) => {
                // In case the first one was lost.
                self.give_up();
                self.end();
            }
            _ => {}
        }
    }

    pub(super) fn end(&mut self) {
        self.stands_back = false;
        self.drop_addresses();
        self.enter(State::Initialize);
    }

    pub(super) fn drop_addresses(&mut self) {
        if std::mem::take(&mut self.holds) {
            self.actions.push_back(CarpAction::RemoveAddresses);
        }
    }

    pub(super) fn enter(&mut self, state: State) {
        let from = self.role();
        self.timers.clear();
        self.state = state;
        let to = self.role();
        if from != to {
            self.actions.push_back(CarpAction::Notify { from, to });
        }
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
        self.actions.push_back(CarpAction::Advertise(said));
    }

    pub(super) fn announce(&mut self, times: u8) {
        if times > 0 {
            self.actions.push_back(CarpAction::Announce { times });
        }
    }

    /// Says at once who is master, and tells those who believed otherwise.
    pub(super) fn answer(&mut self, now: Instant) {
        let State::Master { answers, .. } = &mut self.state else { return };
        if *answers < ANSWERS {
            *answers += 1;
            self.advertise();
            self.timers.set(Timer::Advertise, now + self.period());
        }
        self.react(now);
    }

    pub(super) fn react(&mut self, now: Instant) {
        let period = self.period();
        let State::Master { reacted, .. } = &mut self.state else { return };
        match reacted.map(|last| last + period).filter(|&next| now < next) {
            Some(next) => self.timers.set_no_later(Timer::React, next),
            None => {
                *reacted = Some(now);
                self.announce(self.config.announcements.reaction);
            }
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
