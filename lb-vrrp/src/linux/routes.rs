//! Routes by rtnetlink. They stand beside those of others that lead to the same place, as keepalived has
//! it (`netlink_route`), and neither replace them nor go with them: whose a route is its number says
//! (`rtm_protocol`), which the kernel looks at when one is removed.
//!
//! Over IPv4 the one that came last is asked first (`fib_table_insert`). Over IPv6 those by a router are
//! the several ways of one route (`fib6_add_rt2node`), each with a number of its own, of which the kernel
//! shows the first.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE, NlasIterator};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteNextHop,
    RouteNextHopFlags, RouteProtocol, RouteScope, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::net::if_::if_nametoindex;

use super::messages::family_of;
use super::netlink::{EEXIST, ENODEV, HEADER, OURS, Requests, unless};
use super::{NextHop, Prefix, Route, RouteKind, Scope};
use crate::addresses::Family;

const ESRCH: i32 = 3;
/// How many routes that cannot be told apart are taken away at most.
const MOST_ALIKE: usize = 16;
/// How many routes over IPv6 of several ways are looked at for one of ours: a router has a million of
/// them, and nobody waits until each was asked for.
const MOST_OF_SEVERAL_WAYS: usize = 1000;

/// Where a route leads to; there may be several by one key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct RouteKey {
    pub(super) to: Prefix,
    pub(super) table: u32,
    pub(super) metric: u32,
}

impl RouteKey {
    pub(super) fn of(message: &RouteMessage) -> Option<Self> {
        let header = &message.header;
        let is_v6 = header.address_family == AddressFamily::Inet6;
        let mut to = Prefix::all(if is_v6 { Family::V6 } else { Family::V4 });
        let (mut table, mut metric) = (u32::from(header.table), 0);
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Destination(address) => {
                    to = Prefix::new(ip(address)?, header.destination_prefix_length)?;
                }
                RouteAttribute::Table(number) => table = *number,
                RouteAttribute::Priority(number) => metric = *number,
                _ => {}
            }
        }
        Some(Self { to, table, metric })
    }

    /// That of a route of a configuration: without a metric it is the kernel's
    /// (`IP6_RT_PRIO_USER`).
    pub(super) fn of_setting(route: &Route) -> Self {
        let default = if route.to.family() == Family::V6 { 1024 } else { 0 };
        let metric = route.metric.filter(|metric| *metric > 0).unwrap_or(default);
        Self { to: route.to, table: route.table, metric }
    }
}

