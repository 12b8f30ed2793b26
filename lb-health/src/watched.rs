//! One check as the Monitor keeps it, and the slots that checks live in.

use std::time::{Duration, Instant};

use lb_core::Weight;
use lb_core::backend::BackendId;

use crate::timetable::Timetable;
use crate::{CheckInput, CheckSpec, CheckState, Event, Failure, Obstruction, Report};

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
    pub(crate) number: u64,
}

impl Run {
    /// The check that is to run.
    pub const fn check(self) -> CheckId {
        self.check
    }

    /// The number of the run; a later run has a higher one.
    pub const fn number(self) -> u64 {
        self.number
    }
}

/// How a run ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// When the result came in.
    pub at: Instant,
    /// How long the run took, the wait for its turn included.
    pub took: Duration,
    /// What came out.
    pub result: Result<Report, Failure>,
}

/// A check and all that is known of it, for status pages.
#[derive(Debug)]
pub struct Check<K = BackendId> {
    pub(crate) backend: K,
    pub(crate) spec: CheckSpec,
    pub(crate) state: CheckState,
    pub(crate) timetable: Timetable,
    pub(crate) running: Option<Run>,
    /// The weight that the last success reported.
    pub(crate) weight: Option<Weight>,
    pub(crate) local_errors: u32,
    /// Whether an obstruction was told that has not been taken back.
    pub(crate) obstructed: bool,
    pub(crate) last: Option<Outcome>,
}

impl<K: Copy> Check<K> {
    /// The backend it checks.
    pub const fn backend(&self) -> K {
        self.backend
    }

    /// Its parameters.
    pub const fn spec(&self) -> &CheckSpec {
        &self.spec
    }

    /// What it believes, with its streaks.
    pub const fn state(&self) -> CheckState {
        self.state
    }

    /// How its last run ended, if one has.
    pub const fn last(&self) -> Option<&Outcome> {
        self.last.as_ref()
    }

    /// Since when a run is going, or waits for its turn, if one does.
    pub fn running_since(&self) -> Option<Instant> {
        self.running.and(self.timetable.started())
    }

    /// Runs in a row that failed for a reason on this host.
    pub const fn local_errors(&self) -> u32 {
        self.local_errors
    }

    /// Whether it [could not be run](Event::Obstructed) for some time.
    pub const fn is_obstructed(&self) -> bool {
        self.obstructed
    }

    /// What the run that just ended says of whether the check, known as `id`, can be run at all.
    pub(crate) fn obstruction(&mut self, id: CheckId) -> Option<Event<K>> {
        let (backend, check, errors) = (self.backend, id, self.local_errors);
        if errors == Obstruction::THRESHOLD {
            self.obstructed = true;
            let error = self.last.as_ref()?.result.as_ref().err()?.error.clone();
            return Some(Event::Obstructed(Obstruction { backend, check, errors, error }));
        }
        let over = errors == 0 && std::mem::take(&mut self.obstructed);
        over.then_some(Event::Unobstructed { backend, check })
    }

    /// Takes the result of the run that was going; answers what it means for the state.
    pub(crate) fn finish(&mut self, now: Instant, result: Result<Report, Failure>) -> CheckInput {
        self.running = None;
        let input = match &result {
            Ok(report) => {
                self.weight = report.weight;
                CheckInput::Ok
            }
            Err(failure) if failure.error.is_local() => {
                let limit = self.spec.local_limit();
                let past = limit.is_some_and(|limit| self.local_errors >= limit.get());
                if past { CheckInput::Fail } else { CheckInput::Local }
            }
            Err(_) => CheckInput::Fail,
        };
        self.local_errors = match &result {
            Err(failure) if failure.error.is_local() => self.local_errors.saturating_add(1),
            _ => 0,
        };
        let started = self.timetable.started().unwrap_or(now);
        let took = now.saturating_duration_since(started);
        self.last = Some(Outcome { at: now, took, result });
        input
    }
}

/// Checks by identity, in slots that are used again under a new generation. Every access is O(1).
#[derive(Debug)]
pub(crate) struct Checks<K> {
    slots: Vec<(u32, Option<Check<K>>)>,
    free: Vec<u32>,
}

impl<K> Default for Checks<K> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
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
        (0..).zip(&self.slots).filter_map(|(slot, (generation, check))| {
            Some((CheckId { slot, generation: *generation }, check.as_ref()?))
        })
    }
}
