//! Routes and rules, of virtual routers and of the host.

use lb_vrrp::Family;
use lb_vrrp::linux::RouteKind;

use super::addresses::{Row, Unused, network, scope};
use super::tracking::if_any;
use super::values::{Values, given};
use crate::config::draft::Field;
use crate::config::draft::vrrp::{Destination, Network, NextHop, Numbers, Route, Rule, RuleAction};
use crate::config::keepalived::lexer::Word;
use crate::config::keepalived::problem::Problem;
use crate::config::source::Spanned;

const ROUTE_OPTIONS: Unused = &[
    ("add", 0),
    ("append", 0),
    ("congctl", 1),
    ("cwnd", 1),
    ("expires", 1),
    ("fastopen_no_cookie", 1),
    ("features", 1),
    ("hoplimit", 1),
    ("initcwnd", 1),
    ("initrwnd", 1),
    ("no_track", 0),
    ("pref", 1),
    ("proto", 1),
    ("protocol", 1),
    ("quickack", 1),
    ("realms", 1),
    ("reordering", 1),
    ("rto_min", 1),
    ("rtt", 1),
    ("rttvar", 1),
    ("ssthresh", 1),
    ("track_group", 1),
    ("vrf", 1),
    ("window", 1),
];

/// With these a route is for other packets, or of a kind that is not made here.
const OTHER_ROUTES: &[&str] =
    &["as", "broadcast", "dsfield", "encap", "local", "multicast", "nat", "tos", "ttl-propagate"];

const KINDS: &[(&str, RouteKind)] = &[
    ("blackhole", RouteKind::Blackhole),
    ("prohibit", RouteKind::Prohibit),
    ("throw", RouteKind::Throw),
    ("unicast", RouteKind::Unicast),
    ("unreachable", RouteKind::Unreachable),
];

const RULE_OPTIONS: Unused =
    &[("no_track", 0), ("proto", 1), ("protocol", 1), ("realms", 1), ("track_group", 1)];

/// Without these a rule would be for other packets.
const OTHER_RULES: &[&str] = &["l3mdev", "nat", "tun_id"];

const ACTIONS: &[(&str, RuleAction)] = &[
    ("blackhole", RuleAction::Blackhole),
    ("nop", RuleAction::Nop),
    ("prohibit", RuleAction::Prohibit),
    ("unreachable", RuleAction::Unreachable),
];

/// The protocols that rules are written for, by their numbers (`/etc/protocols`).
const PROTOCOLS: &[(&str, i64)] = &[
    ("icmp", 1),
    ("igmp", 2),
    ("ipip", 4),
    ("tcp", 6),
    ("udp", 17),
    ("dccp", 33),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", 58),
    ("ipv6-icmp", 58),
    ("sctp", 132),
    ("udplite", 136),
];

fn left_out(what: &'static str, word: &Word, values: &mut Values<'_>) {
    let option = word.text.clone();
    values.warning(word.span, Problem::LeftOut { what, option });
}

