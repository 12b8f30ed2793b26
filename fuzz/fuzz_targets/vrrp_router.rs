//! A router, alone and in a group, through arbitrary lives, with the promises of its documentation
//! asserted.
#![cfg_attr(feature = "fuzzer", no_main)]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use fuzz::arbitrary::{self, Arbitrary};
use lb_vrrp::wire::Advertisement;
use lb_vrrp::{
    Action, AddressList, Announcements, Config, Discard, Event, FaultCause, Interval, Preempt,
    Priority, Role, Signal, Start, State, SyncGroup, Tracker, TrackerId, Version, VirtualRouter,
    Vrid,
};

fuzz::target!(|script: Script| script.run());

#[derive(Arbitrary, Debug)]
struct Script {
    first: Configuration,
    grouped: bool,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Clone, Debug)]
struct Configuration {
    host: u8,
    priority: u8,
    centis: u16,
    v2: bool,
    preempt: Delay,
    patient: bool,
    startup_delay: Delay,
    second_after: Delay,
    refresh: Delay,
    release_limit: Option<Delay>,
    bursts: (u8, u8),
    down_after: u8,
    parting: bool,
    eager: bool,
    trackers: Vec<(i16, bool)>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Delay {
    Endless,
    Millis(u16),
    None,
    Seconds(u32),
}

#[derive(Arbitrary, Debug)]
enum Step {
    AddressFound,
    AddressLost,
    Fault { cause: u8, present: bool },
    Hear { host: u8, priority: u8, centis: u16 },
    PreemptAgain,
    Reconfigure(Configuration),
    Shutdown,
    Source(Option<u8>),
    Startup,
    Switchover,
    Track { tracker: u8, signal: i32 },
    Wait { millis: u16 },
    WaitForDeadline { late: Delay },
}

impl Delay {
    fn time(self) -> Duration {
        match self {
            Self::Endless => Duration::MAX,
            Self::Millis(millis) => Duration::from_millis(millis.into()),
            Self::None => Duration::ZERO,
            Self::Seconds(seconds) => Duration::from_secs(seconds.into()),
        }
    }
}

impl Configuration {
    /// The configuration, or nothing if it is refused.
    fn build(&self, weighs: bool) -> Option<(Config, Vec<TrackerId>)> {
        let version = if self.v2 { Version::V2 } else { Version::V3 };
        let mut config = Config::new(host(self.host));
        config.priority(Priority::new(self.priority)).ok()?;
        config.version(version, Interval::from_centis(self.centis).ok()?).ok()?;
        config.down_after(self.down_after).ok()?;
        let mut announcements = Announcements::default();
        (announcements.first, announcements.reaction) = self.bursts;
        announcements.second_after = self.second_after.time();
        announcements.refresh = self.refresh.time();
        config
            .announcements(announcements)
            .startup_delay(self.startup_delay.time())
            .parting_advertisement(self.parting)
            .start(if self.eager { Start::Master } else { Start::Backup })
            .preempt(if self.patient {
                Preempt::Never
            } else {
                Preempt::After(self.preempt.time())
            });
        if let Some(limit) = self.release_limit {
            config.release_limit(limit.time());
        }
        let trackers = self.trackers.iter().take(4).map(|&(weight, reverse)| {
            // Any two may have the same name, and lists that differ have some things in common.
            let id = TrackerId::new(u32::from(weight.unsigned_abs()) % 8);
            let tracker = Tracker::weighing(if weighs { weight } else { 0 });
            let tracker = if reverse { tracker.reversed() } else { tracker };
            let is_known = weight % 3 != 1;
            config.track(id, if is_known { tracker } else { tracker.initially(Signal::Unknown) });
            id
        });
        let trackers = trackers.collect();
        Some((config, trackers))
    }
}

fn host(n: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, n])
}

/// What was asked for so far.
#[derive(Default)]
struct Seen {
    holds: bool,
    role: Option<Role>,
}

