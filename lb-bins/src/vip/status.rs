//! What the virtual routers are like now.

use std::collections::BTreeMap;
use std::net::IpAddr;

use lb_vrrp::carp::CarpHost;
use lb_vrrp::driver::Counters;
use lb_vrrp::wire::ChecksumForm;
use lb_vrrp::{Reason, Role, State, VirtualRouter};
use serde::Serialize;

use super::bgp::AnnouncementStatus;
use super::claim::Claim;
use super::faults::Faults;
use super::instance::Instance;
use crate::config::{CarpInstance, VrrpInstance, has_interface};
use crate::notify::NotifierStatus;
use crate::status::{ChecksStatus, VirtualServerStatus};

/// All virtual routers.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// In the order of their names.
    pub vrrp_instances: Vec<InstanceStatus>,
    /// In the order of their names.
    pub carp_instances: Vec<CarpInstanceStatus>,
    /// In the order of the configuration.
    pub vrrp_sync_groups: Vec<SyncGroupStatus>,
    /// In the order of their names.
    pub bgp_announcements: Vec<AnnouncementStatus>,
    /// What instances depend on, by type and name.
    pub tracked: Vec<TrackedStatus>,
    /// Those of the balancer in this process, if there is one; in the order of the configuration.
    pub virtual_servers: Vec<VirtualServerStatus>,
    /// What became of the news of changes.
    pub notify: NotifierStatus,
    /// How the checks of backends fare.
    pub checks: ChecksStatus,
}

/// Something that instances depend on.
#[derive(Clone, Debug, Serialize)]
pub struct TrackedStatus {
    /// `check`, `file`, `interface`, `process`, `quorum` or `script`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// `up` or `down`; absent before it was seen, and for files.
    pub state: Option<&'static str>,
    /// The number in a file.
    pub value: Option<i32>,
    /// Why it is down, if it is and that is known; at most 300 characters.
    pub reason: Option<String>,
}

/// Instances that move together.
#[derive(Clone, Debug, Serialize)]
pub struct SyncGroupStatus {
    /// Its name.
    pub name: String,
    /// `MASTER`, `BACKUP`, `FAULT` or `INIT`.
    pub state: &'static str,
    /// The names of its members.
    pub members: Vec<String>,
}

/// One virtual router.
#[derive(Clone, Debug, Serialize)]
pub struct InstanceStatus {
    /// Its name.
    pub name: String,
    /// Where it speaks.
    pub interface: String,
    /// Which one it is.
    pub virtual_router_id: u8,
    /// 2 or 3.
    pub version: u8,
    /// `MASTER`, `BACKUP`, `FAULT` or `INIT`.
    pub state: &'static str,
    /// For how long it has been that, in seconds.
    pub state_seconds: u64,
    /// Whether it gave its addresses up and waits for the successor.
    pub releasing: bool,
    /// The priority that it has now.
    pub priority: u8,
    /// The priority that it is configured with.
    pub base_priority: u8,
    /// Where it speaks from.
    pub source: IpAddr,
    /// How often it advertises as a master, in milliseconds.
    pub advert_interval_ms: u128,
    /// Whom it takes for the master, if it is a backup that heard one.
    pub master: Option<MasterReport>,
    /// Whether nobody else was ever heard: it is alone, or cut off.
    pub lonely: bool,
    /// How long ago another one was heard; absent if never. A master does not hear backups, which are
    /// silent: only from a backup's growing one follows that something is wrong.
    pub last_heard_seconds: Option<u64>,
    /// Why it is not fit to be a master: `addresses`, `admin`, `group`, `interface` and `no-source`, and
    /// what it depends on by type and name, as `script NAME`.
    pub faults: Vec<String>,
    /// The addresses that come and go with it.
    pub addresses: Vec<IpAddr>,
    /// Whether this host has them.
    pub holds_addresses: bool,
    /// Whether they were claimed by the last attempt; absent if there is nothing to claim now.
    pub claimed: Option<bool>,
    /// What was counted.
    pub counters: CountersReport,
}

