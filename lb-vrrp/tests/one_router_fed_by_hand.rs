//! What a network rarely brings about: one router, and every packet in its place.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

mod lan;

use std::time::{Duration, Instant};

use lan::{MS, config, host};
use lb_vrrp::wire::Advertisement;
use lb_vrrp::{
    Action, AddressList, Announcements, Config, Discard, Event, FaultCause, Interval, Preempt,
    Priority, Role, Signal, Start, State, Tracker, TrackerId, Version, VirtualRouter, Vrid,
};

const SECOND: Duration = Duration::from_secs(1);

struct Bench {
    now: Instant,
    router: VirtualRouter,
}

impl Bench {
    #[allow(clippy::disallowed_methods, reason = "any instant is the beginning")]
    fn new(config: Config) -> Self {
        let mut bench = Self { now: Instant::now(), router: VirtualRouter::new(config) };
        bench.router.startup(bench.now);
        bench
    }

    /// One that has just become master.
    fn master(config: Config) -> Self {
        let mut bench = Self::new(config);
        bench.now = bench.router.next_deadline().unwrap();
        bench.router.handle_timeout(bench.now);
        bench.drain();
        bench
    }

    fn hear(&mut self, from: usize, priority: u8, centis: u16) -> Result<(), Discard> {
        let addresses = AddressList::new([[10, 9, 9, 9].into()]).unwrap();
        let interval = Interval::from_centis(centis).unwrap();
        let said = Advertisement::new(
            Version::V3,
            Vrid::new(51).unwrap(),
            Priority::new(priority),
            interval,
            addresses.as_addresses(),
        );
        self.router.handle_packet(self.now, host(from), &said.unwrap())
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.router.handle_timeout(self.now);
    }

    fn drain(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.router.poll_action()).collect()
    }

    fn count(&mut self) -> (usize, usize) {
        let actions = self.drain();
        let count = |wanted: fn(&Action) -> bool| actions.iter().filter(|a| wanted(a)).count();
        (
            count(|action| matches!(action, Action::Advertise(_))),
            count(|action| matches!(action, Action::Announce { .. })),
        )
    }

    fn role(&self) -> Role {
        self.router.state().role()
    }
}

#[test]
fn a_flood_of_lower_masters_makes_little_noise() {
    let mut bench = Bench::master(config(0, 100));
    for packet in 0..100 {
        bench.hear(1, if packet % 2 == 0 { 50 } else { 0 }, 10).unwrap();
        bench.wait(MS / 2);
    }
    assert_eq!(bench.count(), (8, 1), "within one interval");
    bench.wait(MS * 100);
    let (advertised, announced) = bench.count();
    assert_eq!((advertised, announced), (1, 1), "the scheduled one, and what had to wait");
    for _ in 0..100 {
        bench.hear(1, 50, 10).unwrap();
    }
    assert_eq!(bench.count(), (8, 0), "the next interval has its own answers");
}

/// A cloud may have given the address to the other one, though nothing changed here.
#[test]
fn every_lower_master_is_told_of() {
    let mut bench = Bench::master(config(0, 100));
    bench.hear(1, 50, 10).unwrap();
    let (source, priority) = (host(1), Priority::new(50));
    let told = Action::Notify(Event::LowerMaster { source, priority });
    assert!(bench.drain().contains(&told));
}

#[test]
fn a_better_router_starts_the_patience_over() {
    let mut middle = config(1, 150);
    middle.preempt(Preempt::After(SECOND * 2));
    let mut bench = Bench::new(middle);
    let hear_for = |bench: &mut Bench, priority: u8, time: Duration| {
        let mut heard = Ok(());
        for _ in 0..time.as_millis() / 100 {
            heard = bench.hear(2, priority, 10);
            bench.wait(MS * 100);
        }
        heard
    };
    assert_eq!(hear_for(&mut bench, 100, MS * 1500), Ok(()));
    assert_eq!(hear_for(&mut bench, 200, MS * 300), Ok(()));
    // A second after the first wait would have been over.
    assert_eq!(hear_for(&mut bench, 100, MS * 1500), Ok(()));
    assert_eq!(hear_for(&mut bench, 100, MS * 700), Err(Discard::LowerPriority));
}

