//! Linux: raw sockets, addresses and routes by netlink, frames by `AF_PACKET`.
//!
//! Opening needs `CAP_NET_RAW`; adding and removing addresses needs `CAP_NET_ADMIN`. Both are looked
//! at in the user namespace that owns the network namespace.

mod alarm;
mod changes;
mod claims;
mod firewall;
mod fixed;
mod hearing;
mod holders;
mod leftovers;
mod link;
mod messages;
mod name;
mod netlink;
mod network;
mod nft;
mod port;
mod presence;
mod receiver;
mod routes;
mod routing;
mod settings;
mod socket;
mod speaking;
mod sysctl;
mod table_watch;
mod virtual_mac;
mod watcher;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::IpAddr;

use self::alarm::{Alarm, now};
use self::claims::Claims;
use self::firewall::{Firewall, Refused};
pub use self::fixed::{Fixed, FixedSettings, Inherited};
use self::hearing::Hearing;
use self::holders::{Holders, Strays};
use self::leftovers::Leftovers;
use self::link::Link;
pub use self::link::primary_address;
use self::netlink::Requests;
use self::port::Port;
use self::receiver::Ear;
pub use self::routing::{NextHop, NotAPrefix, Prefix, Route, RouteKind, Rule, RuleAction};
pub use self::settings::{Scope, Settings, VirtualAddress};
use self::speaking::Speaking;
use self::virtual_mac::VirtualMacs;
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
    /// Boxed: a tree keeps room for others beside each.
    ports: BTreeMap<RouterId, Box<Port>>,
    next_id: u32,
    /// Every interface that matters to a router, by name.
    links: BTreeMap<String, Link>,
    holders: Holders,
    strays: Strays,
    hearing: Hearing,
    speaking: Speaking,
    alarm: Alarm,
    requests: Requests,
    watcher: Watcher,
    /// What is to be told.
    inputs: VecDeque<(RouterId, Input<'static>)>,
    virtual_macs: VirtualMacs,
    firewall: Firewall,
    leftovers: Leftovers,
    claims: Claims,
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
        let leftovers = Leftovers::new();
        Ok(Self {
            ports: BTreeMap::new(),
            next_id: 0,
            links: BTreeMap::new(),
            holders: Holders::default(),
            strays: Strays::default(),
            hearing: Hearing::new(),
            speaking: Speaking::default(),
            alarm: Alarm::new()?,
            requests: Requests::open()?,
            watcher: Watcher::open(now())?,
            inputs: VecDeque::new(),
            virtual_macs: VirtualMacs::default(),
            firewall: Firewall::new(leftovers.is_alone()),
            leftovers,
            claims: Claims::default(),
        })
    }

    /// Whether no other process had one in this network namespace when this was made. Else that one may have
    /// some of the same addresses, and what was left by the dead is not told from what is its.
    pub const fn is_alone(&self) -> bool {
        self.leftovers.is_alone()
    }

    /// Has a router speak and hear. The interface need not be there yet. Another one with the same
    /// identifier may be there already: both hear what comes, until that one is [closed](Self::close).
    ///
    /// # Errors
    /// The kernel does not want to; without `CAP_NET_RAW`, [`io::ErrorKind::PermissionDenied`]; if another
    /// process in this network namespace has opened the same one, [`io::ErrorKind::AddrInUse`]. Then nothing
    /// has changed.
    pub fn open(&mut self, channel: &ChannelConfig, settings: Settings) -> io::Result<RouterId> {
        let id = RouterId::new(self.next_id);
        self.next_id += 1;
        let mut port = Port::new(channel.clone(), settings);
        port.claim = self.claims.claim(&port)?;
        let opened = self.introduce(id, port);
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
            // With other peers it is another one to other processes.
            return self.claims.claim(&after).map(drop);
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
        self.hearing.dismiss(id);
        self.firewall.outdate();
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
        self.firewall.outdate();
        self.ports.insert(id, Box::new(port));
        self.open_links(id)?;
        // Without the interface of its MAC address it still hears, as soon as that is there.
        let made = self.make_virtual_mac(id);
        self.listen(id)?;
        made
    }

    /// Has every interface that matters to a router, and is told of routes if it has any.
    fn open_links(&mut self, id: RouterId) -> io::Result<()> {
        let Self { ports, links, watcher, .. } = self;
        let Some(port) = ports.get(&id) else { return Ok(()) };
        for name in port.interfaces() {
            if !links.contains_key(name) {
                links.insert(name.to_owned(), Link::open(name)?);
            }
        }
        if port.settings.routes.is_empty() && port.settings.rules.is_empty() {
            return Ok(());
        }
        watcher.see_routes()
    }

    /// Has a router hear, if it does not.
    fn listen(&mut self, id: RouterId) -> io::Result<()> {
        let Self { ports, links, hearing, .. } = self;
        let Some(port) = ports.get(&id) else { return Ok(()) };
        let index = links.get(&Ear::of(port).interface).map_or(0, Link::index);
        hearing.enlist(id, port, index)
    }

    /// Closes what was open for a router that is gone, or is another one now.
    fn forget_unused(&mut self) {
        let Self { ports, links, speaking, .. } = self;
        let names: BTreeSet<&str> = ports.values().flat_map(|port| port.interfaces()).collect();
        links.retain(|name, _| names.contains(name.as_str()));
        speaking.keep(|interface, source| {
            let mut ports = ports.values();
            ports.any(|port| port.settings.interface == interface && port.channel.source == source)
        });
    }

    fn index(&self, interface: &str) -> io::Result<u32> {
        let index = self.links.get(interface).map_or(0, Link::index);
        if index == 0 { Err(io::ErrorKind::NotFound.into()) } else { Ok(index) }
    }

    fn port(&self, id: RouterId) -> io::Result<&Port> {
        self.ports.get(&id).map(|port| &**port).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The interface that a route leaves by, if it names one.
    fn way(&self, port: &Port, route: &Route) -> io::Result<Option<u32>> {
        port.way(route).map(|name| self.index(name)).transpose()
    }
}
