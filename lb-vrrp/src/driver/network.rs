//! What a driver needs of the world.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::time::{Instant, SystemTime};

use tokio::time;

use super::Operation;
use crate::channel::ChannelConfig;
use crate::refusal::Refusal;
use crate::tracking::{FaultCause, Signal, TrackerId};
use crate::wire::Datagram;

/// Names one router, for a [`Network`] and for the [`Driver`](super::Driver) over it. The network
/// gives it away, and never twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RouterId(u32);

impl RouterId {
    /// The router of this number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// What happened outside.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// One of the virtual addresses is on this host, and nobody here asked for it: left over by a
    /// crash, or added by somebody.
    AddressFound(IpAddr),
    /// One of the virtual addresses was taken from this host by somebody else.
    AddressLost(IpAddr),
    /// A datagram came, or what cannot even be read as one.
    Datagram(Result<Datagram<'a>, Refusal>),
    /// A cause of fault appeared or went away.
    Fault {
        /// Which one.
        cause: FaultCause,
        /// Whether it is there now.
        present: bool,
    },
    /// Something could not be done that nobody asked for just now, and that is only to be told.
    Failed {
        /// What.
        operation: Operation,
        /// Why.
        error: io::Error,
    },
    /// Routes or rules have gone: they are to be added again.
    RoutesLost,
    /// The address to speak from is another one, or there is none any more. One of the other family
    /// is ignored.
    Source(Option<IpAddr>),
    /// An interface that the router tracks was seen.
    Tracked(TrackerId, Signal),
}

/// The links, the host's addresses and the wall clock, as a [`Driver`](super::Driver) sees them.
///
/// Only [`Self::ready`] waits. All else is done at once or not at all: a router that holds an
/// address late because something else was slow is worse than one that does not hold it.
pub trait Network {
    /// What a router of this network has beside its channel: interfaces, routes, whatever there is.
    type Settings;

    /// Waits until [`Self::next_input`] may have something. It may be wrong about that, but must not
    /// miss anything, and may be dropped and called again at any time.
    ///
    /// # Errors
    /// Nothing can be heard any more, or for now.
    fn ready(&mut self) -> impl Future<Output = io::Result<()>> + Send;

    /// The same, but not for longer than until then. By default the timers of tokio end it, which count
    /// whole milliseconds.
    ///
    /// # Errors
    /// As of [`Self::ready`].
    fn ready_until(&mut self, at: Instant) -> impl Future<Output = io::Result<()>> + Send {
        let ready = time::timeout_at(at.into(), self.ready());
        async move { ready.await.unwrap_or(Ok(())) }
    }

    /// What has happened and was not asked for yet, and to whom; `None` if nothing has, or if all that
    /// waited when this was first called has been handed over: somebody who floods one socket must
    /// stop neither the others nor the clock. Until then no clock is looked at, so that no silence is
    /// taken for real that never was. Who is not known, or not any more, is passed over.
    ///
    /// # Errors
    /// It cannot be read, this once. It is asked again.
    fn next_input(&mut self) -> io::Result<Option<(RouterId, Input<'_>)>>;

    /// Sends what the [`Channel`](crate::Channel) of a router has encoded: over IPv4 with its
    /// header, over IPv6 without.
    ///
    /// # Errors
    /// It was not sent.
    fn send(&mut self, router: RouterId, destination: IpAddr, packet: &[u8]) -> io::Result<()>;

    /// Adds a virtual address of a router to this host. That it is there already is no error.
    ///
    /// # Errors
    /// It is not there.
    fn add_address(&mut self, router: RouterId, address: IpAddr) -> io::Result<()>;

    /// Removes a virtual address of a router from this host, unless another router of this network was
    /// asked to add it: then it is that one's. That it is not there is no error.
    ///
    /// # Errors
    /// It may still be there.
    fn remove_address(&mut self, router: RouterId, address: IpAddr) -> io::Result<()>;

    /// Tells the link, once, that an address of a router is here.
    ///
    /// # Errors
    /// The link was not told.
    fn announce(&mut self, router: RouterId, address: IpAddr) -> io::Result<()>;

    /// A router gives its addresses up, and answers for them until somebody else does; or it does so no
    /// more. Meanwhile nobody need be told where they are: what it has in common with its successor, a
    /// MAC address, would be looked for here. By default nothing is done about that.
    ///
    /// # Errors
    /// It still tells.
    fn hush(&mut self, router: RouterId, is_leaving: bool) -> io::Result<()> {
        let _ = (router, is_leaving);
        Ok(())
    }

    /// Which link a router announces its addresses on: those of one link share how fast they do
    /// ([`Announcements::spacing`](crate::Announcements::spacing)). By default that is not known, and
    /// each has its own.
    fn link(&self, router: RouterId) -> Option<u32> {
        let _ = router;
        None
    }

    /// Takes another configuration for a router. What goes, or is to be there in another way, is
    /// removed if it is there; what comes is asked for later.
    ///
    /// # Errors
    /// Something may still be there that should not, or nothing can be heard.
    fn reconfigure(
        &mut self,
        router: RouterId,
        channel: &ChannelConfig,
        settings: Self::Settings,
    ) -> io::Result<()>;

    /// Addresses of a router that come and go with the others, but are not advertised. By default
    /// there are none.
    fn excluded(&self, router: RouterId) -> Vec<IpAddr> {
        let _ = router;
        Vec::new()
    }

    /// Adds what else comes with the addresses of a router: routes and rules. That it is there
    /// already is no error. By default there is nothing.
    ///
    /// # Errors
    /// Not all of it is there.
    fn add_routes(&mut self, router: RouterId) -> io::Result<()> {
        let _ = router;
        Ok(())
    }

    /// Removes that, before the addresses go.
    ///
    /// # Errors
    /// Some of it may still be there.
    fn remove_routes(&mut self, router: RouterId) -> io::Result<()> {
        let _ = router;
        Ok(())
    }

    /// The wall clock. Only the HMAC trailer looks at it.
    fn utc(&self) -> SystemTime;
}
