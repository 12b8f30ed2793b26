//! Virtual routers as a front end reads them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use lb_vrrp::linux::{RouteKind, Scope};
use lb_vrrp::{ChecksumPolicy, Family, Migration, Start};

use super::claim::Claim;
use super::{Checks, Field, List};
use crate::config::model::{Account, ParameterMatch, ScriptInitial};

/// A `vrrp_instance`.
#[derive(Debug, Default)]
pub(in crate::config) struct VrrpInstance {
    pub(in crate::config) name: Field<String>,
    pub(in crate::config) interface: Field<String>,
    pub(in crate::config) virtual_router_id: Field<i64>,
    pub(in crate::config) version: Field<i64>,
    pub(in crate::config) state: Field<Start>,
    pub(in crate::config) priority: Field<i64>,
    pub(in crate::config) advert_interval: Field<Duration>,
    pub(in crate::config) down_timer_adverts: Field<i64>,
    pub(in crate::config) preempt: Field<bool>,
    pub(in crate::config) preempt_delay: Field<Duration>,
    pub(in crate::config) accept: Field<bool>,
    pub(in crate::config) interface_down_delay: Field<Duration>,
    pub(in crate::config) interface_up_delay: Field<Duration>,
    pub(in crate::config) startup_delay: Field<Duration>,
    pub(in crate::config) delay_after_boot: Field<Duration>,
    pub(in crate::config) parting_advert: Field<bool>,
    pub(in crate::config) checksum: Field<ChecksumPolicy>,
    pub(in crate::config) multicast_source: Field<IpAddr>,
    pub(in crate::config) multicast_group: Field<IpAddr>,
    pub(in crate::config) unicast_source: Field<IpAddr>,
    pub(in crate::config) unicast_peers: Field<List<Peer>>,
    pub(in crate::config) check_unicast_source: Field<bool>,
    pub(in crate::config) authentication: Field<Authentication>,
    pub(in crate::config) addresses: Field<List<VirtualAddress>>,
    pub(in crate::config) excluded_addresses: Field<List<VirtualAddress>>,
    pub(in crate::config) routes: Field<List<Route>>,
    pub(in crate::config) rules: Field<List<Rule>>,
    pub(in crate::config) use_vmac: Field<bool>,
    pub(in crate::config) vmac_interface: Field<String>,
    pub(in crate::config) vmac_xmit_base: Field<bool>,
    pub(in crate::config) garp: Field<Garp>,
    pub(in crate::config) track_primary: Field<bool>,
    pub(in crate::config) track_interfaces: Field<List<Track>>,
    pub(in crate::config) tracks: Tracks,
    pub(in crate::config) claim: Field<Claim>,
    pub(in crate::config) notify: Notify,
    pub(in crate::config) notify_master_rx_lower_pri: Field<List<String>>,
}

/// An address, perhaps with the length of a prefix; what it means is not judged yet.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Network {
    pub(in crate::config) address: IpAddr,
    pub(in crate::config) length: Option<i64>,
}

impl Network {
    /// Reads `10.0.0.200` or `10.0.0.200/24`.
    pub(in crate::config) fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse().ok()?)),
            None => (text, None),
        };
        Some(Self { address: address.parse().ok()?, length })
    }
}

/// Where a route leads to.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) enum Destination {
    Default,
    Network(Network),
}

#[derive(Debug, Default)]
pub(in crate::config) struct VirtualAddress {
    pub(in crate::config) address: Field<Network>,
    pub(in crate::config) dev: Field<String>,
    pub(in crate::config) label: Field<String>,
    pub(in crate::config) scope: Field<Scope>,
    pub(in crate::config) deprecated: Field<bool>,
}

#[derive(Debug, Default)]
pub(in crate::config) struct Route {
    pub(in crate::config) to: Field<Destination>,
    pub(in crate::config) via: Field<IpAddr>,
    pub(in crate::config) dev: Field<String>,
    pub(in crate::config) source: Field<IpAddr>,
    pub(in crate::config) table: Field<i64>,
    pub(in crate::config) metric: Field<i64>,
    pub(in crate::config) scope: Field<Scope>,
    pub(in crate::config) kind: Field<RouteKind>,
    pub(in crate::config) next_hops: Field<List<NextHop>>,
    pub(in crate::config) onlink: Field<bool>,
    pub(in crate::config) mtu: Field<i64>,
    pub(in crate::config) mtu_lock: Field<bool>,
    pub(in crate::config) advmss: Field<i64>,
}

