//! What a health checker may say about a backend, and what an administrator may say over it.

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

/// The weights that the checks of one backend reported, together.
///
/// Each report `w` acts as the difference `w − base` from the configured weight, and differences
/// add up (keepalived's `misc_dynamic` and `FILE_CHECK`). A single report is therefore the weight
/// itself, whatever the base. The effective weight is always computed anew from all reports, never
/// by adding to the last one, so a missed report cannot leave a remainder behind.
///
/// ```
/// use lb_core::health::ReportedWeight;
/// use lb_core::Weight;
///
/// let base = Weight::new(100);
/// let none = ReportedWeight::NONE;
/// assert_eq!(none.over(base), base);
/// assert_eq!(none.and(Weight::new(40)).over(base), Weight::new(40));
/// // Two checks that take off 60 and 10.
/// assert_eq!(none.and(Weight::new(40)).and(Weight::new(90)).over(base), Weight::new(30));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct ReportedWeight {
    sum: u64,
    reports: u32,
}

impl ReportedWeight {
    /// No check reported a weight: the configured one holds.
    pub const NONE: Self = Self { sum: 0, reports: 0 };

    /// These reports and one more.
    #[must_use]
    pub fn and(self, report: Weight) -> Self {
        Self {
            sum: self.sum.saturating_add(report.into()),
            reports: self.reports.saturating_add(1),
        }
    }

    /// The effective weight over a configured `base`, kept within 0 to 65 535.
    pub fn over(self, base: Weight) -> Weight {
        let base = i128::from(base.value());
        let effective = base + i128::from(self.sum) - base * i128::from(self.reports);
        Weight(effective.clamp(0, i128::from(u16::MAX)) as u16)
    }
}

impl From<Weight> for ReportedWeight {
    fn from(report: Weight) -> Self {
        Self::NONE.and(report)
    }
}

/// The verdict of all checks of one backend.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Health {
    /// At least one check fails: no flow goes there.
    Down,
    /// Every check passes.
    Up {
        /// What the checks said about the weight; [`ReportedWeight::NONE`] keeps the configured one.
        weight: ReportedWeight,
    },
}

impl Health {
    /// Up, at the configured weight.
    pub const UP: Self = Self::Up { weight: ReportedWeight::NONE };

    /// Whether every check passes.
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Up { .. })
    }
}

/// The administrator's word on a backend. It stands above every check.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Admin {
    /// Checks decide.
    #[default]
    Ready,
    /// No new client; existing flows stay, and persisted clients come back.
    Drain,
    /// The time for draining is over: persisted clients belong elsewhere from now on, too.
    Drained,
    /// Out of service: nobody is sent there.
    Maintenance,
}
