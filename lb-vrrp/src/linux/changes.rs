//! What changes on this host, and whom it matters to.

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;

use super::alarm::now;
use super::link::{Link, Snapshot, can_be_source};
use super::messages::{is_marked_rule, is_rule};
use super::netlink::{Change, OURS};
use super::port::Port;
use super::{LinuxNetwork, Rule};
use crate::addresses::Family;
use crate::channel::Reach;
use crate::driver::{Input, Operation, RouterId};
use crate::tracking::{FaultCause, Signal};

impl LinuxNetwork {
    /// What the kernel has told. What of it cannot be acted on now is looked at again.
    pub(super) fn watch(&mut self) -> io::Result<()> {
        let now = now();
        self.watcher.read(now);
        let seen = if self.watcher.is_to_look(now) { self.look() } else { self.handle_all() };
        self.repair_virtual_macs_late(now);
        if seen.is_err() {
            self.watcher.fail(now);
        }
        if self.firewall.is_outdated() {
            self.guard();
        }
        for (operation, error) in self.firewall.turn(now) {
            self.complain(operation, &error);
        }
        seen
    }

    /// Tells whom it matters to that something is not as it should be.
    pub(super) fn complain(&mut self, operation: Operation, error: &io::Error) {
        let ids = match operation {
            Operation::Refuse => self.ids(|port| !port.settings.accept),
            // The first one tells it for all.
            _ => self.ports.keys().take(1).copied().collect(),
        };
        for id in ids {
            let error = io::Error::new(error.kind(), error.to_string());
            self.inputs.push_back((id, Input::Failed { operation, error }));
        }
    }

    /// Looks at everything, at the start and when something was missed: the kernel had more to tell
    /// than there was room, say. What cannot be looked at keeps nobody from the rest.
    fn look(&mut self) -> io::Result<()> {
        let mut outcome = Ok(());
        // What a reload could not open, say.
        for id in self.ids(|_| true) {
            outcome = outcome.and(self.open_links(id)).and(self.listen(id));
        }
        let names: Vec<_> = self.links.keys().cloned().collect();
        for name in names {
            outcome = outcome.and(self.look_at_link(&name));
        }
        outcome = outcome.and(self.look_for_addresses());
        outcome = outcome.and(self.look_for_rules());
        self.lose_routes(|port| port.has_routes && !port.settings.routes.is_empty());
        let snapshot = Snapshot::take();
        outcome.and(snapshot.map(|there| self.look_for_sources(&self.ids(|_| true), &there)))
    }

    /// Tells everybody which addresses are there and which are not.
    fn look_for_addresses(&mut self) -> io::Result<()> {
        let there = self.look_at_addresses()?;
        for id in self.ids(|_| true) {
            for address in self.ports[&id].addresses().collect::<Vec<_>>() {
                let setting = self.ports[&id].setting(address);
                let home = self.ports[&id].home(&setting).to_owned();
                let index = self.links.get(&home).map_or(0, Link::index);
                let is_there = there.get(&(index, address));
                self.tell(id, address, &home, is_there.is_some());
            }
        }
        self.sweep();
        Ok(())
    }

    /// Has those routers add their routes again that may have lost some.
    fn lose_routes(&mut self, is_loser: impl Fn(&Port) -> bool) {
        let losers = self.ids(is_loser);
        self.inputs.extend(losers.into_iter().map(|id| (id, Input::RoutesLost)));
    }

    /// Rules may have gone unseen. Routes are simply added again; the kernel would take a rule twice.
    fn look_for_rules(&mut self) -> io::Result<()> {
        if self.ports.values().all(|port| port.rules.is_empty()) {
            return Ok(());
        }
        let there = self.requests.rules(OURS)?;
        self.keep_rules(|known| there.iter().any(|rule| is_rule(rule, known)));
        Ok(())
    }

    /// Has those routers add their rules again who have others than these.
    fn keep_rules(&mut self, is_there: impl Fn(&Rule) -> bool) {
        for (id, port) in &mut self.ports {
            let before = port.rules.len();
            port.rules.retain(&is_there);
            if port.rules.len() < before {
                self.inputs.push_back((*id, Input::RoutesLost));
            }
        }
    }

    /// An interface may be there, or be another one of the same name.
    fn look_at_link(&mut self, name: &str) -> io::Result<()> {
        let Some(link) = self.links.get_mut(name) else { return Ok(()) };
        let before = link.index();
        link.refresh()?;
        let index = link.index();
        let is_up = link.is_up();
        if index != before {
            self.speaking.leave(name);
        }
        let outcome = self.hearing.follow(name, index);
        for id in self.ids(|port| port.settings.interface == name || port.has_mac(name)) {
            self.repair_virtual_mac(now(), id);
        }
        for id in self.ids(|port| port.settings.interface == name) {
            let present = !is_up && self.ports[&id].settings.tracks_interface;
            let fault = Input::Fault { cause: FaultCause::Interface, present };
            self.inputs.push_back((id, fault));
        }
        let signal = if is_up { Signal::Up } else { Signal::Down };
        for (id, port) in &self.ports {
            let trackers = port.settings.tracked.iter().filter(|(tracked, _)| tracked == name);
            self.inputs.extend(trackers.map(|(_, at)| (*id, Input::Tracked(*at, signal))));
        }
        if before > 0 && self.links.get(name).map_or(0, Link::index) != before {
            self.lose_addresses(name);
        }
        outcome
    }

