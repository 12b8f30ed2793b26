//! One socket for all routers of an interface: with one each, every one of them would be woken for
//! all that the others hear.

use std::collections::BTreeMap;
use std::io;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::task::{Context, Poll, ready};

use socket2::Socket;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::port::Port;
use super::socket::{self, Buffer, Received};
use crate::addresses::Family;
use crate::channel::Reach;
use crate::driver::RouterId;
use crate::wire::Datagram;

/// How many datagrams a socket hands over before all others and the clock have their turn: as many as
/// wait in it at most, so that it is empty then unless somebody floods it.
const SHARE: u32 = 1024;
/// What a small datagram takes of a socket's buffer (`SKB_TRUESIZE`).
const SMALL: usize = 768;

/// What a socket hears: one family and protocol on one interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Ear {
    pub(super) interface: String,
    pub(super) family: Family,
    protocol: u8,
}

impl Ear {
    pub(super) fn of(port: &Port) -> Self {
        let (family, protocol) = (port.family(), port.protocol());
        // What comes from our own virtual MAC address, as another master has it, the kernel gives to
        // that interface alone (`macvlan_handle_frame`).
        let interface = match port.group() {
            Some(_) => port.own_home(),
            None => &port.settings.interface,
        };
        Self { interface: interface.to_owned(), family, protocol }
    }
}

/// An ear, and who is there to hear.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) ear: Ear,
    /// `None` while there is no such interface, or it cannot be heard on.
    pub(super) socket: Option<AsyncFd<Socket>>,
    /// The index of the interface that the socket is on.
    index: u32,
    joined: Vec<IpAddr>,
    /// More than one for an identifier while one of them says good-bye, or if they speak to others.
    routers: BTreeMap<u8, Vec<(RouterId, Reach)>>,
    /// How much of its share is left; nothing when it is empty.
    left: u32,
}

impl Receiver {
    pub(super) const fn new(ear: Ear) -> Self {
        Self {
            ear,
            socket: None,
            index: 0,
            joined: Vec::new(),
            routers: BTreeMap::new(),
            left: SHARE,
        }
    }

    /// Opens it on the interface that has this index now; 0 if there is none. One that is open there
    /// stays as it is.
    pub(super) fn open(&mut self, index: u32) -> io::Result<()> {
        if self.socket.is_some() && self.index == index {
            return Ok(());
        }
        self.socket = None;
        self.index = index;
        if index > 0 {
            let socket = socket::receiver(self.ear.family, self.ear.protocol, &self.ear.interface)?;
            socket::make_room(&socket, SHARE as usize * SMALL)?;
            self.joined.iter().try_for_each(|group| socket::join(&socket, *group, index))?;
            self.socket = Some(watched(socket)?);
        }
        Ok(())
    }

    /// Has a router hear, and the socket the group that is spoken to.
    pub(super) fn enlist(&mut self, id: RouterId, port: &Port, index: u32) -> io::Result<()> {
        let routers = self.routers.entry(port.channel.vrid.get()).or_default();
        // It may be there, speaking to others.
        match routers.iter_mut().find(|(known, _)| *known == id) {
            Some((_, reach)) => reach.clone_from(&port.channel.reach),
            None => {
                // Most are alone with their identifier.
                routers.reserve_exact(1);
                routers.push((id, port.channel.reach.clone()));
            }
        }
        let Some(group) = port.group().filter(|group| !self.joined.contains(group)) else {
            return Ok(());
        };
        self.joined.push(group);
        match &self.socket {
            Some(socket) => socket::join(socket.get_ref(), group, index),
            None => Ok(()),
        }
    }

    /// Whether nobody is left.
    pub(super) fn dismiss(&mut self, id: RouterId) -> bool {
        self.routers.retain(|_, routers| {
            routers.retain(|(known, _)| *known != id);
            !routers.is_empty()
        });
        self.routers.is_empty()
    }

    /// Whom a datagram is for: one of them, and the others. What names nobody is counted by one, and so
    /// is what none of several waits for.
    pub(super) fn routers(
        &self,
        datagram: Option<&Datagram<'_>>,
    ) -> Option<(RouterId, Vec<RouterId>)> {
        let known = match datagram.and_then(Datagram::vrid) {
            Some(vrid) => self.routers.get(&vrid)?,
            None => return Some((self.routers.values().next()?.first()?.0, Vec::new())),
        };
        if let [(only, _)] = known[..] {
            return Some((only, Vec::new()));
        }
        let waits = |(_, reach): &&(RouterId, Reach)| datagram.is_some_and(|it| hears(reach, it));
        let mut waiting = known.iter().filter(waits).map(|(id, _)| *id);
        let first = waiting.next().or(known.first().map(|(id, _)| *id))?;
        Some((first, waiting.collect()))
    }

