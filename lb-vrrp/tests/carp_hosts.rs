//! CARP hosts among themselves, in virtual time.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use lb_vrrp::carp::{CarpChannel, CarpConfig, CarpHost, Demotion};
use lb_vrrp::wire::{CarpAdvertisement, CarpKey, Datagram};
use lb_vrrp::{
    Action, AddressList, Announcements, Because, Discard, Event, FaultCause, Role, Signal, Tracker,
    TrackerId, Vrid,
};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

struct Lan {
    now: Instant,
    hosts: Vec<CarpHost>,
    channels: Vec<CarpChannel>,
    holds: Vec<bool>,
    announced: Vec<u32>,
    events: Vec<(usize, Event)>,
    alive: Vec<bool>,
    cut: bool,
    in_flight: VecDeque<(Instant, usize, Vec<u8>)>,
}

impl Lan {
    #[allow(clippy::disallowed_methods, reason = "any instant is the beginning")]
    fn new(configs: Vec<CarpConfig>) -> Self {
        let count = configs.len();
        let addresses = AddressList::new([IpAddr::from([10, 9, 9, 9])]).unwrap();
        let key = CarpKey::new(b"passphrase", Vrid::new(7).unwrap(), addresses.as_addresses());
        let mut lan = Self {
            now: Instant::now(),
            hosts: configs.into_iter().map(CarpHost::new).collect(),
            channels: (0..count).map(|place| CarpChannel::new(host(place), key.clone())).collect(),
            holds: vec![false; count],
            announced: vec![0; count],
            events: Vec::new(),
            alive: vec![true; count],
            cut: false,
            in_flight: VecDeque::new(),
        };
        for place in 0..count {
            lan.with(place, CarpHost::startup);
        }
        lan
    }

    fn with<T>(&mut self, place: usize, input: impl FnOnce(&mut CarpHost, Instant) -> T) -> T {
        let answer = input(&mut self.hosts[place], self.now);
        while let Some(action) = self.hosts[place].poll_action() {
            let holds = &mut self.holds[place];
            match action {
                Action::AddAddresses => assert!(!std::mem::replace(holds, true)),
                Action::RemoveAddresses => assert!(std::mem::take(holds)),
                Action::Announce { times } => {
                    assert!(*holds);
                    self.announced[place] += u32::from(times);
                }
                Action::Notify(event) => self.events.push((place, event)),
                Action::Advertise(said) if !self.cut => {
                    let mut packet = Vec::new();
                    self.channels[place].advertise(&said, 1, &mut packet);
                    for to in (0..self.hosts.len()).filter(|&to| to != place) {
                        self.in_flight.push_back((self.now + MS / 5, to, packet.clone()));
                    }
                }
                _ => {}
            }
        }
        assert_eq!(self.holds[place], self.hosts[place].role() == Role::Master);
        answer
    }

    fn run_for(&mut self, length: Duration) {
        let end = self.now + length;
        loop {
            let arrival = self.in_flight.front().map(|(at, ..)| *at);
            let alive = self.hosts.iter().zip(&self.alive).filter(|(_, alive)| **alive);
            let wakes = alive.filter_map(|(host, _)| host.next_deadline());
            let Some(next) = wakes.chain(arrival).min().filter(|&next| next <= end) else { break };
            self.now = self.now.max(next);
            while self.in_flight.front().is_some_and(|(at, ..)| *at <= self.now) {
                let (_, to, packet) = self.in_flight.pop_front().unwrap();
                let datagram = Datagram::ipv4(&packet).unwrap();
                let (source, said) = self.channels[to].receive(&datagram).unwrap();
                if self.alive[to] {
                    let _ = self.with(to, |host, now| host.handle_packet(now, source, &said));
                }
            }
            for place in 0..self.hosts.len() {
                if self.alive[place]
                    && self.hosts[place].next_deadline().is_some_and(|at| at <= self.now)
                {
                    self.with(place, CarpHost::handle_timeout);
                    assert!(self.hosts[place].next_deadline().is_none_or(|next| next > self.now));
                }
            }
        }
        self.now = end;
    }

    /// What one became, and why, since this was last asked.
    fn reasons(&mut self, place: usize) -> Vec<(Role, Because)> {
        let events = self.events.extract_if(.., |(at, _)| *at == place);
        let reasons = events.filter_map(|(_, event)| match event {
            Event::Transition { to, because, .. } => Some((to, because)),
            _ => None,
        });
        reasons.collect()
    }

