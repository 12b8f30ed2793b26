//! Routes and policy rules, as they are configured.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::settings::Scope;
use crate::addresses::Family;

/// Some addresses: those that begin like this one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// `None` if an address is not as long. What is behind the prefix is cut off.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        if length > whole(&address) {
            return None;
        }
        let address = match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                Ipv4Addr::from(u32::from(address) & mask).into()
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                Ipv6Addr::from(u128::from(address) & mask).into()
            }
        };
        Some(Self { address, length })
    }

    /// All addresses of a family.
    pub const fn all(family: Family) -> Self {
        let address = match family {
            Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Self { address, length: 0 }
    }

    /// The first of them.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many bits they share.
    pub const fn length(&self) -> u8 {
        self.length
    }

    /// Their family.
    pub const fn family(&self) -> Family {
        Family::of(&self.address)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// That is no prefix.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("neither an address nor an address with the length of a prefix")]
pub struct NotAPrefix;

/// `10.0.0.0/8`, or an address for itself alone.
impl FromStr for Prefix {
    type Err = NotAPrefix;

    fn from_str(text: &str) -> Result<Self, NotAPrefix> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address = address.parse().map_err(|_| NotAPrefix)?;
        let length = match length {
            Some(length) => length.parse().map_err(|_| NotAPrefix)?,
            None => whole(&address),
        };
        Self::new(address, length).ok_or(NotAPrefix)
    }
}

/// What becomes of packets that a route is for (`rtm_type`).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RouteKind {
    /// They go there. The default.
    #[default]
    Unicast,
    /// They are dropped without a word.
    Blackhole,
    /// Who sent them is told that nobody is there.
    Unreachable,
    /// Who sent them is told that it is forbidden.
    Prohibit,
    /// The next table is asked.
    Throw,
}

/// One of several ways of a route.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct NextHop {
    /// Through which router. Default: none.
    pub via: Option<IpAddr>,
    /// Through which interface. Default: the kernel finds it.
    pub dev: Option<String>,
    /// Its share of the flows, 1 to 255. Default: 1.
    pub weight: u8,
}

impl NextHop {
    /// One with a share like any other.
    pub const fn new(via: Option<IpAddr>, dev: Option<String>) -> Self {
        Self { via, dev, weight: 1 }
    }

    /// With another share; 0 is taken for 1.
    #[must_use]
    pub fn weight(self, weight: u8) -> Self {
        Self { weight: if weight == 0 { 1 } else { weight }, ..self }
    }
}

/// A route that is there as long as the addresses are.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Route {
    /// Where it leads to.
    pub to: Prefix,
    /// What becomes of packets. Default: they go there.
    pub kind: RouteKind,
    /// Through which router. Default: none, what it leads to is on the link.
    pub via: Option<IpAddr>,
    /// Through which interface. Default: that of the virtual router unless there is a `via`, which
    /// the kernel finds by itself.
    pub dev: Option<String>,
    /// The address to speak from on this route. Default: as the kernel likes.
    pub source: Option<IpAddr>,
    /// In which table. Default: [`Self::MAIN`].
    pub table: u32,
    /// Which of several is taken: the least. Default: the kernel's.
    pub metric: Option<u32>,
    /// Default: the link without a `via`, else anywhere.
    pub scope: Option<Scope>,
    /// Several ways in the place of `via` and `dev`. Default: none.
    pub next_hops: Vec<NextHop>,
    /// Whether routers are taken to be on the link though no address says so. Default: no.
    pub onlink: bool,
    /// The largest packet, in octets. Default: that of the interface.
    pub mtu: Option<u32>,
    /// Whether that is not to be found out to be smaller. Default: it is.
    pub mtu_lock: bool,
    /// The largest TCP segment that is asked for, in octets. Default: as the MTU has it.
    pub advmss: Option<u32>,
}

/// What tells it apart from others.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "route to {}", self.to)?;
        if let Some(via) = self.via {
            write!(f, " via {via}")?;
        }
        if let Some(dev) = &self.dev {
            write!(f, " dev {dev}")?;
        }
        write!(f, " in table {}", self.table)
    }
}

impl Route {
    /// The table that is looked at when no rule says otherwise.
    pub const MAIN: u32 = 254;

