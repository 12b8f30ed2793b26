//! Virtual addresses: one task that drives every virtual router, and what is told of it.
//!
//! ```text
//!   configuration ──▶ plan ──▶ Driver over the interfaces of this host ──▶ addresses, routes
//!   scripts, files, processes ──▶ watch ──▶ keeper ──▶ notices: scripts, FIFO
//!                                           keeper ──▶ claim, bgp: clouds, routers
//!   signals, HTTP ──▶ request ────────────────┘ └──▶ status, metrics, log
//!   virtual servers ──▶ balancer: a Control beside, which tells its quorums and its news
//! ```
//!
//! The keeper's thread is hurried, and does nothing but this. All else (scripts, files, checks, mail,
//! the admin address, the balancer) is done on a thread [beside](fn@beside) it.

mod admin;
mod balancer;
mod beside;
mod bgp;
mod claim;
mod departure;
mod ending;
mod error;
mod faults;
mod groups;
mod instance;
mod keeper;
mod metrics;
mod notices;
mod plan;
mod reload;
mod request;
mod secrets;
mod spec;
mod statics;
mod status;
mod watch;

pub use admin::run as serve_admin;
pub use beside::beside;
pub use bgp::AnnouncementStatus;
pub use error::StartError;
pub use keeper::Keeper;
pub use plan::PlanError;
pub use request::{Handle, Refusal};
pub use status::{
    CarpInstanceStatus, CountersReport, InstanceStatus, MasterReport, Status, SyncGroupStatus,
    TrackedStatus,
};