/// `[TYPE] [src ADDRESS] [to] NETWORK [via ADDRESS] [dev INTERFACE] [nexthop …] …`; `None` if it is of
/// a kind that cannot be imported, which has been said.
pub(super) fn route(mut row: Row<'_>, values: &mut Values<'_>) -> Option<Route> {
    let mut route = Route::default();
    // Each `or` and each `nexthop` begins another way.
    let mut hops: Vec<Spanned<NextHop>> = Vec::new();
    let mut is_v6 = false;
    while let Some(option) = row.next() {
        match option.text.as_str() {
            "src" => {
                let value = row.value(option, values);
                route.source = value.map_or(Field::Refused, |word| values.ip(row.key, word));
            }
            "or" | "nexthop" => {
                let via = match option.text.as_str() {
                    "or" => address(&mut row, option, values),
                    _ => Field::Absent,
                };
                let value = NextHop { via, ..NextHop::default() };
                hops.push(Spanned { value, span: option.span });
            }
            "via" | "gw" => {
                let via = address(&mut row, option, values);
                match hops.last_mut() {
                    Some(hop) => hop.value.via = via,
                    None => route.via = via,
                }
            }
            "dev" | "oif" => {
                let dev = row.text(option, values);
                match hops.last_mut() {
                    Some(hop) => hop.value.dev = dev,
                    None => route.dev = dev,
                }
            }
            "weight" if !hops.is_empty() => {
                let weight = row.number(option, values);
                if let Some(hop) = hops.last_mut() {
                    hop.value.weight = weight;
                }
            }
            "onlink" => route.onlink = given(true, option.span),
            "mtu" => {
                if row.next_is("lock") {
                    route.mtu_lock = given(true, option.span);
                }
                route.mtu = row.number(option, values);
            }
            "advmss" => {
                row.next_is("lock");
                route.advmss = row.number(option, values);
            }
            "table" => route.table = table(&mut row, option, values),
            "metric" | "priority" | "preference" => route.metric = row.number(option, values),
            "scope" => route.scope = scope(&mut row, option, values),
            // Routes always come before others.
            "inet" | "prepend" => {}
            "inet6" => is_v6 = true,
            "to" => {
                let value = row.value(option, values);
                route.to = value.map_or(Field::Refused, |word| destination(row.key, word, values));
            }
            other if KINDS.iter().any(|(word, _)| *word == other) => {
                let kind = KINDS.iter().find(|(word, _)| *word == other);
                route.kind = kind.map_or(Field::Absent, |&(_, kind)| given(kind, option.span));
            }
            other if OTHER_ROUTES.contains(&other) => {
                left_out("route", option, values);
                return None;
            }
            _ if matches!(route.to, Field::Absent) => {
                route.to = destination(row.key, option, values);
            }
            _ => row.other(option, ROUTE_OPTIONS, values),
        }
    }
    several_ways(&mut route, hops);
    // Only a default route does not say by itself which of both it is for.
    if let (Field::Given(Spanned { value: Destination::Default, span }), true) = (&route.to, is_v6)
    {
        route.to = all_of(Family::V6, *span);
    }
    Some(route)
}

/// What was said before the first `or` is a way as well.
fn several_ways(route: &mut Route, mut hops: Vec<Spanned<NextHop>>) {
    if hops.is_empty() {
        return;
    }
    let first = NextHop {
        via: std::mem::take(&mut route.via),
        dev: std::mem::take(&mut route.dev),
        ..NextHop::default()
    };
    if let Some(span) = first.via.span().or(first.dev.span()) {
        hops.insert(0, Spanned { value: first, span });
    }
    route.next_hops = if_any(hops);
}

/// `[inet|inet6] ADDRESS`
fn address(row: &mut Row<'_>, option: &Word, values: &mut Values<'_>) -> Field<std::net::IpAddr> {
    let mut value = row.value(option, values);
    if value.is_some_and(|family| matches!(family.text.as_str(), "inet" | "inet6")) {
        value = row.value(option, values);
    }
    value.map_or(Field::Refused, |word| values.ip(row.key, word))
}

fn all_of(family: Family, span: crate::config::source::Span) -> Field<Destination> {
    let address = lb_vrrp::linux::Prefix::all(family).address();
    given(Destination::Network(Network { address, length: Some(0) }), span)
}

fn destination(key: &'static str, word: &Word, values: &mut Values<'_>) -> Field<Destination> {
    if word.text == "default" {
        return given(Destination::Default, word.span);
    }
    match network(key, word, values) {
        Field::Given(Spanned { value, span }) => given(Destination::Network(value), span),
        Field::Absent | Field::Refused => Field::Refused,
    }
}

/// A number, or one of the names that are the same on every host.
fn table(row: &mut Row<'_>, option: &Word, values: &mut Values<'_>) -> Field<i64> {
    let Some(word) = row.value(option, values) else { return Field::Refused };
    match word.text.as_str() {
        "default" => given(253, word.span),
        "main" => given(254, word.span),
        "local" => given(255, word.span),
        _ => values.number_of(row.key, word, 1..=i64::from(u32::MAX)),
    }
}

