//! Slow start: a backend that comes back takes on its share bit by bit.

use std::time::{Duration, Instant};

use crate::weight::Weight;

/// In how many steps a share is taken on. While anybody is on the way, all weights are given in
/// these parts (as HAProxy scales them by 16), so that a weight of 1 has steps, too; and whoever goes
/// by no weights is given the steps themselves.
pub(super) const STEPS: u16 = 16;

/// A backend on its way to its whole share.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlowStart {
    begun: Instant,
    lasts: Duration,
}

impl SlowStart {
    /// Begins now, if both are known.
    pub(super) fn of(begun: Option<Instant>, lasts: Option<Duration>) -> Option<Self> {
        let (begun, lasts) = begun.zip(lasts)?;
        Some(Self { begun, lasts })
    }

    /// The same in another time.
    pub(super) const fn lasting(self, lasts: Duration) -> Self {
        Self { lasts, ..self }
    }

    /// The parts of its share that it takes, from 1 to [`STEPS`].
    pub(super) fn step(&self, now: Instant) -> u16 {
        let gone = now.saturating_duration_since(self.begun);
        if gone >= self.lasts {
            return STEPS;
        }
        // Less than the whole: the quotient is below STEPS.
        let step = gone.as_nanos() * u128::from(STEPS) / self.lasts.as_nanos();
        (step as u16).max(1)
    }

    /// When it takes on the next part. `None` if it has all of them.
    pub(super) fn next_step(&self, now: Instant) -> Option<Instant> {
        let next = self.step(now) + 1;
        // Rounded up, so that the step has come when the time has.
        let after = (self.lasts.as_nanos() * u128::from(next)).div_ceil(STEPS.into());
        self.begun.checked_add(nanoseconds(after)).filter(|_| next <= STEPS)
    }
}

/// Whether a backend takes new flows, and how it comes to do so.
#[derive(Clone, Copy, Debug)]
pub(super) enum Service {
    /// It takes none.
    Away {
        /// Whether it would be new to its share: it was in service before, or has come to others.
        is_cold: bool,
    },
    /// It does.
    Serving {
        /// On the way to its share, unless it had that at once.
        slow_start: Option<SlowStart>,
    },
}

impl Service {
    /// It takes new flows: if it is cold, `slowly`.
    #[must_use]
    pub(super) fn serving(self, slowly: Option<SlowStart>) -> Self {
        match self {
            Self::Away { is_cold } => Self::Serving { slow_start: slowly.filter(|_| is_cold) },
            Self::Serving { .. } => self,
        }
    }

    /// It takes none, and is cold if it took some before, or is `known` to be out of service.
    #[must_use]
    pub(super) const fn away(self, known: bool) -> Self {
        match self {
            Self::Away { is_cold } => Self::Away { is_cold: is_cold || known },
            Self::Serving { .. } => Self::Away { is_cold: true },
        }
    }

    /// The same, on the way for so long, or no longer.
    #[must_use]
    pub(super) fn lasting(self, slow_start: Option<Duration>) -> Self {
        match self {
            Self::Away { .. } => self,
            Self::Serving { slow_start: slow } => Self::Serving {
                slow_start: slow.zip(slow_start).map(|(slow, lasts)| slow.lasting(lasts)),
            },
        }
    }

    pub(super) const fn slow_start(&self) -> Option<&SlowStart> {
        match self {
            Self::Away { .. } => None,
            Self::Serving { slow_start } => slow_start.as_ref(),
        }
    }
}

/// So many steps' part of the `whole`. At least 1, unless that is 0.
pub(super) fn part(whole: Weight, step: u16) -> Weight {
    let part = u32::from(whole.value()) * u32::from(step.min(STEPS)) / u32::from(STEPS);
    Weight::new(part as u16).max(whole.min(Weight::ONE))
}

fn nanoseconds(count: u128) -> Duration {
    const SECOND: u128 = 1_000_000_000;
    Duration::new((count / SECOND) as u64, (count % SECOND) as u32)
}
