//! Virtual addresses: one task that drives every virtual router, and what is told of it.
//!
//! ```text
//!   configuration ──▶ plan ──▶ Driver over the interfaces of this host ──▶ addresses, routes
//!   scripts, files, processes ──▶ watch ──▶ keeper ──▶ notices: scripts, FIFO
//!                                           keeper ──▶ claim, announce: clouds, routers
//!   signals, HTTP ──▶ command ────────────────┘ └──▶ status, metrics, log
//! ```

mod admin;
mod announce;
mod claim;
mod command;
mod departure;
mod instance;
mod keeper;
mod metrics;
mod notices;
mod plan;
mod privileges;
mod reload;
mod spec;
mod status;
mod watch;

pub use admin::run as serve_admin;
pub use announce::AnnouncementStatus;
pub use command::{Handle, Refusal};
pub use keeper::Keeper;
pub use privileges::{PrivilegeError, drop_privileges};
pub use reload::StartError;
pub use status::{
    CarpInstanceStatus, CountersReport, InstanceStatus, MasterReport, Status, SyncGroupStatus,
};
