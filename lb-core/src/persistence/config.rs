//! What a director is told about persistence.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::seed::HashSeed;

/// How a [`Director`](crate::Director) remembers its clients.
///
/// ```
/// use std::time::Duration;
/// use lb_core::persistence::{HashSeed, PersistenceConfig};
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
}

impl PersistenceConfig {
    /// For `timeout` after its last flow a client is remembered, and at most `capacity` of them
    /// are: one of those unseen for longest makes room, as
    /// [`PersistenceTable`](crate::PersistenceTable) says.
    pub fn new(timeout: Duration, capacity: NonZeroUsize) -> Self {
        Self { timeout, capacity, min_age: Duration::ZERO, seed: HashSeed::default() }
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
}