/// One CARP host.
#[derive(Clone, Debug, Serialize)]
pub struct CarpInstanceStatus {
    /// Its name.
    pub name: String,
    /// Where it speaks.
    pub interface: String,
    /// Which virtual host it is.
    pub vhid: u8,
    /// `MASTER`, `BACKUP`, `FAULT` or `INIT`.
    pub state: &'static str,
    /// For how long it has been that, in seconds.
    pub state_seconds: u64,
    /// Whether it gave its addresses up and waits for the successor.
    pub releasing: bool,
    /// How far what it tracks demotes it.
    pub demotion: u8,
    /// Where it speaks from.
    pub source: IpAddr,
    /// Whether nobody else was ever heard: it is alone, or cut off.
    pub lonely: bool,
    /// How long ago another one was heard; absent if never. A master does not hear backups, which are
    /// silent: only from a backup's growing one follows that something is wrong.
    pub last_heard_seconds: Option<u64>,
    /// Why it is not fit to be a master: `addresses`, `admin`, `group`, `interface` and `no-source`, and
    /// what it depends on by type and name, as `script NAME`.
    pub faults: Vec<String>,
    /// The addresses that come and go with it.
    pub addresses: Vec<IpAddr>,
    /// Whether this host has them.
    pub holds_addresses: bool,
    /// What was counted.
    pub counters: CountersReport,
}

impl CarpInstanceStatus {
    pub(super) fn of(
        instance: &Instance,
        config: &CarpInstance,
        host: &CarpHost,
        counters: &Counters,
    ) -> Self {
        let faults = Faults { causes: host.faults(), trackers: host.trackers_at_fault().collect() };
        Self {
            name: config.name.clone(),
            interface: config.interface.clone(),
            vhid: config.vhid.get(),
            state: host.role().name(),
            state_seconds: instance.since.elapsed().as_secs(),
            releasing: host.is_releasing(),
            demotion: host.demotion(),
            source: host.config().source(),
            lonely: host.is_lonely(),
            last_heard_seconds: host.last_heard().map(|at| at.elapsed().as_secs()),
            faults: faults.names(instance),
            addresses: instance.spec.addresses(),
            holds_addresses: host.holds_addresses(),
            counters: counters.into(),
        }
    }
}

/// A master that was heard.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MasterReport {
    /// Where it speaks from.
    pub source: IpAddr,
    /// Its priority.
    pub priority: u8,
}

/// What was counted since the start; none of it goes down.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CountersReport {
    /// Adverts that were what they should be.
    pub adverts_received: u64,
    /// Of those, how many changed nothing.
    pub adverts_discarded: u64,
    /// Of those, how many list other addresses than ours.
    pub address_list_differs: u64,
    /// Of those, how many have another interval than ours, which version 3 allows.
    pub interval_differs: u64,
    /// Of those, how many gave the addresses up: priority 0, or CARP's equivalent.
    pub priority_zero_received: u64,
    /// Adverts received, by what their checksum covers: `rfc9568`, `pseudo` (keepalived, FRR, IPv6),
    /// `pseudo-group` (keepalived up to 1.3.6); those that came.
    pub checksums: BTreeMap<&'static str, u64>,
    /// Adverts sent, one for each peer.
    pub adverts_sent: u64,
    /// Adverts that could not be sent.
    pub adverts_not_sent: u64,
    /// Adverts of priority 0.
    pub priority_zero_sent: u64,
    /// Gratuitous ARPs and unsolicited neighbour advertisements.
    pub announcements_sent: u64,
    /// How often it became master.
    pub became_master: u64,
    /// How often it was master no more.
    pub released_master: u64,
    /// Packets that were refused, by reason: those that happened.
    pub refused: BTreeMap<&'static str, u64>,
}

