//! What comes with the addresses, by rtnetlink: rules, and the interface of a virtual MAC address.

use std::io;
use std::ops::RangeInclusive;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoMacVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, MacVlanMode,
};
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::rule::{
    RuleAction as Action, RuleAttribute, RuleFlags, RuleMessage, RulePortRange, RuleUidRange,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::netlink::{EEXIST, ENODEV, OURS, Requests, unless};
use super::{Prefix, Rule, RuleAction};
use crate::addresses::Family;
use crate::announce::MacAddr;

const ENOENT: i32 = 2;
/// How `ip link` shows that an interface is of ours.
const ALIAS: &str = "lb-vrrp";

/// An interface with a MAC address of its own on top of another one.
#[derive(Clone, Debug)]
pub(super) struct Macvlan {
    pub(super) index: u32,
    pub(super) name: String,
    /// The other one.
    pub(super) on: u32,
    pub(super) mac: MacAddr,
    /// Whether we made it, or one before us.
    pub(super) is_ours: bool,
}

impl Macvlan {
    fn of(message: RouteNetlinkMessage) -> Option<Self> {
        let RouteNetlinkMessage::NewLink(message) = message else { return None };
        let (mut name, mut on, mut mac) = (None, None, None);
        let (mut is_ours, mut is_macvlan) = (false, false);
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(text) => name = Some(text),
                LinkAttribute::Link(index) => on = Some(index),
                LinkAttribute::Address(octets) => mac = octets.try_into().ok().map(MacAddr),
                LinkAttribute::IfAlias(alias) => is_ours = alias == ALIAS,
                LinkAttribute::LinkInfo(info) => {
                    is_macvlan = info.contains(&LinkInfo::Kind(InfoKind::MacVlan));
                }
                _ => {}
            }
        }
        let index = message.header.index;
        is_macvlan.then_some(())?;
        Some(Self { index, name: name?, on: on?, mac: mac?, is_ours })
    }
}

impl Requests {
    /// That it is there already is no error.
    pub(super) fn add_rule(&mut self, rule: &Rule) -> io::Result<()> {
        let message = RouteNetlinkMessage::NewRule(rule_message(rule));
        unless(&[EEXIST], self.request(message, NLM_F_CREATE | NLM_F_EXCL))
    }

    /// That it is not there is no error.
    pub(super) fn remove_rule(&mut self, rule: &Rule) -> io::Result<()> {
        let message = RouteNetlinkMessage::DelRule(rule_message(rule));
        unless(&[ENOENT], self.request(message, 0))
    }

    /// An interface with this MAC address on top of another one, down. It hears nothing of others
    /// of its kind, as keepalived has it. That it is there already is no error.
    pub(super) fn add_macvlan(&mut self, name: &str, on: u32, mac: MacAddr) -> io::Result<()> {
        let mut message = LinkMessage::default();
        let mode = InfoData::MacVlan(vec![InfoMacVlan::Mode(MacVlanMode::Private)]);
        message.attributes = vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::Link(on),
            LinkAttribute::Address(mac.0.to_vec()),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::MacVlan), LinkInfo::Data(mode)]),
        ];
        let message = RouteNetlinkMessage::NewLink(message);
        unless(&[EEXIST], self.request(message, NLM_F_CREATE | NLM_F_EXCL))
    }

    /// Up, and marked as ours for whoever comes after us.
    pub(super) fn set_up(&mut self, index: u32) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfAlias(ALIAS.to_owned()));
        message.header.index = index;
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        self.request(RouteNetlinkMessage::SetLink(message), 0)
    }

    /// All interfaces of this kind.
    pub(super) fn macvlans(&mut self) -> io::Result<Vec<Macvlan>> {
        let all = self.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()), |_| true)?;
        Ok(all.into_iter().filter_map(Macvlan::of).collect())
    }

    /// That it is not there is no error.
    pub(super) fn remove_link(&mut self, index: u32) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        unless(&[ENODEV], self.request(RouteNetlinkMessage::DelLink(message), 0))
    }
}

