//! The loop over a simulated network, in tokio's paused time: nothing here waits.
#![cfg(feature = "driver")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use lb_vrrp::carp::{CarpChannel, CarpConfig};
use lb_vrrp::driver::{Counters, Driver, Input, Network, Operation, Pacing, Report, RouterId};
use lb_vrrp::wire::{CarpKey, Datagram};
use lb_vrrp::{
    AddressList, Announcements, Authentication, Because, Channel, ChannelConfig, Config, Event,
    FaultCause, GroupError, HmacKeys, Interval, Priority, Reason, Role, Tracker, TrackerId,
    Version, VirtualRouter, Vrid,
};
use tokio::sync::Notify;
use tokio::time::{Instant, advance, timeout};

const MS: Duration = Duration::from_millis(1);

fn host(place: usize) -> IpAddr {
    [10, 0, 0, place as u8 + 1].into()
}

fn virtual_address(last: u8) -> IpAddr {
    [10, 9, 9, last].into()
}

/// What waits at a host.
enum Waiting {
    Packet(Vec<u8>),
    Lost(IpAddr),
    Found(IpAddr),
    RoutesLost,
    Source(Option<IpAddr>),
}

#[derive(Default)]
struct Host {
    waiting: VecDeque<Waiting>,
    held: BTreeSet<IpAddr>,
    /// How often an address was added.
    added: usize,
    /// How often routes were.
    routed: usize,
    /// Routes lead to where nothing is.
    unreachable: bool,
    announced: Vec<(Instant, IpAddr)>,
    /// Which cannot be announced.
    hidden: Option<IpAddr>,
    said: Vec<(Instant, Vec<u8>)>,
    broken: bool,
    /// Whether it was to keep quiet, each time that this changed.
    hushed: Vec<bool>,
    /// Of the wall.
    clock: Duration,
    deaf: bool,
    /// How much it handed over since it last said that there was nothing more.
    handed: usize,
    arrived: Arc<Notify>,
}

/// As much as waits at most, unless it is a flood.
const SHARE: usize = 2048;

/// The link: every host hears every other one at once.
#[derive(Clone, Default)]
struct Link(Arc<Mutex<Vec<Host>>>);

impl Link {
    fn new(hosts: usize) -> Self {
        let link = Self::default();
        link.0.lock().unwrap().resize_with(hosts, Host::default);
        link
    }

    fn hosts(&self) -> MutexGuard<'_, Vec<Host>> {
        self.0.lock().unwrap()
    }

    fn arrive(&self, place: usize, what: Waiting) {
        let host = &mut self.hosts()[place];
        host.waiting.push_back(what);
        host.arrived.notify_one();
    }

    fn held(&self, place: usize) -> usize {
        self.hosts()[place].held.len()
    }
}

struct Port {
    link: Link,
    place: usize,
    buffer: Vec<u8>,
}

const ID: RouterId = RouterId::new(0);
const OTHER: RouterId = RouterId::new(1);
/// The identifier of the first router; of others, those after it.
const FIRST: u8 = 51;

impl Network for Port {
    type Settings = ();

    fn ready(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        let arrived = {
            let hosts = self.link.hosts();
            let host = &hosts[self.place];
            if !host.waiting.is_empty() {
                host.arrived.notify_one();
            }
            Arc::clone(&host.arrived)
        };
        async move {
            arrived.notified().await;
            Ok(())
        }
    }

    fn next_input(&mut self) -> io::Result<Option<(RouterId, Input<'_>)>> {
        let waiting = {
            let host = &mut self.link.hosts()[self.place];
            host.handed += 1;
            if host.handed > SHARE { None } else { host.waiting.pop_front() }
        };
        let Some(waiting) = waiting else {
            self.link.hosts()[self.place].handed = 0;
            return Ok(None);
        };
        let mut id = ID;
        let input = match waiting {
            Waiting::Packet(packet) => {
                self.buffer = packet;
                let datagram = Datagram::ipv4(&self.buffer);
                let vrid = datagram.as_ref().ok().and_then(Datagram::vrid);
                id = RouterId::new(u32::from(vrid.unwrap_or(FIRST)).saturating_sub(FIRST.into()));
                Input::Datagram(datagram)
            }
            Waiting::Lost(address) => Input::AddressLost(address),
            Waiting::Found(address) => Input::AddressFound(address),
            Waiting::RoutesLost => Input::RoutesLost,
            Waiting::Source(source) => Input::Source(source),
        };
        Ok(Some((id, input)))
    }