    fn masters(&self) -> Vec<usize> {
        let places = 0..self.hosts.len();
        places
            .filter(|&place| self.alive[place] && self.hosts[place].role() == Role::Master)
            .collect()
    }
}

fn host(place: usize) -> IpAddr {
    IpAddr::from([10, 0, 0, place as u8 + 1])
}

fn config(place: usize, skew: u8) -> CarpConfig {
    let mut config = CarpConfig::new(host(place));
    config.period(1, skew).unwrap();
    config
}

#[test]
fn who_advertises_most_often_wins() {
    let mut lan = Lan::new(vec![config(0, 100), config(1, 0), config(2, 50)]);
    lan.run_for(SECOND * 10);
    assert_eq!(lan.masters(), [1]);
}

#[test]
fn between_equals_the_lower_address_wins() {
    let mut lan = Lan::new(vec![config(0, 10), config(1, 10)]);
    lan.cut = true;
    lan.run_for(SECOND * 10);
    assert_eq!(lan.masters(), [0, 1]);
    lan.cut = false;
    lan.run_for(SECOND * 2);
    assert_eq!(lan.masters(), [0]);
}

#[test]
fn a_dead_master_is_succeeded_after_three_bases_and_the_skew() {
    let mut lan = Lan::new(vec![config(0, 0), config(1, 100)]);
    lan.run_for(SECOND * 10 + MS * 10);
    assert_eq!(lan.masters(), [0]);
    lan.alive[0] = false;
    lan.run_for(MS * 3370);
    assert!(lan.masters().is_empty());
    lan.run_for(MS * 30);
    assert_eq!(lan.masters(), [1]);
}

#[test]
fn a_clean_stop_leaves_no_gap() {
    let mut lan = Lan::new(vec![config(0, 0), config(1, 100)]);
    lan.run_for(SECOND * 10);
    lan.with(0, CarpHost::shutdown);
    assert!(lan.hosts[0].is_releasing());
    for _ in 0..20 {
        assert!(lan.holds.contains(&true));
        lan.run_for(MS / 10);
    }
    assert_eq!(lan.masters(), [1]);
    assert_eq!(lan.hosts[0].role(), Role::Initialize);

    lan.with(1, CarpHost::shutdown);
    lan.run_for(SECOND * 2);
    assert!(lan.masters().is_empty(), "it does not wait for ever");
}

#[test]
fn a_switchover_leaves_no_gap_and_does_not_come_back() {
    let configs = [0, 1].map(|place| {
        let mut config = config(place, place as u8 * 100);
        config.preempt(true);
        config
    });
    let mut lan = Lan::new(configs.to_vec());
    lan.run_for(SECOND * 10);
    lan.with(0, CarpHost::switchover).unwrap();
    for _ in 0..100 {
        assert!(lan.holds.contains(&true));
        lan.run_for(MS / 10);
    }
    lan.run_for(SECOND * 10);
    assert_eq!(lan.masters(), [1]);
    assert!(lan.with(0, CarpHost::switchover).is_err());
    lan.with(0, |host, _| host.preempt_again());
    lan.run_for(SECOND * 2);
    assert_eq!(lan.masters(), [0]);
}

#[test]
fn a_switchover_to_nobody_leaves_no_gap_either() {
    let mut lan = Lan::new(vec![config(0, 0)]);
    lan.run_for(SECOND * 10);
    lan.with(0, CarpHost::switchover).unwrap();
    for _ in 0..100 {
        lan.run_for(MS * 100);
        assert!(lan.holds[0]);
    }
    assert!(!lan.hosts[0].is_releasing());
}

#[test]
fn what_is_taken_away_comes_back_at_once() {
    let (mut master, now) = alone(config(0, 0));
    let address = IpAddr::from([10, 9, 9, 9]);
    master.handle_address_found(address);
    let actions = std::iter::from_fn(|| master.poll_action()).collect::<Vec<_>>();
    assert!(actions.contains(&Action::RemoveAddress(address)));
    master.handle_timeout(now + SECOND * 4);
    while master.poll_action().is_some() {}
    master.handle_address_lost(now + SECOND * 4, address);
    assert_eq!(master.poll_action(), Some(Action::RestoreAddress(address)));
    assert_eq!(master.poll_action(), Some(Action::Announce { times: 2 }));
}

