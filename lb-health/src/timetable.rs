//! When one check runs: a place on a grid in steady state, a fixed step near an edge.

use std::time::{Duration, Instant};

use rand::Rng;

use crate::splitmix::SplitMix64;
use crate::{CheckSpec, CheckState};

/// The start times of one check.
///
/// In steady state a check runs on its own grid: the points `origin + (phase + k) × interval`.
/// Counting from fixed points, not from the last run, is what keeps the mean at the interval
/// however late single runs are, and keeps checks that started together apart for good.
#[derive(Debug)]
pub(crate) struct Timetable {
    origin: Instant,
    /// The place of the grid within an interval: 0 to 1.
    phase: f32,
    /// When the last run started.
    started: Option<Instant>,
    /// How long after its time that was, in microseconds.
    late: u32,
    random: SplitMix64,
}

impl Timetable {
    /// A check known from `now`, and when its first run is.
    pub(crate) fn new(now: Instant, spec: &CheckSpec, rng: &mut dyn Rng) -> (Self, Instant) {
        let mut random = SplitMix64::new(rng.next_u64());
        let first = now + spec.warmup().mul_f64(random.fraction());
        let phase = random.fraction() as f32;
        (Self { origin: first, phase, started: None, late: 0, random }, first)
    }

    /// Takes note that the run starts that was due at `due`.
    pub(crate) fn start(&mut self, now: Instant, due: Instant) {
        self.started = Some(now);
        let late = now.saturating_duration_since(due).as_micros();
        self.late = u32::try_from(late).unwrap_or(u32::MAX);
    }

    /// How late the last run started.
    pub(crate) const fn late(&self) -> Duration {
        Duration::from_micros(self.late as u64)
    }

    /// When the last run started, if one did.
    pub(crate) const fn started(&self) -> Option<Instant> {
        self.started
    }

    /// The first run of a changed or resumed check: within the warm-up.
    pub(crate) fn restart(&mut self, now: Instant, spec: &CheckSpec) -> Instant {
        let first = now + spec.warmup().mul_f64(self.random.fraction());
        self.not_before(first, spec.shortest_interval())
    }

    /// The next run as soon as traffic has cast doubt on the state.
    pub(crate) fn hurry(&self, now: Instant, spec: &CheckSpec) -> Instant {
        self.not_before(now, spec.fast_interval())
    }

    /// The next run of a check that has none going.
    pub(crate) fn next(&mut self, now: Instant, spec: &CheckSpec, state: CheckState) -> Instant {
        if state.near_edge() {
            return self.hurry(now, spec);
        }
        let interval = match state {
            CheckState::Down { .. } => spec.down_interval(),
            _ => spec.interval(),
        };
        // Half an interval after the last start is past every place that run can have had on the
        // grid (the jitter moves it by at most a quarter), and before the next one.
        let earliest = self.not_before(now, interval / 2);
        let jitter = spec.percent_of(interval).mul_f64(self.random.fraction());
        // Half of the jitter to either side, so that two neighbours stray by all of it at most.
        let moved = self.on_grid(earliest, interval) + jitter;
        let at = moved.checked_sub(spec.percent_of(interval) / 2).unwrap_or(moved);
        self.not_before(at.max(now), spec.shortest_interval())
    }

    /// The first point of the grid at or after `earliest`.
    fn on_grid(&self, earliest: Instant, interval: Duration) -> Instant {
        let anchor = self.origin + interval.mul_f64(self.phase.into());
        // Both are far within 64 bits, which hold 584 years.
        let missing = earliest.saturating_duration_since(anchor).as_nanos() as u64;
        let interval = (interval.as_nanos() as u64).max(1);
        anchor + Duration::from_nanos(missing.div_ceil(interval) * interval)
    }

    fn not_before(&self, at: Instant, interval: Duration) -> Instant {
        self.started.map_or(at, |started| at.max(started + interval))
    }
}
