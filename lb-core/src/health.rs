//! What a health checker may say about a backend, and what an administrator may say over it.

use std::num::NonZeroU32;

use crate::backend::Limits;
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
    /// Of as many as 65 537 of the largest.
    sum: u32,
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
            sum: self.sum.saturating_add(report.value().into()),
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

/// What the checks of one backend said of the flows that it is to have at once, together.
///
/// It holds in place of the configured [`max_connections`](Limits), above or below, as long as it is
/// reported (`maxconn` of HAProxy's agent, `tcpcheck_agent_expect_reply`); thresholds stay. Of several
/// reports the least counts.
///
/// ```
/// use std::num::NonZeroU32;
/// use lb_core::backend::Limits;
/// use lb_core::health::ReportedLimit;
///
/// let [ten, thirty] = [10, 30].map(|most| Limits::NONE.at_most(NonZeroU32::new(most).unwrap()));
/// assert_eq!(ReportedLimit::NONE.over(ten), ten);
/// assert_eq!(ReportedLimit::NONE.and(30).over(ten), thirty);
/// assert_eq!(ReportedLimit::NONE.and(30).and(10).over(Limits::NONE), ten);
/// assert_eq!(ReportedLimit::NONE.and(0).over(ten), Limits::NONE); // as many as come
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct ReportedLimit {
    /// The least that was said; the largest number for as many as come.
    least: Option<NonZeroU32>,
}

impl ReportedLimit {
    /// No check said anything of it: the configured limits hold.
    pub const NONE: Self = Self { least: None };

    /// These reports and one of at most `flows` at once; 0 is as many as come, as in HAProxy.
    #[must_use]
    pub fn and(self, flows: u32) -> Self {
        self.with(Self { least: Some(NonZeroU32::new(flows).unwrap_or(NonZeroU32::MAX)) })
    }

    /// These reports and others.
    #[must_use]
    pub fn with(self, others: Self) -> Self {
        let both = self.least.into_iter().chain(others.least);
        Self { least: both.min() }
    }

    /// The limits to hold the backend to, where these are `configured`.
    #[must_use]
    pub fn over(self, configured: Limits) -> Limits {
        match self.least {
            Some(NonZeroU32::MAX) => configured.with_maximum(None),
            Some(flows) => configured.with_maximum(Some(flows)),
            None => configured,
        }
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
        /// What they said about how many flows it takes; [`ReportedLimit::NONE`] keeps what is
        /// configured.
        limit: ReportedLimit,
    },
}

impl Health {
    /// Up, as configured.
    pub const UP: Self = Self::Up { weight: ReportedWeight::NONE, limit: ReportedLimit::NONE };

    /// Up, with what the checks said about the weight.
    pub fn weighing(weight: impl Into<ReportedWeight>) -> Self {
        Self::Up { weight: weight.into(), limit: ReportedLimit::NONE }
    }

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
