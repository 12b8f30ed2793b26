//! Who gets the next flow: one trait, one file per family, and the names the field knows them by.

mod algorithm;
mod arrivals;
mod cursor;
mod draw;
mod failover;
mod first;
mod groups;
pub(crate) mod hash;
mod least;
mod least_load;
mod least_time;
mod locality;
mod overflow;
mod peak_ewma;
mod random;
mod round_robin;
mod weighted;

use std::fmt;
use std::sync::Arc;

use rand::Rng;

use crate::flow::Flow;
use crate::pool::Member;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use failover::Failover;
pub use first::First;
pub use groups::{Priorities, Subset, Zones};
pub use hash::{
    BadTableSize, Bounded, Consistent, Ketama, LoadFactor, Maglev, Rendezvous, Ring, TooTight,
    ketama_hash,
};
pub use least_load::{Cost, LeastLoad};
pub use least_time::LeastTime;
pub use locality::{LocalityBased, LocalityReplicated};
pub use overflow::Overflow;
pub use peak_ewma::PeakEwma;
pub use random::{PowerOfTwo, Random};
pub use round_robin::RoundRobin;
pub use weighted::{GcdWeighted, SmoothWeighted};

/// Chooses a member of a pool for a flow.
///
/// One trait and not a policy beside a picker: [`rebuild`](Self::rebuild) *is* the factory, and
/// it lets a rotation survive a change of membership. Everything that can be computed from the
/// membership is computed there, off the hot path; [`pick`](Self::pick) only reads it, and what it
/// must write is one atomic.
///
/// Any implementation can be held to the rules with the `laws` feature, which runs the property
/// suite that our own have to pass:
///
/// ```
/// use std::sync::Arc;
/// use rand::Rng;
/// use lb_core::pool::Member;
/// use lb_core::{Flow, Scheduler};
///
/// /// Always the last member that is left.
/// #[derive(Debug)]
/// struct Last;
///
/// impl Scheduler for Last {
///     fn rebuild(&self, _: &[Member]) -> Arc<dyn Scheduler> {
///         Arc::new(Self)
///     }
///     fn pick(&self, members: &[Member], flow: &Flow<'_>, _: &mut dyn Rng) -> Option<usize> {
///         members.iter().rposition(|member| flow.may_use(member))
///     }
/// }
///
/// # #[cfg(feature = "laws")]
/// lb_core::laws::check(&|| Arc::new(Last));
/// ```
pub trait Scheduler: fmt::Debug + Send + Sync {
    /// This scheduler over a new membership. Cursors carry over, so that a change of membership
    /// does not start the rotation again at the first backend. Off the hot path: it may allocate, and
    /// commonly is O(n log n).
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler>;

    /// The index of the chosen one among the members given to [`rebuild`](Self::rebuild): one
    /// that [`Flow::may_use`] allows, or `None` if there is none. Never blocks, never allocates.
    ///
    /// A scheduler that bounds what its backends are given may also say `None` if all of them are
    /// busy ([`Overflow`] does): the pool then says [`AllFull`](crate::pool::NoBackend::AllFull).
    fn pick(&self, members: &[Member], flow: &Flow<'_>, rng: &mut dyn Rng) -> Option<usize>;

    /// Whether the time of a flow matters, and how long flows take: if not, nobody need read a
    /// clock for it.
    fn is_timed(&self) -> bool {
        false
    }

    /// Whether a flow's hash decides. Whoever splits flows between groups of members then does that
    /// by hash as well, and not by chance.
    fn is_keyed(&self) -> bool {
        false
    }
}
