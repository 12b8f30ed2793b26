//! The interface of a virtual MAC address: made, set up, and taken away again.

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use super::LinuxNetwork;
use super::port::Port;
use super::sysctl::Sysctls;
use crate::addresses::Family;
use crate::announce::MacAddr;
use crate::driver::restorer::Restorer;
use crate::driver::{Input, Operation, RouterId};

/// Which questions for a MAC address are answered (ip-sysctl, `arp_ignore`): those for addresses of the
/// interface that they come to, or none.
const OWN_ADDRESSES: &str = "1";
const NO_ADDRESS: &str = "8";

/// The interfaces of virtual MAC addresses that we have set up, and what was changed for them.
#[derive(Debug, Default)]
pub(super) struct VirtualMacs {
    /// By name.
    made: BTreeMap<String, Made>,
    sysctls: Sysctls,
    /// Who deletes it or sets it down again and again has it back a little later.
    losses: Restorer<RouterId>,
}

/// One of them, as it was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Made {
    index: u32,
    /// The index of the interface that it is on.
    on: u32,
    mac: MacAddr,
}

impl VirtualMacs {
    /// When one that had to wait is to be made again.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.losses.next_deadline()
    }

    /// Whether the interface of this name is one that we have made.
    fn has_made(&self, name: &str, index: u32) -> bool {
        index > 0 && self.made.get(name).is_some_and(|made| made.index == index)
    }

    /// Whoever asks for the address on the other interface must not get that one's MAC address; a
    /// packet that comes in by one and leaves by the other is no forgery; and nothing but a master may
    /// speak from this one, not even to say which groups it listens to, or switches take it for the
    /// master (those of 224.0.0.0/24 are flooded anyway, RFC 4541 2.1.2).
    fn set_up(&mut self, base: &str, name: &str, family: Family) -> io::Result<()> {
        let own = [
            (format!("ipv4/conf/{name}/arp_ignore"), OWN_ADDRESSES),
            (format!("ipv4/conf/{name}/accept_local"), "1"),
            (format!("ipv4/conf/{name}/rp_filter"), "0"),
            (format!("ipv6/conf/{name}/accept_ra"), "0"),
            (format!("ipv6/conf/{name}/addr_gen_mode"), "1"),
            (
                format!("ipv6/conf/{name}/disable_ipv6"),
                if family == Family::V4 { "1" } else { "0" },
            ),
        ];
        let Self { made, sysctls, .. } = self;
        let mut outcome = Ok(());
        for (key, value) in own {
            outcome = outcome.and(sysctls.set(&key, value));
        }
        outcome = outcome.and(sysctls.lend(&format!("ipv4/conf/{base}/arp_ignore"), OWN_ADDRESSES));
        outcome = outcome.and(sysctls.lend("ipv4/igmp_link_local_mcast_reports", "0"));
        outcome.and(sysctls.each_filters_for_itself(|name| made.contains_key(name)))
    }
}

