//! Which virtual router an instance is: two that are the same would hear each other.

use std::collections::HashMap;
use std::net::IpAddr;

use lb_vrrp::{Family, Reach, Vrid};

use crate::config::mistakes::Mistakes;
use crate::config::model::{CarpInstance, VrrpInstance};
use crate::config::problem::VrrpProblem;
use crate::config::source::Span;

/// An instance, as others on its link know it.
pub(super) struct Claimant {
    vrid: Vrid,
    family: Family,
    interface: String,
    circle: Circle,
    span: Span,
}

/// Whom it speaks to, and hears.
enum Circle {
    Group(IpAddr),
    Peers(Vec<IpAddr>),
}

impl Claimant {
    pub(super) fn of_router(instance: &VrrpInstance, span: Span) -> Self {
        let circle = match &instance.reach {
            Reach::Multicast { group } => Circle::Group(*group),
            unicast => Circle::Peers(unicast.destinations().collect()),
        };
        let (vrid, family) = (instance.virtual_router_id, instance.family());
        Self { vrid, family, interface: instance.interface.clone(), circle, span }
    }

    pub(super) fn of_host(instance: &CarpInstance, span: Span) -> Self {
        let (vrid, family) = (instance.vhid, instance.family());
        let circle = Circle::Group(family.group());
        Self { vrid, family, interface: instance.interface.clone(), circle, span }
    }
}

impl Circle {
    /// Whether who is in the one hears what is said in the other.
    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Group(one), Self::Group(other)) => one == other,
            (Self::Peers(ours), Self::Peers(theirs)) => ours.iter().any(|one| theirs.contains(one)),
            _ => false,
        }
    }
}

/// One identifier can be there several times on one interface: with different groups, or with peers of
/// which none is in two lists, as in keepalived.
pub(super) fn report_repeated(claimants: impl Iterator<Item = Claimant>, mistakes: &mut Mistakes) {
    let mut seen: HashMap<(Vrid, Family, String), Vec<(Circle, Span)>> = HashMap::new();
    for Claimant { vrid, family, interface, circle, span } in claimants {
        let known = seen.entry((vrid, family, interface.clone())).or_default();
        if let Some((_, first)) = known.iter().find(|(other, _)| circle.meets(other)) {
            let problem = VrrpProblem::VirtualRouterTwice { vrid, family, interface };
            mistakes.repeated(span, *first, problem.into());
        }
        known.push((circle, span));
    }
}
