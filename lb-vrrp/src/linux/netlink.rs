//! Addresses by rtnetlink: added, removed and watched. Every request is answered before it returns,
//! as the kernel does these within the call.

use std::io::{self, Read};
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::address::{
    AddressAttribute, AddressHeaderFlags, AddressMessage, AddressProtocol, AddressScope, CacheInfo,
};
use netlink_packet_route::link::LinkAttribute;
use netlink_packet_route::rule::RuleMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::sys::socket::{NetlinkAddr, bind};
use socket2::{Domain, Protocol, Socket, Type};

use super::routes::{self, RouteKey};
use super::socket::make_room;
use super::{Scope, VirtualAddress};

const AF_NETLINK: i32 = 16;
const NETLINK_ROUTE: i32 = 0;
/// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV6_IFADDR`, and `RTNLGRP_IPV6_NETCONF` as a bit.
const GROUPS: u32 = 0x1 | 0x10 | 0x100 | 1 << 24;
/// `RTMGRP_IPV4_ROUTE`, `RTMGRP_IPV4_RULE`, `RTMGRP_IPV6_ROUTE`, and `RTNLGRP_IPV6_RULE` as a bit.
const ROUTES: u32 = 0x40 | 0x80 | 0x400 | 1 << 18;
/// Who put an address, a route or a rule there, as `ip` shows it: VRRP's number among the protocols of
/// IP, which nobody else has (`/etc/iproute2/rt_protos`). keepalived's own is left to it: it may run
/// beside us, and what has this number is ours to remove.
pub(super) const OURS: u8 = 112;
/// The same of what is there whoever is master.
pub(super) const FIXED: u8 = 113;
pub(super) const EEXIST: i32 = 17;
pub(super) const ENODEV: i32 = 19;
const EADDRNOTAVAIL: i32 = 99;
/// `ENOENT`, `ESRCH`, `ENODEV`: what was to be removed is not there.
pub(super) const GONE: [i32; 3] = [2, 3, ENODEV];

/// One that speaks with this part of the kernel, and hears what it tells these groups.
pub(super) fn socket(part: i32, kind: Type, groups: u32) -> io::Result<Socket> {
    let protocol = Some(Protocol::from(part));
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
        let socket = socket(NETLINK_ROUTE, Type::RAW, 0)?;
        // An answer that is not there at once will not come.
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        Ok(Self { socket, sequence: 0, buffer: vec![0; 32 * 1024] })
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

    /// Removes what has this prefix, whoever put it there.
    pub(super) fn remove_stray(
        &mut self,
        index: u32,
        address: IpAddr,
        prefix: u8,
    ) -> io::Result<()> {
        self.remove(index, &VirtualAddress::new(address).prefix(prefix))
    }

    /// Asks for one thing, and waits for the answer.
    pub(super) fn request(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.ask(message, NLM_F_ACK | flags)?;
        loop {
            let length = (&self.socket).read(&mut self.buffer)?;
            for answer in raw_messages(&self.buffer[..length]).filter_map(parse) {
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

    /// Asks for everything of a kind; `is_wanted` says of each, as the kernel wrote it, whether it is
    /// worth reading.
    pub(super) fn dump(
        &mut self,
        message: RouteNetlinkMessage,
        is_wanted: impl Fn(&[u8]) -> bool,
    ) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.ask(message, NLM_F_DUMP)?;
        let mut all = Vec::new();
        loop {
            let length = (&self.socket).read(&mut self.buffer)?;
            let wanted = |raw: &&[u8]| is_control(raw) || is_wanted(raw);
            let messages = raw_messages(&self.buffer[..length]).filter(wanted).filter_map(parse);
            for answer in messages.filter(|one| one.header.sequence_number == self.sequence) {
                match answer.payload {
                    NetlinkPayload::InnerMessage(message) => all.push(message),
                    NetlinkPayload::Done(_) => return Ok(all),
                    NetlinkPayload::Error(error) if error.code.is_some() => {
                        return Err(error.to_io());
                    }
                    _ => {}
                }
            }
        }
    }

    fn ask(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
        message.finalize();
        let mut request = vec![0; message.buffer_len()];
        message.serialize(&mut request);
        self.socket.send(&request).map(|_| ())
    }
}

pub(super) fn unless(harmless: &[i32], result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.raw_os_error().is_some_and(|code| harmless.contains(&code)) => Ok(()),
        result => result,
    }
}

pub(super) fn message(index: u32, virtual_address: &VirtualAddress) -> AddressMessage {
    let VirtualAddress { address, prefix, label, scope, dev: _, deprecated: _ } = virtual_address;
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
    message.attributes.push(AddressAttribute::Protocol(AddressProtocol::Other(OURS)));
    if let Some(label) = label {
        message.attributes.push(AddressAttribute::Label(label.clone()));
    }
    match address {
        IpAddr::V4(_) => message.header.family = AddressFamily::Inet,
        IpAddr::V6(_) => {
            message.header.family = AddressFamily::Inet6;
            // The old master may still have it: to look for duplicates would find one.
            message.header.flags = AddressHeaderFlags::Nodad;
        }
    }
    if virtual_address.is_deprecated() {
        let mut lifetimes = CacheInfo::default();
        lifetimes.ifa_preferred = 0;
        lifetimes.ifa_valid = u32::MAX;
        message.attributes.push(AddressAttribute::CacheInfo(lifetimes));
    }
    message
}

/// Each message of one datagram (`struct nlmsghdr`, the length first); what cannot be read ends it.
pub(super) fn raw_messages(datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*rest.first_chunk()?) as usize;
        let message = rest.get(..length).filter(|_| length >= HEADER)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// The length of `struct nlmsghdr`.
pub(super) const HEADER: usize = 16;

pub(super) fn kind(raw: &[u8]) -> u16 {
    u16::from_ne_bytes([raw[4], raw[5]])
}

/// The end of a dump, or an error.
fn is_control(raw: &[u8]) -> bool {
    const NLMSG_MIN_TYPE: u16 = 16;
    kind(raw) < NLMSG_MIN_TYPE
}

fn parse(raw: &[u8]) -> Option<NetlinkMessage<RouteNetlinkMessage>> {
    NetlinkMessage::deserialize(raw).ok()
}

/// What changed on this host.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// An address appeared on the interface of this index, or changed there.
    Added(u32, IpAddr, u8),
    /// Somewhere IPv6 is forwarded now, or no more.
    Forwarding,
    /// An interface of this name appeared, changed, or went away.
    Link(String),
    /// An address with this prefix went away.
    Removed(u32, IpAddr, u8),
    /// A route went away that may have been ours.
    RouteGone(RouteKey),
    /// A rule went away.
    RuleGone(RuleMessage),
}

