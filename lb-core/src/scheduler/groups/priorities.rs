//! Active and passive: the first group that has enough alive.

use std::sync::Arc;

use super::Groups;
use crate::pool::Member;
use crate::scheduler::Scheduler;

/// Groups by priority: as long as anybody of priority 0 can take a flow, nobody else gets one; then
/// priority 1, and so on. nginx' and HAProxy's `backup`, with any number of levels, each balanced by
/// a scheduler of its own.
///
/// With a [spill-over](Self::spilling_below), a group does not have to lose everybody before the next
/// one helps: it carries all flows while at least that share of its backends is alive, and from
/// there on in proportion to how many are. What it does not carry goes to the next group, which is
/// held to the same measure; if all together cannot carry everything, they share it in proportion
/// to what they can. (Envoy's priority levels: its overprovisioning factor of 1.4 is a spill-over
/// below 71 percent. Schedulers that choose by hash spill by hash, so that a client does not move to
/// and fro.)
///
/// Who is alive counts in full, also while it [starts
/// slowly](crate::virtual_server::VirtualServerConfig::slow_start): that is a share within its group,
/// so that a primary that comes back alone has all flows at once. It would otherwise leave flows to a
/// standby that may not be meant to have any while a primary is up, such as a copy that must not be
/// written to. To let one take over bit by bit, give both one priority and the standby little weight.
///
/// A [`Subset`](super::Subset) belongs inside, not around.
///
/// ```
/// use std::sync::Arc;
/// use lb_core::backend::BackendId;
/// use lb_core::scheduler::Priorities;
/// use lb_core::{Algorithm, Backend, Flow, Pool, Weight};
/// # use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};
/// # let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
///
/// let backend = |id, name, priority| Backend::new(BackendId::new(id), name, ()).at_priority(priority);
/// let members = [backend(0, "primary", 0), backend(1, "standby", 1)].map(Arc::new);
/// let pool = Pool::new(
///     members.map(|one| (one, Weight::ONE)),
///     &Priorities::around(Algorithm::Wlc.scheduler()),
/// );
/// let flow = Flow::new(0);
/// assert_eq!(pool.pick(&flow, &mut rng)?.name(), "primary");
/// assert_eq!(pool.pick(&flow.retried(&[BackendId::new(0)]), &mut rng)?.name(), "standby");
/// # Ok::<(), lb_core::pool::NoBackend>(())
/// ```
#[derive(Debug)]
pub struct Priorities {
    groups: Groups<u8>,
    /// In percent.
    spill_below: u8,
}

/// Everything, in what shares are counted by: fine enough for 65 536 backends.
const WHOLE: u64 = 1 << 32;

/// "priority" in ASCII.
const SALT: u64 = 0x7072_696f_7269_7479;

impl Priorities {
    /// `scheduler` in every group, the next group only when nobody is left.
    pub fn around(scheduler: Arc<dyn Scheduler>) -> Self {
        Self { groups: Groups::around(SALT, scheduler), spill_below: 0 }
    }

    /// The same, where the next group helps as soon as less than so many percent of the configured
    /// backends of one are alive. More than 100 counts as 100.
    #[must_use]
    pub fn spilling_below(self, percent: u8) -> Self {
        Self { spill_below: percent.min(100), ..self }
    }

    /// The part of all flows that a group can carry.
    fn capacity(&self, members: &[&Member]) -> u64 {
        let alive = members.iter().filter(|member| !member.weight.is_zero()).count() as u64;
        let configured = members.first().map_or(0, |member| u64::from(member.peers)).max(alive);
        match configured * u64::from(self.spill_below) {
            0 if alive > 0 => WHOLE,
            0 => 0,
            needed => (alive * 100 * WHOLE / needed).min(WHOLE),
        }
    }
}

impl Scheduler for Priorities {
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        let groups = self.groups.over(
            members,
            |member| member.priority,
            |groups| {
                let mut left = WHOLE;
                let shares = groups.iter().map(|(_, members)| {
                    let share = self.capacity(members).min(left);
                    left -= share;
                    u128::from(share)
                });
                shares.collect()
            },
        );
        Arc::new(Self { groups, spill_below: self.spill_below })
    }

    ask_groups!();
}
