//! Which scripts have not ended, for whoever waits for them no longer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What one queue of scripts has not come to the end of.
#[derive(Clone, Debug, Default)]
pub struct Backlog(Arc<Mutex<BTreeMap<u64, Undone>>>);

/// One run that has not ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Undone {
    /// The program.
    pub script: String,
    /// What it is told, or was to be.
    pub told: String,
    /// Whether it was started; else it waits for those before it.
    pub is_running: bool,
}

/// One of them, until this is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    number: u64,
    backlog: Backlog,
}

impl Backlog {
    pub(super) fn add(&self, script: String, told: String) -> Entry {
        let mut runs = self.runs();
        let number = runs.last_key_value().map_or(0, |(number, _)| number + 1);
        runs.insert(number, Undone { script, told, is_running: false });
        Entry { number, backlog: self.clone() }
    }

    /// All that have not ended, in their order.
    pub fn undone(&self) -> Vec<Undone> {
        self.runs().values().cloned().collect()
    }

    fn runs(&self) -> MutexGuard<'_, BTreeMap<u64, Undone>> {
        // Nothing panics while it has it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    pub(super) fn begin(&self) {
        if let Some(run) = self.backlog.runs().get_mut(&self.number) {
            run.is_running = true;
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.backlog.runs().remove(&self.number);
    }
}
