//! Bounded loads: whoever is full passes the key on.

use std::sync::Arc;

use rand::Rng;

use super::Consistent;
use crate::flow::Flow;
use crate::pool::Member;
use crate::scheduler::Scheduler;

/// Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, arXiv 1608.01350;
/// HAProxy's and Envoy's `hash-balance-factor`) over any [`Consistent`] scheduler.
///
/// No backend gets a flow that takes it above `factor` times its share of all: of the flows that are
/// active on the members that may take this one, and the one itself, times the factor and rounded
/// up, its part by weight, rounded up. A key whose backend is full goes to the next in its own order
/// that is not, so that the overflow of one backend spreads over all others, and returns when there
/// is room again. Somebody always has room, because the factor is above 1.
///
/// It counts what [`Load`](crate::backend::Load) counts: flows that hold a [`Lease`](crate::Lease). Several
/// threads that pick at once may each take the last room, and so exceed the bound by as many.
///
/// ```
/// use std::sync::Arc;
/// use lb_core::scheduler::{Bounded, LoadFactor, Maglev};
/// use lb_core::backend::BackendId;
/// use lb_core::{Backend, Director, Pool, Weight};
/// # use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};
/// # let (now, mut rng) = (std::time::Instant::now(), Xoshiro256PlusPlus::seed_from_u64(1));
///
/// let members = ["a", "b", "c", "d"].into_iter().zip(0..).map(
///     |(name, id)| (Arc::new(Backend::new(BackendId::new(id), name, ())), Weight::ONE),
/// );
/// let scheduler = Bounded::new(Maglev::new(), LoadFactor::percent(125)?);
/// let director = Director::<u64, ()>::new(Pool::new(members, &scheduler));
/// // One key that everybody wants: without a bound, one backend would have all of it.
/// let viral = 42;
/// let flows: Vec<_> =
///     (0..100).map(|_| director.assign(now, &viral, &[], &mut rng)).collect::<Result<_, _>>()?;
/// assert!(flows.iter().all(|flow| flow.load().active() <= 32)); // 1.25 · 100 / 4, rounded up
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Cost
/// That of the scheduler beneath it for a key whose backend is idle. Otherwise the flows of all
/// members are added up, O(n).
///
/// # Where it differs
/// HAProxy deals out slots in whole numbers, so that what a backend may take depends on its
/// neighbours in the list; this compares exact fractions. Envoy and HAProxy count the flows of
/// drained and refusing backends in, and so let the others take more on their account. Envoy tries
/// backends in an order that it shuffles anew for each key, and allocates for it.
#[derive(Clone, Debug)]
pub struct Bounded<H> {
    inner: H,
    factor: LoadFactor,
}

/// How far above its share a backend may be loaded: more than 100 percent.
///
/// ```
/// use lb_core::scheduler::LoadFactor;
///
/// assert_eq!(LoadFactor::default(), LoadFactor::percent(125)?);
/// assert!(LoadFactor::percent(100).is_err());
/// # Ok::<(), lb_core::scheduler::TooTight>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct LoadFactor(u32);

/// A load factor must be above 100 percent: with nothing to spare, every flow that ends would move
/// others.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[error("a load factor of {percent} percent: it must be above 100")]
pub struct TooTight {
    /// The factor that was asked for.
    pub percent: u32,
}

impl LoadFactor {
    /// A factor of so many hundredths.
    ///
    /// # Errors
    /// [`TooTight`] up to 100.
    pub const fn percent(percent: u32) -> Result<Self, TooTight> {
        if percent > 100 { Ok(Self(percent)) } else { Err(TooTight { percent }) }
    }

    /// What all together may take if `flows` are to be placed: the factor's multiple, rounded up.
    fn of(self, flows: u64) -> u128 {
        (u128::from(flows) * u128::from(self.0)).div_ceil(100)
    }
}

/// 125 percent, as the paper's authors run it.
impl Default for LoadFactor {
    fn default() -> Self {
        Self(125)
    }
}

impl<H: Consistent> Bounded<H> {
    /// `inner`, with no backend loaded above `factor` times its share.
    pub const fn new(inner: H, factor: LoadFactor) -> Self {
        Self { inner, factor }
    }

    /// The scheduler beneath.
    pub const fn get_ref(&self) -> &H {
        &self.inner
    }
}

impl<H: Consistent> Scheduler for Bounded<H> {
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        Arc::new(Self { inner: self.inner.over(members), factor: self.factor })
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, _: &mut dyn Rng) -> Option<usize> {
        let usable = |member: &Member| flow.may_use(member);
        let preferred = self.inner.first(members, flow.hash, usable)?;
        // The part of an idle one is at least the flow itself.
        if members.get(preferred)?.load.active() == 0 {
            return Some(preferred);
        }
        let (mut active, mut weight) = (0, 0);
        for member in members.iter().filter(|member| usable(member)) {
            active += u64::from(member.load.active());
            weight += u128::from(u64::from(member.weight));
        }
        let most = self.factor.of(active + 1);
        let has_room = |member: &Member| {
            u128::from(member.load.active()) * weight < most * u128::from(u64::from(member.weight))
        };
        if has_room(&members[preferred]) {
            return Some(preferred);
        }
        // Flows that come meanwhile may take the room that there was.
        let next = self.inner.first(members, flow.hash, |one| usable(one) && has_room(one));
        next.or(Some(preferred))
    }

    fn is_keyed(&self) -> bool {
        true
    }
}
