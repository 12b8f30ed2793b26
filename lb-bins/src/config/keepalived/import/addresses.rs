//! Addresses, routes and rules that come and go with a virtual router.

use std::slice;

use lb_vrrp::linux::Scope;

use super::values::{Values, given};
use crate::config::draft::Field;
use crate::config::draft::vrrp::{Destination, Network, Route, Rule, VirtualAddress};
use crate::config::keepalived::lexer::Word;
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::tree::Statement;
use crate::config::source::Spanned;

/// Options that are known but have no effect, and how many words follow each.
type Unused = &'static [(&'static str, usize)];

const ADDRESS_OPTIONS: Unused = &[
    ("-nodad", 0),
    ("autojoin", 0),
    ("brd", 1),
    ("broadcast", 1),
    ("home", 0),
    ("mngtmpaddr", 0),
    ("no_track", 0),
    ("noprefixroute", 0),
    ("peer", 1),
    ("preferred_lft", 1),
    ("track_group", 1),
    ("use_vmac", 0),
];

const ROUTE_OPTIONS: Unused = &[
    ("advmss", 1),
    ("append", 0),
    ("congctl", 1),
    ("cwnd", 1),
    ("expires", 1),
    ("fastopen_no_cookie", 1),
    ("features", 1),
    ("hoplimit", 1),
    ("initcwnd", 1),
    ("initrwnd", 1),
    ("mtu", 1),
    ("no_track", 0),
    ("onlink", 0),
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
    ("window", 1),
];

/// With these a route is not one that leads somewhere through one neighbour.
const OTHER_ROUTES: &[&str] = &[
    "as",
    "blackhole",
    "broadcast",
    "dsfield",
    "encap",
    "local",
    "multicast",
    "nat",
    "nexthop",
    "or",
    "prohibit",
    "throw",
    "tos",
    "ttl-propagate",
    "unreachable",
];

const RULE_OPTIONS: Unused = &[
    ("no_track", 0),
    ("protocol", 1),
    ("realms", 1),
    ("suppress_ifgroup", 1),
    ("suppress_prefixlength", 1),
    ("track_group", 1),
];

/// Without these a rule would be for other packets, or do something else.
const OTHER_RULES: &[&str] = &[
    "blackhole",
    "dport",
    "dsfield",
    "goto",
    "ip_proto",
    "ipproto",
    "l3mdev",
    "nat",
    "nop",
    "not",
    "prohibit",
    "sport",
    "tos",
    "tun_id",
    "type",
    "uidrange",
    "unreachable",
];

/// The words of a line, one after the other.
pub(super) struct Row<'w> {
    /// The block that it is in.
    key: &'static str,
    words: slice::Iter<'w, Word>,
}

impl<'w> Row<'w> {
    pub(super) fn new(block: &Statement, words: &'w [Word]) -> Self {
        Self { key: block.keyword.name, words: words.iter() }
    }

    pub(super) fn next(&mut self) -> Option<&'w Word> {
        self.words.next()
    }

    /// What follows `option`.
    pub(super) fn value(&mut self, option: &Word, values: &mut Values<'_>) -> Option<&'w Word> {
        let value = self.words.next();
        if value.is_none() {
            let problem = Problem::OptionWithoutValue { option: option.text.clone() };
            values.error(option.span, problem);
        }
        value
    }

    pub(super) fn text(&mut self, option: &Word, values: &mut Values<'_>) -> Field<String> {
        match self.value(option, values) {
            Some(word) => given(word.text.clone(), word.span),
            None => Field::Refused,
        }
    }

    fn number(&mut self, option: &Word, values: &mut Values<'_>) -> Field<i64> {
        match self.value(option, values) {
            Some(word) => values.number_of(self.key, word, 0..=i64::from(u32::MAX)),
            None => Field::Refused,
        }
    }

    /// An option that is not imported: known to be without effect, or not known at all.
    fn other(&mut self, option: &Word, unused: Unused, values: &mut Values<'_>) {
        let (block, text) = (self.key, option.text.clone());
        match unused.iter().find(|(name, _)| *name == text) {
            Some(&(_, words)) => {
                self.words.by_ref().take(words).for_each(drop);
                values.warning(option.span, Problem::UnusedOption { block, option: text });
            }
            None => self.unknown(option, values),
        }
    }

    /// Reports an option that keepalived does not know either.
    pub(super) fn unknown(&self, option: &Word, values: &mut Values<'_>) {
        let (block, option_text) = (self.key, option.text.clone());
        let problem = Problem::UnknownOption { block, option: option_text };
        values.error(option.span, problem);
    }
}

