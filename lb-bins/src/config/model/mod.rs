//! The typed configuration: plain data, already validated, with every default filled in.

mod account;
mod address;
mod announcement;
mod backend;
pub mod check;
mod claim;
mod command;
mod door;
mod hashing;
mod tracks;
mod vrrp;
mod walk;
mod zone;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use lb_core::Algorithm;
use lb_core::virtual_server::{DrainingClients, WhenDown, WhenFull};
use lb_vrrp::linux::{Route, Rule, VirtualAddress};

pub use self::account::Account;
pub(in crate::config) use self::address::is_host_name;
pub use self::address::{Address, ParseAddressError};
pub use self::announcement::{BgpAnnouncement, Speaker};
pub use self::backend::{Backend, OnFailure};
use self::check::{Check, CheckKind, SmtpSecurity};
pub(in crate::config) use self::claim::PLACEHOLDERS;
pub use self::claim::{Call, Claim, ClaimBy, Holder, HttpClaim};
pub use self::command::Command;
pub use self::door::{Door, NotADoor};
pub(in crate::config) use self::hashing::hashes_the_source;
pub use self::hashing::{HashKey, is_keyed_by_destination};
pub use self::tracks::{Track, Tracks};
pub use self::vrrp::{
    Authentication, CarpInstance, Delays, Deleted, HmacKey, KeySecret, Notify, ParameterMatch,
    ScriptInitial, VrrpCheck, VrrpInstance, VrrpScript, VrrpSyncGroup, VrrpTrackFile,
    VrrpTrackProcess,
};
pub(in crate::config) use self::zone::{is_on_every_link, socket_address, zoned};
use super::mistakes::Mistake;

/// Everything that a configuration file says.
///
/// Two configurations are equal when they ask for the same; their warnings, which hold line
/// numbers, are not compared.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Where `/status`, `/metrics` and `/healthz` are served; default: nowhere.
    pub admin: Option<Door>,
    /// Whether [`admin`](Self::admin) may be an address that other hosts reach; default: no.
    pub admin_allow_remote: bool,
    /// Whom the daemon becomes when it has started as root; default: nobody else.
    pub user: Option<Account>,
    /// Whom scripts for events run as; default: as the daemon does.
    pub script_user: Option<Account>,
    /// Whether scripts that root runs, and others could change, are refused; default: warned of.
    pub script_security: bool,
    /// A named pipe that gets a line for every change of a state, as keepalived's `notify_fifo`: an
    /// absolute path; default: none.
    pub notify_fifo: Option<PathBuf>,
    /// What is started to read it, with its path as the last argument; default: nothing.
    pub notify_fifo_script: Option<Command>,
    /// How long a command that is told of something may run before it is ended; `None`: for ever. Default: a
    /// minute.
    pub notify_timeout: Option<Duration>,
    /// How mail about changes is sent; default: not at all.
    pub smtp: Option<Mail>,
    /// The name servers that are asked what names stand for; default: those of the system.
    pub resolvers: Vec<SocketAddr>,
    /// How many checks are under way at once; default: as many as are due.
    pub max_checks: Option<NonZeroU32>,
    /// How many scripts of checks run at once; default: two per processor.
    pub max_scripts: Option<NonZeroU32>,
    /// The virtual servers in the order of the file; without virtual routers at least one.
    pub virtual_servers: Vec<VirtualServer>,
    /// The virtual routers in the order of the file; without virtual servers at least one.
    pub vrrp_instances: Vec<VrrpInstance>,
    /// Hosts of CARP groups.
    pub carp_instances: Vec<CarpInstance>,
    /// Virtual routers that move together.
    pub vrrp_sync_groups: Vec<VrrpSyncGroup>,
    /// Scripts that virtual routers may depend on.
    pub vrrp_scripts: Vec<VrrpScript>,
    /// Checks that virtual routers may depend on.
    pub vrrp_checks: Vec<VrrpCheck>,
    /// Files that virtual routers may depend on.
    pub vrrp_track_files: Vec<VrrpTrackFile>,
    /// Processes that virtual routers may depend on.
    pub vrrp_track_processes: Vec<VrrpTrackProcess>,
    /// Addresses that are there as long as `vip-keeper` runs, whoever is master; each with its
    /// interface.
    pub static_addresses: Vec<VirtualAddress>,
    /// Routes that are there as long.
    pub static_routes: Vec<Route>,
    /// Rules that are there as long.
    pub static_rules: Vec<Rule>,
    /// What is announced by BGP.
    pub bgp_announcements: Vec<BgpAnnouncement>,
    /// What is allowed but probably not meant, in the order of the file.
    pub warnings: Vec<Mistake>,
}

impl Config {
    /// Whether any backend is checked by a script.
    pub fn has_scripts(&self) -> bool {
        let backends = self.virtual_servers.iter().flat_map(|server| &server.backends);
        let mut checks = backends.flat_map(|backend| &backend.checks);
        checks.any(|check| matches!(check.kind, CheckKind::Script(_)))
    }

