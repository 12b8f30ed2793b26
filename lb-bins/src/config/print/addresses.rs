//! Prints addresses, routes and rules.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use lb_vrrp::linux::{NextHop, Prefix, Route, RouteKind, Rule, RuleAction, Scope, VirtualAddress};

use super::{table, text};
use crate::config::draft::vrrp::RuleAction as Action;
use crate::config::model::Config;
use crate::config::words::Word;

/// Keys with their values, as far as they have one.
type Pairs = Vec<(&'static str, Option<String>)>;

pub(super) fn inline_address(one: &VirtualAddress) -> String {
    let VirtualAddress { address, prefix, dev, label, scope, deprecated, .. } = one;
    let is_plain = dev.is_none() && label.is_none() && deprecated.is_none();
    if is_plain && *scope == Scope::Global {
        return text(&format!("{address}/{prefix}"));
    }
    table(&pairs_of_address(one))
}

fn pairs_of_address(address: &VirtualAddress) -> Pairs {
    let VirtualAddress { address, prefix, dev, label, scope, deprecated, .. } = address;
    vec![
        ("address", Some(text(&format!("{address}/{prefix}")))),
        ("dev", dev.as_deref().map(text)),
        ("label", label.as_deref().map(text)),
        ("scope", Some(text(scope.word()))),
        ("deprecated", deprecated.map(|deprecated| deprecated.to_string())),
    ]
}

pub(super) fn inline_route(route: &Route) -> String {
    table(&pairs_of_route(route))
}

fn pairs_of_route(route: &Route) -> Pairs {
    let Route { to, via, dev, source, table: number, metric, scope, .. } = route;
    // A default route says of itself whose it is only by its router.
    let hop = via.or_else(|| route.next_hops.iter().find_map(|hop| hop.via));
    let is_default = *to == Prefix::all(to.family()) && hop.is_some();
    let to = if is_default { text("default") } else { text(&to.to_string()) };
    let address = |address: IpAddr| text(&address.to_string());
    let hops = route.next_hops.iter().map(inline_hop).collect::<Vec<_>>().join(", ");
    let has_hops = !route.next_hops.is_empty();
    let is_unicast = route.kind == RouteKind::Unicast;
    vec![
        ("type", (!is_unicast).then(|| text(route.kind.word()))),
        ("to", Some(to)),
        ("via", via.map(address)),
        ("dev", dev.as_deref().map(text)),
        ("nexthops", has_hops.then(|| format!("[{hops}]"))),
        ("source", source.map(address)),
        ("table", Some(number.to_string())),
        ("metric", metric.map(|metric| metric.to_string())),
        ("scope", scope.map(|scope| text(scope.word()))),
        ("onlink", route.onlink.then(|| "true".to_owned())),
        ("mtu", route.mtu.map(|octets| octets.to_string())),
        ("mtu_lock", route.mtu_lock.then(|| "true".to_owned())),
        ("advmss", route.advmss.map(|octets| octets.to_string())),
    ]
}

fn inline_hop(NextHop { via, dev, weight, .. }: &NextHop) -> String {
    table(&[
        ("via", via.map(|via| text(&via.to_string()))),
        ("dev", dev.as_deref().map(text)),
        ("weight", Some(weight.to_string())),
    ])
}

pub(super) fn inline_rule(rule: &Rule) -> String {
    table(&pairs_of_rule(rule))
}

fn pairs_of_rule(rule: &Rule) -> Pairs {
    let Rule { family, from, to, iif, oif, table: number, priority, .. } = rule;
    let prefix = |prefix: Prefix| text(&prefix.to_string());
    let decimal = |number: Option<u32>| number.map(|number| number.to_string());
    let octet = |number: Option<u8>| number.map(|number| number.to_string());
    let (action, goto) = match rule.action {
        RuleAction::Goto(priority) => (Action::Goto, Some(priority)),
        RuleAction::Nop => (Action::Nop, None),
        RuleAction::Blackhole => (Action::Blackhole, None),
        RuleAction::Unreachable => (Action::Unreachable, None),
        RuleAction::Prohibit => (Action::Prohibit, None),
        _ => (Action::Table, None),
    };
    let has_addresses = from.is_some() || to.is_some();
    vec![
        ("family", (!has_addresses).then(|| text(family.word()))),
        ("not", rule.not.then(|| "true".to_owned())),
        ("from", from.map(prefix)),
        ("to", to.map(prefix)),
        ("iif", iif.as_deref().map(text)),
        ("oif", oif.as_deref().map(text)),
        ("fwmark", decimal(rule.fwmark)),
        ("fwmask", decimal(rule.fwmask)),
        ("tos", octet(rule.tos)),
        ("ip_protocol", octet(rule.ip_protocol)),
        ("sport", rule.sport.as_ref().map(range)),
        ("dport", rule.dport.as_ref().map(range)),
        ("uid_range", rule.uid_range.as_ref().map(range)),
        ("action", (action != Action::Table).then(|| text(action.word()))),
        ("goto", decimal(goto)),
        ("table", Some(number.to_string())),
        ("suppress_prefixlength", decimal(rule.suppress_prefixlength)),
        ("suppress_ifgroup", decimal(rule.suppress_ifgroup)),
        ("priority", decimal(*priority)),
    ]
}

fn range<T: fmt::Display>(range: &RangeInclusive<T>) -> String {
    text(&format!("{}-{}", range.start(), range.end()))
}

/// What is there whoever is master: a table for each.
pub(super) fn statics(f: &mut fmt::Formatter<'_>, config: &Config) -> fmt::Result {
    let addresses = config.static_addresses.iter().map(pairs_of_address);
    let routes = config.static_routes.iter().map(pairs_of_route);
    let rules = config.static_rules.iter().map(pairs_of_rule);
    addresses.into_iter().try_for_each(|pairs| block(f, "static_address", &pairs))?;
    routes.into_iter().try_for_each(|pairs| block(f, "static_route", &pairs))?;
    rules.into_iter().try_for_each(|pairs| block(f, "static_rule", &pairs))
}

fn block(f: &mut fmt::Formatter<'_>, name: &str, pairs: &Pairs) -> fmt::Result {
    writeln!(f, "\n[[{name}]]")?;
    pairs.iter().try_for_each(|(key, value)| match value {
        Some(value) => writeln!(f, "{key} = {value}"),
        None => Ok(()),
    })
}
