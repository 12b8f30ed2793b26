//! Where this goes beyond keepalived: stops, heals, sleeps and thieves, as clients see them.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

mod lan;

use std::net::IpAddr;
use std::time::Duration;

use lan::{Lan, MS, config};
use lb_vrrp::{
    Action, Because, Config, Event, FaultCause, Preempt, Priority, Role, Signal, State, Tracker,
    TrackerId, VirtualRouter,
};

const SECOND: Duration = Duration::from_secs(1);

/// Two routers, of which the first is master.
fn pair() -> Lan {
    pair_of(config(0, 200), config(1, 100))
}

fn pair_of(first: Config, second: Config) -> Lan {
    let mut lan = Lan::started([first, second]);
    lan.run_for(SECOND * 10);
    assert_eq!(lan.masters(), [0]);
    lan
}

fn announced(lan: &Lan) -> Vec<u64> {
    lan.hosts.iter().map(|host| host.announced).collect()
}

/// Steps in milliseconds until `done`, and says how often nobody held the addresses.
fn gap_until(lan: &mut Lan, done: impl Fn(&Lan) -> bool) -> Duration {
    let mut gap = Duration::ZERO;
    for _ in 0..20_000 {
        lan.run_for(MS);
        if !lan.hosts.iter().any(|host| host.holds) {
            gap += MS;
        }
        if done(lan) {
            return gap;
        }
    }
    panic!("it never came");
}

#[test]
fn a_clean_stop_leaves_no_gap() {
    let mut lan = pair();
    lan.with(0, VirtualRouter::shutdown);
    assert_eq!(lan.hosts[0].said.last().unwrap().1, Priority::RELEASE);
    assert!(matches!(lan.state(0), State::Releasing(_)));
    let gap = gap_until(&mut lan, |lan| *lan.state(0) == State::Initialize);
    assert_eq!(gap, Duration::ZERO);
    assert_eq!(lan.masters(), [1]);
    assert!(!lan.hosts[0].holds);
    let skew = MS * 100 * 156 / 256;
    let release = lan.hosts[0].said.last().unwrap().0;
    let took = lan.hosts[1].said[0].0 - release;
    assert!(took >= skew && took < skew + MS, "{took:?}");
}

#[test]
fn a_stop_without_a_successor_ends_all_the_same() {
    let mut lan = Lan::started([config(0, 100)]);
    lan.run_for(SECOND);
    lan.with(0, VirtualRouter::shutdown);
    lan.run_for(MS * 199);
    assert!(lan.hosts[0].holds, "as long as the slowest successor needs, and a tenth of a second");
    lan.run_for(MS * 2);
    assert_eq!(*lan.state(0), State::Initialize);
    assert!(!lan.hosts[0].holds);
    assert!(lan.hosts[0].router.next_deadline().is_none());
}

#[test]
fn a_second_shutdown_does_not_wait() {
    let mut lan = Lan::started([config(0, 100)]);
    lan.run_for(SECOND);
    lan.with(0, VirtualRouter::shutdown);
    lan.with(0, VirtualRouter::shutdown);
    assert_eq!(*lan.state(0), State::Initialize);
    assert!(!lan.hosts[0].holds);
}

#[test]
fn a_switchover_leaves_no_gap_and_does_not_come_back() {
    let mut lan = pair();
    lan.with(0, VirtualRouter::switchover).unwrap();
    let gap = gap_until(&mut lan, |lan| lan.role(0) == Role::Backup);
    assert_eq!(gap, Duration::ZERO);
    lan.run_for(SECOND * 10);
    assert_eq!(lan.masters(), [1], "although the first has the higher priority");
    assert!(lan.with(0, VirtualRouter::switchover).is_err());
    lan.with(0, |router, _| router.preempt_again());
    lan.run_for(SECOND);
    assert_eq!(lan.masters(), [0]);
}

#[test]
fn a_switchover_to_nobody_leaves_no_gap_either() {
    let mut lan = Lan::started([config(0, 100)]);
    lan.run_for(SECOND);
    lan.with(0, VirtualRouter::switchover).unwrap();
    let gap = gap_until(&mut lan, |lan| matches!(lan.state(0), State::Master(_)));
    assert_eq!(gap, Duration::ZERO);
    assert!(lan.hosts[0].events.iter().any(|(_, event)| *event == Event::SwitchoverFailed));
}

