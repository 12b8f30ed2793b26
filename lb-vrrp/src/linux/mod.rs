//! Linux: raw sockets, addresses and routes by netlink, frames by `AF_PACKET`.
//!
//! Opening needs `CAP_NET_RAW`; adding and removing addresses needs `CAP_NET_ADMIN`. Both are looked
//! at in the user namespace that owns the network namespace.

mod alarm;
mod companions;
mod firewall;
mod fixed;
mod holders;
mod leftovers;
mod link;
mod netlink;
mod nft;
mod operations;
mod port;
mod receiver;
mod settings;
mod socket;
mod sysctl;
mod virtual_mac;
mod watch;
mod watcher;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::net::IpAddr;

use socket2::Socket;

use self::alarm::{Alarm, now};
use self::companions::Macvlan;
use self::firewall::{Firewall, Refused};
pub use self::fixed::{Fixed, FixedSettings};
use self::holders::Holders;
use self::leftovers::Sole;
use self::link::Link;
pub use self::link::primary_address;
use self::netlink::Requests;
use self::port::Port;
pub use self::port::Settings;
use self::receiver::{Ear, Receiver};
pub use self::settings::{
    NextHop, NotAPrefix, Prefix, Route, RouteKind, Rule, RuleAction, Scope, VirtualAddress,
};
use self::socket::{Buffer, Received};
use self::sysctl::Sysctls;
use self::watcher::Watcher;
use crate::channel::ChannelConfig;
use crate::driver::{Input, RouterId};

/// The interfaces of this host, in the network namespace of the thread that opened it.
///
/// It watches them and their addresses: an interface without a carrier, or that is not there, is
/// [`FaultCause::Interface`](crate::FaultCause::Interface); without an address to speak from there is
/// [`FaultCause::NoSource`](crate::FaultCause::NoSource); a virtual address that somebody takes away
/// is [`Input::AddressLost`]. When its source goes away, multicast goes on from the next address of
/// the interface; unicast does not, since peers know it by that one. A channel whose source is
/// unspecified (`0.0.0.0`, `::`) takes the first that there is.
///
/// Routers of one interface share what they hear with. What it is told of its own changes it passes
/// on as well, and the routers know them for what they are. Dropping it leaves addresses where they
/// are: [shut the driver down](crate::driver::Driver::shutdown).
#[derive(Debug)]
pub struct LinuxNetwork {
    ports: BTreeMap<RouterId, Port>,
    next_id: u32,
    /// Every interface that matters to a router, by name.
    links: BTreeMap<String, Link>,
    holders: Holders,
    /// The prefixes of virtual addresses that are there in another way than a router has them.
    strays: HashMap<(u32, IpAddr), Vec<u8>>,
    receivers: Vec<Receiver>,
    /// Which receiver is read next.
    turn: usize,
    /// A few, of all routers; made when they are needed, as an address of IPv6 may be too new to be
    /// spoken from.
    senders: Vec<Sender>,
    alarm: Alarm,
    buffer: Buffer,
    /// Who else is to have what was received last.
    others: Option<(Received, Vec<RouterId>)>,
    requests: Requests,
    watcher: Watcher,
    inputs: VecDeque<(RouterId, Input<'static>)>,
    /// Whether it was listened to what the kernel has to tell, in this round of all sockets.
    has_watched: bool,
    /// The interfaces of virtual MAC addresses that we have set up, and their indexes.
    made: BTreeMap<String, u32>,
    sysctls: Sysctls,
    firewall: Firewall,
    /// Whether other packets may have to be refused.
    is_unguarded: bool,
    /// Whether what a crash had left was looked for.
    is_swept: bool,
    /// What there was of its kind at the start, until then.
    left_macvlans: Option<Vec<Macvlan>>,
    /// Nobody else in this network namespace does what we do.
    sole: Sole,
}

/// What speaks on an interface, from one address.
#[derive(Debug)]
struct Sender {
    interface: String,
    source: IpAddr,
    socket: Socket,
}

impl LinuxNetwork {
    /// One without routers. To be called in a tokio runtime with I/O enabled.
    ///
    /// # Errors
    /// The kernel does not want to.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    ///
    /// ```no_run
    /// use std::error::Error;
    /// use lb_vrrp::driver::Driver;
    /// use lb_vrrp::linux::{LinuxNetwork, Settings, VirtualAddress, primary_address};
    /// use lb_vrrp::{AddressList, Channel, ChannelConfig, Config, Family, Vrid};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn Error>> {
    /// let address = VirtualAddress::new("10.99.0.200".parse()?).prefix(24).label("eth0:vip");
    /// let source = primary_address("eth0", Family::V4)?.ok_or("eth0 has no address")?;
    /// let addresses = AddressList::new([address.address])?;
    /// let channel = ChannelConfig::new(Vrid::new(51)?, source, addresses)?;
    ///
    /// let mut network = LinuxNetwork::new()?;
    /// let id = network.open(&channel, Settings::new("eth0").address(address))?;
    /// let mut driver = Driver::new(network);
    /// driver.add(id, Config::of(&channel), Channel::new(channel));
    /// driver.startup(id);
    /// while let Some((_, report)) = driver.next().await {
    ///     println!("{report:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn new() -> io::Result<Self> {
        let sole = Sole::claim();
        Ok(Self {
            ports: BTreeMap::new(),
            next_id: 0,
            links: BTreeMap::new(),
            holders: Holders::default(),
            strays: HashMap::new(),
            receivers: Vec::new(),
            turn: 0,
            senders: Vec::new(),
            alarm: Alarm::new()?,
            buffer: Buffer::new(),
            others: None,
            requests: Requests::open()?,
            watcher: Watcher::open(now())?,
            inputs: VecDeque::new(),
            has_watched: false,
            made: BTreeMap::new(),
            sysctls: Sysctls::default(),
            firewall: Firewall::new(sole.is_alone()),
            is_unguarded: false,
            is_swept: false,
            left_macvlans: None,
            sole,
        })
    }

