//! What a driver needs of the world.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::time::SystemTime;

use crate::refusal::Refusal;
use crate::tracking::FaultCause;
use crate::wire::Datagram;

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
    /// The address to speak from is another one, or there is none any more. One of the other family
    /// is ignored.
    Source(Option<IpAddr>),
}

/// The link, the host's addresses and the wall clock, as one [`Driver`](super::Driver) sees them.
///
/// Only [`Self::ready`] waits. All else is done at once or not at all: a router that holds an
/// address late because something else was slow is worse than one that does not hold it.
pub trait Network {
    /// Waits until [`Self::next_input`] may have something. It may be wrong about that, but must not
    /// miss anything, and may be dropped and called again at any time.
    ///
    /// # Errors
    /// Nothing can be heard any more, or for now.
    fn ready(&mut self) -> impl Future<Output = io::Result<()>> + Send;

    /// What has happened and was not asked for yet; `None` if nothing has.
    ///
    /// # Errors
    /// It cannot be read. It is asked again when something else is due.
    fn next_input(&mut self) -> io::Result<Option<Input<'_>>>;

    /// Sends what a [`Channel`](crate::Channel) has encoded: over IPv4 with its header, over IPv6
    /// without.
    ///
    /// # Errors
    /// It was not sent.
    fn send(&mut self, destination: IpAddr, packet: &[u8]) -> io::Result<()>;

    /// Adds a virtual address to this host. That it is there already is no error.
    ///
    /// # Errors
    /// It is not there.
    fn add_address(&mut self, address: IpAddr) -> io::Result<()>;

    /// Removes a virtual address from this host. That it is not there is no error.
    ///
    /// # Errors
    /// It may still be there.
    fn remove_address(&mut self, address: IpAddr) -> io::Result<()>;

    /// Tells the link, once, that an address is here.
    ///
    /// # Errors
    /// The link was not told.
    fn announce(&mut self, address: IpAddr) -> io::Result<()>;

    /// The wall clock. Only the HMAC trailer looks at it.
    fn utc(&self) -> SystemTime;
}
