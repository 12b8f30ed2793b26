//! How often a check runs, and how many results decide.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::state::Thresholds;

/// How often a check runs, how long a run may take, and how many results decide.
///
/// Every value of this type is valid: the setters refuse what could not work.
///
/// ```
/// use std::time::Duration;
/// use lb_health::CheckSpec;
///
/// let spec = CheckSpec::default().with_interval(Duration::from_secs(5))?.with_fall(2)?;
/// assert_eq!(spec.interval(), Duration::from_secs(5));
/// // What is not set follows from what is.
/// assert_eq!(spec.down_interval(), Duration::from_secs(5));
/// assert!(spec.with_rise(0).is_err());
/// # Ok::<(), lb_health::spec::SpecError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct CheckSpec {
    interval: Duration,
    fast_interval: Duration,
    down_interval: Option<Duration>,
    timeout: Duration,
    warmup: Duration,
    thresholds: Thresholds,
    jitter_percent: u8,
    initially_up: bool,
    local_limit: Option<NonZeroU32>,
    heeds_traffic: bool,
}

impl CheckSpec {
    /// The longest interval, timeout or warm-up: a year. With it no deadline can overflow.
    pub const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    /// The largest jitter, in percent; HAProxy's `spread-checks` has the same bound.
    pub const LARGEST_JITTER: u8 = 50;

    /// keepalived's rules for a check with `delay_loop`, `retry` and `delay_before_retry`.
    ///
    /// The first result decides, one success brings a backend up, `retry` + 1 failures take it
    /// down, and it starts in the pool unless `alpha` is set (`check_tcp.c: tcp_check_end`). The
    /// first run is up to `delay_loop` away. On purpose not as there: the period counts from start
    /// to start and does not drift, and every run is jittered.
    ///
    /// # Errors
    ///
    /// If a duration is zero or above [`Self::LONGEST`].
    pub fn keepalived(
        delay_loop: Duration,
        retry: u32,
        delay_before_retry: Duration,
        alpha: bool,
    ) -> Result<Self, SpecError> {
        Ok(Self::default()
            .with_interval(delay_loop)?
            .with_fast_interval(delay_before_retry)?
            .with_timeout(Duration::from_secs(5))?
            .with_warmup(delay_loop)?
            .with_rise(1)?
            .with_fall(retry.saturating_add(1))?
            .with_initially_up(!alpha))
    }

    /// HAProxy's rules for a server with `inter`, `rise` and `fall`.
    ///
    /// A server starts up but on probation: its counter starts at `rise`, so the first failure takes
    /// it down and the first success clears it. Add [`Self::with_fast_interval`] and
    /// [`Self::with_down_interval`] for `fastinter` and `downinter`; unset there means `inter`.
    ///
    /// # Errors
    ///
    /// If `inter` is zero or above [`Self::LONGEST`], or a count is zero.
    pub fn haproxy(inter: Duration, rise: u32, fall: u32) -> Result<Self, SpecError> {
        Ok(Self::default()
            .with_interval(inter)?
            .with_fast_interval(inter)?
            .with_timeout(inter)?
            .with_rise(rise)?
            .with_fall(fall)?
            .with_initially_up(true))
    }

    /// The time from one start to the next in steady state. Default 2 s.
    ///
    /// # Errors
    ///
    /// If zero or above [`Self::LONGEST`].
    pub fn with_interval(self, interval: Duration) -> Result<Self, SpecError> {
        Ok(Self { interval: bounded("interval", interval)?, ..self })
    }

    /// The time from one start to the next near an edge: while a few results more would change the
    /// state. Never longer than the interval. Default 500 ms.
    ///
    /// # Errors
    ///
    /// If zero or above [`Self::LONGEST`].
    pub fn with_fast_interval(self, interval: Duration) -> Result<Self, SpecError> {
        Ok(Self { fast_interval: bounded("fast interval", interval)?, ..self })
    }

    /// The time from one start to the next while down. Default: the interval.
    ///
    /// # Errors
    ///
    /// If zero or above [`Self::LONGEST`].
    pub fn with_down_interval(self, interval: Duration) -> Result<Self, SpecError> {
        Ok(Self { down_interval: Some(bounded("down interval", interval)?), ..self })
    }

    /// The time a whole run may take. Default 1 s. It may exceed the intervals: the next run then
    /// waits until this one is over.
    ///
    /// # Errors
    ///
    /// If zero or above [`Self::LONGEST`].
    pub fn with_timeout(self, timeout: Duration) -> Result<Self, SpecError> {
        Ok(Self { timeout: bounded("timeout", timeout)?, ..self })
    }

    /// The first run starts at a random time within this one. Default zero: at once.
    ///
    /// # Errors
    ///
    /// If above [`Self::LONGEST`].
    pub fn with_warmup(self, warmup: Duration) -> Result<Self, SpecError> {
        if warmup > Self::LONGEST {
            return Err(SpecError::TooLong { what: "warmup", duration: warmup });
        }
        Ok(Self { warmup, ..self })
    }

    /// The successes in a row that bring a check up. Default 2.
    ///
    /// # Errors
    ///
    /// If zero.
    pub fn with_rise(mut self, rise: u32) -> Result<Self, SpecError> {
        self.thresholds.rise = NonZeroU32::new(rise).ok_or(SpecError::Zero { what: "rise" })?;
        Ok(self)
    }