#[test]
fn patience_that_is_lost_comes_back_with_a_better_master() {
    let mut middle = config(1, 150);
    middle.preempt(Preempt::After(MS * 200));
    let mut bench = Bench::new(middle);
    bench.hear(0, 100, 10).unwrap();
    bench.wait(MS * 200);
    assert_eq!(bench.hear(0, 100, 10), Err(Discard::LowerPriority));
    bench.hear(2, 200, 10).unwrap();
    assert_eq!(bench.hear(0, 100, 10), Ok(()));
}

#[test]
fn patience_does_not_run_out_under_a_better_master() {
    let mut middle = config(1, 150);
    middle.preempt(Preempt::After(MS * 200));
    let mut bench = Bench::new(middle);
    bench.hear(0, 100, 10).unwrap();
    for _ in 0..5 {
        bench.hear(2, 200, 10).unwrap();
        bench.wait(MS * 100);
    }
    assert_eq!(bench.hear(0, 100, 10), Ok(()));
}

#[test]
fn a_backup_takes_over_the_interval_of_its_master_and_only_of_its_master() {
    let mut bench = Bench::new(config(0, 100));
    bench.hear(1, 200, 100).unwrap();
    let slow = SECOND * 3 + SECOND * 156 / 256;
    assert_eq!(bench.router.next_deadline(), Some(bench.now + slow));
    bench.wait(SECOND);
    assert_eq!(bench.hear(2, 50, 10), Err(Discard::LowerPriority));
    assert_eq!(bench.router.next_deadline(), Some(bench.now - SECOND + slow));
    // A release by its master's interval, too.
    bench.hear(1, 0, 100).unwrap();
    assert_eq!(bench.router.next_deadline(), Some(bench.now + SECOND * 156 / 256));
}

#[test]
fn a_release_never_makes_a_backup_slower() {
    let mut bench = Bench::new(config(0, 1));
    bench.hear(1, 200, 10).unwrap();
    let deadline = bench.router.next_deadline().unwrap();
    bench.now = deadline - MS;
    bench.hear(1, 0, 10).unwrap();
    assert_eq!(bench.router.next_deadline(), Some(deadline));
}

#[test]
fn of_two_owners_the_lower_address_gives_way_at_once_and_the_higher_one_in_the_end() {
    let mut lower = Bench::new(config(0, 255));
    lower.hear(1, 255, 10).unwrap();
    assert_eq!((lower.role(), lower.router.priority()), (Role::Backup, Priority::MOST));

    // One that was heard, and then no more, gave way.
    let mut higher = Bench::new(config(1, 255));
    higher.hear(0, 255, 10).unwrap();
    higher.wait(MS * 321);
    assert_eq!(higher.role(), Role::Master);

    let mut higher = Bench::new(config(1, 255));
    for _ in 0..4 {
        higher.hear(0, 255, 10).unwrap();
        higher.wait(MS * 100);
    }
    assert_eq!((higher.role(), higher.router.priority()), (Role::Backup, Priority::MOST));
    // When the other one is gone it is its old self.
    higher.wait(MS * 400);
    assert_eq!((higher.role(), higher.router.priority()), (Role::Master, Priority::OWNER));
}

#[test]
fn who_is_no_owner_any_more_does_not_give_way_for_ever() {
    let mut bench = Bench::new(config(0, 255));
    bench.hear(1, 255, 10).unwrap();
    assert_eq!(bench.router.priority(), Priority::MOST);
    bench.router.reconfigure(bench.now, config(0, 20));
    assert_eq!(bench.router.priority(), Priority::new(20));
    bench.router.reconfigure(bench.now, config(0, 255));
    assert_eq!(bench.router.priority(), Priority::OWNER);
}

