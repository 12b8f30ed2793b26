//! The loop around a [`VirtualRouter`]: the only place in this crate that reads the clock for it.

mod announcer;
mod counters;
mod network;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tokio::time;

use self::announcer::Announcer;
pub use self::announcer::Pacing;
pub use self::counters::Counters;
pub use self::network::{Input, Network};
use crate::channel::{Channel, ChannelConfig};
use crate::config::Config;
use crate::router::{Action, Event, NotMaster, Role, State, VirtualRouter};
use crate::tracking::{FaultCause, Signal, TrackerId};

/// How much is read before the clock has its turn. More than a socket holds by default (212992
/// octets at 768 or more a packet), so that it is empty unless somebody floods it.
const READS: usize = 512;

/// How long a router whose addresses could not be added leaves them to others before it tries again.
const RETRY: Duration = Duration::from_secs(5);

/// Something that a [`Driver`] tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum Report {
    /// What the router has to say.
    Event(Event),
    /// Something could not be done.
    Failed {
        /// What.
        operation: Operation,
        /// Why.
        error: io::Error,
    },
}

/// What can fail.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// Adding an address. The router is at fault ([`FaultCause::Addresses`]) for five seconds, and
    /// then tries again if nobody else has them.
    Add(IpAddr),
    /// Sending an advertisement: it is as good as lost. Said once, until one was sent again.
    Advertise(IpAddr),
    /// Announcing an address. Said once, until one was announced again.
    Announce(IpAddr),
    /// Hearing anything.
    Receive,
    /// Removing an address, which may now be on two hosts.
    Remove(IpAddr),
}

/// Drives one [`VirtualRouter`] over a [`Network`].
///
/// It keeps to the contract of the router: one input, every action in order, the socket before the
/// clock. It only runs while [`Self::next`] is awaited; whatever is done in between must not take
/// longer than an interval, or others take over.
///
/// # Panics
/// [`Self::next`] does outside of a tokio runtime with time enabled.
///
/// ```
/// use lb_vrrp::driver::{Driver, Network, Report};
/// use lb_vrrp::{Channel, ChannelConfig, Config};
///
/// async fn run(network: impl Network, channel: ChannelConfig) {
///     let router = Config::of(&channel);
///     let mut driver = Driver::new(router, Channel::new(channel), network);
///     driver.startup();
///     // Beside other branches of a `select!`, say one that calls `driver.shutdown()`.
///     while let Some(report) = driver.next().await {
///         match report {
///             Report::Event(event) => println!("{event:?}"), // scripts, metrics
///             failed => eprintln!("{failed:?}"),
///         }
///     }
/// }
/// ```
pub struct Driver<N> {
    router: VirtualRouter,
    channel: Channel,
    network: N,
    announcer: Announcer,
    counters: Counters,
    reports: VecDeque<Report>,
    /// When addresses that could not be added are tried again.
    retry_at: Option<Instant>,
    /// Whether it was said that nothing can be sent.
    is_mute: bool,
    /// Whether it was said that nothing can be announced.
    is_unannounced: bool,
    is_shut_down: bool,
}

impl<N> fmt::Debug for Driver<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("state", self.router.state())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl<N: Network> Driver<N> {
    /// One whose router is not started.
    pub fn new(router: Config, channel: Channel, network: N) -> Self {
        Self {
            router: VirtualRouter::new(router),
            channel,
            network,
            announcer: Announcer::new(Pacing::default()),
            counters: Counters::default(),
            reports: VecDeque::new(),
            retry_at: None,
            is_mute: false,
            is_unannounced: false,
            is_shut_down: false,
        }
    }

    /// Announces at this speed. Default: as [`Pacing`] says.
    #[must_use]
    pub fn pacing(mut self, pacing: Pacing) -> Self {
        self.announcer = Announcer::new(pacing);
        self
    }

    /// Begins to take part: see [`VirtualRouter::startup`].
    pub fn startup(&mut self) {
        self.is_shut_down = false;
        self.input(VirtualRouter::startup);
    }

