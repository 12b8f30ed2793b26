//! Who gets the next flow? Schedulers, quorum, persistence and a tower layer for load balancers, as
//! plain values: no runtime, no sockets, no clock, no log.
//!
//! ```
//! use std::{net::{IpAddr, SocketAddr}, sync::Arc, time::Instant};
//! use lb_core::{Algorithm, Director, Health, VirtualServer, virtual_server::{Action, BackendConfig, VirtualServerConfig}};
//! use rand::{SeedableRng, rngs::StdRng};
//!
//! // The control plane: one owner, which says what it learns and does what it is told.
//! let addresses = ["10.0.0.1:80", "10.0.0.2:80"].map(|text| text.parse::<SocketAddr>().unwrap());
//! let config = VirtualServerConfig::of(addresses.map(BackendConfig::from));
//! let mut server = VirtualServer::new(config, Algorithm::Wlc.scheduler())?;
//! let director = Director::<IpAddr>::new(Arc::clone(server.published()));
//!
//! let second = server.backends().nth(1).unwrap().id;
//! server.handle_health(Instant::now(), second, Health::UP);
//! while let Some(action) = server.poll_action() {
//!     match action {
//!         Action::Publish(pool) => director.publish(pool),
//!         Action::Notify(event) => println!("{event:?}"),
//!     }
//! }
//!
//! // The data plane: any number of threads, no locks.
//! let (client, mut rng) = (IpAddr::from([192, 0, 2, 7]), StdRng::seed_from_u64(1));
//! let lease = director.assign(Instant::now(), &client, &[], &mut rng)?; // a flow, until it is dropped
//! assert_eq!((*lease.endpoint(), lease.load().active()), (addresses[1], 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The map
//!
//! ```text
//!   verdicts, reloads, the administrator            connections, requests
//!                    │                                        │
//!                    ▼                                        ▼
//!              VirtualServer ──── Publish(Pool) ────▶     Director ────▶ Lease
//!                    └─────────── Notify(Event) ────▶ scripts, log, metrics
//! ```
//!
//! | noun | what it is |
//! |---|---|
//! | [`Backend`] | a place that flows can be sent to; counts them by [`Lease`]s, under an identity that survives every change |
//! | [`Weight`] | its share of new flows; 0 drains it |
//! | [`Pool`] | one immutable snapshot: who lives, at which weight, scheduled how |
//! | [`Scheduler`] | chooses a member of a pool for a flow; [`Algorithm`] knows them by their names in the field |
//! | [`Flow`] | what a scheduler may know of a connection or request: the client's hash, where it belongs, who refused it |
//! | [`PersistenceTable`] | which client belongs to which backend, for a while |
//! | [`Quorum`] | whether enough live to serve, with hysteresis |
//! | [`VirtualServer`] | the control machine: turns verdicts and configurations into pools and events |
//! | [`Director`] | the published pool and the persistence table: where the data plane asks |
//!
//! A *sorry server* is no concept of its own: it is a pool of one member. With the `service` feature
//! a director becomes a [`tower`](https://docs.rs/tower) service that redispatches:
#![cfg_attr(feature = "service", doc = "[`service::Balance`].")]
#![cfg_attr(not(feature = "service"), doc = "`service::Balance`.")]
#![cfg_attr(
    all(feature = "service", feature = "system"),
    doc = "The [`guide`] has an example each for axum, a TCP proxy and tonic."
)]
//!
//! # How machines are driven
//!
//! Here and in the sibling crates, every machine is driven in the same way:
//!
//! 1. Feed it **one input**: a `handle_…` method, with `now` if time matters to it.
//! 2. **Drain `poll_action`** until it returns `None`, and do each thing in that order.
//! 3. If the machine has timers, **sleep until `next_deadline`** or the next input, whichever comes
//!    first; at the deadline the input is `handle_timeout(now)`. Then go on with 2.
//!
//! Inputs may be gathered before a drain: what they come to together is done once. A machine never
//! reads a clock, draws a random number, logs, blocks, spawns or touches a socket. Deadlines are
//! absolute, so that an input which changes nothing really changes nothing. Whatever a machine
//! does can therefore be replayed in a test, in no time at all.
//!
//! [`VirtualServer`] has a deadline only while a backend starts slowly or drains. It is a convention
//! and not a trait, because nothing is ever generic over "a machine".
//!
//! # Panics and errors
//!
//! No configuration, verdict, key or weight makes this crate panic. What cannot be done is an error
//! with the numbers to act on, one type per operation: [`ConfigError`](virtual_server::ConfigError),
//! [`NoBackend`](pool::NoBackend), [`QuorumError`](quorum::QuorumError),
//! [`UnknownAlgorithm`](scheduler::UnknownAlgorithm). A panic is a bug.
//!
//! # Features
//!
//! Each adds, none changes what is there without it.
//!
//! | feature | default | |
//! |---|---|---|
//! | `service` | yes | the tower edge: `Balance`, its layer, and `Env`, through which time and chance come in |
//! | `system` | yes | `SystemEnv`: the clock and the dice of the system |
//! | `tokio` | no | `TokioEnv`: the same with tokio's timers, for flows that wait in a queue |
//! | `cookie` | no | signed sticky cookies: persistence that any balancer with the key can read |
//! | `laws` | no | the property suite that every scheduler obeys, to hold your own against |

#![forbid(unsafe_code)]

pub mod backend;
#[cfg(feature = "cookie")]
pub mod cookie;
pub mod director;
pub mod env;
mod epoch;
pub mod flow;
#[cfg(all(any(doc, doctest), feature = "service", feature = "system"))]
pub mod guide;
pub mod hash;
pub mod health;
#[cfg(feature = "laws")]
pub mod laws;
#[cfg(all(test, lb_loom))]
mod model;
pub mod persistence;
pub mod pool;
pub mod quorum;
pub mod scheduler;
#[cfg(feature = "service")]
pub mod service;
mod sync;
pub mod virtual_server;
mod weight;

pub use rand::rand_core;

pub use backend::{Backend, Lease};
pub use director::Director;
pub use flow::Flow;
pub use health::Health;
pub use persistence::PersistenceTable;
pub use pool::Pool;
pub use quorum::Quorum;
pub use scheduler::{Algorithm, Scheduler};
pub use virtual_server::VirtualServer;
pub use weight::Weight;
