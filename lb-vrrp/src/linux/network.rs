//! What a driver asks of this host.

use std::future::{Future, poll_fn};
use std::io;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime};

use super::alarm::now;
use super::netlink::OURS;
use super::port::Port;
use super::receiver::Ear;
use super::{LinuxNetwork, Route, Rule, Settings, VirtualAddress};
use crate::channel::ChannelConfig;
use crate::driver::{Input, Network, RouterId};

const EMSGSIZE: i32 = 90;

/// Room for so many things to be told is kept.
const INPUTS: usize = 64;

impl Network for LinuxNetwork {
    type Settings = Settings;

    fn ready(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        self.wait(None)
    }

    fn ready_until(&mut self, at: Instant) -> impl Future<Output = io::Result<()>> + Send {
        self.wait(Some(at))
    }

    fn next_input(&mut self) -> io::Result<Option<(RouterId, Input<'_>)>> {
        if self.inputs.is_empty() && self.watcher.begin() {
            self.watch()?;
        }
        if let Some(input) = self.inputs.pop_front() {
            return Ok(Some(input));
        }
        match self.hearing.next()? {
            Some((id, datagram)) => Ok(Some((id, Input::Datagram(datagram)))),
            None => {
                self.watcher.end();
                // A look at everything tells each router of much; that room is not kept.
                self.inputs.shrink_to(INPUTS);
                Ok(None)
            }
        }
    }

    fn send(&mut self, id: RouterId, destination: IpAddr, packet: &[u8]) -> io::Result<()> {
        let Self { ports, links, speaking, .. } = self;
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let port = ports.get(&id).ok_or_else(gone)?;
        let (name, source) = (port.settings.interface.as_str(), port.channel.source);
        let link = links.get_mut(name).filter(|link| link.index() > 0).ok_or_else(gone)?;
        if let Some(mac) = port.voice(destination) {
            let sent = link.send_as(mac, source, destination, packet);
            // A frame that is too long nobody cuts up. More than 90 addresses of IPv6 are said from the
            // interface's own MAC address, then: announcements tell where the virtual one is.
            if !sent.as_ref().is_err_and(|error| error.raw_os_error() == Some(EMSGSIZE)) {
                return sent;
            }
        }
        speaking.send((name, link.index()), source, destination, packet)
    }

    fn add_address(&mut self, id: RouterId, address: IpAddr) -> io::Result<()> {
        let port = self.port(id)?;
        let setting = port.setting(address);
        let home = port.home(&setting).to_owned();
        self.holders.hold(id, address, &home);
        let index = self.index(&home)?;
        self.requests.add(index, &setting)?;
        if self.strays.has(index, address) {
            self.remove_strays(index, address, &home)?;
            // IPv6 has an address once: the other one was in the way.
            self.requests.add(index, &setting)?;
        }
        Ok(())
    }

    fn remove_address(&mut self, id: RouterId, address: IpAddr) -> io::Result<()> {
        let port = self.port(id)?;
        let setting = port.setting(address);
        let home = port.home(&setting).to_owned();
        self.give_up(id, &setting, &home)
    }

    fn announce(&mut self, id: RouterId, address: IpAddr) -> io::Result<()> {
        let port = self.port(id)?;
        let setting = port.setting(address);
        let home = port.home(&setting).to_owned();
        let link = self.links.get_mut(&home);
        link.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?.announce(address)
    }

    fn hush(&mut self, id: RouterId, is_leaving: bool) -> io::Result<()> {
        self.hush_virtual_mac(id, is_leaving)
    }

    /// The interface that it speaks on, which frames of its virtual MAC address leave by as well.
    fn link(&self, id: RouterId) -> Option<u32> {
        self.index(&self.ports.get(&id)?.settings.interface).ok()
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
        // If somebody else speaks for it by now, it goes on all the same: nobody is asked any more.
        let mut outcome = self.claims.claim(&after).map(|claim| after.claim = claim);
        for rule in &before.rules {
            if after.settings.rules.contains(rule) {
                after.rules.push(rule.clone());
            } else {
                outcome = outcome.and(self.drop_rule(rule));
            }
        }
        let routes = before.settings.routes.iter().filter(|_| before.has_routes);
        for route in routes.filter(|route| !after.settings.routes.contains(route)) {
            outcome = outcome.and(self.drop_route(&before, route));
        }
        let stays = |address: &IpAddr| {
            let (old, new) = (before.setting(*address), after.setting(*address));
            after.is_virtual(*address) && old == new && before.home(&old) == after.home(&new)
        };
        for gone in before.addresses().filter(|address| !stays(address)) {
            let setting = before.setting(gone);
            outcome = outcome.and(self.give_up(id, &setting, before.home(&setting)));
        }
        if before.settings.virtual_mac != after.settings.virtual_mac {
            outcome = outcome.and(self.drop_virtual_mac(&before));
        }
        if Ear::of(&before) != Ear::of(&after) || before.channel.vrid != after.channel.vrid {
            self.hearing.dismiss(id);
        }
        outcome = outcome.and(self.introduce(id, after));
        self.forget_unused();
        outcome
    }