    fn send(&mut self, _: RouterId, _: IpAddr, packet: &[u8]) -> io::Result<()> {
        let mut hosts = self.link.hosts();
        if hosts[self.place].broken {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        hosts[self.place].said.push((Instant::now(), packet.to_vec()));
        for (place, host) in hosts.iter_mut().enumerate() {
            if place != self.place && !host.deaf {
                host.waiting.push_back(Waiting::Packet(packet.to_vec()));
                host.arrived.notify_one();
            }
        }
        Ok(())
    }

    fn hush(&mut self, _: RouterId, is_leaving: bool) -> io::Result<()> {
        self.link.hosts()[self.place].hushed.push(is_leaving);
        Ok(())
    }

    fn add_address(&mut self, _: RouterId, address: IpAddr) -> io::Result<()> {
        let host = &mut self.link.hosts()[self.place];
        if host.broken {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        host.held.insert(address);
        host.added += 1;
        Ok(())
    }

    fn add_routes(&mut self, _: RouterId) -> io::Result<()> {
        let host = &mut self.link.hosts()[self.place];
        host.routed += 1;
        if host.unreachable { Err(io::ErrorKind::NetworkUnreachable.into()) } else { Ok(()) }
    }

    fn remove_address(&mut self, _: RouterId, address: IpAddr) -> io::Result<()> {
        self.link.hosts()[self.place].held.remove(&address);
        Ok(())
    }

    fn announce(&mut self, _: RouterId, address: IpAddr) -> io::Result<()> {
        let host = &mut self.link.hosts()[self.place];
        assert!(host.held.contains(&address), "announced what is not here");
        if host.hidden == Some(address) {
            return Err(io::ErrorKind::NetworkDown.into());
        }
        host.announced.push((Instant::now(), address));
        Ok(())
    }

    fn link(&self, _: RouterId) -> Option<u32> {
        Some(1)
    }

    fn reconfigure(&mut self, _: RouterId, channel: &ChannelConfig, (): ()) -> io::Result<()> {
        self.link.hosts()[self.place]
            .held
            .retain(|held| channel.addresses().iter().any(|a| a == *held));
        Ok(())
    }

    fn utc(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.link.hosts()[self.place].clock
    }
}

fn channel(place: usize, addresses: u8) -> ChannelConfig {
    let addresses = AddressList::new((1..=addresses).map(virtual_address)).unwrap();
    ChannelConfig::new(Vrid::new(51).unwrap(), host(place), addresses).unwrap()
}

fn config(place: usize, priority: u8) -> Config {
    let mut config = Config::of(&channel(place, 1));
    config.priority(Priority::new(priority)).unwrap();
    config
}

/// A driver with one router.
struct Alone(Driver<Port>);

impl Alone {
    fn new(router: Config, channel: Channel, port: Port) -> Self {
        Self::paced(router, channel, port, Pacing::default())
    }

    fn paced(router: Config, channel: Channel, port: Port, pacing: Pacing) -> Self {
        let mut driver = Driver::new(port).pacing(pacing);
        driver.add(ID, router, channel);
        driver.startup(ID);
        Self(driver)
    }

    async fn next(&mut self) -> Option<Report> {
        self.0.next().await.map(|(_, report)| report)
    }

    fn shutdown(&mut self) {
        self.0.shutdown();
    }

    fn router(&self) -> &VirtualRouter {
        self.0.router(ID).unwrap()
    }

    fn counters(&self) -> &Counters {
        self.0.counters(ID).unwrap()
    }
}

fn driver(link: &Link, place: usize, priority: u8) -> Alone {
    let port = Port { link: link.clone(), place, buffer: Vec::new() };
    Alone::new(config(place, priority), Channel::new(channel(place, 1)), port)
}

/// Runs the driver for so long, and says what it said.
async fn run(driver: &mut Alone, length: Duration) -> Vec<Report> {
    let mut reports = Vec::new();
    let end = Instant::now() + length;
    while let Ok(Some(report)) = tokio::time::timeout_at(end, driver.next()).await {
        reports.push(report);
    }
    reports
}

/// Runs two of them.
async fn run_both(a: &mut Alone, b: &mut Alone, length: Duration) {
    let _ = tokio::join!(run(a, length), run(b, length));
}

fn role(driver: &Alone) -> Role {
    driver.router().state().role()
}

#[tokio::test(start_paused = true)]
async fn the_better_one_becomes_master_and_advertises_in_its_rhythm() {
    let link = Link::new(2);
    let (mut a, mut b) = (driver(&link, 0, 200), driver(&link, 1, 100));
    let start = Instant::now();
    run_both(&mut a, &mut b, 60_500 * MS).await;
    assert_eq!((role(&a), role(&b)), (Role::Master, Role::Backup));
    assert_eq!((link.held(0), link.held(1)), (1, 0));
    assert!(!b.router().is_lonely());

    // Three intervals and the skew of 200, 219 ms; then one a second.
    let hosts = link.hosts();
    let at: Vec<_> = hosts[0].said.iter().map(|(at, _)| *at - start).collect();
    assert_eq!(at.len(), 58);
    for (turn, at) in at.iter().enumerate() {
        let due = 3218 * MS + 1000 * MS * turn as u32;
        assert!(*at >= due && *at <= due + 2 * MS, "{turn}: {at:?}, not {due:?}");
    }
    assert!(hosts[1].said.is_empty());
    assert_eq!(b.counters().received, 58);
    assert_eq!(a.counters().sent, 58);
    assert_eq!(a.counters().became_master, 1);
    // Five at once, five after five seconds, and one a second, which the second five include.
    assert_eq!(a.counters().announced, 5 + 5 + 56);
}

#[tokio::test(start_paused = true)]
async fn a_master_that_stops_answers_until_its_successor_speaks() {
    let link = Link::new(2);
    let (mut a, mut b) = (driver(&link, 0, 200), driver(&link, 1, 100));
    run_both(&mut a, &mut b, 10_000 * MS).await;
    a.shutdown();
    run_both(&mut a, &mut b, 600 * MS).await;
    assert_eq!(link.held(0), 1, "the skew of the successor is 609 ms");
    run_both(&mut a, &mut b, 20 * MS).await;
    assert_eq!((link.held(0), link.held(1)), (0, 1));
    assert!(a.next().await.is_none(), "it has ended");
    assert_eq!(role(&b), Role::Master);
}

#[tokio::test(start_paused = true)]
async fn a_second_shutdown_does_not_wait() {
    let link = Link::new(1);
    let mut a = driver(&link, 0, 255);
    assert_eq!(link.held(0), 1, "an owner is master at once");
    a.shutdown();
    assert_eq!(link.held(0), 1);
    a.shutdown();
    assert_eq!(link.held(0), 0);
    let start = Instant::now();
    while a.next().await.is_some() {}
    assert_eq!(Instant::now(), start);
}

#[tokio::test(start_paused = true)]
async fn switching_over_is_to_somebody_or_not_at_all() {
    let link = Link::new(2);
    let (mut a, mut b) = (driver(&link, 0, 200), driver(&link, 1, 100));
    assert!(a.0.switchover(ID).is_err());
    run_both(&mut a, &mut b, 10_000 * MS).await;
    a.0.switchover(ID).unwrap();
    run_both(&mut a, &mut b, 5_000 * MS).await;
    assert_eq!((role(&a), role(&b)), (Role::Backup, Role::Master));
    a.0.preempt_again(ID);
    run_both(&mut a, &mut b, 5_000 * MS).await;
    assert_eq!((role(&a), role(&b)), (Role::Master, Role::Backup));
    assert_eq!((link.held(0), link.held(1)), (1, 0));

    b.shutdown();
    a.0.switchover(ID).unwrap();
    let reports = run(&mut a, 10_000 * MS).await;
    assert!(reports.iter().any(|r| matches!(r, Report::Event(Event::SwitchoverFailed))));
    assert_eq!((role(&a), link.held(0)), (Role::Master, 1));
    // It keeps quiet while it leaves, and whenever it is master again it does so no more.
    assert_eq!(link.hosts()[0].hushed, [true, false, true, false]);
}

/// It slept through the time after which the master would be dead; the master's advertisements are
/// in its socket.
#[tokio::test(start_paused = true)]
async fn the_socket_is_read_before_the_clock() {
    let link = Link::new(2);
    let (mut a, mut b) = (driver(&link, 0, 200), driver(&link, 1, 100));
    run_both(&mut a, &mut b, 10_000 * MS).await;
    run(&mut a, 30_000 * MS).await;
    assert_eq!(link.hosts()[1].waiting.len(), 30);
    run_both(&mut a, &mut b, 10_000 * MS).await;
    assert_eq!(link.hosts()[1].said.len(), 0, "a silence that never was");
    assert_eq!(role(&b), Role::Backup);

    // A master that slept speaks once, and not for all that it missed.
    let said = link.hosts()[0].said.len();
    advance(30_000 * MS).await;
    link.hosts()[1].waiting.clear();
    run(&mut a, 10 * MS).await;
    assert_eq!(link.hosts()[0].said.len(), said + 1);
}

/// Stopped for longer than the masters may be silent: all that they said waits, one router's after the
/// other's, and no silence is taken for real before the last of it is read.
#[tokio::test(start_paused = true)]
async fn all_sockets_are_read_before_any_clock() {
    const ROUTERS: u8 = 200;
    let link = Link::new(1);
    let port = Port { link: link.clone(), place: 0, buffer: Vec::new() };
    let mut driver = Driver::new(port);
    let channel_of = |vrid: u8, place: usize| {
        let addresses = AddressList::new([virtual_address(vrid)]).unwrap();
        ChannelConfig::new(Vrid::new(vrid).unwrap(), host(place), addresses).unwrap()
    };
    for vrid in FIRST..FIRST + ROUTERS {
        let id = RouterId::new((vrid - FIRST).into());
        driver.add(id, config(0, 100), Channel::new(channel_of(vrid, 0)));
        driver.startup(id);
    }
    let mut backups = Alone(driver);
    run(&mut backups, 1_000 * MS).await;
    // Five intervals.
    advance(5_000 * MS).await;
    for vrid in FIRST..FIRST + ROUTERS {
        let mut packet = Vec::new();
        let mut master = Channel::new(channel_of(vrid, 1));
        let utc = SystemTime::UNIX_EPOCH;
        master.advertise(utc, Priority::new(200), |_, said| packet.extend_from_slice(said));
        (0..5).for_each(|_| link.arrive(0, Waiting::Packet(packet.clone())));
    }
    run(&mut backups, 10 * MS).await;
    assert_eq!(link.hosts()[0].said.len(), 0, "a silence that never was");
    assert_eq!(link.held(0), 0);
}

#[tokio::test(start_paused = true)]
async fn a_flood_does_not_stop_the_clock() {
    let link = Link::new(1);
    let mut a = driver(&link, 0, 255);
    run(&mut a, 500 * MS).await;
    for _ in 0..100_000 {
        link.arrive(0, Waiting::Packet(vec![0; 8]));
    }
    advance(600 * MS).await;
    let said = link.hosts()[0].said.len();
    let _ = timeout(Duration::ZERO, a.next()).await;
    assert!(link.hosts()[0].said.len() > said, "it is due, whatever comes");
    run(&mut a, 500 * MS).await;
    assert_eq!(a.counters().refused(Reason::IpHeader), 100_000);
    assert_eq!(a.counters().refused(Reason::Vrid), 0);
    assert!(format!("{:?}", a.0).contains("\"ip_header\": 100000"));
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_away_comes_back_and_what_is_left_over_goes() {
    let link = Link::new(1);
    let mut a = driver(&link, 0, 100);
    link.hosts()[0].held.insert(virtual_address(1));
    link.arrive(0, Waiting::Found(virtual_address(1)));
    run(&mut a, 100 * MS).await;
    assert_eq!(link.held(0), 0, "left by a crash, and not ours to hold");

    run(&mut a, 10_000 * MS).await;
    assert_eq!(link.held(0), 1);
    let announced = a.counters().announced;
    link.hosts()[0].held.clear();
    link.arrive(0, Waiting::Lost(virtual_address(1)));
    run(&mut a, MS).await;
    assert_eq!(link.held(0), 1);
    assert!(a.counters().announced > announced, "switches may have forgotten it");
}

/// Somebody takes them away each time: they are put back, but not a thousand times a second.
#[tokio::test(start_paused = true)]
async fn who_is_stubborn_does_not_keep_us_busy() {
    let link = Link::new(1);
    let mut a = driver(&link, 0, 255);
    run(&mut a, 100 * MS).await;
    let counts = || {
        let hosts = link.hosts();
        (hosts[0].added, hosts[0].routed)
    };
    let before = counts();
    let mut told = Vec::new();
    for _ in 0..900 {
        link.hosts()[0].held.clear();
        link.arrive(0, Waiting::Lost(virtual_address(1)));
        link.arrive(0, Waiting::RoutesLost);
        told.extend(run(&mut a, MS).await);
    }
    let is_told = |report: &&Report| matches!(report, Report::Restored { address } if *address == virtual_address(1));
    assert_eq!(told.iter().filter(is_told).count(), 1, "{told:?}");
    let after = counts();
    assert!((16..=20).contains(&(after.0 - before.0)), "{after:?}, {before:?}");
    assert!(after.1 - before.1 <= 40, "{after:?}, {before:?}");
    assert_eq!(link.held(0), 0, "it has to wait");
    run(&mut a, 250 * MS).await;
    assert_eq!(link.held(0), 1, "but not for long");
    assert_eq!(role(&a), Role::Master);
}

/// Their interface may come late, or go and come back: a master goes on without, but not for good.
#[tokio::test(start_paused = true)]
async fn routes_that_cannot_be_added_are_tried_again() {
    let link = Link::new(1);
    link.hosts()[0].unreachable = true;
    let mut a = driver(&link, 0, 255);
    let not_added = |reports: Vec<Report>| {
        let wanted = Operation::AddRoutes;
        let is_it =
            |r: &&Report| matches!(r, Report::Failed { operation, .. } if *operation == wanted);
        reports.iter().filter(is_it).count()
    };
    assert_eq!(not_added(run(&mut a, 10_500 * MS).await), 1, "said once");
    assert_eq!(role(&a), Role::Master);
    assert_eq!(link.hosts()[0].routed, 11, "but tried each second");
    link.hosts()[0].unreachable = false;
    assert_eq!(not_added(run(&mut a, 10_000 * MS).await), 0);
    assert_eq!(link.hosts()[0].routed, 12, "and not when they are there");
    link.hosts()[0].unreachable = true;
    link.arrive(0, Waiting::RoutesLost);
    assert_eq!(not_added(run(&mut a, 2_500 * MS).await), 1, "said once more");
    assert_eq!(link.hosts()[0].routed, 15);
    a.0.reconfigure(ID, config(0, 255), channel(0, 1), ()).unwrap();
    assert_eq!(not_added(run(&mut a, 2_500 * MS).await), 1, "it may be others now");
    assert_eq!(link.hosts()[0].routed, 18);
    a.shutdown();
    a.shutdown();
    run(&mut a, 10_000 * MS).await;
    assert_eq!(link.hosts()[0].routed, 18, "who is no master needs none");
}

#[tokio::test(start_paused = true)]
async fn who_cannot_add_its_addresses_leaves_them_to_others_and_tries_again() {
    let link = Link::new(2);
    let (mut a, mut b) = (driver(&link, 0, 200), driver(&link, 1, 100));
    link.hosts()[0].broken = true;
    let (reports, _) = tokio::join!(run(&mut a, 7_000 * MS), run(&mut b, 7_000 * MS));
    let failed = |wanted: Operation| {
        let is_it =
            |r: &&Report| matches!(r, Report::Failed { operation, .. } if *operation == wanted);
        reports.iter().filter(is_it).count()
    };
    assert_eq!(failed(Operation::Add(virtual_address(1))), 1);
    assert_eq!(failed(Operation::Advertise([224, 0, 0, 18].into())), 1, "said once");
    assert!(a.router().faults().contains(FaultCause::Addresses));
    assert_eq!((role(&a), role(&b)), (Role::Fault, Role::Master));
    link.hosts()[0].broken = false;
    run_both(&mut a, &mut b, 10_000 * MS).await;
    assert_eq!((role(&a), role(&b)), (Role::Master, Role::Backup));
    assert_eq!((link.held(0), link.held(1)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn without_a_source_it_is_at_fault_and_a_new_one_is_spoken_from() {
    let link = Link::new(1);
    let mut a = driver(&link, 0, 255);
    link.arrive(0, Waiting::Source(None));
    run(&mut a, 100 * MS).await;
    assert_eq!((role(&a), link.held(0)), (Role::Fault, 0));
    link.arrive(0, Waiting::Source(Some("fd00::1".parse().unwrap())));
    run(&mut a, 100 * MS).await;
    assert_eq!(role(&a), Role::Fault, "of the other family");
    link.arrive(0, Waiting::Source(Some(host(7))));
    run(&mut a, 100 * MS).await;
    assert_eq!((role(&a), link.held(0)), (Role::Master, 1));
    let (_, last) = link.hosts()[0].said.last().unwrap().clone();
    assert_eq!(Datagram::ipv4(&last).unwrap().source(), host(7));
}

#[tokio::test(start_paused = true)]
async fn announcements_keep_to_their_budget_and_end_with_the_mastery() {
    let link = Link::new(2);
    let port = Port { link: link.clone(), place: 0, buffer: Vec::new() };
    let mut router = config(0, 255);
    let mut announcements = Announcements::default();
    announcements.refresh = Duration::ZERO;
    router.announcements(announcements);
    let start = Instant::now();
    let mut a = Alone::paced(router, Channel::new(channel(0, 100)), port, Pacing::new(50, 10 * MS));
    assert_eq!(link.hosts()[0].announced.len(), 50, "the burst");
    run(&mut a, 1_000 * MS).await;
    let first: BTreeSet<_> =
        link.hosts()[0].announced.iter().take(100).map(|(_, address)| *address).collect();
    assert_eq!(first.len(), 100, "each once before any twice");
    let count = link.hosts()[0].announced.len();
    assert!((149..=151).contains(&count), "{count} in {:?}", start.elapsed());
    a.0.fault(ID, FaultCause::Admin, true);
    run(&mut a, 1_000 * MS).await;
    assert_eq!(link.hosts()[0].announced.len(), count);
    assert_eq!(link.held(0), 0);
}

/// Whoever has announced on a link keeps the others from it for a while, whichever router they are of.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_announced_is_said_once_though_others_can() {
    let link = Link::new(1);
    let port = Port { link: link.clone(), place: 0, buffer: Vec::new() };
    link.hosts()[0].hidden = Some(virtual_address(2));
    let mut a = Alone::new(config(0, 255), Channel::new(channel(0, 3)), port);
    let said = |reports: Vec<Report>| {
        let wanted = Operation::Announce(virtual_address(2));
        let is_it =
            |r: &&Report| matches!(r, Report::Failed { operation, .. } if *operation == wanted);
        reports.iter().filter(is_it).count()
    };
    assert_eq!(said(run(&mut a, 60_000 * MS).await), 1);
    link.hosts()[0].hidden = None;
    assert_eq!(said(run(&mut a, 5_000 * MS).await), 0);
    link.hosts()[0].hidden = Some(virtual_address(2));
    assert_eq!(said(run(&mut a, 60_000 * MS).await), 1, "it was announced meanwhile");
    a.0.reconfigure(ID, config(0, 255), channel(0, 1), ()).unwrap();
    assert_eq!(said(run(&mut a, 5_000 * MS).await), 0, "it is gone");
    a.0.reconfigure(ID, config(0, 255), channel(0, 3), ()).unwrap();
    assert_eq!(said(run(&mut a, 60_000 * MS).await), 1, "it is another configuration's");
}

#[tokio::test(start_paused = true)]
async fn routers_of_a_link_share_how_fast_they_announce() {
    let link = Link::new(1);
    let mut driver = Driver::new(Port { link: link.clone(), place: 0, buffer: Vec::new() });
    let mut announcements = Announcements::default();
    (announcements.first, announcements.spacing) = (2, 40 * MS);
    for (id, last) in [(ID, 1), (OTHER, 2)] {
        let addresses = AddressList::new([virtual_address(last)]).unwrap();
        let vrid = Vrid::new(FIRST - 1 + last).unwrap();
        let channel = ChannelConfig::new(vrid, host(0), addresses).unwrap();
        let mut router = config(0, 255);
        router.announcements(announcements);
        driver.add(id, router, Channel::new(channel));
        driver.startup(id);
    }
    let start = Instant::now();
    let mut driver = Alone(driver);
    run(&mut driver, 500 * MS).await;
    let hosts = link.hosts();
    let said = hosts[0].announced.iter().map(|(at, address)| (*at - start, *address));
    let [one, other] = [1, 2].map(virtual_address);
    let expected = [(0, one), (40, other), (80, one), (120, other)];
    for ((at, address), (millis, who)) in said.zip(expected) {
        // The timers of tokio count whole milliseconds.
        let exact = MS * millis;
        assert!(address == who && at >= exact && at <= exact + 2 * MS, "{at:?} {address}");
    }
    assert_eq!(hosts[0].announced.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn another_configuration_touches_only_what_changed() {
    let link = Link::new(2);
    let (mut a, mut b) = (driver(&link, 0, 200), driver(&link, 1, 100));
    run_both(&mut a, &mut b, 10_000 * MS).await;
    let addresses = AddressList::new([virtual_address(1), virtual_address(2)]).unwrap();
    let channel = ChannelConfig::new(Vrid::new(51).unwrap(), host(0), addresses).unwrap();
    a.0.reconfigure(ID, config(0, 190), channel, ()).unwrap();
    assert_eq!(link.held(0), 2);
    let (_, reports) = tokio::join!(run(&mut a, 10_000 * MS), run(&mut b, 10_000 * MS));
    assert_eq!((role(&a), role(&b)), (Role::Master, Role::Backup));
    assert!(b.counters().addresses_differ > 5, "heard, and worth an alarm");
    let differ = |report: &&Report| matches!(report, Report::AddressesDiffer { sender } if *sender == host(0));
    assert_eq!(reports.iter().filter(differ).count(), 1, "but not more than one");
    a.0.reconfigure(ID, config(0, 190), self::channel(0, 1), ()).unwrap();
    assert_eq!(link.hosts()[0].held, BTreeSet::from([virtual_address(1)]));
    assert_eq!(a.counters().became_master, 1);
}

/// Two masters because of a password are said to be that, once: the link may be flooded, the log not.
#[tokio::test(start_paused = true)]
async fn what_is_refused_is_said_now_and_then() {
    let link = Link::new(2);
    let mut routers = [(0, 200, "this"), (1, 100, "that")].map(|(place, priority, password)| {
        let mut router = config(place, priority);
        router.version(Version::V2, Interval::SECOND).unwrap();
        let port = Port { link: link.clone(), place, buffer: Vec::new() };
        Alone::new(router, Channel::new(with_password(place, password)), port)
    });
    let [a, b] = &mut routers;
    let (_, reports) = tokio::join!(run(a, 599_000 * MS), run(b, 599_000 * MS));
    assert_eq!((role(a), role(b)), (Role::Master, Role::Master));
    let refused = |report: &&Report| {
        let Report::Refused { sender, refusal } = report else { return false };
        assert_eq!((*sender, refusal.to_string().as_str()), (Some(host(0)), "another password"));
        true
    };
    assert_eq!(reports.iter().filter(refused).count(), 1, "{reports:?}");
    let (_, reports) = tokio::join!(run(a, 600_000 * MS), run(b, 600_000 * MS));
    assert_eq!(reports.iter().filter(refused).count(), 1, "it goes on");
    let mut router = config(1, 100);
    router.version(Version::V2, Interval::SECOND).unwrap();
    b.0.reconfigure(ID, router.clone(), with_password(1, "those"), ()).unwrap();
    let (_, reports) = tokio::join!(run(a, 2_000 * MS), run(b, 2_000 * MS));
    assert_eq!(reports.iter().filter(refused).count(), 1, "with another configuration, too");
    b.0.reconfigure(ID, router, with_password(1, "this"), ()).unwrap();
    let (_, reports) = tokio::join!(run(a, 2_000 * MS), run(b, 2_000 * MS));
    assert_eq!(reports.iter().filter(refused).count(), 0);
    assert_eq!((role(a), role(b)), (Role::Master, Role::Backup));
}

fn with_password(place: usize, password: &str) -> ChannelConfig {
    let mut channel = channel(place, 1);
    channel.version(Version::V2, Interval::SECOND).unwrap();
    channel.authentication(Authentication::password(password.as_bytes())).unwrap();
    channel
}

/// Nothing is heard of the other one: both are masters, and one gives way when they hear again.
#[tokio::test(start_paused = true)]
async fn a_partition_heals() {
    let link = Link::new(2);
    let (mut a, mut b) = (driver(&link, 0, 200), driver(&link, 1, 100));
    link.hosts()[0].deaf = true;
    link.hosts()[1].deaf = true;
    run_both(&mut a, &mut b, 10_000 * MS).await;
    assert_eq!((link.held(0), link.held(1)), (1, 1));
    assert!(a.router().is_lonely() && b.router().is_lonely());
    link.hosts().iter_mut().for_each(|host| host.deaf = false);
    let (_, reports) = tokio::join!(run(&mut a, 1_010 * MS), run(&mut b, 1_010 * MS));
    assert_eq!((link.held(0), link.held(1)), (1, 0));
    let gave_way = |report: &Report| {
        let Report::Event(Event::Transition { because, .. }) = report else { return false };
        *because == Because::Outranked { source: host(0), priority: Priority::new(200) }
    };
    assert!(reports.iter().any(gave_way));
    assert_eq!(a.router().config().interval(), Interval::SECOND);
}

/// One clock is set back and forth by an hour, or both are: nobody goes by it, not even the trailer as
/// long as all of them are set.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_changes_nothing() {
    const HOUR: Duration = Duration::from_secs(3600);
    for is_signed in [false, true] {
        let link = Link::new(2);
        link.hosts().iter_mut().for_each(|host| host.clock = 10 * HOUR);
        let mut routers = [(0, 200), (1, 100)].map(|(place, priority)| {
            let mut channel = channel(place, 1);
            if is_signed {
                let keys = HmacKeys::new(1, &[7; 32]).unwrap();
                channel.authentication(Authentication::hmac(keys)).unwrap();
            }
            let port = Port { link: link.clone(), place, buffer: Vec::new() };
            Alone::new(config(place, priority), Channel::new(channel), port)
        });
        let [a, b] = &mut routers;
        run_both(a, b, 10_000 * MS).await;
        for hours in [9, 11, 9, 12, 10] {
            let moved = if is_signed { 2 } else { 1 };
            link.hosts().iter_mut().take(moved).for_each(|host| host.clock = hours * HOUR);
            let (_, reports) = tokio::join!(run(a, 10_000 * MS), run(b, 10_000 * MS));
            assert!(reports.is_empty(), "{is_signed}: {reports:?}");
        }
        assert_eq!((role(a), role(b)), (Role::Master, Role::Backup));
        assert_eq!((a.counters().became_master, b.counters().became_master), (1, 0));
    }
}

/// Two routers on each host, master together or not at all.
#[tokio::test(start_paused = true)]
async fn groups_move_together_and_can_be_dissolved() {
    let link = Link::new(2);
    let mut drivers = [(0, 200), (1, 100)].map(|(place, priority)| {
        let port = Port { link: link.clone(), place, buffer: Vec::new() };
        let mut driver = Driver::new(port);
        for (id, last) in [(ID, 1), (OTHER, 2)] {
            let addresses = AddressList::new([virtual_address(last)]).unwrap();
            let vrid = Vrid::new(FIRST - 1 + last).unwrap();
            let channel = ChannelConfig::new(vrid, host(place), addresses).unwrap();
            driver.add(id, config(place, priority), Channel::new(channel));
        }
        driver.set_groups(&[vec![ID, OTHER]]).unwrap();
        driver.startup(ID);
        Alone(driver)
    });
    let [a, b] = &mut drivers;
    run_both(a, b, 10_000 * MS).await;
    assert_eq!((link.held(0), link.held(1)), (2, 0));

    a.0.fault(OTHER, FaultCause::Admin, true);
    run_both(a, b, 10_000 * MS).await;
    assert_eq!((link.held(0), link.held(1)), (0, 2), "one is at fault, and so are both");
    assert!(a.router().faults().contains(FaultCause::Group));
    // The same groups are no other groups.
    b.0.set_groups(&[vec![ID, OTHER]]).unwrap();
    run_both(a, b, 1_000 * MS).await;
    assert_eq!(b.counters().became_master, 1);

    // Each for itself: the fit one comes back, and takes its own address alone.
    a.0.set_groups(&[]).unwrap();
    b.0.set_groups(&[]).unwrap();
    run_both(a, b, 10_000 * MS).await;
    assert_eq!(link.hosts()[0].held, BTreeSet::from([virtual_address(1)]));
    assert_eq!(link.hosts()[1].held, BTreeSet::from([virtual_address(2)]));

    // One is removed, and forgotten when it has ended.
    a.0.remove(ID);
    run_both(a, b, 10_000 * MS).await;
    assert!(a.0.router(ID).is_none() && a.0.router(OTHER).is_some());
    assert_eq!((link.held(0), link.held(1)), (0, 2));
}

/// Whatever the way that it comes by.
#[tokio::test(start_paused = true)]
async fn a_group_is_of_routers_that_can_move_together() {
    const CARP: RouterId = RouterId::new(9);
    let link = Link::new(1);
    let mut driver = Driver::new(Port { link: link.clone(), place: 0, buffer: Vec::new() });
    let channel = |last: u8| {
        let addresses = AddressList::new([virtual_address(last)]).unwrap();
        ChannelConfig::new(Vrid::new(FIRST - 1 + last).unwrap(), host(0), addresses).unwrap()
    };
    for (id, last) in [(ID, 1), (OTHER, 2)] {
        driver.add(id, config(0, 100), Channel::new(channel(last)));
    }
    let addresses = AddressList::new([virtual_address(3)]).unwrap();
    let key = CarpKey::new(b"secret", Vrid::new(9).unwrap(), addresses.as_addresses());
    driver.add_carp(CARP, CarpConfig::new(host(0)), CarpChannel::new(host(0), key), addresses);

    let carp = driver.set_groups(&[vec![CARP, ID, OTHER]]);
    assert_eq!(carp, Err(GroupError::Carp { member: 0 }));
    let shared = driver.set_groups(&[vec![ID, OTHER], vec![OTHER]]);
    assert_eq!(shared, Err(GroupError::Shared { member: 0 }));
    let shared = driver.set_groups(&[vec![ID, ID]]);
    assert_eq!(shared, Err(GroupError::Shared { member: 1 }));
    // Who is not known is not minded.
    driver.set_groups(&[vec![RouterId::new(77), OTHER, ID]]).unwrap();
    let mut weighty = config(0, 100);
    weighty.track(TrackerId::new(0), Tracker::weighing(-10));
    let refused = driver.reconfigure(OTHER, weighty.clone(), channel(1), ());
    assert_eq!(refused, Err(GroupError::Weighted { member: 0 }));
    assert_eq!(driver.router(OTHER).unwrap().config(), &config(0, 100));

    // Each is still in its place.
    driver.startup(ID);
    driver.fault(ID, FaultCause::Admin, true);
    assert!(driver.router(ID).unwrap().faults().contains(FaultCause::Admin));
    assert!(driver.router(OTHER).unwrap().faults().contains(FaultCause::Group));
    assert_eq!(driver.role(CARP), Role::Initialize);
    driver.set_groups(&[]).unwrap();
    driver.reconfigure(OTHER, weighty, channel(2), ()).unwrap();
}

/// CARP is driven in the same loop, beside VRRP.
#[tokio::test(start_paused = true)]
async fn a_carp_host_is_driven_as_a_router_is() {
    let link = Link::new(2);
    let mut drivers = [(0, 0), (1, 100)].map(|(place, skew)| {
        let port = Port { link: link.clone(), place, buffer: Vec::new() };
        let mut driver = Driver::new(port);
        let addresses = AddressList::new([virtual_address(1)]).unwrap();
        let vhid = Vrid::new(FIRST).unwrap();
        let key = CarpKey::new(b"secret", vhid, addresses.as_addresses());
        let mut config = CarpConfig::new(host(place));
        config.period(1, skew).unwrap().preempt(true);
        driver.add_carp(ID, config, CarpChannel::new(host(place), key), addresses);
        driver.startup(ID);
        Alone(driver)
    });
    let [a, b] = &mut drivers;
    run_both(a, b, 10_000 * MS).await;
    let role = |driver: &Alone| driver.0.role(ID);
    assert_eq!((role(a), role(b)), (Role::Master, Role::Backup));
    assert_eq!((link.held(0), link.held(1)), (1, 0));
    // Another skew, and one address more: nobody gives anything up.
    let addresses = AddressList::new([virtual_address(1), virtual_address(2)]).unwrap();
    for (place, driver) in [(0, &mut *a), (1, &mut *b)] {
        let vhid = Vrid::new(FIRST).unwrap();
        let unspecified = IpAddr::from([0, 0, 0, 0]);
        let mut config = CarpConfig::new(unspecified);
        config.period(1, 10 + 100 * place as u8).unwrap().preempt(true);
        let key = CarpKey::new(b"secret", vhid, addresses.as_addresses());
        let carp = CarpChannel::new(unspecified, key);
        let channel = ChannelConfig::new(vhid, unspecified, addresses.clone()).unwrap();
        driver.0.reconfigure_carp(ID, config, carp, &channel, ());
    }
    let added = link.hosts()[0].added;
    let before = a.counters().announced;
    run_both(a, b, 10_000 * MS).await;
    assert_eq!((link.held(0), link.held(1)), (2, 0));
    assert_eq!((a.counters().became_master, b.counters().became_master), (1, 0));
    assert_eq!(link.hosts()[0].added, added);
    assert!(a.counters().announced >= before + 20, "both are spoken of");
    let (_, last) = link.hosts()[0].said.last().unwrap().clone();
    assert_eq!(Datagram::ipv4(&last).unwrap().source(), host(0), "from where it was");
    link.arrive(0, Waiting::Source(None));
    run_both(a, b, 100 * MS).await;
    assert_eq!((role(a), role(b)), (Role::Fault, Role::Master), "it gave up, and was heard");
    assert!(!a.0.holds_addresses(ID) && b.0.holds_addresses(ID));
    link.arrive(0, Waiting::Source(Some(host(0))));
    run_both(a, b, 10_000 * MS).await;
    assert_eq!((link.held(0), link.held(1)), (2, 0));
    a.shutdown();
    assert!(a.0.is_releasing(ID) && a.0.holds_addresses(ID));
    run_both(a, b, 2_000 * MS).await;
    assert_eq!((link.held(0), link.held(1)), (0, 2));
    assert!(a.next().await.is_none());
}