/// `[not] [from NETWORK] [to NETWORK] [iif INTERFACE] … table TABLE`; `None` as for routes.
pub(super) fn rule(mut row: Row<'_>, values: &mut Values<'_>) -> Option<Rule> {
    let mut rule = Rule::default();
    let mut first = None;
    while let Some(option) = row.next() {
        first.get_or_insert(option.span);
        match option.text.as_str() {
            "not" => rule.not = given(true, option.span),
            "inet" => rule.family = given(Family::V4, option.span),
            "inet6" => rule.family = given(Family::V6, option.span),
            "from" | "to" => {
                let value = row.value(option, values);
                let all = value.is_some_and(|word| matches!(word.text.as_str(), "all" | "any"));
                let network = match value {
                    Some(_) if all => Field::Absent,
                    Some(word) => network(row.key, word, values),
                    None => Field::Refused,
                };
                match option.text.as_str() {
                    "from" => rule.from = network,
                    _ => rule.to = network,
                }
            }
            "iif" | "dev" => rule.iif = row.text(option, values),
            "oif" => rule.oif = row.text(option, values),
            "fwmark" => (rule.fwmark, rule.fwmask) = mark(&mut row, option, values),
            "tos" | "dsfield" => rule.tos = octet(&mut row, option, values),
            "ip_proto" | "ipproto" => rule.ip_protocol = protocol(&mut row, option, values),
            "sport" => rule.sport = numbers(&mut row, option, values),
            "dport" => rule.dport = numbers(&mut row, option, values),
            "uidrange" => rule.uid_range = numbers(&mut row, option, values),
            "suppress_ifgroup" => rule.suppress_ifgroup = row.number(option, values),
            "suppress_prefixlength" | "suppress_prefixlen" => {
                rule.suppress_prefixlength = row.number(option, values);
            }
            "goto" => rule.goto = row.number(option, values),
            // What follows is the action.
            "type" => {}
            "table" | "lookup" => rule.table = table(&mut row, option, values),
            "priority" | "preference" | "pref" | "order" => {
                rule.priority = row.number(option, values);
            }
            other if ACTIONS.iter().any(|(word, _)| *word == other) => {
                let action = ACTIONS.iter().find(|(word, _)| *word == other);
                rule.action =
                    action.map_or(Field::Absent, |&(_, action)| given(action, option.span));
            }
            other if OTHER_RULES.contains(&other) => {
                left_out("rule", option, values);
                return None;
            }
            _ => row.other(option, RULE_OPTIONS, values),
        }
    }
    let has_action = !rule.table.is_absent() || !rule.action.is_absent() || !rule.goto.is_absent();
    if let Some(span) = first.filter(|_| !has_action) {
        values.warning(span, Problem::RuleWithoutAction);
        return None;
    }
    Some(rule)
}

/// `MARK[/MASK]`, both decimal or hexadecimal.
fn mark(row: &mut Row<'_>, option: &Word, values: &mut Values<'_>) -> (Field<i64>, Field<i64>) {
    let Some(word) = row.value(option, values) else { return (Field::Refused, Field::Absent) };
    let (mark, mask) = match word.text.split_once('/') {
        Some((mark, mask)) => (mark, Some(mask)),
        None => (word.text.as_str(), None),
    };
    let key = row.key;
    let mut number = |text: &str| integer(key, text, word, i64::from(u32::MAX), values);
    (number(mark), mask.map_or(Field::Absent, number))
}

fn octet(row: &mut Row<'_>, option: &Word, values: &mut Values<'_>) -> Field<i64> {
    match row.value(option, values) {
        Some(word) => integer(row.key, &word.text, word, 255, values),
        None => Field::Refused,
    }
}

/// A number that may be written with `0x` in front.
fn integer(
    key: &'static str,
    text: &str,
    word: &Word,
    most: i64,
    values: &mut Values<'_>,
) -> Field<i64> {
    let decimal = match text.strip_prefix("0x").map(|digits| i64::from_str_radix(digits, 16)) {
        Some(Ok(value)) => value.to_string(),
        _ => text.to_owned(),
    };
    values.number_of(key, &Word { text: decimal, span: word.span }, 0..=most)
}

fn protocol(row: &mut Row<'_>, option: &Word, values: &mut Values<'_>) -> Field<i64> {
    let Some(word) = row.value(option, values) else { return Field::Refused };
    if word.text.starts_with(|first: char| first.is_ascii_digit()) {
        return values.number_of(row.key, word, 0..=255);
    }
    match values.choice(row.key, word, PROTOCOLS) {
        Some(number) => given(number, word.span),
        None => Field::Refused,
    }
}

fn numbers(row: &mut Row<'_>, option: &Word, values: &mut Values<'_>) -> Field<Numbers> {
    let Some(word) = row.value(option, values) else { return Field::Refused };
    match Numbers::parse(&word.text) {
        Some(numbers) => given(numbers, word.span),
        None => {
            let text = word.text.clone();
            values.error(word.span, Problem::NotANumber { word: row.key, text });
            Field::Refused
        }
    }
}
