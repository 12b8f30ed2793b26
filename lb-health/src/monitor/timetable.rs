//! When one check runs: a place on a grid in steady state, a step near an edge.

use std::time::{Duration, Instant};

use rand::Rng;

use super::specs::Terms;
use crate::splitmix::SplitMix64;
use crate::state::CheckState;

/// The start times of one check.
///
/// In steady state a check runs on its own grid: the points `origin + (phase + k) × interval`.
/// Counting from fixed points, not from the last run, is what keeps the mean at the interval
/// however late single runs are, and keeps checks that started together apart for good.
///
/// All sums are of nanoseconds from the origin, in 64 bits, which hold 292 years. It is the
/// [monitor's](Terms::origin); before it there is nothing.
#[derive(Debug)]
pub(crate) struct Timetable {
    /// When the last run started; [`NEVER`] if none has.
    started: i64,
    /// The place of the grid within an interval, in parts of 2³².
    phase: u32,
    /// How long after its time the last run started, in microseconds.
    late: u32,
    random: SplitMix64,
}

const NEVER: i64 = i64::MIN;

impl Timetable {
    /// A check known from `now`, and when its first run is.
    pub(crate) fn new(now: Instant, terms: &Terms, rng: &mut dyn Rng) -> (Self, Instant) {
        let mut random = SplitMix64::new(rng.next_u64());
        let first = now + Duration::from_nanos(random.below(nanos(terms.warmup())));
        let phase = random.below(1 << 32) as u32;
        (Self { phase, started: NEVER, late: 0, random }, first)
    }

    /// Takes note that the run starts that was due at `due`.
    pub(crate) fn start(&mut self, now: Instant, due: Instant, terms: &Terms) {
        self.started = after_origin(now, terms);
        let late = now.saturating_duration_since(due).as_micros();
        self.late = u32::try_from(late).unwrap_or(u32::MAX);
    }

    /// How late the last run started.
    pub(crate) const fn late(&self) -> Duration {
        Duration::from_micros(self.late as u64)
    }

    /// When the last run started, if one did.
    pub(crate) fn started(&self, terms: &Terms) -> Option<Instant> {
        (self.started != NEVER).then(|| instant(self.started, terms))
    }

    /// The first run of a changed or resumed check: within the warm-up.
    pub(crate) fn restart(&mut self, now: Instant, terms: &Terms) -> Instant {
        let first = after_origin(now, terms) + self.random.below(nanos(terms.warmup())) as i64;
        instant(self.not_before(first, nanos(terms.shortest_interval())), terms)
    }

    /// The next run as soon as traffic has cast doubt on the state.
    pub(crate) fn hurry(&self, now: Instant, terms: &Terms) -> Instant {
        let soonest = self.not_before(after_origin(now, terms), nanos(terms.fast_interval()));
        instant(soonest, terms)
    }

    /// The next run as soon as there can be one.
    pub(crate) fn soonest(&self, now: Instant, terms: &Terms) -> Instant {
        let soonest = self.not_before(after_origin(now, terms), nanos(terms.shortest_interval()));
        instant(soonest, terms)
    }

    /// The next run of a check that has none going.
    pub(crate) fn next(&mut self, now: Instant, terms: &Terms, state: CheckState) -> Instant {
        let now = after_origin(now, terms);
        let percent = terms.jitter_percent().into();
        if state.near_edge() {
            let interval = nanos(terms.fast_interval());
            let jitter = self.random.below(share(interval, percent) + 1) as i64;
            return instant(self.not_before(now, interval) + jitter, terms);
        }
        let interval = nanos(match state {
            CheckState::Down { .. } => terms.down_interval(),
            _ => terms.interval(),
        });
        // Half an interval after the last start is past every place that run can have had on the
        // grid (the jitter moves it by at most a quarter), and before the next one.
        let earliest = self.not_before(now, interval / 2);
        let jitter = share(interval, percent);
        // Half of the jitter to either side, so that two neighbours stray by all of it at most.
        let moved = self.random.below(jitter + 1) as i64 - (jitter / 2) as i64;
        let at = (self.on_grid(earliest, interval) + moved).max(now);
        instant(self.not_before(at, nanos(terms.shortest_interval())), terms)
    }

    /// The first point of the grid at or after `earliest`.
    fn on_grid(&self, earliest: i64, interval: u64) -> i64 {
        let anchor = ((u128::from(interval) * u128::from(self.phase)) >> 32) as i64;
        match u64::try_from(earliest - anchor) {
            Ok(missing) => anchor + (missing.div_ceil(interval.max(1)) * interval) as i64,
            Err(_) => anchor,
        }
    }

    fn not_before(&self, at: i64, interval: u64) -> i64 {
        at.max(self.started.saturating_add_unsigned(interval))
    }
}

fn after_origin(at: Instant, terms: &Terms) -> i64 {
    nanos(at.saturating_duration_since(terms.origin)) as i64
}

/// What is counted is never before the origin.
fn instant(at: i64, terms: &Terms) -> Instant {
    terms.origin + Duration::from_nanos(at.unsigned_abs())
}

/// All times of a check are at most a year or some decades.
const fn nanos(time: Duration) -> u64 {
    time.as_secs().wrapping_mul(1_000_000_000).wrapping_add(time.subsec_nanos() as u64)
}

/// So many percent of `interval`, which is at most a year.
const fn share(interval: u64, percent: u64) -> u64 {
    interval * percent / 100
}
