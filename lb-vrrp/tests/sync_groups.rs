//! Members of a group are on one host, all of them or none, whatever happens to their links.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

mod lan;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use lan::{Dice, MS, config, host};
use lb_vrrp::wire::Advertisement;
use lb_vrrp::{
    Action, AddressList, FaultCause, GroupError, Interval, Priority, Role, Signal, SyncGroup,
    Tracker, TrackerId, Version, VirtualRouter, Vrid,
};

const SECOND: Duration = Duration::from_secs(1);
const MEMBERS: usize = 2;

/// Hosts with a group each, whose members speak on a link each.
struct Site {
    now: Instant,
    groups: Vec<SyncGroup>,
    holds: Vec<[bool; MEMBERS]>,
    /// Arrival, host, member, who, what.
    in_flight: VecDeque<(Instant, usize, usize, usize, Priority)>,
    /// `cut[link]`: nothing goes through.
    cut: [bool; MEMBERS],
    announced: [u32; MEMBERS],
}

impl Site {
    #[allow(clippy::disallowed_methods, reason = "any instant is the beginning")]
    fn new(priorities: &[u8]) -> Self {
        let groups = priorities.iter().enumerate().map(|(place, &priority)| {
            let member = |_| VirtualRouter::new(config(place, priority));
            SyncGroup::new((0..MEMBERS).map(member).collect()).unwrap()
        });
        let mut site = Self {
            now: Instant::now(),
            groups: groups.collect(),
            holds: vec![[false; MEMBERS]; priorities.len()],
            in_flight: VecDeque::new(),
            cut: [false; MEMBERS],
            announced: [0; MEMBERS],
        };
        for place in 0..site.groups.len() {
            site.with(place, SyncGroup::startup);
        }
        site
    }

    fn with<T>(&mut self, place: usize, input: impl FnOnce(&mut SyncGroup, Instant) -> T) -> T {
        let answer = input(&mut self.groups[place], self.now);
        while let Some((member, action)) = self.groups[place].poll_action() {
            let holds = &mut self.holds[place][member];
            match action {
                Action::AddAddresses => assert!(!std::mem::replace(holds, true)),
                Action::RemoveAddresses => assert!(std::mem::take(holds)),
                Action::Announce { times } => {
                    assert!(*holds);
                    self.announced[member] += u32::from(times);
                }
                Action::Advertise(priority) if !self.cut[member] => {
                    for to in (0..self.groups.len()).filter(|&to| to != place) {
                        let at = self.now + MS / 5;
                        self.in_flight.push_back((at, to, member, place, priority));
                    }
                }
                _ => {}
            }
        }
        let roles = self.roles(place);
        assert!(roles.iter().all(|&role| role == roles[0]) || self.is_ending(place), "{roles:?}");
        answer
    }

    /// Who hands over does so link by link.
    fn is_ending(&self, place: usize) -> bool {
        let members = self.groups[place].members().iter();
        members.map(VirtualRouter::state).any(|state| matches!(state, lb_vrrp::State::Releasing(_)))
            || self.roles(place).contains(&Role::Initialize)
    }

    fn roles(&self, place: usize) -> [Role; MEMBERS] {
        std::array::from_fn(|member| self.groups[place].members()[member].state().role())
    }

    fn masters(&self) -> Vec<usize> {
        let places = 0..self.groups.len();
        places.filter(|&place| self.roles(place) == [Role::Master; MEMBERS]).collect()
    }

    fn run_for(&mut self, length: Duration) {
        let end = self.now + length;
        loop {
            let arrival = self.in_flight.front().map(|&(at, ..)| at);
            let wakes = self.groups.iter().filter_map(SyncGroup::next_deadline);
            let Some(next) = wakes.chain(arrival).min().filter(|&next| next <= end) else { break };
            self.now = self.now.max(next);
            while let Some(&(at, to, member, from, priority)) = self.in_flight.front() {
                if at > self.now {
                    break;
                }
                self.in_flight.pop_front();
                self.deliver(to, member, from, priority);
            }
            for place in 0..self.groups.len() {
                if self.groups[place].next_deadline().is_some_and(|at| at <= self.now) {
                    self.with(place, SyncGroup::handle_timeout);
                }
            }
        }
        self.now = end;
    }

    fn deliver(&mut self, to: usize, member: usize, from: usize, priority: Priority) {
        let addresses = AddressList::new([[10, 9, 9, 9].into()]).unwrap();
        let interval = Interval::from_centis(10).unwrap();
        let vrid = Vrid::new(51).unwrap();
        let said =
            Advertisement::new(Version::V3, vrid, priority, interval, addresses.as_addresses());
        let said = said.unwrap();
        let _ = self.with(to, |group, now| group.handle_packet(now, member, host(from), &said));
    }
}

#[test]
fn the_better_group_is_master_of_all() {
    let mut site = Site::new(&[100, 200]);
    site.run_for(SECOND);
    assert_eq!(site.masters(), [1]);
    assert_eq!(site.holds, [[false; 2], [true; 2]]);
}

#[test]
fn one_fault_moves_all() {
    let mut site = Site::new(&[100, 200]);
    site.run_for(SECOND);
    site.with(1, |group, now| group.handle_fault(now, 0, FaultCause::Interface, true));
    assert_eq!(site.roles(1), [Role::Fault; 2]);
    site.run_for(SECOND);
    assert_eq!(site.masters(), [0]);
    site.with(1, |group, now| group.handle_fault(now, 0, FaultCause::Interface, false));
    site.run_for(SECOND);
    assert_eq!(site.masters(), [1]);
}