#[test]
fn only_who_preempts_takes_over_from_the_living() {
    for preempt in [false, true] {
        let mut better = config(1, 0);
        better.preempt(preempt);
        let mut lan = Lan::new(vec![config(0, 100), better]);
        lan.alive[1] = false;
        lan.run_for(SECOND * 5);
        assert_eq!(lan.masters(), [0]);
        lan.alive[1] = true;
        let late = lan.now;
        lan.hosts[1] = CarpHost::new({
            let mut better = config(1, 0);
            better.preempt(preempt);
            better
        });
        lan.with(1, |host, _| host.startup(late));
        lan.run_for(SECOND * 10);
        assert_eq!(lan.masters(), [usize::from(preempt)]);
    }
}

#[test]
fn demotion_moves_the_master() {
    for demotion in [Demotion::AddedToSkew, Demotion::Said] {
        let configs = [0, 1].map(|place| {
            let mut config = config(place, place as u8 * 50);
            config.demotion(demotion).preempt(true);
            config
        });
        let mut lan = Lan::new(configs.to_vec());
        lan.run_for(SECOND * 10);
        assert_eq!(lan.masters(), [0]);
        lan.with(0, |host, now| host.handle_demotion(now, 100));
        lan.run_for(SECOND * 3);
        assert_eq!(lan.masters(), [1], "{demotion:?}");
        lan.with(0, |host, now| host.handle_demotion(now, 0));
        lan.run_for(SECOND * 5);
        assert_eq!(lan.masters(), [0], "{demotion:?}");
    }
}

#[test]
fn the_winner_of_a_healed_partition_announces_at_once() {
    let mut lan = Lan::new(vec![config(0, 0), config(1, 100)]);
    lan.cut = true;
    lan.run_for(SECOND * 10 + MS * 500);
    assert_eq!(lan.masters(), [0, 1]);
    lan.cut = false;
    let before = lan.announced[0];
    lan.run_for(MS * 1400);
    assert_eq!(lan.masters(), [0]);
    assert!(lan.announced[0] >= before + 2);
}

#[test]
fn a_fault_gives_up_and_ends_as_a_backup() {
    let mut lan = Lan::new(vec![config(0, 0), config(1, 100)]);
    lan.run_for(SECOND * 10);
    lan.with(0, |host, now| host.handle_fault(now, FaultCause::Admin, true));
    lan.run_for(MS);
    assert_eq!(lan.masters(), [1]);
    lan.with(0, |host, now| host.handle_fault(now, FaultCause::Admin, false));
    assert_eq!(lan.hosts[0].role(), Role::Backup);
    assert!(!lan.hosts[1].is_lonely());
}

/// Nobody has to guess from the roles.
#[test]
fn every_change_says_why() {
    let mut lan = Lan::new(vec![config(0, 0), config(1, 100)]);
    lan.run_for(SECOND * 10);
    let up = [(Role::Backup, Because::Startup), (Role::Master, Because::MasterDown)];
    assert_eq!(lan.reasons(0), up);
    assert_eq!(lan.reasons(1), up[..1]);

    lan.with(0, CarpHost::switchover).unwrap();
    lan.run_for(MS * 10);
    assert_eq!(lan.reasons(0), [(Role::Backup, Because::Switchover)]);
    assert_eq!(lan.reasons(1), [(Role::Master, Because::MasterDown)]);

    lan.with(0, |host, now| host.handle_fault(now, FaultCause::Interface, true));
    lan.with(0, |host, now| host.handle_fault(now, FaultCause::Admin, true));
    lan.with(0, |host, now| host.handle_fault(now, FaultCause::Interface, false));
    assert_eq!(lan.hosts[0].faults().iter().collect::<Vec<_>>(), [FaultCause::Admin]);
    lan.with(0, |host, now| host.handle_fault(now, FaultCause::Admin, false));
    let told = |causes: usize| {
        move |(_, event): &(usize, Event)| match event {
            Event::FaultsChanged { causes: left } => left.iter().count() == causes,
            _ => false,
        }
    };
    let counts = [1, 2, 0].map(|causes| lan.events.iter().filter(|one| told(causes)(one)).count());
    assert_eq!(counts, [2, 1, 1]);
    let through = [(Role::Fault, Because::Fault), (Role::Backup, Because::FaultCleared)];
    assert_eq!(lan.reasons(0), through);

    // The better one is master again, by the lower skew.
    lan.cut = true;
    lan.run_for(SECOND * 5);
    lan.cut = false;
    lan.run_for(SECOND * 2);
    assert_eq!(lan.reasons(1), [(Role::Backup, Because::Outpaced { source: host(0) })]);
    lan.with(1, CarpHost::shutdown);
    assert_eq!(lan.reasons(1), [(Role::Initialize, Because::Shutdown)]);

    lan.with(0, CarpHost::switchover).unwrap();
    lan.run_for(SECOND * 10);
    assert!(lan.events.contains(&(0, Event::SwitchoverFailed)));
}

