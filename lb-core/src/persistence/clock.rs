//! A table's own clock: instants as small numbers.

use std::time::{Duration, Instant};

/// How many ticks the longest timeout has: a quarter of what 32 bits count, so that ages never
/// come near the point where they would wrap around.
const LONGEST: u64 = 1 << 30;
/// A tick has at most 2¹² ms, so that the longest timeout is 139 years.
const COARSEST: u32 = 12;

/// Counts ticks since the first instant that it was shown, and never goes back.
///
/// A tick is a millisecond if the timeout is below twelve days, else the smallest power of two of
/// milliseconds of which the timeout has at most 2³⁰.
#[derive(Debug)]
pub(super) struct Clock {
    origin: Option<Instant>,
    /// A tick has 2 to the power of this many milliseconds.
    shift: u32,
    latest: u64,
    /// Before this, no further tick has passed: comparing costs less than subtracting.
    next: Option<Instant>,
}

impl Clock {
    pub(super) fn for_timeout(timeout: Duration) -> Self {
        let millis = whole_millis(timeout);
        let fits = |shift: &u32| millis.div_ceil(1 << *shift) <= LONGEST;
        let shift = (0..COARSEST).find(fits).unwrap_or(COARSEST);
        Self { origin: None, shift, latest: 0, next: None }
    }

    /// So many ticks, rounded up; at most the longest timeout.
    pub(super) fn ticks(&self, duration: Duration) -> u32 {
        whole_millis(duration).div_ceil(1 << self.shift).min(LONGEST) as u32
    }

    /// So many ticks, in milliseconds.
    pub(super) const fn millis(&self, ticks: u32) -> u64 {
        (ticks as u64) << self.shift
    }

    /// How many ticks `now` is later than the latest instant seen; 0 if it is not.
    #[inline]
    pub(super) fn ahead(&mut self, now: Instant) -> u64 {
        if self.next.is_some_and(|next| now < next) { 0 } else { self.passed(now) }
    }

    #[cold]
    fn passed(&mut self, now: Instant) -> u64 {
        let origin = *self.origin.get_or_insert(now);
        let since = now.saturating_duration_since(origin);
        let millis =
            since.as_secs().saturating_mul(1000).saturating_add(since.subsec_millis().into());
        let ahead = (millis >> self.shift).saturating_sub(self.latest);
        self.next = self.start_of(self.latest + ahead + 1);
        ahead
    }

    pub(super) const fn advance(&mut self, ticks: u64) {
        self.latest += ticks;
    }

    /// The latest tick, as entries store it.
    pub(super) const fn stamp(&self) -> u32 {
        self.latest as u32
    }

    /// How many ticks ago something was stamped; right if that is less than 2³².
    pub(super) const fn age(&self, stamp: u32) -> u32 {
        self.stamp().wrapping_sub(stamp)
    }

    /// The latest tick.
    pub(super) const fn latest(&self) -> u64 {
        self.latest
    }

    /// When a tick begins; `None` beyond the system's clock, or before any instant was seen.
    pub(super) fn start_of(&self, tick: u64) -> Option<Instant> {
        self.origin?.checked_add(Duration::from_millis(tick << self.shift))
    }
}

fn whole_millis(duration: Duration) -> u64 {
    let millis = duration.as_nanos().div_ceil(1_000_000);
    u64::try_from(millis).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_as_fine_as_the_timeout_allows() {
        let shift = |millis| Clock::for_timeout(Duration::from_millis(millis)).shift;
        assert_eq!([0, 1, LONGEST].map(shift), [0, 0, 0]);
        assert_eq!([LONGEST + 1, 2 * LONGEST, 2 * LONGEST + 1].map(shift), [1, 1, 2]);
        assert_eq!(Clock::for_timeout(Duration::MAX).shift, COARSEST);
        let clock = Clock::for_timeout(Duration::from_secs(60));
        assert_eq!(clock.ticks(Duration::from_nanos(1)), 1);
        assert_eq!(clock.ticks(Duration::from_secs(60)), 60_000);
        assert_eq!(u64::from(clock.ticks(Duration::MAX)), LONGEST);
    }
}
