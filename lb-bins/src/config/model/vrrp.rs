//! Virtual routers, as a configuration has them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use lb_vrrp::linux::{Route, Rule, VirtualAddress};
use lb_vrrp::{
    Announcements, ChecksumPolicy, Family, Freshness, Interval, Migration, Preempt, Priority,
    Reach, Start, Version, Vrid,
};

use super::check::Check;
use super::{Account, Claim, Command, Track, Tracks};

/// A virtual router: addresses that one of several hosts has.
#[derive(Clone, Debug, PartialEq)]
pub struct VrrpInstance {
    /// Unique, of letters, digits and `._:[]-`.
    pub name: String,
    /// The interface that it speaks on.
    pub interface: String,
    /// Which virtual router it is; with the interface and the family unique.
    pub virtual_router_id: Vrid,
    /// Default: 3. Version 2 is for IPv4 alone.
    pub version: Version,
    /// What it takes itself for when it starts; default: a backup.
    pub state: Start,
    /// Who is wanted more; 255 for the owner of the addresses; default: 100.
    pub priority: Priority,
    /// How often a master says that it is there; default: 1 s.
    pub advert_interval: Interval,
    /// After how many silent intervals a master is dead; default: 3.
    pub down_timer_adverts: u8,
    /// Whether it takes over from a living master of lower priority; default: at once.
    pub preempt: Preempt,
    /// Whether a master takes packets for the addresses though it is not their owner; default: yes.
    pub accept: bool,
    /// For how long it waits before it does what it could do at once.
    pub delays: Delays,
    /// Whether a master says a last word when it hears a better one; default: yes.
    pub parting_advert: bool,
    /// How IPv4 is summed up in version 3; default: as keepalived does.
    pub checksum: ChecksumPolicy,
    /// The address to speak from; default: the interface's.
    pub source: Option<IpAddr>,
    /// Whom it speaks to; default: the group of VRRP.
    pub reach: Reach,
    /// How its routers know each other; default: not at all.
    pub authentication: Authentication,
    /// The addresses in the order of the file: all of one family, none twice. There may be none if
    /// others see to them.
    pub addresses: Vec<VirtualAddress>,
    /// Addresses that come and go with the others but are not advertised, of any family.
    pub excluded_addresses: Vec<VirtualAddress>,
    /// Routes that come and go with the addresses.
    pub routes: Vec<Route>,
    /// Policy rules that come and go with the addresses.
    pub rules: Vec<Rule>,
    /// The interface with the virtual MAC address that the addresses are on; default: none, they
    /// are on [`interface`](Self::interface) with its MAC address.
    pub virtual_mac: Option<String>,
    /// Whether advertisements come from the interface's own MAC address though there is a virtual one
    /// (keepalived's `vmac_xmit_base`); default: no.
    pub vmac_xmit_base: bool,
    /// How the link is told where the addresses are.
    pub garp: Announcements,
    /// Whether its own interface without a carrier is a fault; default: yes.
    pub track_primary: bool,
    /// Interfaces that it depends on, beside its own.
    pub track_interfaces: Vec<Track>,
    /// What else it depends on.
    pub tracks: Tracks,
    /// How its addresses are claimed of a cloud; default: not.
    pub claim: Option<Box<Claim>>,
    /// What runs when something happens.
    pub notify: Notify,
}

impl VrrpInstance {
    /// Whether it is for IPv4 or for IPv6.
    pub fn family(&self) -> Family {
        let own = self.addresses.first().map(|first| first.address).or(self.source);
        let first = own.or_else(|| self.reach.destinations().next());
        first.map_or(Family::V4, |first| Family::of(&first))
    }
}

/// For how long an instance waits; default: not at all.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Delays {
    /// For how long it says nothing after the start.
    pub startup: Duration,
    /// For how long after the host has started it says nothing. The longer one counts.
    pub after_boot: Duration,
    /// For how long an interface must be down before it counts, its own and those that it tracks.
    pub interface_down: Duration,
    /// And up again.
    pub interface_up: Duration,
}

