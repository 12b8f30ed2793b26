//! Any number of random lives on a bad network, and what must hold in each of them.
//!
//! Every schedule is one seed: two to five routers, some of whose priorities are equal or an owner's;
//! loss, delay, duplication, reordering; pauses, partitions of one direction or both, crashes, killed
//! daemons, reboots, clocks that jump, shutdowns, switchovers, faults, other configurations, tracked
//! things that weigh or are vital. At every step `lan` asserts that
//!
//! - adds and removes of addresses alternate, and only a master holds them: every loser releases;
//! - no two masters last for more than one interval of the better one and 5 ms, beside what the
//!   network takes to deliver and the hosts to wake up, unless it was the better one's word that got
//!   lost: then for that much longer;
//! - the next deadline is never in the past, and what is discarded moves none.
//!
//! Then the network is left alone, and here it is asserted that a master exists within the
//! master-down interval of that moment, and a little later exactly one: the best one, if all preempt.
//!
//! A fiftieth as many are run again with packets as they are on the wire: authenticated or not, over
//! IPv4 and IPv6, to the group and to each peer.
//!
//! `LB_VRRP_SCHEDULES` says how many; `LB_VRRP_SEED` runs a single one.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

mod lan;

use std::time::Duration;

use lan::{Dice, Lan, MS, Speech, Weather};
use lb_vrrp::{
    Authentication, Config, FaultCause, HmacKeys, Interval, Preempt, Priority, Releasing, Role,
    Signal, State, Tracker, TrackerId, Version, VirtualRouter,
};

const SCHEDULES: u64 = 100_000;
const THREADS: u64 = 2;

/// With one of these authentications each; without packets, and much quicker, if there are none.
fn run_all(with: Vec<(Version, bool, Speech)>) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    if let Some(seed) = number("LB_VRRP_SEED") {
        Schedule::new(seed, &with).run();
        return;
    }
    let schedules = number("LB_VRRP_SCHEDULES").unwrap_or(SCHEDULES);
    let schedules = if with.is_empty() { schedules } else { schedules / 50 };
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let with = &with;
            scope.spawn(move || {
                for seed in (thread..schedules).step_by(THREADS as usize) {
                    let run = || Schedule::new(seed, with).run();
                    let failed = std::panic::catch_unwind(run).is_err();
                    assert!(!failed, "run it again with LB_VRRP_SEED={seed}");
                }
            });
        }
    });
}

#[test]
fn masters_are_one_and_losers_release() {
    run_all(Vec::new());
}

/// Through channels, whose sequences are lost with every crash and overtaken by reordering.
#[test]
fn masters_are_one_whatever_they_speak() {
    let Ok(keys) = HmacKeys::new(1, &[7; 32]) else { unreachable!("long enough") };
    let hmac = Authentication::hmac(keys);
    let mut with = Vec::new();
    for unicast in [false, true] {
        for (version, is_v6, authentication) in [
            (Version::V2, false, Authentication::password(b"lbsecret")),
            (Version::V2, false, Authentication::ah(b"lbsecret")),
            (Version::V3, false, Authentication::NONE),
            (Version::V3, false, hmac.clone()),
            (Version::V3, true, Authentication::NONE),
            (Version::V3, true, hmac.clone()),
        ] {
            with.push((version, is_v6, Speech { authentication, unicast }));
        }
    }
    run_all(with);
}

struct Schedule {
    lan: Lan,
    dice: Dice,
    interval: Duration,
    all_preempt: bool,
    /// What each host tracks: something that weighs, and something vital.
    tracked: Vec<[TrackerId; 2]>,
}

impl Schedule {
    fn new(seed: u64, with: &[(Version, bool, Speech)]) -> Self {
        let mut dice = Dice(seed ^ 0x1b_5ee7);
        let version = if dice.percent(20) { Version::V2 } else { Version::V3 };
        let with = with.get(dice.below(with.len() as u64) as usize);
        let version = with.map_or(version, |(version, ..)| *version);
        let is_v6 = with.map_or(version == Version::V3 && dice.percent(30), |(_, is_v6, _)| *is_v6);
        let centis = match version {
            Version::V2 => 100,
            Version::V3 => [1, 10, 10, 100][dice.below(4) as usize],
        };
        let interval = Interval::from_centis(centis).unwrap();
        let count = 2 + dice.below(4) as usize;
        let all_preempt = dice.percent(60);
        let mut tracked = Vec::new();
        let configs: Vec<Config> = (0..count)
            .map(|place| {
                let address = if is_v6 { lan::host_v6(place) } else { lan::host(place) };
                let mut config = Config::new(address);
                let priority = match dice.below(10) {
                    0 => 255,
                    1 | 2 => 100,
                    _ => 1 + dice.below(254) as u8,
                };
                // Some advertise in their own time.
                let own = version == Version::V3 && dice.percent(10);
                let centis = if own { centis * 2 } else { centis };
                config
                    .priority(Priority::new(priority))
                    .unwrap()
                    .version(version, Interval::from_centis(centis).unwrap())
                    .unwrap();
                if !all_preempt {
                    config.preempt(match dice.below(3) {
                        0 => Preempt::Never,
                        1 => Preempt::After(interval.as_duration() * dice.below(10) as u32),
                        _ => Preempt::Immediately,
                    });
                }
                if dice.percent(10) {
                    config.startup_delay(interval.as_duration() * 2);
                }
                config.parting_advertisement(dice.percent(80));
                config.phase(dice.next() as u16);
                let weight = dice.below(100) as i16 - 50;
                let [heavy, vital] = [0, 1].map(TrackerId::new);
                let known = if dice.percent(20) { Signal::Unknown } else { Signal::Up };
                config
                    .track(heavy, Tracker::weighing(if weight == 0 { 1 } else { weight }))
                    .track(vital, Tracker::vital().initially(known));
                tracked.push([heavy, vital]);
                config
            })
            .collect();
        let mut lan = Lan::new(configs, dice.next());
        if let Some((_, _, speech)) = with {
            lan = lan.speaking(speech.clone());
        }
        for host in &mut lan.hosts {
            host.keep_log = false;
        }
        Self { lan, dice, interval: interval.as_duration(), all_preempt, tracked }
    }

