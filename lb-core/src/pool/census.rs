//! What is configured, whoever of it lives.

use std::collections::HashMap;

use crate::health::Weight;

/// What is configured, whoever of it lives: what the live ones are a part of.
///
/// ```
/// use lb_core::pool::Census;
///
/// // Four backends, three of them of priority 0; all weights are multiples of 100.
/// let census = Census::of([(100, 0), (300, 0), (100, 0), (200, 1)]);
/// assert_eq!((census.unit().value(), census.total()), (100, 4));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Census {
    unit: Weight,
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
            let weight = weight.into();
            census.unit = census.unit.gcd(weight);
            census.total += 1;
            if !weight.is_zero() {
                *census.priorities.entry(priority).or_default() += 1;
            }
        }
        census
    }

    /// What all weights have in common, at least 1: the weight that counts as one where weights are
    /// laid out in points, so that rings are as small for weights 100 and 200 as for 1 and 2.
    pub fn unit(&self) -> Weight {
        self.unit.max(Weight::ONE)
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
        Self { unit: Weight::ZERO, parts: 1, total: 0, priorities: HashMap::new() }
    }
}
