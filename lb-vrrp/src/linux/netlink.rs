//! Addresses by rtnetlink: added, removed and watched. Every request is answered before it returns,
//! as the kernel does these within the call.

use std::io::{self, Read};
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::address::{
    AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope, CacheInfo,
};
use netlink_packet_route::link::LinkAttribute;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::sys::socket::{NetlinkAddr, bind};
use socket2::{Domain, Protocol, Socket, Type};

use super::{Scope, VirtualAddress};

const AF_NETLINK: i32 = 16;
const NETLINK_ROUTE: i32 = 0;
/// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV6_IFADDR`.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;
/// `RTMGRP_IPV4_ROUTE`, `RTMGRP_IPV6_ROUTE`.
const ROUTES: u32 = 0x40 | 0x400;
pub(super) const EEXIST: i32 = 17;
pub(super) const ENODEV: i32 = 19;
const EADDRNOTAVAIL: i32 = 99;
/// `ENOENT`, `ESRCH`, `ENODEV`: what was to be removed is not there.
pub(super) const GONE: [i32; 3] = [2, 3, ENODEV];

fn socket(kind: Type, groups: u32) -> io::Result<Socket> {
    let protocol = Some(Protocol::from(NETLINK_ROUTE));
    let socket = Socket::new(Domain::from(AF_NETLINK), kind.cloexec(), protocol)?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(socket)
}

/// Asks the kernel for changes.
#[derive(Debug)]
pub(super) struct Requests {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Requests {
    pub(super) fn open() -> io::Result<Self> {
        let socket = socket(Type::RAW, 0)?;
        // An answer that is not there at once will not come.
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        Ok(Self { socket, sequence: 0, buffer: vec![0; 8192] })
    }

    /// That it is there already is no error.
    pub(super) fn add(&mut self, index: u32, address: &VirtualAddress) -> io::Result<()> {
        let message = RouteNetlinkMessage::NewAddress(message(index, address));
        unless(&[EEXIST], self.request(message, NLM_F_CREATE | NLM_F_EXCL))
    }

    /// That it is not there is no error.
    pub(super) fn remove(&mut self, index: u32, address: &VirtualAddress) -> io::Result<()> {
        let mut message = message(index, address);
        // Only what says which one it is: a label that differs would keep it.
        message.attributes.retain(|attribute| {
            matches!(attribute, AddressAttribute::Local(_) | AddressAttribute::Address(_))
        });
        let message = RouteNetlinkMessage::DelAddress(message);
        unless(&[EADDRNOTAVAIL, ENODEV], self.request(message, 0))
    }

    /// Asks for one thing, and waits for the answer.
    pub(super) fn request(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        let flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
        message.finalize();
        let mut request = vec![0; message.buffer_len()];
        message.serialize(&mut request);
        self.socket.send(&request)?;
        loop {
            let length = (&self.socket).read(&mut self.buffer)?;
            for answer in messages(&self.buffer[..length]) {
                // Of a request before, that was given up.
                if answer.header.sequence_number != self.sequence {
                    continue;
                }
                if let NetlinkPayload::Error(error) = answer.payload {
                    return if error.code.is_none() { Ok(()) } else { Err(error.to_io()) };
                }
            }
        }
    }
}

pub(super) fn unless(harmless: &[i32], result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.raw_os_error().is_some_and(|code| harmless.contains(&code)) => Ok(()),
        result => result,
    }
}

pub(super) fn message(index: u32, virtual_address: &VirtualAddress) -> AddressMessage {
    let VirtualAddress { address, prefix, label, scope, dev: _ } = virtual_address;
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = *prefix;
    message.header.scope = match scope {
        Scope::Global => AddressScope::Universe,
        Scope::Link => AddressScope::Link,
        Scope::Host => AddressScope::Host,
    };
    message.attributes.push(AddressAttribute::Local(*address));
    message.attributes.push(AddressAttribute::Address(*address));
    if let Some(label) = label {
        message.attributes.push(AddressAttribute::Label(label.clone()));
    }
    match address {
        IpAddr::V4(_) => message.header.family = AddressFamily::Inet,
        IpAddr::V6(_) => {
            message.header.family = AddressFamily::Inet6;
            // The old master may still have it: to look for duplicates would find one.
            message.header.flags = AddressHeaderFlags::Nodad;
            if *prefix == 128 {
                // As keepalived does: nothing is to be sent from it unless it is asked for.
                let mut lifetimes = CacheInfo::default();
                lifetimes.ifa_preferred = 0;
                lifetimes.ifa_valid = u32::MAX;
                message.attributes.push(AddressAttribute::CacheInfo(lifetimes));
            }
        }
    }
    message
}

/// Each message of one datagram; what cannot be read ends it.
fn messages(datagram: &[u8]) -> impl Iterator<Item = NetlinkMessage<RouteNetlinkMessage>> + '_ {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let message = NetlinkMessage::deserialize(rest).ok()?;
        let length = (message.header.length as usize).next_multiple_of(4);
        rest = rest.get(length..).unwrap_or_default();
        Some(message)
    })
}

/// What changed on this host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Change {
    /// An address appeared on the interface of this index, or changed there.
    Added(u32, IpAddr),
    /// An interface of this name appeared, changed, or went away.
    Link(String),
    /// An address went away.
    Removed(u32, IpAddr),
    /// A route with a prefix of this length went away, of IPv6 or not.
    RouteGone(u8, bool),
}

/// A socket that is told of every change; of routes, of which there may be many, only if they are
/// asked for.
pub(super) fn monitor(routes: bool) -> io::Result<Socket> {
    socket(Type::RAW.nonblocking(), if routes { GROUPS | ROUTES } else { GROUPS })
}

/// Appends what one datagram of the monitor says.
pub(super) fn changes(datagram: &[u8], out: &mut impl Extend<Change>) {
    out.extend(messages(datagram).filter_map(|message| {
        let NetlinkPayload::InnerMessage(message) = message.payload else { return None };
        match message {
            RouteNetlinkMessage::NewAddress(message) => {
                Some(Change::Added(message.header.index, address_in(&message)?))
            }
            RouteNetlinkMessage::DelAddress(message) => {
                Some(Change::Removed(message.header.index, address_in(&message)?))
            }
            RouteNetlinkMessage::DelRoute(message) => Some(Change::RouteGone(
                message.header.destination_prefix_length,
                message.header.address_family == AddressFamily::Inet6,
            )),
            RouteNetlinkMessage::NewLink(message) | RouteNetlinkMessage::DelLink(message) => {
                message.attributes.into_iter().find_map(|attribute| match attribute {
                    LinkAttribute::IfName(name) => Some(Change::Link(name)),
                    _ => None,
                })
            }
            _ => None,
        }
    }));
}

/// The local one, or for IPv6 the only one.
fn address_in(message: &AddressMessage) -> Option<IpAddr> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    local.or_else(|| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })
}
