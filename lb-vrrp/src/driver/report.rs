//! What a driver tells.

use std::net::IpAddr;
use std::{fmt, io};

use crate::refusal::Refusal;
use crate::router::Event;
use crate::tracking::TrackerId;

/// Something that a [`Driver`](super::Driver) tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum Report {
    /// A router lists other addresses than ours, which is no reason not to listen to it. Said of each sender
    /// once in ten minutes, or once for each configuration; of 16 senders in that time at most.
    AddressesDiffer {
        /// Who.
        sender: IpAddr,
    },
    /// The router was removed, and has ended.
    Ended,
    /// What the router has to say.
    Event(Event),
    /// Something could not be done.
    Failed {
        /// What.
        operation: Operation,
        /// Why.
        error: io::Error,
    },
    /// What a process that was killed has left on this host. Said once, at the start, by one router for all.
    Leftovers {
        /// What nobody is to have: it is gone.
        removed: Vec<Leftover>,
        /// What somebody may have: it stays if it is a master's.
        found: Vec<Leftover>,
    },
    /// Something was heard that is not taken. Said once for each [`Reason`](crate::Reason) in ten minutes,
    /// or once for each configuration; that it is of another virtual router is never said.
    Refused {
        /// Who said it, as far as that can be read.
        sender: Option<IpAddr>,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// Somebody else took an address away while the router was master: it is there again. Said once in ten
    /// minutes, or once for each configuration.
    Restored {
        /// Which one.
        address: IpAddr,
    },
    /// An interface that the router tracks is up, or down, as far as [`Debounce`](super::Debounce) lets it
    /// count. May be said again of one that has not changed.
    TrackedInterface {
        /// Which one.
        tracker: TrackerId,
        /// What it is.
        is_up: bool,
    },
}

/// Something that a process that was killed has left.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Leftover {
    /// An address, with the length of its prefix.
    Address(IpAddr, u8),
    /// An interface of a virtual MAC address, by name.
    Interface(String),
    /// A route: to an address, with the length of its prefix, in a table.
    Route(IpAddr, u8, u32),
    /// A policy rule, by its priority.
    Rule(u32),
}

/// As in "removed: address 192.0.2.1/24".
impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address, prefix) => write!(f, "address {address}/{prefix}"),
            Self::Interface(name) => write!(f, "interface {name}"),
            Self::Route(to, length, table) => write!(f, "route to {to}/{length} in table {table}"),
            Self::Rule(priority) => write!(f, "rule of priority {priority}"),
        }
    }
}

/// What can fail.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// Adding an address. The router is at fault
    /// ([`FaultCause::Addresses`](crate::FaultCause::Addresses)) for five seconds, and then tries
    /// again if nobody else has them.
    Add(IpAddr),
    /// Adding routes and rules. The router goes on without, and tries again every second. Said once for each
    /// configuration, until all of them were added.
    AddRoutes,
    /// Sending an advertisement: it is as good as lost. Said once, until one was sent again.
    Advertise(IpAddr),
    /// Announcing an address. Said of the first one, until all that could not be announced were,
    /// or are the router's no more.
    Announce(IpAddr),
    /// Hearing anything.
    Receive,
    /// Taking another configuration.
    Reconfigure,
    /// Having packets refused that are not to be taken. They are taken until it can be done, which is
    /// tried again and again. Said once, until it was done.
    Refuse,
    /// Removing an address, which may now be on two hosts.
    Remove(IpAddr),
    /// Removing routes and rules.
    RemoveRoutes,
    /// Setting up an interface of its own. It may not be there, or not be as it should.
    SetUp,
    /// Removing what a process that was killed has left.
    Sweep,
}

/// As in "adding 192.0.2.1 failed".
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add(address) => write!(f, "adding {address}"),
            Self::AddRoutes => f.write_str("adding routes and rules"),
            Self::Advertise(destination) => write!(f, "advertising to {destination}"),
            Self::Announce(address) => write!(f, "announcing {address}"),
            Self::Receive => f.write_str("hearing"),
            Self::Reconfigure => f.write_str("taking another configuration"),
            Self::Refuse => f.write_str("having packets for its addresses dropped"),
            Self::Remove(address) => write!(f, "removing {address}"),
            Self::RemoveRoutes => f.write_str("removing routes and rules"),
            Self::SetUp => f.write_str("setting up an interface"),
            Self::Sweep => f.write_str("removing what a process that was killed has left"),
        }
    }
}
