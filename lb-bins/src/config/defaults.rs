//! What holds when a key is not given: every default of the configuration, in one place.
//!
//! Further defaults follow from other values: the `name` of a virtual server is its listen
//! address; `fast_interval` is the smaller of `interval` and [`FAST_INTERVAL`]; `down_interval` is
//! `interval`; a backend without `check` has the checks of its virtual server, and without any it
//! is unchecked, that is, always up. A backend with `u_threshold` alone has room again below three
//! quarters of it. The name that TLS asks for is that in `host`. `admin`, `notify_fifo`, `smtp`,
//! `sorry_server`, `persistence`, `passive`, `queue`, `slow_start`, `bounded`, zones, limits and the
//! hooks are off.

use std::net::IpAddr;
use std::time::Duration;

use lb_core::virtual_server::{DrainingClients, WhenDown, WhenFull};
use lb_core::{Algorithm, Weight};
use lb_vrrp::{ChecksumPolicy, Interval, Migration, Priority, Start, Version};

use super::model::check::{HttpVersion, Initial, Record, StatusRange};
use super::model::{Forwarding, HashKey, OnFailure, ParameterMatch, ScriptInitial, SorryMode};

/// `forwarding`: by this process, which needs no privileges for it.
pub const FORWARDING: Forwarding = Forwarding::Proxy;
/// `scheduler`: weighted least connections, as in keepalived and IPVS.
pub const SCHEDULER: Algorithm = Algorithm::Wlc;
/// `hash_key`: the client's address, so that all of its connections go to one backend.
pub const HASH_KEY: HashKey = HashKey::Source;
/// `panic_below` and `spill_below`: never.
pub const NEVER: u8 = 0;
/// `queue.length`: 100 clients.
pub const QUEUE_LENGTH: u32 = 100;
/// `queue.timeout`: 5 s, as long as a backend may take to accept.
pub const QUEUE_TIMEOUT: Duration = CONNECT_TIMEOUT;
/// `quorum`: one share of weight, so that any backend will do.
pub const QUORUM: u64 = 1;
/// `hysteresis`: gained and lost at the same weight.
pub const HYSTERESIS: u64 = 0;
/// `sorry_mode`: the sorry server alone as soon as the quorum is lost, as in keepalived.
pub const SORRY_MODE: SorryMode = SorryMode::Quorum;
/// `connect_timeout`: 5 s, the connect timeout of keepalived's checkers.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// `down_when_stopped`: a stop is no change of the backends.
pub const DOWN_WHEN_STOPPED: bool = false;
/// `drain_timeout`: 30 s.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// `retries`: three other backends, as many as HAProxy's `retries`.
pub const RETRIES: u8 = 3;

/// `persistence.timeout`: 6 minutes, as in keepalived and IPVS.
pub const PERSISTENCE_TIMEOUT: Duration = Duration::from_secs(360);
/// `persistence.while_open`: the timeout counts from when the last connection began.
pub const PERSISTENCE_WHILE_OPEN: bool = false;
/// `persistence.capacity`: 65 536 clients.
pub const PERSISTENCE_CAPACITY: u32 = 65_536;
/// `persistence.min_age`: none, every new client is remembered.
pub const PERSISTENCE_MIN_AGE: Duration = Duration::ZERO;
/// `persistence.when_full`: served elsewhere meanwhile.
pub const PERSISTENCE_WHEN_FULL: WhenFull = WhenFull::Move;
/// `persistence.when_down`: moved for good, as in IPVS, and in HAProxy without `option persist`.
pub const PERSISTENCE_WHEN_DOWN: WhenDown = WhenDown::Move;
/// `draining_clients`: kept until the drain timeout is over. IPVS keeps them as long as the weight is 0.
pub const DRAINING_CLIENTS: DrainingClients = DrainingClients::Keep;

/// `persistence.granularity`, in bits: each IPv4 address is a client. Of IPv6 it is each network of
/// 64 bits, as hosts are given a whole one and could come from any address in it (RFC 4291, 2.5.1).
pub const fn granularity(listen: IpAddr) -> u8 {
    match listen {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 64,
    }
}