    /// The failures in a row that take a check down. Default 3: one lost packet must not.
    ///
    /// # Errors
    ///
    /// If zero.
    pub fn with_fall(mut self, fall: u32) -> Result<Self, SpecError> {
        self.thresholds.fall = NonZeroU32::new(fall).ok_or(SpecError::Zero { what: "fall" })?;
        Ok(self)
    }

    /// Whether the very first result decides alone, whatever rise and fall say. Default true.
    #[must_use]
    pub const fn with_first_decisive(mut self, first_decisive: bool) -> Self {
        self.thresholds.first_decisive = first_decisive;
        self
    }

    /// How far two starts in a row may stray from the interval, in percent of it, either way.
    /// Default 10.
    ///
    /// Each run is moved by up to half of that around its place on a fixed grid, so the mean is
    /// the interval itself and nothing drifts. A run at the fast interval is up to so many percent of
    /// that later, and never earlier.
    ///
    /// # Errors
    ///
    /// If above [`Self::LARGEST_JITTER`].
    pub const fn with_jitter_percent(mut self, percent: u8) -> Result<Self, SpecError> {
        if percent > Self::LARGEST_JITTER {
            return Err(SpecError::Jitter { percent });
        }
        self.jitter_percent = percent;
        Ok(self)
    }

    /// Whether a backend that was never checked counts as up. Default false: no traffic before the
    /// first verdict (keepalived's `alpha`).
    #[must_use]
    pub const fn with_initially_up(mut self, initially_up: bool) -> Self {
        self.initially_up = initially_up;
        self
    }

    /// After this many local errors in a row each further one counts as a failure of the target;
    /// `None`, the default, never does that: a broken checker takes no backend down.
    #[must_use]
    pub const fn with_local_limit(mut self, limit: Option<NonZeroU32>) -> Self {
        self.local_limit = limit;
        self
    }

    /// Whether what real traffic meets with counts for the check as well: see
    /// [`Monitor::handle_passive`](crate::Monitor::handle_passive). Default true; not for a check that asks
    /// about something else than whether clients can connect, such as a number in a file.
    #[must_use]
    pub const fn heeding_traffic(mut self, heeds: bool) -> Self {
        self.heeds_traffic = heeds;
        self
    }

    /// See [`Self::with_interval`].
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// See [`Self::with_fast_interval`].
    pub fn fast_interval(&self) -> Duration {
        self.fast_interval.min(self.interval)
    }

    /// See [`Self::with_down_interval`].
    pub fn down_interval(&self) -> Duration {
        self.down_interval.unwrap_or(self.interval)
    }

    /// The shortest time between two starts, whatever happens: the shortest of the three intervals,
    /// jitter taken off.
    pub fn shortest_interval(&self) -> Duration {
        let steady = self.interval.min(self.down_interval());
        self.fast_interval().min(steady - self.percent_of(steady))
    }

    /// See [`Self::with_timeout`].
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// See [`Self::with_warmup`].
    pub const fn warmup(&self) -> Duration {
        self.warmup
    }

    /// Rise, fall and whether the first result decides.
    pub const fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// See [`Self::with_jitter_percent`].
    pub const fn jitter_percent(&self) -> u8 {
        self.jitter_percent
    }

    /// See [`Self::with_initially_up`].
    pub const fn initially_up(&self) -> bool {
        self.initially_up
    }

    /// See [`Self::with_local_limit`].
    pub const fn local_limit(&self) -> Option<NonZeroU32> {
        self.local_limit
    }

    /// See [`Self::heeding_traffic`].
    pub const fn heeds_traffic(&self) -> bool {
        self.heeds_traffic
    }

    /// The jitter of runs that are `interval` apart.
    pub(crate) fn percent_of(&self, interval: Duration) -> Duration {
        interval * u32::from(self.jitter_percent) / 100
    }
}

impl Default for CheckSpec {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(2),
            fast_interval: Duration::from_millis(500),
            down_interval: None,
            timeout: Duration::from_secs(1),
            warmup: Duration::ZERO,
            thresholds: Thresholds::default(),
            jitter_percent: 10,
            initially_up: false,
            local_limit: None,
            heeds_traffic: true,
        }
    }
}

/// A check cannot run like this.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// The jitter would let runs overtake each other.
    #[error("a jitter of {percent} % is above {} %", CheckSpec::LARGEST_JITTER)]
    Jitter {
        /// The jitter, in percent of the interval.
        percent: u8,
    },
    /// A duration is above [`CheckSpec::LONGEST`].
    #[error("the {what} of {duration:?} is longer than a year")]
    TooLong {
        /// The parameter.
        what: &'static str,
        /// Its value.
        duration: Duration,
    },
    /// A parameter that must not be zero is.
    #[error("the {what} must not be zero")]
    Zero {
        /// The parameter.
        what: &'static str,
    },
}

fn bounded(what: &'static str, duration: Duration) -> Result<Duration, SpecError> {
    if duration.is_zero() {
        Err(SpecError::Zero { what })
    } else if duration > CheckSpec::LONGEST {
        Err(SpecError::TooLong { what, duration })
    } else {
        Ok(duration)
    }
}
