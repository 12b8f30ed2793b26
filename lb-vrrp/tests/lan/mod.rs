//! A simulated link: virtual time, any number of hosts, and everything that goes wrong with both.
//!
//! It keeps to the contract of `VirtualRouter` as a real driver has to: datagrams before time, every
//! action in order. What must always hold is asserted at every step.
#![allow(dead_code, reason = "every test uses a part of it")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use lb_vrrp::wire::{Advertisement, Datagram};
use lb_vrrp::{
    Action, AddressList, Authentication, Channel, ChannelConfig, Config, Event, Interval, Peer,
    Priority, Reach, Reason, Role, State, Version, VirtualRouter, Vrid,
};

pub(crate) const MS: Duration = Duration::from_millis(1);

/// The address of the host at this place.
pub(crate) fn host(place: usize) -> IpAddr {
    IpAddr::from([10, 0, 0, place as u8 + 1])
}

/// Version 3, this priority, every 100 ms, at this place.
pub(crate) fn config(place: usize, priority: u8) -> Config {
    let mut config = Config::new(host(place));
    config
        .priority(Priority::new(priority))
        .unwrap()
        .version(Version::V3, Interval::from_centis(10).unwrap())
        .unwrap();
    config
}

/// The same over IPv6: higher places have higher addresses there, too.
pub(crate) fn host_v6(place: usize) -> IpAddr {
    IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, place as u16 + 1])
}

/// How hosts speak, if packets are as they are on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Speech {
    pub(crate) authentication: Authentication,
    /// To each other one instead of to the group.
    pub(crate) unicast: bool,
}

/// A channel for such a router.
fn channel(config: &Config, speech: &Speech, hosts: usize) -> Channel {
    let source = config.source();
    let (addresses, host): (IpAddr, fn(usize) -> IpAddr) = match source {
        IpAddr::V4(_) => ([10, 9, 9, 9].into(), host),
        IpAddr::V6(_) => ([0xfe80, 0, 0, 0, 0, 0, 9, 9].into(), host_v6),
    };
    let addresses = AddressList::new([addresses]).unwrap();
    let mut channel = ChannelConfig::new(Vrid::new(51).unwrap(), source, addresses).unwrap();
    channel.version(config.protocol(), config.interval()).unwrap();
    channel.authentication(speech.authentication.clone()).unwrap();
    if speech.unicast {
        let peers = (0..hosts).map(host).filter(|peer| *peer != source).map(Peer::new);
        channel.reach(Reach::unicast(peers.collect())).unwrap();
    }
    Channel::new(channel)
}

/// SplitMix64: small, and the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn duration(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.below(most.as_micros() as u64 + 1))
    }
}

/// How bad the network is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// Percent of datagrams that are lost, for each receiver.
    pub(crate) loss: u64,
    /// Percent that arrive twice.
    pub(crate) duplication: u64,
    /// Each takes anything up to this, so that later ones overtake earlier ones.
    pub(crate) delay: Duration,
    /// Hosts wake up late by anything up to this.
    pub(crate) lateness: Duration,
}

