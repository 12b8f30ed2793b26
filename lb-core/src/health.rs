//! What a health checker may say about a backend, and what an administrator may say over it.

use crate::weight::Weight;

/// What the checks of one backend said of its weight, together.
///
/// A check may report a weight, or a share of the weight that the backend is to have. The effective
/// weight is that share of the base, plus what the reported weights differ from the *configured* one
/// (C2; keepalived's `misc_dynamic` and `FILE_CHECK`, HAProxy's agent). The base is the configured
/// weight too, unless an administrator has put another in its place: then the reports change that
/// one by as much. A single report is therefore the weight itself as long as nobody has.
///
/// A report of 0 is a drain and holds whatever the others say. Of several shares the least counts.
/// The effective weight is always computed anew from all reports, never by adding to the last one, so
/// a missed report cannot leave a remainder behind (R1).
///
/// ```
/// use lb_core::health::ReportedWeight;
/// use lb_core::Weight;
///
/// let configured = Weight::new(100);
/// let none = ReportedWeight::NONE;
/// assert_eq!(none.over(configured, configured), configured);
/// assert_eq!(none.and(Weight::new(40)).over(configured, configured), Weight::new(40));
/// // Two checks that take off 60 and 10.
/// let two = none.and(Weight::new(40)).and(Weight::new(90));
/// assert_eq!(two.over(configured, configured), Weight::new(30));
/// // The same where an administrator has given 300.
/// assert_eq!(two.over(configured, Weight::new(300)), Weight::new(230));
/// // An agent that wants half of whatever there is.
/// assert_eq!(none.and_percent(50).over(configured, Weight::new(300)), Weight::new(150));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct ReportedWeight {
    sum: u64,
    reports: u32,
    /// The least share that was asked for.
    percent: Option<u16>,
    /// Whether a report was 0.
    drained: bool,
}

impl ReportedWeight {
    /// No check said anything of the weight: the configured one holds.
    pub const NONE: Self = Self { sum: 0, reports: 0, percent: None, drained: false };

    /// These reports and a weight.
    #[must_use]
    pub fn and(self, report: Weight) -> Self {
        Self {
            sum: self.sum.saturating_add(report.into()),
            reports: self.reports.saturating_add(1),
            drained: self.drained || report.is_zero(),
            ..self
        }
    }

    /// These reports and a share of the weight, in percent; it may be above 100.
    #[must_use]
    pub fn and_percent(self, percent: u16) -> Self {
        let least = self.percent.map_or(percent, |known| known.min(percent));
        Self { percent: Some(least), drained: self.drained || percent == 0, ..self }
    }

    /// The effective weight where `configured` is the configured one and `base` holds in its place,
    /// kept within 0 to 65 535. Rounding drains nobody.
    pub fn over(self, configured: Weight, base: Weight) -> Weight {
        if self.drained {
            return Weight::ZERO;
        }
        let share = u64::from(base).saturating_mul(self.percent.unwrap_or(100).into());
        let differences =
            i128::from(self.sum) - i128::from(configured.value()) * i128::from(self.reports);
        let effective = i128::from(share.div_ceil(100)) + differences;
        Weight::new(effective.clamp(0, i128::from(u16::MAX)) as u16)
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