    /// Another round, in which it has its share again.
    pub(super) const fn begin(&mut self) {
        self.left = SHARE;
    }

    /// Whether something may wait there in this round.
    pub(super) const fn is_pending(&self) -> bool {
        self.socket.is_some() && self.left > 0
    }

    /// Takes one datagram; `None` if none waits.
    pub(super) fn receive(&mut self, buffer: &mut Buffer) -> io::Result<Option<Received>> {
        let Some(socket) = &self.socket else { return Ok(None) };
        let received = buffer.receive(socket.get_ref(), self.ear.family);
        self.left = if matches!(received, Ok(None)) { 0 } else { self.left.saturating_sub(1) };
        received
    }
}

/// Whether this is for a router that speaks to these, and not for another one of its identifier.
fn hears(reach: &Reach, datagram: &Datagram<'_>) -> bool {
    match reach {
        Reach::Multicast { group } => datagram.destination == *group,
        Reach::Unicast { peers, .. } => peers.iter().any(|peer| peer.address == datagram.source),
    }
}

/// What tokio wakes us for. Its successor is unsafe, for descriptors that are closed or exchanged while
/// they are watched: these own theirs, and are not changed in there.
#[allow(deprecated, reason = "the successor is unsafe, for what cannot happen to an owner")]
pub(super) fn watched<T: AsRawFd + Into<OwnedFd>>(descriptor: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(descriptor, Interest::READABLE)
}

/// Whether something waits at this socket.
///
/// Sockets are read without asking for readiness, so that nothing is missed that came a moment ago;
/// here is where tokio learns that they are empty.
pub(super) fn poll_waiting(
    socket: &AsyncFd<Socket>,
    context: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    loop {
        let mut guard = ready!(socket.poll_read_ready(context))?;
        let peeked = guard.try_io(|socket| socket.get_ref().peek(&mut [MaybeUninit::uninit(); 1]));
        match peeked {
            Ok(waits) => return Poll::Ready(waits.map(|_| ())),
            Err(_would_block) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Peer;

    const GROUP: IpAddr = Family::V4.group();

    fn datagram(source: [u8; 4], destination: IpAddr, payload: &[u8]) -> Datagram<'_> {
        let source = IpAddr::from(source);
        Datagram { source, destination, hop_limit: 255, protocol: 112, header: None, payload }
    }

    #[test]
    fn of_one_identifier_those_hear_who_are_spoken_to() {
        let (multicast, unicast) = (RouterId::new(1), RouterId::new(2));
        let (leaving, other) = (RouterId::new(3), RouterId::new(4));
        let ear = Ear { interface: "eth0".to_owned(), family: Family::V4, protocol: 112 };
        let mut receiver = Receiver::new(ear);
        let peers = vec![Peer::new(IpAddr::from([10, 0, 0, 2]))];
        let to_peers = Reach::unicast(peers);
        let to_group = Reach::Multicast { group: GROUP };
        let sharers =
            [(multicast, to_group.clone()), (unicast, to_peers), (leaving, to_group.clone())];
        receiver.routers.insert(51, sharers.into());
        receiver.routers.insert(52, vec![(other, to_group)]);

        let payload = |vrid: u8| [0x31, vrid, 100, 1];
        let (ours, theirs) = (payload(51), payload(52));
        let heard = |source, destination, payload: &[u8]| {
            receiver.routers(Some(&datagram(source, destination, payload)))
        };
        let own = IpAddr::from([10, 0, 0, 1]);
        assert_eq!(heard([10, 0, 0, 2], own, &ours), Some((unicast, vec![])));
        assert_eq!(heard([10, 0, 0, 9], GROUP, &ours), Some((multicast, vec![leaving])));
        // Nobody waits for it: somebody has to count it.
        assert_eq!(heard([10, 0, 0, 9], own, &ours), Some((multicast, vec![])));
        assert_eq!(heard([10, 0, 0, 9], own, &theirs), Some((other, vec![])));
        assert_eq!(heard([10, 0, 0, 9], GROUP, &payload(53)), None);
    }
}
