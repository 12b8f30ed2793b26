//! What a process that was killed has left behind: whoever is to have it takes it over, and all else
//! goes, once, at the start.
//!
//! Everything of ours is marked: addresses, routes and rules by a number ([`OURS`]), interfaces by an
//! alias. So what goes may be in no configuration any more.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressProtocol};
use netlink_packet_route::route::RouteMessage;
use netlink_packet_route::rule::{RuleAttribute, RuleMessage};

use super::LinuxNetwork;
use super::messages::{Macvlan, is_marked_rule, is_rule};
use super::netlink::{OURS, Requests, address_in};
use super::port::Port;
use super::presence::Presence;
use super::routes::{RouteKey, is_route};
use crate::driver::{Input, Leftover, Operation};

/// What may have been left, and whether that is ours to say.
#[derive(Debug)]
pub(super) struct Leftovers {
    presence: Presence,
    /// Whether it was looked for.
    is_swept: bool,
    /// What there was of its kind at the start, until then.
    macvlans: Option<Vec<Macvlan>>,
    /// What was removed, and what was found that somebody may have: not told yet.
    removed: Vec<Leftover>,
    found: Vec<Leftover>,
}

impl Leftovers {
    pub(super) fn new() -> Self {
        Self {
            presence: Presence::say("lb-vrrp"),
            is_swept: false,
            macvlans: None,
            removed: Vec::new(),
            found: Vec::new(),
        }
    }

    /// Whether all that is marked was left by the dead: nobody else in this network namespace does
    /// what we do.
    pub(super) const fn is_alone(&self) -> bool {
        self.presence.is_alone()
    }

    /// Whether it is time to look for it, once.
    fn begin(&mut self) -> bool {
        self.macvlans = None;
        !std::mem::replace(&mut self.is_swept, true)
    }

    /// Remembers what was removed, if it was.
    fn note(&mut self, outcome: io::Result<()>, what: Leftover) -> io::Result<()> {
        outcome.map(|()| self.removed.push(what))
    }

    /// The interfaces with a MAC address of their own that are there; at the start, when many are made,
    /// those that were.
    pub(super) fn macvlans(&mut self, requests: &mut Requests) -> io::Result<Vec<Macvlan>> {
        if self.is_swept {
            return requests.macvlans();
        }
        if self.macvlans.is_none() {
            self.macvlans = Some(requests.macvlans()?);
        }
        Ok(self.macvlans.clone().unwrap_or_default())
    }
}

/// One address of this host.
pub(super) struct Address {
    pub(super) index: u32,
    pub(super) address: IpAddr,
    pub(super) prefix: u8,
    message: AddressMessage,
}

impl Address {
    fn of(message: RouteNetlinkMessage) -> Option<Self> {
        let RouteNetlinkMessage::NewAddress(message) = message else { return None };
        let (index, prefix) = (message.header.index, message.header.prefix_len);
        Some(Self { index, address: address_in(&message)?, prefix, message })
    }

    pub(super) const fn name(&self) -> Leftover {
        Leftover::Address(self.address, self.prefix)
    }

    /// Whether it has this mark.
    pub(super) fn is_marked(&self, mark: u8) -> bool {
        let mark = AddressAttribute::Protocol(AddressProtocol::Other(mark));
        self.message.attributes.contains(&mark)
    }
}

/// A route, as far as it can be read.
pub(super) fn route_name(route: &RouteMessage) -> Option<Leftover> {
    let RouteKey { to, table, .. } = RouteKey::of(route)?;
    Some(Leftover::Route(to.address(), to.length(), table))
}

pub(super) fn rule_name(rule: &RuleMessage) -> Leftover {
    let priority = rule.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Priority(priority) => Some(*priority),
        _ => None,
    });
    Leftover::Rule(priority.unwrap_or_default())
}

impl LinuxNetwork {
    /// Which virtual addresses are there, and how; once, what nobody is to have is removed.
    pub(super) fn look_at_addresses(&mut self) -> io::Result<HashMap<(u32, IpAddr), Vec<u8>>> {
        let all = self.requests.addresses()?;
        let mut expected = HashMap::<_, Vec<_>>::new();
        for port in self.ports.values() {
            for address in port.addresses() {
                let setting = port.setting(address);
                if let Ok(index) = self.index(port.home(&setting)) {
                    expected.entry((index, address)).or_default().push(setting.prefix);
                }
            }
        }
        let mut there = HashMap::<_, Vec<_>>::new();
        self.strays.clear();
        self.leftovers.found.clear();
        let is_time = !self.leftovers.is_swept && self.leftovers.is_alone();
        for one in all {
            let place = (one.index, one.address);
            match expected.get(&place) {
                Some(prefixes) => {
                    if !prefixes.contains(&one.prefix) {
                        self.strays.add(one.index, one.address, one.prefix);
                    }
                    if is_time && one.is_marked(OURS) {
                        self.leftovers.found.push(one.name());
                    }
                    there.entry(place).or_default().push(one.prefix);
                }
                None if is_time && one.is_marked(OURS) => {
                    self.requests.remove_stray(one.index, one.address, one.prefix)?;
                    self.leftovers.removed.push(one.name());
                }
                None => {}
            }
        }
        Ok(there)
    }