    fn excluded(&self, id: RouterId) -> Vec<IpAddr> {
        self.ports.get(&id).map(|port| port.excluded().collect()).unwrap_or_default()
    }

    fn add_routes(&mut self, id: RouterId) -> io::Result<()> {
        let Some(mut port) = self.ports.remove(&id) else { return Ok(()) };
        port.has_routes = true;
        let mut failures = Vec::new();
        for route in &port.settings.routes {
            let way = self.way(&port, route);
            let added = way.and_then(|way| self.requests.add_route(route, way, OURS));
            failures.extend(added.err().map(|error| (route.to_string(), error)));
        }
        for rule in &port.settings.rules {
            if port.rules.contains(rule) {
                continue;
            }
            match self.requests.add_rule(rule) {
                Ok(()) => port.rules.push(rule.clone()),
                Err(error) => failures.push((rule.to_string(), error)),
            }
        }
        self.ports.insert(id, port);
        all_of(&failures)
    }

    fn remove_routes(&mut self, id: RouterId) -> io::Result<()> {
        let Some(mut port) = self.ports.remove(&id) else { return Ok(()) };
        port.has_routes = false;
        let mut outcome = Ok(());
        for rule in port.rules.drain(..) {
            outcome = outcome.and(self.drop_rule(&rule));
        }
        for route in port.settings.routes.iter().rev() {
            outcome = outcome.and(self.drop_route(&port, route));
        }
        self.ports.insert(id, port);
        outcome
    }

    #[allow(clippy::disallowed_methods, reason = "this is where the wall clock is read")]
    fn utc(&self) -> SystemTime {
        SystemTime::now()
    }
}

impl LinuxNetwork {
    /// Until something may have happened, that time has come, or it has something to do itself.
    fn wait(&mut self, until: Option<Instant>) -> impl Future<Output = io::Result<()>> + Send {
        let at = until.into_iter().chain(self.next_deadline()).min();
        let mut set = at.map(|at| self.alarm.set(at));
        poll_fn(move |context| {
            if let Some(Err(error)) = set.take() {
                return Poll::Ready(Err(error));
            }
            match self.poll_ready(context) {
                Poll::Pending if at.is_some() => self.alarm.poll(context),
                ready => ready,
            }
        })
    }

    /// When it has something to do itself.
    fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [
            self.watcher.next_deadline(),
            self.firewall.next_deadline(),
            self.virtual_macs.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let now = now();
        let is_due = self.next_deadline().is_some_and(|at| at <= now);
        let has_news =
            self.watcher.poll(context, now).is_ready() || self.firewall.poll(context).is_ready();
        if is_due || !self.inputs.is_empty() || has_news {
            return Poll::Ready(Ok(()));
        }
        self.hearing.poll(context)
    }

    /// A router does not hold an address, or no more: it goes, unless another one holds it.
    fn give_up(&mut self, id: RouterId, setting: &VirtualAddress, home: &str) -> io::Result<()> {
        let address = setting.address;
        self.holders.release(id, address, home);
        let Ok(index) = self.index(home) else {
            // Gone with its interface.
            return Ok(());
        };
        if self.is_needed(address, setting.prefix, home) {
            return Ok(());
        }
        let outcome = self.requests.remove(index, setting);
        outcome.and(self.remove_strays(index, address, home))
    }

    /// Removes an address in the ways that nobody has it.
    fn remove_strays(&mut self, index: u32, address: IpAddr, home: &str) -> io::Result<()> {
        let mut outcome = Ok(());
        for prefix in self.strays.take(index, address) {
            if !self.is_needed(address, prefix, home) {
                outcome = outcome.and(self.requests.remove_stray(index, address, prefix));
            }
        }
        outcome
    }

    /// Whether a router holds an address in this way. IPv6 has only one.
    fn is_needed(&self, address: IpAddr, prefix: u8, home: &str) -> bool {
        let mut holders = self.holders.of(address, home).filter_map(|id| self.ports.get(&id));
        holders.any(|port| address.is_ipv6() || port.setting(address).prefix == prefix)
    }

    /// A router has a route no more: it goes, unless another one has it.
    fn drop_route(&mut self, port: &Port, route: &Route) -> io::Result<()> {
        let mut others = self.ports.values();
        match self.way(port, route) {
            Ok(way) if !others.any(|other| other.holds_route(route, port.way(route))) => {
                self.requests.remove_route(route, way, OURS)
            }
            _ => Ok(()),
        }
    }

    /// The same of a rule.
    fn drop_rule(&mut self, rule: &Rule) -> io::Result<()> {
        if self.ports.values().any(|other| other.rules.contains(rule)) {
            return Ok(());
        }
        self.requests.remove_rule(rule)
    }
}

/// One error that names everything that failed.
fn all_of(failures: &[(String, io::Error)]) -> io::Result<()> {
    let Some((_, first)) = failures.first() else { return Ok(()) };
    let told: Vec<_> = failures.iter().map(|(what, error)| format!("{what}: {error}")).collect();
    Err(io::Error::new(first.kind(), told.join("; ")))
}
