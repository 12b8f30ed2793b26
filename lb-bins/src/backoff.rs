//! How long to wait from one attempt to the next: twice as long each time, until one succeeds.

use std::time::Duration;

/// The pauses after failures in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// `first`, twice that, and so on, but none longer than `longest`.
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// How long to wait after a failure.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.next.min(self.longest);
        self.next = pause.saturating_mul(2);
        pause
    }

    /// An attempt has succeeded: the next pause is the first again.
    pub(crate) const fn reset(&mut self) {
        self.next = self.first;
    }

    /// Another limit from now on.
    pub(crate) const fn limit(&mut self, longest: Duration) {
        self.longest = longest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_again() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        let mut pauses =
            |count| -> Vec<u64> { (0..count).map(|_| backoff.pause().as_secs()).collect() };
        assert_eq!(pauses(5), [1, 2, 4, 5, 5]);
        backoff.reset();
        backoff.limit(Duration::from_secs(2));
        assert_eq!(
            [backoff.pause(), backoff.pause(), backoff.pause()].map(|p| p.as_secs()),
            [1, 2, 2]
        );
        let mut endless = Backoff::new(Duration::MAX, Duration::MAX);
        assert_eq!([endless.pause(), endless.pause()], [Duration::MAX; 2]);
    }
}
