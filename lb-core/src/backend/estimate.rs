//! How long a backend takes, in one word that is read and written without a lock.
//!
//! Integers throughout: the same samples at the same times make the same estimate, and so the same
//! choice, on every platform.

use std::fmt;
use std::time::Duration;

use crate::sync::{AtomicU64, Ordering};

/// In milliseconds. After so long without a flow an average is only half as bad: slow backends get
/// another chance. (nginx's default `fail_timeout`.)
const FORGIVENESS: u32 = 10_000;

/// In milliseconds. How fast a peak wears off: to a half in this time, and so to 1/e in 10 s (Finagle's
/// default decay).
const HALF_LIFE: u32 = 6_931;

/// An estimate in microseconds beside the time, in milliseconds, that it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamped {
    estimate: u32,
    tick: u32,
}

impl Stamped {
    const fn unpack(word: u64) -> Self {
        Self { estimate: (word >> 32) as u32, tick: word as u32 }
    }

    const fn pack(self) -> u64 {
        (self.estimate as u64) << 32 | self.tick as u64
    }

    /// How old the estimate is; 0 if another thread is ahead of this one.
    const fn age(self, now: u32) -> u32 {
        let age = now.wrapping_sub(self.tick);
        if age > u32::MAX / 2 { 0 } else { age }
    }

    /// What is `left` of the estimate, if there is one.
    fn known(self, left: u32) -> Option<Duration> {
        (self.estimate > 0).then(|| Duration::from_micros(left.max(1).into()))
    }

    /// Another estimate, of now or of when another thread is already.
    const fn renewed(self, estimate: u32, now: u32) -> u64 {
        let tick = if self.estimate == 0 { now } else { self.tick.wrapping_add(self.age(now)) };
        Self { estimate, tick }.pack()
    }
}

/// At least a microsecond, so that 0 means that nothing is known; at most 71 minutes.
fn microseconds(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX).max(1)
}

/// nginx's average of response times: each new one counts for a twentieth.
#[derive(Default)]
pub(crate) struct Mean(AtomicU64);

impl Mean {
    pub(crate) fn sample(&self, now: u32, took: Duration) {
        let took = microseconds(took);
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            let stamped = Stamped::unpack(word);
            let estimate = match stamped.estimate {
                0 => took,
                mean => ((u64::from(mean) * 19 + u64::from(took) + 10) / 20) as u32,
            };
            Some(stamped.renewed(estimate, now))
        });
    }

    /// A flow was sent there: its outcome will tell, so that there is nothing to forgive.
    pub(crate) fn chosen(&self, now: u32) {
        let word = self.0.load(Ordering::Relaxed);
        let stamped = Stamped::unpack(word);
        if stamped.age(now) > FORGIVENESS {
            let fresh = stamped.renewed(stamped.estimate, now);
            // If somebody else was faster, it is fresh already.
            let _ = self.0.compare_exchange(word, fresh, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// The average, halved for every full time of forgiveness that nobody was sent there. `None` if
    /// nothing is known.
    pub(crate) fn at(&self, now: Option<u32>) -> Option<Duration> {
        let stamped = Stamped::unpack(self.0.load(Ordering::Relaxed));
        let halvings = now.map_or(0, |now| stamped.age(now) / (FORGIVENESS + 1));
        stamped.known(stamped.estimate.checked_shr(halvings).unwrap_or(0))
    }
}

/// The peak-sensitive moving average of Finagle and linkerd: up at once, down slowly.
#[derive(Default)]
pub(crate) struct Peak(AtomicU64);

impl Peak {
    pub(crate) fn sample(&self, now: u32, took: Duration) {
        let took = microseconds(took);
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            let stamped = Stamped::unpack(word);
            let estimate = if took >= stamped.estimate {
                took
            } else {
                // What is left of the old one, and of the new one what that makes room for.
                took + halved(stamped.estimate - took, stamped.age(now))
            };
            Some(stamped.renewed(estimate, now))
        });
    }

    /// The estimate, which wears off while there is no news. `None` if nothing is known.
    pub(crate) fn at(&self, now: Option<u32>) -> Option<Duration> {
        let stamped = Stamped::unpack(self.0.load(Ordering::Relaxed));
        stamped.known(halved(stamped.estimate, now.map_or(0, |now| stamped.age(now))))
    }
}

/// `value · 2^(−age / HALF_LIFE)`, to within two thousandths: the fraction of a half-life by a cubic
/// that is exact at both ends.
fn halved(value: u32, age: u32) -> u32 {
    let whole = value.checked_shr(age / HALF_LIFE).unwrap_or(0);
    // All in 65 536ths: 1 − x · (0.6902 − x · (0.2262 − x · 0.036)).
    let part = u64::from(age % HALF_LIFE) * 65_536 / u64::from(HALF_LIFE);
    let times = |factor: u64| (part * factor) >> 16;
    let lost = times(45_233 - times(14_824 - times(2_359)));
    ((u64::from(whole) * (65_536 - lost)) >> 16) as u32
}

impl fmt::Debug for Mean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Stamped::unpack(self.0.load(Ordering::Relaxed)).fmt(f)
    }
}

impl fmt::Debug for Peak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Stamped::unpack(self.0.load(Ordering::Relaxed)).fmt(f)
    }
}

#[cfg(all(test, not(lb_loom)))]
mod tests {
    use super::*;

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn wearing_off_is_exponential() {
        for age in 0..100_000 {
            let exact = 1e9 * (-f64::from(age) / 10_000.0).exp();
            let ours = f64::from(halved(1_000_000_000, age));
            assert!((ours - exact).abs() < exact * 0.002 + 1.0, "{age}: {ours} for {exact}");
        }
        assert_eq!(halved(u32::MAX, u32::MAX), 0);
        assert_eq!(halved(u32::MAX, 0), u32::MAX);
    }

    #[test]
    fn a_mean_follows_slowly_and_forgives() {
        let mean = Mean::default();
        assert_eq!(mean.at(Some(0)), None);
        mean.sample(0, millis(100));
        assert_eq!(mean.at(Some(10_000)), Some(millis(100)));
        mean.sample(1, millis(200));
        assert_eq!(mean.at(Some(1)), Some(millis(105)));
        assert_eq!(mean.at(Some(1 + 10_001)), Some(millis(105) / 2));
        assert_eq!(mean.at(Some(1 + 20_002)), Some(millis(105) / 4));
        // Never forgotten altogether: it stays known.
        assert_eq!(mean.at(Some(2_000_000_000)), Some(Duration::from_micros(1)));
        mean.chosen(30_000);
        assert_eq!(mean.at(Some(40_000)), Some(millis(105)));
    }

    #[test]
    fn a_peak_rises_at_once_and_falls_slowly() {
        let peak = Peak::default();
        assert_eq!(peak.at(Some(0)), None);
        peak.sample(0, millis(10));
        peak.sample(0, millis(100));
        assert_eq!(peak.at(Some(0)), Some(millis(100)));
        // At the same moment a smaller one tells nothing new.
        peak.sample(0, millis(10));
        assert_eq!(peak.at(Some(0)), Some(millis(100)));
        peak.sample(HALF_LIFE, millis(10));
        assert_eq!(peak.at(Some(HALF_LIFE)), Some(millis(55)));
        assert_eq!(peak.at(Some(2 * HALF_LIFE)), Some(millis(55) / 2));
        // A clock that another thread read a little earlier does not count as 49 days.
        peak.sample(HALF_LIFE - 5, millis(10));
        assert_eq!(peak.at(Some(HALF_LIFE)), Some(millis(55)));
    }
}