impl Weather {
    pub(crate) const FINE: Self = Self {
        loss: 0,
        duplication: 0,
        delay: Duration::from_micros(200),
        lateness: Duration::from_micros(100),
    };
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Said {
    from: usize,
    priority: Priority,
    interval: Interval,
    version: bool,
    /// As it is on the wire, and where to, if hosts speak through channels.
    packet: Option<(IpAddr, Vec<u8>)>,
}

/// One host.
pub(crate) struct Host {
    pub(crate) router: VirtualRouter,
    config: Config,
    channel: Option<Channel>,
    /// Whether the daemon runs.
    pub(crate) running: bool,
    paused_until: Option<Duration>,
    inbox: VecDeque<Said>,
    /// How far its clock is ahead: clocks only jump forward.
    jumped: Duration,
    /// How late its next wake-up is.
    late: Duration,
    /// Whether the addresses are on the host.
    pub(crate) holds: bool,
    /// Whether they are there although nobody manages them.
    pub(crate) orphaned: bool,
    pub(crate) advertised: u64,
    /// Announcements, in gratuitous ARPs an address.
    pub(crate) announced: u64,
    pub(crate) discarded: u64,
    pub(crate) refused: u64,
    pub(crate) events: Vec<(Duration, Event)>,
    /// When, and with which priority.
    pub(crate) said: Vec<(Duration, Priority)>,
    pub(crate) keep_log: bool,
}

/// The link and its hosts.
pub(crate) struct Lan {
    start: Instant,
    pub(crate) now: Duration,
    pub(crate) hosts: Vec<Host>,
    in_flight: BinaryHeap<Reverse<(Duration, u64, usize, Said)>>,
    sent: u64,
    /// `cut[from][to]`.
    cut: Vec<Vec<bool>>,
    weather: Weather,
    dice: Dice,
    /// How hosts speak through channels, if they do.
    speech: Option<Speech>,
    /// Since when two hosts are both master and hear each other, for `a < b`.
    both_since: Vec<Vec<Option<Duration>>>,
    pub(crate) longest_both: Duration,
}

impl Lan {
    #[allow(clippy::disallowed_methods, reason = "any instant is the beginning")]
    pub(crate) fn new(configs: impl IntoIterator<Item = Config>, seed: u64) -> Self {
        let host = |config: Config| Host {
            router: VirtualRouter::new(config.clone()),
            config,
            channel: None,
            running: false,
            paused_until: None,
            inbox: VecDeque::new(),
            jumped: Duration::ZERO,
            late: Duration::ZERO,
            holds: false,
            orphaned: false,
            advertised: 0,
            announced: 0,
            discarded: 0,
            refused: 0,
            events: Vec::new(),
            said: Vec::new(),
            keep_log: true,
        };
        let hosts: Vec<_> = configs.into_iter().map(host).collect();
        let count = hosts.len();
        Self {
            start: Instant::now(),
            now: Duration::ZERO,
            hosts,
            in_flight: BinaryHeap::new(),
            sent: 0,
            cut: vec![vec![false; count]; count],
            weather: Weather::FINE,
            dice: Dice(seed),
            speech: None,
            both_since: vec![vec![None; count]; count],
            longest_both: Duration::ZERO,
        }
    }

    /// With packets as they are on the wire. Before anybody is started.
    pub(crate) fn speaking(mut self, speech: Speech) -> Self {
        self.speech = Some(speech);
        self
    }

    /// The address that a host speaks from.
    fn address(&self, place: usize) -> IpAddr {
        self.hosts[place].config.source()
    }

    /// With all hosts started.
    pub(crate) fn started(configs: impl IntoIterator<Item = Config>) -> Self {
        let mut lan = Self::new(configs, 1);
        for place in 0..lan.hosts.len() {
            lan.boot(place);
        }
        lan
    }

    pub(crate) fn state(&self, place: usize) -> &State {
        self.hosts[place].router.state()
    }

    pub(crate) fn role(&self, place: usize) -> Role {
        self.state(place).role()
    }

    /// Who is master, releasing ones included.
    pub(crate) fn masters(&self) -> Vec<usize> {
        let places = 0..self.hosts.len();
        places
            .filter(|&place| self.hosts[place].running && self.role(place) == Role::Master)
            .collect()
    }

    /// The clock of a host.
    fn clock(&self, place: usize) -> Instant {
        self.start + self.now + self.hosts[place].jumped
    }

    /// One input to a router, and then what it asks for.
    pub(crate) fn with<T>(
        &mut self,
        place: usize,
        input: impl FnOnce(&mut VirtualRouter, Instant) -> T,
    ) -> T {
        let now = self.clock(place);
        let answer = input(&mut self.hosts[place].router, now);
        self.drain(place);
        answer
    }

