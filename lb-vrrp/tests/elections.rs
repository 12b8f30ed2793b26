//! Who becomes master, and when (RFC 9568 6.4, RFC 3768 6.4).
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

mod lan;

use std::time::Duration;

use lan::{Lan, MS, config};
use lb_vrrp::{Config, Interval, Preempt, Priority, Role, Start, State, Version};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_highest_priority_wins_after_its_own_time() {
    let mut lan = Lan::started([config(0, 100), config(1, 200), config(2, 50)]);
    // Three intervals and the skew of 200: 56/256 of an interval.
    let down = MS * 300 + MS * 100 * 56 / 256;
    lan.run_for(down - MS);
    assert!(lan.masters().is_empty());
    lan.run_for(MS * 2);
    assert_eq!(lan.masters(), [1]);
    lan.run_for(SECOND * 10);
    assert_eq!(lan.masters(), [1]);
    assert_eq!([0, 2].map(|place| lan.hosts[place].advertised), [0, 0], "backups are silent");
}

#[test]
fn of_equal_priorities_the_higher_address_wins() {
    let mut lan = Lan::started([config(0, 100), config(1, 100)]);
    lan.run_for(SECOND * 2);
    assert_eq!(lan.masters(), [1]);
}

#[test]
fn an_owner_is_master_at_once() {
    let mut lan = Lan::started([config(0, 255), config(1, 254)]);
    assert_eq!(lan.masters(), [0]);
    lan.run_for(SECOND * 2);
    assert_eq!(lan.masters(), [0]);
    assert_eq!(lan.hosts[1].advertised, 0);
}

#[test]
fn who_takes_itself_for_the_master_waits_for_little_more_than_an_interval() {
    let mut eager = config(0, 100);
    eager.start(Start::Master);
    let mut lan = Lan::started([eager]);
    lan.run_for(MS * 100);
    assert!(lan.masters().is_empty());
    lan.run_for(MS);
    assert_eq!(lan.masters(), [0]);
}

#[test]
fn nothing_is_heard_or_said_during_the_startup_delay() {
    let mut slow = config(0, 200);
    slow.startup_delay(SECOND);
    let mut lan = Lan::started([slow, config(1, 100)]);
    lan.run_for(SECOND - MS);
    assert_eq!((lan.masters(), *lan.state(0)), (vec![1], State::Waiting));
    assert!(lan.hosts[0].discarded > 0);
    lan.run_for(SECOND);
    assert_eq!(lan.masters(), [0]);
}

/// The time of the first advertisement after the master was cut off at `phase` of its interval.
fn takeover(config: impl Fn(usize, u8) -> Config, phase: Duration) -> Duration {
    let mut lan = Lan::started([config(0, 200), config(1, 100)]);
    lan.run_for(SECOND * 20 + phase);
    assert_eq!(lan.masters(), [0]);
    let last = lan.hosts[0].said.last().unwrap().0;
    lan.crash(0);
    lan.run_for(SECOND * 15);
    assert_eq!(lan.masters(), [1]);
    lan.hosts[1].said.iter().find(|(at, _)| *at > last).unwrap().0 - last
}

/// Measured of keepalived with priorities 200 and 100: 3609, 361 and 36 ms.
#[test]
fn a_dead_master_is_succeeded_after_the_master_down_interval() {
    for (version, centis) in
        [(Version::V2, 100), (Version::V3, 100), (Version::V3, 10), (Version::V3, 1)]
    {
        let interval = Interval::from_centis(centis).unwrap();
        let config = |place, priority| {
            let mut config = config(place, priority);
            config.version(version, interval).unwrap();
            config
        };
        let expected = interval.as_duration() * 3 + interval.as_duration() * 156 / 256;
        for phase in [Duration::ZERO, interval.as_duration() / 3, interval.as_duration() * 9 / 10] {
            let took = takeover(config, phase);
            assert!(took >= expected, "{took:?} is earlier than the RFC allows");
            assert!(took < expected + MS, "{took:?} instead of {expected:?}");
        }
    }
}

#[test]
fn skew_of_version_2_is_in_seconds_whatever_the_interval() {
    let config = |place, priority| {
        let mut config = config(place, priority);
        config.version(Version::V2, Interval::from_secs(3).unwrap()).unwrap();
        config
    };
    let took = takeover(config, Duration::ZERO);
    let expected = SECOND * 9 + SECOND * 156 / 256;
    assert!(took >= expected && took < expected + MS, "{took:?}");
}

#[test]
fn a_backup_goes_by_the_masters_interval() {
    let mut slow = config(0, 200);
    slow.version(Version::V3, Interval::SECOND).unwrap();
    let mut lan = Lan::started([slow, config(1, 100)]);
    lan.run_for(SECOND * 5);
    let said = lan.hosts[1].advertised;
    lan.run_for(SECOND * 5);
    assert_eq!(lan.masters(), [0]);
    let State::Backup(backup) = *lan.state(1) else { panic!("not a backup") };
    assert_eq!(backup.interval, Interval::SECOND);
    assert_eq!(lan.hosts[1].advertised, said, "it never took the master for dead");
    let last = lan.hosts[0].said.last().unwrap().0;
    lan.crash(0);
    lan.run_for(SECOND * 5);
    let took = lan.hosts[1].said.iter().find(|(at, _)| *at > last).unwrap().0 - last;
    let expected = SECOND * 3 + SECOND * 156 / 256;
    assert!(took >= expected && took < expected + MS, "{took:?}");
    // And as a master by its own.
    let said = lan.hosts[1].said.len();
    lan.run_for(SECOND);
    assert_eq!(lan.hosts[1].said.len() - said, 10);
}