#[derive(Debug, Default)]
pub(in crate::config) struct NextHop {
    pub(in crate::config) via: Field<IpAddr>,
    pub(in crate::config) dev: Field<String>,
    pub(in crate::config) weight: Field<i64>,
}

/// One number, or all from one to another.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Numbers {
    pub(in crate::config) first: i64,
    pub(in crate::config) last: i64,
}

impl Numbers {
    /// Reads `80` or `80-90`.
    pub(in crate::config) fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Some(Self { first: first.parse().ok()?, last: last.parse().ok()? })
    }
}

/// What a rule does, where it needs no more than a word.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::config) enum RuleAction {
    Blackhole,
    Goto,
    Nop,
    Prohibit,
    #[default]
    Table,
    Unreachable,
}

#[derive(Debug, Default)]
pub(in crate::config) struct Rule {
    /// Without addresses nothing else says it.
    pub(in crate::config) family: Field<Family>,
    pub(in crate::config) from: Field<Network>,
    pub(in crate::config) to: Field<Network>,
    pub(in crate::config) iif: Field<String>,
    pub(in crate::config) oif: Field<String>,
    pub(in crate::config) fwmark: Field<i64>,
    pub(in crate::config) fwmask: Field<i64>,
    pub(in crate::config) tos: Field<i64>,
    pub(in crate::config) ip_protocol: Field<i64>,
    pub(in crate::config) sport: Field<Numbers>,
    pub(in crate::config) dport: Field<Numbers>,
    pub(in crate::config) uid_range: Field<Numbers>,
    pub(in crate::config) not: Field<bool>,
    pub(in crate::config) action: Field<RuleAction>,
    pub(in crate::config) goto: Field<i64>,
    pub(in crate::config) suppress_prefixlength: Field<i64>,
    pub(in crate::config) suppress_ifgroup: Field<i64>,
    pub(in crate::config) table: Field<i64>,
    pub(in crate::config) priority: Field<i64>,
}

#[derive(Debug, Default)]
pub(in crate::config) struct Peer {
    pub(in crate::config) address: Field<IpAddr>,
    pub(in crate::config) min_ttl: Field<i64>,
    pub(in crate::config) max_ttl: Field<i64>,
}

#[derive(Debug, Default)]
pub(in crate::config) struct Authentication {
    pub(in crate::config) kind: Field<AuthenticationType>,
    pub(in crate::config) password: Field<String>,
    pub(in crate::config) keys: Field<List<HmacKey>>,
    pub(in crate::config) mode: Field<Migration>,
    pub(in crate::config) window: Field<Duration>,
    pub(in crate::config) monotonic: Field<bool>,
}

/// The kinds of authentication by name.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::config) enum AuthenticationType {
    Ah,
    Hmac,
    #[default]
    Pass,
}

#[derive(Debug, Default)]
pub(in crate::config) struct HmacKey {
    pub(in crate::config) id: Field<i64>,
    pub(in crate::config) secret: Field<String>,
    pub(in crate::config) secret_file: Field<String>,
    pub(in crate::config) secret_hex: Field<String>,
}

#[derive(Debug, Default)]
pub(in crate::config) struct Garp {
    pub(in crate::config) repeat: Field<i64>,
    pub(in crate::config) delay: Field<Duration>,
    pub(in crate::config) lower_prio_repeat: Field<i64>,
    pub(in crate::config) refresh: Field<Duration>,
    pub(in crate::config) interval: Field<Duration>,
}

/// `"eth1"`, or a table.
#[derive(Debug, Default)]
pub(in crate::config) struct Track {
    pub(in crate::config) name: Field<String>,
    pub(in crate::config) weight: Field<i64>,
    pub(in crate::config) reverse: Field<bool>,
}

