//! The deadlines of a router: one of each kind, in a table.

use std::time::{Duration, Instant};

/// What a router may be waiting for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Timer {
    /// Master: say it again (`Adver_Timer`).
    Advertise,
    /// Master: the second burst of announcements.
    Announce,
    /// Backup: the master is dead (`Active_Down_Timer`).
    MasterDown,
    /// Master and owner: another owner had its chance to give way.
    OwnerConflict,
    /// Backup: a lower master was given its time.
    PreemptDelay,
    /// Master: an announcement that had to wait for its budget.
    React,
    /// Master: say again where the addresses are.
    Refresh,
    /// Releasing: nobody comes.
    Release,
    /// Waiting: the startup delay is over.
    Startup,
}

impl Timer {
    const ALL: [Self; 9] = [
        Self::Advertise,
        Self::Announce,
        Self::MasterDown,
        Self::OwnerConflict,
        Self::PreemptDelay,
        Self::React,
        Self::Refresh,
        Self::Release,
        Self::Startup,
    ];
}

/// When each timer goes off. Absolute, so that whatever changes nothing touches nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct TimerTable([Option<Instant>; Timer::ALL.len()]);

impl TimerTable {
    pub(crate) const fn get(&self, timer: Timer) -> Option<Instant> {
        self.0[timer as usize]
    }

    pub(crate) const fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = Some(at);
    }

    /// `delay` after `now`; never, if that is beyond what a clock can say.
    pub(crate) fn set_in(&mut self, timer: Timer, now: Instant, delay: Duration) {
        self.0[timer as usize] = now.checked_add(delay);
    }

    /// The first instant after `now` that is a whole number of periods after `deadline`, so that being
    /// late once does not make everything late. Never, if the period is zero or out of reach.
    pub(crate) fn set_next(
        &mut self,
        timer: Timer,
        now: Instant,
        deadline: Instant,
        period: Duration,
    ) {
        let late = now.saturating_duration_since(deadline);
        // After more periods than that, nobody remembers the phase.
        let next = late
            .as_nanos()
            .checked_div(period.as_nanos())
            .and_then(|missed| u32::try_from(missed + 1).ok())
            .and_then(|periods| deadline.checked_add(period.saturating_mul(periods)))
            .filter(|&next| next > now);
        self.0[timer as usize] = next.or_else(|| now.checked_add(period)).filter(|&at| at > now);
    }

    /// Not later than `at`.
    pub(crate) fn set_no_later(&mut self, timer: Timer, at: Instant) {
        let slot = &mut self.0[timer as usize];
        *slot = Some(slot.map_or(at, |set| set.min(at)));
    }

    pub(crate) const fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    /// All of them: a state leaves none behind.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The earliest.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }

    /// Takes out the earliest of those that are due, with when it should have gone off.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Timer, Instant)> {
        let due = |timer: Timer| self.get(timer).filter(|&at| at <= now).map(|at| (timer, at));
        let (timer, at) = Timer::ALL.into_iter().filter_map(due).min_by_key(|&(_, at)| at)?;
        self.stop(timer);
        Some((timer, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_indexed_by_the_timers() {
        for (index, timer) in Timer::ALL.into_iter().enumerate() {
            assert_eq!(timer as usize, index);
        }
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // any instant will do
    fn what_is_late_keeps_its_phase() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let period = Duration::from_millis(100);
        let next = |now, period| {
            let mut table = TimerTable::default();
            table.set_next(Timer::Advertise, now, start, period);
            table.next()
        };
        assert_eq!(next(start, period), Some(after(100)));
        assert_eq!(next(after(99), period), Some(after(100)));
        assert_eq!(next(after(100), period), Some(after(200)));
        assert_eq!(next(after(731), period), Some(after(800)));
        let second = Duration::from_secs(1);
        assert_eq!(
            next(start + second * 100, Duration::from_nanos(1)),
            Some(start + second * 100 + Duration::from_nanos(1))
        );
        assert_eq!(next(start, Duration::ZERO), None);
        assert_eq!(next(start, Duration::MAX), None);
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // any instant will do
    fn due_timers_come_in_the_order_of_their_deadlines() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut table = TimerTable::default();
        table.set(Timer::Advertise, after(30));
        table.set(Timer::Startup, after(10));
        table.set(Timer::Release, after(99));
        table.set_no_later(Timer::Release, after(200));
        assert_eq!(table.next(), Some(after(10)));
        assert_eq!(table.pop_due(after(50)), Some((Timer::Startup, after(10))));
        assert_eq!(table.pop_due(after(50)), Some((Timer::Advertise, after(30))));
        assert_eq!(table.pop_due(after(50)), None);
        assert_eq!(table.next(), Some(after(99)));
    }
}
