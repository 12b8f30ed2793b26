//! What belongs to the host and to no router: addresses, routes and rules that are always there.

use std::io;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressProtocol};
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::rule::{RuleAttribute, RuleMessage};
use nix::net::if_::if_nametoindex;

use super::leftovers::{route_name, rule_name};
use super::messages::{is_rule, rule_message};
use super::netlink::{self, EEXIST, FIXED, Requests};
use super::presence::Presence;
use super::routes::is_route;
use super::{Route, RouteKind, Rule, VirtualAddress};
use crate::driver::Leftover;

/// One thing that is there whoever is master.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Fixed {
    /// An address, on the interface that it names.
    Address(VirtualAddress),
    /// A route; it leads where it says, as there is no virtual router to say it.
    Route(Route),
    /// A policy rule.
    Rule(Rule),
}

/// What a process that was killed has left of such things.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Inherited {
    /// What stays, and is ours now.
    pub kept: Vec<Fixed>,
    /// What is gone.
    pub removed: Vec<Leftover>,
    /// What the kernel did not want to tell or to remove.
    pub failures: Vec<io::Error>,
}

impl Inherited {
    fn note<T: Default>(&mut self, outcome: io::Result<T>) -> T {
        outcome.unwrap_or_else(|error| {
            self.failures.push(error);
            T::default()
        })
    }
}

/// Puts things on this host that are not to move, and takes them away again.
///
/// What was there before is not touched: it belongs to somebody else, unless a process that was killed
/// has left it. All of it has a number (113, as `ip` shows it), by which it is found.
#[derive(Debug)]
pub struct FixedSettings {
    requests: Requests,
    presence: Presence,
}

impl FixedSettings {
    /// # Errors
    /// The kernel does not want to.
    pub fn new() -> io::Result<Self> {
        Ok(Self { requests: Requests::open()?, presence: Presence::say("lb-vrrp-fixed") })
    }

    /// Looks at what a process that was killed has left. What is `wanted` of it stays, and is ours. All else
    /// goes, as far as the kernel lets it. Beside another process that has things here, nothing is ours to
    /// say.
    pub fn inherit(&mut self, wanted: &[Fixed]) -> Inherited {
        let mut ours = Inherited::default();
        if !self.presence.is_alone() {
            return ours;
        }
        let requests = &mut self.requests;
        // Who needs another one goes first.
        for rule in ours.note(requests.rules(FIXED)) {
            match wanted.iter().find(|it| matches!(it, Fixed::Rule(it) if is_rule(&rule, it))) {
                Some(known) => ours.kept.push(known.clone()),
                None => {
                    let name = rule_name(&rule);
                    match requests.remove_rule_message(rule) {
                        Ok(()) => ours.removed.push(name),
                        Err(error) => ours.failures.push(error),
                    }
                }
            }
        }
        for route in ours.note(requests.routes(FIXED)) {
            let is_it = |it: &&Fixed| {
                matches!(it, Fixed::Route(it)
                    if way_of(it).is_ok_and(|way| is_route(&route, it, way)))
            };
            match wanted.iter().find(is_it) {
                Some(known) => ours.kept.push(known.clone()),
                None => {
                    let name = route_name(&route);
                    match requests.remove_route_message(route) {
                        Ok(was_there) => ours.removed.extend(name.filter(|_| was_there)),
                        Err(error) => ours.failures.push(error),
                    }
                }
            }
        }
        let addresses = ours.note(requests.addresses());
        for there in addresses.into_iter().filter(|there| there.is_marked(FIXED)) {
            let (index, address, prefix) = (there.index, there.address, there.prefix);
            let is_it = |it: &&Fixed| {
                matches!(it, Fixed::Address(it) if (it.address, it.prefix) == (address, prefix)
                    && index_of(it.dev.as_deref()).is_ok_and(|on| on == index))
            };
            match wanted.iter().find(is_it) {
                Some(known) => ours.kept.push(known.clone()),
                None => match requests.remove_stray(index, address, prefix) {
                    Ok(()) => ours.removed.push(there.name()),
                    Err(error) => ours.failures.push(error),
                },
            }
        }
        ours
    }

    /// Puts it there; `false` if it is there already. A route stands beside those that lead to the same
    /// place by another router: over IPv4 it is asked first.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is no such interface, or what the kernel says.
    pub fn add(&mut self, fixed: &Fixed) -> io::Result<bool> {
        let message = match fixed {
            Fixed::Address(address) => {
                let mut message = netlink::message(index_of(address.dev.as_deref())?, address);
                for attribute in &mut message.attributes {
                    if let AddressAttribute::Protocol(mark) = attribute {
                        *mark = AddressProtocol::Other(FIXED);
                    }
                }
                RouteNetlinkMessage::NewAddress(message)
            }
            Fixed::Route(route) => return self.requests.add_route(route, way_of(route)?, FIXED),
            Fixed::Rule(rule) => RouteNetlinkMessage::NewRule(rule_of(rule)),
        };
        match self.requests.request(message, NLM_F_CREATE | NLM_F_EXCL) {
            Ok(()) => Ok(true),
            Err(error) if error.raw_os_error() == Some(EEXIST) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes it away. That it is not there is no error.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn remove(&mut self, fixed: &Fixed) -> io::Result<()> {
        match fixed {
            Fixed::Address(address) => match index_of(address.dev.as_deref()) {
                Ok(index) => self.requests.remove(index, address),
                Err(_gone_with_its_interface) => Ok(()),
            },
            Fixed::Route(route) => match way_of(route) {
                Ok(way) => self.requests.remove_route(route, way, FIXED),
                Err(_gone_with_its_interface) => Ok(()),
            },
            Fixed::Rule(rule) => {
                let message = RouteNetlinkMessage::DelRule(rule_of(rule));
                netlink::unless(&netlink::GONE, self.requests.request(message, 0))
            }
        }
    }
}

fn index_of(interface: Option<&str>) -> io::Result<u32> {
    let interface = interface.ok_or(io::ErrorKind::NotFound)?;
    if_nametoindex(interface).map_err(|_| io::ErrorKind::NotFound.into())
}

/// The interface that a route leaves by, if it says so.
fn way_of(route: &Route) -> io::Result<Option<u32>> {
    let leads = route.kind == RouteKind::Unicast && route.next_hops.is_empty();
    let dev = route.dev.as_deref().filter(|_| leads);
    dev.map(|dev| index_of(Some(dev))).transpose()
}

fn rule_of(rule: &Rule) -> RuleMessage {
    let mut message = rule_message(rule);
    message.attributes.retain(|known| !matches!(known, RuleAttribute::Protocol(_)));
    message.attributes.push(RuleAttribute::Protocol(RouteProtocol::from(FIXED)));
    message
}
