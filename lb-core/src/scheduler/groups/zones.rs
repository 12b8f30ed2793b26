//! Near rather than far: the backends of one's own zone.

use std::sync::Arc;

use super::Groups;
use crate::pool::Member;
use crate::scheduler::Scheduler;

/// Groups by zone: flows stay in the balancer's own zone as far as its backends can carry them.
///
/// Every zone is taken to have as many clients as any other (as when the balancers of all zones
/// share one name). If the backends of this one have at least an even share of all weight, all flows
/// stay. If they have less, that much less stays, and what is left over goes to the zones that have
/// more than an even share, in proportion to what they have more. (Envoy's zone aware routing, where
/// Envoy counts hosts, and knows how many clients there are of each zone.)
///
/// Backends without a zone are in one of their own, far from everybody. If nobody of a zone can take
/// a flow, the others do: first the nearest, then in the order of their names.
///
/// ```
/// use std::sync::Arc;
/// use lb_core::backend::BackendId;
/// use lb_core::scheduler::Zones;
/// use lb_core::{Algorithm, Backend, Flow, Pool, Weight};
/// # use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};
/// # let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
///
/// let backend = |id, name, zone: &str| {
///     let backend = Backend::new(BackendId::new(id), name, ()).in_zone(Some(zone.into()));
///     (Arc::new(backend), Weight::ONE)
/// };
/// let scheduler = Zones::around("paris", Algorithm::Rr.scheduler());
/// let pool = Pool::new([backend(0, "near", "paris"), backend(1, "far", "lyon")], &scheduler);
/// for hash in 0..10 {
///     assert_eq!(pool.pick(&Flow::new(hash), &mut rng)?.name(), "near");
/// }
/// # Ok::<(), lb_core::pool::NoBackend>(())
/// ```
#[derive(Debug)]
pub struct Zones {
    /// The own zone first, then the others by name.
    groups: Groups<(bool, Option<Arc<str>>)>,
    here: Arc<str>,
}

/// "zone" in ASCII.
const SALT: u64 = 0x7a6f_6e65;

impl Zones {
    /// `scheduler` in every zone, the one called `here` preferred.
    pub fn around(here: impl Into<Arc<str>>, scheduler: Arc<dyn Scheduler>) -> Self {
        Self { groups: Groups::around(SALT, scheduler), here: here.into() }
    }

    fn is_here(&self, zone: Option<&str>) -> bool {
        zone == Some(&*self.here)
    }
}

impl Scheduler for Zones {
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        let groups = self.groups.over(
            members,
            |member| (!self.is_here(member.zone.as_deref()), member.zone.clone()),
            |groups| {
                let weights = groups.iter().map(|((far, _), members)| {
                    (*far, members.iter().map(|member| u64::from(member.weight)).sum())
                });
                shares(&weights.collect::<Vec<_>>())
            },
        );
        Arc::new(Self { groups, here: Arc::clone(&self.here) })
    }

    ask_groups!();
}

/// The part of all flows that each zone gets, given whether it is far, and what it weighs.
fn shares(zones: &[(bool, u64)]) -> Vec<u128> {
    let sum =
        |far| -> u64 { zones.iter().filter(|zone| zone.0 == far).map(|&(_, weight)| weight).sum() };
    let (near, total) = (sum(false), sum(false) + sum(true));
    let others = zones.iter().filter(|&&(far, weight)| far && weight > 0).count() as u64;
    // What a zone weighs times the number of zones: an even share is `total`.
    let relative = |weight: u64| u128::from(weight) * u128::from(others + 1);
    let total = u128::from(total);
    if relative(near) >= total {
        return zones.iter().map(|&(far, _)| u128::from(!far)).collect();
    }
    // Together, the zones that have more than an even share have at least what is missing here.
    let beyond = |weight| relative(weight).saturating_sub(total);
    let all_beyond: u128 =
        zones.iter().filter(|zone| zone.0).map(|&(_, weight)| beyond(weight)).sum();
    let share = |&(far, weight): &(bool, u64)| match far {
        false => relative(weight) * all_beyond,
        true => (total - relative(near)) * beyond(weight),
    };
    zones.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In percent, rounded.
    fn percent(zones: &[(bool, u64)]) -> Vec<u128> {
        let shares = shares(zones);
        let total: u128 = shares.iter().sum();
        shares.iter().map(|share| (share * 100 + total / 2) / total).collect()
    }

    #[test]
    fn a_zone_keeps_what_it_can_carry() {
        assert_eq!(percent(&[(false, 2), (true, 2)]), [100, 0]);
        assert_eq!(percent(&[(false, 9), (true, 2)]), [100, 0]);
        // Half of an even share: half of the flows leave.
        assert_eq!(percent(&[(false, 1), (true, 3)]), [50, 50]);
        // Two of three zones have room to spare, one twice as much as the other.
        assert_eq!(percent(&[(false, 1), (true, 3), (true, 5)]), [33, 0, 67]);
        assert_eq!(percent(&[(false, 3), (true, 7), (true, 8)]), [50, 17, 33]);
        // Nobody at home: others have clients of their own.
        assert_eq!(percent(&[(true, 3), (true, 5)]), [13, 88]);
        assert_eq!(percent(&[(true, 4), (true, 4)]), [50, 50]);
        assert_eq!(percent(&[(false, 0), (true, 1)]), [0, 100]);
    }
}
