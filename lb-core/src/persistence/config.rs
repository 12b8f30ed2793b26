//! What a director is told about persistence.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use crate::hash::HashSeed;

/// How a [`Director`](crate::Director) remembers its clients.
///
/// ```
/// use std::time::Duration;
/// use lb_core::hash::HashSeed;
/// use lb_core::persistence::PersistenceConfig;
///
/// let config = PersistenceConfig::new(Duration::from_secs(300), 1_000_000.try_into()?)
///     .min_age(Duration::from_secs(10))
///     .seed(HashSeed::new([1, 2])); // draw it at random
/// # Ok::<(), std::num::TryFromIntError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PersistenceConfig {
    pub(crate) timeout: Duration,
    pub(crate) capacity: NonZeroUsize,
    pub(crate) min_age: Duration,
    pub(crate) seed: HashSeed,
    pub(crate) while_open: bool,
    pub(crate) replicated: Option<Node>,
}

/// One of several balancers that tell each other what they learn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) number: u32,
    /// When the clock that they share showed so many milliseconds.
    pub(crate) clock: (Instant, u64),
}

impl PersistenceConfig {
    /// For `timeout` after its last flow began a client is remembered, and at most `capacity` of them
    /// are: one of those unseen for longest makes room, as
    /// [`PersistenceTable`](crate::PersistenceTable) says.
    pub fn new(timeout: Duration, capacity: NonZeroUsize) -> Self {
        let (min_age, seed) = (Duration::ZERO, HashSeed::default());
        Self { timeout, capacity, min_age, seed, while_open: false, replicated: None }
    }

    /// When the table is full, clients that were seen within `min_age` are not pushed out by new
    /// ones. Default: zero, every new client is remembered.
    #[must_use]
    pub const fn min_age(self, min_age: Duration) -> Self {
        Self { min_age, ..self }
    }

    /// What the table's hash function is keyed with. Default: the seed that everybody knows; give a
    /// random one wherever clients can choose among many keys.
    #[must_use]
    pub const fn seed(self, seed: HashSeed) -> Self {
        Self { seed, ..self }
    }

    /// A client is remembered as long as it has a flow open, however long that is, and for the timeout
    /// after its last one began or ended, as IPVS' templates, which do not expire while they control a
    /// connection (`ip_vs_conn_expire`). Default: the timeout counts from when the last one began.
    ///
    /// A flow is open as long as its [`Lease`](crate::Lease) is. Wherever it is: a client that was moved
    /// meanwhile is remembered at its new backend for the sake of its old flows as well. Nobody is pushed
    /// out who has a flow open; if that is everybody who shares the place of a new client, it is not
    /// remembered. [Forgetting a backend](crate::Director::forget) forgets them like others. Other nodes are
    /// told when flows begin and end, and forget whose are longer than the timeout.
    ///
    /// The end of a flow costs one short lock, as its beginning does. When that is,
    /// [`Lease::end`](crate::Lease::end) says. A lease that is only dropped knows no time, and its flow
    /// counts as ended when the director was told the time last: then
    /// [`Director::expire`](crate::Director::expire) has to be called now and then, each second, say.
    #[must_use]
    pub const fn while_open(self, while_open: bool) -> Self {
        Self { while_open, ..self }
    }

    /// The director has a change feed, as [`Replicated`](super::Replicated), on the node of this
    /// number, which no other node has: what it learns comes out of
    /// [`Director::drain_updates`](crate::Director::drain_updates), what others learnt goes into
    /// [`Director::apply`](crate::Director::apply). At `now`, the clock that all nodes share shows
    /// `millis`, such as those since the epoch; from there on it is taken to go as `now` does. Default:
    /// no feed, which saves 25 bytes a client.
    #[must_use]
    pub const fn replicated(self, node: u32, now: Instant, millis: u64) -> Self {
        Self { replicated: Some(Node { number: node, clock: (now, millis) }), ..self }
    }
}