#[test]
fn a_switchover_waits_for_a_successor_that_missed_the_release() {
    let mut bench = Bench::master(config(0, 100));
    bench.router.switchover(bench.now).unwrap();
    bench.wait(MS * 399);
    assert!(matches!(bench.router.state(), State::Releasing(_)));
    assert!(bench.router.holds_addresses());
    bench.wait(MS);
    assert!(matches!(bench.router.state(), State::Master(_)));
}

#[test]
fn a_reload_moves_the_deadline_of_a_backup_by_the_difference() {
    let mut bench = Bench::new(config(0, 100));
    let deadline = bench.router.next_deadline().unwrap();
    let mut slower = config(0, 100);
    slower.down_after(5).unwrap();
    bench.router.reconfigure(bench.now, slower);
    assert_eq!(bench.router.next_deadline(), Some(deadline + MS * 200));
    // What is put into the past is due now, and not before.
    bench.now = deadline;
    bench.router.reconfigure(bench.now, config(0, 100));
    assert_eq!(bench.router.next_deadline(), Some(deadline));
    let mut quick = config(0, 100);
    quick.down_after(1).unwrap();
    bench.router.reconfigure(bench.now, quick);
    assert_eq!(bench.router.next_deadline(), Some(bench.now));
}

#[test]
fn a_reload_begins_to_refresh_and_ceases_to() {
    let with = |refresh| {
        let mut config = config(0, 100);
        let mut announcements = Announcements::default();
        (announcements.refresh, announcements.second_after) = (refresh, Duration::ZERO);
        config.announcements(announcements);
        config
    };
    // Shorter than the interval, so that it shows in the next deadline.
    let (often, now_and_then) = (MS * 20, MS * 50);
    let mut bench = Bench::master(with(Duration::ZERO));
    for refresh in [often, now_and_then, often] {
        bench.router.reconfigure(bench.now, with(refresh));
        bench.drain();
        for _ in 0..10 {
            assert_eq!(bench.router.next_deadline(), Some(bench.now + refresh));
            bench.wait(refresh);
            assert!(bench.drain().contains(&Action::Announce { times: 1 }));
            // The same again puts nothing off.
            bench.router.reconfigure(bench.now, with(refresh));
        }
    }
    bench.router.reconfigure(bench.now, with(Duration::ZERO));
    bench.drain();
    let announced = (0..100).filter(|_| {
        bench.wait(MS * 10);
        bench.drain().contains(&Action::Announce { times: 1 })
    });
    assert_eq!(announced.count(), 0);
}

#[test]
fn the_last_word_of_a_stop_is_said_twice() {
    let mut bench = Bench::master(config(0, 100));
    bench.router.shutdown(bench.now);
    assert_eq!(bench.drain(), [Action::Advertise(Priority::RELEASE)]);
    bench.wait(SECOND);
    let actions = bench.drain();
    assert_eq!(actions[..2], [Action::Advertise(Priority::RELEASE), Action::RemoveAddresses]);
}

#[test]
fn our_own_words_are_no_news() {
    let mut bench = Bench::master(config(0, 100));
    assert_eq!(bench.hear(0, 200, 10), Err(Discard::OwnSource));
    assert_eq!(bench.role(), Role::Master);
    assert!(bench.router.is_lonely());
    // Not even if the address moves.
    bench.router.handle_source(bench.now, Some(host(5)));
    assert_eq!(bench.hear(5, 200, 10), Err(Discard::OwnSource));
    bench.router.handle_source(bench.now, None);
    assert!(bench.router.faults().contains(FaultCause::NoSource));
    assert_eq!(bench.hear(1, 200, 10), Err(Discard::Fault));
}

#[test]
fn who_stood_back_as_a_master_again_preempts_again() {
    let mut bench = Bench::master(config(0, 100));
    bench.router.switchover(bench.now).unwrap();
    bench.hear(1, 50, 10).unwrap();
    assert_eq!(bench.role(), Role::Backup);
    assert_eq!(bench.hear(1, 50, 10), Ok(()), "it stands back");
    bench.wait(SECOND);
    assert_eq!(bench.role(), Role::Master);
    bench.hear(2, 200, 10).unwrap();
    assert_eq!(bench.hear(1, 50, 10), Err(Discard::LowerPriority), "and no more");
}