    /// Ends: see [`VirtualRouter::shutdown`]. [`Self::next`] says `None` when it is over; a second
    /// call does not wait for a successor.
    pub fn shutdown(&mut self) {
        self.is_shut_down = true;
        self.input(VirtualRouter::shutdown);
    }

    /// Gives the addresses to whoever is next: see [`VirtualRouter::switchover`].
    ///
    /// # Errors
    /// [`NotMaster`].
    pub fn switchover(&mut self) -> Result<(), NotMaster> {
        self.input(VirtualRouter::switchover)
    }

    /// Undoes what [`Self::switchover`] did to preemption.
    pub const fn preempt_again(&mut self) {
        self.router.preempt_again();
    }

    /// Something that is tracked was seen: see [`VirtualRouter::handle_tracking`].
    pub fn track(&mut self, id: TrackerId, signal: Signal) {
        self.input(|router, now| router.handle_tracking(now, id, signal));
    }

    /// A cause of fault appeared or went away: see [`VirtualRouter::handle_fault`].
    pub fn fault(&mut self, cause: FaultCause, present: bool) {
        self.input(|router, now| router.handle_fault(now, cause, present));
    }

    /// Takes another configuration without leaving its state. Of the addresses, only those that
    /// came or went are touched.
    pub fn reconfigure(&mut self, router: Config, channel: ChannelConfig) {
        if self.router.holds_addresses() {
            let before = self.channel.config().addresses().clone();
            let after = channel.addresses();
            for gone in before.iter().filter(|old| !after.iter().any(|new| new == *old)) {
                self.announcer.forget(gone);
                let removed = self.network.remove_address(gone);
                self.note(Operation::Remove(gone), removed);
            }
            let fresh: Vec<_> =
                after.iter().filter(|new| !before.iter().any(|old| old == *new)).collect();
            self.channel.reconfigure(channel);
            for address in fresh {
                self.add(now(), address);
            }
        } else {
            self.channel.reconfigure(channel);
        }
        self.input(|machine, now| machine.reconfigure(now, router));
    }

    /// The router, to look at.
    pub const fn router(&self) -> &VirtualRouter {
        &self.router
    }

    /// What was counted.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The network.
    pub const fn network(&self) -> &N {
        &self.network
    }

    /// Runs until there is something to tell; `None` when the router was shut down and has ended.
    ///
    /// Dropping the future loses nothing: call it again. A network that fails for good is reported
    /// at every call.
    pub async fn next(&mut self) -> Option<Report> {
        loop {
            if let Some(report) = self.reports.pop_front() {
                return Some(report);
            }
            if self.is_shut_down && *self.router.state() == State::Initialize {
                return None;
            }
            let heard = match self.next_deadline(now()) {
                Some(at) => {
                    time::timeout_at(at.into(), self.network.ready()).await.unwrap_or(Ok(()))
                }
                None => self.network.ready().await,
            };
            self.note(Operation::Receive, heard);
            self.turn();
        }
    }

