//! Why a configuration is not taken over.

use std::io;

use super::plan::PlanError;
use crate::admin::DoorError;
use crate::checkers::CheckConfigError;
use crate::control::ReloadError;
use crate::notify::NotifyError;

/// Why a configuration cannot be taken over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The admin address or socket.
    #[error(transparent)]
    Admin(#[from] DoorError),
    /// The virtual servers.
    #[error(transparent)]
    Balancer(#[from] ReloadError),
    /// A sync group.
    #[error(transparent)]
    Group(#[from] lb_vrrp::GroupError),
    /// An instance that cannot be driven.
    #[error("instance `{instance}`: {source}")]
    Instance {
        /// Its name.
        instance: String,
        /// What is wrong with it.
        source: PlanError,
    },
    /// The kernel.
    #[error("cannot talk to the kernel: {0}")]
    Network(io::Error),
    /// The pipe or the mail that changes are told by.
    #[error(transparent)]
    Notify(#[from] NotifyError),
    /// A check that cannot be built.
    #[error("vrrp_check `{name}`: {source}")]
    Check {
        /// Its name.
        name: String,
        /// Why.
        source: CheckConfigError,
    },
    /// An instance that cannot hear.
    #[error("instance `{instance}` on {interface}: {source}")]
    Open {
        /// Its name.
        instance: String,
        /// Where it should hear.
        interface: String,
        /// Why it cannot.
        source: io::Error,
    },
    /// The process is about to end.
    #[error("the process is stopping")]
    Stopping,
    /// Threads for what is not VRRP.
    #[error("cannot start a thread: {0}")]
    Threads(io::Error),
}