/// `ADDRESS[/LENGTH] [dev INTERFACE] [label LABEL] [scope SCOPE] …`
pub(super) fn address(mut row: Row<'_>, values: &mut Values<'_>) -> Option<VirtualAddress> {
    let first = row.next()?;
    let mut address =
        VirtualAddress { address: network(row.key, first, values), ..VirtualAddress::default() };
    while let Some(option) = row.next() {
        match option.text.as_str() {
            "dev" => address.dev = row.text(option, values),
            "label" => address.label = row.text(option, values),
            "scope" => address.scope = scope(&mut row, option, values),
            _ => row.other(option, ADDRESS_OPTIONS, values),
        }
    }
    Some(address)
}

/// `[src ADDRESS] [to] NETWORK [via ADDRESS] [dev INTERFACE] …`; `None` if it is of a kind that
/// cannot be imported, which has been said.
pub(super) fn route(mut row: Row<'_>, values: &mut Values<'_>) -> Option<Route> {
    let mut route = Route::default();
    while let Some(option) = row.next() {
        match option.text.as_str() {
            "src" => {
                let value = row.value(option, values);
                route.source = value.map_or(Field::Refused, |word| values.ip(row.key, word));
            }
            "via" | "gw" => {
                let mut value = row.value(option, values);
                if value.is_some_and(|family| matches!(family.text.as_str(), "inet" | "inet6")) {
                    value = row.value(option, values);
                }
                route.via = value.map_or(Field::Refused, |word| values.ip(row.key, word));
            }
            "dev" | "oif" => route.dev = row.text(option, values),
            "table" => route.table = table(&mut row, option, values),
            "metric" | "priority" | "preference" => route.metric = row.number(option, values),
            "scope" => route.scope = scope(&mut row, option, values),
            "unicast" => {}
            "to" => {
                let value = row.value(option, values);
                route.to = value.map_or(Field::Refused, |word| destination(row.key, word, values));
            }
            other if OTHER_ROUTES.contains(&other) => {
                let option_text = option.text.clone();
                values
                    .warning(option.span, Problem::LeftOut { what: "route", option: option_text });
                return None;
            }
            _ if matches!(route.to, Field::Absent) => {
                route.to = destination(row.key, option, values);
            }
            _ => row.other(option, ROUTE_OPTIONS, values),
        }
    }
    Some(route)
}

/// `[from NETWORK] [to NETWORK] [iif INTERFACE] … table TABLE`; `None` as for routes.
pub(super) fn rule(mut row: Row<'_>, values: &mut Values<'_>) -> Option<Rule> {
    let mut rule = Rule::default();
    while let Some(option) = row.next() {
        match option.text.as_str() {
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
            "fwmark" => {
                let value = row.value(option, values)?;
                if value.text.contains('/') {
                    let option = format!("fwmark {}", value.text);
                    values.warning(value.span, Problem::LeftOut { what: "rule", option });
                    return None;
                }
                rule.fwmark = values.number_of(row.key, value, 0..=i64::from(u32::MAX));
            }
            "table" | "lookup" => rule.table = table(&mut row, option, values),
            "priority" | "preference" | "pref" | "order" => {
                rule.priority = row.number(option, values);
            }
            other if OTHER_RULES.contains(&other) => {
                let option_text = option.text.clone();
                values.warning(option.span, Problem::LeftOut { what: "rule", option: option_text });
                return None;
            }
            _ => row.other(option, RULE_OPTIONS, values),
        }
    }
    Some(rule)
}

fn network(key: &'static str, word: &Word, values: &mut Values<'_>) -> Field<Network> {
    match Network::parse(&word.text) {
        Some(network) => given(network, word.span),
        None => {
            let text = word.text.clone();
            values.error(word.span, Problem::NotAnAddress { word: key, text });
            Field::Refused
        }
    }
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

fn scope(row: &mut Row<'_>, option: &Word, values: &mut Values<'_>) -> Field<Scope> {
    let Some(word) = row.value(option, values) else { return Field::Refused };
    match word.text.as_str() {
        "global" | "0" => given(Scope::Global, word.span),
        "link" | "253" => given(Scope::Link, word.span),
        "host" | "254" => given(Scope::Host, word.span),
        _ => {
            let option = format!("scope {}", word.text);
            values.warning(word.span, Problem::UnusedOption { block: row.key, option });
            Field::Absent
        }
    }
}
