//! Linux: raw sockets, addresses and routes by netlink, frames by `AF_PACKET`.
//!
//! Opening needs `CAP_NET_RAW`; adding and removing addresses needs `CAP_NET_ADMIN`. Both are looked
//! at in the user namespace that owns the network namespace.

mod companions;
mod fixed;
mod link;
mod netlink;
mod port;
mod receiver;
mod settings;
mod socket;
mod watch;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::{Future, poll_fn};
use std::io;
use std::net::IpAddr;
use std::task::Poll;
use std::time::SystemTime;

use socket2::Socket;
use tokio::io::unix::AsyncFd;

pub use self::fixed::{Fixed, FixedSettings};
use self::link::Link;
pub use self::link::primary_address;
use self::netlink::{Change, Requests};
use self::port::Port;
pub use self::port::Settings;
use self::receiver::{Ear, Receiver, poll_waiting, watched};
pub use self::settings::{
    NextHop, NotAPrefix, Prefix, Route, RouteKind, Rule, RuleAction, Scope, VirtualAddress,
};
use self::socket::Buffer;
use crate::channel::ChannelConfig;
use crate::driver::{Input, Network, RouterId};
use crate::wire::Datagram;

/// How many datagrams of strangers are passed over before the clock has its turn.
const STRANGERS: usize = 512;

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
    receivers: Vec<Receiver>,
    /// Which receiver is read next.
    turn: usize,
    /// By interface and source; made when they are needed, as an address of IPv6 may be too new to be
    /// spoken from.
    senders: HashMap<(String, IpAddr), Socket>,
    buffer: Buffer,
    requests: Requests,
    monitor: AsyncFd<Socket>,
    /// Whether the monitor is told of routes.
    sees_routes: bool,
    datagram: Vec<u8>,
    changes: VecDeque<Change>,
    inputs: VecDeque<(RouterId, Input<'static>)>,
    /// Something may have been missed.
    is_blind: bool,
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
        Ok(Self {
            ports: BTreeMap::new(),
            next_id: 0,
            links: BTreeMap::new(),
            receivers: Vec::new(),
            turn: 0,
            senders: HashMap::new(),
            buffer: Buffer::new(),
            requests: Requests::open()?,
            monitor: watched(netlink::monitor(false)?)?,
            sees_routes: false,
            datagram: vec![0; 32 * 1024],
            changes: VecDeque::new(),
            inputs: VecDeque::new(),
            is_blind: true,
        })
    }

    /// Has a router speak and hear. The interface need not be there yet.
    ///
    /// # Errors
    /// The kernel does not want to; without `CAP_NET_RAW`, [`io::ErrorKind::PermissionDenied`].
    pub fn open(&mut self, channel: &ChannelConfig, settings: Settings) -> io::Result<RouterId> {
        let id = RouterId::new(self.next_id);
        self.next_id += 1;
        self.introduce(id, Port::new(channel.clone(), settings))?;
        Ok(id)
    }

    /// Forgets a router that has ended, and the interface of its virtual MAC address with it.
    ///
    /// # Errors
    /// That interface is still there.
    pub fn close(&mut self, id: RouterId) -> io::Result<()> {
        let Some(port) = self.ports.remove(&id) else { return Ok(()) };
        self.receivers.retain_mut(|receiver| !receiver.dismiss(id));
        self.drop_virtual_mac(&port)
    }

    fn introduce(&mut self, id: RouterId, port: Port) -> io::Result<()> {
        for name in port.interfaces() {
            if !self.links.contains_key(name) {
                self.links.insert(name.to_owned(), Link::open(name)?);
            }
        }
        if !port.settings.routes.is_empty() && !self.sees_routes {
            self.monitor = watched(netlink::monitor(true)?)?;
            self.sees_routes = true;
        }
        self.ports.insert(id, port);
        self.make_virtual_mac(id)?;
        let port = &self.ports[&id];
        let ear = Ear::of(port);
        let index = self.links[&ear.interface].index();
        let known = self.receivers.iter().position(|receiver| receiver.ear == ear);
        let at = known.unwrap_or_else(|| {
            self.receivers.push(Receiver::new(ear));
            self.receivers.len() - 1
        });
        self.receivers[at].enlist(id, port, index)?;
        if known.is_none() {
            self.receivers[at].open(index)?;
        }
        // Whatever happened before must be seen, too.
        self.is_blind = true;
        Ok(())
    }

    fn drop_virtual_mac(&mut self, port: &Port) -> io::Result<()> {
        let Some(name) = &port.settings.virtual_mac else { return Ok(()) };
        match self.links.remove(name).map(|link| link.index()) {
            Some(index) if index > 0 => self.requests.remove_link(index),
            _ => Ok(()),
        }
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

impl Network for LinuxNetwork {
    type Settings = Settings;

    fn ready(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        poll_fn(|context| {
            if self.is_blind || !self.inputs.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if let Poll::Ready(waits) = poll_waiting(&self.monitor, context) {
                // Looking takes the error away, and it must not be forgotten.
                self.is_blind |= waits.is_err();
                return Poll::Ready(Ok(()));
            }
            let mut sockets = self.receivers.iter().filter_map(|known| known.socket.as_ref());
            let waiting = sockets.find_map(|socket| match poll_waiting(socket, context) {
                Poll::Ready(waits) => Some(waits),
                Poll::Pending => None,
            });
            waiting.map_or(Poll::Pending, Poll::Ready)
        })
    }

    fn next_input(&mut self) -> io::Result<Option<(RouterId, Input<'_>)>> {
        if self.inputs.is_empty() {
            self.watch()?;
        }
        if let Some(input) = self.inputs.pop_front() {
            return Ok(Some(input));
        }
        let mut silent = 0;
        for _ in 0..STRANGERS {
            let count = self.receivers.len();
            if silent >= count {
                break;
            }
            let at = self.turn % count;
            let Some(socket) = &self.receivers[at].socket else {
                (self.turn, silent) = (at + 1, silent + 1);
                continue;
            };
            match self.buffer.receive(socket.get_ref(), self.receivers[at].ear.family)? {
                None => (self.turn, silent) = (at + 1, silent + 1),
                Some(length) => {
                    let datagram = self.buffer.datagram(length);
                    let vrid = datagram.as_ref().ok().map(Datagram::vrid);
                    if let Some(id) = self.receivers[at].router(vrid.flatten()) {
                        return Ok(Some((id, Input::Datagram(self.buffer.datagram(length)))));
                    }
                }
            }
        }
        Ok(None)
    }

    fn send(&mut self, id: RouterId, destination: IpAddr, packet: &[u8]) -> io::Result<()> {
        let port = self.port(id)?;
        let (name, source) = (port.settings.interface.clone(), port.channel.source);
        if let Some(mac) = port.voice(destination) {
            let Some(link) = self.links.get_mut(&name) else {
                return Err(io::ErrorKind::NotFound.into());
            };
            return link.send_as(mac, source, destination, packet);
        }
        let index = self.index(&name)?;
        let sender = match self.senders.entry((name, source)) {
            std::collections::hash_map::Entry::Occupied(sender) => sender.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => {
                let sender = socket::sender(source, &place.key().0, index)?;
                place.insert(sender)
            }
        };
        socket::send(sender, index, destination, packet)
    }

    fn add_address(&mut self, id: RouterId, address: IpAddr) -> io::Result<()> {
        let port = self.port(id)?;
        let setting = port.setting(address);
        let index = self.index(port.home(&setting))?;
        self.requests.add(index, &setting)
    }

    fn remove_address(&mut self, id: RouterId, address: IpAddr) -> io::Result<()> {
        let port = self.port(id)?;
        let setting = port.setting(address);
        match self.index(port.home(&setting)) {
            Ok(index) => self.requests.remove(index, &setting),
            Err(_gone_with_its_interface) => Ok(()),
        }
    }

    fn announce(&mut self, id: RouterId, address: IpAddr) -> io::Result<()> {
        let port = self.port(id)?;
        let setting = port.setting(address);
        let home = port.home(&setting).to_owned();
        let link = self.links.get_mut(&home);
        link.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?.announce(address)
    }

    fn reconfigure(
        &mut self,
        id: RouterId,
        channel: &ChannelConfig,
        settings: Settings,
    ) -> io::Result<()> {
        let Some(before) = self.ports.remove(&id) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let mut after = Port::new(channel.clone(), settings);
        after.has_routes = before.has_routes;
        let mut outcome = Ok(());
        for rule in &before.rules {
            if after.settings.rules.contains(rule) {
                after.rules.push(rule.clone());
            } else {
                outcome = outcome.and(self.requests.remove_rule(rule));
            }
        }
        let routes = before.settings.routes.iter().filter(|_| before.has_routes);
        for route in routes.filter(|route| !after.settings.routes.contains(route)) {
            if let Ok(way) = self.way(&before, route) {
                outcome = outcome.and(self.requests.remove_route(route, way));
            }
        }
        let stays = |address: &IpAddr| {
            let (old, new) = (before.setting(*address), after.setting(*address));
            after.is_virtual(*address) && old == new && before.home(&old) == after.home(&new)
        };
        for gone in before.addresses().filter(|address| !stays(address)) {
            let setting = before.setting(gone);
            if let Ok(index) = self.index(before.home(&setting)) {
                outcome = outcome.and(self.requests.remove(index, &setting));
            }
        }
        if before.settings.virtual_mac != after.settings.virtual_mac {
            outcome = outcome.and(self.drop_virtual_mac(&before));
        }
        if Ear::of(&before) != Ear::of(&after) || before.channel.vrid != after.channel.vrid {
            self.receivers.retain_mut(|receiver| !receiver.dismiss(id));
        }
        outcome.and(self.introduce(id, after))
    }

    fn excluded(&self, id: RouterId) -> Vec<IpAddr> {
        self.ports.get(&id).map(|port| port.excluded().collect()).unwrap_or_default()
    }

    fn add_routes(&mut self, id: RouterId) -> io::Result<()> {
        let Some(mut port) = self.ports.remove(&id) else { return Ok(()) };
        port.has_routes = true;
        let mut outcome = Ok(());
        for route in &port.settings.routes {
            let added = self.way(&port, route).and_then(|way| self.requests.add_route(route, way));
            outcome = outcome.and(added);
        }
        for rule in &port.settings.rules {
            if !port.rules.contains(rule) {
                // A crash may have left one.
                let removed = self.requests.remove_rule(rule);
                outcome = outcome.and(removed).and(self.requests.add_rule(rule));
                port.rules.push(rule.clone());
            }
        }
        self.ports.insert(id, port);
        outcome
    }

    fn remove_routes(&mut self, id: RouterId) -> io::Result<()> {
        let Some(mut port) = self.ports.remove(&id) else { return Ok(()) };
        port.has_routes = false;
        let mut outcome = Ok(());
        for rule in port.rules.drain(..) {
            outcome = outcome.and(self.requests.remove_rule(&rule));
        }
        for route in port.settings.routes.iter().rev() {
            if let Ok(way) = self.way(&port, route) {
                outcome = outcome.and(self.requests.remove_route(route, way));
            }
        }
        self.ports.insert(id, port);
        outcome
    }

    #[allow(clippy::disallowed_methods, reason = "this is where the wall clock is read")]
    fn utc(&self) -> SystemTime {
        SystemTime::now()
    }
}