#[test]
fn who_stood_back_takes_over_from_the_dead() {
    let mut lan = pair();
    lan.with(0, VirtualRouter::switchover).unwrap();
    lan.run_for(SECOND);
    lan.crash(1);
    lan.run_for(SECOND);
    assert_eq!(lan.masters(), [0]);
    lan.boot(1);
    lan.run_for(SECOND * 5);
    assert_eq!(lan.masters(), [0], "and is its old self");
}

/// keepalived's clients wait for up to eight seconds here, because nobody tells the winner.
#[test]
fn the_winner_of_a_healed_partition_announces_at_once() {
    for phase in (0..100).step_by(7) {
        let mut lan = pair();
        lan.isolate(1, true);
        lan.run_for(SECOND * 10 + MS * phase);
        assert_eq!(lan.masters(), [0, 1]);
        lan.heal();
        let before = announced(&lan)[0];
        let healed = lan.now;
        gap_until(&mut lan, |lan| lan.masters() == [0]);
        assert!(lan.now - healed <= MS * 106);
        lan.run_for(MS);
        // Besides the refresh, which comes once a second.
        assert!(announced(&lan)[0] >= before + 2, "phase {phase}");
    }
}

#[test]
fn without_a_last_word_the_refresh_ends_the_black_hole() {
    let mut quiet = config(1, 100);
    quiet.parting_advertisement(false);
    let mut lan = pair_of(config(0, 200), quiet);
    lan.isolate(1, true);
    lan.run_for(SECOND * 10);
    lan.heal();
    let before = announced(&lan)[0];
    lan.run_for(SECOND + MS * 110);
    assert!(announced(&lan)[0] > before);
}

#[test]
fn a_stopped_master_takes_back_with_one_burst() {
    let mut lan = pair();
    lan.pause(0, MS * 800);
    lan.run_for(MS * 700);
    assert_eq!(lan.hosts[1].router.state().role(), Role::Master);
    let before = announced(&lan)[0];
    let said = lan.hosts[0].said.len();
    lan.run_for(MS * 150);
    assert_eq!(lan.masters(), [0]);
    assert!(lan.hosts[0].said.len() - said <= 12, "eight answers, and what was due");
    lan.run_for(SECOND * 10);
    let bursts = announced(&lan)[0] - before;
    // keepalived: 25 to 40 for each address. Ours: two bursts of two, and the refreshes of 10 s.
    assert!(bursts <= 4 + 11, "{bursts}");
}

#[test]
fn a_stopped_master_that_does_not_preempt_flaps_once() {
    let mut first = config(0, 200);
    first.preempt(Preempt::Never);
    let mut lan = pair_of(first, config(1, 100));
    let flaps = |lan: &Lan| {
        let events = lan.hosts.iter().flat_map(|host| &host.events);
        events
            .filter(|(_, event)| matches!(event, Event::Transition { to: Role::Master, .. }))
            .count()
    };
    let before = flaps(&lan);
    lan.pause(0, MS * 800);
    lan.run_for(SECOND * 10);
    assert_eq!(lan.masters(), [1]);
    assert_eq!(flaps(&lan) - before, 1);
    let overslept = lan.hosts[0].events.iter().any(|(_, event)| {
        let because = Because::Overslept { source: lan::host(1) };
        *event == Event::Transition { from: Role::Master, to: Role::Backup, because }
    });
    assert!(overslept);
}

#[test]
fn a_backup_that_overslept_reads_before_it_acts() {
    let mut lan = pair();
    lan.pause(1, SECOND * 3);
    lan.run_for(SECOND * 10);
    assert_eq!(lan.masters(), [0]);
    assert_eq!(lan.hosts[1].advertised, 0);
}

#[test]
fn a_sleep_of_hours_costs_one_advertisement() {
    let mut lan = Lan::started([config(0, 100)]);
    lan.run_for(SECOND);
    let before = lan.hosts[0].said.len();
    lan.pause(0, Duration::from_secs(3600 * 9));
    lan.run_for(Duration::from_secs(3600 * 9));
    assert_eq!(lan.hosts[0].said.len() - before, 1);
}

