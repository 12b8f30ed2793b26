//! Interfaces that flutter: a change counts when it has lasted.

use std::time::{Duration, Instant};

use crate::tracking::TrackerId;

/// How long an interface has to be down, or up again, before a router minds, its own and those that it
/// tracks. Default: not at all.
///
/// Down should be shorter than the silence after which others take over, less an interval: who is cut off for
/// longer than that will find another master. Up may be as long as it takes until a link that is back can be
/// trusted (spanning trees, say); until then it is down.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Debounce {
    /// Down.
    pub down: Duration,
    /// Up again.
    pub up: Duration,
}

impl Debounce {
    /// As long as that each.
    pub const fn new(down: Duration, up: Duration) -> Self {
        Self { down, up }
    }
}

/// Which interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Which {
    /// The router's own.
    Own,
    Tracked(TrackerId),
}

/// What is known of each interface, and what is about to be.
#[derive(Debug, Default)]
pub(super) struct Debouncer {
    pub(super) limits: Debounce,
    known: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    which: Which,
    is_up: bool,
    /// When it is the opposite, if nothing happens until then.
    due: Option<Instant>,
}

impl Debouncer {
    /// An interface was seen. What the router is to know now, if anything: the first thing that is seen
    /// counts at once.
    pub(super) fn see(&mut self, now: Instant, which: Which, is_up: bool) -> Option<bool> {
        let delay = if is_up { self.limits.up } else { self.limits.down };
        let Some(known) = self.known.iter_mut().find(|known| known.which == which) else {
            // Most have their own interface and no other one.
            self.known.reserve_exact(1);
            self.known.push(Known { which, is_up, due: None });
            return Some(is_up);
        };
        if known.is_up == is_up {
            known.due = None;
        } else if delay.is_zero() {
            (known.is_up, known.due) = (is_up, None);
        } else {
            // What would have to last for longer than any clock can say never counts.
            known.due = known.due.or(now.checked_add(delay));
            return None;
        }
        Some(is_up)
    }

    /// What is not tracked any more is forgotten: another thing may have its name some day.
    pub(super) fn keep(&mut self, is_tracked: impl Fn(TrackerId) -> bool) {
        self.known.retain(|known| match known.which {
            Which::Own => true,
            Which::Tracked(id) => is_tracked(id),
        });
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.known.iter().filter_map(|known| known.due).min()
    }

    /// A change that has lasted.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Which, bool)> {
        let known = self.known.iter_mut().find(|known| known.due.is_some_and(|due| due <= now))?;
        known.due = None;
        known.is_up = !known.is_up;
        Some((known.which, known.is_up))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn only_what_lasts_counts() {
        #[allow(clippy::disallowed_methods, reason = "any instant is the beginning")]
        let now = Instant::now();
        let mut debouncer = Debouncer::default();
        assert_eq!(debouncer.see(now, Which::Own, true), Some(true));
        assert_eq!(debouncer.see(now, Which::Own, false), Some(false), "without limits");
        debouncer.limits = Debounce::new(100 * MS, 50 * MS);
        assert_eq!(debouncer.see(now, Which::Own, true), None);
        assert_eq!(debouncer.next_deadline(), Some(now + 50 * MS));
        // It went down again before it counted as up.
        assert_eq!(debouncer.see(now + 49 * MS, Which::Own, false), Some(false));
        assert_eq!(debouncer.pop(now + 60 * MS), None);
        // And now it lasts; what is seen twice does not begin anew.
        assert_eq!(debouncer.see(now + 60 * MS, Which::Own, true), None);
        assert_eq!(debouncer.see(now + 100 * MS, Which::Own, true), None);
        assert_eq!(debouncer.pop(now + 110 * MS), Some((Which::Own, true)));
        assert_eq!(debouncer.next_deadline(), None);
        // Longer than any clock can say.
        let mut endless = Debouncer::default();
        assert_eq!(endless.see(now, Which::Own, true), Some(true));
        endless.limits = Debounce::new(Duration::MAX, Duration::MAX);
        assert_eq!(endless.see(now, Which::Own, false), None);
        assert_eq!(endless.next_deadline(), None);
        // Each for itself.
        let other = Which::Tracked(TrackerId::new(0));
        assert_eq!(debouncer.see(now, other, false), Some(false), "first");
        assert_eq!(debouncer.see(now + 200 * MS, Which::Own, false), None);
        assert_eq!(debouncer.pop(now + 299 * MS), None);
        assert_eq!(debouncer.pop(now + 300 * MS), Some((Which::Own, false)));
        // One that is forgotten is seen for the first time again, and nothing is due of it.
        assert_eq!(debouncer.see(now, other, true), None);
        debouncer.keep(|id| id != TrackerId::new(0));
        assert_eq!(debouncer.next_deadline(), None);
        assert_eq!(debouncer.see(now, other, true), Some(true));
    }
}
