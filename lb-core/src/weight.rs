//! The share of new flows that a backend asks for.

use std::fmt;

/// The share of new flows that a backend asks for, relative to its neighbours: 0 to 65 535.
///
/// Zero means *drained*: the backend keeps the sessions it has (and, until they are moved, its
/// persisted clients) but is never chosen for a new one. The range is that of IPVS' user tool.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Weight(u16);

impl Weight {
    /// No new flow: the backend is drained.
    pub const ZERO: Self = Self(0);
    /// The weight of a backend that names none.
    pub const ONE: Self = Self(1);
    /// The largest weight.
    pub const MAX: Self = Self(u16::MAX);

    /// A weight of `value` shares.
    pub const fn new(value: u16) -> Self {
        Self(value)
    }

    /// The number of shares.
    pub const fn value(self) -> u16 {
        self.0
    }

    /// Whether the backend takes no new flow.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// So many times this weight, at most the largest.
    #[must_use]
    pub(crate) const fn times(self, factor: u16) -> Self {
        Self(self.0.saturating_mul(factor))
    }

    /// The greatest weight that both are multiples of; with [`ZERO`](Self::ZERO), the other one.
    #[must_use]
    pub const fn gcd(self, other: Self) -> Self {
        let (mut a, mut b) = (self.0, other.0);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        Self(a)
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self::ONE
    }
}

impl From<u16> for Weight {
    fn from(value: u16) -> Self {
        Self(value)
    }
}

impl From<Weight> for u64 {
    fn from(weight: Weight) -> Self {
        Self::from(weight.0)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