/// Who has no carrier, or no address, says nothing: there is nobody to hear it.
#[test]
fn who_has_no_voice_does_not_use_it() {
    for (cause, count) in [(FaultCause::Admin, 1), (FaultCause::Interface, 0)] {
        let (mut master, now) = alone(config(0, 0));
        master.handle_timeout(now + SECOND * 4);
        while master.poll_action().is_some() {}
        master.handle_fault(now + SECOND * 4, cause, true);
        let actions = std::iter::from_fn(|| master.poll_action());
        let released = actions.filter(|action| matches!(action, Action::Advertise(_)));
        assert_eq!(released.count(), count, "{cause:?}");
    }
}

fn said(base: u8, skew: u8, demotion: u8) -> CarpAdvertisement {
    CarpAdvertisement { skew, demotion, base, counter: 1 }
}

/// One host that has heard nobody yet.
#[allow(clippy::disallowed_methods, reason = "any instant is the beginning")]
fn alone(config: CarpConfig) -> (CarpHost, Instant) {
    let now = Instant::now();
    let mut host = CarpHost::new(config);
    host.startup(now);
    (host, now)
}

#[test]
fn a_master_that_would_be_taken_for_dead_is_dead() {
    let (mut backup, now) = alone(config(0, 100));
    backup.handle_packet(now, host(1), &said(3, 0, 0)).unwrap();
    assert_eq!(backup.role(), Role::Backup);
    backup.handle_packet(now, host(1), &said(4, 0, 0)).unwrap();
    assert_eq!(backup.role(), Role::Master);
}

#[test]
fn who_gives_up_is_no_successor() {
    let (mut master, now) = alone(config(0, 0));
    master.handle_timeout(now + SECOND * 4);
    master.shutdown(now + SECOND * 4);
    master.handle_packet(now + SECOND * 4, host(1), &said(255, 255, 0)).unwrap();
    assert!(master.is_releasing());
    master.handle_packet(now + SECOND * 4, host(1), &said(1, 100, 0)).unwrap();
    assert_eq!(master.role(), Role::Initialize);
}

/// 255 with a base of 255 would say that it gives up.
#[test]
fn the_most_unfit_is_still_there() {
    let (mut master, now) = alone(config(0, 100));
    master.handle_demotion(now, 255);
    master.handle_timeout(now + SECOND * 5);
    let skews = std::iter::from_fn(|| master.poll_action()).filter_map(|action| match action {
        Action::Advertise(said) => Some((said.base, said.skew)),
        _ => None,
    });
    assert_eq!(skews.collect::<Vec<_>>(), [(1, 240)]);
}

#[test]
fn a_flood_of_lower_masters_makes_little_noise() {
    let (mut master, now) = alone(config(0, 0));
    let now = now + SECOND * 4;
    master.handle_timeout(now);
    while master.poll_action().is_some() {}
    for _ in 0..100 {
        master.handle_packet(now, host(1), &said(1, 200, 0)).unwrap();
    }
    let actions: Vec<_> = std::iter::from_fn(|| master.poll_action()).collect();
    let announced = actions.iter().filter(|a| matches!(a, Action::Announce { .. })).count();
    assert_eq!((actions.len() - announced, announced), (8, 1));
}

#[test]
fn a_reload_begins_to_refresh_and_ceases_to() {
    let with = |refresh| {
        let mut config = config(0, 0);
        let mut announcements = Announcements::default();
        (announcements.refresh, announcements.second_after) = (refresh, Duration::ZERO);
        config.announcements(announcements);
        config
    };
    let (mut master, now) = alone(with(Duration::ZERO));
    let now = now + SECOND * 4;
    master.handle_timeout(now);
    master.reconfigure(now, with(MS * 200));
    assert_eq!(master.next_deadline(), Some(now + MS * 200));
    master.reconfigure(now, with(Duration::ZERO));
    assert_eq!(master.next_deadline(), Some(now + SECOND), "it only advertises");
}

