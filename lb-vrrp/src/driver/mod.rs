//! The loop around [`VirtualRouter`]s and CARP hosts: the only place in this crate that reads the clock for them.

mod announcer;
mod budget;
mod complaints;
mod counters;
mod debounce;
mod groups;
mod links;
mod member;
mod network;
mod reconfigure;
mod report;
pub(crate) mod restorer;
mod turn;
mod unit;
mod voice;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::time::Instant;

use tokio::time;

pub use self::announcer::Pacing;
pub use self::counters::Counters;
pub use self::debounce::Debounce;
use self::links::Links;
use self::member::Member;
pub use self::network::{Input, Network, RouterId};
pub use self::report::{Leftover, Operation, Report};
use self::unit::{Happening, Machine, Unit};
use self::voice::Voice;
use crate::addresses::AddressList;
use crate::carp::{CarpChannel, CarpConfig, CarpHost};
use crate::channel::Channel;
use crate::config::Config;
use crate::router::{NotMaster, Role, VirtualRouter};
use crate::tracking::{FaultCause, Signal, TrackerId};

/// Drives any number of [`VirtualRouter`]s, alone and in groups, and of [`CarpHost`]s, over one
/// [`Network`].
///
/// It keeps to the contract of the routers: one input, every action in order, the socket before the
/// clock. It only runs while [`Self::next`] is awaited; whatever is done in between must not take
/// longer than an interval, or others take over. Who is not known is not minded.
///
/// # Panics
/// [`Self::next`] does outside of a tokio runtime with time enabled.
///
/// ```
/// use lb_vrrp::driver::{Driver, Network, Report, RouterId};
/// use lb_vrrp::{Channel, ChannelConfig, Config};
///
/// async fn run(network: impl Network, id: RouterId, channel: ChannelConfig) {
///     let mut driver = Driver::new(network);
///     driver.add(id, Config::of(&channel), Channel::new(channel));
///     driver.startup(id);
///     // Beside other branches of a `select!`, say one that calls `driver.shutdown()`.
///     while let Some((id, report)) = driver.next().await {
///         match report {
///             Report::Event(event) => println!("{id:?}: {event:?}"), // scripts, metrics
///             failed => eprintln!("{id:?}: {failed:?}"),
///         }
///     }
/// }
/// ```
pub struct Driver<N> {
    network: N,
    pacing: Pacing,
    /// Who decides, and for whom; what is gone leaves its place empty.
    units: Vec<Option<Unit>>,
    /// Where each router is: its unit, and its place therein.
    places: HashMap<RouterId, (usize, usize)>,
    /// When which unit is due.
    deadlines: BTreeSet<(Instant, usize)>,
    links: Links,
    reports: VecDeque<(RouterId, Report)>,
    is_shut_down: bool,
}

impl<N> fmt::Debug for Driver<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = self.units.iter().flatten();
        let each = units.flat_map(|unit| {
            unit.members.iter().enumerate().map(|(place, member)| {
                (member.id, (unit.machine.holds_addresses(place), &member.counters))
            })
        });
        f.debug_map().entries(each).finish()
    }
}

impl<N: Network> Driver<N> {
    /// One without routers.
    pub fn new(network: N) -> Self {
        Self {
            network,
            pacing: Pacing::default(),
            units: Vec::new(),
            places: HashMap::new(),
            deadlines: BTreeSet::new(),
            links: Links::default(),
            reports: VecDeque::new(),
            is_shut_down: false,
        }
    }

    /// Announces at this speed, for each router that is added from now on. Default: as [`Pacing`]
    /// says.
    #[must_use]
    pub const fn pacing(mut self, pacing: Pacing) -> Self {
        self.pacing = pacing;
        self
    }

    /// Adds a router that the network knows as `id`, and that is not started yet.
    pub fn add(&mut self, id: RouterId, router: Config, channel: Channel) {
        let machine = Machine::Alone(Box::new(VirtualRouter::new(router)));
        self.place(Unit::new(
            machine,
            vec![Member::new(id, Voice::Vrrp(Box::new(channel)), self.pacing)],
        ));
    }

    /// Adds a host that speaks CARP, that the network knows as `id`, and that is not started yet.
    pub fn add_carp(
        &mut self,
        id: RouterId,
        host: CarpConfig,
        channel: CarpChannel,
        addresses: AddressList,
    ) {
        let machine = Machine::Carp(Box::new(CarpHost::new(host)));
        let voice = Voice::carp(channel, addresses);
        let member = Member::new(id, voice, self.pacing);
        self.place(Unit::new(machine, vec![member]));
    }

    /// Has a router mind only changes of interfaces that last.
    pub fn debounce(&mut self, id: RouterId, limits: Debounce) {
        if let Some((unit, place)) = self.find(id)
            && let Some(unit) = &mut self.units[unit]
        {
            unit.members[place].debouncer.limits = limits;
        }
    }