/// What instances and announcements have in common.
#[derive(Debug, Default)]
pub(in crate::config) struct Tracks {
    pub(in crate::config) scripts: Field<List<Track>>,
    pub(in crate::config) files: Field<List<Track>>,
    pub(in crate::config) processes: Field<List<Track>>,
    pub(in crate::config) checks: Field<List<Track>>,
    pub(in crate::config) quorums: Field<List<Track>>,
}

/// What instances and groups have in common.
#[derive(Debug, Default)]
pub(in crate::config) struct Notify {
    pub(in crate::config) any: Field<List<String>>,
    pub(in crate::config) master: Field<List<String>>,
    pub(in crate::config) backup: Field<List<String>>,
    pub(in crate::config) fault: Field<List<String>>,
    pub(in crate::config) stop: Field<List<String>>,
    pub(in crate::config) deleted: Field<Deleted>,
    pub(in crate::config) priority_changes: Field<bool>,
    pub(in crate::config) smtp_alert: Field<bool>,
    pub(in crate::config) smtp_alert_faults: Field<bool>,
    pub(in crate::config) user: Field<Account>,
}

/// `true`, or a command.
#[derive(Debug, Default)]
pub(in crate::config) struct Deleted {
    pub(in crate::config) is_told: bool,
    pub(in crate::config) command: Field<List<String>>,
}

#[derive(Debug, Default)]
pub(in crate::config) struct VrrpSyncGroup {
    pub(in crate::config) name: Field<String>,
    pub(in crate::config) members: Field<List<String>>,
    pub(in crate::config) notify: Notify,
}

#[derive(Debug, Default)]
pub(in crate::config) struct VrrpScript {
    pub(in crate::config) name: Field<String>,
    pub(in crate::config) command: Field<List<String>>,
    pub(in crate::config) interval: Field<Duration>,
    pub(in crate::config) timeout: Field<Duration>,
    pub(in crate::config) rise: Field<i64>,
    pub(in crate::config) fall: Field<i64>,
    pub(in crate::config) weight: Field<i64>,
    pub(in crate::config) initial: Field<ScriptInitial>,
    pub(in crate::config) user: Field<Account>,
}

#[derive(Debug, Default)]
pub(in crate::config) struct VrrpCheck {
    pub(in crate::config) name: Field<String>,
    pub(in crate::config) target: Field<SocketAddr>,
    pub(in crate::config) checks: Field<Checks>,
    pub(in crate::config) weight: Field<i64>,
}

#[derive(Debug, Default)]
pub(in crate::config) struct VrrpTrackFile {
    pub(in crate::config) name: Field<String>,
    pub(in crate::config) file: Field<String>,
    pub(in crate::config) weight: Field<i64>,
}

#[derive(Debug, Default)]
pub(in crate::config) struct VrrpTrackProcess {
    pub(in crate::config) name: Field<String>,
    pub(in crate::config) process: Field<String>,
    pub(in crate::config) parameters: Field<List<String>>,
    pub(in crate::config) parameter_match: Field<ParameterMatch>,
    pub(in crate::config) quorum: Field<i64>,
    pub(in crate::config) quorum_max: Field<i64>,
    pub(in crate::config) delay: Field<Duration>,
    pub(in crate::config) up_delay: Field<Duration>,
    pub(in crate::config) down_delay: Field<Duration>,
    pub(in crate::config) weight: Field<i64>,
}

#[derive(Debug, Default)]
pub(in crate::config) struct CarpInstance {
    pub(in crate::config) name: Field<String>,
    pub(in crate::config) interface: Field<String>,
    pub(in crate::config) vhid: Field<i64>,
    pub(in crate::config) advbase: Field<i64>,
    pub(in crate::config) advskew: Field<i64>,
    pub(in crate::config) dead_ratio: Field<i64>,
    pub(in crate::config) preempt: Field<bool>,
    pub(in crate::config) passphrase: Field<String>,
    pub(in crate::config) source: Field<IpAddr>,
    pub(in crate::config) addresses: Field<List<VirtualAddress>>,
    pub(in crate::config) use_vmac: Field<bool>,
    pub(in crate::config) vmac_interface: Field<String>,
    pub(in crate::config) garp: Field<Garp>,
    pub(in crate::config) track_interfaces: Field<List<Track>>,
    pub(in crate::config) tracks: Tracks,
    pub(in crate::config) notify: Notify,
}