    /// Starts the daemon, or the host with it. What it finds of its addresses is for the router.
    pub(crate) fn boot(&mut self, place: usize) {
        let host = &mut self.hosts[place];
        if host.running {
            return;
        }
        host.running = true;
        host.paused_until = None;
        host.inbox.clear();
        host.router = VirtualRouter::new(host.config.clone());
        self.hosts[place].channel = self.new_channel(place);
        self.with(place, VirtualRouter::startup);
        if self.hosts[place].orphaned {
            self.with(place, |router, _| router.handle_address_found([10, 9, 9, 9].into()));
            self.hosts[place].orphaned = false;
        }
    }

    fn new_channel(&self, place: usize) -> Option<Channel> {
        let speech = self.speech.as_ref()?;
        Some(channel(&self.hosts[place].config, speech, self.hosts.len()))
    }

    /// What the host is configured with.
    pub(crate) fn config(&self, place: usize) -> &Config {
        &self.hosts[place].config
    }

    /// Takes another configuration, now if it runs, with the same version and interval.
    pub(crate) fn reload(&mut self, place: usize, config: Config) {
        self.hosts[place].config = config.clone();
        if self.hosts[place].running {
            self.with(place, |router, now| router.reconfigure(now, config));
        }
    }

    /// From now on the network is quiet, and everybody awake: what was under way is lost.
    pub(crate) fn calm_down(&mut self) {
        self.heal();
        self.set_weather(Weather::FINE);
        self.in_flight.clear();
        for host in &mut self.hosts {
            host.paused_until = None;
        }
        // What waits is heard, and who overslept acts.
        self.step();
    }

    /// The host dies, and its addresses with it.
    pub(crate) fn crash(&mut self, place: usize) {
        let host = &mut self.hosts[place];
        host.running = false;
        host.holds = false;
        host.orphaned = false;
    }

    /// The daemon dies, and leaves its addresses behind.
    pub(crate) fn kill(&mut self, place: usize) {
        let host = &mut self.hosts[place];
        host.running = false;
        host.orphaned |= host.holds;
        host.holds = false;
    }

    /// The daemon stops running for a while; what comes waits in its socket.
    pub(crate) fn pause(&mut self, place: usize, length: Duration) {
        let until = self.now + length;
        let host = &mut self.hosts[place];
        host.paused_until = Some(host.paused_until.map_or(until, |set| set.max(until)));
    }

    /// The clock of a host jumps forward.
    pub(crate) fn jump(&mut self, place: usize, by: Duration) {
        self.hosts[place].jumped += by;
    }

    /// What `from` says does, or does not, reach `to`.
    pub(crate) fn cut(&mut self, from: usize, to: usize, cut: bool) {
        self.cut[from][to] = cut;
    }

    /// Nothing reaches `place` or comes from it.
    pub(crate) fn isolate(&mut self, place: usize, cut: bool) {
        for other in 0..self.hosts.len() {
            self.cut[place][other] = cut;
            self.cut[other][place] = cut;
        }
    }

    /// Everything reaches everybody again.
    pub(crate) fn heal(&mut self) {
        self.cut.iter_mut().for_each(|row| row.fill(false));
    }

    pub(crate) fn weather(&self) -> Weather {
        self.weather
    }

    /// From now on. What is under way still takes as long as it was to take.
    pub(crate) fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
        self.both_since.iter_mut().for_each(|row| row.fill(None));
        for host in &mut self.hosts {
            host.late = host.late.min(weather.lateness);
        }
    }

    pub(crate) fn run_for(&mut self, length: Duration) {
        self.run_until(self.now + length);
    }

    pub(crate) fn run_until(&mut self, end: Duration) {
        while let Some(next) = self.next_event().filter(|&next| next <= end) {
            self.now = self.now.max(next);
            self.step();
            self.check();
        }
        self.now = end;
        self.check();
    }

    fn next_event(&self) -> Option<Duration> {
        let arrival = self.in_flight.peek().map(|Reverse((at, ..))| *at);
        let places = 0..self.hosts.len();
        let wakes = places.filter_map(|place| self.next_wake(place));
        wakes.chain(arrival).min()
    }