    /// Whether any server has a name instead of an address.
    pub fn has_names(&self) -> bool {
        let named = |address: &Address| address.numeric().is_none();
        self.virtual_servers.iter().any(|server| {
            let checks = server.backends.iter().flat_map(|backend| &backend.checks);
            let targets = checks.filter_map(|check| check.address.as_ref());
            let backends = server.backends.iter().map(|backend| &backend.address);
            backends.chain(&server.sorry_server).chain(targets).any(named)
        })
    }
}

impl PartialEq for Config {
    fn eq(&self, other: &Self) -> bool {
        // Taken apart so that a new field cannot be forgotten.
        let Self {
            admin,
            admin_allow_remote,
            user,
            script_user,
            script_security,
            notify_fifo,
            notify_fifo_script,
            notify_timeout,
            smtp,
            resolvers,
            max_checks,
            max_scripts,
            virtual_servers,
            vrrp_instances,
            carp_instances,
            vrrp_sync_groups,
            vrrp_scripts,
            vrrp_checks,
            vrrp_track_files,
            vrrp_track_processes,
            bgp_announcements,
            static_addresses,
            static_routes,
            static_rules,
            warnings: _,
        } = self;
        *admin == other.admin
            && *admin_allow_remote == other.admin_allow_remote
            && *user == other.user
            && *script_user == other.script_user
            && *script_security == other.script_security
            && *notify_fifo == other.notify_fifo
            && *notify_fifo_script == other.notify_fifo_script
            && *notify_timeout == other.notify_timeout
            && *smtp == other.smtp
            && *resolvers == other.resolvers
            && *max_checks == other.max_checks
            && *max_scripts == other.max_scripts
            && *virtual_servers == other.virtual_servers
            && *vrrp_instances == other.vrrp_instances
            && *carp_instances == other.carp_instances
            && *vrrp_sync_groups == other.vrrp_sync_groups
            && *vrrp_scripts == other.vrrp_scripts
            && *vrrp_checks == other.vrrp_checks
            && *vrrp_track_files == other.vrrp_track_files
            && *vrrp_track_processes == other.vrrp_track_processes
            && *static_addresses == other.static_addresses
            && *static_routes == other.static_routes
            && *static_rules == other.static_rules
            && *bgp_announcements == other.bgp_announcements
    }
}

/// Where mail about changes goes, and through which server.
#[derive(Clone, Debug, PartialEq)]
pub struct Mail {
    /// The mail server; a name is resolved by the system, each time.
    pub server: Address,
    /// Who it is from: one address.
    pub from: String,
    /// Whom it is for: at least one address.
    pub to: Vec<String>,
    /// How we call ourselves; default: the name of this host.
    pub helo: Option<String>,
    /// How TLS is spoken; default: not at all.
    pub security: Option<SmtpSecurity>,
    /// Who logs in, which takes TLS; default: nobody.
    pub login: Option<Login>,
}

/// Who logs in to a mail server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The file of the password, which is its first line: an absolute path.
    pub password_file: PathBuf,
}

/// An address that clients connect to, and the backends behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualServer {
    /// Unique, of letters, digits and `._:[]-`; default: the listen address.
    pub name: String,
    /// Where clients connect; unique.
    pub listen: SocketAddr,
    /// How connections come to the backends; default: [`Forwarding::Proxy`].
    pub forwarding: Forwarding,
    /// Who gets the next flow; default: [`SCHEDULER`](crate::config::defaults::SCHEDULER).
    pub scheduler: Algorithm,
    /// What schedulers that hash the source look at; default: [`HashKey::Source`].
    pub hash_key: HashKey,
    /// Of the client's address, how many bits are hashed; from 1 to the whole address, default: those
    /// that [persistence](Persistence::granularity) knows a client by, or would by default.
    pub hash_granularity: Option<u8>,
    /// What the hashes of schedulers that hash are keyed with, so that nobody outside knows which
    /// clients share a backend; not empty, default: they are those that everybody knows.
    pub hash_seed: Option<String>,
    /// How far above its share a backend may be loaded, in hundredths; above 100, and only with
    /// schedulers that hash. Default: as it comes.
    pub bounded: Option<u32>,
    /// Where this balancer is: backends of the same zone are preferred; default: nowhere.
    pub zone: Option<String>,
    /// The share of live backends of one priority, in percent, below which the next priority
    /// helps; at most 100, default: 0, only when nobody is left.
    pub spill_below: u8,
    /// The share of live backends, in percent, below which checks are not believed; at most 100,
    /// default: 0, never.
    pub panic_below: u8,
    /// How long a backend that comes back takes to take on its share; above zero, default: it has
    /// it at once.
    pub slow_start: Option<Duration>,
    /// Where clients wait while every backend is full; default: they are refused.
    pub queue: Option<Queue>,
    /// When enough is alive; default: one share of weight, no hysteresis.
    pub quorum: Quorum,
    /// Who serves when the backends cannot; default: nobody.
    pub sorry_server: Option<Address>,
    /// What decides whether the sorry server is alive: all must pass. Empty, the default: it is.
    pub sorry_checks: Vec<Check>,
    /// When the sorry server takes over; default: [`SorryMode::Quorum`].
    pub sorry_mode: SorryMode,
    /// Whether a client returns to its backend; default: no.
    pub persistence: Option<Persistence>,
    /// What becomes of the remembered clients of a backend that is drained; default:
    /// [`DrainingClients::Keep`].
    pub draining_clients: DrainingClients,
    /// What runs when the quorum is gained; default: nothing.
    pub on_quorum_up: Option<Command>,
    /// What runs when the quorum is lost; default: nothing.
    pub on_quorum_down: Option<Command>,
    /// Whether what runs when the quorum is lost, and when backends go down, runs for those that are up
    /// when the daemon stops (keepalived's `omega`); default: no.
    pub down_when_stopped: bool,
    /// When backends are ejected for what clients see of them; default: never. Without it, a backend
    /// that refuses connections fails as if a check had failed.
    pub passive: Option<Passive>,
    /// How long a connection to a backend may take to open; above zero, default: 5 s.
    pub connect_timeout: Duration,
    /// How long the flows of a removed or drained backend may go on, and how long the remembered
    /// clients of one that drains are kept; default: 30 s.
    pub drain_timeout: Duration,
    /// How many other backends are tried when one refuses or times out; default: 3.
    pub retries: u8,
    /// The backends in the order of the file: at least one, no address twice.
    pub backends: Vec<Backend>,
}

