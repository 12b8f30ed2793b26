//! Who holds the address? VRRP and CARP as pure state machines: no sockets, no clock, no log, unless
//! the features `driver` and `linux` are on.
//!
//! ```text
//!   raw socket ──▶ Datagram ──▶ Channel ──Advertisement──▶ VirtualRouter ──Action──▶ addresses, ARP
//!                               │  ▲                        │  ▲    ▲
//!                    Refusal ◀──┘  └──── Advertise ◀────────┘  │    └── links, scripts, files
//!                  (counted)                                   └─────── time
//! ```
//!
//! | noun | what it is |
//! |---|---|
//! | [`VirtualRouter`] | decides when this host holds the addresses; its page has the diagram and the contract |
//! | [`SyncGroup`] | several routers that are master together or not at all |
//! | [`Channel`] | turns advertisements into datagrams and back, and refuses what is wrong with them |
//! | [`wire`] | the bytes: versions 2 and 3, IPv4 and IPv6, authentication header, HMAC trailer, CARP |
//! | [`Refusal`], [`Discard`] | why a packet was not taken: the former is wrong, the latter has no effect |
//! | [`Tracker`], [`FaultCause`] | what else decides: interfaces, scripts, files, checks |
//! | [`GratuitousArp`], [`UnsolicitedNa`] | telling the link where an address is now |
//! | [`carp`] | the same for CARP: [`carp::CarpHost`], [`carp::CarpChannel`] |
//!
//! The RFC now says *Active* where this says *Master*, as scripts, configurations and everybody do.
//!
//! # Driving a machine
//!
//! 1. Feed one input: a `handle_…` method, with `now` if time matters to it.
//! 2. Drain `poll_action` until `None`, doing each thing in that order.
//! 3. Sleep until `next_deadline` or the next datagram, whichever comes first. At the deadline read
//!    the socket until it is empty (as 1 and 2), and only then call `handle_timeout(now)`.
//!
//! The order in 3 is what keeps a host that overslept from acting on a silence that never was.
//! `driver::Driver` (feature `driver`) is that loop, over anything that is a `driver::Network`, and
//! `linux::LinuxNetwork` (feature `linux`) is one: its page says which privileges that needs.
//!
//! ```
//! use std::net::IpAddr;
//! use std::time::{Instant, SystemTime};
//! use lb_vrrp::wire::Datagram;
//! use lb_vrrp::{
//!     Action, AddressList, Channel, ChannelConfig, Config, Priority, VirtualRouter, Vrid,
//! };
//!
//! /// What a host does with one datagram; time works the same way, with `handle_timeout`.
//! fn heard(
//!     channel: &mut Channel,
//!     router: &mut VirtualRouter,
//!     packet: &[u8],
//!     mut send: impl FnMut(IpAddr, &[u8]),
//! ) -> Result<(), lb_vrrp::Refusal> {
//!     let (now, utc) = (Instant::now(), SystemTime::now()); // only you read clocks
//!     let received = channel.receive(utc, &Datagram::ipv4(packet)?)?;
//!     let _ = router.handle_packet(now, received.source, &received.advertisement);
//!     while let Some(action) = router.poll_action() {
//!         match action {
//!             Action::Advertise(priority) => channel.advertise(utc, priority, &mut send),
//!             other => println!("{other:?}"), // netlink, gratuitous ARP, scripts
//!         }
//!     }
//!     Ok(())
//! }
//!
//! let addresses = AddressList::new(["10.99.0.200".parse()?])?;
//! let here = ChannelConfig::new(Vrid::new(51)?, "10.99.0.12".parse()?, addresses.clone())?;
//! let there = ChannelConfig::new(Vrid::new(51)?, "10.99.0.11".parse()?, addresses)?;
//! let mut router = VirtualRouter::new(Config::of(&here));
//! router.startup(Instant::now());
//!
//! let mut packet = Vec::new();
//! Channel::new(there).advertise(SystemTime::now(), Priority::new(200), |_, sent| {
//!     packet.extend_from_slice(sent);
//! });
//! heard(&mut Channel::new(here), &mut router, &packet, |_, _| {})?;
//! assert!(!router.is_lonely());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where the standards are
//!
//! | what | RFC | here |
//! |---|---|---|
//! | packet format, version 3 | 9568 5.1, 5.2 | [`wire::Advertisement`] |
//! | packet format, version 2 | 3768 5; authentication: 2338 5.3.6 | [`wire::Advertisement`], [`Authentication`] |
//! | checksum, and who disputes it | 9568 5.2.8 | [`wire::ChecksumForm`], [`ChecksumPolicy`] |
//! | parameters and timers | 9568 6.1, 6.2; 3768 6.1, 6.2 | [`Config`] |
//! | state machine | 9568 6.4; 3768 6.4 | [`VirtualRouter`] |
//! | receiving | 9568 7.1 | [`Channel::receive`], [`Refusal`] |
//! | virtual MAC address | 9568 7.3 | [`MacAddr::of_virtual_router`] |
//! | ARP and neighbour discovery | 9568 8.1.2, 8.2.2 | [`GratuitousArp`], [`UnsolicitedNa`] |
//! | HMAC trailer | draft-cassen-vrrp-auth-hmac | [`HmacKeys`] |
//!
//! # Panics and errors
//!
//! No datagram, configuration, order or delay makes this crate panic. What cannot be configured is a
//! [`ConfigError`], what is wrong with a datagram a [`Refusal`]. A panic is a bug.
//!
//! # Not supported
//!
//! **No daemon**: that is for whoever uses this. **On Linux: Ethernet alone;
//! elsewhere no sockets at all.** **No speaking of
//! both versions at once** (RFC 5798 8.4); **no authentication in version 3 but the trailer; no intervals
//! below a second in version 2; no version 2 over IPv6; no VRRPE, HSRP or GLBP. No CARP without a
//! passphrase, no protection against replays in CARP** (nobody has it), **no balancing by CARP.**
//! Advertisements are not split: 255 IPv6 addresses need an MTU of more than 4 KiB.

#![forbid(unsafe_code)]

mod addresses;
mod announce;
mod authentication;
pub mod carp;
mod channel;
mod config;
#[cfg(feature = "driver")]
pub mod driver;
mod error;
#[cfg(all(feature = "linux", target_os = "linux"))]
pub mod linux;
mod mastery;
mod refusal;
mod replay;
mod router;
mod sync_group;
mod timers;
mod tracking;
mod values;
pub mod wire;

pub use addresses::{AddressList, Addresses, Family};
pub use announce::{ArpTarget, GratuitousArp, MacAddr, UnsolicitedNa};
pub use authentication::{Authentication, Freshness, HmacKeys, Migration};
pub use channel::{Channel, ChannelConfig, ChecksumPolicy, Peer, Reach, Received};
pub use config::{Announcements, Config, Preempt, Start};
pub use error::ConfigError;
pub use refusal::{IpFault, Reason, Refusal};
pub use router::{
    Action, Backup, Because, Discard, Event, Heard, Master, NotMaster, Releasing, Role, State,
    VirtualRouter,
};
pub use sync_group::{GroupError, SyncGroup};
pub use tracking::{Effect, FaultCause, FaultCauses, Signal, Tracker, TrackerId};
pub use values::{Interval, Priority, Version, Vrid};
