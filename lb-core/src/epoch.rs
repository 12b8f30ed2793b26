//! The instant that others are counted from, where many threads count.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::sync::{AtomicBool, Ordering};

/// The first instant that it was shown. Instants do not fit into an atomic; what has passed since
/// another one does.
#[derive(Debug, Default)]
pub(crate) struct Epoch {
    first: OnceLock<Instant>,
    /// Whether somebody sets the first one, or has.
    claimed: AtomicBool,
}

impl Epoch {
    /// How much later `now` is than the first, which is `now` if there was none. `None` while another
    /// thread sets the first one: nobody waits for it.
    #[inline]
    pub(crate) fn begin(&self, now: Instant) -> Option<Duration> {
        let known = self.since(now);
        if known.is_some() || self.claimed.swap(true, Ordering::Relaxed) {
            return known;
        }
        let first = *self.first.get_or_init(|| now);
        Some(now.saturating_duration_since(first))
    }

    /// How much later `now` is than the first; `None` if there was none.
    #[inline]
    pub(crate) fn since(&self, now: Instant) -> Option<Duration> {
        Some(now.saturating_duration_since(*self.first.get()?))
    }
}

#[cfg(all(test, lb_loom))]
pub(crate) mod model {
    use std::sync::Arc;

    use loom::thread;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "there is no other way to make an Instant")]
    fn one_of_two_threads_is_first_and_the_other_does_not_wait() {
        crate::model::explore(|| {
            let (epoch, start) = (Arc::new(Epoch::default()), Instant::now());
            let later = start + Duration::from_secs(1);
            let other = Arc::clone(&epoch);
            let thread = thread::spawn(move || other.begin(later));
            let here = epoch.begin(start);
            let there = thread.join().unwrap();
            let first = if epoch.since(later) == Some(Duration::ZERO) { later } else { start };
            for (seen, at) in [(here, start), (there, later)] {
                assert!(seen.is_none_or(|seen| seen == at.saturating_duration_since(first)));
            }
            assert!(here.is_some() || there.is_some());
        });
    }
}

#[cfg(all(test, not(lb_loom)))]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "there is no other way to make an Instant")]
    fn instants_are_counted_from_the_first_one_shown() {
        let (epoch, start) = (Epoch::default(), Instant::now());
        let [early, late] = [0, 5].map(|seconds| start + Duration::from_secs(seconds));
        assert_eq!(epoch.since(late), None);
        assert_eq!(epoch.begin(late), Some(Duration::ZERO));
        assert_eq!(
            epoch.begin(early),
            Some(Duration::ZERO),
            "whoever is before the first is at it"
        );
        assert_eq!(epoch.since(late + Duration::from_secs(1)), Some(Duration::from_secs(1)));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "there is no other way to make an Instant")]
    fn nobody_waits_for_the_first_instant() {
        let epoch = Epoch::default();
        epoch.claimed.store(true, Ordering::Relaxed);
        assert_eq!(epoch.begin(Instant::now()), None);
    }
}
