//! By which numbers an outlier is one.

use std::num::NonZeroU32;
use std::time::Duration;

use lb_core::quorum::Strength;

use super::{Host, LONGEST};

/// By which numbers an outlier is one. The defaults are Envoy's.
#[derive(Clone, Debug, PartialEq)]
pub struct OutlierRules {
    pub(super) consecutive_failures: Option<NonZeroU32>,
    pub(super) sweep: Duration,
    pub(super) base_ejection: Duration,
    pub(super) longest_ejection: Duration,
    pub(super) ejection_jitter: Duration,
    pub(super) most_ejected_percent: u8,
    pub(super) success_rate_factor: Option<f64>,
    pub(super) failure_percent: Option<u8>,
    pub(super) fewest_hosts: usize,
    pub(super) fewest_flows: u32,
}

impl OutlierRules {
    const DEFAULT: Self = Self {
        consecutive_failures: NonZeroU32::new(5),
        sweep: Duration::from_secs(10),
        base_ejection: Duration::from_secs(30),
        longest_ejection: Duration::from_secs(300),
        ejection_jitter: Duration::ZERO,
        most_ejected_percent: 10,
        success_rate_factor: Some(1.9),
        failure_percent: None,
        fewest_hosts: 5,
        fewest_flows: 100,
    };

    /// The failures in a row that eject at once; `None` for never. Default 5.
    #[must_use]
    pub const fn consecutive_failures(mut self, failures: Option<NonZeroU32>) -> Self {
        self.consecutive_failures = failures;
        self
    }

    /// How often rates are looked at, at least every nanosecond and at most once a year. Default
    /// 10 s.
    #[must_use]
    pub fn sweeping_every(self, time: Duration) -> Self {
        Self { sweep: time.clamp(Duration::from_nanos(1), LONGEST), ..self }
    }

    /// How long a first ejection lasts, at most a year. Default 30 s.
    #[must_use]
    pub fn base_ejection(self, time: Duration) -> Self {
        Self { base_ejection: time.min(LONGEST), ..self }
    }

    /// How long any ejection lasts at most. Default 300 s.
    #[must_use]
    pub fn longest_ejection(self, time: Duration) -> Self {
        Self { longest_ejection: time.min(LONGEST), ..self }
    }

    /// How much longer any ejection may last, at random, so that those who went together do not come
    /// back together; at most a year. Default none: see [`Outliers::with_seed`](super::Outliers).
    #[must_use]
    pub fn ejection_jitter(self, time: Duration) -> Self {
        Self { ejection_jitter: time.min(LONGEST), ..self }
    }

    /// The share of all hosts that may be out at once, in percent; one may always be. Default 10.
    #[must_use]
    pub const fn most_ejected_percent(mut self, percent: u8) -> Self {
        self.most_ejected_percent = percent;
        self
    }

    /// A host is out if its rate of success is below the mean less so many standard deviations;
    /// `None` for never. Default 1.9.
    #[must_use]
    pub const fn success_rate_factor(mut self, factor: Option<f64>) -> Self {
        self.success_rate_factor = factor;
        self
    }

    /// A host is out if so many percent of its flows fail or more; `None`, the default, for never.
    /// Envoy has it off, too, and suggests 85.
    #[must_use]
    pub const fn failure_percent(mut self, percent: Option<u8>) -> Self {
        self.failure_percent = percent;
        self
    }

    /// Rates are compared among so many hosts or more that had so many flows or more since the last
    /// sweep. Default 5 and 100.
    #[must_use]
    pub const fn comparing(mut self, hosts: usize, flows: u32) -> Self {
        self.fewest_hosts = hosts;
        self.fewest_flows = flows;
        self
    }

    /// Whether so many out of `all` may be out at once (R3).
    pub(super) const fn bears(&self, all: usize, out: usize) -> bool {
        let within = out * 100 <= all * self.most_ejected_percent as usize;
        all > 1 && (within || out <= 1) && out < all
    }

    /// The share of successes since the last sweep, if it says something.
    pub(super) fn rate_of<K>(&self, host: &Host<K>) -> Option<f64> {
        let flows = host.successes.saturating_add(host.failures);
        let counts = host.until.is_none() && flows >= self.fewest_flows.max(1);
        counts.then(|| f64::from(host.successes) / f64::from(flows))
    }

    /// The rate of success below which a host is an outlier among those with `rates`.
    pub(super) fn lowest_success(&self, rates: impl Iterator<Item = f64> + Clone) -> Option<f64> {
        let count = rates.clone().count() as f64;
        let mean = rates.clone().sum::<f64>() / count;
        let variance = rates.map(|rate| (rate - mean).powi(2)).sum::<f64>() / count;
        Some(mean - self.success_rate_factor? * variance.sqrt())
    }
}

impl Default for OutlierRules {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Whether a pool can do without one more live backend that clients alone speak against, where `out` are down
/// on their word already.
///
/// If clients fail everywhere, it is hardly every backend's fault: a burst that fills their queues, or a
/// network between. So the rule of [ejections](super::Outliers) holds for them as well, by its default share:
/// a tenth may be out, or one; and never the last that lives (R3). Who is really down is so for its checks.
///
/// ```
/// use lb_core::quorum::Strength;
/// use lb_health::outliers::can_spare;
///
/// let pool = |alive| Strength { weight: 20, alive, configured: 20 };
/// assert!(can_spare(pool(20), 0) && can_spare(pool(19), 1));
/// assert!(!can_spare(pool(18), 2)); // more than a tenth
/// assert!(!can_spare(pool(1), 0)); // the last one
/// ```
pub const fn can_spare(pool: Strength, out: usize) -> bool {
    const RULES: OutlierRules = OutlierRules::DEFAULT;
    pool.alive > 1 && RULES.bears(pool.configured, out + 1)
}
