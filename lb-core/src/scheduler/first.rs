//! `first`: as few backends as will do.

use std::sync::Arc;

use rand::Rng;

use super::Scheduler;
use crate::flow::Flow;
use crate::pool::Member;

/// `first`: the first backend in configured order that may take the flow (HAProxy's
/// `balance first`).
///
/// The second gets nothing until the first is full, so that in quiet hours the last ones can be
/// switched off. What is full says [`Flow::may_use`]: weights do not count, except that 0 drains.
/// A backend that nothing limits is never full and has all flows as long as it lives, and from when it
/// comes: there is no [slow start](crate::virtual_server::VirtualServerConfig::slow_start). A pick looks
/// at each backend up to the chosen one, O(n) at worst.
///
/// # Where it differs
/// HAProxy goes by the servers' numeric ids, which are their order in the list unless somebody sets
/// them; here it is always the list.
#[derive(Clone, Copy, Debug, Default)]
pub struct First;

impl First {
    /// The scheduler; it keeps nothing.
    pub const fn new() -> Self {
        Self
    }
}

impl Scheduler for First {
    fn rebuild(&self, _: &[Member]) -> Arc<dyn Scheduler> {
        Arc::new(Self)
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, _: &mut dyn Rng) -> Option<usize> {
        members.iter().position(|member| flow.may_use(member))
    }
}