impl Seen {
    fn act(&mut self, action: Action) {
        match action {
            Action::AddAddresses => assert!(!std::mem::replace(&mut self.holds, true)),
            Action::RemoveAddresses => assert!(std::mem::take(&mut self.holds)),
            Action::Announce { times } => assert!(self.holds && times > 0),
            Action::RestoreAddress(_) => assert!(self.holds),
            Action::RemoveAddress(_) => assert!(!self.holds),
            Action::Notify(Event::Transition { from, to, .. }) => {
                assert_ne!(from, to);
                assert_eq!(self.role.unwrap_or(Role::Initialize), from);
                self.role = Some(to);
            }
            _ => {}
        }
    }

    fn check(&self, router: &VirtualRouter) {
        let role = router.state().role();
        assert_eq!(self.holds, role == Role::Master, "who holds is master");
        assert_eq!(self.holds, router.holds_addresses());
        assert_eq!(self.role.unwrap_or(Role::Initialize), role, "every change is told");
        assert_eq!(role == Role::Fault, *router.state() == State::Fault);
        if role == Role::Fault || role == Role::Initialize && *router.state() != State::Waiting {
            assert_eq!(router.next_deadline(), None, "nothing to wait for");
        }
        if role == Role::Master || role == Role::Backup {
            assert!(router.faults().is_empty());
        }
        assert!(router.priority() > Priority::RELEASE);
        let base = router.config().base_priority();
        assert!(router.priority() < Priority::OWNER || base == Priority::OWNER);
    }
}

/// A router, or a group of two.
enum Machine {
    Alone(Box<VirtualRouter>),
    Group(SyncGroup),
}

impl Script {
    #[allow(clippy::disallowed_methods)]
    fn run(self) {
        let weighs = !self.grouped;
        let Some((config, mut trackers)) = self.first.build(weighs) else { return };
        let first = VirtualRouter::new(config.clone());
        let mut machine = if self.grouped {
            let second = VirtualRouter::new(config);
            match SyncGroup::new(vec![first, second]) {
                Ok(group) => Machine::Group(group),
                Err(error) => unreachable!("{error}"),
            }
        } else {
            Machine::Alone(Box::new(first))
        };
        let mut refreshes = [self.first.refresh.time(); 2];
        let mut seen = [Seen::default(), Seen::default()];
        let mut now = Instant::now();
        for (number, step) in self.steps.into_iter().enumerate() {
            // The members take turns.
            let member = number % 2;
            match step {
                Step::WaitForDeadline { late } => {
                    let Some(deadline) = machine.next_deadline() else { continue };
                    let late = late.time().min(Duration::from_secs(1 << 32));
                    now = now.max(deadline) + late;
                    machine.handle_timeout(now);
                }
                Step::Wait { millis } => {
                    now += Duration::from_millis(millis.into());
                    machine.handle_timeout(now);
                }
                Step::Reconfigure(configuration) => {
                    let Some((config, named)) = configuration.build(weighs) else { continue };
                    trackers = named;
                    refreshes[if self.grouped { member } else { 0 }] = configuration.refresh.time();
                    machine.reconfigure(now, member, config);
                }
                step => machine.feed(now, member, &step, &trackers),
            }
            let mut asked = 0;
            while let Some((member, action)) = machine.poll_action() {
                seen[member].act(action);
                asked += 1;
            }
            assert!(asked <= 64, "{asked} actions for one input");
            for (seen, router) in seen.iter().zip(machine.members()) {
                seen.check(router);
            }
            for (router, refresh) in machine.members().into_iter().zip(refreshes) {
                let is_to = matches!(router.state(), State::Master(_)) && !refresh.is_zero();
                let latest = now.checked_add(refresh).filter(|_| is_to);
                assert!(latest.is_none_or(|at| router.next_deadline() <= Some(at)), "it repeats");
            }
        }
    }
}