pub(super) fn family_of(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

pub(super) fn rule_message(rule: &Rule) -> RuleMessage {
    let Rule { family, from, to, iif, oif, fwmark, table, priority, .. } = rule;
    let mut message = RuleMessage::default();
    message.header.family = family_of(*family);
    message.header.src_len = from.as_ref().map_or(0, Prefix::length);
    message.header.dst_len = to.as_ref().map_or(0, Prefix::length);
    message.header.tos = rule.tos.unwrap_or_default();
    message.header.action = match rule.action {
        RuleAction::Table => Action::ToTable,
        RuleAction::Goto(_) => Action::Goto,
        RuleAction::Nop => Action::Nop,
        RuleAction::Blackhole => Action::Blackhole,
        RuleAction::Unreachable => Action::Unreachable,
        RuleAction::Prohibit => Action::Prohibit,
    };
    if rule.not {
        message.header.flags = RuleFlags::Invert;
    }
    let attributes = &mut message.attributes;
    // Of what is for all addresses the kernel says nothing, and so do we.
    let narrow = |prefix: &Option<Prefix>| prefix.filter(|prefix| prefix.length() > 0);
    attributes.extend(narrow(from).map(|from| RuleAttribute::Source(from.address())));
    attributes.extend(narrow(to).map(|to| RuleAttribute::Destination(to.address())));
    attributes.extend(iif.clone().map(RuleAttribute::Iifname));
    attributes.extend(oif.clone().map(RuleAttribute::Oifname));
    attributes.extend(fwmark.map(RuleAttribute::FwMark));
    attributes.extend(priority.map(RuleAttribute::Priority));
    attributes.extend(rule.fwmask.map(RuleAttribute::FwMask));
    attributes.extend(rule.ip_protocol.map(|number| RuleAttribute::IpProtocol(number.into())));
    let ports =
        |range: &RangeInclusive<u16>| RulePortRange { start: *range.start(), end: *range.end() };
    attributes.extend(rule.sport.as_ref().map(ports).map(RuleAttribute::SourcePortRange));
    attributes.extend(rule.dport.as_ref().map(ports).map(RuleAttribute::DestinationPortRange));
    let users = rule.uid_range.as_ref();
    let users = users.map(|range| RuleUidRange { start: *range.start(), end: *range.end() });
    attributes.extend(users.map(RuleAttribute::UidRange));
    attributes.extend(rule.suppress_prefixlength.map(RuleAttribute::SuppressPrefixLen));
    attributes.extend(rule.suppress_ifgroup.map(RuleAttribute::SuppressIfGroup));
    match rule.action {
        RuleAction::Table => {
            message.header.table = u8::try_from(*table).unwrap_or_default();
            attributes.push(RuleAttribute::Table(*table));
        }
        RuleAction::Goto(priority) => attributes.push(RuleAttribute::Goto(priority)),
        _ => {}
    }
    attributes.push(RuleAttribute::Protocol(RouteProtocol::from(OURS)));
    message
}

/// Whether it has this mark.
pub(super) fn is_marked_rule(message: &RuleMessage, mark: u8) -> bool {
    message.attributes.contains(&RuleAttribute::Protocol(RouteProtocol::from(mark)))
}

/// Whether that is this rule, whoever put it there, as the kernel has it: with a priority, whether or
/// not it was asked for, and with what it says of every rule.
pub(super) fn is_rule(message: &RuleMessage, rule: &Rule) -> bool {
    let ours = rule_message(rule);
    let what = |message: &RuleMessage| {
        let header = &message.header;
        let inverts = header.flags.contains(RuleFlags::Invert);
        let (of, lengths) = (header.family, (header.src_len, header.dst_len));
        (of, lengths, header.tos, header.action, inverts)
    };
    let has_all = |message: &RuleMessage, all: &RuleMessage| {
        let mut all = all.attributes.iter().filter(|attribute| distinguishes(attribute));
        all.all(|attribute| message.attributes.contains(attribute))
    };
    let has_priority = rule
        .priority
        .is_none_or(|priority| message.attributes.contains(&RuleAttribute::Priority(priority)));
    what(message) == what(&ours)
        && has_priority
        && has_all(message, &ours)
        && has_all(&ours, message)
}

/// Whether it says which packets a rule is for, or what becomes of them (`fib_nl_fill_rule`): not what
/// the kernel says of every rule, nor what rules of ours do not have.
const fn distinguishes(attribute: &RuleAttribute) -> bool {
    !matches!(
        attribute,
        RuleAttribute::Priority(_)
            | RuleAttribute::Protocol(_)
            | RuleAttribute::FwMask(u32::MAX)
            | RuleAttribute::SuppressPrefixLen(u32::MAX)
            | RuleAttribute::SuppressIfGroup(u32::MAX)
            | RuleAttribute::Table(0)
            | RuleAttribute::Other(_)
    )
}
