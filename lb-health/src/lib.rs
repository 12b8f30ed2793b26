//! Is it alive? Health checks as pure machines, with the I/O in services around them.
//!
//! ```text
//!              Run                    call                 Result<Report, Failure>
//!  Monitor ──────────▶ Driver ──────────────────▶ Checker ──────────────┐
//!     ▲  │            [driver]                  [tcp http dns …         │
//!     │  └───Event───▶ whoever balances          or your own service]   │
//!     └─────────────────────────handle_result───────────────────────────┘
//! ```
//!
//! | type | what it is |
//! |---|---|
//! | [`CheckSpec`] | how often a check runs, how long it may take, how many results decide |
//! | [`CheckState`] | rise and fall of one check, as a table; knows no time |
//! | [`Monitor`] | when to run which check, and what the results mean for a backend |
//! | [`Event`] | what it tells: verdicts on backends, and checks that cannot be run |
//! | [`Checker`] | any `tower` service from [`Target`] to [`Report`] |
//! | [`Outcome`] | how a run of a check ended; each [remembers](Check::recent) the last ones |
//! | [`CheckError`] | why a run did not pass: exactly one cause, and whether it is our own fault |
//! | [`Report`], [`Failure`] | how a run ended, with a [`Trace`]: time by phase, and evidence |
//! | [`Outliers`] | who fails more than the others under real traffic |
//! | [`simulate`] | what would happen if: a script through the real machines |
//! | `Driver` | the tokio loop around a monitor (feature `driver`) |
//! | `Hurry` | a check is to run soon, told from any thread |
//! | `Watchdog` | whether that loop still runs, to be asked from any thread |
//! | [`Advice`] | what an agent beside a backend wants, but for its health |
//! | `checkers` | one for each protocol, under a feature of its name |
//!
//! # Driving a machine
//!
//! [`Monitor`] never reads a clock, draws a random number, logs, blocks or touches a socket.
//!
//! 1. Feed one input: `handle_*(now, …)`, or a change such as [`Monitor::watch`].
//! 2. Drain [`Monitor::poll_action`] until `None`, doing what each action says.
//! 3. Sleep until [`Monitor::next_deadline`] or the next input, whichever is first; at the deadline
//!    call [`Monitor::handle_timeout`].
//!
//! Deadlines are absolute, so to ignore an input is to do nothing. Time must not run backwards:
//! `now` is from a monotonic clock.
//!
//! # A checker of your own
//!
//! ```
//! # #[cfg(feature = "driver")] {
//! use lb_health::{CheckError, Phase, Report, Target};
//! use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};
//!
//! /// Passes when an SSH server presents itself.
//! async fn ssh(target: Target) -> Result<Report, CheckError> {
//!     let greeting = async {
//!         let failed = |phase| move |error| CheckError::from_io(phase, error);
//!         let mut stream = TcpStream::connect(target.address).await.map_err(failed(Phase::Connect))?;
//!         let mut greeting = [0; 4];
//!         stream.read_exact(&mut greeting).await.map_err(failed(Phase::Response))?;
//!         Ok::<_, CheckError>(greeting)
//!     };
//!     match timeout(target.timeout, greeting).await {
//!         Ok(Ok(greeting)) if greeting == *b"SSH-" => Ok(Report::ALIVE),
//!         Ok(Err(error)) => Err(error),
//!         Ok(Ok(_)) => Err(CheckError::custom("not-ssh", "the greeting is not that of SSH")),
//!         Err(_) => Err(CheckError::Timeout { phase: Phase::Whole }),
//!     }
//! }
//!
//! fn is_checker(_: impl lb_health::Checker) {}
//! is_checker(tower::service_fn(ssh)); // ready for `Driver::watch`
//! # }
//! ```
//!
//! # Features
//!
//! None is on by default, and none changes what another part does.
//! `driver`, and each of the `checkers` by its name, adds the part of that name, and tokio. `script`
//! and `worker` are for Unix. `tls` lets all that converse over TCP do so in secret.
//!
//! # Not supported
//!
//! **No other user or limits for scripts; no HTTP/3, no offsets for patterns in a body; no resumed TLS
//! sessions, no revoked certificates; no EDNS, no DNS over TLS; no `Watch` of gRPC health; no check by
//! the path of the traffic through IPVS. MySQL without `ed25519`, PostgreSQL without GSS
//! and channel binding, LDAP without STARTTLS and SASL, SMTP without AUTH, no Redis Cluster.** Names
//! are not resolved: a [`Target`] is an address.

#![forbid(unsafe_code)]

mod advice;
mod checker;
#[cfg(any(
    feature = "file",
    feature = "ping",
    feature = "script",
    feature = "tcp",
    feature = "udp",
    feature = "worker"
))]
pub mod checkers;
pub mod digest;
#[cfg(feature = "driver")]
mod driver;
mod error;
mod monitor;
mod outliers;
pub mod simulate;
mod spec;
mod splitmix;
mod state;
mod status_ranges;
mod trace;

pub use advice::Advice;
pub use checker::{Checker, Failure, Report, Target};
#[cfg(feature = "driver")]
pub use driver::{Driver, Hurry, Watchdog};
pub use error::CheckError;
pub use monitor::{
    Action, Because, Check, CheckId, Event, Monitor, Obstruction, Outcome, Run, Verdict,
};
pub use outliers::{Ejection, OutlierRules, Outliers};
pub use spec::{CheckSpec, SpecError};
pub use state::{CheckInput, CheckState, LastKnown, Thresholds, Transition};
pub use status_ranges::{ParseStatusError, StatusRanges};
pub use trace::{Certificate, Evidence, Excerpt, Phase, Trace};