impl LinuxNetwork {
    /// Makes the interface of the virtual MAC address if it should be there and is not, and sets it
    /// up. What a crash has left under another name goes first: the kernel has no two with one MAC
    /// address.
    pub(super) fn make_virtual_mac(&mut self, id: RouterId) -> io::Result<()> {
        let Some(port) = self.ports.get(&id) else { return Ok(()) };
        let Some(name) = port.settings.virtual_mac.clone() else { return Ok(()) };
        let (base, family) = (port.settings.interface.clone(), port.family());
        let mac = port.mac();
        let Some((home, on)) = self.links.get(&name).zip(self.links.get(&base)) else {
            return Ok(());
        };
        let (index, on) = (home.index(), on.index());
        if !self.lacks_virtual_mac(id) {
            return Ok(());
        }
        if self.virtual_macs.has_made(&name, index) {
            // Somebody has set it down, and nobody reaches what is on it.
            self.requests.set_up(index)?;
            return self.refresh(&name);
        }
        for left in self.leftovers.macvlans(&mut self.requests)? {
            let is_it = left.is_ours && left.on == on && left.mac == mac && left.name != name;
            if is_it && !self.has_mac(&left.name) {
                self.requests.remove_link(left.index)?;
            }
        }
        if index > 0 && !self.may_have(id, &name, on, mac)? {
            let text = format!("there is another interface {name}, or another router's");
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        self.requests.add_macvlan(&name, on, mac)?;
        self.refresh(&name)?;
        let index = self.index(&name)?;
        self.virtual_macs.made.insert(name.clone(), Made { index, on, mac });
        if let Err(error) = self.virtual_macs.set_up(&base, &name, family) {
            self.not_set_up(id, error);
        }
        self.requests.set_up(index)?;
        self.refresh(&name)?;
        self.hearing.follow(&name, index)
    }

    /// Does so after something has happened to it: at once, unless somebody is stubborn.
    pub(super) fn repair_virtual_mac(&mut self, now: Instant, id: RouterId) {
        if self.lacks_virtual_mac(id) && self.virtual_macs.losses.lose(now, id) {
            self.remake_virtual_mac(id);
        }
    }

    /// Does so for those that had to wait.
    pub(super) fn repair_virtual_macs_late(&mut self, now: Instant) {
        while let Some(id) = self.virtual_macs.losses.pop(now) {
            self.remake_virtual_mac(id);
        }
    }

    fn remake_virtual_mac(&mut self, id: RouterId) {
        if let Err(error) = self.make_virtual_mac(id) {
            self.not_set_up(id, error);
        }
    }

    fn not_set_up(&mut self, id: RouterId, error: io::Error) {
        let operation = Operation::SetUp;
        self.inputs.push_back((id, Input::Failed { operation, error }));
    }

    /// Whether the interface of the virtual MAC address should be there, set up, and is not.
    fn lacks_virtual_mac(&self, id: RouterId) -> bool {
        let Some(port) = self.ports.get(&id) else { return false };
        let Some(name) = &port.settings.virtual_mac else { return false };
        let there = self.links.get(name).zip(self.links.get(&port.settings.interface));
        let Some((home, on)) = there else { return false };
        let is_made = self.virtual_macs.has_made(name, home.index());
        on.index() > 0 && !(is_made && home.is_set_up())
    }

    /// Whether an interface that is there already may be taken for ours. One that a virtual router had
    /// that is gone makes room.
    fn may_have(&mut self, id: RouterId, name: &str, on: u32, mac: MacAddr) -> io::Result<bool> {
        let there = self.leftovers.macvlans(&mut self.requests)?;
        let Some(there) = there.into_iter().find(|one| one.name == name) else {
            return Ok(false);
        };
        if there.on == on && there.mac == mac {
            return Ok(true);
        }
        let is_taken = self.ports.iter().any(|(other, port)| *other != id && port.has_mac(name));
        if is_taken || !there.is_ours {
            return Ok(false);
        }
        self.requests.remove_link(there.index)?;
        self.refresh(name)?;
        Ok(true)
    }

    /// While its router is leaving it answers nobody who asks for a MAC address: the successor, which has
    /// the same one, announces the addresses by such questions, and an answer would turn the switch back
    /// here until the successor's next advertisement. Who knows the MAC address is served as before.
    pub(super) fn hush_virtual_mac(&mut self, id: RouterId, is_leaving: bool) -> io::Result<()> {
        let Some(port) = self.ports.get(&id) else { return Ok(()) };
        let Some(name) = &port.settings.virtual_mac else { return Ok(()) };
        // IPv6 announces by answers.
        if port.family() == Family::V6 || !self.virtual_macs.made.contains_key(name) {
            return Ok(());
        }
        // Whoever has the interface from now on is to be found.
        let mut others = self.ports.iter().filter(|(other, _)| **other != id);
        if is_leaving && others.any(|(_, port)| port.has_mac(name)) {
            return Ok(());
        }
        let which = if is_leaving { NO_ADDRESS } else { OWN_ADDRESSES };
        self.virtual_macs.sysctls.set(&format!("ipv4/conf/{name}/arp_ignore"), which)
    }

    /// Takes it away, unless another router has it, and gives back what was lent for it.
    pub(super) fn drop_virtual_mac(&mut self, port: &Port) -> io::Result<()> {
        let Some(name) = &port.settings.virtual_mac else { return Ok(()) };
        let heir = self.ports.iter().find(|(_, port)| port.has_mac(name));
        if let Some(heir) = heir.map(|(id, _)| *id) {
            return self.hand_on_virtual_mac(heir, name);
        }
        let is_ours = self.virtual_macs.made.remove(name).is_some();
        let mut outcome = match self.links.remove(name).map(|link| link.index()) {
            Some(index) if index > 0 && is_ours => self.requests.remove_link(index),
            _ => Ok(()),
        };
        let base = &port.settings.interface;
        let has_any = |port: &Port| port.settings.virtual_mac.is_some();
        if !self.ports.values().any(|port| has_any(port) && port.settings.interface == *base) {
            let key = format!("ipv4/conf/{base}/arp_ignore");
            outcome = outcome.and(self.virtual_macs.sysctls.give_back(&key));
        }
        if !self.ports.values().any(|port| has_any(port)) {
            outcome = outcome.and(self.virtual_macs.sysctls.give_all_back());
        }
        outcome
    }

    /// Gives the interface of this name to `heir`, anew if it is on another interface, or has the MAC address
    /// of another virtual router: the monitor tells what was on it, and that is put back.
    fn hand_on_virtual_mac(&mut self, heir: RouterId, name: &str) -> io::Result<()> {
        let Some(port) = self.ports.get(&heir) else { return Ok(()) };
        let wanted = (self.links.get(&port.settings.interface).map(super::Link::index), port.mac());
        let Some(made) = self.virtual_macs.made.get(name).copied() else { return Ok(()) };
        if (Some(made.on), made.mac) == wanted {
            return self.hush_virtual_mac(heir, false);
        }
        self.virtual_macs.made.remove(name);
        self.requests.remove_link(made.index)?;
        self.refresh(name)?;
        self.make_virtual_mac(heir)
    }

    fn refresh(&mut self, name: &str) -> io::Result<()> {
        self.links.get_mut(name).map_or(Ok(()), super::Link::refresh)
    }

    /// Whether a router has its MAC address on this interface.
    pub(super) fn has_mac(&self, name: &str) -> bool {
        self.ports.values().any(|port| port.has_mac(name))
    }
}
