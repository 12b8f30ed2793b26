//! Linux: raw sockets, addresses by netlink, frames by `AF_PACKET`.
//!
//! Opening needs `CAP_NET_RAW`; adding and removing addresses needs `CAP_NET_ADMIN`. Both are looked
//! at in the user namespace that owns the network namespace, and the former no more once it is open
//! (but see [`LinuxNetwork`] for when it opens again).

mod link;
mod netlink;
mod settings;
mod socket;

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use socket2::Socket;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

pub use self::link::primary_address;
use self::link::{Link, addresses_of, can_be_source};
use self::netlink::{Change, Requests};
pub use self::settings::{NotAPrefix, Prefix, Route, Rule, Scope, VirtualAddress};
use self::socket::Buffer;
use crate::addresses::Family;
use crate::channel::{ChannelConfig, Reach};
use crate::driver::{Input, Network};
use crate::tracking::FaultCause;

/// Why a [`LinuxNetwork`] could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no such interface, or it is no Ethernet.
    #[error("there is no Ethernet interface {interface:?}")]
    NoInterface {
        /// What it should be called.
        interface: String,
    },
    /// The kernel does not want to; without `CAP_NET_RAW`, [`io::ErrorKind::PermissionDenied`].
    #[error("{interface}: {source}")]
    Kernel {
        /// The interface.
        interface: String,
        /// Why not.
        source: io::Error,
    },
}

/// One interface of this host, in the network namespace of the thread that opened it.
///
/// It watches the interface and its addresses: an interface without a carrier, or that is gone, is
/// [`FaultCause::Interface`]; without an address to speak from there is [`FaultCause::NoSource`]; a
/// virtual address that somebody takes away is [`Input::AddressLost`]. When its source goes away,
/// multicast goes on from the next address of the interface; unicast does not, since peers know it by
/// that one. An interface that was gone and is back is opened again, for which `CAP_NET_RAW` is
/// needed once more.
///
/// What it is told of its own changes it passes on as well, and the router knows them for what they
/// are. It keeps the addresses, the reach and the authentication that it was opened with: for a channel
/// with others, open another one. Dropping it leaves addresses where they are: [shut the driver down](crate::driver::Driver::shutdown).
#[derive(Debug)]
pub struct LinuxNetwork {
    config: ChannelConfig,
    settings: Vec<VirtualAddress>,
    link: Link,
    receiver: AsyncFd<Socket>,
    /// Made when it is needed: an address of IPv6 may be too new to be spoken from.
    sender: Option<Socket>,
    buffer: Buffer,
    requests: Requests,
    monitor: AsyncFd<Socket>,
    datagram: Vec<u8>,
    changes: VecDeque<Change>,
    inputs: VecDeque<Input<'static>>,
    /// Something may have been missed.
    is_blind: bool,
}