impl Machine {
    fn members(&self) -> Vec<&VirtualRouter> {
        match self {
            Self::Alone(router) => vec![router.as_ref()],
            Self::Group(group) => group.members().iter().collect(),
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        match self {
            Self::Alone(router) => router.next_deadline(),
            Self::Group(group) => group.next_deadline(),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Alone(router) => router.handle_timeout(now),
            Self::Group(group) => group.handle_timeout(now),
        }
        assert!(self.next_deadline().is_none_or(|next| next > now), "all that is due is done");
    }

    fn reconfigure(&mut self, now: Instant, member: usize, config: Config) {
        match self {
            Self::Alone(router) => router.reconfigure(now, config),
            Self::Group(group) => assert!(group.reconfigure(now, member, config).is_ok()),
        }
    }

    fn poll_action(&mut self) -> Option<(usize, Action)> {
        match self {
            Self::Alone(router) => router.poll_action().map(|action| (0, action)),
            Self::Group(group) => group.poll_action(),
        }
    }

    fn feed(&mut self, now: Instant, member: usize, step: &Step, trackers: &[TrackerId]) {
        let address = host(200);
        match (self, step) {
            (machine, &Step::Hear { host: from, priority, centis }) => {
                machine.hear(now, member, host(from), priority, centis);
            }
            (_, Step::Reconfigure(_) | Step::Wait { .. } | Step::WaitForDeadline { .. }) => {}

            (Self::Alone(router), Step::AddressFound) => router.handle_address_found(address),
            (Self::Alone(router), Step::AddressLost) => router.handle_address_lost(now, address),
            (Self::Alone(router), &Step::Fault { cause, present }) => {
                if let Some(cause) = cause_of(cause) {
                    router.handle_fault(now, cause, present);
                }
            }
            (Self::Alone(router), Step::PreemptAgain) => router.preempt_again(),
            (Self::Alone(router), Step::Shutdown) => router.shutdown(now),
            (Self::Alone(router), &Step::Source(source)) => {
                router.handle_source(now, source.map(host));
            }
            (Self::Alone(router), Step::Startup) => router.startup(now),
            (Self::Alone(router), Step::Switchover) => {
                let was_master = matches!(router.state(), State::Master(_));
                assert_eq!(router.switchover(now).is_ok(), was_master);
            }
            (Self::Alone(router), &Step::Track { tracker, signal }) => {
                if let Some(&id) = trackers.get(usize::from(tracker)) {
                    router.handle_tracking(now, id, signal_of(signal));
                }
            }

            (Self::Group(group), Step::AddressFound) => {
                group.handle_address_found(now, member, address);
            }
            (Self::Group(group), Step::AddressLost) => {
                group.handle_address_lost(now, member, address);
            }
            (Self::Group(group), &Step::Fault { cause, present }) => {
                if let Some(cause) = cause_of(cause) {
                    group.handle_fault(now, member, cause, present);
                }
            }
            (Self::Group(group), Step::PreemptAgain) => group.preempt_again(),
            (Self::Group(group), Step::Shutdown) => group.shutdown(now),
            (Self::Group(group), &Step::Source(source)) => {
                group.handle_source(now, member, source.map(host));
            }
            (Self::Group(group), Step::Startup) => group.startup(now),
            (Self::Group(group), Step::Switchover) => {
                let _ = group.switchover(now);
            }
            (Self::Group(group), &Step::Track { tracker, signal }) => {
                if let Some(&id) = trackers.get(usize::from(tracker)) {
                    group.handle_tracking(now, member, id, signal_of(signal));
                }
            }
        }
    }

    fn hear(&mut self, now: Instant, member: usize, from: IpAddr, priority: u8, centis: u16) {
        let Ok(addresses) = AddressList::new([host(200)]) else { return };
        let (Ok(interval), Ok(vrid)) = (Interval::from_centis(centis), Vrid::new(51)) else {
            return;
        };
        let said = Advertisement::new(
            Version::V3,
            vrid,
            Priority::new(priority),
            interval,
            addresses.as_addresses(),
        );
        let Ok(said) = said else { return };
        let before = self.next_deadline();
        let heard = match self {
            Self::Alone(router) => router.handle_packet(now, from, &said),
            Self::Group(group) => group.handle_packet(now, member, from, &said),
        };
        if heard.is_err() {
            assert_eq!(self.next_deadline(), before, "what is discarded changes nothing");
            assert!(heard != Err(Discard::LowerPriority) || priority > 0, "a release counts");
        }
    }
}

/// The group's own cause, and the tracker's, are the machine's to say.
fn cause_of(number: u8) -> Option<FaultCause> {
    [FaultCause::Admin, FaultCause::Interface, FaultCause::NoSource]
        .get(usize::from(number) % 4)
        .copied()
}

fn signal_of(number: i32) -> Signal {
    match number {
        1 => Signal::Up,
        2 => Signal::Down,
        3 => Signal::Unknown,
        other => Signal::Value(other),
    }
}
