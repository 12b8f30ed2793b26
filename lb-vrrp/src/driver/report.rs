//! What a driver tells.

use std::io;
use std::net::IpAddr;

use crate::router::Event;

/// Something that a [`Driver`](super::Driver) tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum Report {
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
}

/// What can fail.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// Adding an address. The router is at fault
    /// ([`FaultCause::Addresses`](crate::FaultCause::Addresses)) for five seconds, and then tries
    /// again if nobody else has them.
    Add(IpAddr),
    /// Adding routes and rules. The router goes on without.
    AddRoutes,
    /// Sending an advertisement: it is as good as lost. Said once, until one was sent again.
    Advertise(IpAddr),
    /// Announcing an address. Said once, until one was announced again.
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
