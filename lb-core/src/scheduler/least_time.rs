//! `least_time`: the backend that would be done first.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;

use super::Scheduler;
use super::arrivals::Arrivals;
use super::least::{PerShare, least};
use crate::flow::Flow;
use crate::pool::Member;

/// Times that differ by less are as good as equal.
const STEP: u64 = 20;
/// Times above are equally bad.
const WORST: u64 = 5_000;

/// `least_time`: the backend for which the average time to a [successful](crate::backend::Outcome) outcome,
/// times the flows that it would then have, is least for its weight: of equally fast and idle ones the
/// heaviest, as with [`sed`](super::Cost::ShortestExpectedDelay). O(n).
///
/// As nginx' `least_time` (`ngx_http_upstream_least_time_module.c`): a moving average in which each
/// success counts for a twentieth, taken in steps of 20 ms so that equals take turns, all above 5 s
/// equally bad, and halved for every 10 s that nobody was sent there, so that a backend that was slow
/// once is tried again. Who has just come among others that are busy begins with as many flows as they
/// have, as with [`LeastLoad`](super::LeastLoad). What *outcome* means, the first byte or the last, is up to whoever
/// [reports](crate::Lease::report) it. The time comes from [`Flow::at`]; without it nothing is
/// forgiven.
///
/// # Where it differs
/// A backend of which nothing is known is taken to be as fast as the average of the others, not
/// faster than all of them; ties are drawn by weight and not dealt out in turn; and a backend whose
/// flows fail is taken to have, beside its own cost, as much of the mean as the share that failed: in
/// nginx one that only ever fails keeps the time of 0 that it began with.
#[derive(Clone, Debug, Default)]
pub struct LeastTime {
    arrivals: Arc<Arrivals>,
}

impl LeastTime {
    /// The scheduler. Averages belong to the backends.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Scheduler for LeastTime {
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        let flows = |member: &Member| PerShare {
            load: 1 + u64::from(member.load.active()),
            share: member.weight.into(),
        };
        Arc::new(Self { arrivals: self.arrivals.over(members, flows).into() })
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, rng: &mut dyn Rng) -> Option<usize> {
        let known = || members.iter().filter_map(|member| member.load.mean_time(flow.now));
        let (sum, count) =
            known().fold((0, 0), |(sum, count), time| (sum + stepped(time), count + 1));
        let mean = sum / u64::max(count, 1);
        let turn = self.arrivals.take_turn();
        least(members, flow, rng, |index, member| PerShare {
            load: member.load.mean_time(flow.now).map_or(mean, stepped).max(STEP)
                * (1 + u64::from(member.load.active()) + turn.map_or(0, |turn| turn.of(index))),
            share: member.weight.into(),
        })
    }

    fn is_timed(&self) -> bool {
        true
    }
}

/// In milliseconds, as the next whole step: what takes less than one counts as one.
fn stepped(time: Duration) -> u64 {
    let time = u64::try_from(time.as_millis()).unwrap_or(WORST).min(WORST);
    (time + STEP - time % STEP).min(WORST)
}
