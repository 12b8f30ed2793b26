//! One instance, and one group, as the keeper knows them.

use std::time::Instant;

use lb_vrrp::driver::RouterId;
use lb_vrrp::{Role, TrackerId};

use super::claim::Claim;
use super::notices::Teller;
use super::spec::Spec;
use super::watch::Thing;
use crate::config::VrrpSyncGroup;

/// One virtual router, or CARP host.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) id: RouterId,
    pub(super) spec: Spec,
    /// What it depends on, beside interfaces.
    pub(super) things: Vec<(Thing, TrackerId)>,
    /// Since when it is what it is.
    pub(super) since: Instant,
    /// What was told of it last: one that has ended has none. CARP has 0.
    pub(super) priority: u8,
    pub(super) teller: Teller,
    /// As long as it is master, if it has something to claim.
    pub(super) claim: Option<Claim>,
}

/// A sync group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) config: VrrpSyncGroup,
    /// What was told last.
    pub(super) role: Role,
    pub(super) teller: Teller,
}
