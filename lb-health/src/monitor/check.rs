//! One check as the Monitor keeps it, and the slots that checks live in.

use std::mem;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lb_core::backend::BackendId;

use super::chunks::Chunks;
use super::few::Few;
use super::history::History;
use super::hold::Hold;
use super::said::Said;
use super::specs::Terms;
use super::timetable::Timetable;
use super::{Obstruction, PastRun};
use crate::state::{CheckInput, CheckState};
use crate::{CheckError, CheckSpec, Failure, Report};

/// The identity of a check: issued by [`Monitor::watch`](crate::Monitor::watch), never reused.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CheckId {
    pub(crate) slot: u32,
    generation: u32,
}

/// One run of a check, to be answered with
/// [`Monitor::handle_result`](crate::Monitor::handle_result).
///
/// Its number is unique in a monitor, so the late answer to a run that was cancelled never applies.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Run {
    pub(crate) check: CheckId,
    pub(crate) number: NonZeroU64,
}

impl Run {
    /// The check that is to run.
    pub const fn check(self) -> CheckId {
        self.check
    }

    /// The number of the run; a later run has a higher one.
    pub const fn number(self) -> u64 {
        self.number.get()
    }
}

/// A check and all that is known of it, for status pages.
#[derive(Debug)]
pub struct Check<K = BackendId> {
    /// Whom it speaks for.
    pub(crate) backends: Few<Seat<K>>,
    pub(crate) spec: Arc<Terms>,
    pub(crate) state: CheckState,
    pub(crate) timetable: Timetable,
    /// The number of the run that is going.
    pub(crate) running: Option<NonZeroU64>,
    /// What runs that passed reported.
    pub(crate) said: Said,
    pub(crate) local_errors: u32,
    /// Whether an obstruction was told that has not been taken back.
    pub(crate) obstructed: bool,
    /// Whether there is to be another run soon after the one that is going.
    pub(crate) hurried: bool,
    /// Whether it was traffic that took it down last, and no run of its own has failed since.
    pub(crate) overruled: bool,
    pub(crate) history: History,
    /// There once traffic has taken it down.
    pub(crate) hold: Option<Box<Hold>>,
}

/// A backend, and where the monitor keeps it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Seat<K> {
    pub(crate) place: u32,
    pub(crate) key: K,
}

impl<K: Copy + Eq> Check<K> {
    /// The backends it speaks for, in the order they were added.
    pub fn backends(&self) -> impl Iterator<Item = K> {
        self.backends.as_slice().iter().map(|seat| seat.key)
    }

    /// Its parameters.
    pub fn spec(&self) -> &CheckSpec {
        &self.spec
    }

    /// What it believes, with its streaks.
    pub const fn state(&self) -> CheckState {
        self.state
    }

    /// How its last run ended, if one has.
    pub const fn last(&self) -> Option<&PastRun> {
        self.history.last()
    }

    /// How its last runs ended, the latest first; runs in a row that ended alike are one entry. As
    /// many as [`Monitor::with_history`](crate::Monitor::with_history) says.
    pub fn recent(&self) -> impl Iterator<Item = &PastRun> {
        self.history.iter()
    }

    /// Since when a run is going, or waits for its turn, if one does.
    pub fn running_since(&self) -> Option<Instant> {
        self.running.and(self.timetable.started(&self.spec))
    }

    /// How late its last run started: this host had other things to do. Zero if none has.
    pub const fn late(&self) -> Duration {
        self.timetable.late()
    }

    /// Runs in a row that failed for a reason on this host.
    pub const fn local_errors(&self) -> u32 {
        self.local_errors
    }

    /// Whether it [could not be run](crate::Event::Obstructed) for some time.
    pub const fn is_obstructed(&self) -> bool {
        self.obstructed
    }

    /// What the run that just ended says of whether the check can be run at all, if that is news:
    /// `Some(Some)` that it cannot, `Some(None)` that it can again.
    pub(crate) fn obstruction(&mut self) -> Option<Option<CheckError>> {
        if self.local_errors == Obstruction::THRESHOLD {
            self.obstructed = true;
            return Some(Some(self.history.last()?.result.as_ref().err()?.error.clone()));
        }
        let over = self.local_errors == 0 && mem::take(&mut self.obstructed);
        over.then_some(None)
    }

    /// How many runs in a row could not be run so far, and why, if that was told and goes on.
    pub(crate) fn ongoing_obstruction(&self) -> Option<(u32, CheckError)> {
        let last = self.history.last().filter(|_| self.obstructed)?;
        Some((self.local_errors, last.result.as_ref().err()?.error.clone()))
    }

