//! wip
#![forbid(unsafe_code)]
mod backend;
mod director;
mod flow;
mod health;
#[cfg(feature = "laws")]
pub mod laws;
mod member;
mod persistence;
mod pool;
mod quorum;
pub mod scheduler;
#[cfg(feature = "service")]
pub mod service;
mod virtual_server;
pub use backend::{Backend, BackendId, Lease, Load};
pub use director::Director;
pub use flow::{ClientKey, Flow, Granularity, stable_hash};
pub use health::{Admin, Health, ReportedWeight, Weight};
pub use member::Member;
pub use persistence::PersistenceTable;
pub use pool::{NoBackend, Pool};
pub use quorum::{Quorum, QuorumChange, QuorumError, QuorumRule, Strength};
pub use rand;
pub use scheduler::{Algorithm, Scheduler, UnknownAlgorithm};
pub use virtual_server::{
    Action, BackendConfig, BackendState, BackendStatus, ConfigError, Event, SorryMode, SorryServer,
    VirtualServer, VirtualServerConfig,
};