/// How routers know each other.
#[derive(Clone, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Authentication {
    /// By what they say alone. The default.
    #[default]
    None,
    /// Version 2: a password that everybody on the link can read; 8 characters count.
    Pass(String),
    /// Version 2: an authentication header as keepalived makes it; 8 characters count.
    Ah(String),
    /// The trailer of keepalived 2.4.
    Hmac {
        /// At least one: the first signs, all are accepted.
        keys: Vec<HmacKey>,
        /// What becomes of packets without it; default: they are refused.
        mode: Migration,
        /// How old a packet may be; default: three intervals, and at least 5 s.
        freshness: Option<Freshness>,
    },
}

/// Secrets are not for logs.
impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Pass(_) => "Pass(…)",
            Self::Ah(_) => "Ah(…)",
            Self::Hmac { .. } => "Hmac(…)",
        })
    }
}

/// A key of [`Authentication::Hmac`].
#[derive(Clone, Eq, PartialEq)]
pub struct HmacKey {
    /// 1 to 255; unique.
    pub id: u8,
    /// 32 to 64 octets.
    pub secret: KeySecret,
}

/// A secret, or where it is.
#[derive(Clone, Eq, PartialEq)]
pub enum KeySecret {
    /// In this file, an absolute path; read at the start and at each reload. A line end is no part of it,
    /// and behind `hex:` there are digits.
    File(PathBuf),
    /// These octets.
    Octets(Vec<u8>),
    /// This.
    Text(String),
}

/// Secrets are not for logs.
impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Octets(_) => f.write_str("Octets(…)"),
            Self::Text(_) => f.write_str("Text(…)"),
        }
    }
}

/// How it is told that a reload has removed an instance or a group (keepalived.conf(5), `notify_deleted`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Deleted {
    /// As a stop. The default.
    #[default]
    AsStop,
    /// As `DELETED`; and this is run, if anything.
    Told(Option<Box<Command>>),
}

impl Deleted {
    /// What is run.
    pub fn command(&self) -> Option<&Command> {
        match self {
            Self::AsStop => None,
            Self::Told(command) => command.as_deref(),
        }
    }

    pub(super) fn command_mut(&mut self) -> Option<&mut Command> {
        match self {
            Self::AsStop => None,
            Self::Told(command) => command.as_deref_mut(),
        }
    }
}

/// What runs when something happens. Commands are apart: of a thousand instances most have none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Notify {
    /// At every change: with `INSTANCE` or `GROUP`, the name, the state and the priority behind the
    /// arguments, as keepalived has it.
    pub any: Option<Box<Command>>,
    /// When it becomes master.
    pub master: Option<Box<Command>>,
    /// When it becomes a backup.
    pub backup: Option<Box<Command>>,
    /// When it is not fit to be a master.
    pub fault: Option<Box<Command>>,
    /// When it is stopped.
    pub stop: Option<Box<Command>>,
    /// How it is told that a reload has removed it; default: as when it is stopped.
    pub deleted: Deleted,
    /// When it is master and hears a lower one, whom somebody may have believed; not for groups.
    pub master_rx_lower_pri: Option<Box<Command>>,
    /// Whether changes of the priority are told, too; default: no.
    pub priority_changes: bool,
    /// Whether changes of the state are told by mail; default: no.
    pub smtp_alert: bool,
    /// Whether that is so of faults as well (keepalived's `no_email_faults`); default: yes.
    pub smtp_alert_faults: bool,
    /// Whom the commands run as; default: [`script_user`](super::Config::script_user).
    pub user: Option<Account>,
}

/// Instances that are master together or not at all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VrrpSyncGroup {
    /// Unique among the groups.
    pub name: String,
    /// The names of the instances: at least one, each in one group only.
    pub members: Vec<String>,
    /// What runs when something happens.
    pub notify: Notify,
}

/// What a script counts as before it has run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ScriptInitial {
    /// Down, until it has succeeded `rise` times in a row (keepalived's `init_fail`).
    Down,
    /// Nothing: who depends on it waits for its first run, which decides. A weight counts neither way.
    #[default]
    Unknown,
    /// Up, until it has failed `fall` times in a row.
    Up,
}