/// A socket that is told of every change; of routes, of which there may be many, only if they are
/// asked for.
pub(super) fn route_monitor(routes: bool) -> io::Result<Socket> {
    monitor(NETLINK_ROUTE, if routes { GROUPS | ROUTES } else { GROUPS })
}

/// A socket that is told by a part of the kernel what happens in these groups, of which much may wait to
/// be read.
pub(super) fn monitor(part: i32, groups: u32) -> io::Result<Socket> {
    const ROOM: usize = 1 << 20;
    let socket = socket(part, Type::RAW.nonblocking(), groups)?;
    make_room(&socket, ROOM)?;
    Ok(socket)
}

/// Appends what one datagram of the monitor says.
pub(super) fn changes(datagram: &[u8], out: &mut impl Extend<Change>) {
    const RTM_NEWROUTE: u16 = 24;
    const RTM_DELROUTE: u16 = 25;
    const RTM_NEWNETCONF: u16 = 80;
    let mut forwarding = false;
    let messages = raw_messages(datagram).filter(|raw| match kind(raw) {
        RTM_NEWROUTE => routes::may_replace_ours(raw),
        RTM_DELROUTE => routes::may_be_ours(raw, OURS),
        RTM_NEWNETCONF => {
            forwarding = true;
            false
        }
        _ => true,
    });
    out.extend(messages.filter_map(parse).filter_map(|message| {
        let NetlinkPayload::InnerMessage(message) = message.payload else { return None };
        match message {
            RouteNetlinkMessage::NewAddress(message) => {
                let header = &message.header;
                Some(Change::Added(header.index, address_in(&message)?, header.prefix_len))
            }
            RouteNetlinkMessage::DelAddress(message) => {
                let header = &message.header;
                Some(Change::Removed(header.index, address_in(&message)?, header.prefix_len))
            }
            RouteNetlinkMessage::NewRoute(message) | RouteNetlinkMessage::DelRoute(message) => {
                RouteKey::of(&message).map(Change::RouteGone)
            }
            RouteNetlinkMessage::DelRule(message) => Some(Change::RuleGone(message)),
            RouteNetlinkMessage::NewLink(message) | RouteNetlinkMessage::DelLink(message) => {
                message.attributes.into_iter().find_map(|attribute| match attribute {
                    LinkAttribute::IfName(name) => Some(Change::Link(name)),
                    _ => None,
                })
            }
            _ => None,
        }
    }));
    out.extend(forwarding.then_some(Change::Forwarding));
}

/// The local one, or for IPv6 the only one.
pub(super) fn address_in(message: &AddressMessage) -> Option<IpAddr> {
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