/// Who takes itself for the master at the start is careful after a fault.
#[test]
fn after_a_fault_the_whole_master_down_interval_is_waited_for() {
    let mut eager = config(0, 100);
    eager.start(Start::Master);
    let mut bench = Bench::master(eager);
    bench.router.handle_fault(bench.now, FaultCause::Admin, true);
    bench.router.handle_fault(bench.now, FaultCause::Admin, false);
    let whole = MS * 300 + MS * 100 * 156 / 256;
    assert_eq!(bench.router.next_deadline(), Some(bench.now + whole));
}

/// Every list of some of these, in every order.
fn lists(things: u32) -> Vec<Vec<u32>> {
    let mut lists = vec![Vec::new()];
    let mut at = 0;
    while at < lists.len() {
        for thing in (0..things).filter(|thing| !lists[at].contains(thing)).collect::<Vec<_>>() {
            lists.push([&lists[at][..], &[thing]].concat());
        }
        at += 1;
    }
    lists
}

/// Whatever is added, taken out or moved in the list: an operator who removes a script that fails must be
/// rid of it, and nothing may pass for up because it stands where something else stood.
#[test]
fn a_reload_leaves_each_thing_what_is_known_of_it() {
    const THINGS: u32 = 3;
    // Each takes another amount away, so that the priority says which are down; those that are vital say
    // it by a fault. What weighs before may be vital after, and the other way round.
    let tracking = |things: &[u32], vital: bool| {
        let mut config = config(0, 100);
        for &thing in things {
            let weight = if vital { 0 } else { -(1 << thing) };
            config.track(TrackerId::new(thing), Tracker::weighing(weight));
        }
        config
    };
    let lists = lists(THINGS);
    assert_eq!(lists.len(), 1 + 3 + 6 + 6);
    for before in &lists {
        for down in 0_u8..1 << THINGS {
            let is_down = |thing: &&u32| down & 1 << **thing != 0;
            let mut bench = Bench::new(tracking(before, false));
            for thing in before {
                let signal = if is_down(&thing) { Signal::Down } else { Signal::Up };
                bench.router.handle_tracking(bench.now, TrackerId::new(*thing), signal);
            }
            for after in &lists {
                let stays_down =
                    after.iter().filter(|thing| before.contains(thing)).filter(is_down);
                let less: u8 = stays_down.map(|thing| 1 << thing).sum();
                let mut router = bench.router.clone();
                router.reconfigure(bench.now, tracking(after, false));
                assert_eq!(router.priority().get(), 100 - less, "{before:?} {after:?} {down:b}");
                router.reconfigure(bench.now, tracking(after, true));
                let is_faulty = router.state().role() == Role::Fault;
                assert_eq!(is_faulty, less > 0, "{before:?} {after:?} {down:b}");
            }
        }
    }
}

const SCRIPT: TrackerId = TrackerId::new(0);

fn depending(mut config: Config) -> Config {
    config.track(SCRIPT, Tracker::vital().initially(Signal::Unknown));
    config
}

