//! What an agent beside a backend wants to be done with it.

use lb_core::health::Admin;

/// What an agent beside a backend wants to be done with it, but for its health: part of a
/// [`Report`](crate::Report).
///
/// It is advice, since an administrator's word stands above it; and it holds until the next report
/// of the same check, so what that does not repeat is over.
///
/// ```
/// use lb_core::Weight;
/// use lb_health::{Advice, Report};
///
/// let advice = Advice { percent: Some(75), ..Advice::NONE };
/// assert_eq!(advice.weight_over(Weight::new(40)), Some(Weight::new(30)));
/// assert_eq!(Report::ALIVE.advice, Advice::NONE); // most checks have none
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Advice {
    /// Whether it is to take clients.
    pub admin: Option<Admin>,
    /// The most connections that it is to have.
    pub max_connections: Option<u32>,
    /// The weight that it is to have, in percent of the configured one. It may be above 100.
    pub percent: Option<u16>,
}

impl Advice {
    /// Nothing special.
    pub const NONE: Self = Self { admin: None, max_connections: None, percent: None };

    /// The weight asked for, where `configured` is set; `None` if nothing is asked for. It is zero
    /// only at 0 %: rounding drains nobody.
    pub fn weight_over(self, configured: lb_core::Weight) -> Option<lb_core::Weight> {
        let share = u32::from(configured.value()) * u32::from(self.percent?);
        let weight = u16::try_from(share.div_ceil(100)).unwrap_or(u16::MAX);
        Some(lb_core::Weight::new(weight))
    }
}

#[cfg(test)]
mod tests {
    use lb_core::Weight;

    use super::*;

    #[test]
    fn a_share_is_rounded_up_and_kept_within_bounds() {
        for (percent, configured, weight) in [
            (0, 10, 0),
            (1, 10, 1),
            (50, 1, 1),
            (100, 7, 7),
            (150, 10, 15),
            (u16::MAX, 60_000, u16::MAX),
        ] {
            let advice = Advice { percent: Some(percent), ..Advice::NONE };
            assert_eq!(advice.weight_over(Weight::new(configured)), Some(Weight::new(weight)));
        }
        assert_eq!(Advice::NONE.weight_over(Weight::ONE), None);
    }
}
