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
//! What is met every day is here. A [`Monitor`] (or a `Driver`, which has one) runs each [`Check`] as
//! its [`CheckSpec`] says and tells [`Event`]s, most of them a [`Verdict`]. A [`Checker`] is asked about
//! a [`Target`], and answers by a [`Report`], or by a [`Failure`] with its one [`CheckError`]. All else
//! has a room by its name:
//!
//! | module | what it answers |
//! |---|---|
//! | [`monitor`] | When is which check to run, and what do results mean for a backend? |
//! | [`state`] | Rise and fall of one check: how many results in a row decide? |
//! | [`spec`] | How often does a check run, and how long may it take? |
//! | [`trace`] | What did a run see on its way, whatever came of it? |
//! | [`advice`] | What does an agent beside a backend want, but for its health? |
//! | [`outliers`] | Who fails more than the others under real traffic? |
//! | [`simulate`] | What would happen if: a script through the real machines |
//! | [`status_ranges`], [`digest`] | Which answer is the expected one? |
//! | `driver` | The tokio loop around a monitor (feature `driver`) |
//! | `checkers` | One for each protocol, each under a feature of its name |
//!
//! ```
//! # #[cfg(all(feature = "driver", feature = "tcp"))]
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use lb_core::backend::BackendId;
//! use lb_health::checkers::Tcp;
//! use lb_health::{CheckSpec, Driver, Event};
//! use rand::{SeedableRng, rngs::SmallRng};
//!
//! let backend = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let mut driver = Driver::new(SmallRng::seed_from_u64(1)); // a real one is seeded by the system
//! driver.watch(BackendId::new(0), backend.local_addr()?, Tcp::new(), CheckSpec::default());
//! let Event::Verdict(verdict) = driver.next().await else { panic!("no verdict") };
//! assert!(verdict.health.is_up());
//! # Ok::<(), std::io::Error>(())
//! # }).unwrap();
//! ```
//!
//! # Driving a machine
//!
//! Neither [`Monitor`] nor [`outliers::Outliers`] ever reads a clock, draws a random number, logs,
//! blocks or touches a socket.
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
//! use lb_health::trace::Phase;
//! use lb_health::{CheckError, Report, Target};
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
//! **No limits for scripts; no HTTP/3, no offsets for patterns in a body; no resumed TLS
//! sessions, no revoked certificates; no EDNS, no DNS over TLS; no `Watch` of gRPC health; no check by
//! the path of the traffic through IPVS. MySQL without `ed25519`, PostgreSQL without GSS
//! and channel binding, LDAP without STARTTLS and SASL, SMTP without AUTH, no Redis Cluster.** Names
//! are not resolved: a [`Target`] is an address.

#![forbid(unsafe_code)]

pub mod advice;
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
pub mod driver;
mod error;
pub mod monitor;
pub mod outliers;
pub mod simulate;
pub mod spec;
mod splitmix;
pub mod state;
pub mod status_ranges;
pub mod trace;

pub use checker::{Checker, Failure, Report, Target};
#[cfg(feature = "driver")]
pub use driver::Driver;
pub use error::CheckError;
pub use monitor::{Check, CheckId, Event, Monitor, Verdict};
pub use spec::CheckSpec;