/// The line of clients for which every backend is full.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Queue {
    /// How many may wait; at least 1, default: 100.
    pub length: u32,
    /// How long each of them waits; above zero, default: 5 s.
    pub timeout: Duration,
}

/// When a virtual server counts as up. In all three forms it is gained at the upper threshold or
/// above, kept in between, and lost below the lower one or when nothing is alive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Quorum {
    /// keepalived's `quorum` and `hysteresis`, in live weight: gained at `quorum + hysteresis`,
    /// lost below `quorum - hysteresis`.
    Weight {
        /// At least 1.
        quorum: u64,
        /// Less than `quorum`.
        hysteresis: u64,
    },
    /// Two separate thresholds in live weight.
    Thresholds {
        /// Gained when this much is alive; at least `down_at`.
        up_at: u64,
        /// Lost when less than this is alive; at least 1.
        down_at: u64,
    },
    /// Two separate thresholds in percent of the configured backends, whatever their weights.
    Shares {
        /// Gained when this share lives; `down_at..=100`.
        up_at: u8,
        /// Lost when less than this share lives; at least 1.
        down_at: u8,
    },
}

/// When a backend is ejected for what clients see of it, and for how long: Envoy's outlier
/// detection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Passive {
    /// So many failures in a row eject; 0: never, default: 5.
    pub consecutive: u32,
    /// Such a share of failures, in percent, within an interval ejects; 0: never, default: 85.
    pub failure_percent: u8,
    /// How many flows a backend must have had in the interval for its share to count; at least 1,
    /// default: 50.
    pub minimum: u32,
    /// How often shares are looked at; above zero, default: 10 s.
    pub interval: Duration,
    /// How long a backend is out, times how often it was ejected; above zero, default: 30 s.
    pub eject: Duration,
    /// The longest that it is out; at least `eject`, default: 300 s or `eject`.
    pub longest: Duration,
    /// How many percent of the backends may be out at once (but always one); 1 to 100, default: 10.
    pub max_ejected: u8,
    /// By so many standard deviations, in hundredths, the share of successes must lie below the mean
    /// of all to eject; at most 1000, 0: never, default: 0.
    pub deviations: u32,
    /// Whether an ejected backend is back as soon as its checks pass; default: no.
    pub back_on_check: bool,
}

/// How connections come to the backends.
///
/// What the kernel would do is kept for the day when it does: until then every connection is
/// proxied.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Forwarding {
    /// Packets are sent on as they are, to the backend's MAC address: IPVS' direct routing.
    DirectRouting,
    /// Packets are sent on with another destination: IPVS' masquerading.
    Nat,
    /// This host connects to the backend, and carries what both say.
    #[default]
    Proxy,
    /// Packets are sent on in others: IPVS' tunnelling.
    Tunnel,
}

/// When the sorry server takes over from the backends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum SorryMode {
    /// Only when no backend is alive.
    Last,
    /// As soon as the quorum is lost, even from backends that are still alive.
    #[default]
    Quorum,
}

/// How clients are kept at their backend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Persistence {
    /// How long a client is remembered after its last connection began; above zero, default: 6 min.
    pub timeout: Duration,
    /// Whether it is remembered while a connection is open, too, and for that long after the last one
    /// ended; default: no.
    pub while_open: bool,
    /// Bits of the client address that tell clients apart: from 1 to all of them; default: 32 for
    /// IPv4 and 64 for IPv6.
    pub granularity: u8,
    /// How many clients are remembered at most; at least 1, default: 65 536.
    pub capacity: u32,
    /// When that many are remembered, new ones do not push out who was seen within this time;
    /// default: 0.
    pub min_age: Duration,
    /// What becomes of the clients of a full backend; default: [`WhenFull::Move`].
    pub when_full: WhenFull,
    /// What becomes of the clients of a backend that is down or refuses them; default:
    /// [`WhenDown::Move`].
    pub when_down: WhenDown,
}