    /// Removes what else nobody has: rules, routes, interfaces.
    pub(super) fn sweep(&mut self) {
        let macvlans = self.leftovers.macvlans.take().unwrap_or_default();
        if !self.leftovers.begin() {
            return;
        }
        let kept = macvlans.into_iter().filter(|left| left.is_ours && self.has_mac(&left.name));
        let kept: Vec<_> = kept.map(|left| Leftover::Interface(left.name)).collect();
        self.leftovers.found.extend(kept);
        if self.leftovers.is_alone() {
            self.firewall.sweep();
        }
        let outcome = self.sweep_rules().and(self.sweep_routes()).and(self.sweep_interfaces());
        if let Err(error) = outcome {
            self.complain(Operation::Sweep, &error);
        }
        let removed = std::mem::take(&mut self.leftovers.removed);
        let found = std::mem::take(&mut self.leftovers.found);
        if let Some(&id) = self.ports.keys().next()
            && !(removed.is_empty() && found.is_empty())
        {
            self.inputs.push_back((id, Input::Leftovers { removed, found }));
        }
    }

    fn sweep_rules(&mut self) -> io::Result<()> {
        let mut outcome = Ok(());
        for rule in self.requests.rules(OURS)? {
            let has = |known: &super::Rule| is_rule(&rule, known);
            let mut ports = self.ports.values();
            let mut configured = self.ports.values().flat_map(|port| &port.settings.rules);
            let is_to_go = self.leftovers.is_alone() || configured.any(has);
            if is_to_go && !ports.any(|port| port.rules.iter().any(has)) {
                let name = rule_name(&rule);
                let removed = self.requests.remove_rule_message(rule);
                outcome = outcome.and(self.leftovers.note(removed, name));
            }
        }
        outcome
    }

    fn sweep_routes(&mut self) -> io::Result<()> {
        let mut outcome = Ok(());
        for left in self.requests.routes(OURS)? {
            let has = |port: &Port| {
                let mut routes = port.settings.routes.iter();
                routes
                    .any(|route| self.way(port, route).is_ok_and(|way| is_route(&left, route, way)))
            };
            let is_to_go = self.leftovers.is_alone() || self.ports.values().any(|port| has(port));
            if is_to_go && !self.ports.values().any(|port| port.has_routes && has(port)) {
                let name = route_name(&left);
                match self.requests.remove_route_message(left) {
                    Ok(was_there) => self.leftovers.removed.extend(name.filter(|_| was_there)),
                    Err(error) => outcome = outcome.and(Err(error)),
                }
            }
        }
        outcome
    }

    fn sweep_interfaces(&mut self) -> io::Result<()> {
        let mut outcome = Ok(());
        for left in self.requests.macvlans()? {
            let index = |name: &str| self.links.get(name).map(super::Link::index);
            let is_configured = self.ports.values().any(|port| {
                port.mac() == left.mac && index(&port.settings.interface) == Some(left.on)
            });
            let is_to_go = left.is_ours && (is_configured || self.leftovers.is_alone());
            if is_to_go && !self.has_mac(&left.name) {
                let removed = self.requests.remove_link(left.index);
                outcome = outcome.and(self.leftovers.note(removed, Leftover::Interface(left.name)));
            }
        }
        outcome
    }
}

impl Requests {
    pub(super) fn addresses(&mut self) -> io::Result<Vec<Address>> {
        let all =
            self.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()), |_| true)?;
        Ok(all.into_iter().filter_map(Address::of).collect())
    }

    /// Those with this mark.
    pub(super) fn rules(&mut self, mark: u8) -> io::Result<Vec<RuleMessage>> {
        let all = self.dump(RouteNetlinkMessage::GetRule(RuleMessage::default()), |_| true)?;
        let rules = all.into_iter().filter_map(|message| match message {
            RouteNetlinkMessage::NewRule(rule) => Some(rule),
            _ => None,
        });
        Ok(rules.filter(|rule| is_marked_rule(rule, mark)).collect())
    }

    /// As the kernel has said it: whatever is left out would be any (`rule_find`), and another rule of
    /// this priority might go.
    pub(super) fn remove_rule_message(&mut self, rule: RuleMessage) -> io::Result<()> {
        self.request(RouteNetlinkMessage::DelRule(rule), 0)
    }
}
