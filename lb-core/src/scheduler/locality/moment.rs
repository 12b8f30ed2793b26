//! Instants as numbers that fit into an atomic beside other things.

use std::time::Duration;

/// When something happened, to the second; unknown by default.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Moment(u32);

impl Moment {
    /// What was so long after the first moment of all.
    pub(super) fn after(first: Duration) -> Self {
        let seconds = u32::try_from(first.as_secs()).unwrap_or(u32::MAX);
        // 0 is unknown.
        Self(seconds.saturating_add(1))
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_seconds_apart() {
        let after = |millis| Moment::after(Duration::from_millis(millis));
        let (second, first) = (Duration::from_secs(1), after(0));
        assert!(first.is_known());
        assert!(!after(1_000).is_later_by(second, first));
        assert!(after(2_000).is_later_by(second, first));
        assert!(!first.is_later_by(second, after(2_000)));
        assert!(!after(2_000).is_later_by(second, Moment::default()));
        assert_eq!(Moment::from_bits(first.to_bits()), first);
        assert!(Moment::after(Duration::MAX).is_known());
    }
}
