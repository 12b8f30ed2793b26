//! How many flows a backend takes at once.

use std::num::NonZeroU32;

/// How many flows a backend takes at once: a hard limit, a pair of thresholds with hysteresis, both,
/// or (the default) neither.
///
/// - **`max_connections`** (HAProxy's `maxconn`, nginx's `max_conns`): never more than so many, not
///   even for a moment, however many threads assign at once.
/// - **`upper` and `lower`** (IPVS' `u_threshold` and `l_threshold`, `ip_vs_dest_update_overload`):
///   with the `upper`th flow the backend counts as overloaded and takes no other until there are
///   fewer than `lower`; or fewer than three quarters of `upper`, if no `lower` is given.
///
/// Either way it is *full*: new flows go elsewhere, those it has stay.
///
/// ```
/// use std::{num::NonZeroU32, sync::Arc};
/// use lb_core::backend::{BackendId, Limits};
/// use lb_core::{Backend, Lease};
///
/// let (two, four) = (NonZeroU32::new(2).unwrap(), NonZeroU32::new(4).unwrap());
/// let backend = Arc::new(Backend::new(BackendId::new(0), "a", ()));
/// backend.set_limits(Limits::NONE.overloaded_at(four, Some(two))?);
/// let mut flows: Vec<_> = (0..4).map(|_| Lease::try_new(&backend).unwrap()).collect();
/// assert!(Lease::try_new(&backend).is_none());
/// flows.truncate(2); // not below `lower` yet
/// assert!(Lease::try_new(&backend).is_none());
/// flows.truncate(1);
/// assert!(Lease::try_new(&backend).is_some());
/// # Ok::<(), lb_core::backend::LimitsError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Limits {
    max: Option<NonZeroU32>,
    thresholds: Option<Thresholds>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Thresholds {
    upper: NonZeroU32,
    /// Fewer flows than this end the overload.
    lower: u32,
}

/// The lower threshold of an overload is above the upper one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[error("a backend overloaded at {upper} flows cannot be relieved below {lower} already")]
pub struct LimitsError {
    /// The upper threshold.
    pub upper: u32,
    /// The lower one.
    pub lower: u32,
}

impl Limits {
    /// As many flows as come.
    pub const NONE: Self = Self { max: None, thresholds: None };

    /// The same with at most `max` flows at once.
    #[must_use]
    pub const fn at_most(self, max: NonZeroU32) -> Self {
        Self { max: Some(max), ..self }
    }

    /// The same with overload from `upper` flows on, until there are fewer than `lower`; without a
    /// `lower`, until there are fewer than three quarters of `upper`.
    ///
    /// # Errors
    /// [`LimitsError`], if `lower` is above `upper`: the overload would end before it began.
    pub const fn overloaded_at(
        self,
        upper: NonZeroU32,
        lower: Option<NonZeroU32>,
    ) -> Result<Self, LimitsError> {
        let lower = match lower {
            Some(lower) if lower.get() > upper.get() => {
                return Err(LimitsError { upper: upper.get(), lower: lower.get() });
            }
            Some(lower) => lower.get(),
            // Fewer than `upper · 3 / 4`, compared as `flows · 4 < upper · 3`.
            None => (upper.get() as u64 * 3).div_ceil(4) as u32,
        };
        Ok(Self { thresholds: Some(Thresholds { upper, lower }), ..self })
    }

    /// The same with at most `max` flows at once, or with as many as come.
    #[must_use]
    pub(crate) const fn with_maximum(self, max: Option<NonZeroU32>) -> Self {
        Self { max, ..self }
    }

    /// The most flows at once, if that is limited; thresholds aside.
    pub const fn maximum(&self) -> Option<NonZeroU32> {
        self.max
    }

    /// Whether there is no limit.
    #[inline]
    pub const fn is_none(&self) -> bool {
        self.max.is_none() && self.thresholds.is_none()
    }

    /// As atomics hold it: the maximum, the upper and the lower threshold, 0 for none.
    pub(crate) fn into_words(self) -> (u32, u32, u32) {
        let (upper, lower) = self.thresholds.map_or((0, 0), |two| (two.upper.get(), two.lower));
        (self.max.map_or(0, NonZeroU32::get), upper, lower)
    }

    /// The inverse of [`into_words`](Self::into_words).
    pub(crate) fn from_words(max: u32, upper: u32, lower: u32) -> Self {
        let thresholds = NonZeroU32::new(upper).map(|upper| Thresholds { upper, lower });
        Self { max: NonZeroU32::new(max), thresholds }
    }

    /// Whether a backend with so many flows has reached its hard limit.
    #[inline]
    pub(crate) fn is_reached(&self, flows: u32) -> bool {
        self.max.is_some_and(|max| flows >= max.get())
    }

    /// Whether a backend that comes to have so many flows is overloaded, if it `was` before.
    #[inline]
    pub(crate) fn is_overloaded(&self, flows: u32, was: bool) -> bool {
        self.thresholds.is_some_and(|Thresholds { upper, lower }| {
            flows >= upper.get() || (was && flows > 0 && flows >= lower)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_lower_threshold_three_quarters_end_the_overload() {
        for upper in 1..200 {
            let limits = Limits::NONE.overloaded_at(NonZeroU32::new(upper).unwrap(), None).unwrap();
            for flows in 0..=upper {
                // The kernel's formula.
                let kernel = flows * 4 >= upper * 3;
                assert_eq!(limits.is_overloaded(flows, true), kernel, "{flows} of {upper}");
                assert_eq!(limits.is_overloaded(flows, false), flows == upper);
            }
        }
    }

    #[test]
    fn thresholds_in_the_wrong_order_are_refused() {
        let [low, high] = [1, 2].map(|number| NonZeroU32::new(number).unwrap());
        let refused = Limits::NONE.overloaded_at(low, Some(high));
        assert_eq!(refused, Err(LimitsError { upper: 1, lower: 2 }));
    }
}