    fn run(mut self) {
        self.start();
        for _ in 0..3 + self.dice.below(8) {
            let length = self.dice.duration(self.interval * 5);
            self.lan.run_for(length);
            self.disturb();
        }
        self.settle();
    }

    fn start(&mut self) {
        for place in 0..self.lan.hosts.len() {
            if self.dice.percent(70) {
                let length = self.dice.duration(self.interval);
                self.lan.run_for(length);
            }
            self.lan.boot(place);
        }
    }

    fn disturb(&mut self) {
        let interval = self.interval;
        let dice = &mut self.dice;
        let lan = &mut self.lan;
        let place = dice.below(lan.hosts.len() as u64) as usize;
        let other = dice.below(lan.hosts.len() as u64) as usize;
        let running = lan.hosts[place].running;
        match dice.below(17) {
            0 => lan.isolate(place, true),
            1 => lan.cut(place, other, true),
            2 => lan.heal(),
            3 => lan.pause(place, dice.duration(interval * 8)),
            4 => lan.crash(place),
            5 => lan.kill(place),
            6 | 7 => lan.boot(place),
            8 => lan.jump(place, dice.duration(interval * 6)),
            9 => {
                lan.set_weather(Weather {
                    loss: dice.below(60),
                    duplication: dice.below(30),
                    delay: dice.duration(interval * 2),
                    lateness: dice.duration(interval / 2),
                });
            }
            10 if running => lan.with(place, VirtualRouter::shutdown),
            11 if running => {
                let _ = lan.with(place, VirtualRouter::switchover);
            }
            12 if running => {
                let present = dice.percent(50);
                let cause = FaultCause::ALL[dice.below(6) as usize];
                if cause != FaultCause::Group && cause != FaultCause::Tracker {
                    lan.with(place, |router, now| router.handle_fault(now, cause, present));
                }
            }
            13 if running => {
                lan.with(place, |router, now| {
                    router.handle_address_lost(now, [10, 9, 9, 9].into());
                });
            }
            14 if running => {
                let [heavy, vital] = self.tracked[place];
                let signal = if dice.percent(50) { Signal::Up } else { Signal::Down };
                let id = if dice.percent(70) { heavy } else { vital };
                lan.with(place, |router, now| router.handle_tracking(now, id, signal));
            }
            15 | 16 => {
                let mut config = lan.config(place).clone();
                if config.base_priority() != Priority::OWNER || dice.percent(30) {
                    let priority = Priority::new(1 + dice.below(254) as u8);
                    config.priority(priority).unwrap();
                }
                config.parting_advertisement(dice.percent(80));
                lan.reload(place, config);
            }
            _ => {}
        }
    }

    /// The network is quiet, everybody is awake, and at least one is fit.
    fn settle(&mut self) {
        let lan = &mut self.lan;
        lan.calm_down();
        for place in 0..lan.hosts.len() {
            let ending = State::Releasing(Releasing::ToInitialize);
            if lan.hosts[place].running && [ending, State::Initialize].contains(lan.state(place)) {
                lan.kill(place);
            }
            lan.boot(place);
            lan.with(place, |router, _| router.preempt_again());
            for cause in FaultCause::ALL {
                if cause == FaultCause::Group || cause == FaultCause::Tracker {
                    continue;
                }
                lan.with(place, |router, now| router.handle_fault(now, cause, false));
            }
            let [_, vital] = self.tracked[place];
            lan.with(place, |router, now| router.handle_tracking(now, vital, Signal::Up));
        }
        let intervals = lan.hosts.iter().map(|host| host.router.config().interval().as_duration());
        let slowest = intervals.max().unwrap_or_default();
        let startup = self.interval * 2;
        let unit = slowest.max(if self.is_v2() { MS * 1000 } else { Duration::ZERO });
        let master_down = slowest * 3 + unit;
        let lan = &mut self.lan;
        lan.run_for(startup + master_down + MS * 5);
        assert!(!lan.masters().is_empty(), "nobody is master: {:?}", self.states());
        // Time for arguments, preemption, and owners that give way and take back.
        let lan = &mut self.lan;
        lan.run_for(master_down * 3 + self.interval * 10);
        let masters = self.lan.masters();
        assert_eq!(masters.len(), 1, "one master: {:?}", self.states());
        self.best_is_master(masters[0]);
        for host in &self.lan.hosts {
            assert!(!host.orphaned, "what a dead daemon left was taken care of");
        }
    }

    /// If all preempt, nobody better than the master is a backup.
    fn best_is_master(&self, master: usize) {
        if !self.all_preempt {
            return;
        }
        let rank = |place: usize| self.lan.hosts[place].router.priority();
        for place in 0..self.lan.hosts.len() {
            assert_eq!(self.lan.role(place) == Role::Master, place == master);
            assert!(rank(place) <= rank(master), "{:?}", self.states());
        }
    }

    fn is_v2(&self) -> bool {
        self.lan.hosts[0].router.config().protocol() == Version::V2
    }

    fn states(&self) -> Vec<(Priority, State)> {
        let hosts = self.lan.hosts.iter();
        hosts.map(|host| (host.router.priority(), *host.router.state())).collect()
    }
}
