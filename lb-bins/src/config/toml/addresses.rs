//! Addresses, routes and rules in TOML.

use ::toml::de::DeValue;

use super::reader::{Entry, Read, Table};
use super::vrrp::alone;
use crate::config::draft::vrrp::{
    Destination, Network, NextHop, Numbers, Route, Rule, VirtualAddress,
};
use crate::config::mistakes::Mistakes;
use crate::config::problem::{Problem, VrrpProblem};

/// `"10.0.0.200/24"`, or a table.
impl Read for VirtualAddress {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        if let DeValue::String(_) = entry.value {
            return Some(Self { address: alone(entry, mistakes)?, ..Self::default() });
        }
        let mut table = Table::open(entry, mistakes)?;
        let address = Self {
            address: table.take("address", r#"address = "10.0.0.200/24""#),
            dev: table.take("dev", r#"dev = "eth1""#),
            label: table.take("label", r#"label = "eth0:vip""#),
            scope: table.take("scope", r#"scope = "global""#),
            deprecated: table.take("deprecated", "deprecated = true"),
        };
        table.finish();
        Some(address)
    }
}

impl Read for NextHop {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let hop = Self {
            via: table.take("via", r#"via = "10.0.0.1""#),
            dev: table.take("dev", r#"dev = "eth0""#),
            weight: table.take("weight", "weight = 1"),
        };
        table.finish();
        Some(hop)
    }
}

impl Read for Route {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let route = Self {
            to: table.take("to", r#"to = "default""#),
            via: table.take("via", r#"via = "10.0.0.1""#),
            dev: table.take("dev", r#"dev = "eth0""#),
            source: table.take("source", r#"source = "10.0.0.200""#),
            table: table.take("table", "table = 100"),
            metric: table.take("metric", "metric = 10"),
            scope: table.take("scope", r#"scope = "link""#),
            kind: table.take("type", r#"type = "unicast""#),
            next_hops: table.take("nexthops", r#"nexthops = [{ via = "10.0.0.1", weight = 2 }]"#),
            onlink: table.take("onlink", "onlink = true"),
            mtu: table.take("mtu", "mtu = 1400"),
            mtu_lock: table.take("mtu_lock", "mtu_lock = true"),
            advmss: table.take("advmss", "advmss = 1360"),
        };
        table.finish();
        Some(route)
    }
}

impl Read for Rule {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let rule = Self {
            family: table.take("family", r#"family = "ipv4""#),
            from: table.take("from", r#"from = "10.0.0.0/8""#),
            to: table.take("to", r#"to = "10.0.0.0/8""#),
            iif: table.take("iif", r#"iif = "eth0""#),
            oif: table.take("oif", r#"oif = "eth0""#),
            fwmark: table.take("fwmark", "fwmark = 1"),
            fwmask: table.take("fwmask", "fwmask = 0xff"),
            tos: table.take("tos", "tos = 16"),
            ip_protocol: table.take("ip_protocol", "ip_protocol = 6"),
            sport: table.take("sport", r#"sport = "1024-2047""#),
            dport: table.take("dport", r#"dport = "80-90""#),
            uid_range: table.take("uid_range", r#"uid_range = "1000-1999""#),
            not: table.take("not", "not = true"),
            action: table.take("action", r#"action = "table""#),
            goto: table.take("goto", "goto = 2000"),
            suppress_prefixlength: table.take("suppress_prefixlength", "suppress_prefixlength = 0"),
            suppress_ifgroup: table.take("suppress_ifgroup", "suppress_ifgroup = 1"),
            table: table.take("table", "table = 100"),
            priority: table.take("priority", "priority = 1000"),
        };
        table.finish();
        Some(rule)
    }
}

impl Read for Network {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let text: String = entry.read(mistakes)?;
        let network = Self::parse(&text);
        if network.is_none() {
            let problem = VrrpProblem::NotANetwork { key: entry.key, text };
            mistakes.error(entry.span, Problem::Vrrp(problem));
        }
        network
    }
}

impl Read for Destination {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        match entry.value {
            DeValue::String(word) if word == "default" => Some(Self::Default),
            _ => entry.read(mistakes).map(Self::Network),
        }
    }
}

/// `80`, or `"80-90"`.
impl Read for Numbers {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        if let DeValue::Integer(_) = entry.value {
            let number = entry.read(mistakes)?;
            return Some(Self { first: number, last: number });
        }
        let text: String = entry.read(mistakes)?;
        let numbers = Self::parse(&text);
        if numbers.is_none() {
            let problem = VrrpProblem::NotNumbers { key: entry.key, text };
            mistakes.error(entry.span, Problem::Vrrp(problem));
        }
        numbers
    }
}
