//! `lblcr`: a few servers for each destination.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;

use super::servers::Servers;
use super::table::Known;
use super::{Memory, is_overloaded};
use crate::flow::Flow;
use crate::pool::Member;
use crate::scheduler::Scheduler;
use crate::scheduler::least_load::compare_loads;

/// `lblcr`: locality-based least connections with replication (IPVS `ip_vs_lblcr.c`).
///
/// A destination, which is what [`Flow::hash`] stands for, has a set of servers, and its flows go to
/// the least loaded of them. If none of them can take the flow, or the least loaded has more flows
/// than its weight while somebody has less than half of theirs, the choice of
/// [`WeightedLeastConnections`](crate::scheduler::Cost::WeightedLeastConnections) takes the flow and
/// joins the set. So what everybody asks for spreads over as many servers as it needs, and what
/// nobody asks for is on one. So give weights as the numbers of flows that the servers are meant
/// for.
///
/// A set that was not changed for a day loses its most loaded server, and every day another one, so
/// that what was in demand once does not stay everywhere for good. That takes flows whose time is
/// known; without, sets only grow.
///
/// Memory and cost are those of [`LocalityBased`](super::LocalityBased).
///
/// # Where it differs
/// As [`LocalityBased`](super::LocalityBased); besides:
/// - A set has at most four servers, where the kernel has no bound: they fit into one word, and a
///   pick allocates nothing. In a full set the newest takes the place of the most loaded.
/// - Backends that are drained count as the most loaded; the kernel never drops them. It may drop
///   the one that the flow goes to, which is dropped last here.
/// - Times are told to the second.
#[derive(Debug, Default)]
pub struct LocalityReplicated {
    memory: Memory,
}

/// After so long without a change, a set has one server too many.
const UNCHANGED: Duration = Duration::from_secs(24 * 60 * 60);

impl LocalityReplicated {
    /// Room for 16 384 destinations, over no members yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Room for so many `destinations`, or up to seven more, over no members yet.
    pub fn remembering(destinations: usize) -> Self {
        Self { memory: Memory::of(destinations) }
    }

    fn pick_at(
        &self,
        now: Option<Instant>,
        members: &[Member],
        flow: &Flow<'_>,
        rng: &mut dyn Rng,
    ) -> Option<usize> {
        let table = &self.memory.table;
        let now = table.moment(now);
        let known = table.find(flow.hash).unwrap_or_default();
        let mut servers = known.servers;
        let least = least_loaded(servers, members, flow);
        if servers.len() > 1 && now.is_later_by(UNCHANGED, known.changed) {
            servers = without_most_loaded(servers, members, least);
        }
        let welcome = least.filter(|&index| !is_overloaded(&members[index], members, flow));
        let chosen = welcome.or_else(|| self.memory.fallback.pick(members, flow, rng));
        if let Some(newest) = chosen.filter(|&chosen| !servers.iter().any(|one| one == chosen)) {
            if servers.len() == Servers::MOST {
                servers = without_most_loaded(servers, members, None);
            }
            servers = servers.with(newest);
        }
        let changed = servers != known.servers || !known.changed.is_known();
        let next = Known { servers, changed: if changed { now } else { known.changed } };
        if next != known {
            table.store(flow.hash, next);
        }
        chosen
    }
}

/// The one of `servers` with the fewest flows per weight among those that may take the flow.
fn least_loaded(servers: Servers, members: &[Member], flow: &Flow<'_>) -> Option<usize> {
    let usable = |&index: &usize| members.get(index).is_some_and(|one| flow.may_use(one));
    servers
        .iter()
        .filter(usable)
        .min_by(|&one, &other| compare_loads(&members[one], &members[other]))
}

/// The `servers` but the one with the most flows per weight, which is not the `spared` one.
fn without_most_loaded(servers: Servers, members: &[Member], spared: Option<usize>) -> Servers {
    let most = servers
        .iter()
        .filter(|&index| index < members.len() && Some(index) != spared)
        .max_by(|&one, &other| compare_loads(&members[one], &members[other]));
    most.map_or(servers, |most| servers.without(most))
}

impl Scheduler for LocalityReplicated {
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        Arc::new(Self { memory: self.memory.over(members) })
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, rng: &mut dyn Rng) -> Option<usize> {
        self.pick_at(flow.now, members, flow, rng)
    }

    fn is_timed(&self) -> bool {
        true
    }

    fn is_keyed(&self) -> bool {
        true
    }
}

