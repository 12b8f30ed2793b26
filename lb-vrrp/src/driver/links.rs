//! What is announced on each link by all of its routers together.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::budget::{Budget, Spent};
use crate::addresses::Family;

/// When the next one may be, for each link and family: ARP and neighbour discovery are limited each for
/// itself, as they are by keepalived (`garp_interval`, `gna_interval`).
#[derive(Debug, Default)]
pub(super) struct Links(HashMap<(u32, Family), Spent>);

impl Links {
    /// When one more frame may go out, which then is somebody's to use; with no `spacing`, or on no
    /// link that is known, at once.
    pub(super) fn reserve(
        &mut self,
        link: Option<u32>,
        family: Family,
        spacing: Duration,
        now: Instant,
    ) -> Instant {
        let Some(link) = link.filter(|_| !spacing.is_zero()) else { return now };
        // What nobody waits for is not kept, be there ever so many interfaces in the course of time.
        self.0.retain(|_, spent| !spent.is_whole(now));
        self.0.entry((link, family)).or_default().reserve(Budget::new(1, spacing), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const NO_TIME: Duration = Duration::ZERO;

    #[test]
    fn those_of_one_link_wait_for_each_other() {
        #[allow(clippy::disallowed_methods, reason = "any instant is the beginning")]
        let now = Instant::now();
        let mut links = Links::default();
        let mut reserve =
            |link, family, spacing, at| links.reserve(link, family, spacing, at) - now;
        let (one, v4) = (Some(1), Family::V4);
        assert_eq!(reserve(one, v4, 10 * MS, now), NO_TIME);
        assert_eq!(reserve(one, v4, 10 * MS, now), 10 * MS);
        assert_eq!(reserve(one, Family::V6, 10 * MS, now), NO_TIME);
        assert_eq!(reserve(Some(2), v4, 10 * MS, now), NO_TIME);
        // Who has no limit neither waits nor is waited for.
        assert_eq!(reserve(one, v4, NO_TIME, now), NO_TIME);
        assert_eq!(reserve(None, v4, 10 * MS, now), NO_TIME);
        // Each waits for as long as the one before wants to be alone.
        assert_eq!(reserve(one, v4, 50 * MS, now), 20 * MS);
        assert_eq!(reserve(one, v4, 10 * MS, now), 70 * MS);
        assert_eq!(reserve(one, v4, 10 * MS, now + 500 * MS), 500 * MS);
        assert_eq!(links.0.len(), 1, "nobody waits for the others");
    }
}