/// Otherwise each host would have one address, and neither could forward.
#[test]
fn silence_on_one_link_is_not_enough() {
    let mut site = Site::new(&[100, 200]);
    site.run_for(SECOND);
    site.cut[0] = true;
    site.run_for(SECOND * 5);
    assert_eq!(site.masters(), [1]);
    site.cut[1] = true;
    site.run_for(SECOND);
    assert_eq!(site.masters(), [0, 1], "both links are gone");
    site.cut[0] = false;
    site.run_for(SECOND);
    assert_eq!(site.masters(), [1], "who is outranked on one link gives all up");
}

#[test]
fn a_group_stops_without_a_gap() {
    let mut site = Site::new(&[100, 200]);
    site.run_for(SECOND);
    site.with(1, SyncGroup::shutdown);
    for _ in 0..300 {
        site.run_for(MS);
        for member in 0..MEMBERS {
            assert!(site.holds.iter().any(|holds| holds[member]), "somebody answers");
        }
    }
    assert_eq!(site.masters(), [0]);
    assert_eq!(site.roles(1), [Role::Initialize; 2]);
}

#[test]
fn a_group_can_be_switched_over() {
    let mut site = Site::new(&[100, 200]);
    site.run_for(SECOND);
    assert!(site.with(0, SyncGroup::switchover).is_err());
    site.with(1, SyncGroup::switchover).unwrap();
    site.run_for(SECOND * 3);
    assert_eq!(site.masters(), [0]);
    site.with(1, |group, _| group.preempt_again());
    site.run_for(SECOND);
    assert_eq!(site.masters(), [1]);
}

#[test]
fn owners_in_a_group_are_master_at_once_and_together() {
    let mut site = Site::new(&[255, 100]);
    site.run_for(MS);
    assert_eq!(site.masters(), [0]);
}

/// Clients of one address may have believed what those of the other heard.
#[test]
fn all_announce_what_one_has_to_defend() {
    let mut site = Site::new(&[200]);
    site.run_for(SECOND);
    site.announced = [0; MEMBERS];
    site.deliver(0, 1, 5, Priority::new(100));
    assert_eq!(site.announced, [2; MEMBERS]);
}

/// One of whom nobody can say yet whether it is fit holds back the others.
#[test]
fn nobody_is_master_before_all_are_decided() {
    #[allow(clippy::disallowed_methods, reason = "any instant is the beginning")]
    let mut now = std::time::Instant::now();
    let script = TrackerId::new(7);
    let mut undecided = config(1, 100);
    undecided.track(script, Tracker::vital().initially(Signal::Unknown));
    let members = [config(0, 100), undecided].map(VirtualRouter::new).to_vec();
    let mut group = SyncGroup::new(members).unwrap();
    let roles = |group: &SyncGroup| -> Vec<_> {
        group.members().iter().map(|member| member.state().role()).collect()
    };
    group.startup(now);
    assert_eq!(roles(&group), [Role::Backup, Role::Initialize]);
    now += SECOND * 10;
    group.handle_timeout(now);
    assert_eq!(roles(&group), [Role::Backup, Role::Initialize]);
    let mut failed = group.clone();
    failed.handle_tracking(now, 1, script, Signal::Down);
    assert_eq!(roles(&failed), [Role::Fault; 2]);
    group.handle_tracking(now, 1, script, Signal::Up);
    assert_eq!(roles(&group), [Role::Backup; 2]);
    now += SECOND * 10;
    group.handle_timeout(now);
    assert_eq!(roles(&group), [Role::Master; 2]);
}

#[test]
fn weights_are_refused() {
    let mut weighted = config(0, 100);
    weighted.track(TrackerId::new(0), Tracker::weighing(10));
    let members = [config(0, 100), weighted.clone()].map(VirtualRouter::new).to_vec();
    assert_eq!(SyncGroup::new(members).err(), Some(GroupError::Weighted { member: 1 }));
    assert_eq!(SyncGroup::new(Vec::new()).err(), Some(GroupError::Empty));
    let mut site = Site::new(&[100]);
    let refused = site.with(0, |group, now| group.reconfigure(now, 1, weighted));
    assert_eq!(refused, Err(GroupError::Weighted { member: 1 }));
}

/// Roles are compared after every input.
#[test]
fn members_move_together_whatever_happens() {
    for seed in 0..2_000 {
        let mut dice = Dice(seed);
        let mut site = Site::new(&[100, 150, 200]);
        for _ in 0..20 {
            let length = dice.duration(MS * 300);
            site.run_for(length);
            let place = dice.below(3) as usize;
            let member = dice.below(MEMBERS as u64) as usize;
            match dice.below(6) {
                0 | 1 => site.cut[member] = dice.percent(50),
                2 | 3 => {
                    let present = dice.percent(50);
                    site.with(place, |group, now| {
                        group.handle_fault(now, member, FaultCause::Admin, present);
                    });
                }
                4 => {
                    let _ = site.with(place, SyncGroup::switchover);
                }
                _ => {
                    if dice.percent(20) {
                        site.with(place, SyncGroup::shutdown);
                    }
                }
            }
        }
        site.cut = [false; MEMBERS];
        for place in 0..3 {
            for member in 0..MEMBERS {
                site.with(place, |group, now| {
                    group.handle_fault(now, member, FaultCause::Admin, false);
                });
            }
        }
        site.run_for(SECOND * 2);
        for place in 0..3 {
            site.with(place, SyncGroup::startup);
            site.with(place, |group, _| group.preempt_again());
        }
        site.run_for(SECOND * 3);
        assert_eq!(site.masters(), [2], "seed {seed}");
    }
}
