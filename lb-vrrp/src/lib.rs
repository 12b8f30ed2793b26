#![forbid(unsafe_code)]
//! Who holds the address? VRRP and CARP as pure state machines.

mod addresses;
mod announce;
mod authentication;
pub mod carp;
mod channel;
mod config;
mod error;
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
