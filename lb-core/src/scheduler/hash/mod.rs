//! The same key to the same backend, without remembering anything.
//!
//! | name | type | a pick | a leaving backend moves | shares are off by |
//! |---|---|---|---|---|
//! | `sh`, `dh`, `ring` | [`Ring`] | O(log points), in practice constant | only its own keys | up to a quarter among ten, a third among 1000 |
//! | `ketama` | [`Ketama`] | as `ring` | only its own keys | up to a quarter among ten, a third among 1000 |
//! | `mh` | [`Maglev`] | O(1) | its own keys, and at most 1 % of the others | up to 1 % |
//! | `rendezvous` | [`Rendezvous`] | O(n) | only its own keys | nothing |
//!
//! All of them choose by [`Flow::hash`] and by [`Member::place`], never by a backend's position or
//! identity, in integer arithmetic: two directors with the same backends by name agree on every
//! key, whatever order they are configured in and whatever machine they run on. The keys of a
//! backend that refuses, leaves or is drained spread over all others. Any of them can be
//! [`Bounded`], so that a popular key does not overwhelm its backend.

pub(crate) mod ketama;

mod bounded;
mod maglev;
mod points;
mod rendezvous;
mod ring;

use std::fmt;
use std::sync::Arc;

use rand::Rng;

use super::Scheduler;
use crate::flow::Flow;
use crate::pool::Member;

pub use bounded::{Bounded, LoadFactor, TooTight};
pub use ketama::{Ketama, ketama_hash};
pub use maglev::{BadTableSize, Maglev};
pub use rendezvous::Rendezvous;
pub use ring::Ring;

/// A scheduler by which every key has its own order of preference among the members.
///
/// Whatever implements it is a [`Scheduler`], and can be [`Bounded`].
pub trait Consistent: fmt::Debug + Send + Sync + Sized + 'static {
    /// This scheduler over another membership.
    #[must_use]
    fn over(&self, members: &[Member]) -> Self;

    /// The index of the one that `key` prefers among the members given to [`over`](Self::over)
    /// whose weight is above 0; `None` if there is none.
    fn owner(&self, key: u64) -> Option<usize>;

    /// The index of the one that `key` prefers among the `usable` members; `None` if there is
    /// none. No member of weight 0 may be called usable; if all others are, this is the owner.
    fn first(
        &self,
        members: &[Member],
        key: u64,
        usable: impl Fn(&Member) -> bool,
    ) -> Option<usize>;
}

impl<H: Consistent> Scheduler for H {
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        Arc::new(self.over(members))
    }

    #[inline]
    fn pick(&self, members: &[Member], flow: &Flow<'_>, _: &mut dyn Rng) -> Option<usize> {
        if flow.any_will_do() {
            // Owners were chosen among those that take new flows: no need to look at them again.
            return self.owner(flow.hash);
        }
        first_usable(self, members, flow)
    }

    fn is_keyed(&self) -> bool {
        true
    }
}

/// Apart, so that a pick where anybody may take the flow keeps nothing ready for this.
#[inline(never)]
fn first_usable<H: Consistent>(
    scheduler: &H,
    members: &[Member],
    flow: &Flow<'_>,
) -> Option<usize> {
    scheduler.first(members, flow.hash, |member| flow.may_use(member))
}

/// How often a table or a ring is asked for another member before all members are walked instead:
/// it comes to that where those that are left weigh next to nothing.
const PROBES: u32 = 64;
