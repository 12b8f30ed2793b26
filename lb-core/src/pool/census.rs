//! What is configured, whoever of it lives.

use std::collections::HashMap;

use crate::weight::Weight;

/// What is configured, whoever of it lives: what the live ones are a part of.
///
/// ```
/// use lb_core::pool::Census;
///
/// // Four backends, three of them of priority 0, one of which is not to take flows.
/// let census = Census::of([(100, 0), (300, 0), (0, 0), (200, 1)]);
/// assert_eq!(census.total(), 4);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Census {
    /// In how many parts of a configured weight members' weights are given.
    parts: u16,
    total: usize,
    /// How many are meant to take flows, by priority.
    priorities: HashMap<u8, u32>,
}

impl Census {
    /// Of every configured backend the weight and the priority.
    pub fn of<W: Into<Weight>>(configured: impl IntoIterator<Item = (W, u8)>) -> Self {
        let mut census = Self::default();
        for (weight, priority) in configured {
            census.total += 1;
            if !weight.into().is_zero() {
                *census.priorities.entry(priority).or_default() += 1;
            }
        }
        census
    }

    /// The same, of which members' weights are given in so many `parts`.
    #[must_use]
    pub(crate) fn in_parts(self, parts: u16) -> Self {
        Self { parts, ..self }
    }

    /// In how many parts of a configured weight members' weights are given.
    pub(super) fn parts(&self) -> u16 {
        self.parts.max(1)
    }

    /// How many backends are configured.
    pub const fn total(&self) -> usize {
        self.total
    }

    /// How many of them are meant to take flows at this priority.
    pub(super) fn at(&self, priority: u8) -> u32 {
        self.priorities.get(&priority).copied().unwrap_or(0)
    }
}

/// Nobody.
impl Default for Census {
    fn default() -> Self {
        Self { parts: 1, total: 0, priorities: HashMap::new() }
    }
}
