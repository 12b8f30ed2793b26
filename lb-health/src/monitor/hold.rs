//! How long a backend stays down when traffic and its checks disagree.

use std::time::{Duration, Instant};

/// Holds a backend down that traffic takes down again and again while its checks pass: the check
/// looks at another port, or at less than clients need.
///
/// Without it such a backend comes up with every rise and goes down with the next clients, for ever.
/// The first time costs nothing: the checks bring the backend up as soon as they rise. From the
/// second time on it is held for the interval of the check, and twice as long each time, up to
/// [`Self::LONGEST`]; a quiet time starts over (C2, R4; Envoy's ejection grows too, by a fixed step
/// each time). Only traffic holds: what a check took down, a check brings up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hold {
    /// How often traffic took the backend down since the last quiet time.
    times: u32,
    /// When it last did.
    since: Option<Instant>,
    /// How long the backend is held down from then on.
    hold: Duration,
    /// How long without a further time lets bygones be bygones.
    quiet: Duration,
}

impl Hold {
    /// The longest hold, unless a single interval is longer.
    const LONGEST: Duration = Duration::from_secs(60);
    /// The shortest time after which the count starts over.
    const QUIET: Duration = Duration::from_secs(60);

    /// Traffic took the backend down, against a check that runs every `interval`.
    pub(crate) fn taken_down(&mut self, now: Instant, interval: Duration) {
        let calm = self.since.is_none_or(|last| now.saturating_duration_since(last) >= self.quiet);
        self.times = if calm { 1 } else { self.times.saturating_add(1) };
        self.hold = match self.times.checked_sub(2) {
            None => Duration::ZERO,
            Some(doublings) => {
                let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
                interval.saturating_mul(factor).min(interval.max(Self::LONGEST))
            }
        };
        self.since = Some(now);
        // It takes the hold and some part of an interval until the backend can be up at all.
        self.quiet = Self::QUIET.max(2 * (self.hold + interval));
    }

    /// When checks may bring the backend up again, if they may not yet.
    pub(crate) fn until(&self, now: Instant) -> Option<Instant> {
        self.since.map(|since| since + self.hold).filter(|&until| until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[expect(clippy::disallowed_methods, reason = "any instant serves as the origin")]
    fn origin() -> Instant {
        Instant::now()
    }

    /// Takes a backend down `times` times, each as soon as it could be up; answers the holds.
    fn holds(interval: Duration, times: usize) -> Vec<Duration> {
        let (mut hold, mut now) = (Hold::default(), origin());
        let mut taken_down = || {
            hold.taken_down(now, interval);
            let held = hold.until(now).map_or(Duration::ZERO, |until| until - now);
            now += held + interval;
            held
        };
        std::iter::repeat_with(&mut taken_down).take(times).collect()
    }

    #[test]
    fn doubles_from_the_second_time_on() {
        let seconds = |list: &[u64]| list.iter().copied().map(Duration::from_secs).collect();
        let expected: Vec<_> = seconds(&[0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(holds(SECOND, 10), expected);
        // An interval beyond the longest hold is held for itself.
        assert_eq!(holds(100 * SECOND, 4), seconds(&[0, 100, 100, 100]) as Vec<_>);
        assert_eq!(holds(SECOND, 100)[99], Hold::LONGEST);
        assert_eq!(holds(Duration::from_millis(1), 100)[99], Hold::LONGEST);
    }

    #[test]
    fn a_quiet_time_starts_over() {
        for (times, quiet) in [(1, 60), (2, 60), (7, 66), (8, 122)] {
            for (early, expected) in [(Duration::from_nanos(1), false), (Duration::ZERO, true)] {
                let (mut hold, now) = (Hold::default(), origin());
                (0..times).for_each(|_| hold.taken_down(now, SECOND));
                let later = now + Duration::from_secs(quiet) - early;
                hold.taken_down(later, SECOND);
                assert_eq!(hold.until(later).is_none(), expected, "{times} times, {quiet} s");
            }
        }
    }
}
