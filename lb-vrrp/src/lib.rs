#![forbid(unsafe_code)]
//! Who holds the address? VRRP and CARP as pure state machines.

mod addresses;
mod announce;
mod authentication;
mod channel;
mod config;
mod refusal;
mod replay;
mod values;
pub mod wire;

pub use addresses::{AddressList, Addresses, Family};
pub use announce::{ArpTarget, GratuitousArp, MacAddr, UnsolicitedNa};
pub use authentication::{Authentication, Freshness, HmacKeys, Migration};
pub use channel::{Channel, ChannelConfig, ChecksumPolicy, Peer, Reach, Received};
pub use config::ConfigError;
pub use refusal::{IpFault, Reason, Refusal};
pub use values::{Interval, Priority, Version, Vrid};
