//! Draining: for how long the clients of a backend are kept that takes no new ones.

use std::time::{Duration, Instant};

/// Whether a backend drains, and for how long its clients are kept.
///
/// ```text
///         weight 0 while up               its time is over
///   No ───────────────────────▶ Since ────────────────────▶ Over
///    ◀──────────────────────────┘ ◀── a longer time ─────────┤
///    ◀──────────── weight above 0, down or ejected ──────────┘
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Draining {
    #[default]
    No,
    /// It does since then, and its clients are kept.
    Since(Instant),
    /// It does since then, and its clients are kept no longer.
    Over(Instant),
}

impl Draining {
    /// What it comes to `now`, where it `drains` or not, and may for as long as it `lasts`.
    #[must_use]
    pub(super) fn noted(self, drains: bool, now: Option<Instant>, lasts: Option<Duration>) -> Self {
        match self.since().or(now).filter(|_| drains) {
            None => Self::No,
            Some(since) => {
                let draining = Self::Since(since);
                let end = draining.until(lasts);
                let is_over = end.zip(now).is_some_and(|(end, now)| end <= now);
                if is_over { Self::Over(since) } else { draining }
            }
        }
    }

    const fn since(self) -> Option<Instant> {
        match self {
            Self::No => None,
            Self::Since(since) | Self::Over(since) => Some(since),
        }
    }

    /// Whether it has drained for as long as its clients are kept.
    pub(super) const fn is_over(self) -> bool {
        matches!(self, Self::Over(_))
    }

    /// Until when its clients are kept, or were, if it drains and that is to end.
    pub(super) fn until(self, lasts: Option<Duration>) -> Option<Instant> {
        // Further away than the clock goes is for ever.
        self.since()?.checked_add(lasts?)
    }
}