    /// Has a router speak and hear. The interface need not be there yet. Another one with the same
    /// identifier may be there already: both hear what comes, until that one is [closed](Self::close).
    ///
    /// # Errors
    /// The kernel does not want to; without `CAP_NET_RAW`, [`io::ErrorKind::PermissionDenied`]. Then
    /// nothing has changed.
    pub fn open(&mut self, channel: &ChannelConfig, settings: Settings) -> io::Result<RouterId> {
        let id = RouterId::new(self.next_id);
        self.next_id += 1;
        let opened = self.introduce(id, Port::new(channel.clone(), settings));
        opened.inspect_err(|_| drop(self.close(id)))?;
        Ok(id)
    }

    /// Whether a router could become what [`Network::reconfigure`](crate::driver::Network::reconfigure)
    /// makes of it.
    ///
    /// # Errors
    /// What the kernel does not want to, as [`Self::open`] would find it. Nothing has changed.
    pub fn can_become(
        &mut self,
        id: RouterId,
        channel: &ChannelConfig,
        settings: &Settings,
    ) -> io::Result<()> {
        let after = Port::new(channel.clone(), settings.clone());
        let is_as_before = self.ports.get(&id).is_some_and(|before| {
            Ear::of(before) == Ear::of(&after)
                && before.settings.virtual_mac == settings.virtual_mac
                && (before.channel.vrid == channel.vrid || settings.virtual_mac.is_none())
        });
        if is_as_before {
            return Ok(());
        }
        let trial = self.open(channel, settings.clone())?;
        self.close(trial)
    }

    /// Forgets a router that has ended, and the interface of its virtual MAC address with it.
    ///
    /// # Errors
    /// That interface is still there, or something that was lent for it.
    pub fn close(&mut self, id: RouterId) -> io::Result<()> {
        let Some(port) = self.ports.remove(&id) else { return Ok(()) };
        self.holders.forget(id);
        self.receivers.retain_mut(|receiver| !receiver.dismiss(id));
        self.is_unguarded = true;
        let dropped = self.drop_virtual_mac(&port);
        self.forget_unused();
        if !self.ports.is_empty() {
            return dropped;
        }
        // Nobody may come by any more to see to it.
        self.guard();
        dropped.and(self.firewall.finish(now()))
    }

    /// Has the packets refused that are not to be taken.
    fn guard(&mut self) {
        self.is_unguarded = false;
        let mut refused = BTreeSet::new();
        for port in self.ports.values().filter(|port| !port.settings.accept) {
            for address in port.addresses() {
                let setting = port.setting(address);
                let mut interfaces = Vec::new();
                if matches!(address, IpAddr::V6(address) if address.is_unicast_link_local()) {
                    interfaces.push(port.home(&setting).to_owned());
                    interfaces.push(port.settings.interface.clone());
                    interfaces.dedup();
                }
                refused.insert(Refused { address, interfaces });
            }
        }
        self.firewall.refuse(refused);
    }

    fn introduce(&mut self, id: RouterId, port: Port) -> io::Result<()> {
        // Whatever happened before must be seen, too.
        self.watcher.look(now());
        self.is_unguarded = true;
        let ear = Ear::of(&port);
        let needs_routes = !(port.settings.routes.is_empty() && port.settings.rules.is_empty());
        let names: Vec<_> = port.interfaces().map(str::to_owned).collect();
        self.ports.insert(id, port);
        for name in names {
            if let Entry::Vacant(place) = self.links.entry(name) {
                let link = Link::open(place.key())?;
                place.insert(link);
            }
        }
        if needs_routes {
            self.watcher.see_routes()?;
        }
        // Without the interface of its MAC address it still hears, as soon as that is there.
        let made = self.make_virtual_mac(id);
        let index = self.links[&ear.interface].index();
        let known = self.receivers.iter().position(|receiver| receiver.ear == ear);
        let at = known.unwrap_or_else(|| {
            self.receivers.push(Receiver::new(ear));
            self.receivers.len() - 1
        });
        let receiver = &mut self.receivers[at];
        receiver.enlist(id, &self.ports[&id], index)?;
        if known.is_none() {
            receiver.open(index)?;
        }
        made
    }

    /// Closes what was open for a router that is gone, or is another one now.
    fn forget_unused(&mut self) {
        let Self { ports, links, senders, .. } = self;
        let names: BTreeSet<&str> = ports.values().flat_map(Port::interfaces).collect();
        links.retain(|name, _| names.contains(name.as_str()));
        senders.retain(|one| {
            let mut ports = ports.values();
            ports.any(|port| {
                port.settings.interface == one.interface && port.channel.source == one.source
            })
        });
    }

    fn index(&self, interface: &str) -> io::Result<u32> {
        let index = self.links.get(interface).map_or(0, Link::index);
        if index == 0 { Err(io::ErrorKind::NotFound.into()) } else { Ok(index) }
    }

    fn port(&self, id: RouterId) -> io::Result<&Port> {
        self.ports.get(&id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The interface that a route leaves by, if it names one.
    fn way(&self, port: &Port, route: &Route) -> io::Result<Option<u32>> {
        port.way(route).map(|name| self.index(name)).transpose()
    }
}