    /// Whether it is an agent that is of no help and is not waited for: its last word, if it ever said
    /// one, is old.
    pub(crate) fn is_left_out(&self) -> bool {
        let is_old = match self.state {
            CheckState::Down { stale, .. } | CheckState::Up { stale, .. } => stale,
            CheckState::Off { .. } => false,
            CheckState::Unknown { .. } => true,
        };
        let last = self.history.last().filter(|_| is_old);
        let failure = last.and_then(|last| last.result.as_ref().err());
        failure.is_some_and(|failure| matches!(failure.error, CheckError::Agent { .. }))
    }

    /// Takes the result of the run that was going; answers what it means for the state.
    pub(crate) fn finish(
        &mut self,
        now: Instant,
        result: Result<Report, Failure>,
        remembered: usize,
    ) -> CheckInput {
        self.running = None;
        let result = self.as_of_its_state(result);
        let input = match &result {
            Ok(report) => {
                self.said.take(report);
                CheckInput::Ok
            }
            Err(failure) if failure.error.is_local() => {
                let limit = self.spec.local_limit();
                let past = limit.is_some_and(|limit| self.local_errors >= limit.get());
                if past { CheckInput::Fail } else { CheckInput::Local }
            }
            Err(_) => CheckInput::Fail,
        };
        self.overruled &= input != CheckInput::Fail;
        self.local_errors = match &result {
            Err(failure) if failure.error.is_local() => self.local_errors.saturating_add(1),
            _ => 0,
        };
        let started = self.timetable.started(&self.spec).unwrap_or(now);
        self.history.add(now, now.saturating_duration_since(started), result, remembered);
        input
    }

    /// What a run comes to that [passes only while up](Report::unless_up).
    fn as_of_its_state(&self, result: Result<Report, Failure>) -> Result<Report, Failure> {
        let is_up = matches!(self.state, CheckState::Up { .. });
        match result {
            Ok(Report { unless_up: Some(error), trace, .. }) if !is_up => {
                Err(Failure::new(Arc::unwrap_or_clone(error), trace))
            }
            result => result,
        }
    }

    /// Until when it may not bring its backends up, if that is so at `now`.
    pub(crate) fn held_until(&self, now: Instant) -> Option<Instant> {
        self.hold.as_ref()?.until(now)
    }
}

/// Checks by identity, in slots that are used again under a new generation. Every access is O(1).
#[derive(Debug)]
pub(crate) struct Checks<K> {
    slots: Chunks<(u32, Option<Check<K>>)>,
    free: Vec<u32>,
}

impl<K> Default for Checks<K> {
    fn default() -> Self {
        Self { slots: Chunks::default(), free: Vec::new() }
    }
}

impl<K> Checks<K> {
    pub(crate) fn insert(&mut self, check: Check<K>) -> CheckId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            (self.slots.len() - 1) as u32
        });
        let (generation, place) = &mut self.slots[slot as usize];
        *place = Some(check);
        CheckId { slot, generation: *generation }
    }

    pub(crate) fn remove(&mut self, id: CheckId) -> Option<Check<K>> {
        self.get(id)?;
        let (generation, place) = &mut self.slots[id.slot as usize];
        // A slot whose generations are used up stays empty, so that no identity comes twice.
        if let Some(next) = generation.checked_add(1) {
            *generation = next;
            self.free.push(id.slot);
        }
        place.take()
    }

    pub(crate) fn get(&self, id: CheckId) -> Option<&Check<K>> {
        let (generation, check) = self.slots.get(id.slot as usize)?;
        check.as_ref().filter(|_| *generation == id.generation)
    }

    pub(crate) fn get_mut(&mut self, id: CheckId) -> Option<&mut Check<K>> {
        let (generation, check) = self.slots.get_mut(id.slot as usize)?;
        check.as_mut().filter(|_| *generation == id.generation)
    }

    /// The check in `slot`, whatever its generation.
    pub(crate) fn at(&mut self, slot: u32) -> Option<(CheckId, &mut Check<K>)> {
        let (generation, check) = self.slots.get_mut(slot as usize)?;
        Some((CheckId { slot, generation: *generation }, check.as_mut()?))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (CheckId, &Check<K>)> {
        (0..).zip(self.slots.iter()).filter_map(|(slot, (generation, check))| {
            Some((CheckId { slot, generation: *generation }, check.as_ref()?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::backends::Watched;

    /// There may be a hundred thousand of them, and their last errors with them: what is large and rare
    /// belongs behind a pointer.
    #[test]
    fn a_check_is_small() {
        assert!(size_of::<CheckError>() <= 40, "{}", size_of::<CheckError>());
        assert!(size_of::<Check>() <= 224, "{}", size_of::<Check>());
        // What a monitor keeps of a backend with one check.
        let all = size_of::<(u32, Option<Check>)>() + size_of::<Watched>();
        assert!(all <= 272, "{all}");
    }
}
