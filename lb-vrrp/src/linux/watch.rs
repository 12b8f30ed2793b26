//! What happens to interfaces and addresses, and whom it matters to.

use std::collections::HashSet;
use std::io::{self, Read};
use std::net::IpAddr;

use super::LinuxNetwork;
use super::link::{Snapshot, can_be_source};
use super::netlink::{self, Change};
use super::port::Port;
use crate::addresses::Family;
use crate::announce::MacAddr;
use crate::channel::Reach;
use crate::driver::{Input, RouterId};
use crate::tracking::{FaultCause, Signal};

impl LinuxNetwork {
    /// What the kernel has told.
    pub(super) fn watch(&mut self) -> io::Result<()> {
        loop {
            match self.monitor.get_ref().read(&mut self.datagram) {
                Ok(length) => netlink::changes(&self.datagram[..length], &mut self.changes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Too much at once (ENOBUFS).
                Err(_) => {
                    self.is_blind = true;
                    break;
                }
            }
        }
        if std::mem::take(&mut self.is_blind) {
            self.changes.clear();
            self.look()?;
        }
        while let Some(change) = self.changes.pop_front() {
            self.handle(change)?;
        }
        Ok(())
    }

    /// Looks at everything, at the start and when the kernel had more to tell than there was room.
    fn look(&mut self) -> io::Result<()> {
        let names: Vec<_> = self.links.keys().cloned().collect();
        for name in names {
            self.look_at_link(&name)?;
        }
        let snapshot = Snapshot::take()?;
        for id in self.ids(|_| true) {
            let port = &self.ports[&id];
            for address in port.addresses() {
                let setting = port.setting(address);
                let is_there = snapshot.on(port.home(&setting)).any(|there| there == address);
                let input = match is_there {
                    true => Input::AddressFound(address),
                    false => Input::AddressLost(address),
                };
                self.inputs.push_back((id, input));
            }
        }
        self.look_for_sources(&self.ids(|_| true), &snapshot);
        Ok(())
    }

    /// An interface may be there, or be another one of the same name.
    fn look_at_link(&mut self, name: &str) -> io::Result<()> {
        let Some(link) = self.links.get_mut(name) else { return Ok(()) };
        let before = link.index();
        link.refresh()?;
        let index = link.index();
        let is_up = link.is_up();
        if index != before {
            self.senders.retain(|(known, _), _| known != name);
            for receiver in self.receivers.iter_mut().filter(|known| known.ear.interface == name) {
                receiver.open(index)?;
            }
        }
        for id in self.ids(|port| port.settings.interface == name) {
            if index > 0 {
                self.make_virtual_mac(id)?;
            }
            let fault = Input::Fault { cause: FaultCause::Interface, present: !is_up };
            self.inputs.push_back((id, fault));
        }
        let signal = if is_up { Signal::Up } else { Signal::Down };
        for (id, port) in &self.ports {
            let trackers = port.settings.tracked.iter().filter(|(tracked, _)| tracked == name);
            self.inputs.extend(trackers.map(|(_, at)| (*id, Input::Tracked(*at, signal))));
        }
        Ok(())
    }

    /// Makes the interface of the virtual MAC address if it should be there and is not.
    pub(super) fn make_virtual_mac(&mut self, id: RouterId) -> io::Result<()> {
        let Some(port) = self.ports.get(&id) else { return Ok(()) };
        let Some(name) = &port.settings.virtual_mac else { return Ok(()) };
        let (Some(home), Some(base)) =
            (self.links.get(name), self.links.get(&port.settings.interface))
        else {
            return Ok(());
        };
        if home.index() > 0 || base.index() == 0 {
            return Ok(());
        }
        let mac = MacAddr::of_virtual_router(port.family(), port.channel.vrid);
        self.requests.add_macvlan(name, base.index(), mac)?;
        // Whoever asks for the address on the other interface must not get that one's MAC address; a
        // packet that comes in by one and leaves by the other is no forgery; and nothing but a master
        // may speak from this one, not even to say which groups it listens to, or switches take it
        // for the master (those of 224.0.0.0/24 are flooded anyway, RFC 4541 2.1.2).
        let base = &port.settings.interface;
        let settings = [
            (format!("ipv4/conf/{base}/arp_ignore"), "1"),
            (format!("ipv4/conf/{name}/arp_ignore"), "1"),
            (format!("ipv4/conf/{name}/accept_local"), "1"),
            (format!("ipv4/conf/{name}/rp_filter"), "0"),
            ("ipv4/igmp_link_local_mcast_reports".to_owned(), "0"),
            (format!("ipv6/conf/{name}/accept_ra"), "0"),
            (format!("ipv6/conf/{name}/addr_gen_mode"), "1"),
            (
                format!("ipv6/conf/{name}/disable_ipv6"),
                if port.family() == Family::V4 { "1" } else { "0" },
            ),
        ];
        for (key, value) in settings {
            // A host without IPv6 has no such file; nor has one that does not let us.
            let _ = std::fs::write(format!("/proc/sys/net/{key}"), value);
        }
        let name = name.clone();
        if let Some(home) = self.links.get_mut(&name) {
            home.refresh()?;
            let index = home.index();
            self.requests.set_up(index)?;
            home.refresh()?;
            for receiver in self.receivers.iter_mut().filter(|one| one.ear.interface == name) {
                receiver.open(index)?;
            }
        }
        Ok(())
    }

    fn look_for_sources(&mut self, ids: &[RouterId], snapshot: &Snapshot) {
        let addresses = self.ports.values().flat_map(Port::addresses);
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
        let mut there = snapshot.on(&port.settings.interface);
        let mut others = snapshot
            .on(&port.settings.interface)
            .filter(|address| may_be_other && can_be_source(address, family))
            .filter(|address| !virtual_addresses.contains(address));
        let found = there.find(|address| *address == ours).or_else(|| others.next());
        if let Some(source) = found {
            port.channel.source = source;
        }
        self.inputs.push_back((id, Input::Source(found)));
    }

    fn handle(&mut self, change: Change) -> io::Result<()> {
        match change {
            Change::Added(at, address) => self.tell_address(at, address, true),
            Change::Removed(at, address) => self.tell_address(at, address, false),
            Change::Link(name) => {
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
            Change::RouteGone(length, is_v6) => {
                for id in self.ids(|port| {
                    let mut routes = port.settings.routes.iter().map(|route| route.to);
                    port.has_routes
                        && routes
                            .any(|to| to.length() == length && (to.family() == Family::V6) == is_v6)
                }) {
                    self.inputs.push_back((id, Input::RoutesLost));
                }
                Ok(())
            }
        }
    }

    /// An address came to an interface, or went from there.
    fn tell_address(&mut self, index: u32, address: IpAddr, came: bool) -> io::Result<()> {
        let Some(name) = self.links.iter().find(|(_, link)| link.index() == index) else {
            return Ok(());
        };
        let name = name.0.clone();
        let holders =
            self.ids(|port| port.is_virtual(address) && port.home(&port.setting(address)) == name);
        if !holders.is_empty() {
            for id in holders {
                let input = match came {
                    true => Input::AddressFound(address),
                    false => Input::AddressLost(address),
                };
                self.inputs.push_back((id, input));
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

    fn ids(&self, is_meant: impl Fn(&Port) -> bool) -> Vec<RouterId> {
        self.ports.iter().filter(|(_, port)| is_meant(port)).map(|(id, _)| *id).collect()
    }
}