    /// The addresses of an interface have gone with it, be there another one in its place or not: what the
    /// kernel says of each is about an index that nobody knows any more.
    fn lose_addresses(&mut self, home: &str) {
        for id in self.ids(|_| true) {
            let port = &self.ports[&id];
            let is_there = |address: &IpAddr| port.home(&port.setting(*address)) == home;
            for address in port.addresses().filter(is_there).collect::<Vec<_>>() {
                self.tell(id, address, home, false);
            }
        }
    }

    fn look_for_sources(&mut self, ids: &[RouterId], snapshot: &Snapshot) {
        let addresses = self.ports.values().flat_map(|port| port.addresses());
        let virtual_addresses: HashSet<IpAddr> = addresses.collect();
        for id in ids {
            self.look_for_source(*id, snapshot, &virtual_addresses);
        }
    }

    fn look_for_source(
        &mut self,
        id: RouterId,
        snapshot: &Snapshot,
        virtual_addresses: &HashSet<IpAddr>,
    ) {
        let Some(port) = self.ports.get_mut(&id) else { return };
        let (ours, family) = (port.channel.source, port.family());
        // Peers know it by the one that it has.
        let may_be_other =
            matches!(port.channel.reach, Reach::Multicast { .. }) || ours.is_unspecified();
        let there = || snapshot.on(&port.settings.interface);
        let other = || {
            there()
                .filter(|address| may_be_other && can_be_source(address, family))
                .find(|address| !virtual_addresses.contains(address))
        };
        let found = there().find(|address| *address == ours).or_else(other);
        if let Some(source) = found.filter(|source| *source != ours) {
            port.channel.source = source;
            self.forget_unused();
        }
        self.inputs.push_back((id, Input::Source(found)));
    }

    fn handle_all(&mut self) -> io::Result<()> {
        while let Some(change) = self.watcher.pop() {
            self.handle(change)?;
        }
        Ok(())
    }

    fn handle(&mut self, change: Change) -> io::Result<()> {
        match change {
            Change::Added(at, address, prefix) => self.tell_address(at, address, prefix, true),
            Change::Removed(at, address, prefix) => self.tell_address(at, address, prefix, false),
            Change::Forwarding => {
                self.links.values_mut().for_each(Link::look_at_forwarding);
                Ok(())
            }
            Change::Link(name) => {
                self.lose_routes(|port| port.may_lose_routes(&name));
                if !self.links.contains_key(&name) {
                    return Ok(());
                }
                let before = self.links[&name].index();
                self.look_at_link(&name)?;
                if self.links[&name].index() == before {
                    return Ok(());
                }
                let snapshot = Snapshot::take()?;
                let speakers = self.ids(|port| port.settings.interface == name);
                self.look_for_sources(&speakers, &snapshot);
                Ok(())
            }
            Change::RouteGone(key) => {
                self.lose_routes(|port| port.holds_route(key));
                Ok(())
            }
            Change::RuleGone(rule) => {
                if is_marked_rule(&rule, OURS) {
                    self.keep_rules(|known| !is_rule(&rule, known));
                }
                Ok(())
            }
        }
    }

    /// An address came to an interface, or went from there.
    fn tell_address(
        &mut self,
        index: u32,
        address: IpAddr,
        prefix: u8,
        came: bool,
    ) -> io::Result<()> {
        let Some(name) = self.links.iter().find(|(_, link)| link.index() == index) else {
            return Ok(());
        };
        let name = name.0.clone();
        let is_there =
            |port: &Port| port.is_virtual(address) && port.home(&port.setting(address)) == name;
        let holders = self.ids(is_there);
        if !holders.is_empty() {
            let is_stray =
                !holders.iter().any(|id| self.ports[id].setting(address).prefix == prefix);
            match (is_stray, came) {
                (true, true) => self.strays.add(index, address, prefix),
                (true, false) => {
                    self.strays.remove(index, address, prefix);
                    return Ok(());
                }
                (false, _) => {}
            }
            for id in holders {
                self.tell(id, address, &name, came);
            }
            return Ok(());
        }
        let family = Family::of(&address);
        let speakers = self.ids(|port| {
            let is_its_own = port.settings.interface == name && port.family() == family;
            is_its_own && (came || port.channel.source == address)
        });
        if !speakers.is_empty() {
            let snapshot = Snapshot::take()?;
            self.look_for_sources(&speakers, &snapshot);
        }
        Ok(())
    }

    /// A router's address is there, or is not. What another router holds is no surprise to this one.
    fn tell(&mut self, id: RouterId, address: IpAddr, home: &str, is_there: bool) {
        let mut holders = self.holders.of(address, home);
        let input = match is_there {
            true if holders.any(|holder| holder != id) => return,
            true => Input::AddressFound(address),
            false => Input::AddressLost(address),
        };
        drop(holders);
        self.inputs.push_back((id, input));
    }

    fn ids(&self, is_meant: impl Fn(&Port) -> bool) -> Vec<RouterId> {
        self.ports.iter().filter(|(_, port)| is_meant(port)).map(|(id, _)| *id).collect()
    }
}
