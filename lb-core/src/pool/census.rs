//! What is configured, whoever of it lives.

use std::collections::HashMap;

use crate::health::Weight;

/// What is configured, whoever of it lives: what the live ones are a part of.
///
/// ```
/// use lb_core::Census;
///
/// // Four backends, three of them of priority 0; all weights are multiples of 100.
/// let census = Census::of([(100, 0), (300, 0), (100, 0), (200, 1)]);
/// assert_eq!((census.unit().value(), census.total()), (100, 4));
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Census {
    unit: Weight,
    priorities: HashMap<u8, u32>,
}

impl Census {
    /// Of every configured backend the weight and the priority.
    pub fn of<W: Into<Weight>>(configured: impl IntoIterator<Item = (W, u8)>) -> Self {
        let mut census = Self { unit: Weight::ZERO, priorities: HashMap::new() };
        for (weight, priority) in configured {
            census.unit = census.unit.gcd(weight.into());
            *census.priorities.entry(priority).or_default() += 1;
        }
        census
    }

    /// What all weights have in common, at least 1: the weight that counts as one where weights are
    /// laid out in points, so that rings are as small for weights 100 and 200 as for 1 and 2.
    pub fn unit(&self) -> Weight {
        self.unit.max(Weight::ONE)
    }

    /// The same where every weight is given `times` as large.
    #[must_use]
    pub(crate) fn scaled(self, times: u16) -> Self {
        Self { unit: self.unit().times(times), ..self }
    }

    /// How many backends are configured.
    pub fn total(&self) -> usize {
        self.priorities.values().map(|&count| count as usize).sum()
    }

    /// How many of them at this priority.
    pub(super) fn at(&self, priority: u8) -> u32 {
        self.priorities.get(&priority).copied().unwrap_or(0)
    }
}