#[test]
fn a_better_router_preempts() {
    let mut lan = Lan::new([config(0, 100), config(1, 200)], 1);
    lan.boot(0);
    lan.run_for(SECOND);
    assert_eq!(lan.masters(), [0]);
    lan.boot(1);
    lan.run_for(MS * 400);
    assert_eq!(lan.masters(), [1]);
    assert_eq!(lan.role(0), Role::Backup);
}

#[test]
fn without_preemption_the_first_one_stays() {
    let mut better = config(1, 200);
    better.preempt(Preempt::Never);
    let mut lan = Lan::new([config(0, 100), better], 1);
    lan.boot(0);
    lan.run_for(SECOND);
    lan.boot(1);
    lan.run_for(SECOND * 10);
    assert_eq!(lan.masters(), [0]);
    lan.crash(0);
    lan.run_for(SECOND);
    assert_eq!(lan.masters(), [1]);
}

#[test]
fn preemption_can_wait_but_not_for_the_dead() {
    let mut better = config(1, 200);
    better.preempt(Preempt::After(SECOND * 5));
    let configs = [config(0, 100), better];

    // Nobody there: no delay at the start.
    let mut lan = Lan::new(configs.clone(), 1);
    lan.boot(1);
    lan.run_for(MS * 400);
    assert_eq!(lan.masters(), [1]);

    // A living master has its time.
    let mut lan = Lan::new(configs.clone(), 1);
    lan.boot(0);
    lan.run_for(SECOND);
    lan.boot(1);
    lan.run_for(SECOND * 5);
    assert_eq!(lan.masters(), [0]);
    lan.run_for(MS * 500);
    assert_eq!(lan.masters(), [1]);

    // One that dies meanwhile is succeeded at once.
    let mut lan = Lan::new(configs, 1);
    lan.boot(0);
    lan.run_for(SECOND);
    lan.boot(1);
    lan.run_for(SECOND);
    lan.crash(0);
    lan.run_for(MS * 400);
    assert_eq!(lan.masters(), [1]);
}

#[test]
fn a_better_master_starts_the_wait_over() {
    let mut middle = config(1, 150);
    middle.preempt(Preempt::After(SECOND * 2));
    let mut lan = Lan::new([config(0, 100), middle, config(2, 200)], 1);
    lan.boot(0);
    lan.run_for(SECOND);
    lan.boot(1);
    lan.run_for(SECOND);
    lan.boot(2);
    lan.run_for(SECOND);
    assert_eq!(lan.masters(), [2]);
    // Now only the lowest is left to be heard, for a moment.
    lan.cut(2, 0, true);
    lan.cut(2, 1, true);
    lan.run_for(SECOND * 2);
    assert!(lan.masters().contains(&1) || lan.masters().contains(&0));
    lan.run_for(SECOND * 2);
    assert_eq!(lan.masters(), [1, 2], "the middle one waited, and then took over");
}

#[test]
fn dead_after_as_many_intervals_as_configured() {
    let patient = |place, priority| {
        let mut config = config(place, priority);
        config.down_after(10).unwrap();
        config
    };
    let took = takeover(patient, Duration::ZERO);
    let expected = MS * 1000 + MS * 100 * 156 / 256;
    assert!(took >= expected && took < expected + MS, "{took:?}");
}

#[test]
fn advertisements_keep_their_phase_however_late_hosts_are() {
    let mut lan = Lan::started([config(0, 100)]);
    lan.run_for(SECOND);
    let first = lan.hosts[0].said[0].0;
    let mut weather = lan.weather();
    weather.lateness = MS * 30;
    lan.set_weather(weather);
    lan.run_for(SECOND * 100);
    let said = &lan.hosts[0].said;
    assert!(said.len() >= 1005, "no drift: {}", said.len());
    for (at, _) in said {
        let phase = ((*at - first).as_micros() % 100_000) as u64;
        assert!(phase <= 30_100 || phase >= 99_900, "{phase} us");
    }
}

/// The last router starts and nobody ever answers it.
#[test]
fn a_router_that_never_heard_anybody_is_lonely() {
    let mut lan = Lan::started([config(0, 100), config(1, 200)]);
    lan.isolate(0, true);
    lan.run_for(SECOND);
    assert_eq!(lan.masters(), [0, 1]);
    assert!(lan.hosts.iter().all(|host| host.router.is_lonely()));
    lan.heal();
    lan.run_for(SECOND);
    assert_eq!(lan.masters(), [1]);
    assert!(lan.hosts.iter().all(|host| !host.router.is_lonely()));
    assert!(lan.hosts[1].router.last_heard().is_some());
    assert_eq!(lan.hosts[1].router.priority(), Priority::new(200));
}