impl LinuxNetwork {
    /// For a router that speaks through a channel of `config`. Addresses of it that are not among
    /// `addresses` are added as [`VirtualAddress::new`] has them.
    ///
    /// To be called in a tokio runtime with I/O enabled.
    ///
    /// # Errors
    /// [`OpenError`]. Needs `CAP_NET_RAW`.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    ///
    /// ```no_run
    /// use std::error::Error;
    /// use lb_vrrp::driver::Driver;
    /// use lb_vrrp::linux::{LinuxNetwork, VirtualAddress, primary_address};
    /// use lb_vrrp::{AddressList, Channel, ChannelConfig, Config, Family, Vrid};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn Error>> {
    /// let address = VirtualAddress::new("10.99.0.200".parse()?).prefix(24).label("eth0:vip");
    /// let source = primary_address("eth0", Family::V4)?.ok_or("eth0 has no address")?;
    /// let addresses = AddressList::new([address.address])?;
    /// let channel = ChannelConfig::new(Vrid::new(51)?, source, addresses)?;
    ///
    /// let network = LinuxNetwork::open(&channel, "eth0", [address])?;
    /// let mut driver = Driver::new(Config::of(&channel), Channel::new(channel), network);
    /// driver.startup();
    /// while let Some(report) = driver.next().await {
    ///     println!("{report:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(
        config: &ChannelConfig,
        interface: &str,
        addresses: impl IntoIterator<Item = VirtualAddress>,
    ) -> Result<Self, OpenError> {
        let kernel = |source| OpenError::Kernel { interface: interface.to_owned(), source };
        let link = Link::open(interface).map_err(kernel)?;
        let Some(link) = link else {
            return Err(OpenError::NoInterface { interface: interface.to_owned() });
        };
        let open = || {
            // First, so that nothing happens between looking and watching.
            let monitor = netlink::monitor()?;
            let receiver = socket::receiver(config, interface, link.index())?;
            Ok((watched(monitor)?, watched(receiver)?, Requests::open()?))
        };
        let (monitor, receiver, requests) = open().map_err(kernel)?;
        Ok(Self {
            config: config.clone(),
            settings: addresses.into_iter().collect(),
            link,
            receiver,
            sender: None,
            buffer: Buffer::new(),
            requests,
            monitor,
            datagram: vec![0; 32 * 1024],
            changes: VecDeque::new(),
            inputs: VecDeque::new(),
            is_blind: true,
        })
    }

    fn setting(&self, address: IpAddr) -> VirtualAddress {
        let known = self.settings.iter().find(|setting| setting.address == address);
        known.cloned().unwrap_or_else(|| VirtualAddress::new(address))
    }

    fn is_virtual(&self, address: IpAddr) -> bool {
        self.config.addresses.iter().any(|known| known == address)
            || self.settings.iter().any(|known| known.address == address)
    }

    /// Looks at everything, at the start and when the kernel had more to tell than there was room.
    fn look(&mut self) -> io::Result<()> {
        let there = addresses_of(self.link.name(), self.config.addresses.family())?;
        for address in self.config.addresses.iter() {
            self.inputs.push_back(if there.contains(&address) {
                Input::AddressFound(address)
            } else {
                Input::AddressLost(address)
            });
        }
        self.link.refresh()?;
        self.tell_link();
        self.look_for_source()
    }

    fn tell_link(&mut self) {
        let present = !self.link.is_up();
        self.inputs.push_back(Input::Fault { cause: FaultCause::Interface, present });
    }

    fn look_for_source(&mut self) -> io::Result<()> {
        let there = addresses_of(self.link.name(), self.config.addresses.family())?;
        let ours = self.config.source;
        let is_multicast = matches!(self.config.reach, Reach::Multicast { .. });
        let other = || {
            let mut others = there.iter().filter(|_| is_multicast);
            others.find(|address| can_be_source(address) && !self.is_virtual(**address))
        };
        let found = there.iter().find(|address| **address == ours).or_else(other).copied();
        if found != Some(ours) {
            self.sender = None;
            if let Some(source) = found {
                self.config.source = source;
            }
        }
        self.inputs.push_back(Input::Source(found));
        Ok(())
    }

    /// What the kernel has told.
    fn watch(&mut self) -> io::Result<()> {
        loop {
            match self.monitor.get_ref().read(&mut self.datagram) {
                Ok(length) => netlink::changes(&self.datagram[..length], &mut self.changes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Too much at once (ENOBUFS).
                Err(_) => {
                    self.is_blind = true;
                    break;
                }
            }
        }
        if std::mem::take(&mut self.is_blind) {
            self.changes.clear();
            self.look()?;
        }
        while let Some(change) = self.changes.pop_front() {
            self.handle(change)?;
        }
        Ok(())
    }

    fn handle(&mut self, change: Change) -> io::Result<()> {
        let index = self.link.index();
        match change {
            Change::Added(at, address) if at == index => {
                if self.is_virtual(address) {
                    self.inputs.push_back(Input::AddressFound(address));
                } else if Family::of(&address) == self.config.addresses.family() {
                    self.look_for_source()?;
                }
            }
            Change::Removed(at, address) if at == index => {
                if self.is_virtual(address) {
                    self.inputs.push_back(Input::AddressLost(address));
                }
                if address == self.config.source {
                    self.look_for_source()?;
                }
            }
            Change::Link(name) if name == self.link.name() => {
                self.link.refresh()?;
                let fresh = self.link.index();
                if fresh != index {
                    self.receiver = watched(socket::receiver(&self.config, &name, fresh)?)?;
                    self.sender = None;
                    self.look_for_source()?;
                }
                self.tell_link();
            }
            _ => {}
        }
        Ok(())
    }
}

impl Network for LinuxNetwork {
    fn ready(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        poll_fn(|context| {
            if self.is_blind || !self.inputs.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if let Poll::Ready(waits) = poll_waiting(&self.monitor, context) {
                // Looking takes the error away, and it must not be forgotten.
                self.is_blind |= waits.is_err();
                return Poll::Ready(Ok(()));
            }
            poll_waiting(&self.receiver, context)
        })
    }

    fn next_input(&mut self) -> io::Result<Option<Input<'_>>> {
        if self.inputs.is_empty() {
            self.watch()?;
        }
        if let Some(input) = self.inputs.pop_front() {
            return Ok(Some(input));
        }
        let family = self.config.addresses.family();
        let datagram = self.buffer.receive(self.receiver.get_ref(), family)?;
        Ok(datagram.map(Input::Datagram))
    }

    fn send(&mut self, destination: IpAddr, packet: &[u8]) -> io::Result<()> {
        let index = self.link.index();
        if self.sender.is_none() {
            self.sender = Some(socket::sender(&self.config, self.link.name(), index)?);
        }
        match &self.sender {
            Some(sender) => socket::send(sender, index, destination, packet),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn add_address(&mut self, address: IpAddr) -> io::Result<()> {
        let address = self.setting(address);
        self.requests.add(self.link.index(), &address)
    }

    fn remove_address(&mut self, address: IpAddr) -> io::Result<()> {
        let address = self.setting(address);
        self.requests.remove(self.link.index(), &address)
    }

    fn announce(&mut self, address: IpAddr) -> io::Result<()> {
        self.link.announce(address)
    }

    #[allow(clippy::disallowed_methods, reason = "this is where the wall clock is read")]
    fn utc(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// What tokio wakes us for. Its successor is unsafe, for descriptors that are closed or exchanged while
/// they are watched: a [`Socket`] owns its own, and is not changed in there.
#[allow(deprecated, reason = "the successor is unsafe, for what cannot happen to a `Socket`")]
fn watched(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    AsyncFd::with_interest(socket, Interest::READABLE)
}

/// Whether something waits at this socket.
///
/// Sockets are read without asking for readiness, so that nothing is missed that came a moment ago;
/// here is where tokio learns that they are empty.
fn poll_waiting(socket: &AsyncFd<Socket>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
    loop {
        let mut guard = ready!(socket.poll_read_ready(context))?;
        let peeked = guard.try_io(|socket| socket.get_ref().peek(&mut [MaybeUninit::uninit(); 1]));
        match peeked {
            Ok(waits) => return Poll::Ready(waits.map(|_| ())),
            Err(_would_block) => {}
        }
    }
}