impl Requests {
    /// Whether it was not there: not by this number, or over IPv6 not at all.
    pub(super) fn add_route(
        &mut self,
        route: &Route,
        index: Option<u32>,
        mark: u8,
    ) -> io::Result<bool> {
        let mut is_new = false;
        for message in each_way(message(route, index, mark)) {
            match self.request(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE) {
                Ok(()) => is_new = true,
                Err(error) if error.raw_os_error() == Some(EEXIST) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(is_new)
    }

    /// That it is not there is no error.
    pub(super) fn remove_route(
        &mut self,
        route: &Route,
        index: Option<u32>,
        mark: u8,
    ) -> io::Result<()> {
        let message = RouteNetlinkMessage::DelRoute(message(route, index, mark));
        // Of one by a router that has become this host itself meanwhile the kernel takes a second one, which
        // differs in nothing that can be said.
        for _ in 0..MOST_ALIKE {
            match self.request(message.clone(), 0) {
                Ok(()) => {}
                gone => return unless(&[ESRCH, ENODEV], gone),
            }
        }
        Ok(())
    }

    /// Those with this mark; over IPv6 each way by itself, and those as well that may have it behind that
    /// of others.
    pub(super) fn routes(&mut self, mark: u8) -> io::Result<Vec<RouteMessage>> {
        let message = RouteNetlinkMessage::GetRoute(RouteMessage::default());
        let all = self.dump(message, |raw| may_be_ours(raw, mark))?;
        let mut others = 0;
        let routes = all.into_iter().filter_map(|message| match message {
            RouteNetlinkMessage::NewRoute(route) => Some(route),
            _ => None,
        });
        let routes = routes.filter(|route| {
            let is_marked = route.header.protocol == RouteProtocol::from(mark);
            others += usize::from(!is_marked);
            is_marked || others <= MOST_OF_SEVERAL_WAYS
        });
        let marked = |mut route: RouteMessage| {
            route.header.protocol = RouteProtocol::from(mark);
            route
        };
        Ok(routes.flat_map(each_way).map(marked).collect())
    }

    /// Only what says which one it is. Whether it was there: it may be somebody else's.
    pub(super) fn remove_route_message(&mut self, mut route: RouteMessage) -> io::Result<bool> {
        route.header.flags = RouteFlags::empty();
        route.attributes.retain(|attribute| {
            matches!(
                attribute,
                RouteAttribute::Destination(_)
                    | RouteAttribute::Gateway(_)
                    | RouteAttribute::MultiPath(_)
                    | RouteAttribute::Oif(_)
                    | RouteAttribute::PrefSource(_)
                    | RouteAttribute::Priority(_)
                    | RouteAttribute::Table(_)
                    | RouteAttribute::Via(_)
            )
        });
        match self.request(RouteNetlinkMessage::DelRoute(route), 0) {
            Err(error) if error.raw_os_error() == Some(ESRCH) => Ok(false),
            outcome => outcome.map(|()| true),
        }
    }
}

/// Whether a message is about a route of this mark, or of several ways over IPv6, of which one may be:
/// there may be a million others, which come and go.
pub(super) fn may_be_ours(raw: &[u8], mark: u8) -> bool {
    const PROTOCOL: usize = HEADER + 5;
    const ATTRIBUTES: usize = HEADER + 12;
    const AF_INET6: u8 = 10;
    const RTA_MULTIPATH: u16 = 9;
    let has_several_ways = || {
        let attributes = raw.get(ATTRIBUTES..).unwrap_or_default();
        let mut attributes = NlasIterator::new(attributes).map_while(Result::ok);
        attributes.any(|attribute| attribute.kind() == RTA_MULTIPATH)
    };
    raw.get(PROTOCOL) == Some(&mark) || raw.get(HEADER) == Some(&AF_INET6) && has_several_ways()
}

/// Whether a message is about a route of somebody that has come in the place of another one, of which
/// the kernel does not tell.
pub(super) fn may_replace_ours(raw: &[u8]) -> bool {
    let flags = u16::from_ne_bytes([raw[6], raw[7]]);
    flags & NLM_F_REPLACE != 0 && raw.get(HEADER + 5) != Some(&OURS)
}

/// As it is asked for; `index` is that of the interface that it leaves by, if it has one.
fn message(route: &Route, index: Option<u32>, mark: u8) -> RouteMessage {
    let Route { to, via, source, table, scope, .. } = route;
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: family_of(to.family()),
        destination_prefix_length: to.length(),
        // Larger numbers are in the attribute alone.
        table: u8::try_from(*table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC),
        protocol: RouteProtocol::from(mark),
        scope: match (scope, via) {
            (Some(Scope::Global), _) | (None, Some(_)) => RouteScope::Universe,
            (Some(Scope::Link), _) => RouteScope::Link,
            (Some(Scope::Host), _) => RouteScope::Host,
            // IPv6 has no scopes of routes, and what leads nowhere has none.
            (None, None) if to.family() == Family::V6 => RouteScope::Universe,
            (None, None) if route.kind != RouteKind::Unicast => RouteScope::Universe,
            (None, None) if !route.next_hops.is_empty() => RouteScope::Universe,
            (None, None) => RouteScope::Link,
        },
        kind: match route.kind {
            RouteKind::Unicast => RouteType::Unicast,
            RouteKind::Blackhole => RouteType::BlackHole,
            RouteKind::Unreachable => RouteType::Unreachable,
            RouteKind::Prohibit => RouteType::Prohibit,
            RouteKind::Throw => RouteType::Throw,
        },
        flags: if route.onlink { RouteFlags::Onlink } else { RouteFlags::empty() },
        ..RouteHeader::default()
    };
    let address = |address: IpAddr| RouteAddress::from(address);
    if to.length() > 0 {
        message.attributes.push(RouteAttribute::Destination(address(to.address())));
    }
    message.attributes.extend(via.map(|via| RouteAttribute::Gateway(address(via))));
    message.attributes.extend(source.map(|source| RouteAttribute::PrefSource(address(source))));
    message.attributes.extend(index.map(RouteAttribute::Oif));
    // To be removed with none would be with any.
    let metric = Some(RouteKey::of_setting(route).metric).filter(|metric| *metric > 0);
    message.attributes.extend(metric.map(RouteAttribute::Priority));
    message.attributes.push(RouteAttribute::Table(*table));
    // The bit of RTAX_MTU.
    let lock = route.mtu_lock.then_some(RouteMetric::Lock(1 << 2));
    let metrics = [lock, route.mtu.map(RouteMetric::Mtu), route.advmss.map(RouteMetric::Advmss)];
    let metrics: Vec<_> = metrics.into_iter().flatten().collect();
    if !metrics.is_empty() {
        message.attributes.push(RouteAttribute::Metrics(metrics));
    }
    if !route.next_hops.is_empty() {
        let hops = route.next_hops.iter().map(|hop| next_hop(hop, route.onlink));
        message.attributes.push(RouteAttribute::MultiPath(hops.collect()));
    }
    message
}

/// An interface that is not there has no index, which the kernel refuses.
fn next_hop(hop: &NextHop, onlink: bool) -> RouteNextHop {
    let index = hop.dev.as_deref().map(|dev| if_nametoindex(dev).unwrap_or(u32::MAX));
    let mut message = RouteNextHop::default();
    message.flags = if onlink { RouteNextHopFlags::Onlink } else { RouteNextHopFlags::empty() };
    // What is counted from 0 there.
    message.hops = hop.weight.saturating_sub(1);
    message.interface_index = index.unwrap_or_default();
    let gateway = hop.via.map(|via| RouteAttribute::Gateway(RouteAddress::from(via)));
    message.attributes.extend(gateway);
    message
}

/// Over IPv6, where one of them may be there without the others, each way of a route by itself.
fn each_way(mut message: RouteMessage) -> Vec<RouteMessage> {
    let several = |attribute: &RouteAttribute| matches!(attribute, RouteAttribute::MultiPath(_));
    let at = message.attributes.iter().position(several);
    let is_v6 = message.header.address_family == AddressFamily::Inet6;
    let Some(at) = at.filter(|_| is_v6) else { return vec![message] };
    let RouteAttribute::MultiPath(hops) = message.attributes.swap_remove(at) else {
        return Vec::new();
    };
    let alone = |hop| {
        let mut message = message.clone();
        message.attributes.push(RouteAttribute::MultiPath(vec![hop]));
        message
    };
    hops.into_iter().map(alone).collect()
}

/// One way of a route: by which router, by which interface if that is known, and its share, counted
/// from 0.
type Way = (Option<IpAddr>, Option<u32>, u8);

/// Whether that is this route, or over IPv6 one way of it, as the kernel has it; `index` is that of the
/// interface that it leaves by, if it has one.
pub(super) fn is_route(there: &RouteMessage, route: &Route, index: Option<u32>) -> bool {
    let wanted = message(route, index, OURS);
    let (ways, wanted_ways) = (ways(there), ways(&wanted));
    let is_v6 = route.to.family() == Family::V6;
    let is_way = |(via, on, share): &Way| {
        let mut wanted = wanted_ways.iter();
        wanted.any(|it| it.0 == *via && (it.1.is_none() || it.1 == *on) && it.2 == *share)
    };
    RouteKey::of(there) == Some(RouteKey::of_setting(route))
        && there.header.kind == wanted.header.kind
        && (is_v6 || there.header.scope == wanted.header.scope)
        && (is_v6 || ways.len() == wanted_ways.len())
        && ways.iter().all(is_way)
        && beside(there) == beside(&wanted)
}

fn ways(message: &RouteMessage) -> Vec<Way> {
    let mut one: Way = (None, None, 0);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::MultiPath(hops) => {
                let way = |hop: &RouteNextHop| {
                    let index = Some(hop.interface_index).filter(|index| *index > 0);
                    (hop.attributes.iter().find_map(gateway), index, hop.hops)
                };
                return hops.iter().map(way).collect();
            }
            RouteAttribute::Oif(index) => one.1 = Some(*index),
            attribute => one.0 = gateway(attribute).or(one.0),
        }
    }
    // What leads nowhere has an interface for the kernel alone.
    if message.header.kind != RouteType::Unicast {
        return Vec::new();
    }
    vec![one]
}

fn gateway(attribute: &RouteAttribute) -> Option<IpAddr> {
    match attribute {
        RouteAttribute::Gateway(address) => ip(address),
        RouteAttribute::Via(RouteVia::Inet6(address)) => Some((*address).into()),
        RouteAttribute::Via(RouteVia::Inet(address)) => Some((*address).into()),
        _ => None,
    }
}

/// What else tells routes apart: the address to speak from, and how large packets and segments may be.
fn beside(message: &RouteMessage) -> (Option<IpAddr>, [Option<u32>; 3]) {
    let (mut source, mut sizes) = (None, [None; 3]);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::PrefSource(address) => source = ip(address),
            RouteAttribute::Metrics(metrics) => {
                for metric in metrics {
                    match metric {
                        RouteMetric::Lock(bits) => sizes[0] = Some(*bits),
                        RouteMetric::Mtu(octets) => sizes[1] = Some(*octets),
                        RouteMetric::Advmss(octets) => sizes[2] = Some(*octets),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    (source, sizes)
}

const fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}