impl From<&Counters> for CountersReport {
    fn from(counters: &Counters) -> Self {
        let refused = Reason::ALL.iter().map(|reason| (reason.name(), counters.refused(*reason)));
        let checksums =
            ChecksumForm::ALL.iter().map(|form| (form.name(), counters.checksum(*form)));
        Self {
            adverts_received: counters.received,
            adverts_discarded: counters.discarded,
            address_list_differs: counters.addresses_differ,
            interval_differs: counters.interval_differs,
            priority_zero_received: counters.releases_received,
            checksums: checksums.filter(|(_, count)| *count > 0).collect(),
            adverts_sent: counters.sent,
            adverts_not_sent: counters.not_sent,
            priority_zero_sent: counters.released,
            announcements_sent: counters.announced,
            became_master: counters.became_master,
            released_master: counters.released_master,
            refused: refused.filter(|(_, count)| *count > 0).collect(),
        }
    }
}

impl InstanceStatus {
    pub(super) fn of(
        instance: &Instance,
        config: &VrrpInstance,
        router: &VirtualRouter,
        counters: &Counters,
    ) -> Self {
        let master = match router.state() {
            State::Backup(backup) => backup.master,
            _ => None,
        };
        let faults =
            Faults { causes: router.faults(), trackers: router.trackers_at_fault().collect() };
        Self {
            name: config.name.clone(),
            interface: config.interface.clone(),
            virtual_router_id: config.virtual_router_id.get(),
            version: match config.version {
                lb_vrrp::Version::V2 => 2,
                lb_vrrp::Version::V3 => 3,
            },
            state: router.state().role().name(),
            state_seconds: instance.since.elapsed().as_secs(),
            releasing: matches!(router.state(), State::Releasing(_)),
            priority: router.priority().get(),
            base_priority: config.priority.get(),
            source: router.config().source(),
            advert_interval_ms: config.advert_interval.as_duration().as_millis(),
            master: master
                .map(|heard| MasterReport { source: heard.source, priority: heard.priority.get() }),
            lonely: router.is_lonely(),
            last_heard_seconds: router.last_heard().map(|at| at.elapsed().as_secs()),
            faults: faults.names(instance),
            addresses: instance.spec.addresses(),
            holds_addresses: router.holds_addresses(),
            claimed: instance.claim.as_ref().map(Claim::holds),
            counters: counters.into(),
        }
    }
}

/// What instances depend on: their interfaces as well as those `things`. Of an interface that one of them
/// takes for down, since not all wait equally long, that is said.
pub(super) fn tracked_by<'a>(
    instances: impl Iterator<Item = &'a Instance>,
    mut things: Vec<TrackedStatus>,
) -> Vec<TrackedStatus> {
    let mut interfaces = BTreeMap::new();
    for (name, is_up) in instances.flat_map(Instance::interfaces) {
        let known = interfaces.entry(name).or_insert(is_up);
        if is_up == Some(false) || known.is_none() {
            *known = is_up;
        }
    }
    things.extend(interfaces.into_iter().map(|(name, is_up)| {
        TrackedStatus {
            kind: "interface",
            name: name.to_owned(),
            state: is_up.map(|is_up| if is_up { "up" } else { "down" }),
            value: None,
            reason: (is_up == Some(false) && !has_interface(name))
                .then(|| "there is no such interface".to_owned()),
        }
    }));
    things.sort_by(|one, other| (one.kind, &one.name).cmp(&(other.kind, &other.name)));
    things
}

/// What a group is: master if all are, at fault if one is.
pub(super) fn role_of_group(roles: &[Role]) -> Role {
    let has = |role: Role| roles.contains(&role);
    if has(Role::Fault) {
        Role::Fault
    } else if has(Role::Initialize) {
        Role::Initialize
    } else if has(Role::Backup) {
        Role::Backup
    } else {
        Role::Master
    }
}
