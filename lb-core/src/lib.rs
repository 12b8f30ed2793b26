//! wip
mod backend;
mod health;
pub use backend::{Backend, BackendId, Lease, Load};
pub use health::{Admin, Health, ReportedWeight, Weight};
