//! How often what somebody takes away is put back: at once, unless somebody is stubborn.

use std::time::{Duration, Instant};

use super::budget::{Budget, Spent};

/// How often in a row it is put back at once, and how often after that. Somebody who takes it away each
/// time would otherwise have a processor for the quarrel, and everybody who watches this host's
/// addresses with it.
const BUDGET: Budget = Budget::new(16, Duration::from_millis(250));

/// Of what was taken away: what has to wait, and how much patience is left for it.
#[derive(Debug)]
pub(crate) struct Restorer<T>(Vec<Lost<T>>);

#[derive(Debug)]
struct Lost<T> {
    what: T,
    spent: Spent,
    /// When it is put back, if it has to wait.
    due: Option<Instant>,
}

impl<T> Default for Restorer<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy + PartialEq> Restorer<T> {
    /// It is gone. Whether it is to be put back now; otherwise it is [due](Self::pop) later.
    pub(crate) fn lose(&mut self, now: Instant, what: T) -> bool {
        // Who has behaved since is forgotten.
        self.0.retain(|lost| !lost.spent.is_whole(now) || lost.due.is_some());
        let at = self.0.iter().position(|lost| lost.what == what);
        let at = at.unwrap_or_else(|| {
            self.0.push(Lost { what, spent: Spent::default(), due: None });
            self.0.len() - 1
        });
        let lost = &mut self.0[at];
        if lost.due.is_some() {
            return false;
        }
        let at = lost.spent.earliest(BUDGET, now);
        if at > now {
            lost.due = Some(at);
            return false;
        }
        lost.spent.spend(BUDGET, now);
        true
    }

    /// When the next one is put back, if one has to wait.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.0.iter().filter_map(|lost| lost.due).min()
    }

    /// One whose time has come.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<T> {
        let lost = self.0.iter_mut().find(|lost| lost.due.is_some_and(|due| due <= now))?;
        lost.due = None;
        lost.spent.spend(BUDGET, now);
        Some(lost.what)
    }

    /// Whether it is gone, and has to wait.
    pub(crate) fn is_waiting(&self, what: T) -> bool {
        self.0.iter().any(|lost| lost.what == what && lost.due.is_some())
    }

    /// Nothing is to be put back any more.
    pub(crate) fn clear(&mut self) {
        self.0.iter_mut().for_each(|lost| lost.due = None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BURST: u32 = BUDGET.burst as u32;
    const SPACING: Duration = BUDGET.spacing;

    #[allow(clippy::disallowed_methods, reason = "any instant is the beginning")]
    fn beginning() -> Instant {
        Instant::now()
    }

    #[test]
    fn who_is_stubborn_waits_and_nobody_else_does() {
        let (mut restorer, now) = (Restorer::default(), beginning());
        let at_once = (0..1000).filter(|_| restorer.lose(now, 'a')).count();
        assert_eq!(at_once, BURST as usize);
        assert!(restorer.lose(now, 'b'), "another one");
        assert_eq!(restorer.next_deadline(), Some(now + SPACING));
        assert_eq!(restorer.pop(now), None);

        // It goes again each time it is put back: four times a second.
        let count = (1..=10_000_u64).filter(|ms| {
            let now = now + Duration::from_millis(*ms);
            let restored = restorer.pop(now).is_some();
            restored && !restorer.lose(now, 'a')
        });
        assert_eq!(count.count(), 40);

        // Who lets go has all of it again.
        let later = now + Duration::from_secs(3600);
        assert_eq!(restorer.pop(later), Some('a'));
        let later = later + SPACING * BURST;
        assert_eq!((0..1000).filter(|_| restorer.lose(later, 'a')).count(), BURST as usize);
    }

    #[test]
    fn who_gives_up_puts_nothing_back() {
        let (mut restorer, now) = (Restorer::default(), beginning());
        while restorer.lose(now, ()) {}
        restorer.clear();
        assert_eq!(restorer.next_deadline(), None);
        assert_eq!(restorer.pop(now + SPACING * 2), None);
    }
}
