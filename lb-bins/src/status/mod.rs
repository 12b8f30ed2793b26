//! What everything is like now: the one description that `/status`, `/metrics` and the demo show.

mod explanation;
mod run;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Serialize;

pub use self::explanation::Explanation;
pub use self::run::{CertificateReport, EvidenceReport, Phases, RunReport};
pub(crate) use self::run::{in_full, outcome};

use crate::config::Address;
use crate::notify::NotifierStatus;

/// All virtual servers, and who is told of them.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// In the order of the configuration.
    pub virtual_servers: Vec<VirtualServerStatus>,
    /// How checking as a whole fares.
    pub checks: ChecksStatus,
    /// What became of the news of changes.
    pub notify: NotifierStatus,
}

/// How checking as a whole fares.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ChecksStatus {
    /// Checks that there are; one that is shared counts once.
    pub running: usize,
    /// Runs so far.
    pub runs_total: u64,
    /// How long the check has been due that is due for longest and did not begin, or had its time and
    /// did not end: of more than some seconds, nothing is checked any more.
    pub overdue_ms: u64,
    /// How late that run began which began latest, of the last of each check.
    pub late_ms: u64,
}

/// One virtual server.
#[derive(Clone, Debug, Serialize)]
pub struct VirtualServerStatus {
    /// Its name.
    pub name: String,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// The scheduler's name.
    pub scheduler: &'static str,
    /// Whether enough lives.
    pub quorum: QuorumStatus,
    /// Whether clients are sent to the sorry server.
    pub sorry: bool,
    /// The sorry server, if there is one.
    pub sorry_server: Option<SorryReport>,
    /// Whether so few backends live that their checks are not believed, and all get connections.
    pub panic: bool,
    /// Clients that wait because every backend is full. Absent if they are not to wait.
    pub queue: Option<QueueStatus>,
    /// Connections that clients opened.
    pub accepted_total: u64,
    /// Connections that were reset because no backend took them.
    pub refused_total: u64,
    /// The same by [reason](crate::tcp::RefusalReason): every one, also if it never happened.
    pub refused: BTreeMap<&'static str, u64>,
    /// Connections that clients reset before a backend had taken them.
    pub abandoned_total: u64,
    /// Connections that are open now.
    pub open_connections: u64,
    /// Clients that are remembered.
    pub persisted_clients: usize,
    /// How often accepting rested because this host had run out of descriptors or memory.
    pub accept_rests_total: u64,
    /// In the order of the configuration.
    pub backends: Vec<BackendReport>,
}

/// The quorum of a virtual server.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct QuorumStatus {
    /// Whether it is gained.
    pub up: bool,
    /// The weight that lives.
    pub live_weight: u64,
    /// What is required to change that: to gain it when lost, to keep it when gained. In weight,
    /// or in percent of the backends where the quorum is configured so.
    pub required: u64,
}

/// The sorry server of a virtual server.
#[derive(Clone, Debug, Serialize)]
pub struct SorryReport {
    /// Where it is, as configured.
    pub address: Address,
    /// Whether its checks fail; without any, it is taken to be up.
    pub down: bool,
    /// Each of its checks.
    pub checks: Vec<CheckReport>,
}

/// The queue of a virtual server.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct QueueStatus {
    /// How many wait now.
    pub length: usize,
    /// How many may.
    pub limit: usize,
}

/// One backend.
#[derive(Clone, Debug, Serialize)]
pub struct BackendReport {
    /// Where it is, as configured.
    pub address: Address,
    /// What its name stands for now; absent if it has none, or that stands for nothing.
    pub resolved: Option<SocketAddr>,
    /// `warming`, `up`, `down`, `ejected`, `drain` or `maintenance`.
    pub state: &'static str,
    /// Whether it has so many connections that it takes no others until some have ended.
    pub full: bool,
    /// The effective weight.
    pub weight: u16,
    /// While it starts slowly, how many percent of its weight it has; else absent.
    pub slow_start_percent: Option<u8>,
    /// Its group: 0 is tried first.
    pub priority: u8,
    /// Where it is.
    pub zone: Option<String>,
    /// How many connections it takes at once, as configured or as an agent says in its place; absent if
    /// there is no limit.
    pub max_connections: Option<u32>,
    /// Connections that are open now.
    pub active_connections: u32,
    /// Connections ever assigned.
    pub connections_total: u64,
    /// Connections that it did not take, or ended before it had said anything.
    pub failures_total: u64,
    /// Bytes that clients sent to it.
    pub bytes_in: u64,
    /// Bytes that it sent to clients.
    pub bytes_out: u64,
    /// While clients find it wanting, how long it is out yet; else absent.
    pub ejected_ms: Option<u64>,
    /// How often it was ejected.
    pub ejections_total: u64,
    /// For how long it has been in this state; absent if it has been so from the beginning.
    pub state_ms: Option<u64>,
    /// What led to that: a check that failed, or clients that could not connect.
    pub reason: Option<String>,
    /// The last run of its checks; the failing one, where there are several. Absent if it is not
    /// checked or no run has ended yet.
    pub last_check: Option<LastCheck>,
    /// Each of its checks.
    pub checks: Vec<CheckReport>,
}

/// One check of a backend.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// Its kind, as in the configuration.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What is checked.
    pub target: Address,
    /// `unknown` before the first verdict, `up`, `down`, or `off` during maintenance.
    pub state: &'static str,
    /// Runs in a row that passed, towards a verdict.
    pub passes: u32,
    /// How many of them there must be.
    pub rise: u32,
    /// Runs in a row that failed, towards a verdict.
    pub failures: u32,
    /// How many of them there must be.
    pub fall: u32,
    /// Runs in a row that this host could not carry out.
    pub local_errors: u32,
    /// Whether that has been so for some time: nothing is known of the backend then.
    pub obstructed: bool,
    /// How late its last run began.
    pub late_ms: u64,
    /// For how long runs that pass do not count yet, as clients failed again; absent if they do.
    pub held_ms: Option<u64>,
    /// The last runs, the latest first: in `/status` up to five. Runs in a row that ended alike are
    /// one.
    pub runs: Vec<PastRun>,
}

/// A run that is over.
#[derive(Clone, Debug, Serialize)]
pub struct PastRun {
    /// How long ago it ended.
    pub age_ms: u64,
    /// How many runs in a row ended alike: this is the last of them.
    pub repeated: u32,
    /// How it ended.
    #[serde(flatten)]
    pub run: RunReport,
}

/// The last run of a check.
#[derive(Clone, Debug, Serialize)]
pub struct LastCheck {
    /// `passed`, `failed`, or `local` if this host was at fault.
    pub outcome: &'static str,
    /// Why it did not pass, as one word for machines.
    pub cause: Option<&'static str>,
    /// Why it did not pass, for people.
    pub detail: Option<String>,
    /// How long ago it ended.
    pub age_ms: u64,
}
