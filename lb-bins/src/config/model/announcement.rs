//! Announcements by BGP, as a configuration has them.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use lb_vrrp::linux::Prefix;

use super::Tracks;

/// Addresses that routers learn of by BGP as long as this host is fit for them. Several hosts may
/// announce the same ones: routers then spread flows over them (ECMP).
#[derive(Clone, Debug, PartialEq)]
pub struct BgpAnnouncement {
    /// Unique among the announcements, of letters, digits and `._:[]-`.
    pub name: String,
    /// Who speaks BGP.
    pub speaker: Speaker,
    /// The VRRP or CARP instance that must be master; default: none need be.
    pub instance: Option<String>,
    /// What must be as it should, a number of 0 in files; all weights are 0.
    pub tracks: Tracks,
    /// How long routers have after a withdrawal before an instance gives its addresses up, or this
    /// process ends; default: 1 s.
    pub withdraw_delay: Duration,
    /// How often the speaker is told again; above zero, default: 10 s.
    pub interval: Duration,
}

/// A daemon that speaks BGP.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Speaker {
    /// BIRD 2: one of its protocols, which has the routes, is enabled and disabled.
    Bird {
        /// Its control socket: an absolute path; default: Debian's.
        socket: PathBuf,
        /// The name of the protocol.
        protocol: String,
    },
    /// ExaBGP 4: it is told routes through its named pipe.
    ExaBgp {
        /// The pipe that it reads commands from: an absolute path that ends in `.in`; its answers
        /// are in the one that ends in `.out`. Default: Debian's.
        pipe: PathBuf,
        /// What is announced: at least one, none twice.
        addresses: Vec<Prefix>,
        /// Where packets are to be sent; default: `self`, the address that ExaBGP speaks from.
        next_hop: Option<IpAddr>,
        /// `MULTI_EXIT_DISC` (RFC 4271, 5.1.4): less is better; default: none.
        med: Option<u32>,
        /// `COMMUNITIES` (RFC 1997); default: none.
        communities: Vec<String>,
    },
}

impl Speaker {
    /// Its word in a configuration.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Bird { .. } => "bird",
            Self::ExaBgp { .. } => "exabgp",
        }
    }
}