    /// One on the link.
    pub const fn new(to: Prefix) -> Self {
        Self {
            to,
            kind: RouteKind::Unicast,
            via: None,
            dev: None,
            source: None,
            table: Self::MAIN,
            metric: None,
            scope: None,
            next_hops: Vec::new(),
            onlink: false,
            mtu: None,
            mtu_lock: false,
            advmss: None,
        }
    }
}

/// What becomes of packets that a rule is for (`FR_ACT_…`).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RuleAction {
    /// A table is looked into. The default.
    #[default]
    Table,
    /// The rule of this priority is the next.
    Goto(u32),
    /// The next rule is the next.
    Nop,
    /// They are dropped without a word.
    Blackhole,
    /// Who sent them is told that nobody is there.
    Unreachable,
    /// Who sent them is told that it is forbidden.
    Prohibit,
}

/// A policy rule that is there as long as the addresses are: who looks into which table.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Rule {
    /// For which addresses it is.
    pub family: Family,
    /// Packets from these. Default: all.
    pub from: Option<Prefix>,
    /// Packets to these. Default: all.
    pub to: Option<Prefix>,
    /// Packets that came in here. Default: anywhere.
    pub iif: Option<String>,
    /// Packets of sockets that are bound to this interface. Default: any.
    pub oif: Option<String>,
    /// Packets with this mark. Default: any.
    pub fwmark: Option<u32>,
    /// The bits of the mark that count. Default: all.
    pub fwmask: Option<u32>,
    /// Packets with this type of service. Default: any.
    pub tos: Option<u8>,
    /// Packets of this protocol of IP. Default: any.
    pub ip_protocol: Option<u8>,
    /// Packets from these ports. Default: any.
    pub sport: Option<RangeInclusive<u16>>,
    /// Packets to these ports. Default: any.
    pub dport: Option<RangeInclusive<u16>>,
    /// Packets of these users of this host. Default: any.
    pub uid_range: Option<RangeInclusive<u32>>,
    /// Whether it is for all packets but those. Default: no.
    pub not: bool,
    /// What becomes of them. Default: a table is looked into.
    pub action: RuleAction,
    /// What the table says does not count if the prefix is as long as this, or shorter. Default: it
    /// counts.
    pub suppress_prefixlength: Option<u32>,
    /// Nor if it leads to an interface of this group. Default: it counts.
    pub suppress_ifgroup: Option<u32>,
    /// The table to look into. Default: [`Route::MAIN`].
    pub table: u32,
    /// Lower ones come first. Default: the kernel's.
    pub priority: Option<u32>,
}

/// What tells it apart from others.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rule")?;
        for (word, prefix) in [("from", self.from), ("to", self.to)] {
            if let Some(prefix) = prefix {
                write!(f, " {word} {prefix}")?;
            }
        }
        if let Some(priority) = self.priority {
            write!(f, " of priority {priority}")?;
        }
        match self.action {
            RuleAction::Table => write!(f, " for table {}", self.table),
            _ => Ok(()),
        }
    }
}

impl Rule {
    /// One for all packets.
    pub const fn new(family: Family) -> Self {
        Self {
            family,
            from: None,
            to: None,
            iif: None,
            oif: None,
            fwmark: None,
            fwmask: None,
            tos: None,
            ip_protocol: None,
            sport: None,
            dport: None,
            uid_range: None,
            not: false,
            action: RuleAction::Table,
            suppress_prefixlength: None,
            suppress_ifgroup: None,
            table: Route::MAIN,
            priority: None,
        }
    }
}

/// The bits of an address.
pub(super) const fn whole(address: &IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_cut_to_their_length() {
        for (text, shown) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("fd00:1:2::3/32", "fd00:1::/32"),
            ("fd00::3", "fd00::3/128"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(text.parse().map(|prefix: Prefix| prefix.to_string()), Ok(shown.to_owned()));
        }
        for text in ["", "10.0.0.0/33", "10.0.0/8", "fd00::/129", "10.0.0.0/-1", "10.0.0.0/"] {
            assert_eq!(text.parse::<Prefix>(), Err(NotAPrefix), "{text}");
        }
        assert_eq!(Prefix::all(Family::V6).to_string(), "::/0");
    }
}