/// What is tracked adds to what is said of it.
#[test]
fn what_is_down_demotes_and_what_is_vital_is_a_fault() {
    #[allow(clippy::disallowed_methods)] // any instant will do
    let now = Instant::now();
    let mut config = CarpConfig::new([10, 0, 0, 1].into());
    config.period(1, 10).unwrap();
    let [heavy, vital] = [0, 1].map(TrackerId::new);
    config.track(heavy, Tracker::weighing(-30)).track(vital, Tracker::vital());
    let mut host = CarpHost::new(config.clone());
    let skews = |host: &mut CarpHost| {
        let actions = std::iter::from_fn(|| host.poll_action());
        let said = actions.filter_map(|action| match action {
            Action::Advertise(said) => Some(said.skew),
            _ => None,
        });
        said.collect::<Vec<_>>()
    };
    host.startup(now);
    let deadline = host.next_deadline().unwrap();
    host.handle_timeout(deadline);
    assert_eq!(skews(&mut host), [10]);
    host.handle_tracking(deadline, heavy, Signal::Down);
    assert_eq!(skews(&mut host), [40], "at once");
    host.handle_demotion(deadline, 5);
    assert_eq!((skews(&mut host), host.demotion()), (vec![45], 35));
    // Another configuration: what is known of the thing stays.
    config.period(1, 20).unwrap();
    host.reconfigure(deadline, config);
    assert_eq!(skews(&mut host), [55]);
    host.handle_tracking(deadline, vital, Signal::Down);
    assert_eq!(host.role(), Role::Fault);
    host.handle_fault(deadline, FaultCause::Admin, true);
    host.handle_tracking(deadline, vital, Signal::Up);
    assert_eq!(host.role(), Role::Fault, "for another reason");
    host.handle_fault(deadline, FaultCause::Admin, false);
    assert_eq!(host.role(), Role::Backup);
}

#[test]
fn a_reload_leaves_each_thing_what_is_known_of_it() {
    #[allow(clippy::disallowed_methods)] // any instant will do
    let now = Instant::now();
    let tracking = |things: &[u32]| {
        let mut config = CarpConfig::new([10, 0, 0, 1].into());
        for &thing in things {
            config.track(TrackerId::new(thing), Tracker::weighing(1 << thing));
        }
        config
    };
    let mut host = CarpHost::new(tracking(&[0, 1, 2]));
    host.startup(now);
    host.handle_tracking(now, TrackerId::new(1), Signal::Down);
    for (things, demotion) in
        [(vec![1, 2], 2), (vec![3, 2, 1, 0], 2), (vec![2, 0], 0), (vec![1], 0)]
    {
        host.reconfigure(now, tracking(&things));
        assert_eq!(host.demotion(), demotion, "{things:?}");
    }
}

#[test]
fn a_host_waits_until_it_has_seen_what_is_vital() {
    #[allow(clippy::disallowed_methods)] // any instant will do
    let now = Instant::now();
    let script = TrackerId::new(0);
    let mut config = CarpConfig::new([10, 0, 0, 1].into());
    config.track(script, Tracker::vital().initially(Signal::Unknown));
    let mut host = CarpHost::new(config);
    host.startup(now);
    assert_eq!((host.role(), host.next_deadline()), (Role::Initialize, None));
    let said = CarpAdvertisement { skew: 0, demotion: 0, base: 1, counter: 1 };
    let heard = host.handle_packet(now, [10, 0, 0, 2].into(), &said);
    assert_eq!((heard, host.is_lonely()), (Err(Discard::Undecided), false));
    let mut failed = host.clone();
    failed.handle_tracking(now, script, Signal::Down);
    assert_eq!(failed.role(), Role::Fault);
    let mut stopped = host.clone();
    stopped.shutdown(now);
    stopped.handle_tracking(now, script, Signal::Up);
    assert_eq!(stopped.role(), Role::Initialize);
    host.handle_tracking(now, script, Signal::Up);
    assert_eq!((host.role(), host.next_deadline()), (Role::Backup, Some(now + SECOND * 3)));
    // Not known any more is not down.
    host.handle_tracking(now, script, Signal::Unknown);
    assert_eq!(host.role(), Role::Backup);
}
