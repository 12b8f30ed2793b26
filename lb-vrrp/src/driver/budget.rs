//! So many at once, and then one at a time: the generic cell rate algorithm (ITU-T I.371 A.1), which
//! is a token bucket that needs one instant.

use std::time::{Duration, Instant};

/// What may be spent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// How many at once; 0 counts as 1.
    pub(super) burst: u16,
    /// After how long there may be one more; zero for no limit.
    pub(super) spacing: Duration,
}

/// Beyond this no two are apart (136 years): there is no clock that could say so of a whole burst.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

impl Budget {
    pub(super) const fn new(burst: u16, spacing: Duration) -> Self {
        Self { burst, spacing }
    }

    fn spacing(self) -> Duration {
        self.spacing.min(LONGEST)
    }

    /// How far ahead of its time one may be.
    fn tolerance(self) -> Duration {
        self.spacing() * u32::from(self.burst.saturating_sub(1))
    }
}

/// What of a budget was spent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    /// When the whole burst may be used again.
    full_at: Option<Instant>,
}

impl Spent {
    /// When one more may be spent: `now`, unless it is later.
    pub(super) fn earliest(&self, budget: Budget, now: Instant) -> Instant {
        // Without the tolerance it is in the past, as far as there is a past.
        let at = self.full_at.and_then(|full| full.checked_sub(budget.tolerance()));
        at.map_or(now, |at| at.max(now))
    }

    /// One more.
    pub(super) fn spend(&mut self, budget: Budget, now: Instant) {
        let from = self.full_at.map_or(now, |full| full.max(now));
        self.full_at = from.checked_add(budget.spacing()).or(Some(from));
    }

    /// When one more may be spent, which is spent by that.
    pub(super) fn reserve(&mut self, budget: Budget, now: Instant) -> Instant {
        let at = self.earliest(budget, now);
        self.spend(budget, now);
        at
    }

    /// Whether nothing of it is missing.
    pub(super) fn is_whole(&self, now: Instant) -> bool {
        self.full_at.is_none_or(|full| full <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[allow(clippy::disallowed_methods, reason = "any instant is the beginning")]
    fn beginning() -> Instant {
        Instant::now()
    }

    /// How many may be spent at this moment.
    fn at_once(spent: &mut Spent, budget: Budget, now: Instant) -> usize {
        let mut count = 0;
        while spent.earliest(budget, now) == now && count < 1000 {
            spent.spend(budget, now);
            count += 1;
        }
        count
    }

    #[test]
    fn after_the_burst_there_is_one_a_spacing() {
        let (budget, mut spent, now) = (Budget::new(3, 10 * MS), Spent::default(), beginning());
        assert_eq!(at_once(&mut spent, budget, now), 3);
        assert_eq!(spent.earliest(budget, now), now + 10 * MS);
        assert_eq!(at_once(&mut spent, budget, now + 9 * MS), 0);
        assert_eq!(at_once(&mut spent, budget, now + 25 * MS), 2);
        assert!(!spent.is_whole(now + 49 * MS) && spent.is_whole(now + 50 * MS));
        assert_eq!(at_once(&mut spent, budget, now + 50 * MS), 3);
    }

    #[test]
    fn the_ends_of_what_can_be_said_are_no_trap() {
        let now = beginning();
        for (burst, spacing, expected) in [
            (0, 10 * MS, 1),
            (1, Duration::ZERO, 1000),
            (3, Duration::MAX, 3),
            (999, Duration::MAX, 999),
            (u16::MAX, Duration::MAX, 1000),
        ] {
            let (budget, mut spent) = (Budget::new(burst, spacing), Spent::default());
            assert_eq!(at_once(&mut spent, budget, now), expected, "{budget:?}");
            if spacing == Duration::MAX {
                assert!(expected == 1000 || spent.earliest(budget, now) > now + LONGEST / 2);
            }
        }
    }
}
