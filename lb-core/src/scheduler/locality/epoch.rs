//! Instants as numbers that fit into an atomic beside other things.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// When something happened, to the second; unknown by default.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Moment(u32);

impl Moment {
    pub(super) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub(super) const fn to_bits(self) -> u32 {
        self.0
    }

    pub(super) const fn is_known(self) -> bool {
        self.0 > 0
    }

    /// Whether more than `duration` has passed since `earlier`, as far as both are known.
    pub(super) fn is_later_by(self, duration: Duration, earlier: Self) -> bool {
        self.is_known()
            && earlier.is_known()
            && u64::from(self.0.saturating_sub(earlier.0)) > duration.as_secs()
    }
}

/// The first instant ever seen. Moments are counted from it.
#[derive(Debug, Default)]
pub(super) struct Epoch {
    first: OnceLock<Instant>,
    claimed: AtomicBool,
}

impl Epoch {
    /// The moment of `now`. Unknown if that is, and while another thread sets the first one: a pick
    /// does not wait for it.
    pub(super) fn moment(&self, now: Option<Instant>) -> Moment {
        let Some(now) = now else { return Moment::default() };
        let first = match self.first.get() {
            Some(first) => *first,
            None if self.claimed.swap(true, Ordering::Relaxed) => return Moment::default(),
            None => *self.first.get_or_init(|| now),
        };
        let seconds = now.saturating_duration_since(first).as_secs();
        Moment(u32::try_from(seconds).map_or(u32::MAX, |seconds| seconds.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "there is no other way to make an Instant")]
    fn moments_are_counted_from_the_first_instant_shown() {
        let (epoch, start) = (Epoch::default(), Instant::now());
        let after = |millis| epoch.moment(Some(start + Duration::from_millis(millis)));
        let second = Duration::from_secs(1);
        assert_eq!(epoch.moment(None), Moment::default());
        let first = after(5_000);
        assert!(first.is_known());
        // Whoever is before the first is at it.
        assert_eq!(after(0), first);
        assert!(!after(6_000).is_later_by(second, first));
        assert!(after(7_000).is_later_by(second, first));
        assert!(!first.is_later_by(second, after(7_000)));
        assert!(!after(7_000).is_later_by(second, Moment::default()));
        assert_eq!(Moment::from_bits(first.to_bits()), first);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "there is no other way to make an Instant")]
    fn nobody_waits_for_the_first_instant() {
        let epoch = Epoch::default();
        epoch.claimed.store(true, Ordering::Relaxed);
        assert_eq!(epoch.moment(Some(Instant::now())), Moment::default());
    }
}