/// A host whose service is dead must not take the addresses from one whose service lives, only since
/// nobody has looked yet. Nor may an owner.
#[test]
fn a_router_waits_until_it_has_seen_what_is_vital() {
    for priority in [200, 255] {
        let mut bench = Bench::new(depending(config(0, priority)));
        assert_eq!((*bench.router.state(), bench.role()), (State::Undecided, Role::Initialize));
        assert_eq!(bench.router.next_deadline(), None);
        assert_eq!(bench.hear(1, 100, 10), Err(Discard::Undecided));
        assert!(!bench.router.is_lonely(), "it has not begun to listen");
        bench.wait(SECOND * 60);
        assert_eq!((bench.drain(), bench.role()), (Vec::new(), Role::Initialize));
        // The first thing that is seen decides.
        let mut failed = bench.router.clone();
        failed.handle_tracking(bench.now, SCRIPT, Signal::Down);
        assert_eq!(failed.state().role(), Role::Fault);
        assert!(failed.faults().contains(FaultCause::Tracker) && !failed.holds_addresses());
        failed.handle_tracking(bench.now, SCRIPT, Signal::Up);
        bench.router.handle_tracking(bench.now, SCRIPT, Signal::Up);
        for router in [&failed, &bench.router] {
            let begun = if priority == 255 { Role::Master } else { Role::Backup };
            assert_eq!(router.state().role(), begun);
        }
    }
    // It waits for as long as anybody who begins.
    let mut bench = Bench::new(depending(config(0, 100)));
    bench.router.handle_tracking(bench.now, SCRIPT, Signal::Up);
    let anybody = Bench::new(config(0, 100));
    let wait = |bench: &Bench| bench.router.next_deadline().unwrap() - bench.now;
    assert_eq!(wait(&bench), wait(&anybody));
    // Two of them: the last one decides, or the first that is down.
    let mut both = depending(config(0, 100));
    let other = TrackerId::new(1);
    both.track(other, Tracker::vital().initially(Signal::Unknown));
    let mut bench = Bench::new(both);
    bench.router.handle_tracking(bench.now, other, Signal::Up);
    assert_eq!(bench.role(), Role::Initialize);
    bench.router.handle_tracking(bench.now, SCRIPT, Signal::Down);
    assert_eq!(bench.role(), Role::Fault);
}

#[test]
fn what_is_not_known_holds_nobody_up_who_has_begun_or_who_ends() {
    // A reload that brings something new.
    let mut bench = Bench::master(config(0, 100));
    bench.router.reconfigure(bench.now, depending(config(0, 100)));
    assert_eq!(bench.role(), Role::Master);
    bench.router.handle_tracking(bench.now, SCRIPT, Signal::Down);
    assert_eq!(bench.role(), Role::Fault);
    // A shutdown.
    let mut bench = Bench::new(depending(config(0, 100)));
    bench.router.shutdown(bench.now);
    assert_eq!(*bench.router.state(), State::Initialize);
    bench.router.handle_tracking(bench.now, SCRIPT, Signal::Up);
    assert_eq!(*bench.router.state(), State::Initialize);
    // A reload that takes it away, or says what it counts as.
    for tracker in [None, Some(Tracker::vital())] {
        let mut bench = Bench::new(depending(config(0, 100)));
        let mut known = config(0, 100);
        if let Some(tracker) = tracker {
            known.track(SCRIPT, tracker);
        }
        bench.router.reconfigure(bench.now, known);
        assert_eq!(bench.role(), Role::Backup, "{tracker:?}");
    }
}

/// Whatever else it waits for: all of it is needed.
#[test]
fn what_is_not_known_is_waited_for_beside_a_fault_and_a_startup_delay() {
    let mut bench = Bench::new(depending(config(0, 100)));
    bench.router.handle_fault(bench.now, FaultCause::Interface, true);
    assert_eq!(bench.role(), Role::Fault);
    bench.router.handle_fault(bench.now, FaultCause::Interface, false);
    assert_eq!((bench.role(), bench.router.faults().is_empty()), (Role::Fault, true));
    bench.router.handle_tracking(bench.now, SCRIPT, Signal::Up);
    assert_eq!(bench.role(), Role::Backup);

    let mut late = depending(config(0, 100));
    late.startup_delay(SECOND);
    let mut bench = Bench::new(late.clone());
    assert_eq!(*bench.router.state(), State::Waiting);
    bench.wait(SECOND);
    assert_eq!(*bench.router.state(), State::Undecided);
    // And the other way round: what is seen does not end the delay, be it as long as no clock can say.
    for delay in [SECOND, Duration::MAX] {
        late.startup_delay(delay);
        let mut bench = Bench::new(late.clone());
        bench.router.handle_tracking(bench.now, SCRIPT, Signal::Up);
        assert_eq!(*bench.router.state(), State::Waiting);
        bench.wait(SECOND);
        assert_eq!(bench.role() == Role::Backup, delay == SECOND);
    }
}