/// A script that instances depend on: exit code 0 is up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VrrpScript {
    /// Unique among the scripts.
    pub name: String,
    /// What is run.
    pub command: Command,
    /// From the start of one run to the start of the next; above zero, default: 1 s.
    pub interval: Duration,
    /// How long a run may take; above zero, default: `interval`.
    pub timeout: Duration,
    /// How many runs in a row must succeed to come up; at least 1, default: 1.
    pub rise: u32,
    /// How many runs in a row must fail to go down; at least 1, default: 1.
    pub fall: u32,
    /// What it weighs where that is not said; default: 0.
    pub weight: i16,
    /// What it counts as before it has run; default: nothing.
    pub initial: ScriptInitial,
}

/// Checks of a server that instances depend on: up while all of them pass.
#[derive(Clone, Debug, PartialEq)]
pub struct VrrpCheck {
    /// Unique among the checks.
    pub name: String,
    /// What is checked. Only checks that say it themselves, or look at this host alone, do without.
    pub target: Option<SocketAddr>,
    /// At least one.
    pub checks: Vec<Check>,
    /// What it weighs where that is not said; default: 0.
    pub weight: i16,
}

/// A file with a number that instances depend on. A file that is not there, or has none, has 0.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VrrpTrackFile {
    /// Unique among the files.
    pub name: String,
    /// Where it is.
    pub file: PathBuf,
    /// What its number is multiplied with where that is not said; default: 1. With 0, a number
    /// other than 0 is a fault.
    pub weight: i16,
}

/// How the parameters of a command line are compared.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ParameterMatch {
    /// There are those and no others.
    #[default]
    Exact,
    /// They come first; of the last one only the beginning.
    Initial,
    /// They come first.
    Partial,
}

/// Processes that instances depend on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VrrpTrackProcess {
    /// Unique among the processes.
    pub name: String,
    /// The name of the program, or with a slash in it the whole path.
    pub process: String,
    /// What must be behind it on the command line; default: anything.
    pub parameters: Option<Vec<String>>,
    /// How the parameters are compared; default: all of them, and exactly.
    pub parameter_match: ParameterMatch,
    /// How many of them there must be; default: 1.
    pub quorum: u32,
    /// How many of them there may be, not below `quorum` unless it is 0; default: any number.
    pub quorum_max: Option<u32>,
    /// How long there must be enough of them before that counts; default: 0.
    pub up_delay: Duration,
    /// And how long there must not be; default: 0.
    pub down_delay: Duration,
    /// What it weighs where that is not said; default: 0.
    pub weight: i16,
}

/// A host of a CARP group: the other way to share addresses, as OpenBSD, FreeBSD and ucarp do.
#[derive(Clone, PartialEq)]
pub struct CarpInstance {
    /// Unique among the CARP and the VRRP instances.
    pub name: String,
    /// The interface that it speaks on.
    pub interface: String,
    /// Which virtual host it is; with the interface and the family unique, VRRP's included.
    pub vhid: Vrid,
    /// How often a master says that it is there, in seconds; 1 to 254, default: 1.
    pub advbase: u8,
    /// And how many 256ths of a second more: who says it most often is wanted most; at most 254,
    /// default: 0.
    pub advskew: u8,
    /// After how many silent `advbase` a master is dead; default: 3.
    pub dead_ratio: u8,
    /// Whether it takes over from a living master that advertises less often; default: no.
    pub preempt: bool,
    /// What all hosts of the group know; 20 octets count.
    pub passphrase: String,
    /// The address to speak from; default: the interface's.
    pub source: Option<IpAddr>,
    /// At least one, all of one family.
    pub addresses: Vec<VirtualAddress>,
    /// The interface with the virtual MAC address; default: none.
    pub virtual_mac: Option<String>,
    /// How the link is told where the addresses are.
    pub garp: Announcements,
    /// Interfaces, which demote it while they are down, or are a fault.
    pub track_interfaces: Vec<Track>,
    /// What else does.
    pub tracks: Tracks,
    /// What runs when something happens.
    pub notify: Notify,
}

impl CarpInstance {
    /// Whether it is for IPv4 or for IPv6.
    pub fn family(&self) -> Family {
        self.addresses.first().map_or(Family::V4, |first| Family::of(&first.address))
    }
}

/// The passphrase is not for logs.
impl fmt::Debug for CarpInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, interface, vhid, .. } = self;
        f.debug_struct("CarpInstance")
            .field("name", name)
            .field("interface", interface)
            .field("vhid", vhid)
            .finish_non_exhaustive()
    }
}