#[test]
fn a_clock_that_jumps_ahead_is_argued_with() {
    let mut lan = pair();
    lan.jump(1, Duration::from_secs(3600));
    lan.run_for(SECOND * 5);
    assert_eq!(lan.masters(), [0]);
    lan.jump(0, Duration::from_secs(3600));
    lan.run_for(SECOND * 5);
    assert_eq!(lan.masters(), [0]);
}

#[test]
fn what_is_taken_away_comes_back_at_once() {
    let address: IpAddr = [10, 9, 9, 9].into();
    let mut lan = pair();
    let before = announced(&lan);
    lan.with(0, |router, now| router.handle_address_lost(now, address));
    lan.with(1, |router, now| router.handle_address_lost(now, address));
    assert_eq!(announced(&lan)[0], before[0] + 2);
    // Somebody is stubborn: the address comes back each time, the noise is bounded.
    for _ in 0..100 {
        lan.with(0, |router, now| router.handle_address_lost(now, address));
    }
    assert_eq!(announced(&lan)[0], before[0] + 2);
    lan.run_for(MS * 101);
    assert_eq!(announced(&lan)[0], before[0] + 4);
}

#[test]
fn what_a_dead_daemon_left_behind_is_taken_care_of() {
    let mut lan = pair();
    lan.kill(0);
    lan.run_for(SECOND);
    assert_eq!(lan.masters(), [1]);
    assert!(lan.hosts[0].orphaned);
    lan.boot(0);
    assert!(!lan.hosts[0].orphaned);
}

#[test]
fn a_fault_releases_and_its_end_waits_for_the_master_down_interval() {
    let mut lan = pair();
    lan.with(0, |router, now| router.handle_fault(now, FaultCause::Admin, true));
    assert_eq!(lan.role(0), Role::Fault);
    assert_eq!(lan.hosts[0].said.last().unwrap().1, Priority::RELEASE);
    lan.run_for(MS * 70);
    assert_eq!(lan.masters(), [1]);
    // Two causes: the first to go is not enough.
    lan.with(0, |router, now| router.handle_fault(now, FaultCause::NoSource, true));
    lan.with(0, |router, now| router.handle_fault(now, FaultCause::Admin, false));
    assert_eq!(lan.role(0), Role::Fault);
    lan.with(0, |router, now| router.handle_source(now, Some(lan::host(0))));
    assert_eq!(lan.role(0), Role::Backup);
    lan.run_for(MS * 300);
    assert_eq!(lan.masters(), [1]);
    lan.run_for(MS * 30);
    assert_eq!(lan.masters(), [0]);
}

/// Its successor need not wait for a silence.
#[test]
fn who_loses_its_address_gives_up_from_where_it_was() {
    let mut lan = pair();
    lan.with(0, |router, now| router.handle_source(now, None));
    assert_eq!(lan.role(0), Role::Fault);
    lan.run_for(MS * 70);
    assert_eq!(lan.masters(), [1]);
}

#[test]
fn nothing_is_said_on_an_interface_that_is_gone() {
    let mut lan = pair();
    let said = lan.hosts[0].said.len();
    lan.with(0, |router, now| router.handle_fault(now, FaultCause::Interface, true));
    assert_eq!(lan.hosts[0].said.len(), said);
    assert!(!lan.hosts[0].holds);
}

#[test]
fn weights_move_the_master() {
    let mut first = config(0, 200);
    let script = TrackerId::new(0);
    first.track(script, Tracker::weighing(-150));
    let mut lan = pair_of(first, config(1, 100));
    lan.with(0, |router, now| router.handle_tracking(now, script, Signal::Down));
    assert_eq!(lan.hosts[0].router.priority(), Priority::new(50));
    lan.run_for(SECOND);
    assert_eq!(lan.masters(), [1]);
    lan.with(0, |router, now| router.handle_tracking(now, script, Signal::Up));
    lan.run_for(SECOND);
    assert_eq!(lan.masters(), [0]);
}