/// The bits of a whole address.
pub const fn whole(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// `weight` of a backend.
pub const WEIGHT: Weight = Weight::ONE;
/// `priority` of a backend: it is among the first that are tried.
pub const PRIORITY: u8 = 0;

/// `check.interval`: 2 s.
pub const INTERVAL: Duration = Duration::from_secs(2);
/// `check.timeout`: 1 s for one whole run.
pub const TIMEOUT: Duration = Duration::from_secs(1);
/// `check.rise`: two runs that pass bring a backend up.
pub const RISE: u32 = 2;
/// `check.fall`: three runs that fail take it down; one lost packet must not.
pub const FALL: u32 = 3;
/// `check.rise` and `check.fall` of an agent: what it says is said, and no probe that may go wrong. An agent
/// that cannot be reached changes nothing. As in HAProxy.
pub const AGENT_RUNS: u32 = 1;
/// `check.fast_interval`: at most 500 ms.
pub const FAST_INTERVAL: Duration = Duration::from_millis(500);
/// `check.jitter`: 10 percent.
pub const JITTER: u8 = 10;
/// `check.first_decisive`: before it nothing is known.
pub const FIRST_DECISIVE: bool = true;
/// `check.initial`: no flow before the first verdict.
pub const INITIAL: Initial = Initial::Down;
/// `check.path` of an HTTP check.
pub const HTTP_PATH: &str = "/";
/// `check.status` of an HTTP check: any success.
pub const HTTP_STATUS: StatusRange = StatusRange { first: 200, last: 299 };
/// `check.dynamic_weight` of a script check: the exit code is no weight.
pub const DYNAMIC_WEIGHT: bool = false;

/// `notify_timeout`: a minute, so that what comes after is told in time.
pub const NOTIFY_TIMEOUT: Duration = Duration::from_secs(60);
/// `smtp_alert` of instances and groups: no mail, as in keepalived.
pub const SMTP_ALERT: bool = false;
/// `smtp_alert_faults`: who wants mail wants it when something is wrong.
pub const SMTP_ALERT_FAULTS: bool = true;
/// `version` of a virtual router: 3, RFC 9568.
pub const VRRP_VERSION: Version = Version::V3;
/// `state` of a virtual router: a backup.
pub const VRRP_STATE: Start = Start::Backup;
/// `priority` of a virtual router.
pub const VRRP_PRIORITY: Priority = Priority::DEFAULT;
/// `advert_interval`: 1 s.
pub const ADVERT_INTERVAL: Interval = Interval::SECOND;
/// `down_timer_adverts`: 3, as the RFC has it.
pub const DOWN_TIMER_ADVERTS: u8 = 3;
/// `preempt`: a router of higher priority takes over.
pub const PREEMPT: bool = true;
/// `accept`: a master takes packets for its addresses.
pub const ACCEPT: bool = true;
/// `startup_delay`: none.
pub const STARTUP_DELAY: Duration = Duration::ZERO;
/// `delay_after_boot`: none.
pub const DELAY_AFTER_BOOT: Duration = Duration::ZERO;
/// `vmac_xmit_base`: switches learn from advertisements where the virtual MAC address is.
pub const VMAC_XMIT_BASE: bool = false;
/// `interface_down_delay`, `interface_up_delay`: none.
pub const INTERFACE_DELAY: Duration = Duration::ZERO;
/// `parting_advert`: a master that gives way says so, so that the winner announces itself.
pub const PARTING_ADVERT: bool = true;
/// `checksum`: with a pseudo-header, as keepalived and FRR send it.
pub const CHECKSUM: ChecksumPolicy = ChecksumPolicy::Pseudo;
/// `check_unicast_source`: nobody but the peers is heard.
pub const CHECK_UNICAST_SOURCE: bool = true;
/// `authentication.mode`: what is not signed is refused.
pub const MIGRATION: Migration = Migration::Enforce;
/// `track_primary`: who cannot speak is at fault.
pub const TRACK_PRIMARY: bool = true;
/// `weight` of what is tracked: without it the instance is at fault.
pub const TRACK_WEIGHT: i16 = 0;
/// `weight` of a virtual server's quorum: without it the instance is at fault.
pub const QUORUM_WEIGHT: i16 = 0;
/// `weight` of a file: its number is added to the priority.
pub const TRACK_FILE_WEIGHT: i16 = 1;
/// `vrrp_script.interval`: 1 s.
pub const SCRIPT_INTERVAL: Duration = Duration::from_secs(1);
/// `rise` and `fall` of a script: once.
pub const SCRIPT_RUNS: u32 = 1;
/// `initial` of a script: who has never looked does not know.
pub const SCRIPT_INITIAL: ScriptInitial = ScriptInitial::Unknown;
/// `quorum` of a process: one of them.
pub const PROCESS_QUORUM: u32 = 1;
/// `parameter_match` of a process: all of them, and exactly.
pub const PARAMETER_MATCH: ParameterMatch = ParameterMatch::Exact;
/// `delay`, `up_delay` and `down_delay` of a process: none.
pub const PROCESS_DELAY: Duration = Duration::ZERO;
/// `check.verify`: certificates are looked at.
pub const VERIFY: bool = true;
/// `check.method` of an HTTP check.
pub const HTTP_METHOD: &str = "GET";
/// `check.version` of an HTTP check.
pub const HTTP_VERSION: HttpVersion = HttpVersion::Http11;
/// `check.keep_alive` of an HTTP check: a connection of its own for each run, as clients would.
pub const KEEP_ALIVE: bool = false;
/// `check.body_limit` of an HTTP check, as of lb-health's.
pub const BODY_LIMIT: u32 = lb_health::checkers::Page::BODY_LIMIT as u32;
/// `not` of a step of a TCP check: what is given must be heard.
pub const STEP_NOT: bool = false;
/// `not` of a header rule: what is given must be there.
pub const HEADER_NOT: bool = false;
/// `check.body_not` of an HTTP check: what is given must be there.
pub const BODY_NOT: bool = false;
/// `check.helo` of an SMTP check: there is no better name that is true of every host; HAProxy and
/// most libraries say the same.
pub const SMTP_HELO: &str = "localhost";
/// `check.name` of a DNS check: the root, as in keepalived.
pub const DNS_NAME: &str = ".";
/// `check.record` of a DNS check, as in keepalived.
pub const DNS_RECORD: Record = Record::Soa;
/// `check.require_answer` of a DNS check: as in keepalived, an answer without a record passes.
pub const REQUIRE_ANSWER: bool = false;
/// `check.require_reply` of a UDP check: silence proves nothing.
pub const REQUIRE_REPLY: bool = true;
/// `check.min_reply` of a UDP check.
pub const MIN_REPLY: u16 = 0;
/// `check.max_reply` of a UDP check: the most that a datagram carries.
pub const MAX_REPLY: u16 = 65_507;
/// `check.size` of a ping, as `ping` has it.
pub const PING_SIZE: u16 = 56;
/// `check.writable` of a check of a database.
pub const WRITABLE: bool = false;
/// `check.filter` of an LDAP check: any entry.
pub const LDAP_FILTER: &str = "(objectClass=*)";
/// `check.weight` of a file check: the number is no weight, as in keepalived.
pub const FILE_WEIGHT: i32 = 0;
/// `check.reverse` of a file check.
pub const REVERSE: bool = false;

/// `on_failure` of a backend.
pub const ON_FAILURE: OnFailure = OnFailure::Remove;

/// `passive.consecutive`; this and what follows as in Envoy.
pub const CONSECUTIVE: u32 = 5;
/// `passive.failure_percent`.
pub const FAILURE_PERCENT: u8 = 85;
/// `passive.minimum`.
pub const MINIMUM: u32 = 50;
/// `passive.interval`.
pub const PASSIVE_INTERVAL: Duration = Duration::from_secs(10);
/// `passive.eject`.
pub const EJECT: Duration = Duration::from_secs(30);
/// `passive.longest`, unless `eject` is longer.
pub const LONGEST_EJECTION: Duration = Duration::from_secs(300);
/// `passive.max_ejected`.
pub const MAX_EJECTED: u8 = 10;
/// `passive.deviations`: none. Where all others never fail, one failure among thousands of connections
/// lies any number of deviations below the mean.
pub const DEVIATIONS: u32 = 0;
/// `passive.back_on_check`: a check that passes while clients fail says nothing to them.
pub const BACK_ON_CHECK: bool = false;
/// `claim.interval`: 30 s.
pub const CLAIM_INTERVAL: Duration = Duration::from_secs(30);
/// `claim.timeout`: 10 s.
pub const CLAIM_TIMEOUT: Duration = Duration::from_secs(10);
/// `advbase`: 1 s.
pub const ADVBASE: u8 = 1;
/// `advskew`: none.
pub const ADVSKEW: u8 = 0;
/// `dead_ratio`: 3, as ucarp and OpenBSD have it.
pub const DEAD_RATIO: u8 = 3;
/// `preempt` of a CARP instance: no, as with ucarp.
pub const CARP_PREEMPT: bool = false;
/// `claim.http.method`: to ask for something to be done.
pub const CLAIM_METHOD: &str = "POST";
/// `bgp_announcement.withdraw_delay`: 1 s, in which BGP withdraws a route from a fabric and routers
/// take it out of their hardware.
pub const WITHDRAW_DELAY: Duration = Duration::from_secs(1);
/// `bgp_announcement.interval`: 10 s, since each time is a line in the log of ExaBGP.
pub const ANNOUNCEMENT_INTERVAL: Duration = Duration::from_secs(10);
/// `speaker.socket`, as Debian has it.
pub const BIRD_SOCKET: &str = "/run/bird/bird.ctl";
/// `speaker.pipe`, as Debian has it.
pub const EXABGP_PIPE: &str = "/run/exabgp/exabgp.in";