#[cfg(test)]
#[cfg(not(lb_loom))]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;

    use super::*;
    use crate::backend::Lease;
    use crate::backend::{Backend, BackendId};
    use crate::pool::Pool;
    use crate::weight::Weight;

    const DESTINATION: u64 = 7;
    const SECOND: Duration = Duration::from_secs(1);

    /// A scheduler whose time is told by hand, with a set for one destination.
    struct Stage {
        scheduler: LocalityReplicated,
        pool: Pool<()>,
        _leases: Vec<Lease<()>>,
        start: Instant,
    }

    impl Stage {
        /// Members with these weights and flows, all of them in the set since the start.
        #[expect(clippy::disallowed_methods, reason = "there is no other way to make an Instant")]
        fn with(crowd: &[(u16, usize)]) -> Self {
            let backend = |(id, &(weight, _))| {
                let backend = Backend::new(BackendId::new(id), format!("backend {id}"), ());
                (Arc::new(backend), Weight::new(weight))
            };
            let scheduler = LocalityReplicated::new();
            let pool = Pool::new((0..).zip(crowd).map(backend), &scheduler);
            let busy = pool.backends().iter().zip(crowd);
            let leases = busy.flat_map(|(backend, &(_, active))| vec![Arc::clone(backend); active]);
            let leases = leases.map(Lease::new).collect();
            let memory = scheduler.memory.over(pool.members());
            let stage = Self {
                scheduler: LocalityReplicated { memory },
                pool,
                _leases: leases,
                start: Instant::now(),
            };
            stage.has_set(Some(stage.start));
            stage
        }

        /// All members are in the set, since then.
        fn has_set(&self, since: Option<Instant>) {
            let table = &self.scheduler.memory.table;
            let servers = (0..self.pool.members().len()).collect();
            table.store(DESTINATION, Known { servers, changed: table.moment(since) });
        }

        /// The choice after so much time, and the set from then on.
        fn pick(&self, after: Option<Duration>) -> (Option<usize>, Vec<usize>) {
            self.pick_retried(after, &[])
        }

        fn pick_retried(
            &self,
            after: Option<Duration>,
            tried: &[BackendId],
        ) -> (Option<usize>, Vec<usize>) {
            let now = after.map(|after| self.start + after);
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
            let flow = Flow::new(DESTINATION).retried(tried);
            let choice = self.scheduler.pick_at(now, self.pool.members(), &flow, &mut rng);
            let known = self.scheduler.memory.table.find(DESTINATION).unwrap();
            (choice, known.servers.iter().collect())
        }
    }

    #[test]
    fn a_set_loses_its_most_loaded_every_day_until_there_is_one() {
        let stage = Stage::with(&[(4, 1), (4, 3), (4, 2)]);
        for (after, set) in [
            (SECOND, &[0, 1, 2][..]),
            (UNCHANGED, &[0, 1, 2]),
            (UNCHANGED + SECOND, &[0, 2]),
            // The clock starts again.
            (UNCHANGED + 2 * SECOND, &[0, 2]),
            (2 * UNCHANGED + SECOND, &[0, 2]),
            (2 * UNCHANGED + 2 * SECOND, &[0]),
            (9 * UNCHANGED, &[0]),
        ] {
            assert_eq!(stage.pick(Some(after)), (Some(0), set.to_vec()), "{after:?}");
        }
    }

    #[test]
    fn without_a_time_sets_only_grow() {
        let stage = Stage::with(&[(4, 1), (4, 3)]);
        assert_eq!(stage.pick(None).1, [0, 1]);
        // And what changed at an unknown time counts from the first that is known.
        stage.has_set(None);
        assert_eq!(stage.pick(Some(3 * UNCHANGED)).1, [0, 1]);
        assert_eq!(stage.pick(Some(4 * UNCHANGED)).1, [0, 1]);
        assert_eq!(stage.pick(None).1, [0, 1]);
        assert_eq!(stage.pick(Some(4 * UNCHANGED + SECOND)).1, [0]);
    }

    #[test]
    fn a_server_that_joins_starts_the_day_again() {
        let stage = Stage::with(&[(2, 3), (8, 1)]);
        let table = &stage.scheduler.memory.table;
        let changed = table.moment(Some(stage.start));
        table.store(DESTINATION, Known { servers: Servers::default().with(0), changed });
        assert_eq!(stage.pick(Some(UNCHANGED)), (Some(1), vec![1, 0]));
        assert_eq!(stage.pick(Some(2 * UNCHANGED)).1, [1, 0]);
        assert_eq!(stage.pick(Some(2 * UNCHANGED + SECOND)).1, [1]);
    }

    #[test]
    fn the_drained_go_first_and_the_chosen_stays() {
        let stage = Stage::with(&[(4, 3), (0, 0), (4, 1)]);
        assert_eq!(stage.pick(Some(UNCHANGED + SECOND)), (Some(2), vec![0, 2]));
        // Equally loaded: the one that gets the flow is not the one to go.
        let stage = Stage::with(&[(4, 1), (4, 1)]);
        assert_eq!(stage.pick(Some(UNCHANGED + SECOND)), (Some(0), vec![0]));
    }

    #[test]
    fn who_refuses_is_not_chosen_and_may_go() {
        let (later, tried) = (Some(UNCHANGED + SECOND), [BackendId::new(0)]);
        // The one that is left has the most to do, and stays for the sake of the flow.
        let stage = Stage::with(&[(4, 1), (4, 3)]);
        assert_eq!(stage.pick_retried(later, &tried), (Some(1), vec![1]));
        // One that is alone in its set does not go for its age.
        let stage = Stage::with(&[(4, 1), (4, 3)]);
        let changed = stage.scheduler.memory.table.moment(Some(stage.start));
        let alone = Known { servers: Servers::default().with(0), changed };
        stage.scheduler.memory.table.store(DESTINATION, alone);
        assert_eq!(stage.pick_retried(later, &tried), (Some(1), vec![1, 0]));
    }
}