    fn next_wake(&self, place: usize) -> Option<Duration> {
        let host = &self.hosts[place];
        if !host.running {
            return None;
        }
        if host.paused_until.is_some() {
            return host.paused_until;
        }
        let deadline = host.router.next_deadline()?;
        let at = deadline.saturating_duration_since(self.start + host.jumped);
        Some(at + host.late)
    }

    /// All that happens at `now`.
    fn step(&mut self) {
        // What has arrived is in the sockets before anybody looks at a clock.
        while self.in_flight.peek().is_some_and(|Reverse((at, ..))| *at <= self.now) {
            let Some(Reverse((_, _, to, said))) = self.in_flight.pop() else { break };
            let host = &mut self.hosts[to];
            // A socket's buffer is not endless.
            if host.running && host.inbox.len() < 64 {
                host.inbox.push_back(said);
            }
        }
        for place in 0..self.hosts.len() {
            let host = &mut self.hosts[place];
            if !host.running {
                continue;
            }
            if host.paused_until.is_some_and(|until| until > self.now) {
                continue;
            }
            host.paused_until = None;
            while let Some(said) = self.hosts[place].inbox.pop_front() {
                self.deliver(place, said);
            }
            if self.next_wake(place).is_some_and(|at| at <= self.now) {
                self.with(place, VirtualRouter::handle_timeout);
                let late = self.dice.duration(self.weather.lateness);
                self.hosts[place].late = late;
                let clock = self.clock(place);
                let deadline = self.hosts[place].router.next_deadline();
                assert!(deadline.is_none_or(|next| next > clock), "a deadline is left behind");
            }
        }
    }