    fn next_deadline(&self, now: Instant) -> Option<Instant> {
        [self.router.next_deadline(), self.announcer.next_deadline(now), self.retry_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// The socket, then the clock.
    fn turn(&mut self) {
        self.read();
        let now = now();
        if self.retry_at.take_if(|at| *at <= now).is_some() {
            self.router.handle_fault(now, FaultCause::Addresses, false);
            self.act(now);
        }
        if self.router.next_deadline().is_some_and(|at| at <= now) {
            self.router.handle_timeout(now);
            self.act(now);
        }
        self.announce(now);
    }

    fn read(&mut self) {
        for _ in 0..READS {
            let now = now();
            let utc = self.network.utc();
            let Self { router, channel, network, counters, .. } = self;
            match network.next_input() {
                Ok(None) => return,
                Ok(Some(Input::AddressFound(address))) => router.handle_address_found(address),
                Ok(Some(Input::AddressLost(address))) => router.handle_address_lost(now, address),
                Ok(Some(Input::Fault { cause, present })) => {
                    router.handle_fault(now, cause, present);
                }
                Ok(Some(Input::Source(source))) => {
                    let mut config = channel.config().clone();
                    match source.map(|source| config.source(source).map(|_| ())) {
                        Some(Err(_)) => continue,
                        Some(Ok(())) => channel.reconfigure(config),
                        None => {}
                    }
                    router.handle_source(now, source);
                }
                Ok(Some(Input::Datagram(datagram))) => {
                    match datagram.and_then(|datagram| channel.receive(utc, &datagram)) {
                        Ok(received) => {
                            counters.received += 1;
                            counters.addresses_differ += u64::from(received.addresses_differ);
                            let heard =
                                router.handle_packet(now, received.source, &received.advertisement);
                            counters.discarded += u64::from(heard.is_err());
                        }
                        Err(refusal) => counters.refuse(refusal.reason()),
                    }
                }
                Err(error) => return self.note(Operation::Receive, Err(error)),
            }
            self.act(now);
        }
    }

    /// One input, and what it leads to.
    fn input<T>(&mut self, input: impl FnOnce(&mut VirtualRouter, Instant) -> T) -> T {
        let now = now();
        let answer = input(&mut self.router, now);
        self.act(now);
        self.announce(now);
        answer
    }

    /// All that the router asks for, in its order.
    fn act(&mut self, now: Instant) {
        while let Some(action) = self.router.poll_action() {
            match action {
                Action::AddAddresses => {
                    for address in self.addresses() {
                        self.add(now, address);
                    }
                }
                Action::RestoreAddress(address) => self.add(now, address),
                Action::RemoveAddresses => {
                    self.announcer.clear();
                    for address in self.addresses() {
                        let removed = self.network.remove_address(address);
                        self.note(Operation::Remove(address), removed);
                    }
                }
                Action::RemoveAddress(address) => {
                    let removed = self.network.remove_address(address);
                    self.note(Operation::Remove(address), removed);
                }
                Action::Advertise(priority) => {
                    let mut failed = None;
                    let Self { channel, network, counters, .. } = self;
                    channel.advertise(network.utc(), priority, |destination, packet| match network
                        .send(destination, packet)
                    {
                        Ok(()) => counters.sent += 1,
                        Err(error) => {
                            counters.not_sent += 1;
                            failed = Some((Operation::Advertise(destination), error));
                        }
                    });
                    let is_news = !std::mem::replace(&mut self.is_mute, failed.is_some());
                    if let Some((operation, error)) = failed.filter(|_| is_news) {
                        self.note(operation, Err(error));
                    }
                }
                Action::Announce { times } => {
                    for address in self.channel.config().addresses().iter() {
                        self.announcer.ask(address, times);
                    }
                }
                Action::Notify(event) => {
                    let master = matches!(event, Event::Transition { to: Role::Master, .. });
                    self.counters.became_master += u64::from(master);
                    self.reports.push_back(Report::Event(event));
                }
            }
        }
    }

    /// What is due of the announcements.
    fn announce(&mut self, now: Instant) {
        while let Some(address) = self.announcer.pop(now) {
            let told = self.network.announce(address);
            self.counters.announced += u64::from(told.is_ok());
            if !std::mem::replace(&mut self.is_unannounced, told.is_err()) {
                self.note(Operation::Announce(address), told);
            }
        }
    }

    fn add(&mut self, now: Instant, address: IpAddr) {
        let added = self.network.add_address(address);
        if added.is_err() {
            self.router.handle_fault(now, FaultCause::Addresses, true);
            self.retry_at = Some(now + RETRY);
        }
        self.note(Operation::Add(address), added);
    }

    fn addresses(&self) -> Vec<IpAddr> {
        self.channel.config().addresses().iter().collect()
    }

    fn note(&mut self, operation: Operation, result: io::Result<()>) {
        if let Err(error) = result {
            self.reports.push_back(Report::Failed { operation, error });
        }
    }
}

fn now() -> Instant {
    time::Instant::now().into_std()
}
