//! A CARP host through arbitrary lives, with the promises of its documentation asserted.
#![cfg_attr(feature = "fuzzer", no_main)]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use fuzz::arbitrary::{self, Arbitrary};
use lb_vrrp::carp::{CarpConfig, CarpHost, Demotion};
use lb_vrrp::wire::CarpAdvertisement;
use lb_vrrp::{Action, Announcements, Event, FaultCause, Role, Signal, Tracker, TrackerId};

fuzz::target!(|script: Script| script.run());

#[derive(Arbitrary, Debug)]
struct Script {
    first: Configuration,
    first_counter: u64,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
struct Configuration {
    host: u8,
    base: u8,
    skew: u8,
    dead_ratio: u8,
    preempt: bool,
    said: bool,
    bursts: (u8, u8),
    second_after: Option<u32>,
    refresh: Option<u32>,
    trackers: Vec<(i16, bool)>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    AddressFound,
    AddressLost,
    Demotion(u8),
    Fault { cause: u8, present: bool },
    Hear { host: u8, base: u8, skew: u8, demotion: u8 },
    PreemptAgain,
    Reconfigure(Configuration),
    Shutdown,
    Source(Option<u8>),
    Startup,
    Switchover,
    Track { tracker: u8, signal: i32 },
    Wait { millis: u16 },
    WaitForDeadline { late: u32 },
}

impl Script {
    #[allow(clippy::disallowed_methods)]
    fn run(self) {
        let Some((mut config, mut trackers)) = self.first.build() else { return };
        config.first_counter(self.first_counter);
        let mut refresh = self.first.refresh();
        let mut host = CarpHost::new(config);
        let mut now = Instant::now();
        let mut counter = self.first_counter;
        let mut holds = false;
        let mut role = Role::Initialize;
        // Perhaps it only waits until it has seen something.
        let mut may_wait = false;
        for step in self.steps {
            let before = host.next_deadline();
            let takes_time = matches!(step, Step::Wait { .. } | Step::WaitForDeadline { .. });
            match step {
                Step::Demotion(demotion) => host.handle_demotion(now, demotion),
                Step::Fault { cause, present } => {
                    let cause = FaultCause::ALL[usize::from(cause) % FaultCause::ALL.len()];
                    host.handle_fault(now, cause, present);
                }

                Step::Hear { host: from, base, skew, demotion } => {
                    let said = CarpAdvertisement { skew, demotion, base, counter: 0 };
                    let source = IpAddr::from([10, 0, 0, from]);
                    if host.handle_packet(now, source, &said).is_err() {
                        assert_eq!(host.next_deadline(), before, "discarded, and nothing changed");
                    }
                }
                Step::AddressFound => host.handle_address_found([10, 0, 0, 200].into()),
                Step::AddressLost => host.handle_address_lost(now, [10, 0, 0, 200].into()),
                Step::PreemptAgain => host.preempt_again(),
                Step::Reconfigure(configuration) => {
                    let Some((config, named)) = configuration.build() else { continue };
                    (trackers, refresh) = (named, configuration.refresh());
                    let was = host.role();
                    host.reconfigure(now, config);
                    let stays = match was {
                        Role::Initialize => !may_wait,
                        _ => host.faults().is_empty(),
                    };
                    assert!(
                        !stays || was == Role::Fault || host.role() == was,
                        "without leaving it"
                    );
                }
                Step::Source(source) => {
                    host.handle_source(now, source.map(|last| [10, 0, 0, last].into()));
                }
                Step::Track { tracker, signal } => {
                    if let Some(&id) = trackers.get(usize::from(tracker)) {
                        host.handle_tracking(now, id, signal_of(signal));
                    }
                }
                Step::Switchover => {
                    let may = host.role() == Role::Master && !host.is_releasing();
                    assert_eq!(host.switchover(now).is_ok(), may);
                }
                Step::Shutdown => {
                    host.shutdown(now);
                    may_wait &= host.role() != Role::Initialize;
                }
                Step::Startup => {
                    host.startup(now);
                    may_wait = true;
                }
                Step::Wait { millis } => now += Duration::from_millis(millis.into()),
                Step::WaitForDeadline { late } => {
                    if let Some(deadline) = before {
                        now = now.max(deadline) + Duration::from_millis(late.into());
                    }
                }
            }
            if takes_time {
                host.handle_timeout(now);
                assert!(host.next_deadline().is_none_or(|next| next > now), "all that is due");
            }
            let mut asked = 0;
            while let Some(action) = host.poll_action() {
                asked += 1;
                match action {
                    Action::AddAddresses => assert!(!std::mem::replace(&mut holds, true)),
                    Action::RemoveAddresses => assert!(std::mem::take(&mut holds)),
                    Action::RestoreAddress(_) => assert!(holds),
                    Action::RemoveAddress(_) => assert!(!holds),
                    Action::Announce { times } => assert!(holds && times > 0),
                    Action::Advertise(said) => {
                        assert_eq!(said.counter, counter, "no counter is used twice");
                        counter = counter.wrapping_add(1);
                        assert!(said.base > 0);
                    }
                    Action::Notify(Event::Transition { from, to, .. }) => {
                        assert_ne!(from, to);
                        assert_eq!(std::mem::replace(&mut role, to), from);
                    }
                    Action::Notify(_) => {}
                    other => unreachable!("{other:?}"),
                }
            }
            assert!(asked <= 16, "{asked} actions for one input");
            assert_eq!(role, host.role(), "every change is told");
            assert_eq!(holds, role == Role::Master, "who holds is master");
            let waits = matches!(role, Role::Master | Role::Backup);
            assert_eq!(host.next_deadline().is_some(), waits);
            assert!(!waits || host.faults().is_empty(), "who is not fit does not take part");
            let repeats = role == Role::Master && !host.is_releasing() && !refresh.is_zero();
            let latest = now.checked_add(refresh).filter(|_| repeats);
            assert!(latest.is_none_or(|at| host.next_deadline() <= Some(at)), "it repeats");
        }
    }
}

impl Configuration {
    fn refresh(&self) -> Duration {
        millis(self.refresh)
    }

    /// The configuration, or nothing if it is refused.
    fn build(&self) -> Option<(CarpConfig, Vec<TrackerId>)> {
        let mut announcements = Announcements::default();
        (announcements.first, announcements.reaction) = self.bursts;
        announcements.second_after = millis(self.second_after);
        announcements.refresh = self.refresh();
        let mut config = CarpConfig::new([10, 0, 0, self.host].into());
        config.period(self.base, self.skew).ok()?.dead_ratio(self.dead_ratio).ok()?;
        config
            .preempt(self.preempt)
            .demotion(if self.said { Demotion::Said } else { Demotion::AddedToSkew })
            .announcements(announcements);
        let trackers = self.trackers.iter().take(4).map(|&(weight, reverse)| {
            // Any two may have the same name, and lists that differ have some things in common.
            let id = TrackerId::new(u32::from(weight.unsigned_abs()) % 8);
            let tracker = Tracker::weighing(weight);
            let tracker = if reverse { tracker.reversed() } else { tracker };
            let is_known = weight % 3 != 1;
            config.track(id, if is_known { tracker } else { tracker.initially(Signal::Unknown) });
            id
        });
        let trackers = trackers.collect();
        Some((config, trackers))
    }
}

fn millis(millis: Option<u32>) -> Duration {
    millis.map_or(Duration::MAX, |millis| Duration::from_millis(millis.into()))
}

fn signal_of(number: i32) -> Signal {
    match number {
        1 => Signal::Up,
        2 => Signal::Down,
        3 => Signal::Unknown,
        other => Signal::Value(other),
    }
}
