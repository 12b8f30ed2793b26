//! One instance, and one group, as the keeper knows them.

use std::time::Instant;

use lb_vrrp::driver::RouterId;
use lb_vrrp::{Role, TrackerId};

use super::notices::Teller;
use super::watch::Thing;
use crate::config::{VrrpInstance, VrrpSyncGroup};

/// One virtual router.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) id: RouterId,
    pub(super) config: VrrpInstance,
    /// What it depends on, beside interfaces.
    pub(super) things: Vec<(Thing, TrackerId)>,
    /// Since when it is what it is.
    pub(super) since: Instant,
    pub(super) teller: Teller,
}

impl Instance {
    /// Whether it can become what another configuration says without being another one.
    pub(super) fn can_become(&self, other: &VrrpInstance) -> bool {
        self.config.interface == other.interface
            && self.config.virtual_router_id == other.virtual_router_id
            && self.config.family() == other.family()
    }
}

/// A sync group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) config: VrrpSyncGroup,
    /// What was told last.
    pub(super) role: Role,
    pub(super) teller: Teller,
}
