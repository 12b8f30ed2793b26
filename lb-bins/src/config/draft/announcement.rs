//! Announcements by BGP as a front end reads them.

use std::time::Duration;

use super::vrrp::{Network, Tracks};
use super::{Field, List};

/// A `bgp_announcement`.
#[derive(Debug, Default)]
pub(in crate::config) struct BgpAnnouncement {
    pub(in crate::config) name: Field<String>,
    pub(in crate::config) speaker: Field<Speaker>,
    pub(in crate::config) addresses: Field<List<Network>>,
    pub(in crate::config) instance: Field<String>,
    pub(in crate::config) tracks: Tracks,
    pub(in crate::config) withdraw_delay: Field<Duration>,
    pub(in crate::config) interval: Field<Duration>,
}

/// Who speaks BGP, with the keys of every type.
#[derive(Debug, Default)]
pub(in crate::config) struct Speaker {
    pub(in crate::config) kind: Field<SpeakerType>,
    pub(in crate::config) socket: Field<String>,
    pub(in crate::config) protocol: Field<String>,
    pub(in crate::config) pipe: Field<String>,
    pub(in crate::config) next_hop: Field<String>,
    pub(in crate::config) med: Field<i64>,
    pub(in crate::config) communities: Field<List<String>>,
}

/// The speakers by name.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::config) enum SpeakerType {
    #[default]
    Bird,
    ExaBgp,
}