    /// Begins to take part: see [`VirtualRouter::startup`]. A member of a group begins with it. What
    /// the network knows is heard first: where to speak from, and what is left over.
    pub fn startup(&mut self, id: RouterId) {
        self.is_shut_down = false;
        self.read();
        self.input(id, |machine, _, now| machine.startup(now));
    }

    /// Ends all: see [`VirtualRouter::shutdown`]. [`Self::next`] says `None` when it is over; a
    /// second call does not wait for successors.
    pub fn shutdown(&mut self) {
        self.is_shut_down = true;
        for at in 0..self.units.len() {
            let now = now();
            if let Some(unit) = &mut self.units[at] {
                unit.machine.shutdown(now);
                self.settle(now, at);
            }
        }
    }

    /// Shuts one down, and forgets it when that is over: then there is [`Report::Ended`]. Of a group
    /// it must not be a member any more.
    pub fn remove(&mut self, id: RouterId) {
        if let Some((unit, place)) = self.find(id)
            && let Some(unit) = &mut self.units[unit]
        {
            unit.members[place].is_leaving = true;
        }
        self.input(id, |machine, _, now| machine.shutdown(now));
    }

    /// Gives the addresses of a router, or of its whole group, to whoever is next: see
    /// [`VirtualRouter::switchover`].
    ///
    /// # Errors
    /// [`NotMaster`].
    pub fn switchover(&mut self, id: RouterId) -> Result<(), NotMaster> {
        self.input(id, |machine, _, now| machine.switchover(now)).unwrap_or(Ok(()))
    }

    /// Undoes what [`Self::switchover`] did to preemption.
    pub fn preempt_again(&mut self, id: RouterId) {
        self.input(id, |machine, _, _| machine.preempt_again());
    }

    /// Something that is tracked was seen: see [`VirtualRouter::handle_tracking`].
    pub fn track(&mut self, id: RouterId, tracker: TrackerId, signal: Signal) {
        self.happen(id, Happening::Tracked(tracker, signal));
    }

    /// A cause of fault appeared or went away: see [`VirtualRouter::handle_fault`].
    pub fn fault(&mut self, id: RouterId, cause: FaultCause, present: bool) {
        self.happen(id, Happening::Fault(cause, present));
    }

    /// What a router or host is; nothing that takes part if it is not known. Who is releasing is master
    /// until it is over.
    pub fn role(&self, id: RouterId) -> Role {
        self.ask(id, Machine::role).unwrap_or(Role::Initialize)
    }

    /// Whether a router or host gave up, and only answers for its addresses until the successor does.
    pub fn is_releasing(&self, id: RouterId) -> bool {
        self.ask(id, Machine::is_releasing).unwrap_or(false)
    }

    /// Whether the addresses of a router or host are on this host, as far as its actions were done.
    pub fn holds_addresses(&self, id: RouterId) -> bool {
        self.ask(id, Machine::holds_addresses).unwrap_or(false)
    }

    /// What only a CARP host has, to look at.
    pub fn carp(&self, id: RouterId) -> Option<&CarpHost> {
        match &self.unit(self.find(id)?.0)?.machine {
            Machine::Carp(host) => Some(host),
            _ => None,
        }
    }

    /// What only a virtual router has, to look at.
    pub fn router(&self, id: RouterId) -> Option<&VirtualRouter> {
        let (unit, place) = self.find(id)?;
        self.unit(unit)?.machine.routers().get(place)
    }

    /// What was counted for a router.
    pub fn counters(&self, id: RouterId) -> Option<&Counters> {
        let (unit, place) = self.find(id)?;
        Some(&self.unit(unit)?.members.get(place)?.counters)
    }

    /// The network.
    pub const fn network(&self) -> &N {
        &self.network
    }

    /// The network, to introduce a router to it, or to have it forget one.
    pub const fn network_mut(&mut self) -> &mut N {
        &mut self.network
    }

    fn ask<T>(&self, id: RouterId, what: impl FnOnce(&Machine, usize) -> T) -> Option<T> {
        let (unit, place) = self.find(id)?;
        Some(what(&self.unit(unit)?.machine, place))
    }

    fn find(&self, id: RouterId) -> Option<(usize, usize)> {
        self.places.get(&id).copied()
    }

    fn unit(&self, at: usize) -> Option<&Unit> {
        self.units.get(at)?.as_ref()
    }

    fn place(&mut self, unit: Unit) -> usize {
        let free = self.units.iter().position(Option::is_none);
        let at = free.unwrap_or(self.units.len());
        for (place, member) in unit.members.iter().enumerate() {
            self.places.insert(member.id, (at, place));
        }
        match self.units.get_mut(at) {
            Some(slot) => *slot = Some(unit),
            None => self.units.push(Some(unit)),
        }
        at
    }
}

fn now() -> Instant {
    time::Instant::now().into_std()
}