/// The remaining time moves by as much as the whole did: 50 more in priority are 50/256 less of skew.
#[test]
fn a_backups_deadline_moves_with_its_priority() {
    let mut second = config(1, 100);
    let script = TrackerId::new(0);
    second.track(script, Tracker::weighing(50).initially(Signal::Down));
    let mut lan = pair_of(config(0, 200), second);
    let before = lan.hosts[1].router.next_deadline().unwrap();
    lan.with(1, |router, now| router.handle_tracking(now, script, Signal::Up));
    let after = lan.hosts[1].router.next_deadline().unwrap();
    assert_eq!(before - after, MS * 100 * 156 / 256 - MS * 100 * 106 / 256);
    lan.with(1, |router, now| router.handle_tracking(now, script, Signal::Down));
    assert_eq!(lan.hosts[1].router.next_deadline(), Some(before));
}

#[test]
fn a_reload_moves_nothing() {
    let mut lan = pair();
    let said = lan.hosts.iter().map(|host| host.said.len()).collect::<Vec<_>>();
    for place in [0, 1] {
        let config = lan.hosts[place].router.config().clone();
        lan.with(place, |router, now| router.reconfigure(now, config));
    }
    assert_eq!(lan.masters(), [0]);
    assert_eq!(lan.hosts[0].said.len(), said[0] + 1, "the master says at once that it is there");
    lan.run_for(SECOND * 5);
    assert_eq!(lan.masters(), [0]);
    assert!(lan.hosts.iter().all(|host| !host.said.iter().any(|said| said.1 == Priority::RELEASE)));
    assert_eq!(lan.hosts[1].advertised, 0);
}

#[test]
fn of_two_owners_the_lower_address_gives_way_until_the_other_is_gone() {
    let mut lan = Lan::started([config(0, 255), config(1, 255), config(2, 100)]);
    lan.run_for(SECOND);
    assert_eq!(lan.masters(), [1]);
    assert_eq!(lan.hosts[0].router.priority(), Priority::MOST);
    lan.crash(1);
    lan.run_for(SECOND);
    assert_eq!(lan.masters(), [0]);
    assert_eq!(lan.hosts[0].router.priority(), Priority::OWNER);
}

/// Some routers are deaf to what they do not expect; then the other one has to be reasonable.
#[test]
fn an_owner_that_is_not_answered_gives_way() {
    let mut lan = Lan::new([config(0, 255), config(1, 255)], 1);
    lan.cut(1, 0, true);
    lan.boot(0);
    lan.boot(1);
    lan.run_for(MS * 310);
    assert_eq!(lan.masters(), [0, 1]);
    lan.run_for(MS * 30);
    assert_eq!(lan.masters(), [0]);
}

#[test]
fn the_order_of_actions_is_that_of_the_wire() {
    #[allow(clippy::disallowed_methods)] // any instant will do
    let now = std::time::Instant::now();
    let mut router = VirtualRouter::new(config(0, 255));
    let drain = |router: &mut VirtualRouter| {
        let actions = std::iter::from_fn(|| router.poll_action());
        actions.filter(|action| !matches!(action, Action::Notify(_))).collect::<Vec<_>>()
    };
    router.startup(now);
    let rise =
        [Action::Advertise(Priority::OWNER), Action::AddAddresses, Action::Announce { times: 5 }];
    assert_eq!(drain(&mut router), rise);
    router.handle_fault(now, FaultCause::Admin, true);
    assert_eq!(drain(&mut router), [Action::Advertise(Priority::RELEASE), Action::RemoveAddresses]);
    router.handle_fault(now, FaultCause::Admin, false);
    assert_eq!(drain(&mut router), rise);
    // The second burst is after five seconds, and each second has a refresh.
    for second in 1..=5 {
        router.handle_timeout(now + SECOND * second);
    }
    let announced = drain(&mut router).into_iter().filter_map(|action| match action {
        Action::Announce { times } => Some(times),
        _ => None,
    });
    let mut announced: Vec<_> = announced.collect();
    announced.sort_unstable();
    assert_eq!(announced, [1, 1, 1, 1, 1, 5]);
}