    /// What everybody's wall clock says.
    fn utc(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_750_000_000) + self.now
    }

    fn deliver(&mut self, to: usize, said: Said) {
        let utc = self.utc();
        let source = self.address(said.from);
        if let (Some(channel), Some((destination, packet))) =
            (&mut self.hosts[to].channel, &said.packet)
        {
            let datagram = match (source, destination) {
                (IpAddr::V6(source), IpAddr::V6(destination)) => {
                    Datagram::ipv6(source, *destination, 255, packet)
                }
                _ => Datagram::ipv4(packet).unwrap(),
            };
            match channel.receive(utc, &datagram) {
                Ok(received) => assert_eq!(received.advertisement.priority(), said.priority),
                Err(refusal) => {
                    self.hosts[to].refused += 1;
                    let replay = [Reason::AhReplayed, Reason::TrailerReplayed];
                    let replay = replay.contains(&refusal.reason());
                    assert!(replay || refusal.reason() == Reason::TrailerStale, "{refusal}");
                    self.did_not_hear(said.from, to);
                    return;
                }
            }
        }
        let addresses = AddressList::new([IpAddr::from([10, 9, 9, 9])]).unwrap();
        let advertisement = Advertisement::new(
            if said.version { Version::V3 } else { Version::V2 },
            Vrid::new(51).unwrap(),
            said.priority,
            said.interval,
            addresses.as_addresses(),
        );
        let advertisement = advertisement.unwrap();
        let deadline = self.hosts[to].router.next_deadline();
        let heard = self.with(to, |router, now| router.handle_packet(now, source, &advertisement));
        if heard.is_err() {
            let host = &mut self.hosts[to];
            host.discarded += 1;
            assert_eq!(host.router.next_deadline(), deadline, "ignoring is doing nothing");
        }
    }

    fn drain(&mut self, place: usize) {
        while let Some(action) = self.hosts[place].router.poll_action() {
            let now = self.now;
            let host = &mut self.hosts[place];
            match action {
                Action::AddAddresses => {
                    assert!(!std::mem::replace(&mut host.holds, true), "added twice");
                }
                Action::RemoveAddresses => {
                    assert!(std::mem::take(&mut host.holds), "removed twice");
                }
                Action::Advertise(priority) => {
                    host.advertised += 1;
                    if host.keep_log {
                        host.said.push((now, priority));
                    }
                    self.send(place, priority);
                }
                Action::Announce { times } => {
                    assert!(host.holds, "announced what it does not hold");
                    host.announced += u64::from(times);
                }
                Action::Notify(event) => {
                    if host.keep_log {
                        host.events.push((now, event));
                    }
                }
                Action::RestoreAddress(_) => assert!(host.holds),
                Action::RemoveAddress(_) => {
                    assert!(!host.holds);
                    host.orphaned = false;
                }
                other => panic!("{other:?} is not known here"),
            }
        }
    }

    fn send(&mut self, from: usize, priority: Priority) {
        let utc = self.utc();
        let config = self.hosts[from].router.config();
        let said = Said {
            from,
            priority,
            interval: config.interval(),
            version: config.protocol() == Version::V3,
            packet: None,
        };
        let mut packets = Vec::new();
        if let Some(channel) = &mut self.hosts[from].channel {
            channel.advertise(utc, priority, |to, packet| packets.push((to, packet.to_vec())));
        }
        for to in 0..self.hosts.len() {
            if to == from || self.cut[from][to] {
                continue;
            }
            let mut said = said.clone();
            let address = self.address(to);
            let is_for_it = |(to, _): &&(IpAddr, _)| to.is_multicast() || *to == address;
            said.packet = packets.iter().find(is_for_it).cloned();
            if self.dice.percent(self.weather.loss) {
                self.did_not_hear(from, to);
                continue;
            }
            let copies = 1 + u64::from(self.dice.percent(self.weather.duplication));
            for _ in 0..copies {
                let at = self.now + self.dice.duration(self.weather.delay);
                self.sent += 1;
                self.in_flight.push(Reverse((at, self.sent, to, said.clone())));
            }
        }
    }

    /// One could not take what the other said. If that one is better, it has another interval to be
    /// heard; what it did not hear itself ends no quarrel.
    fn did_not_hear(&mut self, from: usize, to: usize) {
        let (low, high) = (from.min(to), from.max(to));
        if self.outranks(from, to)
            && let Some(since) = &mut self.both_since[low][high]
        {
            *since = self.now;
        }
    }

    /// Whether `a` stays master when both are.
    fn outranks(&self, a: usize, b: usize) -> bool {
        let rank = |place: usize| (self.hosts[place].router.priority(), self.address(place));
        rank(a) > rank(b)
    }

    /// Whether two hosts are awake and can talk.
    fn hear_each_other(&self, a: usize, b: usize) -> bool {
        let awake = |place: usize| {
            let host = &self.hosts[place];
            host.running && host.paused_until.is_none()
        };
        awake(a) && awake(b) && !self.cut[a][b] && !self.cut[b][a]
    }

    /// What holds at any time.
    fn check(&mut self) {
        for host in self.hosts.iter().filter(|host| host.running) {
            let master = host.router.state().role() == Role::Master;
            assert_eq!(host.holds, master, "who holds is master, and the reverse");
            assert_eq!(host.holds, host.router.holds_addresses());
        }
        for a in 0..self.hosts.len() {
            for b in a + 1..self.hosts.len() {
                let is_master = |place: usize| matches!(self.state(place), State::Master(_));
                if !is_master(a) || !is_master(b) || !self.hear_each_other(a, b) {
                    self.both_since[a][b] = None;
                    continue;
                }
                let since = *self.both_since[a][b].get_or_insert(self.now);
                let both = self.now - since;
                let winner = if self.outranks(a, b) { a } else { b };
                let interval = self.hosts[winner].router.config().interval().as_duration();
                let bound = interval + self.weather.delay + self.weather.lateness + MS * 5;
                self.longest_both = self.longest_both.max(both);
                assert!(both <= bound, "{a} and {b} are both master for {both:?} of {bound:?}");
            }
        }
    }
}
